// Goal: one client from accept to close. Phases: handshakes of every kind; commands one after another; what ends a session; a peer that
// ends its side, or leaves; drain, abort and cut in every phase. What must not happen: an answer to a broken line, a line of input
// run as a command, a command run for a session that is closed, a session that leaves neither a record nor a number.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelAccess } from '../../../src/gate/session/greet-peer.js';
import { createLineTurns } from '../../../src/gate/session/line-turns.js';
import { Session } from '../../../src/gate/session/session.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import {
  allSynced,
  emptyReply,
  type MemoryClient,
  type MemoryEngine,
  memorySettings,
  openMemoryEngine,
  openWithClient,
} from '../../kit/gate/memory-engine.js';
import { columns } from '../../kit/plain/columns.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';
import { accessByLogin } from './strangers.js';

const ourVersion = 'VERSION\tdoveadm-client\t1\t3\n+\n';
const ok = '\0\0\0\0\x03\n+\n';
const quota = '|alice@example.org|quota get';

/** Why the last session ended, by its record; undefined: there is none. */
function lastReason(engine: MemoryEngine): string | undefined {
  return engine.recordsOf('session-close').at(-1)?.reason;
}

/** Ends the story: nothing is left of it. */
async function assertEnds(engine: MemoryEngine, client?: MemoryClient): Promise<void> {
  client?.peer.end();
  await engine.untilIdle();
  engine.context.exchanges().floods.tell();
  engine.pool.drain();
  await settle();
  assert.deepEqual([engine.clock.timers, engine.dialler.open.length, engine.service.sessions], [0, 0, 0]);
  // Each session is in the journal, with its peer, or in a number.
  const sessions = engine.events.filter((event) => event.kind === 'session-opened').length;
  const named = engine.records.flatMap(({ record: { session, peer } }) => (peer && session ? session : []));
  const counted = engine.recordsOf('limit').filter(({ action }) => action === 'session');
  const swallowed = counted.reduce((sum, { count = 0 }) => sum + count, 0);
  assert.equal(new Set(named).size + swallowed, sessions);
}

void test('the handshake of every minor', async () => {
  for (const minor of [0, 1, 2, 3, 4]) {
    const { engine, client } = await openWithClient(minor);
    assert.equal(String(client.peer.received()), minor === 0 ? '+\n' : ourVersion);
    await client.line(quota);
    assert.equal(client.said(), minor === 0 ? '\n+\n' : ok);
    await assertEnds(engine, client);
    assert.equal(client.transport.closedFor, 'peer-ended');
    const opened = engine.events.find((event) => event.kind === 'session-opened');
    assert.ok(opened?.kind === 'session-opened');
    assert.equal(opened['minor'], Math.min(minor, 3));
  }
});

void test('a refusal is a cell for a client of minor 0 where its listener said so at its start', async () => {
  let refusalCell = true;
  const engine = openMemoryEngine({
    access: () => ({
      ...kernelAccess,
      get refusalCell() {
        return refusalCell;
      },
    }),
  });
  const [plain, framed] = [await engine.client(0), await engine.client(2)];
  // A reload changes nothing for sessions that run.
  refusalCell = false;
  const later = await engine.client(0);
  for (const client of [plain, framed, later]) {
    await client.line('|alice@example.org|mailbox delete|X');
    await client.line('|alice@example.org|nonsense');
    await client.line(quota);
    client.peer.end();
  }
  await assertEnds(engine);
  assert.match(
    plain.said(),
    /^dovegate: denied [^\t\n]* \[denied\], id \w{26}\t\n-NOPERM\ndovegate: [^\t\n]* \[command-unknown\], id \w{26}\t\n-USAGE\n\n\+\n$/,
  );
  assert.match(framed.said(), /\0\0\0\0\x09\n-NOPERM\n.*\0\0\0\0\x08\n-USAGE\n/s);
  assert.equal(later.said(), '\n-NOPERM\n\n-USAGE\n\n+\n');
});

