// The metrics of `fleet watch` for Prometheus, over HTTP on loopback. Labels are hosts of the settings and kinds of
// a closed list; any other one counts as the host "other".

import { Counter, Gauge, Registry } from 'prom-client';
import { bounds } from '../../host/bounds/bounds.js';
import { openHttpServer, plainAnswer, shortLimits } from '../../host/http/server.js';
import { systemClock } from '../../host/machine/clock.js';
import { bindTcp, ListenFault, type TcpPlace } from '../../host/net/listen.js';
import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { parseTime } from '../../host/words/instants.js';
import type { FleetFinding, FleetStatus } from '../fleet/shapes.js';

export interface WatchNumbers {
  readonly status: FleetStatus;
  readonly findings: readonly FleetFinding[];
  readonly hosts: ReadonlySet<string>;
  readonly isUp: boolean;
  /** How long the store keeps records; 0: for ever. */
  readonly keepMs: number;
  /** By host: what was stored before that time is in the mirror. */
  readonly mirroredMs: ReadonlyMap<string, number>;
}

const otherHost = 'other';

/** Serves /metrics; rejects with a CommandFault if the address is not available. `now`: must not wait. */
export async function serveWatchMetrics(
  at: TcpPlace,
  now: () => WatchNumbers,
  screen: Pick<Screen, 'complain'>,
): Promise<{ close(): Promise<void> }> {
  const registry = new Registry();
  const name = (short: string): string => `dovegate_fleet_${short}`;
  const gauge = <const Labels extends string>(short: string, help: string, ...labelNames: Labels[]) =>
    new Gauge({ name: name(short), help, labelNames, registers: [registry] });
  const up = gauge('up', '1: the store can be read.');
  const seen = gauge('last_object_timestamp_seconds', 'When the newest object of a host was stored.', 'host');
  const seq = gauge('seq', 'The last record of a host that was verified.', 'host');
  const found = gauge('findings', 'What is wrong, and was not accepted.', 'host', 'kind');
  const unmirrored = gauge(
    'unmirrored_ratio',
    'Age of the oldest records of a host that may not be in the mirror, in parts of `keep`: at 1 the store drops them.',
    'host',
  );
  const records = new Counter({
    name: name('records_total'),
    help: 'Records that were verified, in all runs.',
    registers: [registry],
  });

  const render = (): Promise<string> => {
    const { status, findings, hosts, isUp, keepMs, mirroredMs } = now();
    registry.resetMetrics();
    const hostOf = (host: string): string => (hosts.has(host) ? host : otherHost);
    up.set(isUp ? 1 : 0);
    for (const { host, lastSeen, seq: last } of status.gates) {
      const label = { host: hostOf(host) };
      const seenMs = lastSeen === undefined ? undefined : parseTime(lastSeen);
      if (seenMs !== undefined) seen.set(label, seenMs / 1000);
      if (last !== undefined) seq.set(label, last);
    }
    for (const { host, kind } of findings) found.inc({ host: hostOf(host), kind });
    for (const [host, ms] of keepMs === 0 ? [] : mirroredMs)
      unmirrored.set({ host }, Math.max(0, systemClock.wallMs() - ms) / keepMs);
    records.inc(status.records);
    return registry.metrics();
  };

  const onError = (text: string): void => screen.complain(`dovegate: metrics: ${text}`);
  try {
    return await openHttpServer({
      clock: systemClock,
      limits: shortLimits(bounds.adminConnectionMs),
      bind: (server) => bindTcp(server, at, onError),
      headers: {},
      refusal: plainAnswer,
      async answer({ request: { method }, path, work }) {
        work();
        if (method !== 'GET' || path !== '/metrics') return plainAnswer(404, 'there is /metrics');
        return { status: 200, type: registry.contentType, body: await render() };
      },
      onError,
    });
  } catch (fault) {
    if (!(fault instanceof ListenFault)) throw fault;
    throw new CommandFault(exitCodes.configuration, `metrics: ${fault.message}`, fault);
  }
}
