// Goal: the search before a command with max_matches, at a backend that says more than it was asked: what comes behind the answer of the
// search is never the answer of the command.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Abortable } from '../../../src/host/concurrency/abortable.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import { type MemoryEngine, memorySettings, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';

const settings = memorySettings.replace('search, fetch', '{ command: expunge, max_matches: 5 }');
const good = replyPacket('\n+\n');

// [what, packets of the search's answer]
const cases: readonly (readonly [string, readonly Buffer[]])[] = [
  ['at once', [Buffer.concat([good, good])]],
  ['a moment later', [good, good]],
];
void test('a search that fails may say so twice, as it does up to 2.3.16', async () => {
  const engine = openMemoryEngine({ settings });
  engine.setAnswer(() => replyPacket('\n-NOTFOUND\n\n-NOTFOUND\n'));
  const client = await engine.client(1);
  await client.line('|alice@example.org|expunge|mailbox|Trash|all');
  assert.equal(engine.commands.length, 1);
  const search = engine.recordsOf('completion')[0];
  assert.deepEqual([search?.command, search?.outcome, search?.status], ['search', 'failed', '-NOTFOUND']);
});

for (const [what, packets] of cases) {
  void test(`two answers to the search, ${what}: the command is not sent`, async () => {
    const engine = openMemoryEngine({ settings });
    engine.setAnswer((line, end) => {
      if (!line.includes('search')) return replyPacket('\n-NOTFOUND\n');
      for (const packet of packets) end.peer.send(packet);
      return undefined;
    });
    const client = await engine.client(1);
    await client.line('|alice@example.org|expunge|mailbox|Trash|all');
    assert.equal(engine.commands.length, 1);
    assert.ok(client.said().endsWith('-TEMPFAIL\n'));
    const completion = engine.recordsOf('completion').at(-1);
    assert.deepEqual([completion?.command, completion?.sent], ['expunge', false]);
    assert.equal(engine.dialler.ends[0]?.transport.closedFor !== undefined, true);
  });
}

const expunge = '|alice@example.org|expunge|mailbox|Trash|all';

/** What comes between the question and the answer of the search; what of the command is sent and recorded after that. */
async function meanwhile(rule: string, happens: (engine: MemoryEngine) => Promise<void> | void) {
  const engine = openMemoryEngine({ settings: memorySettings.replace('search, fetch', rule) });
  engine.setAnswer((line) => (line.includes('search') ? undefined : good));
  const client = await engine.client(1);
  await client.line(expunge);
  assert.equal(engine.commands.length, 1);
  await happens(engine);
  engine.commands[0]?.end.peer.send(good);
  await settle();
  return {
    sent: engine.commands.length - 1,
    completion: engine.recordsOf('completion').at(-1),
    idle: engine.pool.snapshot().idle,
  };
}

void test('a rule that ends while its mails are counted allows the command no more', async () => {
  const rule = '{ command: expunge, max_matches: 5, expires: "2026-01-02T03:05:00Z" }';
  const { sent, completion, idle } = await meanwhile(rule, (engine) => engine.clock.leap(60_000));
  assert.deepEqual([sent, completion?.outcome, completion?.sent, idle], [0, 'denied', false, 1]);
});

void test('after a reload while its mails are counted the stricter one counts', async () => {
  const rule = '{ command: expunge, max_matches: 5 }';
  const { sent, completion } = await meanwhile(rule, (engine) => {
    const denies = memorySettings.replace('search, fetch', 'fetch');
    const policy = openMemoryEngine({ settings: denies }).settings.policies.get('support');
    const exchanges = { ...engine.context.exchanges() };
    Object.assign(engine.context, { exchanges: () => exchanges, policy: () => policy });
  });
  assert.deepEqual([sent, completion?.outcome, completion?.sent], [0, 'denied', false]);
});

void test('a search that keeps others from the only upstream ends for them: the command is not sent', async () => {
  const engine = openMemoryEngine({ settings: settings.replace('connections: 2', 'connections: 1') });
  engine.setAnswer((line) => (line.includes('search') ? undefined : good));
  const client = await engine.client(1);
  await client.line(expunge);
  assert.equal(engine.commands.length, 1);
  const other = engine.pool.withLease({
    principal: 'victim@jobs',
    origin: 'victim',
    weight: 1,
    isFresh: false,
    isYoung: false,
    abortable: new Abortable(),
    use: () => Promise.resolve({ value: 'served', closeFor: undefined }),
  });
  await engine.clock.advance(9_900);
  assert.ok(!client.said().includes('-TEMPFAIL'), 'the backend has 10 s');
  await engine.clock.advance(700);
  assert.ok(client.said().endsWith('-TEMPFAIL\n'));
  assert.equal(await other, 'served');
  const ends = engine.recordsOf('completion');
  assert.deepEqual(
    ends.map(({ command, outcome, error, sent }) => [command, outcome, error, sent]),
    [
      ['search', 'aborted', 'over-share', true],
      ['expunge', 'aborted', 'over-share', false],
    ],
  );
  assert.equal(engine.commands.length, 1);
});

void test('where the mails are taken from another user, those of that user are counted', async () => {
  const rule = '{ command: move, max_matches: 1, where: { source-user: any } }';
  const engine = openMemoryEngine({ settings: memorySettings.replace('search, fetch', rule) });
  engine.setAnswer(() => replyPacket('guid\t1\tguid\t2\t\n+\n'));
  const client = await engine.client(1);
  await client.line('|alice@example.org|move|Archive|user|bob@example.org|mailbox|INBOX|all');
  assert.ok(client.said().endsWith('-NOPERM\n'));
  assert.deepEqual(
    engine.commands.map(({ line }) => line),
    ['\tbob@example.org\tsearch\t--\tmailbox\tINBOX\tall'],
  );
  const [search] = engine.records.map(({ record }) => record).filter(({ command }) => command === 'search');
  assert.equal(search?.user, 'bob@example.org');
});