void test('the handshake in pieces, and commands in the same chunk', async () => {
  const engine = openMemoryEngine();
  const client = await engine.client();
  for (const byte of 'VERSION\tdoveadm-server\t1\t2') client.peer.send(byte);
  await settle();
  assert.equal(client.said(), '');
  client.peer.send(`\n\talice@example.org\tquota get\n\talice@example.org\tquota get\n`);
  await settle();
  assert.equal(client.said(), `${ourVersion}${ok}${ok}`);
  await assertEnds(engine, client);
});

void test('no handshake: each ends without a byte, and leaves no record of a session', async () => {
  const greetings: readonly (readonly [string, string])[] = [
    ['GET / HTTP/1.1\r\n', 'wire-fault'],
    ['VERSION\tdoveadm-server\t2\t0\n', 'wire-fault'],
    ['VERSION\tdoveadm-client\t1\t0\n', 'wire-fault'],
    ['x'.repeat(100_000), 'wire-fault'],
  ];
  for (const [greeting, reason] of greetings) {
    const engine = openMemoryEngine();
    const client = await engine.client();
    client.peer.send(greeting);
    await settle();
    assert.deepEqual([client.said(), client.transport.closedFor], ['', reason]);
    assert.deepEqual(engine.records, []);
    const closed = engine.events.find((event) => event.kind === 'session-closed');
    assert.ok(closed?.kind === 'session-closed');
    assert.deepEqual([closed['reason'], closed['exchanges']], [reason, 0]);
    await assertEnds(engine);
  }
});

void test('while too much input is held, nobody new is read, within the time of a handshake', async () => {
  const engine = openMemoryEngine();
  const { buffered } = engine.context.exchanges();
  buffered.take(engine.settings.limits.bufferedBytesMax, 'others');
  const patient = await engine.client(2);
  const { peer } = patient;
  assert.equal(peer.received().length, 0);
  buffered.give(1, 'others');
  await settle();
  assert.ok(peer.received().length > 0);
  peer.end();
  buffered.take(1, 'others');
  const late = await engine.client(2);
  await engine.clock.advance(engine.settings.limits.handshakeMs);
  assert.equal(late.transport.closedFor, 'handshake-timeout');
  assert.equal(late.peer.received().length, 0);
  await engine.untilIdle();
  assert.equal(engine.clock.timers, 0);
});

void test('a handshake that does not come, or is not finished: its time, its end', async () => {
  for (const said of ['', 'VERSION']) {
    const engine = openMemoryEngine();
    const client = await engine.client();
    client.peer.send(said);
    await engine.clock.advance(engine.settings.limits.handshakeMs - 1);
    assert.equal(client.transport.closedFor, undefined);
    await engine.clock.advance(1);
    assert.equal(client.transport.closedFor, 'handshake-timeout');
    await assertEnds(engine);
    const left = openMemoryEngine();
    const other = await left.client();
    other.peer.send(said);
    other.peer.end();
    await settle();
    assert.equal(other.transport.closedFor, 'peer-ended');
    await assertEnds(left);
  }
});

void test('commands one after another, in the order in which they came, however they are cut', async () => {
  const engine = openMemoryEngine({ answer: (line) => replyPacket(`${line.split('\t')[2]}\t\n+\n`) });
  const client = await engine.client(0);
  const lines = ['quota get', 'mailbox subscribe\tWork', 'nonsense', 'quota get'];
  for (const byte of lines.map((line) => `\talice@example.org\t${line}\n`).join('')) client.peer.send(byte);
  await settle();
  await settle();
  assert.equal(client.said(), 'quota get\t\n+\nmailbox subscribe\t\n+\n\n-USAGE\nquota get\t\n+\n');
  await assertEnds(engine, client);
  assert.equal(engine.recordsOf('session-close')[0]?.count, 4);
});

void test('a peer that ends its side gets its answers', async () => {
  const { engine, client } = await openWithClient(0, { answer: () => undefined });
  await client.line(`${quota}\n${quota.replace('alice', 'bob')}`.replaceAll('|', '\t'));
  client.peer.end();
  await settle();
  assert.equal(client.transport.closedFor, undefined);
  for (const n of [0, 1]) {
    engine.commands[n]?.end.peer.send(replyPacket('row\t\n+\n'));
    await settle();
  }
  assert.equal(client.said(), 'row\t\n+\nrow\t\n+\n');
  assert.equal(client.transport.closedFor, 'peer-ended');
  await assertEnds(engine);
});

