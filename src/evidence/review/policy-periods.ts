// The policies in force over time. Each start and reload that changed them begins a period, which lasts until the next one. It has the
// changes in words, who reloaded, the changed files, the number of commands, and the commands that the previous policies would have denied.
// Lines and rows of one journal must come in their order.

import { bounds } from '../../host/bounds/bounds.js';
import { asObject, asText, asTexts, parseLine, type StoredRecord } from '../../host/values/values.js';
import { textIn } from '../../journal/records/stored.js';
import { RecordedAssessor } from '../../rules/answers/recorded-line.js';
import type { ListedBackend, PolicyList } from '../../rules/config/policy-list.js';
import type { Judgement } from '../../rules/policy/judge.js';
import { strikesAlways } from '../../rules/policy/match.js';
import type { Policy } from '../../rules/policy/policy.js';
import { Limiter } from '../../rules/policy/terms.js';
import type { ExchangeRow } from '../trail/search.js';
import { changesBetween, listOf, type TextOf } from './policy-changes.js';
import { recordedLine } from './recorded.js';
import { changesMax, replayAnswer, whichPolicy } from './replay.js';
import { settingsOfText } from './stored-policy.js';

/** Commands with one name and requester that ran, and that the previous policies would have denied. */
export interface Newly {
  readonly command: string;
  readonly principal: string;
  /** Why the previous policy would have denied the first of them. */
  readonly reason: string;
  count: number;
}

export interface PolicyPeriod extends ReturnType<typeof periodOf> {
  /** RFC 3339 of the record that ended it; undefined: none did. */
  until: string | undefined;
}

/** Of a start or a reload. `policies`, `was`: hashes of the lists; `was` undefined: there was none. */
function periodOf(
  record: StoredRecord,
  seq: number,
  { policies, was, isOlder }: { policies: string; was: string | undefined; isOlder: boolean },
  textOf: TextOf,
  missing: (what: string) => void,
) {
  const [list, before] = [listOf(policies, textOf), listOf(was, textOf)];
  return {
    seq,
    /** RFC 3339 of its record. */
    time: textIn(record, 'time'),
    event: record['event'] === 'reload' ? ('reload' as const) : ('start' as const),
    policies,
    was,
    /** Who reloaded; undefined in a start. */
    by: asText(record['by']),
    peer: asObject(record['peer']),
    deed: asText(record['deed']),
    files: asTexts(record['args']),
    /** Undefined: the text of the list is missing. */
    list,
    /** The list of `was`; undefined: there is none, or its text is missing. */
    before,
    /** The namespaces of the backends did not change. */
    hasSameBackends: JSON.stringify(list?.backends) === JSON.stringify(before?.backends),
    changes: isOlder ? [] : changesBetween(was, policies, textOf, missing),
    /** The period was in force before the first record that was read. */
    isOlder,
    /** Commands that were judged while it was in force. */
    commands: 0,
    /** Allowed commands that the previous policies would have denied: all of them, and their first kinds. */
    denied: 0,
    newly: new Map<string, Newly>(),
    /** Allowed commands that cannot be judged: because words are recorded as digests only, and for other reasons. */
    redacted: 0,
    unjudged: 0,
    /** Admissions of a policy or a version that no list names. */
    unlisted: 0,
  };
}

