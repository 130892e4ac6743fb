// The receivers of records: a row for each kind, from its settings to the carrier that reaches it.

import { readText } from '../host/machine/files.js';
import { hostName, programVersion } from '../host/machine/process.js';
import type { TlsDemand } from '../host/ports/transport.js';
import { openStore } from '../host/store/open-store.js';
import { hostWordOf } from '../rules/config/fleet-names.js';
import type { SinkSettings, SyslogSinkSettings } from '../rules/config/sinks.js';
import type { Carrier, CarrierParts } from './shipping/carrier.js';
import { createFileCarrier } from './shipping/file-carrier.js';
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
    case 'store': {
      const { hostWord = hostWordOf(hostName()), objectsPerDay } = sink;
      return createStoreCarrier({
        ...parts,
        host: hostWord,
        objectsPerDay,
        openStore: () => openStore(sink, parts.clock),
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

export function sinksOf(settings: readonly SinkSettings[]): readonly Sink[] {
  return settings.map((sink) => ({
    name: sink.name,
    key: JSON.stringify(sink),
    carrier: (parts) => carrierOf(sink, parts),
  }));
}

function demandOf({ serverName, caFile, client }: SyslogSinkSettings): TlsDemand {
  return {
    serverName,
    ca: caFile === undefined ? undefined : readText(caFile),
    keyPins: [],
    certificate:
      client === undefined
        ? undefined
        : { chain: readText(client.certificateFile), key: readText(client.keyFile) },
  };
}
