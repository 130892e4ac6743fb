// The receivers of records: a row for each kind, from its settings to the carrier that reaches it; and a shipper for each, which continues
// at the receiver's position.

import type { DaemonEvent } from '../gate/telemetry/log.js';
import { readText } from '../host/machine/files.js';
import { hostName, programVersion } from '../host/machine/process.js';
import { messageOf } from '../host/ports/faults.js';
import type { TlsDemand } from '../host/ports/transport.js';
import { openStore } from '../host/store/open-store.js';
import { hostWordOf } from '../rules/config/fleet-names.js';
import type { SinkSettings, SyslogSinkSettings } from '../rules/config/sinks.js';
import type { JournalHead } from './receiver-set.js';
import type { Carrier, CarrierParts } from './shipping/carrier.js';
import { createFileCarrier } from './shipping/file-carrier.js';
import { beginning } from './shipping/follow.js';
import { createOtlpCarrier } from './shipping/otlp-carrier.js';
import { createPositionFile } from './shipping/position.js';
import { type Shipper, type ShipperParts, startShipper } from './shipping/shipper.js';
import { createStoreCarrier } from './shipping/store-carrier.js';
import { createSyslogCarrier } from './shipping/syslog-carrier.js';

export function carrierOf(sink: SinkSettings, parts: CarrierParts): Carrier {
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

export interface ReceiverParts
  extends Pick<ShipperParts, 'clock' | 'chance' | 'log' | 'untilSeq'>,
    Pick<CarrierParts, 'connect' | 'onCertificate'> {
  /** The directory of the position files. */
  readonly state: string;
  readonly processId: number;
}

/** Begins at its position; a new receiver, or one of another journal, with the oldest record. Never rejects. */
export async function startReceiver(
  sink: string,
  createCarrier: (parts: CarrierParts) => Carrier,
  { directory, journal, key: journalKey, host }: JournalHead,
  { state, processId, ...parts }: ReceiverParts,
): Promise<Shipper> {
  const tell = (event: DaemonEvent['event'], text: string, keys: { readonly count?: number } = {}): void =>
    parts.log.report({ event, level: 'error', text, sink, ...keys });
  const restarted = (why: string): void => tell('ship-restarted', `${sink} gets records again: ${why}`);
  const file = createPositionFile(state, sink);
  const kept = await file.load().catch((cause: unknown) => {
    restarted(`everything is shipped anew: ${messageOf(cause)}`);
    return undefined;
  });
  const isSame = kept?.journal === journal;
  if (kept !== undefined && !isSame)
    restarted(`the journal is ${journal}, and what was shipped was ${kept.journal}`);
  const position = isSame ? kept.position : beginning;
  const carrier = createCarrier({
    ...parts,
    journal,
    journalKey,
    position,
    sender: { hostName: host, processId },
    restarted,
    rejected: (count, text) => tell('ship-refused', text, { count }),
    conflict: (text) => tell('ship-conflict', text),
  });
  return startShipper({ ...parts, sink, carrier, directory, journal, position, file });
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
