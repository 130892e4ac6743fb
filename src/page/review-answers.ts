// The page's answers that review policies: suggest, check of a text, replay, what was changed in them, who reaches a mailbox, and whether a
// statement holds. Each runs in a thread, and is recorded first.
// The page never writes a configuration.

import { formatCell } from '../evidence/trail/export.js';
import type { RecordedAction } from '../gate/door/door.js';
import type { Clock } from '../host/ports/machine.js';
import { formatTime } from '../host/words/instants.js';
import { mailUsersSection } from '../rules/config/schema.js';
import { settingsText } from '../rules/setup/configuration-text.js';
import type { LookedThrough, PolicyHistory } from './answers/api.js';
import type { AskedOf } from './answers/endpoints.js';
import type { Daemon } from './daemon.js';
import {
  jsonReply,
  type PageHandlers,
  type PageReply,
  type PageRequest,
  Refusal,
  toldBy,
} from './http/page-request.js';
import type { Looks } from './looks.js';
import type { ReviewAnswer, ReviewTask } from './review-task.js';

export interface ReviewParts {
  readonly clock: Clock;
  readonly daemon: Pick<Daemon, 'told' | 'record' | 'flush'>;
  readonly looks: Pick<Looks, 'review'>;
}

/** Then the thread is ended. A text that is checked may be somebody else's; other reviews read the journal, too. */
const checkMsMax = 5_000;
const reviewMsMax = 60_000;

type Reviewed = 'suggest' | 'check' | 'replay' | 'policies' | 'mailbox' | 'prove';
type Found = Exclude<ReviewAnswer, { readonly kind: 'refused' }>;

export function createReviewHandlers({ clock, daemon, looks }: ReviewParts): Pick<PageHandlers, Reviewed> {
  /** `action` and `args`: of the record; without them nothing is recorded, as for the check of a text. */
  const look = async (
    { who, signal }: PageRequest,
    task: ReviewTask,
    action?: RecordedAction,
    args: readonly string[] = [],
  ): Promise<Found> => {
    // So that a command of a moment ago is found. A failure here also fails the record of the look, which decides.
    if (action !== undefined) await daemon.flush().catch(() => undefined);
    const late = new AbortController();
    const timer = clock.setTimer(task.kind === 'check' ? checkMsMax : reviewMsMax, () => late.abort());
    const found = await looks
      .review(task, who.name, AbortSignal.any([signal, late.signal]))
      .catch((fault: unknown) => {
        if (!late.signal.aborted) throw fault;
        throw new Refusal(409, 'it takes too long: ask about less, or use the commands of dovegate');
      })
      .finally(() => timer.cancel());
    if (found.kind === 'refused') throw new Refusal(409, found.text);
    const rows = action === 'explain' ? {} : { rows: lookedOf(found)?.records ?? 0 };
    if (action !== undefined) await daemon.record(who, { action, args, ...rows });
    return found;
  };
  const answer = async (...asked: Parameters<typeof look>): Promise<PageReply> =>
    jsonReply(200, (await look(...asked)).value);
  const ofOne = ({ sinceMs = 0, ...more }: AskedOf['suggest']) => {
    const { settings } = toldBy(daemon);
    if (settings.policies.has(more.policy)) return { ...more, sinceMs };
    throw new Refusal(404, `there is no policy ${JSON.stringify(more.policy)}`);
  };
  const withText = (asked: AskedOf['check']) => {
    const one = ofOne(asked);
    if (one.yaml === '') throw new Refusal(400, 'yaml: must be the text of a policy');
    return { ...one, mailUsers: mailUsersSection(toldBy(daemon).settings.mailUsers) };
  };
  /** What a look at the journal needs. Not for the check of a text alone: the settings as text are long. */
  const inJournal = () => {
    const { settings, head } = toldBy(daemon);
    return { settings: settingsText(settings), directory: head.directory };
  };
  const argsOf = ({ policy, sinceMs }: ReturnType<typeof ofOne>): readonly string[] => [
    `policy=${policy}`,
    `since=${formatTime(sinceMs)}`,
  ];
  return {
    suggest(request, asked) {
      const one = ofOne(asked);
      return answer(request, { kind: 'suggest', ...one, ...inJournal() }, 'audit-suggest', argsOf(one));
    },
    check(request, asked) {
      return answer(request, { kind: 'check', ...withText(asked) });
    },
    replay(request, asked) {
      const one = withText(asked);
      return answer(request, { kind: 'replay', ...one, ...inJournal() }, 'audit-replay', argsOf(one));
    },
    async policies(request, { sinceMs, form }) {
      const { directory } = toldBy(daemon).head;
      const args = [
        ...(sinceMs === undefined ? [] : [`since=${formatTime(sinceMs)}`]),
        ...(form === undefined ? [] : [`as=${form}`]),
      ];
      const found = await look(request, { kind: 'policies', directory, sinceMs }, 'audit-policies', args);
      return form === 'csv' && found.kind === 'policies'
        ? { status: 200, type: 'text/csv; charset=utf-8', body: csvOf(found.value) }
        : jsonReply(200, found.value);
    },
    mailbox(request, { user }) {
      const settings = settingsText(toldBy(daemon).settings);
      return answer(request, { kind: 'mailbox', settings, user }, 'explain', [`mailbox=${user}`]);
    },
    prove(request, { statement }) {
      const settings = settingsText(toldBy(daemon).settings);
      return answer(request, { kind: 'prove', settings, statement }, 'explain', [`statement=${statement}`]);
    },
  };
}

const csvColumns = [
  ...(['time', 'until', 'began', 'changes', 'files', 'commands', 'denied', 'newly'] as const),
  ...(['redacted', 'unjudged', 'unlisted', 'seq'] as const),
];

/** A spreadsheet takes a cell that begins with `+` or `-` for a formula. */
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
    case 'wider':
    case 'mailbox':
    case 'proved':
      return undefined;
    default:
      return found satisfies never;
  }
}
