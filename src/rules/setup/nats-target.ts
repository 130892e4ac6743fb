// A NATS receiver, ready to dial.

import { hostName } from '../../host/machine/process.js';
import { hostWordOf } from '../config/fleet-names.js';
import type { NatsSinkSettings } from '../config/sinks.js';

/** The subject prefix of this gate, and how to dial its receiver. */
export function natsTargetOf(sink: NatsSinkSettings) {
  const { servers, caFile, credentialsFile, client } = sink;
  const host = sink.hostWord ?? hostWordOf(hostName());
  // An inbox of its own: with it the server's rights can keep answers, which may hold records, from other hosts.
  const inbox = `_INBOX.${host}`;
  return { host, link: { servers, caFile, credentialsFile, client, name: `dovegate ${host}`, inbox } };
}
