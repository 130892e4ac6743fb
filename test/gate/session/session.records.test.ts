// Goal: what a session leaves beside the records of its commands. Phases: sessions with no, one and several commands, ended in every way;
// a search before a command; floods. What must not happen: a session that is neither in the journal nor in a number, one whose peer is
// nowhere, a record of a session that says only what its one command says already.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import {
  type MemoryClient,
  type MemoryEngine,
  memorySettings,
  openMemoryEngine,
  openWithClient,
} from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { accessByLogin } from './strangers.js';

const quota = '|alice@example.org|quota get';
const denied = '|alice@example.org|mailbox delete|Work';

/** Its records, `+` where one names the peer, with the reason and the count of what has one. */
function recordsOf({ records }: MemoryEngine, session?: string): string {
  const words: Partial<Record<AuditRecord['event'], string>> = {
    'session-open': 'open',
    'session-close': 'close',
    admission: 'admission',
    completion: 'completion',
  };
  return records
    .filter(
      ({ record }) => words[record.event] !== undefined && (session ?? record.session) === record.session,
    )
    .map(({ record: { event, for: twinOf, peer, reason, count } }) => {
      const word = `${twinOf === undefined ? '' : 'search '}${words[event]}${peer?.uid === 1000 ? '+' : ''}`;
      return count === undefined ? word : `${word} ${reason} ${count}`;
    })
    .join(', ');
}

type Leaves = (client: MemoryClient, engine: MemoryEngine) => unknown;
const ends: Leaves = ({ peer }) => peer.end();
const vanishes: Leaves = ({ peer }) => peer.vanish();
const stays: Leaves = () => undefined;
const isDrained: Leaves = (_client, { service }) => void service.drain();
const endsWithIt: Leaves = ({ peer }) => {
  peer.send(`${quota.replaceAll('|', '\t')}\n`);
  peer.end();
};
const leavesWithin: Leaves = async (client, engine) => {
  engine.setAnswer(() => undefined);
  await client.line(quota);
  client.peer.vanish();
};

// [hint, its lines, how it leaves, its records]
const stories: readonly (readonly [string, readonly string[], Leaves, string])[] = [
  ['no command', [], ends, 'open+, close peer-ended 0'],
  ['no command, and gone', [], vanishes, 'open+, close peer-gone 0'],
  ['no command, a broken line', ['nonsense'], stays, 'open+, close wire-fault 0'],
  ['no command, an option', ['||OPTION|log-passthrough'], ends, 'open+, close peer-ended 0'],
  ['one command', [quota], ends, 'admission+, completion'],
  ['one command, denied', [denied], ends, 'admission+, completion'],
  ['one command that dovegate answers', ['||dovegate can'], ends, 'admission+, completion'],
  ['one command, its end sent with it', [], endsWithIt, 'admission+, completion'],
  ['one command, a broken line', [quota, 'nonsense'], stays, 'admission+, completion, close wire-fault 1'],
  ['one command, then a drain', [quota], isDrained, 'admission+, completion, close draining 1'],
  ['one command, left', [], leavesWithin, 'admission+, completion, close peer-gone 1'],
  [
    'two commands',
    [quota, denied],
    ends,
    'admission+, completion, admission+, completion, close peer-ended 2',
  ],
];

for (const [hint, lines, leave, expected] of stories) {
  void test(`a session with ${hint}`, async () => {
    const { engine, client } = await openWithClient(2);
    await engine.clock.advance(3000);
    for (const line of lines) await client.line(line);
    await leave(client, engine);
    await engine.untilIdle();
    assert.equal(recordsOf(engine), expected);
    for (const { record } of engine.records) {
      if (record.event === 'session-close')
        assert.ok((record.duration_ms ?? 0) >= 3000, 'since it was accepted');
    }
  });
}