void test('a broken line ends the session without an answer, and nothing behind it is looked at', async () => {
  for (const broken of ['one field', '', 'q\tx\ty', '\talice\x01\tquota get']) {
    const { engine, client } = await openWithClient(3);
    client.peer.send(`${broken}\n\talice@example.org\tquota get\n`);
    await settle();
    assert.equal(client.said(), '', broken.slice(0, 20));
    assert.deepEqual([client.transport.closedFor, lastReason(engine)], ['wire-fault', 'wire-fault']);
    assert.equal(engine.commands.length, 0);
    assert.match(engine.recordsOf('session-close')[0]?.text ?? '', /^(bad-command|bad-escape): /);
    await assertEnds(engine);
  }
});

void test('a line above limits.line gets an answer with the limit, after its end, and nothing behind it is looked at', async () => {
  const long = `\talice@example.org\tfetch\tuid\tuid\t${'1,'.repeat(35_000)}`;
  for (const minor of [0, 2, 3]) {
    const { engine, client } = await openWithClient(minor);
    if (minor === 3) await client.line('||OPTION|log-passthrough');
    client.peer.send(long);
    await settle();
    assert.equal(client.said(), '', 'a client that still writes does not read');
    client.peer.send(`1\n${quota.replaceAll('|', '\t')}\n`);
    await settle();
    assert.match(client.said(), /\n-USAGE\n$/);
    const sentence = 'dovegate: the command line is longer than 65536 bytes (limits.line): nothing was sent';
    assert.equal(client.said().includes(sentence), minor > 0);
    assert.equal(client.said().includes('[line-too-long]'), minor > 0);
    assert.deepEqual([client.transport.closedFor, lastReason(engine)], ['wire-fault', 'wire-fault']);
    assert.match(engine.recordsOf('session-close')[0]?.text ?? '', /^line-too-long: .*65536/);
    assert.equal(engine.commands.length, 0);
    await assertEnds(engine);
  }
});

void test('a line of too many fields is refused, and the session goes on unless input may follow', async () => {
  const many = '|-'.repeat(bounds.commandFields);
  for (const minor of [0, 3]) {
    const engine = openMemoryEngine({ settings: `${memorySettings}\nlimits: { line: 512KiB }\n` });
    const client = await engine.client(minor);
    if (minor === 3) await client.line('||OPTION|log-passthrough');
    await client.line(`|alice@example.org|quota get${many}`);
    const refused = client.said();
    assert.match(refused, /\n-USAGE\n$/);
    assert.equal(refused.includes('the line has more than 4096 fields; use several commands'), minor > 0);
    await client.line(quota);
    assert.equal(engine.commands.length, 1);
    // Text of the mail may follow, and is not run.
    await client.line(`|alice@example.org|save${many}`);
    assert.match(client.said(), /\n-USAGE\n$/);
    await client.line(quota);
    assert.equal(engine.commands.length, 1);
    assert.deepEqual(columns(engine.recordsOf('completion'), 'command', 'outcome', 'error'), [
      ['quota get', 'unparsable', 'too-many'],
      ['quota get', 'ok', undefined],
      ['save', 'unparsable', 'too-many'],
    ]);
    await assertEnds(engine, client);
  }
});

void test('450 unfinished lines of one uid hold no more than its share, and another uid is served', async () => {
  const line = 800_000;
  const settings = `${memorySettings.replace('sessions: 3', 'sessions: 1000, sessions_per_peer: 500')}
limits: { line: 878KiB, buffered: 64MiB }
`;
  const engine = openMemoryEngine({ settings });
  const { buffered } = engine.context.exchanges();
  const share = engine.settings.limits.bufferedBytesMax / 2;
  const clients: Awaited<ReturnType<typeof engine.client>>[] = [];
  let most = 0;
  for (let at = 0; at < 450; at += 1) {
    const client = await engine.client(2, { uid: 1001 });
    client.peer.send(Buffer.alloc(line, 'x'));
    await settle();
    clients.push(client);
    most = Math.max(most, buffered.bytes);
  }
  assert.ok(most > share - line && most <= share + line, String(most));
  const refused = clients.filter(({ transport, peer }) => {
    peer.end();
    return transport.closedFor !== undefined;
  });
  const other = await engine.client(2, { uid: 1002 });
  await other.line(quota);
  assert.match(other.said(), /\n\+\n$/);
  other.peer.end();
  await engine.untilIdle();
  for (const client of clients.slice(60)) assert.match(client.said(), /\[line-no-room\].*\n-TEMPFAIL\n$/s);
  assert.equal(buffered.bytes, 0);
  assert.equal(refused.length, 0, 'the rest of a line comes first');
  await assertEnds(engine);
});

