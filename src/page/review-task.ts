// Reviews policies by the journal, for the page: what was seen under a policy and which rules would allow it, whether a text is a policy,
// what the policy of that text would have decided, and what was changed in the policies. Runs in a thread; reading stops after a while and
// reports how far it came. A text from the page is parsed alone: it cannot include files of this machine. Nothing is written.

import { isDigest } from '../doveadm/meaning/canonical.js';
import { createUserNames } from '../doveadm/names/user-name.js';
import { type ReachingRule as FoundRule, mailboxReach } from '../evidence/proof/mailbox.js';
import { proofOf } from '../evidence/proof/more.js';
import { proofLines } from '../evidence/proof/words.js';
import { createWidenings } from '../evidence/reading/read-incidents.js';
import { filesSince, readToDamage } from '../evidence/reading/search-trail.js';
import { createUnseenWatch } from '../evidence/reading/unseen.js';
import { createPolicyPeriods, type PolicyPeriod } from '../evidence/review/policy-periods.js';
import { periodWords } from '../evidence/review/policy-words.js';
import { createReplay } from '../evidence/review/replay.js';
import { Sightings } from '../evidence/review/sightings.js';
import { countOf, lastOf, type SuggestedKind, suggestParts } from '../evidence/review/suggest.js';
import { contentAtMost } from '../evidence/story/content.js';
import { createSearch, type ExchangeRow } from '../evidence/trail/search.js';
import { mailboxDeeds } from '../evidence/views/reach.js';
import { readFromDisk } from '../host/machine/process.js';
import type { Clock } from '../host/ports/machine.js';
import { formatTime } from '../host/words/instants.js';
import { formatWords } from '../host/words/text.js';
import { plural } from '../host/words/words.js';
import type { Piece } from '../journal/files/compressed.js';
import { eachPolicyLine, readPolicyTexts } from '../journal/files/kept-policies.js';
import { findTrail } from '../journal/files/trail.js';
import { asTimeMs } from '../journal/records/record.js';
import { ruleAt } from '../rules/answers/rights.js';
import { isStatement, readStatement } from '../rules/answers/statement.js';
import type { Settings } from '../rules/config/settings.js';
import type { Policy } from '../rules/policy/policy.js';
import { parseAlone } from '../rules/proposals/alone.js';
import { effectOf } from '../rules/proposals/generalise.js';
import { linesOfRule } from '../rules/proposals/policy-text.js';
import { usesOf } from '../rules/proposals/suggested-rule.js';
import { settingsIn } from '../rules/setup/configuration-text.js';
import type {
  Checked,
  LookedThrough,
  MailboxAccess,
  PolicyHistory,
  Proved,
  ReachingRule,
  Replayed,
  Suggested,
  SuggestedGroup,
} from './answers/api.js';

/** The section `mail_users`. */
type MailUsers = Readonly<Record<string, unknown>>;

export type ReviewTask =
  | {
      readonly kind: 'suggest';
      readonly settings: string;
      readonly directory: string;
      readonly policy: string;
      readonly sinceMs: number;
    }
  | { readonly kind: 'check'; readonly policy: string; readonly yaml: string; readonly mailUsers: MailUsers }
  | {
      readonly kind: 'replay';
      readonly settings: string;
      readonly directory: string;
      readonly policy: string;
      readonly yaml: string;
      readonly mailUsers: MailUsers;
      readonly sinceMs: number;
      /** Empty: no statement. */
      readonly statement: string;
    }
  | { readonly kind: 'policies'; readonly directory: string; readonly sinceMs: number | undefined }
  /** `was` and `now` are hashes of lists of policies. */
  | { readonly kind: 'wider'; readonly directory: string; readonly was: string; readonly now: string }
  | { readonly kind: 'mailbox'; readonly settings: string; readonly user: string }
  | { readonly kind: 'prove'; readonly settings: string; readonly statement: string };

/** `refused`: a sentence why it cannot be done. */
export type ReviewAnswer =
  | { readonly kind: 'suggested'; readonly value: Suggested }
  | { readonly kind: 'checked'; readonly value: Checked }
  | { readonly kind: 'replayed'; readonly value: Replayed }
  | { readonly kind: 'policies'; readonly value: PolicyHistory }
  | { readonly kind: 'wider'; readonly value: readonly string[] }
  | { readonly kind: 'mailbox'; readonly value: MailboxAccess }
  | { readonly kind: 'proved'; readonly value: Proved }
  | { readonly kind: 'refused'; readonly text: string };

