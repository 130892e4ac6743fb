// The driver of `npm run lab -- chaos` (scripts/chaos.mjs): a run of so many minutes, and what it leaves (EVIDENCE.md).
//   node build/test/whole/chaos/run.js FOLDER MINUTES SEED [KIND,...]     KIND `none`: no fault at all (`npm run lab -- soak`)
import { cpSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { textOfBlock } from '../../../src/evidence/store/block.js';
import { parseBlockName } from '../../../src/evidence/store/names.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { openFolder } from '../../../src/host/store/folder.js';
import { signIn, watchNow } from '../../kit/gate/page-client.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { until } from '../../kit/plain/until.js';
import { openEvidence } from './evidence.js';
import { injectFaults, untilServing } from './faults.js';
import { users } from './policy.js';
import { sampleOf } from './processes.js';
import { startTraffic } from './traffic.js';
import { connections, openWorld, type World } from './world.js';

const [folder = '', minutesText = '1', seedText = '1', kindsText = ''] = process.argv.slice(2);
const minutes = Number(minutesText);
const seed = Number(seedText);
const clients = Number(process.env['DOVEGATE_CLIENTS'] ?? 200);
const thinkMs = Number(process.env['DOVEGATE_THINK_MS'] ?? 700);
const sampleMs = 5_000;
/** A collection stops a process for some hundredths of a second: one in so many samples has one. */
const samplesPerWeighing = 4;
/** Without a client, before and after. */
const quietMs = Math.min(60_000, minutes * 6_000 + 10_000);
/** With clients and without a fault, before and after. */
const calmMs = Math.min(60_000, minutes * 6_000 + 5_000);

const ends: (() => void | Promise<void>)[] = [];
const evidence = openEvidence(folder);
let world: World | undefined;

const state = { isQuiet: false, isOver: false };
async function sample(of: World): Promise<void> {
  for (let number = 0; !state.isOver; number += 1) {
    const at = Date.now();
    const metrics = state.isQuiet ? await of.metrics().catch(() => undefined) : undefined;
    for (const keeper of [of.gate, of.page, of.ship, of.watch]) {
      const found = sampleOf(keeper.pid);
      if (found === undefined) continue;
      // A soak measures what clients wait, and how the heap itself grows.
      const isWeighed = kindsText !== 'none' && number % samplesPerWeighing === 0;
      const left = isWeighed ? keeper.weigh() : undefined;
      evidence.write('samples', {
        at,
        process: keeper.name,
        ...found,
        ...(left !== undefined && { left }),
        ...(keeper.name === 'gate' && { journal: bytesOf(of.journal) }),
        ...(state.isQuiet && { quiet: true }),
        ...(keeper.name === 'gate' && metrics !== undefined && { metrics }),
      });
    }
    await pause(sampleMs);
  }
}

function bytesOf(place: string): number {
  const sizes = readdirSync(place).map(
    (name) => statSync(`${place}/${name}`, { throwIfNoEntry: false })?.size ?? 0,
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function beQuiet(): Promise<void> {
  // What a client left behind may end first.
  await pause(5_000);
  state.isQuiet = true;
  await pause(quietMs);
  state.isQuiet = false;
}

/** People at the page, who come back when it was away. */
async function watchPage(of: World): Promise<void> {
  while (!state.isOver) {
    try {
      const token = await signIn(of.pagePort, 'oncall', of.pagePassword);
      const owner = { after: () => undefined };
      const watchers = await Promise.all([1, 2, 3].map(() => watchNow(owner, of.pagePort, token)));
      while (!state.isOver && watchers.every(({ hasEnded }) => !hasEnded)) await pause(500);
      for (const watcher of watchers) watcher.close();
    } catch {
      await pause(1_000);
    }
  }
}

/** The blocks of the journal in the store, in the order of their names; what a block has of one before it is `again`. */
async function dumpStore(of: World): Promise<void> {
  const store = openFolder(of.store, 'dovegate');
  let seq = 0;
  let lastSeq = 0;
  for await (const page of store.list('gate1/')) {
    for (const text of page) {
      const name = parseBlockName(text);
      if (name === undefined) continue;
      const { bytes } = await store.read(text, { bytesMax: bounds.storeBlockBytes });
      const lines = (await textOfBlock(bytes))?.toString().split('\n').slice(0, -1) ?? [];
      const known = Math.max(0, lastSeq - name.first + 1);
      for (const [some, again] of [
        [lines.slice(0, known), true],
        [lines.slice(known), false],
      ] as const) {
        if (some.length === 0) continue;
        seq += 1;
        const subject = `dovegate.audit.gate1.${name.journal}`;
        evidence.write('stream', { seq, subject, data: `${some.join('\n')}\n`, ...(again && { again }) });
      }
      lastSeq = Math.max(lastSeq, name.last);
    }
  }
}

const begun = Date.now();
try {
  await work();
} catch (error) {
  process.exitCode = 1;
  console.error(`the run ended after ${((Date.now() - begun) / 1_000).toFixed(0)} s:`, error);
} finally {
  state.isOver = true;
  for (const keeper of [world?.gate, world?.page, world?.ship, world?.watch]) await keeper?.kill();
  await evidence.close();
  for (const end of ends.toReversed()) await end();
}
process.exit();

async function work(): Promise<void> {
  const of = await openWorld({ after: (end) => void ends.push(end) }, evidence, {
    seed,
    hasOwnClock: kindsText !== 'none',
  });
  world = of;
  of.settlePolicy();
  console.log(`ready after ${((Date.now() - begun) / 1_000).toFixed(0)} s`);
  const options = {
    evidence,
    places: of.places,
    lab: of.labs[0] ?? fail('no lab'),
    inForce: () => of.inForce(),
    clients,
    thinkMs,
  };
  const started = Date.now();
  // A process that has worked is as large as it will be.
  const warm = startTraffic({ ...options, seed: seed + 1_000_000 });
  await pause(10_000);
  await warm.stop();
  const sampling = sample(of);
  await beQuiet();
  const watching = watchPage(of);
  const traffic = startTraffic({ ...options, seed });
  const shown = setInterval(() => {
    const { clients: told, backend, faults } = evidence.counts;
    console.log(
      `${new Date().toISOString()} ${told} commands, ${backend} lines at backends, ${faults} faults, ${traffic.running} clients`,
    );
  }, 30_000);
  await pause(calmMs);
  if (kindsText === 'none') await pause(minutes * 60_000);
  else
    await injectFaults({
      world: of,
      evidence,
      random: seededRandom(seed),
      untilMs: Date.now() + minutes * 60_000,
      restMs: 2_500,
      ...(kindsText !== '' && { kinds: kindsText.split(',') }),
    });
  await untilServing(of);
  await pause(calmMs);
  await traffic.stop();
  clearInterval(shown);
  await beQuiet();
  state.isOver = true;
  await Promise.all([sampling, watching]);
  await until(
    async () => /^dovegate_audit_ship_lag_records\{[^}]*\} 0$/m.test(await of.metrics().catch(() => '')),
    'everything is shipped',
    120_000,
  ).catch((error: unknown) => console.error(String(error)));
  const gateExit = await of.gate.stop();
  if (gateExit !== 0) console.error(`the gate ended with ${String(gateExit)}`);
  await of.ship.stop();
  await of.page.stop();
  await of.watch.stop();
  cpSync(of.journal, evidence.path('journal'), { recursive: true });
  evidence.writeWhole('verify.json', {
    'audit verify': await of
      .dovegate(['audit', 'verify', of.journal, '--key', `${of.disk}/state/audit-sign.key`])
      .then(({ exit, text }) => ({ exit, output: text })),
    'audit fleet verify': await of
      .dovegate(['audit', 'fleet', 'verify', '--config', of.fleetConfig])
      .then(({ exit, text }) => ({ exit, output: text })),
  });
  // The last records are written when the gate ends, and are not all sent then; what the store lacks at its end is no finding.
  await dumpStore(of).catch((error: unknown) => console.error(`the store was not read: ${String(error)}`));
  const hmac = `${of.journal}/hmac.key`;
  if (existsSync(hmac)) evidence.writeWhole('hmac.key', readFileSync(hmac, 'utf8'));
  evidence.writeWhole('run.json', {
    seed,
    started,
    ended: Date.now(),
    gateExit: gateExit ?? null,
    minutes,
    policies: Object.fromEntries([...of.versions].map(([name, { table }]) => [name, table])),
    secrets: of.secrets,
    keys: [readFileSync(`${of.journal}/key.pub`, 'utf8')],
    users,
    series: Object.fromEntries(of.labs.map(({ series }, at) => [`mail${at + 1}`, series])),
    connections: { mail1: connections, mail2: connections },
  });
}

function fail(why: string): never {
  throw new Error(why);
}