void test('input of a refused command is read to its end and dropped, within its limits', async () => {
  const { engine, client } = await openWithClient(0);
  await client.line('|alice@example.org|save|-m|INBOX');
  assert.equal(client.said(), '');
  await client.line('|alice@example.org|mailbox subscribe|Smuggled');
  assert.equal(client.said(), '');
  await client.line(`.\n\talice@example.org\tquota get`);
  assert.equal(client.said(), '\n-NOPERM\n\n+\n');
  const names = engine.commands.map(({ line }) => line.split('\t')[2]);
  assert.deepEqual(names, ['quota get']);
  // One more, which stops in the middle.
  await client.line('|alice@example.org|save|-m|INBOX');
  await engine.clock.advance(engine.settings.limits.inputTimeMs);
  assert.deepEqual([client.transport.closedFor, lastReason(engine)], ['input-limit', 'input-limit']);
  await assertEnds(engine);
});

void test('a refused command of which nobody can tell whether input follows: the answer, then the end', async () => {
  const { engine, client } = await openWithClient(0);
  await client.line('|alice@example.org|save|--nonsense');
  assert.equal(client.said(), '\n-USAGE\n');
  assert.equal(client.transport.closedFor, 'input-unknown');
  await assertEnds(engine);
});

void test('a peer that leaves: a command that reads or waits is given up, a change is left to finish', async () => {
  const stories: readonly (readonly [string, string, boolean])[] = [
    ['quota get', 'aborted', false],
    ['mailbox subscribe|Work', 'ok', true],
  ];
  for (const [command, outcome, goesOn] of stories) {
    const { engine, client } = await openWithClient(2, { answer: () => undefined });
    await client.line(`|alice@example.org|${command}`);
    const [asked] = engine.commands;
    assert.ok(asked);
    client.peer.vanish();
    await settle();
    assert.equal(asked.end.transport.closedFor === undefined, goesOn);
    if (goesOn) asked.end.peer.send(replyPacket('\n+\n'));
    await assertEnds(engine);
    const [completion] = engine.recordsOf('completion');
    assert.deepEqual([completion?.outcome, completion?.sent], [outcome, true]);
    assert.equal(lastReason(engine), 'peer-gone');
  }
  const waiting = openMemoryEngine({ answer: () => undefined });
  const clients = [await waiting.client(2), await waiting.client(2), await waiting.client(2)];
  for (const client of clients) await client.line('|alice@example.org|mailbox subscribe|Work');
  assert.equal(waiting.pool.snapshot().waiters, 1);
  clients[2]?.peer.vanish();
  await settle();
  assert.equal(waiting.pool.snapshot().waiters, 0);
  assert.equal(waiting.recordsOf('completion')[0]?.outcome, 'aborted');
  for (const { end } of waiting.commands) end.peer.send(replyPacket('\n+\n'));
  for (const client of clients.slice(0, 2)) client.peer.end();
  await assertEnds(waiting);
});

void test('a peer that does not read its answers is closed after its time', async () => {
  const engine = openMemoryEngine();
  const row = `${'x'.repeat(999)}\t`;
  engine.setAnswer(() => replyPacket(`${row.repeat(100)}\n+\n`));
  const client = await engine.client(2);
  client.peer.setStopped(true);
  await client.line(quota);
  await engine.clock.advance(engine.settings.limits.clientStallMs - 1);
  assert.equal(client.transport.closedFor, undefined);
  // The backend did its part, so its upstream is free long since.
  assert.deepEqual([engine.pool.snapshot().idle, engine.recordsOf('completion')[0]?.outcome], [1, 'ok']);
  await engine.clock.advance(1);
  assert.equal(client.transport.closedFor, 'client-stall');
  client.peer.setStopped(false);
  await assertEnds(engine);
});

