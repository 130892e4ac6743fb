// The receivers of records: a row for each kind, from its settings to the carrier that reaches it.

import { readText } from '../adapters/host/files.js';
import { programVersion } from '../adapters/host/process.js';
import { openNats } from '../adapters/nats/link.js';
import type { Carrier, CarrierParts } from '../adapters/shipping/carrier.js';
import { createFileCarrier } from '../adapters/shipping/file-carrier.js';
import { createNatsCarrier } from '../adapters/shipping/nats-carrier.js';
import { createOtlpCarrier } from '../adapters/shipping/otlp-carrier.js';
import type { Sink } from '../adapters/shipping/shipping.js';
import { createSyslogCarrier } from '../adapters/shipping/syslog-carrier.js';
import type { SinkSettings, SyslogSinkSettings } from '../domain/config/sinks.js';
import { verifierKeysIn } from '../domain/records/fleet/checkpoint.js';
import type { TlsDemand } from '../ports/transport.js';
import { natsTargetOf } from '../setup/nats-target.js';

function carrierOf(sink: SinkSettings, parts: CarrierParts): Carrier {
  switch (sink.kind) {
    case 'syslog': {
      const { name, host, port } = sink;
      const demand = (): TlsDemand => ({
        ...demandOf(sink),
        onShown: (validTo) => parts.onCertificate(name, validTo),
      });
      return createSyslogCarrier({ ...parts, receiver: { address: { kind: 'tcp', host, port }, demand } });
    }
    case 'nats': {
      const { stream, settleMs, verifiers } = sink;
      const verifierKeys = verifiers.length === 0 ? undefined : () => verifiers.flatMap(signingKeyOf);
      const receiver = { ...natsTargetOf(sink), stream, settleMs, verifierKeys };
      return createNatsCarrier({ ...parts, receiver, openLink: openNats });
    }
    case 'otlp':
      return createOtlpCarrier({ ...parts, ...sink, programVersion });
    case 'file':
      return createFileCarrier({ ...parts, path: sink.path });
    default:
      return sink satisfies never;
  }
}

/** Of a file the last key, which signs: a replaced one counts no more. None from any other file. Throws the system's error. */
function signingKeyOf(verifier: string): readonly string[] {
  return (verifierKeysIn(verifier) ?? verifierKeysIn(readText(verifier)) ?? []).slice(-1);
}

export function sinksOf(settings: readonly SinkSettings[]): readonly Sink[] {
  return settings.map((sink) => ({
    name: sink.name,
    key: JSON.stringify(sink),
    carrier: (parts) => carrierOf(sink, parts),
  }));
}

function demandOf({ serverName, caFile, keyPins, client }: SyslogSinkSettings): TlsDemand {
  return {
    serverName,
    ca: caFile === undefined ? undefined : readText(caFile),
    keyPins,
    certificate:
      client === undefined
        ? undefined
        : { chain: readText(client.certificateFile), key: readText(client.keyFile) },
  };
}
