// `dovegate audit policies`: for each start and reload that changed the policies, the changes in words, who reloaded, how long they were in
// force, how many commands ran under them, and which of these the previous policies would have denied.

import { dirname } from 'node:path';
import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import type { StoredRecord } from '../../host/values/values.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import { formatJson, printable } from '../../host/words/text.js';
import { durationWords } from '../../host/words/words.js';
import { eachPolicyLine, readPolicyTexts } from '../../journal/files/kept-policies.js';
import { searchTrail } from '../reading/search-trail.js';
import { createUnseenWatch } from '../reading/unseen.js';
import { type Change, listOf, type TextOf } from '../review/policy-changes.js';
import { createPolicyPeriods, type PolicyPeriod } from '../review/policy-periods.js';
import { periodWords } from '../review/policy-words.js';
import { type HostTrail, type Places, trailsOf } from './audit-places.js';
import { reportDamage } from './audit-search.js';

export interface PoliciesFlags {
  readonly since?: number;
  readonly until?: number;
  readonly diff?: number;
  readonly json?: boolean;
}

/** 0: complete; 65: a text is missing, or does not match its hash. Throws the faults of the readers. */
export async function auditPolicies(screen: Screen, places: Places, flags: PoliciesFlags): Promise<number> {
  const { since, until, diff, json = false } = flags;
  let exitCode: number = exitCodes.ok;
  let shown = 0;
  for (const trail of await trailsOf(screen, places)) {
    // The texts are in the directory of the segments, also for a single segment.
    const textOf = readPolicyTexts(dirname(trail.files[0]?.path ?? ''));
    const { periods, faults, holes, notes } = await periodsOf(trail, textOf, {
      sinceMs: since,
      untilMs: until,
    });
    const wanted = periods.filter(({ seq, time }) =>
      diff === undefined ? isWithin(time, since, until) : seq === diff,
    );
    shown += wanted.length;
    for (const period of wanted) {
      const lines =
        diff !== undefined
          ? diffOf(period, textOf)
          : json
            ? [formatJson({ host: trail.host, ...jsonOf(period) })]
            : linesOf(period, trail.host, screen);
      for (const line of lines) await screen.print(line);
    }
    reportDamage(screen, holes);
    for (const note of notes) screen.complain(`dovegate: not counted: ${note}`);
    for (const fault of faults) screen.complain(`dovegate: ${printable(fault)}`);
    if (faults.size > 0) exitCode = exitCodes.incomplete;
  }
  await screen.flush();
  if (diff !== undefined && shown === 0)
    throw new CommandFault(
      exitCodes.usage,
      `record ${diff} changed no policies; audit policies shows which did`,
    );
  if (shown === 0 && !json) screen.complain('dovegate: no start or reload in this time changed the policies');
  return exitCode;
}

function isWithin(time: string, sinceMs = -Infinity, untilMs = Infinity): boolean {
  const ms = parseTime(time) ?? 0;
  return ms >= sinceMs && ms < untilMs;
}

/** Reads the whole journal: the policies in force at a time follow from the records before it. */
async function periodsOf(
  trail: HostTrail,
  textOf: TextOf,
  within: { readonly sinceMs: number | undefined; readonly untilMs: number | undefined },
) {
  const unseen = createUnseenWatch(trail, { sinceMs: within.sinceMs, isPart: false });
  const reading = createPolicyPeriods(textOf);
  const rows = searchTrail(trail, { untilMs: within.untilMs }, (file, piece) => {
    unseen.look(file, piece);
    if (piece !== undefined) eachPolicyLine(piece, (...line) => reading.takeLine(...line));
  });
  for await (const row of rows) reading.takeRow(row);
  return { periods: reading.periods, faults: reading.faults, ...unseen.finish() };
}

const paints = { '+': 'bad', '-': 'good', '~': 'doubtful' } as const;

function linesOf(period: PolicyPeriod, host: string | undefined, screen: Screen): string[] {
  const of = host === undefined ? '' : `${host}: `;
  const said = periodWords(period);
  const head = `${of}${period.time.slice(0, 19).replace('T', ' ')} UTC  ${said.began}, record ${period.seq}`;
  const changed = ({ sign, words }: Change): string =>
    `  ${screen.paint(paints[sign], printable(`${sign} ${words}`))}`;
  return [
    screen.paint('title', printable(head)),
    `  ${forceOf(period)}`,
    ...period.changes.map(changed),
    ...said.notes.map((note) => `  ${note}`),
    ...period.files.map((file) => printable(`  file: ${file}`)),
    `  ${said.counts.join('; ')}`,
    ...said.newly.map((each) => printable(`    ${each}`)),
    '',
  ];
}