/** Limit for reading the journal. The rest takes a fraction of it. */
const readMsMax = 4_000;
/** Kinds of commands that are reviewed: each is judged, and rules are tried on it. */
const kindsMax = 5000;
const groupsMax = 200;
const periodsMax = 200;
const whoMax = 20;
const changesMax = 50;
const wordsMax = 40;
const wordCharsMax = 500;
/** `dovegate audit policies` shows the rest. */
const changeCharsMax = 2000;
const problemsMax = 50;

export async function review(task: ReviewTask, clock: Pick<Clock, 'now' | 'wallMs'>): Promise<ReviewAnswer> {
  switch (task.kind) {
    case 'suggest': {
      const settings = settingsIn(task.settings);
      const policy = settings.policies.get(task.policy);
      if (policy === undefined) return refused(task.policy);
      return { kind: 'suggested', value: await suggested(task, settings, policy, clock) };
    }
    case 'check':
      return { kind: 'checked', value: { problems: parseText(task).problems } };
    case 'replay': {
      const { policy, problems } = parseText(task);
      if (policy === undefined) return { kind: 'replayed', value: { problems } };
      const settings = settingsIn(task.settings);
      if (!settings.policies.has(task.policy)) return refused(task.policy);
      const policies = new Map([...settings.policies, [task.policy, policy]]);
      const after = { ...settings, policies };
      const result = {
        ...(await replayed(task, after, clock)),
        proofs: [noMore, ...(task.statement === '' ? [] : [task.statement])].map((text) =>
          proved(text, settings, after, clock),
        ),
      };
      return { kind: 'replayed', value: { problems, result } };
    }
    case 'policies':
      return { kind: 'policies', value: await policiesIn(task, clock) };
    case 'wider': {
      const { directory, was, now } = task;
      return { kind: 'wider', value: createWidenings(directory, clock)(was, now, clock.wallMs()) };
    }
    case 'mailbox':
      return mailboxAsked(task.user, settingsIn(task.settings), clock);
    case 'prove': {
      const settings = settingsIn(task.settings);
      return { kind: 'proved', value: proved(task.statement, settings, settings, clock) };
    }
    default:
      return task satisfies never;
  }
}

const noMore = 'after this change nobody may do more than before';

/** What `dovegate prove --against` says of the candidate, without reading a record. */
function proved(
  text: string,
  before: Settings,
  after: Settings,
  clock: Pick<Clock, 'now' | 'wallMs'>,
): Proved {
  const statement = readStatement(text, after, before);
  if (isStatement(statement, 'bad')) return { statement: text, lines: [statement.message] };
  const proof = proofOf(statement, after, before, clock);
  if (proof === undefined) throw new Error('the policies before are known');
  const placeOf = ({ file, line }: { readonly file: string; readonly line: number }): string =>
    file === policyFile ? `line ${line} of this text` : `${file}:${line}`;
  return { statement: text, lines: proofLines(proof, statement, wordsLine, placeOf) };
}

const reachMsMax = 5_000;

