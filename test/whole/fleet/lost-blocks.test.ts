// Goal: a cluster that changes its leader may lose blocks that it acknowledged, in one replica or another (2.9.10 does), and in the end
// every replica has all records all the same. Leaders are killed and then frozen, in a row, at seeded points of the load or while it rests;
// then the files of each replica are read, and a verifier that is served from this replica finds nothing missing.
// `npm run lab -- lost-blocks` has more rounds, at each release.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readHeadOf } from '../../../src/evidence/fleet/block.js';
import { createFleet } from '../../../src/evidence/fleet/fleet.js';
import { openNats } from '../../../src/evidence/nats/link.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { createNatsCarrier } from '../../../src/ship/shipping/nats-carrier.js';
import { openShipping, type Sink } from '../../../src/ship/shipping/shipping.js';
import { closeBefore } from '../../journal/files/reading.js';
import { leastSafe } from '../../kit/gate/least-safe.js';
import { openNatsCluster } from '../../kit/gate/nats-cluster.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { readStore } from '../../kit/plain/nats-store.js';
import { until } from '../../kit/plain/until.js';
import { openDiskJournal } from '../../ship/shipping/journal-on-disk.js';
import { isWhole, leaderOf, makeStreams } from './cluster-streams.js';

const prefix = 'DOVEGATE_AUDIT';
const host = 'gate1';
const stream = `${prefix}_${host}`;
const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 1);
/** A machine under load is slow: an election takes longer than it should. */
const flowMs = 180_000;

void test('a leader killed, the next one frozen: every replica has every record in the end', {
  timeout: 600_000 + 300_000 * rounds,
}, async (t: TestContext) => {
  const cluster = await openNatsCluster(t, [host]);
  if ('skip' in cluster) return t.skip(cluster.skip);
  await makeStreams(cluster, prefix, host);
  const journal = openDiskJournal(t);
  const events: string[] = [];
  const receiver = { link: cluster.settingsOf(host), stream: prefix, host, settleMs: 10_000 };
  const sink: Sink = {
    name: 'fleet',
    key: 'fleet',
    carrier: (parts) => createNatsCarrier({ ...parts, receiver, openLink: openNats }),
  };
  const shipping = await openShipping({
    sinks: [sink],
    stateDirectory: join(journal.directory, 'state'),
    directory: journal.directory,
    sender: { hostName: host, processId: 1 },
    connect: () => assert.fail('no receiver of this kind'),
    clock: systemClock,
    chance: Math.random,
    observe: (event) =>
      void events.push(event.kind === 'ship-away' ? `ship-away ${event['type']} ${event.text}` : event.kind),
  });
  closeBefore(t, () => shipping.end());
  shipping.start({ id: journal.id, seq: () => journal.seq });
  let isResting = false;
  const load = setInterval(() => {
    if (isResting) return;
    journal.write(10);
    shipping.nudge();
  }, 20);
  t.after(() => clearInterval(load));
  const state = (): string => `${JSON.stringify(shipping.sinks)} ${events.slice(-6).join('\n')}`;
  const lag = (): number => journal.seq - (shipping.sinks[0]?.sentSeq ?? Number.NaN);
  const flowsAgain = async (what: string): Promise<void> => {
    const written = journal.seq;
    await until(
      () => journal.seq - lag() > written,
      () => `records flow again: ${what}; ${state()}`,
      flowMs,
    );
  };
  await flowsAgain('at the start');
  const ledBy = async (): Promise<number> => {
    let leader: number | undefined;
    const look = async (): Promise<boolean> => {
      leader = await leaderOf(cluster, stream).catch(() => undefined);
      return leader !== undefined;
    };
    await until(look, 'there is a leader', flowMs);
    return leader ?? assert.fail();
  };
  const random = seededRandom(seed);
  /** While nothing is sent, the gate does not notice that its stream has another leader. */
  const change = async (what: string, act: (leader: number) => Promise<void>): Promise<number> => {
    const from = journal.seq + random() * 500;
    await until(() => journal.seq > from, 'records are written');
    isResting = random() < 0.5;
    if (isResting)
      await until(
        () => lag() === 0,
        () => `everything is shipped; ${state()}`,
        flowMs,
      );
    const leader = await ledBy();
    await act(leader);
    if (isResting) await until(async () => (await ledBy()) !== leader, 'another one leads', flowMs);
    t.diagnostic(`${what}${isResting ? ', at rest' : ''}: ${leader}`);
    isResting = false;
    await flowsAgain(what);
    return leader;
  };
  for (let round = 0; round < rounds; round += 1) {
    await cluster.start(await change('leader killed', (leader) => cluster.kill(leader)));
    cluster.thaw(await change('leader frozen', (leader) => cluster.freeze(leader)));
  }
  clearInterval(load);
  await until(
    () => lag() === 0 && leastSafe(shipping) === journal.seq,
    () => `all is safe; ${state()}`,
    flowMs,
  );
  await until(() => isWhole(cluster, stream), 'every replica is there', flowMs);
  for (const at of [0, 1, 2]) await cluster.kill(at);

  for (const at of [0, 1, 2]) {
    const missing = new Set(journal.lines.keys());
    let expected = 1;
    let holes = 0;
    let again = 0;
    const fleet = createFleet({
      hosts: new Map([[host, { key: undefined, silentMs: Infinity }]]),
      stream: prefix,
      openMs: Infinity,
      driftMs: Infinity,
    });
    for (const { seq, subject, header, bytes } of readStore(join(cluster.folder, `store-${at}`), stream)) {
      const valueOf = (name: string): string =>
        new RegExp(`^${name}: *(.*?)\r$`, 'm').exec(header)?.[1] ?? '';
      fleet.take({ streamSeq: seq, storedMs: 0, subject, header: valueOf, bytes }, { name: stream, host });
      const head = readHeadOf(valueOf);
      assert.ok(head?.kind === 'block');
      if (head.end === undefined) {
        if (head.first !== expected) holes += 1;
        expected = head.last + 1;
      } else again += 1;
      for (let record = head.first; record <= head.last; record += 1) missing.delete(record - 1);
    }
    t.diagnostic(
      `replica ${at}: ${journal.seq} records, ${missing.size} missing, ${holes} holes, ${again} blocks sent again`,
    );
    assert.equal(missing.size, 0, `replica ${at}`);
    const found = fleet
      .judge(0)
      .filter(({ kind }) => kind === 'missing' || kind === 'forked' || kind === 'repeated');
    assert.deepEqual(found, []);
  }
});