void test('a search before a command is no second command', async () => {
  const settings = memorySettings.replace('fetch,', '{ command: expunge, max_matches: 5 },');
  for (const [matches, isSent] of [
    [2, true],
    [6, false],
  ] as const) {
    const engine = openMemoryEngine({ settings });
    engine.setAnswer((line) =>
      replyPacket(line.includes('search') ? `${'guid\t1\t'.repeat(matches)}\n+\n` : '\n+\n'),
    );
    const client = await engine.client(2);
    await client.line('|alice@example.org|expunge|mailbox|Trash|all');
    assert.equal(engine.commands.length, isSent ? 2 : 1);
    client.peer.end();
    await engine.untilIdle();
    assert.equal(recordsOf(engine), 'search admission+, search completion, admission+, completion');
  }
});

void test('in a flood of refusals a session names its peer, whichever of its commands are recorded', async () => {
  const engine = openMemoryEngine();
  const flood = await engine.client(2);
  for (let at = 0; at < 110; at += 1) await flood.line(denied);
  engine.forget();
  const late = await engine.client(2);
  await late.line(denied);
  await late.line(quota);
  await late.line(quota);
  const unseen = await engine.client(2);
  await unseen.line(denied);
  const opened = engine.events.findLast((event) => event.kind === 'session-opened');
  assert.ok(opened?.kind === 'session-opened');
  const session = String(opened['session']);
  for (const client of [late, unseen]) {
    client.peer.end();
    await settle();
  }
  assert.equal(recordsOf(engine, session), 'close+ peer-ended 1', 'its command is in a number only');
  assert.equal(
    recordsOf(engine),
    'admission+, completion, admission+, completion, close peer-ended 3, close+ peer-ended 1',
  );
});

void test('in a flood of sessions those with a recorded command have all their records', async () => {
  const engine = openMemoryEngine({ settings: memorySettings.replace('sessions: 3', 'sessions: 50') });
  const clients: MemoryClient[] = [];
  for (let at = 0; at < 30; at += 1) {
    const client = await engine.client(2);
    if (at >= 28) await client.line(quota);
    clients.push(client);
  }
  await clients[29]?.line(quota);
  for (const client of clients) client.peer.end();
  await engine.untilIdle();
  engine.context.exchanges().floods.tell();
  const countOf = (event: AuditRecord['event']): number =>
    engine.records.filter(({ record }) => record.event === event).length;
  assert.deepEqual([countOf('session-open'), countOf('session-close')], [10, 11]);
  const limits = engine.recordsOf('limit').map(({ count }) => count);
  assert.deepEqual(limits, [18]);
});

for (const next of ['quota get', 'mailbox subscribe\tB', 'mailbox subscribe\tA'])
  void test(`${next} in one chunk with another command is not begun for a client that left during that one`, async () => {
    const settings = memorySettings.replace('version: 1', 'version: 1\naudit: { strict: [] }');
    const { engine, client } = await openWithClient(2, { settings, answer: () => undefined });
    client.peer.send(`\talice@example.org\tmailbox subscribe\tA\n\talice@example.org\t${next}\n`);
    await settle();
    client.peer.vanish();
    await settle();
    engine.commands[0]?.end.peer.send(replyPacket('\n+\n'));
    await settle();
    assert.equal(engine.commands.length, 1, 'sent for nobody');
    const close = engine.records.find(({ record }) => record.event === 'session-close');
    assert.deepEqual([close?.record.reason, close?.record.count], ['peer-gone', 1]);
  });

void test('who proved nothing has one second to take the last bytes', async () => {
  const engine = openMemoryEngine({ access: accessByLogin });
  const { transport, peer } = engine.serve({ uid: undefined, address: '192.0.2.1' });
  peer.setStopped(true);
  await settle();
  peer.send('VERSION\tdoveadm-server\t1\t2\n');
  await settle();
  peer.end();
  await settle();
  assert.ok(transport.closedFor !== undefined && transport.unsentBytes > 0);
  await engine.clock.advance(999);
  assert.equal(peer.isReset, false);
  await engine.clock.advance(1);
  assert.equal(peer.isReset, true);
});