/** Who reaches a mailbox, with notes on what is not known. */
function mailboxAsked(
  asked: string,
  settings: Settings,
  clock: Pick<Clock, 'now' | 'wallMs'>,
): Extract<ReviewAnswer, { readonly kind: 'mailbox' | 'refused' }> {
  const { mailUsers, policies, admin } = settings;
  const named = createUserNames(mailUsers).normalise(asked);
  const isPattern = asked.includes('*');
  if (named.kind === 'refused' && !isPattern) return { kind: 'refused', text: named.message };
  const user = named.kind === 'name' ? named.name : asked;
  const endMs = clock.now() + reachMsMax;
  const found = mailboxReach(user, settings, {
    nowMs: clock.wallMs(),
    isOver: () => clock.now() > endMs,
  });
  if (typeof found === 'string') return { kind: 'refused', text: found };
  const rows = found.requesters.map(({ who, policy, rules }) => {
    const approvers = [
      ...[...policies.values()]
        .filter(({ approve }) => approve.includes(policy.name))
        .map(({ name }) => `people of policy ${name}`),
      ...(admin?.page?.approve === true ? ['people of this page with the role approve'] : []),
    ];
    return {
      who,
      policy: policy.name,
      place: textOf(policy.place),
      approvers: policy.onRequest.length === 0 ? [] : approvers,
      rules: shownRules(rules, policy),
    };
  });
  const notes = [
    ...(found.isWhole ? [] : ['Time ran out: more may reach it. `dovegate prove` has longer.']),
    ...(isPattern ? ['It is about any user whom the pattern matches, and not about each of them.'] : []),
    ...(mailUsers.resolve === undefined
      ? ['Other names of a mailbox are not known here (mail_users.resolve): ask for each of them.']
      : []),
    'Limits and locks are left out. Not through the gate: root on the mail server, and whoever opens a socket of Dovecot itself.',
  ];
  const isReaching = ({ rules }: (typeof rows)[number]): boolean => rules.length > 0;
  const others = rows.filter((row) => !isReaching(row)).map(({ who }) => who);
  return { kind: 'mailbox', value: { user, rows: rows.filter(isReaching), others, notes } };
}

/** All that an observing policy serves without a rule becomes one entry. */
function shownRules(rules: readonly FoundRule[], policy: Policy): ReachingRule[] {
  const shown = ({ way, rule, command, deeds, doubts }: FoundRule): ReachingRule => ({
    ...(rule === undefined
      ? { command: '', says: ['it observes: ordinary commands need no rule'] }
      : { command, says: ruleAt(policy, rule.place)?.says ?? [], place: textOf(rule.place) }),
    way,
    deeds: mailboxDeeds.filter((deed) => deeds.has(deed)),
    perhaps: [...doubts].map(([deed, why]) => ({ deed, why })),
  });
  const free = rules.filter(({ rule }) => rule === undefined);
  const [first] = free;
  if (first === undefined) return rules.map(shown);
  const deeds = new Set(free.flatMap((each) => [...each.deeds]));
  const doubts = new Map(free.flatMap((each) => [...each.doubts]).filter(([deed]) => !deeds.has(deed)));
  return [shown({ ...first, deeds, doubts }), ...rules.filter(({ rule }) => rule !== undefined).map(shown)];
}

function textOf({ file, line }: Policy['place']): string {
  return `${file}:${line}`;
}

function wordsLine(words: readonly string[]): string {
  return formatWords(wordsShown(words));
}

function refused(policy: string): ReviewAnswer {
  return { kind: 'refused', text: `there is no policy ${JSON.stringify(policy)} any more` };
}

async function suggested(
  task: Extract<ReviewTask, { kind: 'suggest' }>,
  settings: Settings,
  policy: Policy,
  clock: Pick<Clock, 'now' | 'wallMs'>,
): Promise<Suggested> {
  const sightings = new Sightings({ policy: policy.name, added: policy.added }, kindsMax);
  const looked = await readUnder(task, clock, (row) => sightings.take(row));
  const request = { settings, policy, listener: undefined, nowMs: clock.wallMs() };
  const { kinds, before, after } = suggestParts(sightings, request);
  const notes = [
    ...looked.notes,
    ...(sightings.isOverfull
      ? [`There were more than ${kindsMax} kinds of commands; the others are not here.`]
      : []),
    ...(kinds.length > groupsMax
      ? [`There are ${kinds.length} groups; the first ${groupsMax} are here.`]
      : []),
  ];
  return {
    policy: policy.name,
    place: textOf(policy.place),
    looked: { ...looked, records: sightings.taken, notes },
    before,
    after,
    groups: kinds.slice(0, groupsMax).map(groupOf),
  };
}

