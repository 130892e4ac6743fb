// The page's answers that review policies: suggest, check of a text, replay, what was changed in them, who reaches a mailbox, and whether a
// statement holds. Each runs in a thread, and is recorded first.
// The page never writes a configuration.

import { formatCell } from '../evidence/trail/export.js';
import type { Log } from '../gate/telemetry/log.js';
import { messageOf } from '../host/ports/faults.js';
import type { Clock } from '../host/ports/machine.js';
import { formatTime } from '../host/words/instants.js';
import { mailUsersSection } from '../rules/config/settings.js';
import { settingsText } from '../rules/setup/configuration-text.js';
import type { Endpoint, LookedThrough, PolicyHistory } from './answers/api.js';
import { parseMailbox, parsePolicies, parseReview, parseStatementAsked } from './answers/requests.js';
import { type Daemon, type Told, whyChanged, whyNotShown } from './daemon.js';
import { jsonReply, type PageHandler, type PageRequest, refusedReply } from './http/page-request.js';
import { LookRefused, type Looks } from './looks.js';
import type { ReviewAnswer, ReviewTask } from './review-task.js';

export interface ReviewParts {
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Pick<Log, 'report'>;
  readonly daemon: Pick<Daemon, 'told' | 'record' | 'flush'>;
  readonly looks: Pick<Looks, 'review'>;
}

type OfOne = 'suggest' | 'check' | 'replay';
type Reviewed = OfOne | 'policies' | 'mailbox' | 'prove';
type Asked = {
  readonly policy: string;
  readonly yaml: string;
  readonly sinceMs: number;
  readonly statement: string;
};

const weekMs = 7 * 86_400_000;

export function createReviewHandlers(parts: ReviewParts): Pick<Record<Endpoint, PageHandler>, Reviewed> {
  const handler =
    (what: OfOne): PageHandler =>
    (request) => {
      const { told: known } = parts.daemon;
      if (known === undefined) return Promise.resolve(unanswered);
      const parsed = parseReview(request.body);
      if (typeof parsed === 'string') return Promise.resolve(refusedReply(400, parsed));
      const asked = { ...parsed, sinceMs: parsed.sinceMs ?? parts.clock.wallMs() - weekMs };
      if (what !== 'suggest' && asked.yaml === '')
        return Promise.resolve(refusedReply(400, 'yaml: must be the text of a policy'));
      if (!known.settings.policies.has(asked.policy))
        return Promise.resolve(refusedReply(404, `there is no policy ${JSON.stringify(asked.policy)}`));
      const args = [`policy=${asked.policy}`, `since=${formatTime(asked.sinceMs)}`];
      return answer(parts, what, request, { task: taskOf(known, what, asked), args });
    };
  /** About what is served now; `lookOf`: the task, and the words of its record. */
  const question =
    <Named extends object>(
      what: 'mailbox' | 'prove',
      parse: (body: string) => Named | string,
      lookOf: (
        named: Named,
        settings: string,
      ) => { readonly task: ReviewTask; readonly args: readonly string[] },
    ): PageHandler =>
    (request) => {
      const { told: known } = parts.daemon;
      if (known === undefined) return Promise.resolve(unanswered);
      const parsed = parse(request.body);
      if (typeof parsed === 'string') return Promise.resolve(refusedReply(400, parsed));
      return answer(parts, what, request, lookOf(parsed, settingsText(known.settings)));
    };
  return {
    suggest: handler('suggest'),
    check: handler('check'),
    replay: handler('replay'),
    policies(request) {
      const { told: known } = parts.daemon;
      if (known === undefined) return Promise.resolve(unanswered);
      const parsed = parsePolicies(request.body);
      if (typeof parsed === 'string') return Promise.resolve(refusedReply(400, parsed));
      const { sinceMs, form } = parsed;
      const task = { kind: 'policies', directory: known.head.directory, sinceMs } as const;
      const args = [
        ...(sinceMs === undefined ? [] : [`since=${formatTime(sinceMs)}`]),
        ...(form === undefined ? [] : [`as=${form}`]),
      ];
      return answer(parts, 'policies', request, { task, args, isFile: form === 'csv' });
    },
    mailbox: question('mailbox', parseMailbox, ({ user }, settings) => ({
      task: { kind: 'mailbox', settings, user },
      args: [`mailbox=${user}`],
    })),
    prove: question('prove', parseStatementAsked, ({ statement }, settings) => ({
      task: { kind: 'prove', settings, statement },
      args: [`statement=${statement}`],
    })),
  };
}

