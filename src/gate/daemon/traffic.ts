// The counts for the page's charts, by team (one for each listener), since the start of the daemon. The page computes the differences
// between two of them; the daemon keeps no history.

import type { DoorTraffic } from '../door/door.js';
import { countedAs } from '../now/history.js';
import type { Running } from '../now/running.js';
import type { CountedExchanges } from '../telemetry/metrics.js';

export function trafficOf(
  counted: CountedExchanges,
  { started: run, listeners }: Pick<Running, 'started' | 'listeners'>,
): DoorTraffic {
  const { bounds } = counted;
  const teams = new Map(
    listeners.map(({ name }) => [
      name,
      { name, ended: 0, denied: 0, failed: 0, buckets: [...bounds, 0].fill(0) },
    ]),
  );
  counted.eachOfListeners((listener, outcome, count) => {
    const team = teams.get(listener);
    if (team === undefined) return;
    team.ended += count;
    const as = countedAs(outcome);
    if (as !== 'other') team[as] += count;
  });
  counted.eachOfDurations((listener, _backend, counts) => {
    const { buckets = [] } = teams.get(listener) ?? {};
    for (const [at, count] of counts.entries()) buckets[at] = (buckets[at] ?? 0) + count;
  });
  return { run, bounds, teams: [...teams.values()] };
}
