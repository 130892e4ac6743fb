// The certificates on the way to the stream: the one that the server showed last, and ours. Their end is reported as that of a gate's
// certificates, from 14 days before, once a day.

import { systemClock } from '../../host/machine/clock.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import { createCertificates, expirySentence, warnMs } from '../../rules/setup/certificates.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import type { FleetStatus } from '../fleet/shapes.js';
import type { NatsLink } from '../nats/link.js';

type Shown = NonNullable<FleetStatus['certificates']>[number];

const roles = { server: 'receiver', client: 'receiver-client' } as const;

/** Ours is listed under the name of the first server. `tell`: writes the fields of a log event. */
export function watchStreamCertificates(
  settings: FleetSettings,
  tell: (event: string, fields: Readonly<Record<string, unknown>>) => void,
) {
  let shown: { readonly name: string; readonly validTo: string } | undefined;
  const certificates = createCertificates({
    clock: systemClock,
    prepareOffer: () => undefined,
    report: ({ event, level, sink, text }) => tell(event, { level, name: sink, text }),
    onReplaced: () => undefined,
    shownByReceivers: () => (shown === undefined ? [] : [shown]),
  });
  const adopt = ({ client, servers: [first] }: FleetSettings): void => {
    const name =
      first === undefined ? '' : `${first.host.includes(':') ? `[${first.host}]` : first.host}:${first.port}`;
    const own = client === undefined ? [] : [{ name, certificate: client.certificateFile }];
    certificates.prepare([], [], own).commit();
  };
  adopt(settings);
  return {
    adopt,
    saw({ place, serverValidTo }: Pick<NatsLink, 'place' | 'serverValidTo'>): void {
      shown = { name: place, validTo: serverValidTo };
    },
    rows(): readonly Shown[] {
      const nowMs = systemClock.wallMs();
      return certificates.expiries().flatMap(({ role, name, leftMs }) => {
        // A certificate that ends beyond the largest time has no row.
        if (leftMs > 1e14) return [];
        const isServers = role === roles.server;
        return [{ role: isServers ? 'server' : 'client', name, ends: formatTime(nowMs + leftMs) } as const];
      });
    },
    close: () => certificates.close(),
  };
}

/** A sentence for each that ends soon, or has ended. */
export function describeEnds(rows: readonly Shown[], nowMs: number): readonly string[] {
  return rows.flatMap(({ role, name, ends }) => {
    const leftMs = (parseTime(ends) ?? Number.POSITIVE_INFINITY) - nowMs;
    return leftMs < warnMs ? [`${name}: ${expirySentence(roles[role], leftMs)}`] : [];
  });
}
