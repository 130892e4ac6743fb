// Whether clients of a kind, and principals, are served alike. Medians over the whole run count, so that faults, which touch all of them,
// make no difference.
import { type Entry, nameEntry } from './evidence.js';
import { type Faults, processKinds } from './faults.js';
import { median } from './leaks.js';
import type { Report } from './report.js';

const membersMin = 3;
const commandsMin = 20;
/** Others must be slower by this factor and this time before a difference is more than chance. */
const factor = 10;
const differenceMs = 2000;
/** The same for the share of commands that got no upstream. */
const shareMin = 0.2;
/** No waiter stays longer than `limits.queue_timeout` (30 s). */
const waitMaxMs = 33_000;

interface Group {
  kind: string;
  waited: number[];
  commands: number;
  turnedAway: number;
}

export function checkFairness(entries: readonly Entry[], faults: Faults, report: Report): void {
  const groups = new Map<string, Group>();
  for (const entry of entries) {
    if (entry.kind === 'hostile' || entry.status === '' || entry.end === 'left' || entry.inputCut) continue;
    const done = entry.exchanges.findLast((one) => !one.isTwin)?.done;
    if (done === undefined || done.isRecovered) continue;
    const isTurnedAway = /^(?:queue-full|queue-timeout|over-share)$/.test(done.error);
    if (done.waitMs > waitMaxMs && !faults.explain(entry.begun, entry.ended, processKinds))
      report.add(
        'unfair',
        `${nameEntry(entry)} waited ${Math.round(done.waitMs)} ms for an upstream`,
        `at ${entry.begun}`,
      );
    if (done.waitMs === 0 && !isTurnedAway) continue;
    count(groups, `client ${entry.client} (${entry.kind})`, entry.kind, done.waitMs, isTurnedAway);
    count(groups, `principal ${entry.principal}`, 'principal', done.waitMs, isTurnedAway);
  }
  for (const kind of new Set([...groups.values()].map((one) => one.kind))) compare(groups, kind, report);
}

function count(
  groups: Map<string, Group>,
  name: string,
  kind: string,
  waitMs: number,
  isTurnedAway: boolean,
): void {
  const group = groups.get(name) ?? { kind, waited: [], commands: 0, turnedAway: 0 };
  groups.set(name, group);
  group.commands += 1;
  if (isTurnedAway) group.turnedAway += 1;
  else group.waited.push(waitMs);
}

function compare(groups: ReadonlyMap<string, Group>, kind: string, report: Report): void {
  const members = [...groups].filter(([, group]) => group.kind === kind && group.commands >= commandsMin);
  if (members.length < membersMin) return;
  const usual = median(members.map(([, group]) => median(group.waited)));
  const usualShare = median(members.map(([, group]) => group.turnedAway / group.commands));
  for (const [name, group] of members) {
    const own = median(group.waited);
    const where = `${group.commands} commands`;
    if (own > usual * factor && own > usual + differenceMs)
      report.add(
        'unfair',
        `${name} waits ${Math.round(own)} ms for an upstream, others ${Math.round(usual)} ms`,
        where,
      );
    const share = group.turnedAway / group.commands;
    if (share > shareMin && share > usualShare * factor)
      report.add('unfair', `${name} got no upstream for ${Math.round(share * 100)} % of its commands`, where);
  }
}
