// A store in a folder with the journals of simulated hosts, and the settings of a verifier that lists them.

import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packBlock } from '../../../../src/evidence/store/block.js';
import { formatName } from '../../../../src/evidence/store/names.js';
import { withOwner } from '../../../kit/plain/folder.js';
import { openTrail } from '../../fleet/fleet-lab.js';
import { say } from './report.js';
import { simulateHost } from './simulated-host.js';

/** Objects that are put at once. */
const atOnce = 8;

interface SimulatedFleet {
  /** Of all hosts together. */
  readonly records: number;
  /** `fleet.yaml`, and the folder that it is in. */
  readonly config: string;
  readonly folder: string;
  /** Puts one more block of the next host there. */
  readonly putMore: () => Promise<void>;
}

/** Puts the journals of `gates` hosts with `records` records together there, as if `ageMs` ago, prints their size, and ends after `use`. */
export async function withFleet(
  { gates, records: asked, ageMs = 0 }: Readonly<Record<'gates' | 'records', number>> & { ageMs?: number },
  use: (fleet: SimulatedFleet) => Promise<void>,
): Promise<void> {
  await withOwner(async (owner) => {
    const trail = openTrail(owner);
    // The last blocks are for later.
    const hosts = Array.from({ length: gates }, (_, at) =>
      simulateHost(`gate-${at + 1}`, Math.floor(asked / gates)),
    );
    const records = hosts.reduce((sum, host) => sum + host.records, 0);
    const beganMs = performance.now();
    let [objects, bytes] = [0, 0];
    const putNext = async (host: (typeof hosts)[number]): Promise<boolean> => {
      const block = host.nextBlock();
      if (block === undefined) return false;
      const packed = await packBlock(block.text);
      await trail.store.put(formatName(block.name), packed, { ifAbsent: true });
      const at = (Date.now() - ageMs) / 1000;
      if (ageMs > 0) utimesSync(trail.pathOf(block.name), at, at);
      objects += 1;
      bytes += packed.length;
      return true;
    };
    const waiting = hosts.values();
    const putAll = async (): Promise<void> => {
      for (const host of waiting) while (await putNext(host));
    };
    await Promise.all(Array.from({ length: atOnce }, putAll));
    const seconds = ((performance.now() - beganMs) / 1000).toFixed(0);
    const size = `${(bytes / 2 ** 20).toFixed(0)} MiB in ${objects} objects`;
    say(`${gates} gates, ${records} records`, `${size}; made and put in ${seconds} s`);
    const config = join(trail.folder, 'fleet.yaml');
    const settings = {
      store: `file://${trail.folder}/store`,
      state: 'state',
      metrics: 'off',
      open_after: '1d',
      hosts: Object.fromEntries(hosts.map(({ host, key }) => [host, { key, silent_after: '1d' }])),
    };
    writeFileSync(config, JSON.stringify(settings), { mode: 0o600 });
    let turn = 0;
    const putMore = async (): Promise<void> => {
      const host = hosts[turn % hosts.length];
      turn += 1;
      if (host !== undefined) await trail.send(host.host, host.checkpoint());
    };
    await use({ records, config, folder: trail.folder, putMore });
  });
}