function groupOf({ kind, command, written, why, allowedBy, sights }: SuggestedKind): SuggestedGroup {
  const principals = new Set(sights.flatMap(({ seen }) => [...seen.principals]));
  const users = new Set(sights.flatMap(({ attempts }) => attempts.flatMap((attempt) => attempt.users)));
  const asked = sights.flatMap(({ attempts }) => attempts.flatMap((attempt) => attempt.content));
  const content = contentAtMost(command, asked);
  const lastMs = lastOf(sights);
  const example = sights.find(({ seen }) => seen.lastMs === lastMs)?.seen.line;
  return {
    kind,
    command,
    yaml: written === undefined ? [] : linesOfRule(written),
    effect: effectOf(usesOf(sights)),
    ...(content !== undefined && { content }),
    seen: countOf(sights),
    byWhom: [...principals].slice(0, whoMax),
    byCount: principals.size,
    usersCount: users.size,
    last: formatTime(lastMs),
    example: wordsShown(example?.words ?? []),
    ...(example === undefined || example.user === '' ? {} : { exampleUser: example.user }),
    ...(why === undefined ? {} : { why }),
    ...(allowedBy === undefined ? {} : { allowedBy: `${allowedBy.file}:${allowedBy.line}` }),
  };
}

/** Cut short, without the placeholders for secrets, which nobody typed. */
function wordsShown(words: readonly string[]): string[] {
  const shown = words
    .slice(0, wordsMax)
    .map((word) => (isDigest(word) ? '[secret]' : cutTo(word, wordCharsMax)));
  return words.length > wordsMax ? [...shown, '...'] : shown;
}

async function replayed(
  task: Extract<ReviewTask, { kind: 'replay' }>,
  settings: Settings,
  clock: Pick<Clock, 'now'>,
): Promise<Omit<NonNullable<Replayed['result']>, 'proofs'>> {
  const judging = createReplay(settings);
  const looked = await readUnder(task, clock, (row) => judging.take(row));
  const { judged, opaque, allowToDeny, denyToAllow, otherwise, notJudged, changes } = judging.finish();
  const skipped = [...notJudged.values()].reduce((sum, count) => sum + count, 0);
  const notes = [
    ...looked.notes,
    ...(opaque === 0 ? [] : [`${opaque} of them hold secrets, which are judged as unknown words.`]),
    ...(skipped === 0 ? [] : [`${skipped} more cannot be judged again: dovegate test --replay says why.`]),
  ];
  return {
    looked: { ...looked, records: judged, notes },
    allowToDeny,
    denyToAllow,
    otherwise,
    changes: changes.slice(0, changesMax).map((change) => ({
      from: change.from,
      to: change.to,
      words: wordsShown(change.words),
      count: change.count,
      users: change.users.size,
      by: change.principal,
      last: formatTime(change.lastMs),
      reason: change.reason,
    })),
  };
}

/** The same as `dovegate audit policies`. If time runs out, changes are read further than the commands that ran under them. */
async function policiesIn(
  { directory, sinceMs }: Extract<ReviewTask, { kind: 'policies' }>,
  clock: Pick<Clock, 'now'>,
): Promise<PolicyHistory> {
  const reading = createPolicyPeriods(readPolicyTexts(directory));
  const looked = await readUnder(
    { directory, policy: undefined, sinceMs },
    clock,
    (row) => reading.takeRow(row),
    (piece) => eachPolicyLine(piece, (...line) => reading.takeLine(...line)),
  );
  const within = reading.periods.filter(({ time }) => (asTimeMs(time) ?? 0) >= (sinceMs ?? 0));
  const shown = within.toReversed().slice(0, periodsMax);
  const notes = [
    ...looked.notes,
    ...[...reading.faults].slice(0, problemsMax).map((fault) => `${fault}.`),
    ...(within.length > shown.length
      ? [`There were ${within.length} changes; the last ${shown.length} are here.`]
      : []),
  ];
  const records = within.reduce((sum, { commands }) => sum + commands, 0);
  return { looked: { ...looked, records, notes }, periods: shown.map(periodShown) };
}

function periodShown(period: PolicyPeriod): PolicyHistory['periods'][number] {
  const { seq, time, until, isOlder, changes, files, commands, denied, redacted, unjudged, unlisted } =
    period;
  const { began, notes, counts, newly } = periodWords(period);
  const more = changes.length - changesMax;
  return {
    seq,
    time,
    ...(until === undefined ? {} : { until }),
    isOlder,
    began,
    changes: [
      ...changes
        .slice(0, changesMax)
        .map(({ sign, words }) => ({ sign, words: cutTo(words, changeCharsMax) })),
      ...(more > 0 ? [{ sign: '~', words: `and ${plural(more, 'more change')}` } as const] : []),
    ],
    notes,
    files: files.slice(0, changesMax).map((file) => cutTo(file, changeCharsMax)),
    counts,
    newly: newly.slice(0, changesMax).map((each) => cutTo(each, changeCharsMax)),
    commands,
    denied,
    redacted,
    unjudged,
    unlisted,
  };
}

