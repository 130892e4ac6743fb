// Whether principals take turns at a busy backend. One that waits and holds no connection gets one within a round. So no other principal
// may get many turns during its wait. Each wait is looked at by itself: who is passed over may change every few seconds, and medians hide
// that.
import type { Arrival, Entry } from './evidence.js';
import { diskKinds, type Faults } from './faults.js';
import { count, type Json } from './read-lines.js';
import type { Report } from './report.js';

/** A shorter wait may be over before the recorder has written down what went before it. */
const waitMinMs = 500;
/**
 * How many turns another principal may get during a wait, for each connection of the backend. In a fair round it is one. More are
 * permitted, because the recorder may read late, commands may be sent again, and connections may still be dialled.
 */
const turnsEach = 3;
const connectionsUsual = 4;

interface Span {
  from: number;
  until: number;
}

/** What one principal had at one backend, each list in the order of its times. */
interface Share {
  leases: Span[];
  waits: Span[];
}

interface Worst {
  turns: number;
  times: number;
  wait: Span;
}

export function checkTurns(
  entries: readonly Entry[],
  faults: Faults,
  connections: Json | undefined,
  report: Report,
): void {
  for (const [backend, shares] of sharesOf(entries, faults)) {
    const turnsMax = turnsEach * (count(connections?.[backend]) ?? connectionsUsual);
    for (const [principal, share] of shares) {
      for (const [other, { leases }] of shares) {
        if (other === principal) continue;
        const worst = worstOf(share, leases, turnsMax);
        if (worst === undefined) continue;
        const { turns, times, wait } = worst;
        report.add(
          'unfair',
          `${principal} waited ${wait.until - wait.from} ms and held nothing, while ${other} got ${turns} turns; ${times} such waits`,
          `${backend}, at ${wait.from}`,
        );
      }
    }
  }
}

/** By backend, then by principal. */
function sharesOf(entries: readonly Entry[], faults: Faults): Map<string, Map<string, Share>> {
  const backends = new Map<string, Map<string, Share>>();
  const shareOf = (backend: string, principal: string): Share => {
    const shares = backends.get(backend) ?? new Map<string, Share>();
    backends.set(backend, shares);
    const share = shares.get(principal) ?? { leases: [], waits: [] };
    shares.set(principal, share);
    return share;
  };
  for (const entry of entries) {
    const done = entry.exchanges.findLast((one) => !one.isTwin)?.done;
    const waitMs = done === undefined || done.isRecovered ? undefined : Math.round(done.waitMs);
    for (const arrival of entry.arrivals)
      shareOf(arrival.backend, entry.principal).leases.push(leaseOf(entry, arrival));
    // A change waits for the disk as well, and near a fault of it so does any command.
    if (entry.isWrite) continue;
    const [arrival, second] = entry.arrivals;
    if (waitMs === undefined || waitMs < waitMinMs || second !== undefined) continue;
    const until = arrival === undefined && done?.error === 'queue-timeout' ? entry.ended : arrival?.at;
    const backend = arrival?.backend ?? done?.backend ?? '';
    if (until === undefined || backend === '' || !Number.isFinite(until)) continue;
    if (faults.explain(until - waitMs, until, diskKinds)) continue;
    shareOf(backend, entry.principal).waits.push({ from: until - waitMs, until });
  }
  for (const shares of backends.values())
    for (const share of shares.values())
      share.leases.sort((one, other) => one.from - other.from || one.until - other.until);
  return backends;
}

/** How long the gate kept the connection for it: until its client had the answer, where the journal says when that was. */
function leaseOf(entry: Entry, { at, ended }: Arrival): Span {
  const done = entry.exchanges.findLast((one) => !one.isTwin)?.done;
  const isTold = done !== undefined && !done.isRecovered;
  const until = isTold ? Math.round(at - done.waitMs + done.durationMs) : entry.ended;
  return { from: at, until: Math.max(at, ended, until) };
}

/** The wait with most turns of the other one, of those that have too many. */
function worstOf(share: Share, others: readonly Span[], turnsMax: number): Worst | undefined {
  /** The latest end of the leases up to each. */
  const ends: number[] = [];
  for (const { until } of share.leases) ends.push(Math.max(until, ends.at(-1) ?? -Infinity));
  let worst: Worst | undefined;
  let times = 0;
  for (const wait of share.waits) {
    const before = placeOf(share.leases, wait.until) - 1;
    const from = Math.max(wait.from, ends[before] ?? -Infinity);
    if (wait.until - from < waitMinMs) continue;
    const turns = placeOf(others, wait.until) - placeOf(others, from);
    if (turns <= turnsMax) continue;
    times += 1;
    if (turns > (worst?.turns ?? 0)) worst = { turns, times, wait: { from, until: wait.until } };
  }
  return worst === undefined ? undefined : { ...worst, times };
}

/** How many of them begin before a time. */
function placeOf(leases: readonly Span[], time: number): number {
  let low = 0;
  let high = leases.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((leases[middle]?.from ?? Infinity) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
