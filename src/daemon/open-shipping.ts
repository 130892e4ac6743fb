// Who gets the records, as the settings say. It does not know how they are sent, or who writes them.

import { randomFraction } from '../adapters/host/chance.js';
import { readText } from '../adapters/host/files.js';
import { hostName, processId } from '../adapters/host/program.js';
import { openShipping as open, type Shipping, type Sink } from '../adapters/shipping/shipping.js';
import type { Settings, SinkSettings } from '../domain/config/settings.js';
import type { Observe } from '../gateway/outcome/events.js';
import type { Clock } from '../ports/clock.js';
import type { Connect, TlsDemand } from '../ports/transport.js';

/** Knows where shipping stands when it resolves; nothing is sent before `start`. Never rejects. */
export function openShipping(
  settings: Settings,
  clock: Clock,
  connect: Connect,
  observe: Observe,
): Promise<Shipping> {
  const { audit, state } = settings;
  return open({
    sinks: sinksOf(settings),
    stateDirectory: state,
    directory: audit.directory,
    sender: { hostName: hostName(), processId },
    connect,
    clock,
    chance: randomFraction,
    observe,
  });
}

/** The receivers that the settings name. */
export function sinksOf({ audit }: Settings): readonly Sink[] {
  return audit.ship.map((sink) => {
    const { place: _, ...meant } = sink;
    return {
      name: sink.name,
      key: JSON.stringify(meant),
      address: { kind: 'tcp', host: sink.host, port: sink.port },
      demand: () => demandOf(sink),
    };
  });
}

function demandOf({ serverName, caFile, keyPins, client }: SinkSettings): TlsDemand {
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