void test('a session that sends without end lets others have their turn', async () => {
  const engine = openMemoryEngine({ workMs: 1 });
  const flood = await engine.client(0);
  const other = await engine.client(0);
  flood.peer.send('\tbob@elsewhere.org\tquota get\n'.repeat(100));
  other.peer.send('\talice@example.org\tquota get\n');
  for (let turns = 0; other.said() === ''; turns += 1) {
    assert.ok(turns < 10);
    await settle();
  }
  assert.ok(flood.said().length < 100 * '\n-NOPERM\n'.length);
  flood.peer.end();
  other.peer.end();
  await assertEnds(engine);
  assert.equal(flood.said().length, 100 * '\n-NOPERM\n'.length);
});

void test('drain: an idle session now, one that runs after its answer', async () => {
  const engine = openMemoryEngine();
  const idle = await engine.client(2);
  await idle.line(quota);
  const greeting = await engine.client();
  await engine.clock.advance(1000);
  engine.setAnswer(() => undefined);
  const busy = await engine.client(2);
  await busy.line(`${quota}\n${quota}`.replaceAll('|', '\t'));
  const drained = engine.service.drain();
  await settle();
  assert.deepEqual(
    [idle, greeting, busy].map(({ transport }) => transport.closedFor),
    ['draining', 'draining', undefined],
  );
  engine.commands[1]?.end.peer.send(replyPacket('\n+\n'));
  await drained;
  assert.deepEqual([busy.said(), busy.transport.closedFor], [ok, 'draining']);
  assert.equal(engine.commands.length, 2, 'the second command is not begun');
  await assertEnds(engine);
});

void test('abort ends also who was accepted a moment ago', async () => {
  const { engine, client } = await openWithClient(2);
  const drained = engine.service.drain();
  engine.service.abort();
  assert.equal(client.transport.closedFor, 'draining');
  await drained;
  await assertEnds(engine);
});

void test('cut: closed now, whatever is still to be said', async () => {
  const engine = openMemoryEngine({ answer: () => replyPacket(`${'x'.repeat(99_999)}\t\n+\n`) });
  const client = await engine.client(2);
  client.peer.setStopped(true);
  await client.line(quota);
  engine.service.cut();
  await settle();
  assert.deepEqual([client.transport.closedFor, client.peer.isReset], ['draining', true]);
  await assertEnds(engine);
});

void test('a journal that refuses: nothing is sent, strict or not, and observers hear of it', async () => {
  for (const settings of [memorySettings, memorySettings.concat(allSynced)]) {
    const engine = openMemoryEngine({ settings });
    engine.setJournal('refuse');
    const client = await engine.client(2);
    await client.line(quota);
    assert.match(client.said(), /the audit record could not be written.*-TEMPFAIL/s);
    assert.equal(engine.commands.length, 0);
    assert.ok(engine.events.some(({ kind }) => kind === 'audit-failed'));
    engine.setJournal('take');
    await client.line(quota);
    assert.ok(client.said().endsWith(ok));
    client.peer.end();
    await engine.untilIdle();
    engine.pool.drain();
    await settle();
    assert.deepEqual([engine.clock.timers, engine.dialler.open.length], [0, 0]);
  }
});

void test('nothing is sent before the admission is on disk', async () => {
  const { engine, client } = await openWithClient(2, { settings: memorySettings.concat(allSynced) });
  engine.setJournal('hold');
  await client.line(quota);
  await settle();
  assert.deepEqual([engine.commands.length, engine.dialler.dials], [0, 0]);
  engine.setJournal('take');
  await settle();
  assert.deepEqual([engine.commands.length, client.said()], [1, ok]);
  const admission = engine.records.find(({ record }) => record.event === 'admission');
  assert.equal(admission?.durable, true);
  await assertEnds(engine, client);
});

