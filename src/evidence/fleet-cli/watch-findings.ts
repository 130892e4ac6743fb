// Notices of findings in `fleet watch`: one at the start of each finding and one at its end. It also keeps the time up to which
// the store is known, so that no host is called silent while it was unreachable.

import type { StoredRecord } from '../../host/values/values.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import { formatJson } from '../../host/words/text.js';
import type { FleetFinding } from '../fleet/shapes.js';

/** Kinds for which another sentence is another finding. */
const texts: ReadonlySet<FleetFinding['kind']> = new Set(['differs']);

/** The identity of a finding between two evaluations; its sentence may contain a duration. */
function nameOf({ kind, host, journal = '', seq, text }: FleetFinding): string {
  return [kind, host, journal, seq ?? '', texts.has(kind) ? text : ''].join(' ');
}

/** `told`: the names of earlier reports that have not ended, as far as is known. */
export function createFindingBook(told: readonly string[]) {
  const open = new Map<string, FleetFinding | undefined>(told.map((name) => [name, undefined]));
  return {
    has: (finding: FleetFinding): boolean => open.has(nameOf(finding)),
    /** Reports a new finding of the trail. Undefined: it was already reported. */
    begin(finding: FleetFinding, nowMs: number): string | undefined {
      const name = nameOf(finding);
      if (open.has(name)) return undefined;
      open.set(name, finding);
      return formatEvent(nowMs, 'finding', fieldsOf(finding));
    },
    /** All present problems; returns a line of JSON for each that begins or ends. */
    update(findings: readonly FleetFinding[], nowMs: number): string[] {
      const now = new Map(findings.map((finding) => [nameOf(finding), finding]));
      const lines: string[] = [];
      for (const [name, finding] of now) {
        if (!open.has(name)) lines.push(formatEvent(nowMs, 'finding', fieldsOf(finding)));
        open.set(name, finding);
      }
      for (const [name, finding] of open) {
        if (now.has(name)) continue;
        open.delete(name);
        const [kind, host, journal, seq] = name.split(' ');
        const known = { kind, host, journal: journal || undefined, seq: seq ? Number(seq) : undefined };
        lines.push(formatEvent(nowMs, 'finding-ended', finding === undefined ? known : fieldsOf(finding)));
      }
      return lines;
    },
    names: (): readonly string[] => [...open.keys()],
  };
}

function fieldsOf({ kind, host, journal, seq, time: at, text }: FleetFinding): StoredRecord {
  return { kind, host, journal, seq, at, text };
}

export function formatEvent(nowMs: number, event: string, fields: StoredRecord): string {
  return formatJson({ time: formatTime(nowMs), event, ...fields });
}

/** After a loss of the store, a longer time in which nothing was stored counts as its absence. */
const absenceMs = 10_000;
const absencesMax = 100;
/** Limit of remembered steps of that length in which something was stored: some days. */
const stepsMax = 65_536;

/** Tracks absences of the store, in which silent hosts are not at fault. If blocks were stored meanwhile, only this verifier was away. */
export function createKnowledge() {
  let knownMs = 0;
  let isLive = false;
  let isLost = false;
  /** Since the loss: when something was stored, once for each step. */
  const stored = new Map<number, number>();
  const absences: { readonly fromMs: number; readonly toMs: number }[] = [];
  return {
    /** Milliseconds since 1970; 0: nothing is known. */
    get knownMs() {
      return knownMs;
    },
    /** A block stored at this time was read. */
    heard(ms: number): void {
      if (isLost && ms > knownMs && stored.size < stepsMax) stored.set(Math.floor(ms / absenceMs), ms);
    },
    /** What was stored before this time was read, of all hosts. */
    confirmed(ms: number): void {
      const times = isLost
        ? [...stored.values(), ms].filter((time) => time <= ms).toSorted((a, b) => a - b)
        : [];
      for (const toMs of times) {
        if (toMs - knownMs > absenceMs) absences.push({ fromMs: knownMs, toMs });
        knownMs = Math.max(knownMs, toMs);
      }
      absences.splice(0, absences.length - absencesMax);
      knownMs = Math.max(knownMs, ms);
      stored.clear();
      isLost = false;
      isLive = true;
    },
    lost(nowMs: number): void {
      isLost = true;
      if (isLive) return;
      knownMs = Math.max(knownMs, nowMs);
      isLive = true;
    },
    /** Whether only the store's absence explains a finding. `silentMs`: of its host; `seenMs`: up to when its objects were read. */
    isExcused({ kind, time = '' }: FleetFinding, silentMs: number, seenMs = knownMs): boolean {
      const fromMs = parseTime(time);
      if (kind !== 'silent' || fromMs === undefined) return false;
      const absentMs = absences.reduce(
        (sum, gap) => sum + Math.max(0, Math.min(gap.toMs, seenMs) - Math.max(gap.fromMs, fromMs)),
        0,
      );
      return seenMs - fromMs - absentMs <= silentMs;
    },
  };
}
