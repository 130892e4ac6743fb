// Whether clients of a kind, and principals, are served alike. Only times without a fault count.
import type { Entry } from './evidence.js';
import { nameEntry } from './evidence.js';
import type { Faults } from './faults.js';
import { median } from './leaks.js';
import type { Report } from './report.js';

const membersMin = 3;
const commandsMin = 20;
/** Others must be slower by this factor and this time before a difference is more than chance. */
const factor = 10;
const differenceMs = 2000;
/** No waiter stays longer than `limits.queue_timeout` (30 s). */
const waitMaxMs = 33_000;

interface Group {
  kind: string;
  took: number[];
  waited: number[];
}

export function checkFairness(entries: readonly Entry[], faults: Faults, report: Report): void {
  const clients = new Map<string, Group>();
  const principals = new Map<string, Group>();
  for (const entry of entries) {
    if (entry.kind === 'hostile' || entry.status === '' || entry.end === 'left' || entry.inputCut) continue;
    const done = entry.exchanges.findLast((one) => !one.isTwin)?.done;
    const hasWaited = done !== undefined && done.waitMs > 0;
    if (hasWaited && done.waitMs > waitMaxMs && !faults.explain(entry.begun, entry.ended))
      report.add(
        'unfair',
        `${nameEntry(entry)} waited ${done.waitMs} ms for an upstream`,
        `at ${entry.begun}`,
      );
    if (!hasWaited || faults.explain(entry.begun, entry.ended)) continue;
    const took = entry.ended - entry.begun;
    join(clients, `client ${entry.client} (${entry.kind})`, entry.kind, took, done.waitMs);
    join(principals, entry.principal, 'principal', took, done.waitMs);
  }
  compare(clients, report);
  compare(principals, report);
}

function join(groups: Map<string, Group>, name: string, kind: string, took: number, waited: number): void {
  const group = groups.get(name) ?? { kind, took: [], waited: [] };
  groups.set(name, group);
  group.took.push(took);
  group.waited.push(waited);
}

function compare(groups: Map<string, Group>, report: Report): void {
  const kinds = new Set([...groups.values()].map((one) => one.kind));
  for (const kind of kinds) {
    const members = [...groups].filter(
      ([, group]) => group.kind === kind && group.took.length >= commandsMin,
    );
    if (members.length < membersMin) continue;
    const usual = median(members.map(([, group]) => median(group.waited)));
    for (const [name, group] of members) {
      const own = median(group.waited);
      if (own > usual * factor && own > usual + differenceMs)
        report.add(
          'unfair',
          `${name} waits ${own} ms for an upstream, others ${usual} ms`,
          `${group.took.length} commands`,
        );
    }
  }
}
