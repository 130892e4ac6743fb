// The receivers of records: a row for each kind, from its settings to the carrier that reaches it.

import { verifierKeysIn } from '../evidence/fleet/checkpoint.js';
import { openNats } from '../evidence/nats/link.js';
import { readText } from '../host/machine/files.js';
import { hostName, programVersion } from '../host/machine/process.js';
import type { Clock } from '../host/ports/machine.js';
import type { ObjectStore } from '../host/ports/store.js';
import type { TlsDemand } from '../host/ports/transport.js';
import { openBucket } from '../host/store/bucket.js';
import { openFolder } from '../host/store/folder.js';
import { hostWordOf } from '../rules/config/fleet-names.js';
import type { SinkSettings, StoreSinkSettings, SyslogSinkSettings } from '../rules/config/sinks.js';
import { natsTargetOf } from '../rules/setup/nats-target.js';
import type { Carrier, CarrierParts } from './shipping/carrier.js';
import { createFileCarrier } from './shipping/file-carrier.js';
import { createNatsCarrier } from './shipping/nats-carrier.js';
import { createOtlpCarrier } from './shipping/otlp-carrier.js';
import type { Sink } from './shipping/shipping.js';
import { createStoreCarrier } from './shipping/store-carrier.js';
import { createSyslogCarrier } from './shipping/syslog-carrier.js';

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
    case 'store': {
      const { hostWord = hostWordOf(hostName()), objectsPerDay } = sink;
      return createStoreCarrier({
        ...parts,
        host: hostWord,
        objectsPerDay,
        openStore: () => storeOf(sink, parts.clock),
      });
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

function storeOf(
  { place, prefix, credentialsFile = '', caFile }: StoreSinkSettings,
  clock: Clock,
): ObjectStore {
  if (place.kind === 'folder') return openFolder(place.path, prefix);
  return openBucket({ url: place.url, prefix, credentialsFile, caFile, clock });
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