function cutTo(text: string, charsMax: number): string {
  return text.length > charsMax ? `${text.slice(0, charsMax)}...` : text;
}

/**
 * Reads what a policy, or any, decided since `sinceMs`, as far as time permits. `hear` gets each piece before its rows, and pieces alone
 * for as long again. Rejects with a JournalFault.
 */
async function readUnder(
  {
    directory,
    policy,
    sinceMs,
  }: {
    readonly directory: string;
    readonly policy: string | undefined;
    readonly sinceMs: number | undefined;
  },
  clock: Pick<Clock, 'now'>,
  take: (row: ExchangeRow) => void,
  hear?: (piece: Piece) => void,
): Promise<LookedThrough> {
  const startedMs = clock.now();
  const search = createSearch({ sinceMs, policy });
  const span: { firstMs: number | undefined; lastMs: number | undefined } = {
    firstMs: undefined,
    lastMs: undefined,
  };
  const takeAll = (rows: readonly ExchangeRow[]): void => {
    for (const row of rows) {
      const timeMs = asTimeMs(row.fields['time']);
      if (timeMs !== undefined) {
        span.firstMs = Math.min(span.firstMs ?? timeMs, timeMs);
        span.lastMs = Math.max(span.lastMs ?? timeMs, timeMs);
      }
      take(row);
    }
  };
  const isLate = (): boolean => clock.now() - startedMs >= readMsMax;
  const trail = findTrail([directory]);
  const unseen = createUnseenWatch(trail, { sinceMs, isPart: false });
  let isAll = true;
  let readToMs: number | undefined;
  read: for (const file of await filesSince(trail.files, sinceMs)) {
    for await (const piece of readToDamage(file)) {
      if (isLate()) isAll = false;
      if (!isAll && (hear === undefined || clock.now() - startedMs >= 2 * readMsMax)) break read;
      unseen.look(file, piece);
      if (piece === undefined) continue;
      hear?.(piece);
      if (!isAll) continue;
      takeAll(search.take(piece.bytes));
      readToMs = lastTimeIn(piece.bytes) ?? readToMs;
    }
  }
  takeAll(search.finish());
  const { firstMs, lastMs } = span;
  const { holes, notes } = unseen.finish();
  return {
    records: 0,
    ...(firstMs === undefined ? {} : { from: formatTime(firstMs) }),
    ...(lastMs === undefined ? {} : { to: formatTime(lastMs) }),
    isAll,
    ...(isAll || readToMs === undefined ? {} : { readTo: formatTime(readToMs) }),
    notes: [
      ...holes.map((hole) => `Records are missing: ${hole}.`),
      ...notes.map((note) => `Left out: ${note}.`),
    ],
  };
}

/** The time of the last record in whole lines: in a text of a record the quotes of this key would be escaped. */
function lastTimeIn(lines: Buffer): number | undefined {
  const key = '"time":"';
  const at = lines.lastIndexOf(key);
  return at < 0 ? undefined : asTimeMs(lines.toString('latin1', at + key.length, at + key.length + 24));
}

const policyFile = '/trial/policy.yaml';

function parseText({
  policy: name,
  yaml,
  mailUsers,
}: {
  readonly policy: string;
  readonly yaml: string;
  readonly mailUsers: MailUsers;
}): { readonly policy: Policy | undefined; readonly problems: Checked['problems'] } {
  const { presetText } = readFromDisk;
  const { settings, problems } = parseAlone({ file: policyFile, yaml, policy: name, mailUsers, presetText });
  const shown = problems.filter(({ file, severity }) => file === policyFile || severity === 'error');
  const told = shown.slice(0, problemsMax).map(({ severity, file, line, column, path, message }) => {
    // A problem outside of the text is about something that the text lacks.
    if (file !== policyFile) return { severity, line: 1, column: 1, text: message };
    return { severity, line, column, text: path === '' ? message : `${path}: ${message}` };
  });
  return {
    policy: settings?.policies.get(name),
    problems: told,
  };
}
