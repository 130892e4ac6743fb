// The page's answers that review policies: suggest, check of a text, replay, what was changed in them, who reaches a mailbox, and whether a
// statement holds. Each runs in a thread, and is recorded first.
// The page never writes a configuration.

import { formatCell } from '../evidence/trail/export.js';
import type { RecordedAction } from '../gate/door/door.js';
import { formatTime } from '../host/words/instants.js';
import { mailUsersSection } from '../rules/config/settings.js';
import { settingsText } from '../rules/setup/configuration-text.js';
import type { Endpoint, LookedThrough, PolicyHistory } from './answers/api.js';
import { parseMailbox, parsePolicies, parseReview, parseStatementAsked } from './answers/requests.js';
import type { Daemon } from './daemon.js';
import {
  jsonReply,
  type PageHandler,
  type PageRequest,
  Refusal,
  requested,
  toldBy,
} from './http/page-request.js';
import type { Looks } from './looks.js';
import type { ReviewAnswer, ReviewTask } from './review-task.js';

export interface ReviewParts {
  readonly daemon: Pick<Daemon, 'told' | 'record' | 'flush'>;
  readonly looks: Pick<Looks, 'review'>;
}

type Reviewed = 'suggest' | 'check' | 'replay' | 'policies' | 'mailbox' | 'prove';
type Found = Exclude<ReviewAnswer, { readonly kind: 'refused' }>;

export function createReviewHandlers({
  daemon,
  looks,
}: ReviewParts): Pick<Record<Endpoint, PageHandler>, Reviewed> {
  /** `action` and `args`: of the record; none of a text that was checked. */
  const look = async (
    { who, signal }: PageRequest,
    task: ReviewTask,
    action?: RecordedAction,
    args: readonly string[] = [],
  ): Promise<Found> => {
    // Of a change just now. Whatever fails here fails at the record of the look, too, which decides.
    if (action !== undefined) await daemon.flush().catch(() => undefined);
    const found = await looks.review(task, who.name, signal);
    if (found.kind === 'refused') throw new Refusal(409, found.text);
    const rows = action === 'explain' ? {} : { rows: lookedOf(found)?.records ?? 0 };
    if (action !== undefined) await daemon.record(who, { action, args, ...rows });
    return found;
  };
  const ofOne = (request: PageRequest) => {
    const { settings, head } = toldBy(daemon);
    const { policy, sinceMs = 0, ...more } = requested(parseReview, request.body);
    if (!settings.policies.has(policy))
      throw new Refusal(404, `there is no policy ${JSON.stringify(policy)}`);
    return {
      asked: { policy, sinceMs, ...more, settings: settingsText(settings), directory: head.directory },
      text: { policy, yaml: more.yaml, mailUsers: mailUsersSection(settings.mailUsers) },
      args: [`policy=${policy}`, `since=${formatTime(sinceMs)}`],
    };
  };
  const withText = (request: PageRequest) => {
    const one = ofOne(request);
    if (one.text.yaml === '') throw new Refusal(400, 'yaml: must be the text of a policy');
    return one;
  };
  return {
    async suggest(request) {
      const { asked, args } = ofOne(request);
      const { value } = await look(request, { kind: 'suggest', ...asked }, 'audit-suggest', args);
      return jsonReply(200, value);
    },
    async check(request) {
      const { text } = withText(request);
      const { value } = await look(request, { kind: 'check', ...text });
      return jsonReply(200, value);
    },
    async replay(request) {
      const { asked, text, args } = withText(request);
      const task = { kind: 'replay', ...asked, ...text } as const;
      const { value } = await look(request, task, 'audit-replay', args);
      return jsonReply(200, value);
    },
    async policies(request) {
      const { directory } = toldBy(daemon).head;
      const { sinceMs, form } = requested(parsePolicies, request.body);
      const args = [
        ...(sinceMs === undefined ? [] : [`since=${formatTime(sinceMs)}`]),
        ...(form === undefined ? [] : [`as=${form}`]),
      ];
      const found = await look(request, { kind: 'policies', directory, sinceMs }, 'audit-policies', args);
      return form === 'csv' && found.kind === 'policies'
        ? { status: 200, type: 'text/csv; charset=utf-8', body: csvOf(found.value) }
        : jsonReply(200, found.value);
    },
    async mailbox(request) {
      const settings = settingsText(toldBy(daemon).settings);
      const { user } = requested(parseMailbox, request.body);
      const task = { kind: 'mailbox', settings, user } as const;
      const { value } = await look(request, task, 'explain', [`mailbox=${user}`]);
      return jsonReply(200, value);
    },
    async prove(request) {
      const settings = settingsText(toldBy(daemon).settings);
      const { statement } = requested(parseStatementAsked, request.body);
      const task = { kind: 'prove', settings, statement } as const;
      const { value } = await look(request, task, 'explain', [`statement=${statement}`]);
      return jsonReply(200, value);
    },
  };
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

function lookedOf(found: Found): LookedThrough | undefined {
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
