// A real nats-server with the journals of simulated hosts in its stream, and a verifier that lists them.

import { openNatsServer } from '../../../kit/gate/nats.js';
import { openAdministrator } from '../../fleet/administrator.js';
import { openVerifier } from '../../fleet/verifier.js';
import { simulateHost } from './simulated-host.js';

/** Messages that are not acknowledged yet. */
const inFlight = 64;

export function say(what: string, figures: string): void {
  console.log(`${what.padEnd(34)} ${figures}`);
}

export interface SimulatedFleet {
  /** Of all hosts together. */
  readonly records: number;
  /** `fleet.yaml`, and the folder that it is in. */
  readonly config: string;
  readonly folder: string;
}

/** Publishes the journals of `gates` hosts with `records` records together, prints their size, calls `use`, and ends everything. */
export async function withFleet(
  { gates, records: asked }: { readonly gates: number; readonly records: number },
  use: (fleet: SimulatedFleet) => Promise<void>,
): Promise<void> {
  const closers: (() => void | Promise<void>)[] = [];
  const owner = { after: (run: () => void | Promise<void>) => void closers.push(run) };
  try {
    const nats = await openNatsServer(owner, { gates: [] });
    if ('skip' in nats) throw new Error(nats.skip);
    const administrator = await openAdministrator(owner, nats);
    const hosts = Array.from({ length: gates }, (_, at) =>
      simulateHost(`gate-${at + 1}`, Math.floor(asked / gates)),
    );
    await administrator.createStreams(hosts.map(({ host }) => host));
    const records = hosts.reduce((sum, host) => sum + host.records, 0);
    const beganMs = performance.now();
    const waiting: Promise<void>[] = [];
    for (let left = [...hosts]; left.length > 0; ) {
      for (const host of left) {
        const block = host.nextBlock();
        if (block === undefined) left = left.filter((one) => one !== host);
        else waiting.push(administrator.publish(block));
        if (waiting.length >= inFlight) await waiting.shift();
      }
    }
    await Promise.all(waiting);
    const seconds = ((performance.now() - beganMs) / 1000).toFixed(0);
    const { messages, bytes } = await administrator.count();
    const size = `${(bytes / 2 ** 20).toFixed(0)} MiB in ${messages} messages`;
    say(`${gates} gates, ${records} records`, `${size}; made and published in ${seconds} s`);
    const listed = Object.fromEntries(
      hosts.map(({ host, key }) => [host, `{ key: "${key}", silent_after: 1d }`]),
    );
    const verifier = openVerifier(owner, { nats, hosts: listed, more: 'drift: 1d\nopen_after: 1d' });
    await use({ records, config: verifier.config, folder: verifier.folder });
  } finally {
    for (const close of closers) await close();
  }
}
