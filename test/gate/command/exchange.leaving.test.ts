// Goal: a client that leaves, or we who stop, at every step of a command: nothing is sent after that, and the completion says no
// more than what is known.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Abortable } from '../../../src/host/concurrency/abortable.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import {
  allSynced,
  type MemoryEngine,
  memorySettings,
  openMemoryEngine,
  openWithClient,
} from '../../kit/gate/memory-engine.js';
import { column, columns } from '../../kit/plain/columns.js';
import { settle } from '../../kit/plain/fake-clock.js';

const settings = memorySettings.replace('search, fetch', '{ command: expunge, max_matches: 5 }, save, fetch');

const completionOf = ({ records }: MemoryEngine, command: string): AuditRecord | undefined =>
  records.find(({ record }) => record.event === 'completion' && record.command === command)?.record;

const namesOf = ({ commands }: MemoryEngine): (string | undefined)[] =>
  commands.map(({ line }) => line.split('\t')[2]);

void describe('a command whose mails are counted first', () => {
  const line = '|alice@example.org|expunge|mailbox|Trash|all';

  void test('is not sent when the client has left meanwhile', async () => {
    const { engine, client } = await openWithClient(1, { settings, answer: () => undefined });
    await client.line(line);
    client.peer.vanish();
    await settle();
    engine.commands[0]?.end.peer.send(replyPacket('guid\t1\t\n+\n'));
    await engine.untilIdle();
    assert.deepEqual(namesOf(engine), ['search']);
    const completion = completionOf(engine, 'expunge');
    assert.deepEqual([completion?.sent, completion?.error], [false, 'client-gone']);
  });

  // [while what, whether every record is awaited, what the backend says, what was sent]
  for (const [when, isStrict, says, sent] of [
    ['its record is written', false, 'guid\t1\t\n+\n', ['search']],
    ['the record of the search is written', true, undefined, []],
    ['they are counted', false, undefined, ['search']],
  ] as const)
    void test(`is not sent when we stop while ${when}`, async () => {
      const engine = openMemoryEngine({ settings: isStrict ? settings.concat(allSynced) : settings });
      engine.setAnswer(() => {
        if (says !== undefined) engine.setJournal('hold');
        return says === undefined ? undefined : replyPacket(says);
      });
      if (isStrict) engine.setJournal('hold');
      const client = await engine.client(1);
      await client.line(line);
      void engine.service.drain();
      engine.service.abort();
      await settle();
      engine.setJournal('take');
      await engine.untilIdle();
      assert.deepEqual(namesOf(engine), sent);
      const { outcome, sent: isSent, error } = completionOf(engine, 'expunge') ?? {};
      assert.deepEqual([outcome, isSent, error], ['failed', false, 'draining']);
      const search = completionOf(engine, 'search');
      if (isStrict) assert.deepEqual([search?.outcome, search?.sent], ['failed', false]);
      assert.ok(client.said().trimEnd().endsWith('-TEMPFAIL'));
    });
});

void test('a change whose client has left, and whose backend broke off or which we cut: nobody knows whether it ran', async () => {
  for (const isCut of [false, true]) {
    const { engine, client } = await openWithClient(1, { settings, answer: () => undefined });
    await client.line('|alice@example.org|mailbox subscribe|Work');
    client.peer.vanish();
    await settle();
    if (!isCut) engine.commands[0]?.end.peer.vanish();
    else {
      void engine.service.drain();
      engine.service.abort();
    }
    await engine.untilIdle();
    const completion = completionOf(engine, 'mailbox subscribe');
    assert.deepEqual([completion?.outcome, completion?.sent], ['unknown', true]);
  }
});

void test('who leaves in the moment in which its answer is whole takes nothing from the one who got its upstream', async () => {
  const one = memorySettings.replace('connections: 2', 'connections: 1');
  for (let steps = 0; steps < 60; steps += 1) {
    const engine = openMemoryEngine({ settings: one, answer: () => undefined });
    const first = await engine.client(1);
    const second = await engine.client(1);
    await first.line('|alice@example.org|quota get');
    await second.line('|bob@example.org|quota get');
    engine.commands[0]?.end.peer.send(replyPacket('\n+\n'));
    for (let step = 0; step < steps; step += 1) await Promise.resolve();
    first.peer.vanish();
    await settle();
    engine.commands.at(-1)?.end.peer.send(replyPacket('\n+\n'));
    await settle();
    const bobs = engine.records.filter(({ record }) => record.user === 'bob@example.org').at(-1)?.record;
    assert.deepEqual([steps, bobs?.event, bobs?.outcome], [steps, 'completion', 'ok']);
  }
});

// Goal: the search before a command with max_matches, at a backend that says more than it was asked: what comes behind the answer of the
// search is never the answer of the command.
const counted = memorySettings.replace('search, fetch', '{ command: expunge, max_matches: 5 }');
const expunge = '|alice@example.org|expunge|mailbox|Trash|all';
const good = replyPacket('\n+\n');

void test('a search that fails may say so twice, as it does up to 2.3.16', async () => {
  const engine = openMemoryEngine({ settings: counted });
  engine.setAnswer(() => replyPacket('\n-NOTFOUND\n\n-NOTFOUND\n'));
  const client = await engine.client(1);
  await client.line(expunge);
  assert.equal(engine.commands.length, 1);
  const search = engine.recordsOf('completion')[0];
  assert.deepEqual([search?.command, search?.outcome, search?.status], ['search', 'failed', '-NOTFOUND']);
});

for (const [what, packets] of [
  ['at once', [Buffer.concat([good, good])]],
  ['a moment later', [good, good]],
] as const)
  void test(`two answers to the search, ${what}: the command is not sent`, async () => {
    const engine = openMemoryEngine({ settings: counted });
    engine.setAnswer((line, end) => {
      if (!line.includes('search')) return replyPacket('\n-NOTFOUND\n');
      for (const packet of packets) end.peer.send(packet);
      return undefined;
    });
    const client = await engine.client(1);
    await client.line(expunge);
    assert.equal(engine.commands.length, 1);
    assert.ok(client.said().endsWith('-TEMPFAIL\n'));
    const completion = engine.recordsOf('completion').at(-1);
    assert.deepEqual([completion?.command, completion?.sent], ['expunge', false]);
    assert.notEqual(engine.dialler.ends[0]?.transport.closedFor, undefined);
  });

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
  const engine = openMemoryEngine({ settings: counted.replace('connections: 2', 'connections: 1') });
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
  assert.deepEqual(columns(ends, 'command', 'outcome', 'error', 'sent'), [
    ['search', 'aborted', 'over-share', true],
    ['expunge', 'aborted', 'over-share', false],
  ]);
  assert.equal(engine.commands.length, 1);
});

void test('where the mails are taken from another user, those of that user are counted', async () => {
  const rule = '{ command: move, max_matches: 1, where: { source-user: any } }';
  const engine = openMemoryEngine({ settings: memorySettings.replace('search, fetch', rule) });
  engine.setAnswer(() => replyPacket('guid\t1\tguid\t2\t\n+\n'));
  const client = await engine.client(1);
  await client.line('|alice@example.org|move|Archive|user|bob@example.org|mailbox|INBOX|all');
  assert.ok(client.said().endsWith('-NOPERM\n'));
  assert.deepEqual(column(engine.commands, 'line'), ['\tbob@example.org\tsearch\t--\tmailbox\tINBOX\tall']);
  const [search] = engine.records.map(({ record }) => record).filter(({ command }) => command === 'search');
  assert.equal(search?.user, 'bob@example.org');
});