void test('a bug in the evaluation of one line ends that session only, and says so', async () => {
  const engine = openMemoryEngine({});
  const { transport, peer } = createMemoryTransport();
  const { context } = engine;
  const policy = (): never => {
    throw new Error('an assumption was false');
  };
  const who = { listener: 'support' };
  const host = {
    lineTurns: createLineTurns(engine.clock),
    onStanding: () => undefined,
    admit: () => undefined,
    onEnd: () => undefined,
  };
  const listener = { ...engine.listener, context: { ...context, policy } };
  const { done } = new Session(host, listener, transport, who, Promise.resolve(who));
  peer.send('VERSION\tdoveadm-server\t1\t0\n\talice@example.org\tquota get\n');
  await done;
  assert.equal(transport.closedFor, 'internal');
  assert.equal(engine.recordsOf('session-close')[0]?.text, 'an assumption was false');
  engine.setAnswer(emptyReply);
  const client = await engine.client(2);
  await client.line(quota);
  assert.equal(client.said(), ok);
  await assertEnds(engine, client);
});

void test('a refused line counts as work for the time that it took', async () => {
  const engine = openMemoryEngine({});
  await engine.clock.advance(1_000);
  const { transport, peer } = createMemoryTransport();
  const used: number[] = [];
  const host = {
    lineTurns: {
      enter: () => undefined,
      used: (...[, , ms]: [object, string, number]) => void used.push(ms),
      size: 0,
    },
    onStanding: () => undefined,
    admit: () => undefined,
    onEnd: () => undefined,
  };
  const who = { listener: 'support' };
  const session = new Session(host, engine.listener, transport, who, Promise.resolve(who));
  peer.send('VERSION\tdoveadm-server\t1\t0\n\tbob@example.org\tmailbox delete\tINBOX\n');
  await settle();
  assert.equal(engine.recordsOf('admission').length, 1);
  assert.deepEqual(used, [0, 0]);
  peer.end();
  await session.done;
});

void test('a tag is recorded with the next command only, and what is no tag is ignored', async () => {
  const { engine, client } = await openWithClient(2);
  for (const line of [
    '||OPTION|dovegate-tag=bulk-1.2',
    quota,
    quota,
    '||OPTION|dovegate-tag=a b',
    quota,
    `||OPTION|dovegate-tag=${'x'.repeat(65)}`,
    quota,
    '||OPTION|dovegate-tag=of:a-dry-run',
    '||dovegate dry-run|-u|alice@example.org|--|quota get',
  ])
    await client.line(line);
  const tags = engine.recordsOf('admission').map(({ tag }) => tag);
  assert.deepEqual(tags, ['bulk-1.2', undefined, undefined, undefined, 'of:a-dry-run']);
});

// Goal: what a session leaves beside the records of its commands. Phases: sessions with no, one and several commands, ended in every way;
// a search before a command; floods. What must not happen: a session that is neither in the journal nor in a number, one whose peer is
// nowhere, a record of a session that says only what its one command says already.

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

// Goal: a dry run says how many mails the command would concern, found by a search that has records of its own; the command itself is
// never sent, and what would stop it stops the dry run.

const guid = '0123456789abcdef0123456789abcdef';

function settingsOf(rules: string, more = '', backends = ['mail1']): string {
  const address = (name: string): string =>
    `  ${name}: { address: "unix:/run/${name}/doveadm-server", connections: 2, series: "2.4", shared_namespaces: [] }`;
  return `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support } }
backends:
${backends.map(address).join('\n')}
routes: [{ users: ["*"], ${backends.length > 1 ? `spread: [${backends.join(', ')}]` : 'backend: mail1'} }]
policies:
  support:
    users: ["${rules.includes('all_users') ? '*' : '*@example.org'}"]
    allow: [${rules}]
    ${more}
`;
}

const expunge = '||dovegate dry-run|-u|alice@example.org|--|expunge|mailbox|Trash|all';
const sent = (engine: MemoryEngine): string[] =>
  engine.commands.map(({ line }) => line.replaceAll('\t', '|'));

function answerWith(engine: MemoryEngine, rows: string): void {
  engine.setAnswer((line) => replyPacket(line.includes('search') ? `${rows}\n+\n` : '\n+\n'));
}