/** Without the starts and reloads that changed nothing. `faults`: what is missing or wrong, one sentence each. */
export function createPolicyPeriods(textOf: TextOf) {
  const periods: PolicyPeriod[] = [];
  const faults = new Set<string>();
  const judges = new Map<string, ReturnType<typeof judgeOf>>();

  /** A line of a start, a reload or a checkpoint, with its seq. */
  function takeLine(line: string, seq: number): void {
    const record = parseLine(line);
    const policies = asText(record?.['policies']);
    if (record === undefined || policies === undefined) return;
    const last = periods.at(-1);
    const { event } = record;
    // The first checkpoint gives the policies in force before the first start or reload that was read.
    if (event !== 'start' && event !== 'reload') {
      if (last === undefined) begin(record, seq, { policies, was: policies, isOlder: true });
      return;
    }
    const was = asText(record['was']);
    if (last !== undefined && was !== last.policies)
      faults.add(
        `record ${seq} says that other policies were in force before it than the records do: one is missing`,
      );
    const isOlder = last === undefined && was === policies;
    if (last?.policies === policies && was === policies) return;
    if (last !== undefined) last.until = textIn(record, 'time');
    begin(record, seq, { policies, was, isOlder });
  }

  function begin(
    record: StoredRecord,
    seq: number,
    lists: { policies: string; was: string | undefined; isOlder: boolean },
  ): void {
    const missing = (what: string): void => {
      const why = periods.length === 0 ? 'is no longer kept' : 'is missing, or is not that of its hash';
      faults.add(`${what} ${why}: record ${seq} cannot be put in words`);
    };
    periods.push({ ...periodOf(record, seq, lists, textOf, missing), until: undefined });
  }

  function takeRow(row: ExchangeRow): void {
    const { admittedSeq: seq = 0, fields } = row;
    const at = periods.findLastIndex((each) => each.seq <= seq);
    const [policy, version] = [textIn(fields, 'policy'), textIn(fields, 'version')];
    if (at < 0 || version === '') return;
    const names = (each: PolicyPeriod | undefined): boolean =>
      each?.list?.policies[policy]?.version === version;
    // An admission in progress during a reload may be recorded after it.
    const period = periods[!names(periods[at]) && names(periods[at - 1]) ? at - 1 : at];
    if (period === undefined) return;
    period.commands += 1;
    if (period.list !== undefined && !names(period)) period.unlisted += 1;
    if (!period.isOlder && period.was !== undefined) compare(period, row, version);
  }

  /** Judges with the function that replay uses, at the time of the record. */
  function compare(period: PolicyPeriod, row: ExchangeRow, version: string): void {
    const { fields } = row;
    if (fields['decision'] !== 'allow') return;
    const { before } = period;
    const [listener, principal] = [textIn(fields, 'listener'), textIn(fields, 'principal')];
    const choices = before?.listeners[listener];
    if (before === undefined) {
      period.unjudged += 1;
      return;
    }
    const recorded = { policy: textIn(fields, 'policy'), principal };
    const name =
      choices === undefined
        ? ''
        : whichPolicy(choices.policies, [...choices.accounts, ...choices.keys], recorded);
    const old = before.policies[name]?.version;
    if (old === version && period.hasSameBackends) return;
    if (old === undefined) return note(period, row, `${principal} had no policy`);
    const backend = backendOf(before, textIn(fields, 'backend'));
    const known = JSON.stringify([name, old, backend]);
    const judge = judges.has(known) ? judges.get(known) : judgeOf(name, old, backend, textOf);
    judges.set(known, judge);
    const line = judge && recordedLine(row, judge.added);
    if (line !== undefined && line.kind === 'line' && line.done !== 'served') return;
    if (judge === undefined || (line !== undefined && line.kind === 'unjudgeable')) period.unjudged += 1;
    else if (line === undefined) return;
    else if (line.isOpaque) {
      const { judgement } = judge.assessor.assess(line, judge.policy).assessment;
      if (isDeniedWholly(judgement, judge.policy)) note(period, row, judgement.decision.reason);
      else period.redacted += 1;
    } else {
      const { word, reason } = replayAnswer(judge.assessor, line, judge.policy, judge.limiter);
      if (word === 'depends') period.unjudged += 1;
      else if (word !== 'allow' && word !== 'obstacle') note(period, row, reason);
    }
  }

  function note(period: PolicyPeriod, { fields }: ExchangeRow, reason: string): void {
    const { newly } = period;
    period.denied += 1;
    const [command, principal] = [textIn(fields, 'command'), textIn(fields, 'principal')];
    const key = `${command}\0${principal}\0${reason}`;
    const known = newly.get(key);
    if (known !== undefined) known.count += 1;
    else if (newly.size < changesMax) newly.set(key, { command, principal, reason, count: 1 });
  }

  return { takeLine, takeRow, periods, faults };
}

/** The command is denied whatever its arguments are. */
function isDeniedWholly(
  judgement: Judgement,
  { denyByCommand }: Policy,
): judgement is Extract<Judgement, { readonly kind: 'judged' }> {
  if (judgement.kind !== 'judged') return false;
  const { attempt, decision } = judgement;
  if (decision.code !== 'deny-rule') return ['user', 'except', 'no-rule'].includes(decision.code);
  return denyByCommand.get(attempt.command.name)?.some(strikesAlways) === true;
}

/** The namespaces of the command's backend; undefined: the backend is unknown, and several differ. */
function backendOf({ backends }: PolicyList, name: string): ListedBackend | undefined {
  const [one, ...others] = Object.values(backends);
  const isOne = others.every((each) => JSON.stringify(each) === JSON.stringify(one));
  return backends[name] ?? (isOne ? one : undefined);
}

function judgeOf(name: string, version: string, backend: ListedBackend | undefined, textOf: TextOf) {
  const settings = settingsOfText(name, version, textOf);
  const policy = settings?.policies.get(name);
  if (settings === undefined || policy === undefined || backend === undefined) return undefined;
  return {
    policy,
    added: settings.catalog?.added,
    assessor: new RecordedAssessor({
      ...settings,
      backends: settings.backends.map((each) => ({
        ...each,
        sharedNamespaces: backend.shared,
        namespaces: backend.namespaces?.map((one) => ({ aliasFor: undefined, ...one })),
      })),
    }),
    limiter: new Limiter(bounds.limiterEntries),
  };
}
