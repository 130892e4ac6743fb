// Goal: whatever replicas of a stream lose while the cluster changes its leader, each of them has every record in the end, and a verifier
// that reads from it finds nothing. The cluster is in memory and loses by a seed (DOVEGATE_SEED), also blocks that fill a hole: two of the
// messages with a record at most. A real one loses a block in some of its runs (test/whole/fleet/lost-blocks).
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { headerNames, readHeadOf } from '../../../src/evidence/fleet/block.js';
import { createFleet } from '../../../src/evidence/fleet/fleet.js';
import type { FleetMessage } from '../../../src/evidence/fleet/shapes.js';
import { NatsFault } from '../../../src/evidence/nats/fault.js';
import type { GateLink, OpenLink } from '../../../src/evidence/nats/link.js';
import { placeOf } from '../../../src/evidence/nats/servers.js';
import { createNatsCarrier } from '../../../src/ship/shipping/nats-carrier.js';
import { openShipping } from '../../../src/ship/shipping/shipping.js';
import { leastSafe } from '../../kit/gate/least-safe.js';
import { type Random, randomInteger, seededRandom } from '../../kit/plain/chunkings.js';
import { createFakeClock, type FakeClock } from '../../kit/plain/fake-clock.js';
import { openDiskJournal } from './journal-on-disk.js';
import { turn } from './shipping-story.js';

const seed = Number(process.env['DOVEGATE_SEED'] ?? 1);
const rounds = 6 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const prefix = 'DOVEGATE_AUDIT';
const host = 'gate1';
const name = `${prefix}_${host}`;
const settleMs = 10_000;
const lostMax = 2;
const servers = ['nats0', 'nats1', 'nats2'].map((each) => ({ host: each, port: 4222 }));

interface Stored {
  readonly subject: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly bytes: Buffer;
  readonly atMs: number;
}

const headOf = ({ headers }: Stored) => readHeadOf((key) => headers.get(key) ?? '');

class LossyCluster {
  readonly replicas: Stored[][] = [[], [], []];
  readonly #clock: FakeClock;
  readonly #random: Random;
  readonly #ids = new Set<string>();
  /** Of each replica, by the first record of a block. */
  readonly #lost = [0, 1, 2].map(() => new Map<number, number>());
  #leader = 0;
  #isElecting = false;
  #link: { readonly at: number; readonly end: (fault: NatsFault) => void } | undefined;
  holes = 0;

