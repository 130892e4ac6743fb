// A NATS receiver, ready to dial.

import { hostName } from '../adapters/host/process.js';
import { isSinkOf, type NatsSinkSettings, type SinkSettings } from '../domain/config/sinks.js';
import { hostWordOf } from '../domain/records/fleet/names.js';

function hostOf({ hostWord }: Pick<NatsSinkSettings, 'hostWord'>): string {
  return hostWord ?? hostWordOf(hostName());
}

/** The names of this gate in fleets, by its own configuration. */
export function fleetHostsOf(sinks: readonly SinkSettings[]): readonly string[] {
  const hosts = sinks.flatMap((sink) => (isSinkOf(sink, 'nats') ? [hostOf(sink)] : []));
  return hosts.length === 0 ? [hostOf({})] : [...new Set(hosts)];
}

/** The subject prefix of this gate, and how to dial its receiver. */
export function natsTargetOf(sink: NatsSinkSettings) {
  const { servers, caFile, credentialsFile, client } = sink;
  const host = hostOf(sink);
  // An inbox of its own: with it the server's rights can keep answers, which may hold records, from other hosts.
  const inbox = `_INBOX.${host}`;
  return { host, link: { servers, caFile, credentialsFile, client, name: `dovegate ${host}`, inbox } };
}
