// The page's answers that review a policy by the journal: suggest, check of a text, replay. Each runs in a thread, and is recorded first.
// The page never writes a configuration.

import {
  jsonReply,
  type PageHandler,
  type PageRequest,
  refusedReply,
} from '../adapters/page/page-request.js';
import type { Log } from '../adapters/telemetry/log.js';
import type { Endpoint } from '../domain/admin/page/api.js';
import { parseReview } from '../domain/admin/page/requests.js';
import { formatTime } from '../domain/records/audit/record.js';
import { messageOf } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';
import { settingsLines } from '../setup/configuration-lines.js';
import { type Daemon, isChanged, type Told, whyNotShown } from './daemon.js';
import { LookRefused, type Looks } from './looks.js';
import type { ReviewAnswer, ReviewTask } from './review-task.js';

export interface ReviewParts {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Pick<Log, 'report'>;
  readonly daemon: Pick<Daemon, 'told' | 'record'>;
  readonly looks: Pick<Looks, 'review'>;
}

type Reviewed = 'suggest' | 'check' | 'replay';
type Asked = { readonly policy: string; readonly yaml: string; readonly sinceMs: number };

const weekMs = 7 * 86_400_000;

export function createReviewHandlers(parts: ReviewParts): Pick<Record<Endpoint, PageHandler>, Reviewed> {
  const handler =
    (what: Reviewed): PageHandler =>
    (request) =>
      answer(parts, what, request);
  return { suggest: handler('suggest'), check: handler('check'), replay: handler('replay') };
}

async function answer(
  parts: ReviewParts,
  what: Reviewed,
  { body, who, isStill, signal }: PageRequest,
): ReturnType<PageHandler> {
  const { clock, log, daemon, looks } = parts;
  const { told: known } = daemon;
  if (known === undefined) return refusedReply(503, 'dovegate does not answer; ask again when it runs');
  const parsed = parseReview(body);
  if (typeof parsed === 'string') return refusedReply(400, parsed);
  const asked = { ...parsed, sinceMs: parsed.sinceMs ?? clock.wallMs() - weekMs };
  if (what !== 'suggest' && asked.yaml === '') return refusedReply(400, 'yaml: must be the text of a policy');
  if (!known.settings.policies.has(asked.policy))
    return refusedReply(404, `there is no policy ${JSON.stringify(asked.policy)}`);
  let found: ReviewAnswer;
  try {
    found = await looks.review(taskOf(known, what, asked), who.name, signal);
    if (found.kind === 'refused') return refusedReply(409, found.text);
    if (what !== 'check') {
      const looked =
        found.kind === 'suggested'
          ? found.value.looked
          : found.kind === 'replayed'
            ? found.value.result?.looked
            : undefined;
      await daemon.record(who, {
        action: `audit-${what}`,
        from: who.from,
        args: [`policy=${asked.policy}`, `since=${formatTime(asked.sinceMs)}`],
        rows: looked?.records ?? 0,
      });
    }
  } catch (fault) {
    if (fault instanceof LookRefused) return refusedReply(503, fault.message);
    if (isChanged(fault)) return changed;
    // Nobody is there to be answered.
    if (signal.aborted) return refusedReply(503, 'given up');
    log.report({ event: 'admin-failed', level: 'error', text: `/api/${what}: ${messageOf(fault)}` });
    const text =
      whyNotShown(fault) ??
      'the journal could not be read, or the look could not be recorded; the log of dovegate-page says why';
    return refusedReply(503, text);
  }
  if (!isStill()) return changed;
  return jsonReply(200, found.value);
}

const changed = refusedReply(403, 'the configuration was changed meanwhile; sign in again');

function taskOf({ settings, head: { directory } }: Told, what: Reviewed, asked: Asked): ReviewTask {
  const { mailUsers } = settings;
  const { policy, yaml, sinceMs } = asked;
  const { characters, defaultRealm, resolve } = mailUsers;
  const names = {
    characters,
    ...(defaultRealm === undefined ? {} : { defaultRealm }),
    ...(resolve === undefined ? {} : { resolve }),
  };
  switch (what) {
    case 'suggest':
      return { kind: what, settings: [...settingsLines(settings)], directory, policy, sinceMs };
    case 'check':
      return { kind: what, policy, yaml, names };
    case 'replay':
      return { kind: what, settings: [...settingsLines(settings)], directory, policy, yaml, names, sinceMs };
    default:
      return what satisfies never;
  }
}