void test('the mails are counted by a search, with records before it is sent, and nothing else is', async () => {
  const engine = openMemoryEngine({ settings: settingsOf('expunge'), minor: 3 });
  answerWith(engine, `${guid}\t1\t${guid}\t2\t${guid}\t7\t`);
  const client = await engine.client(2);
  await client.line(expunge);
  assert.match(client.said(), /\tmails\t3\t\n\+\n$/);
  assert.deepEqual(sent(engine), ['|alice@example.org|search|--|mailbox|Trash|all']);
  assert.equal(engine.commands[0]?.admissions, 1);
  const told = engine.records
    .map(({ record }) => record)
    .filter(({ event }) => event === 'admission' || event === 'completion')
    .map(({ event, command, effect, user, users, matches, sent: isSent }) => [
      event,
      command,
      effect ?? isSent,
      user,
      users?.join(' ') ?? matches,
    ]);
  assert.deepEqual(told, [
    ['admission', 'search', 'read', 'alice@example.org', 'alice@example.org'],
    ['completion', 'search', true, 'alice@example.org', undefined],
    ['admission', 'dovegate dry-run', 'session', '', ''],
    ['completion', 'dovegate dry-run', false, '', undefined],
  ]);
  const [search, , dryRun] = engine.records
    .map(({ record }) => record)
    .filter(({ event }) => event !== 'session-open');
  assert.equal(search?.for, dryRun?.id);
  assert.equal(dryRun?.matches, 3);
});

const alice = '-u|alice@example.org|--';
// [the rules, the command, what is searched]
const counted: readonly (readonly [string, string, string?])[] = [
  ['expunge', `${alice}|expunge|mailbox|x|all`, 'alice@example.org|search|--|mailbox|x|all'],
  ['flags add', `${alice}|flags add|\\Seen|all`, 'alice@example.org|search|--|all'],
  // Mails are taken from bob, and would go to alice.
  [
    '{ command: move, where: { source-user: any } }',
    `${alice}|move|x|user|bob@example.org|mailbox|y|all`,
    'bob@example.org|search|--|mailbox|y|all',
  ],
  ['copy', `${alice}|copy|x|all`, 'alice@example.org|search|--|all'],
  ['fetch', `${alice}|fetch|uid|all`, 'alice@example.org|search|--|all'],
  ['quota get', `${alice}|quota get`],
];
for (const [rules, command, searched] of counted) {
  void test(`dry run of ${command}`, async () => {
    const { engine, client } = await openWithClient(2, { settings: settingsOf(rules), minor: 3 });
    await client.line(`||dovegate dry-run|${command}`);
    assert.match(client.said(), searched === undefined ? /\teffect\tread\t/ : /\tmails\t0\t/);
    assert.match(client.said(), /\n\+\n$/);
    assert.deepEqual(sent(engine), searched === undefined ? [] : [`|${searched}`]);
    assert.equal(client.said().includes('\tmails\t'), searched !== undefined);
  });
}

void test('of all users on several backends the mails are added up, and a backend that fails is a failure', async () => {
  const settings = settingsOf('{ command: expunge, all_users: true, where: { query: any } }', '', [
    'mail1',
    'mail2',
  ]);
  const engine = openMemoryEngine({ settings, minor: 3 });
  answerWith(engine, `${guid}\t1\t`);
  const client = await engine.client(3);
  await client.line('||dovegate dry-run|--|expunge|-A|mailbox|x|all');
  assert.match(client.said(), /\tmails\t2\t\n\+\n$/);
  engine.setAnswer((_line, { address }) =>
    replyPacket(address.kind === 'unix' && address.path.includes('mail2') ? '\n-TEMPFAIL\n' : '\n+\n'),
  );
  await client.line('||dovegate dry-run|--|expunge|-A|mailbox|x|all');
  assert.match(client.said(), /\n-TEMPFAIL\n$/);
});

void test('more mails than its rule allows: refused, as the command would be', async () => {
  const engine = openMemoryEngine({ settings: settingsOf('{ command: expunge, max_matches: 2 }'), minor: 3 });
  answerWith(engine, `${guid}\t1\t`.repeat(3));
  const client = await engine.client(2);
  await client.line(expunge);
  assert.match(client.said(), /3 mails match, and its rule allows at most 2[^]*\n-NOPERM\n$/);
  assert.equal(sent(engine).length, 1);
});