  constructor(clock: FakeClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  open(at: number): GateLink {
    let end: (fault: NatsFault) => void = () => undefined;
    const ended = new Promise<NatsFault>((resolve) => {
      end = resolve;
    });
    this.#link = { at, end };
    return {
      place: placeOf(servers[at] ?? assert.fail()),
      serverValidTo: '',
      isClustered: true,
      ended,
      close: () => Promise.resolve(),
      lastOf: (_stream, subject) => Promise.resolve(this.#lastOf(at, subject)),
      publish: (subject, headers, bytes, expected) =>
        this.#publish(subject, new Map(headers), bytes, expected),
    };
  }

  /** The leader is gone: some replicas lose some of what they were given last, and the gate notices that something happened. */
  loseLeader(): void {
    this.#isElecting = true;
    this.lose();
    if (this.#link?.at === this.#leader)
      this.#link.end(new NatsFault('closed-early', 'the server ended the connection'));
  }

  elect(): void {
    this.#isElecting = false;
    this.#leader = randomInteger(this.#random, 0, 2);
  }

  /** Contiguous messages that did not settle; the others move up. */
  lose(): void {
    for (const [at, replica] of this.replicas.entries()) {
      if (this.#random() < 0.4) continue;
      const old = this.#clock.now() - settleMs;
      const from = replica.findIndex(({ atMs }) => atMs > old);
      if (from < 0) continue;
      const begin = randomInteger(this.#random, from, replica.length - 1);
      const gone = replica.slice(begin, begin + randomInteger(this.#random, 1, 4)).filter((one) => {
        const head = headOf(one);
        if (head?.kind !== 'block') return false;
        const times = this.#lost[at]?.get(head.first) ?? 0;
        this.#lost[at]?.set(head.first, times + 1);
        return times < lostMax;
      });
      this.holes += gone.length;
      this.replicas[at] = replica.filter((one) => !gone.includes(one));
    }
  }

  #lastOf(at: number, subject: string): FleetMessage | undefined {
    const replica = this.replicas[at] ?? [];
    const last = replica.at(-1);
    if (last === undefined) return undefined;
    const header = (key: string): string => last.headers.get(key) ?? '';
    return { streamSeq: replica.length, storedMs: 0, subject, header, bytes: last.bytes };
  }

  #publish(
    subject: string,
    headers: ReadonlyMap<string, string>,
    bytes: Uint8Array,
    expected: number,
  ): ReturnType<GateLink['publish']> {
    const timeout = (): Promise<never> => Promise.reject(new NatsFault('dial-timeout', 'no answer in time'));
    if (this.#isElecting) return timeout();
    const own = this.replicas[this.#leader]?.length ?? 0;
    const id = headers.get(headerNames.id) ?? '';
    if (this.#ids.has(id)) return Promise.resolve({ streamSeq: own, isDuplicate: true });
    if (own !== expected)
      return Promise.reject(new NatsFault('wrong-sequence', `wrong last sequence: ${own}`));
    if (id !== '') this.#ids.add(id);
    for (const replica of this.replicas)
      replica.push({ subject, headers, bytes: Buffer.from(bytes), atMs: this.#clock.now() });
    return this.#random() < 0.02 ? timeout() : Promise.resolve({ streamSeq: own + 1, isDuplicate: false });
  }
}

async function story(t: TestContext, random: Random): Promise<number> {
  const clock = createFakeClock();
  const cluster = new LossyCluster(clock, random);
  const journal = openDiskJournal(t);
  const receiver = { link: { servers, name: 'x' }, stream: prefix, host, settleMs };
  const openLink: OpenLink = ({ servers: [first] }) =>
    Promise.resolve(cluster.open(servers.findIndex((each) => each.host === first?.host)));
  const sink = {
    name: 'fleet',
    key: 'fleet',
    carrier: (parts: Parameters<Parameters<typeof openShipping>[0]['sinks'][number]['carrier']>[0]) =>
      createNatsCarrier({ ...parts, receiver, openLink }),
  };
  const shipping = await openShipping({
    sinks: [sink],
    stateDirectory: join(journal.directory, 'state'),
    directory: journal.directory,
    sender: { hostName: host, processId: 1 },
    connect: () => assert.fail('no receiver of this kind'),
    clock,
    chance: () => 0.5,
    observe: () => undefined,
  });
  shipping.start({ id: journal.id, seq: () => journal.seq });
  /** Time stands still while a file is read or written. */
  const pass = async (): Promise<void> => {
    for (let ms = 0; ms < 200; ms += 20) {
      await turn(clock);
      clock.advanceNow(19);
    }
  };
  const write = async (steps: number): Promise<void> => {
    for (let step = 0; step < steps; step += 1) {
      journal.write(3);
      shipping.nudge();
      await pass();
    }
  };
  for (let change = 0; change < 5; change += 1) {
    await write(randomInteger(random, 5, 60));
    cluster.loseLeader();
    await write(randomInteger(random, 1, 10));
    cluster.elect();
    // The old leader wakes up: it disturbs the others once more.
    await write(randomInteger(random, 1, 10));
    if (random() < 0.5) cluster.lose();
  }
  const state = (): string => JSON.stringify(shipping.sinks);
  for (let turns = 0; leastSafe(shipping) !== journal.seq; turns += 1) {
    assert.ok(turns < 10_000, `everything is safe: ${state()}`);
    await pass();
  }
  const ending = { isOver: false };
  void shipping.end().then(() => {
    ending.isOver = true;
  });
  while (!ending.isOver) await turn(clock);
  for (const [at, replica] of cluster.replicas.entries()) {
    const fleet = createFleet({
      hosts: new Map([[host, { key: undefined, silentMs: Infinity }]]),
      stream: prefix,
      openMs: Infinity,
      driftMs: Infinity,
    });
    for (const [index, { subject, headers, bytes }] of replica.entries()) {
      const header = (key: string): string => headers.get(key) ?? '';
      fleet.take({ streamSeq: index + 1, storedMs: 0, subject, header, bytes }, { name, host });
    }
    assert.deepEqual(fleet.judge(0), [], `replica ${at}`);
    assert.equal(fleet.records, journal.seq, `replica ${at}`);
  }
  return cluster.holes;
}

void test('a cluster that loses blocks in some replicas: each has every record in the end', async (t) => {
  let holes = 0;
  for (let round = 0; round < rounds; round += 1) {
    const own = seed * 1_000 + round;
    try {
      holes += await story(t, seededRandom(own));
    } catch (cause) {
      throw new Error(`seed ${own}: ${String(cause)}`, { cause });
    }
  }
  t.diagnostic(`${rounds} rounds, ${holes} messages lost`);
  assert.ok(holes > rounds);
});
