// The promise of src/host/http: whatever bytes come, cut anywhere, what is handed on as a request is what a reader who takes nothing
// that could be read in two ways makes of the same bytes, in the same order, with the same fields and the same body. It may refuse more
// than that reader, never take more; and it ends.
//
// DOVEGATE_ROUNDS multiplies the number of heads; DOVEGATE_SEED repeats a run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReadHttp } from '../../../src/host/http/requests.js';
import { cutAtRandom, pick, type Random, randomInteger, seededRandom } from '../../kit/plain/chunkings.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';
import { makeRequest, readStrictly, type Told, tell } from './targets/head-subjects.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_260_101);
const sessionsAtOnce = 200;
const headsAll = Math.ceil(6_000 * rounds);

function mutated(random: Random, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let count = randomInteger(random, 1, 3); count > 0 && copy.length > 0; count -= 1) {
    const at = randomInteger(random, 0, copy.length - 1);
    copy[at] = pick(random, [0, 9, 10, 13, 32, 58, 0x80, 0xff, randomInteger(random, 0, 255)]);
  }
  return copy;
}

const clock = createFakeClock();
const readHttp = createReadHttp();

interface Session {
  readonly bytes: Buffer;
  readonly seen: (Told & { readonly isWhole: boolean })[];
  readonly statuses: number[];
  isOver: boolean;
  send(): boolean;
}

function openSession(random: Random, bytes: Buffer): Session {
  const { transport, peer } = createMemoryTransport();
  const chunks = randomInteger(random, 1, 2) === 1 ? [bytes] : cutAtRandom(bytes, random);
  const requests = readHttp(transport);
  const session: Session = {
    bytes,
    seen: [],
    statuses: [],
    isOver: false,
    send() {
      const chunk = chunks.shift();
      if (chunk === undefined) peer.end();
      else peer.send(chunk);
      return chunk !== undefined;
    },
  };
  const serve = async (): Promise<void> => {
    for (;;) {
      const request = await requests.next();
      if (request === null) return;
      if ('malformed' in request) return void session.statuses.push(request.malformed);
      const told = await tell(request);
      session.seen.push(told);
      if (!told.isWhole) return;
      await request.answer({ status: 200, headers: [], isLast: false }, Buffer.from('x'));
    }
  };
  void serve()
    .catch(() => undefined)
    .finally(() => {
      session.isOver = true;
      transport.close('peer-ended');
    });
  return session;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

void test(`${headsAll} heads: nothing is read that a strict reader would not read`, {
  timeout: 60_000 + headsAll * 10,
}, async (t) => {
  const random = seededRandom(seed);
  const unhandled: unknown[] = [];
  const keep = (fault: unknown): void => void unhandled.push(fault);
  process.on('unhandledRejection', keep);
  process.on('uncaughtException', keep);
  let heads = 0;
  let taken = 0;
  let strict = 0;
  let mostBytes = 0;
  const statuses = new Map<number, number>();
  try {
    while (heads < headsAll) {
      const sessions: Session[] = [];
      for (let count = 0; count < sessionsAtOnce; count += 1) {
        const made = Array.from({ length: randomInteger(random, 1, 3) }, () => makeRequest(random));
        heads += made.length;
        const bytes = Buffer.from(made.join(''), 'latin1');
        sessions.push(
          openSession(random, randomInteger(random, 1, 4) === 1 ? mutated(random, bytes) : bytes),
        );
      }
      let open = sessions;
      while (open.length > 0) {
        open = open.filter((session) => session.send());
        await turn();
        await clock.advance(1);
      }
      for (let turns = 0; turns < 50 && sessions.some(({ isOver }) => !isOver); turns += 1) {
        await turn();
        await clock.advance(1);
      }
      for (const session of sessions) {
        const { seen, bytes } = session;
        const shown = (): string => JSON.stringify(bytes.toString('latin1').slice(0, 3_000));
        assert.ok(session.isOver, `it does not end: ${shown()}`);
        const { whole, cut } = readStrictly(bytes);
        strict += whole.length;
        for (const [at, { head, body, isWhole }] of seen.entries()) {
          const expected = whole[at] ?? (isWhole ? undefined : cut);
          assert.equal(head, expected?.head, shown());
          if (isWhole) assert.equal(body, expected?.body, shown());
          else assert.ok(expected?.body.startsWith(body), shown());
          if (isWhole) taken += 1;
        }
        for (const status of session.statuses) statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
      assert.deepEqual(unhandled, []);
      mostBytes = Math.max(mostBytes, process.memoryUsage.rss());
    }
  } finally {
    process.off('unhandledRejection', keep);
    process.off('uncaughtException', keep);
  }
  t.diagnostic(
    `${heads} heads: ${strict} whole requests for the strict reader, ${taken} of them taken; ` +
      `${JSON.stringify(Object.fromEntries(statuses))}; ${(mostBytes / 1e6).toFixed(0)} MB at most`,
  );
  assert.ok(taken > heads / 10 && (statuses.get(400) ?? 0) > heads / 20 && (statuses.get(431) ?? 0) > 0);
});