void test('a search that cannot be recorded is not sent', async () => {
  const { engine, client } = await openWithClient(2, { settings: settingsOf('expunge'), minor: 3 });
  engine.setJournal('refuse');
  await client.line(expunge);
  assert.match(client.said(), /-TEMPFAIL\n$/);
  assert.deepEqual(sent(engine), []);
});

void test('a query by the content of mails needs what the command needs: denied, nothing is counted', async () => {
  for (const [rule, isAllowed] of [
    ['{ command: expunge, where: { query: any } }', false],
    ['{ command: expunge, where: { query: any }, content: true }', true],
  ] as const) {
    const { engine, client } = await openWithClient(2, { settings: settingsOf(rule), minor: 3 });
    await client.line('||dovegate dry-run|-u|alice@example.org|--|expunge|mailbox|x|text|secret');
    assert.match(client.said(), isAllowed ? /\tmails\t0\t\n\+\n$/ : /\n-NOPERM\n$/);
    assert.equal(sent(engine).length, isAllowed ? 1 : 0);
  }
});

const rated = settingsOf(
  'quota get, save, { command: mailbox delete, reason: required }',
  'limits: { rate: 3/minute }',
);

void test('a dry run is judged, counted and recorded as the command would be, and nothing is sent', async () => {
  const { engine, client } = await openWithClient(2, { settings: rated });
  await client.line('||dovegate dry-run|-u|alice@example.org|--|quota get');
  assert.match(client.said(), /backend\tmail1\t.*\n\+\n$/s);
  await client.line('||dovegate dry-run|-u|alice@example.org|--|expunge|mailbox|x|all');
  assert.match(client.said(), /\n-NOPERM\n$/);
  await client.line('||dovegate dry-run|-u|alice@example.org|--|mailbox delete|x');
  assert.match(client.said(), /must say why[^]*\n-NOPERM\n$/);
  await client.line('||OPTION|dovegate-reason=because');
  await client.line('||dovegate dry-run|-u|alice@example.org|--|mailbox delete|x');
  assert.match(client.said(), /destroy[^]*\n\+\n$/);
  // No text follows: the next line is a command.
  await client.line('||dovegate dry-run|-u|alice@example.org|--|save|-m|INBOX');
  assert.match(client.said(), /write[^]*\n\+\n$/);
  await client.line('|alice@example.org|quota get');
  assert.match(client.said(), /over the rate[^]*\n-TEMPFAIL\n$/);
  assert.equal(engine.commands.length, 0);
  assert.equal(engine.dialler.ends.length, 0);
  const admissions = engine.recordsOf('admission');
  assert.deepEqual(
    admissions.map(({ command, effect, decision, user, args }) => [
      command,
      effect,
      decision,
      user,
      args?.map(String).join(' '),
    ]),
    [
      ['dovegate dry-run', 'session', 'allow', '', '-u alice@example.org -- quota get --'],
      ['dovegate dry-run', 'session', 'deny', '', '-u alice@example.org -- expunge -- mailbox x all'],
      ['dovegate dry-run', 'session', 'allow', '', '-u alice@example.org -- mailbox delete -- x'],
      ['dovegate dry-run', 'session', 'allow', '', '-u alice@example.org -- mailbox delete -- x'],
      ['dovegate dry-run', 'session', 'allow', '', '-u alice@example.org -- save -m INBOX --'],
      ['quota get', 'read', 'allow', 'alice@example.org', '--'],
    ],
  );
  assert.ok(admissions.slice(0, -1).every(({ users }) => users?.length === 0));
  const completions = engine.recordsOf('completion');
  assert.ok(completions.every((each) => each.sent === false));
});

void test('a dry run that cannot be read, or names a user twice, is no dry run', async () => {
  for (const line of [
    '||dovegate dry-run',
    '|alice@example.org|dovegate dry-run|--|quota get',
    '||dovegate dry-run|--|dovegate dry-run|--|quota get',
  ]) {
    const { engine, client } = await openWithClient(2, { settings: rated });
    await client.line(line);
    assert.match(client.said(), /\n-USAGE\n$/, line);
    assert.equal(engine.commands.length, 0);
  }
});
