// The page's answers about policies: what would become of a command (the playground), who may do what, and the accounts, keys and
// certificates. What is asked here is judged by what is served now, with the code and within the limits of a client's line. Rules name mail
// users, so a limited view gets none of it. A question is recorded before it is answered, with its secrets as digests.

import type { DoorFacts } from '../gate/door/door.js';
import { localUserName, type NameNumbers } from '../host/machine/accounts.js';
import type { NameService } from '../host/machine/name-service.js';
import { messageOf } from '../host/ports/faults.js';
import type { Clock } from '../host/ports/machine.js';
import { accessTable } from './access-table.js';
import type { Endpoint } from './answers/api.js';
import { type Explain, parseExplain } from './answers/requests.js';
import { type Daemon, statusOfChange, whyChanged } from './daemon.js';
import { explainAsked, judgingBy } from './explain-asked.js';
import { jsonReply, type PageHandler, refusedReply } from './http/page-request.js';
import { keysTable } from './keys-table.js';
import type { FindPastUses } from './past-uses.js';
import { createReviewHandlers, type ReviewParts } from './review-answers.js';

export interface AccessParts extends ReviewParts {
  readonly clock: Pick<Clock, 'now' | 'wallMs'>;
  readonly names: Pick<NameService, 'loginOf'>;
  readonly daemon: Pick<Daemon, 'told' | 'record' | 'flush' | 'facts'>;
  readonly certificates: () => DoorFacts['certificates'];
  readonly pastUses: FindPastUses;
}

const principalOf = ({ listener, name }: DoorFacts['used'][number]): string => `${name}@${listener}`;

export function createAccessHandlers(parts: AccessParts): Partial<Record<Endpoint, PageHandler>> {
  const { clock, names, daemon, log, certificates, pastUses } = parts;
  const reviews = createReviewHandlers(parts);

  return {
    ...Object.fromEntries(Object.entries(reviews).map(([name, handler]) => [name, unlimited(handler)])),
    explain: unlimited(async ({ body, who, isStill }) => {
      const parsed = parseExplain(body);
      if (typeof parsed === 'string') return refusedReply(400, parsed);
      const { told } = daemon;
      if (told?.numbers === undefined) return unanswered;
      const asked = withUid(parsed, told.numbers);
      if (typeof asked === 'string') return refusedReply(404, asked);
      try {
        const { series } = await daemon.facts();
        const judging = judgingBy(told.settings, told.numbers, series);
        const found = await explainAsked(asked, judging, clock, names.loginOf);
        if ('status' in found) return refusedReply(found.status, found.text);
        const { explained, recorded } = found;
        const args = [`listener=${asked.listener}`, `principal=${explained.principal}`, ...recorded];
        await daemon.record(who, { action: 'explain', args });
        return !isStill() || daemon.told !== told ? changed : jsonReply(200, explained);
      } catch (fault) {
        const why = whyChanged(fault);
        if (why !== undefined) return refusedReply(statusOfChange(fault), why);
        log.report({ event: 'admin-failed', level: 'error', text: `/api/explain: ${messageOf(fault)}` });
        return refusedReply(503, `the question could not be recorded: ${messageOf(fault)}`);
      }
    }),
    access: unlimited(async () => {
      const { told } = daemon;
      return told === undefined
        ? unanswered
        : jsonReply(200, accessTable(told.settings, clock.wallMs(), localUserName));
    }),
    keys: unlimited(async () => {
      const { told } = daemon;
      if (told === undefined) return unanswered;
      try {
        const facts = await daemon.facts();
        const unused = facts.used.filter(({ lastUsedMs }) => lastUsedMs === undefined);
        const past = await pastUses(told.head, unused.map(principalOf));
        const used = facts.used.map((use) =>
          use.lastUsedMs === undefined ? { ...use, ...past.get(principalOf(use)) } : use,
        );
        return jsonReply(
          200,
          keysTable(told.settings, { ...facts, used }, certificates(), told.head.started),
        );
      } catch (fault) {
        return refusedReply(503, messageOf(fault));
      }
    }),
  };
}

/** Resolves only names of the configuration: others would reveal who has a login on this host. A text: there is no such name. */
function withUid(asked: Explain, { uidOf }: NameNumbers): Explain | string {
  const { uidName } = asked;
  if (uidName === undefined) return asked;
  const uid = uidOf(uidName);
  return uid === undefined
    ? `the configuration names no user ${JSON.stringify(uidName)} of this host; give the uid`
    : { ...asked, uid };
}

const unanswered = refusedReply(503, 'dovegate does not answer; ask again when it runs');
const changed = refusedReply(409, 'the configuration was changed meanwhile; ask again');

/** Refuses people who may see only some mail users. */
export function unlimited(handler: PageHandler): PageHandler {
  return (request) => {
    const { name, users } = request.who;
    if (users === undefined) return handler(request);
    const text = `${name} sees the records of ${users.join(' ')} only, and this names other mail users; it needs a person without "users" in admin.page.people`;
    return Promise.resolve(refusedReply(403, text));
  };
}