function forceOf({ time, until }: PolicyPeriod): string {
  if (until === undefined) return 'in force since then';
  const ms = (parseTime(until) ?? 0) - (parseTime(time) ?? 0);
  return `in force for ${durationWords(ms)}, until ${until.slice(0, 19).replace('T', ' ')}`;
}

function jsonOf(period: PolicyPeriod): StoredRecord {
  const { list, before: _, hasSameBackends: __, newly, isOlder, time, until, ...same } = period;
  const ms = until === undefined ? undefined : (parseTime(until) ?? 0) - (parseTime(time) ?? 0);
  return {
    time: formatTime(parseTime(time) ?? 0),
    ...same,
    until,
    ms,
    older: isOlder || undefined,
    versions:
      list && Object.fromEntries(Object.entries(list.policies).map(([name, of]) => [name, of.version])),
    newly: [...newly.values()],
  };
}

/** The texts of the policies that differ, and of the list, as lines. */
function diffOf({ policies, was }: PolicyPeriod, textOf: TextOf): string[] {
  const [before, after] = [was, policies].map((hash) => listOf(hash, textOf)?.policies ?? {});
  const names = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
  const pairs = [...names]
    .toSorted()
    .map((name) => [`policy ${name}`, before?.[name]?.version, after?.[name]?.version] as const);
  return [...pairs, ['who has which policy', was, policies] as const]
    .filter(([, old, fresh]) => old !== fresh)
    .flatMap(([what, old, fresh]) => [
      `${what}: ${old ?? 'none'} -> ${fresh ?? 'none'}`,
      ...changedLines(textIn(old, textOf), textIn(fresh, textOf)).map(printable),
      '',
    ]);
}

function textIn(hash: string | undefined, textOf: TextOf): string {
  return hash === undefined ? '' : (textOf(hash) ?? 'its text is missing, or is not that of its hash\n');
}

/** With more pairs of lines, the texts are not compared: the old text is printed, then the new one. */
const pairsMax = 4_000_000;
const around = 3;

/** The differing lines with their context: `-` only in the old text, `+` only in the new one, a blank in both. */
function changedLines(before: string, after: string): string[] {
  const [old, fresh] = [before, after].map((text) =>
    text.split('\n').slice(0, text.endsWith('\n') ? -1 : undefined),
  );
  const all = compared(before === '' ? [] : (old ?? []), after === '' ? [] : (fresh ?? []));
  const near = all.map((_, at) =>
    all.slice(Math.max(0, at - around), at + around + 1).some((line) => line[0] !== ' '),
  );
  return all.flatMap((line, at) => {
    if (near[at] === true) return [line];
    return at === 0 || near[at - 1] === true ? ['...'] : [];
  });
}

/** The longest common subsequence, from its end. */
function compared(old: readonly string[], fresh: readonly string[]): string[] {
  if (old.length * fresh.length > pairsMax)
    return [...old.map((line) => `-${line}`), ...fresh.map((line) => `+${line}`)];
  const width = fresh.length + 1;
  const longest = new Uint32Array((old.length + 1) * width);
  const at = (row: number, column: number): number => longest[row * width + column] ?? 0;
  for (let row = old.length - 1; row >= 0; row -= 1)
    for (let column = fresh.length - 1; column >= 0; column -= 1)
      longest[row * width + column] =
        old[row] === fresh[column]
          ? at(row + 1, column + 1) + 1
          : Math.max(at(row + 1, column), at(row, column + 1));
  const lines: string[] = [];
  let [row, column] = [0, 0];
  while (row < old.length || column < fresh.length) {
    if (row < old.length && column < fresh.length && old[row] === fresh[column]) {
      lines.push(` ${old[row]}`);
      row += 1;
      column += 1;
    } else if (column >= fresh.length || (row < old.length && at(row + 1, column) >= at(row, column + 1))) {
      lines.push(`-${old[row]}`);
      row += 1;
    } else {
      lines.push(`+${fresh[column]}`);
      column += 1;
    }
  }
  return lines;
}
