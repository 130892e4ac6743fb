// The page's answers about policies: what would become of a command (the playground), who may do what, and the accounts, keys and certificates.
// The rules: what is asked here is judged by what is served now, with the code and within the limits of a client's line; rules name mail users,
// so a limited view gets none of it; a question is recorded before it is answered, with its secrets as digests.

import { lookUpUser } from '../adapters/host/accounts.js';
import { jsonReply, type PageHandler, type PageReply, refusedReply } from '../adapters/page/page-request.js';
import { bounds } from '../bounds/bounds.js';
import { TokenBuckets } from '../concurrency/limits.js';
import type { Endpoint } from '../domain/page/api.js';
import { messageOf } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';
import type { Certificates } from '../setup/certificates.js';
import { accessTable } from './access-table.js';
import { explainAsked, type Judging, parseExplain, type QuestionFailure } from './explain-asked.js';
import type { KeyWatch } from './keys.js';
import { keysTable } from './keys-table.js';
import { createReviewHandlers, type ReviewParts } from './page-review.js';

/** What the answers are made from. */
export interface AccessParts extends ReviewParts {
  readonly clock: Pick<Clock, 'now' | 'wallMs' | 'nextTurn'>;
  readonly served: { readonly now: Judging };
  readonly keys: Pick<KeyWatch, 'usage'>;
  readonly certificates: Pick<Certificates, 'expiries'>;
}

/** Questions of one person: each is a record. 20 at once, then one a second. */
const questionRate = {
  burst: bounds.accessQuestions,
  refillMs: 1_000,
  sourcesMax: bounds.lookSources,
} as const;

export function createAccessHandlers(parts: AccessParts): Partial<Record<Endpoint, PageHandler>> {
  const { clock, served, journal, log, keys, certificates } = parts;
  // Handlers are made when the daemon starts.
  const startedMs = clock.wallMs();
  const questions = new TokenBuckets(questionRate);
  const { suggest, check, replay } = createReviewHandlers(parts);

  return {
    explain: unlimited(async ({ body, who, isStill }) => {
      const asked = parseExplain(body);
      if (typeof asked === 'string') return refusedReply(400, asked);
      const waitMs = questions.take(who.name, clock.now());
      if (waitMs !== undefined)
        return refusedReply(429, `${who.name} asks too often; try again in ${waitMs} ms`);
      const { now } = served;
      const found = await explainAsked(asked, now, clock, lookUpUser);
      if ('status' in found) return refusedOf(found);
      try {
        await journal.appendDurable(
          {
            time: clock.wallMs(),
            event: 'operator',
            peer: { address: who.address },
            action: 'explain',
            by: who.name,
            args: [`listener=${asked.listener}`, `principal=${found.explained.principal}`, ...found.recorded],
          },
          false,
          true,
        );
      } catch (fault) {
        log.report({ event: 'admin-failed', level: 'error', text: `/api/explain: ${messageOf(fault)}` });
        return refusedReply(503, 'the question could not be recorded; the log of dovegate says why');
      }
      if (!isStill() || served.now !== now) return changed;
      return jsonReply(200, found.explained);
    }),
    suggest: unlimited(suggest),
    check: unlimited(check),
    replay: unlimited(replay),
    access: unlimited(() =>
      Promise.resolve(jsonReply(200, accessTable(served.now.settings, clock.wallMs()))),
    ),
    keys: unlimited(() => {
      const { settings } = served.now;
      const nowMs = clock.wallMs();
      const table = keysTable(settings, keys.usage, certificates.expiries(), { startedMs, nowMs });
      return Promise.resolve(jsonReply(200, table));
    }),
  };
}

const changed = refusedReply(409, 'the configuration was changed meanwhile; ask again');

function refusedOf({ status, text }: QuestionFailure): PageReply {
  return refusedReply(status, text);
}

/** For people who may see all mail users only. */
export function unlimited(handler: PageHandler): PageHandler {
  return (request) => {
    const { name, users } = request.who;
    if (users === undefined) return handler(request);
    const text = `${name} sees the records of ${users.join(' ')} only, and this names other mail users; it needs a person without "users" in admin.page.people`;
    return Promise.resolve(refusedReply(403, text));
  };
}
