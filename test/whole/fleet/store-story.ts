// Gates that put their records into one store, while they and the processes that ship are killed; then the store is compared with their
// journals, byte for byte, read without any program of ours but the one that verifies lines, and by a verifier.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { fitsName } from '../../../src/evidence/store/block.js';
import { type BlockName, formatName, parseName } from '../../../src/evidence/store/names.js';
import type { ObjectStore } from '../../../src/host/ports/store.js';
import { runDovegate } from '../../kit/gate/daemon.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import { ends } from '../../kit/plain/program.js';
import { until } from '../../kit/plain/until.js';
import { openDesk } from './fleet-lab.js';
import { assertSameLines, type FleetGate, openShippingGate } from './gate.js';

export interface StoreStory {
  readonly kills: number;
  readonly gates: number;
  /** Of `audit.ship`, but for the host; YAML on the line. */
  readonly receiver: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Of the verifier's fleet.yaml: where the store is. */
  readonly verifier: Readonly<Record<string, string>>;
  /** To look at what is there. */
  readonly store: ObjectStore;
  /** Where the objects are files: they are verified as they are. */
  readonly root?: string;
  /** Called when nothing is killed any more: the store may work again. */
  readonly calm?: () => void;
}

/** What became of it, as a sentence. Nothing is lost, nothing comes twice, and no finding is false. */
export async function killAndCompare(owner: Owner, story: StoreStory): Promise<string> {
  const beganMs = performance.now();
  const hosts = Array.from({ length: story.gates }, (_, at) => `gate-${at + 1}`);
  const gates = await Promise.all(
    hosts.map(async (host) => {
      const receiver = `{ ${story.receiver}, host: ${host}, objects_per_day: 8640 }`;
      const gate = await openShippingGate(owner, { receiver, ...(story.files && { files: story.files }) });
      gate.work();
      return { host, gate };
    }),
  );
  await Promise.all(gates.map(({ gate }) => killMany(gate, story.kills)));
  story.calm?.();
  let records = 0;
  let objects = 0;
  let overlaps = 0;
  const folder = openFolder(owner);
  for (const { host, gate } of gates) {
    await gate.rest();
    const isStored = async (): Promise<boolean> => {
      // Both are read whole each time.
      await pause(250);
      const last = (await namesOf(story.store, host)).at(-1)?.last ?? 0;
      return last === gate.journal().toString('latin1').split('\n').length - 1;
    };
    const sent = () => until(isStored, () => `all is stored\n${gate.ship.output()}`, 300_000);
    assert.deepEqual(await gate.stop(sent), { code: 0, signal: null });
    assert.ok(!/"event":"(?:ship-conflict|audit-forked|ship-missing|ship-damaged)"/.test(gate.ship.output()));
    const stored = await linesOf(story.store, host);
    assertSameLines(stored.lines, gate.journal());
    const file = join(folder, `${host}.jsonl`);
    writeFileSync(file, stored.lines);
    const { root } = story;
    const files = root === undefined ? [file] : stored.names.map((name) => join(root, name));
    const keyFile = join(folder, `${host}.pub`);
    writeFileSync(keyFile, `${gate.key}\n`);
    await ends(0, runDovegate(['audit', 'verify', '--received', '--key', keyFile, ...files]));
    records += stored.lines.toString('latin1').split('\n').length - 1;
    objects += stored.objects;
    overlaps += stored.overlaps;
  }
  const keys = gates.map(({ host, gate }) => [host, { key: gate.key }] as const);
  const found = await openDesk(owner, { folder }, Object.fromEntries(keys), story.verifier).verify();
  assert.deepEqual([found.findings, found.records], [[], records], found.text);
  const seconds = ((performance.now() - beganMs) / 1000).toFixed(0);
  return `${gates.length} gates, ${records} records in ${objects} objects, ${overlaps} of them overlap; ${story.kills} SIGKILLs of each gate and of each dovegate ship; ${seconds} s`;
}

/** A little more than a block is open. */
const pauseMs = 11_000;
/** Before each kill; a command has two records, so 50 rounds have 20,000. */
const answers = 100;

async function killMany(gate: FleetGate, kills: number): Promise<void> {
  for (let round = 0; round < kills; round += 1) {
    await gate.untilAnswered(answers);
    await pause(Math.random() * pauseMs);
    await gate.killShip();
    await gate.untilAnswered(answers);
    await pause(Math.random() * pauseMs);
    await gate.kill();
    await gate.start();
  }
  await gate.untilAnswered(answers);
}

/** In the order of their ends. */
async function namesOf(store: ObjectStore, host: string): Promise<readonly BlockName[]> {
  const names: BlockName[] = [];
  for await (const page of store.list(`${host}/`)) {
    for (const text of page) {
      const name = parseName(text);
      assert.equal(name?.kind, 'block', text);
      names.push(name);
    }
  }
  return names.toSorted((one, other) => one.last - other.last);
}

/** All lines of a host, each once; an object that holds lines of another one must have the same. */
async function linesOf(store: ObjectStore, host: string) {
  const names = await namesOf(store, host);
  const lines: string[] = [];
  let overlaps = 0;
  for (const name of names.toSorted((one, other) => one.first - other.first)) {
    const { bytes } = await store.read(formatName(name), { bytesMax: 64 << 20 });
    const text = gunzipSync(bytes);
    assert.ok(fitsName(text, name), formatName(name));
    const own = text.toString('latin1').split('\n').slice(0, -1);
    const known = lines.slice(name.first - 1, name.last);
    assert.deepEqual(known, own.slice(0, known.length), formatName(name));
    assert.ok(name.first <= lines.length + 1, `nothing has the records before ${name.first}`);
    if (known.length > 0) overlaps += 1;
    lines.push(...own.slice(known.length));
  }
  return {
    lines: Buffer.from(`${lines.join('\n')}\n`, 'latin1'),
    objects: names.length,
    names: names.map(formatName).toSorted(),
    overlaps,
  };
}