const unanswered = refusedReply(503, 'dovegate does not answer; ask again when it runs');

/** `args`: of the record. */
async function answer(
  { log, daemon, looks }: ReviewParts,
  what: Reviewed,
  { who, isStill, signal }: PageRequest,
  {
    task,
    args,
    isFile = false,
  }: { readonly task: ReviewTask; readonly args: readonly string[]; readonly isFile?: boolean },
): ReturnType<PageHandler> {
  let found: ReviewAnswer;
  try {
    // Of a change just now. Whatever fails here fails at the record of the look, too, which decides.
    if (what !== 'check') await daemon.flush().catch(() => undefined);
    found = await looks.review(task, who.name, signal);
    if (found.kind === 'refused') return refusedReply(409, found.text);
    if (what === 'mailbox' || what === 'prove') await daemon.record(who, { action: 'explain', args });
    else if (what !== 'check') {
      const rows = lookedOf(found)?.records ?? 0;
      await daemon.record(who, { action: `audit-${what}`, args, rows });
    }
  } catch (fault) {
    if (fault instanceof LookRefused) return refusedReply(503, fault.message);
    const why = whyChanged(fault);
    if (why !== undefined) return refusedReply(403, why);
    // Nobody is there to be answered.
    if (signal.aborted) return refusedReply(503, 'given up');
    log.report({ event: 'admin-failed', level: 'error', text: `/api/${what}: ${messageOf(fault)}` });
    const text =
      whyNotShown(fault) ??
      'the journal could not be read, or the look could not be recorded; the log of dovegate-page says why';
    return refusedReply(503, text);
  }
  if (!isStill()) return changed;
  return isFile && found.kind === 'policies'
    ? { status: 200, type: 'text/csv; charset=utf-8', body: csvOf(found.value) }
    : jsonReply(200, found.value);
}

const csvColumns = [
  ...(['time', 'until', 'began', 'changes', 'files', 'commands', 'denied', 'newly'] as const),
  ...(['redacted', 'unjudged', 'unlisted', 'seq'] as const),
];

/** A spreadsheet takes a cell that begins with a sign for a formula. */
const signWords = { '+': 'wider', '-': 'narrower', '~': 'either' } as const;

function csvOf({ periods }: PolicyHistory): string {
  const lines = periods.map((period) => {
    const cells = {
      ...period,
      changes: period.changes.map(({ sign, words }) => `${signWords[sign]}: ${words}`).join('; '),
      files: period.files.join('; '),
      newly: period.newly.join('; '),
    };
    return csvColumns.map((column) => formatCell(cells[column])).join(',');
  });
  return [csvColumns.join(','), ...lines, ''].join('\r\n');
}

function lookedOf(found: Exclude<ReviewAnswer, { kind: 'refused' }>): LookedThrough | undefined {
  switch (found.kind) {
    case 'suggested':
    case 'policies':
      return found.value.looked;
    case 'replayed':
      return found.value.result?.looked;
    case 'checked':
    case 'mailbox':
    case 'proved':
      return undefined;
    default:
      return found satisfies never;
  }
}

const changed = refusedReply(403, 'the configuration was changed meanwhile; sign in again');

function taskOf({ settings, head: { directory } }: Told, what: OfOne, asked: Asked): ReviewTask {
  const { policy, yaml, sinceMs, statement } = asked;
  const mailUsers = mailUsersSection(settings.mailUsers);
  switch (what) {
    case 'suggest':
      return { kind: what, settings: settingsText(settings), directory, policy, sinceMs };
    case 'check':
      return { kind: what, policy, yaml, mailUsers };
    case 'replay':
      return {
        kind: what,
        settings: settingsText(settings),
        directory,
        policy,
        yaml,
        mailUsers,
        sinceMs,
        statement,
      };
    default:
      return what satisfies never;
  }
}
