// Sessions of HTTP whose clients, disks and backends misbehave, without sockets: what is answered, what is left behind.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createLoginGuard, Logins } from '../../../src/gate/login/logins.js';
import { kernelAccess } from '../../../src/gate/session/greet-peer.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { HeldBytes } from '../../../src/host/ports/machine.js';
import { hashKey, type Key, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import type { MemoryClient, MemoryEngine } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport, type MemoryPeer } from '../../kit/plain/memory-transport.js';
import { httpSettings, openHttp, post, turns } from './http.js';

const keys = ['one', 'two'].map((name) => ({ name, text: makeKey(randomBytes(keyBytes)) }));

function openWithKeys(settings = httpSettings, lastsMs = 3_600_000): MemoryEngine {
  return openHttp(settings, {
    access: (clock) => ({
      ...kernelAccess,
      protocol: 'http',
      isPreauthenticated: false,
      plainWithoutTls: true,
      logins: new Logins('support', [], createLoginGuard(clock), keysUntil(clock.wallMs() + lastsMs)),
    }),
  });
}

function keysUntil(expiresMs: number): Key[] {
  return keys.map(({ name, text }) => ({
    name,
    policy: 'support',
    hashes: [{ sha256: hashKey(text).slice('sha256$'.length), untilMs: undefined }],
    expiresMs,
    from: [],
  }));
}

/** A client of whom nothing but its address is known. */
function stranger({ service, listener }: MemoryEngine): MemoryPeer {
  const { transport, peer } = createMemoryTransport();
  service.serve(listener, transport, { listener: 'support', address: '192.0.2.7' });
  return peer;
}

function answersOf(client: MemoryClient): string[] {
  return (
    client.peer
      .received()
      .toString()
      .match(/HTTP\/1\.1 \d{3}/g) ?? []
  );
}

const alice = 'alice@example.org';
const list = ['mailboxList', { user: alice }, 't'];

void test('a body that is no HTTP any more ends with 400, and its session', async () => {
  for (const [sent, isEnded] of [
    ['Transfer-Encoding: chunked\r\n\r\nzz\r\n', false],
    ['Content-Length: 10\r\n\r\n[]', true],
  ] as const) {
    const engine = openHttp();
    const client = await engine.client();
    client.peer.send(`POST /doveadm/v1 HTTP/1.1\r\nHost: gate\r\n${sent}`);
    if (isEnded) client.peer.end();
    await turns();
    assert.deepEqual(answersOf(client), ['HTTP/1.1 400'], sent);
    assert.equal(engine.service.sessions, 0, sent);
    assert.equal(engine.clock.timers, 0, sent);
  }
});

void test('a command that waits for its turn is not begun when a drain ends meanwhile', async () => {
  const engine = openHttp(httpSettings, { workMs: 1 });
  const client = await engine.client();
  const refused = ['mailboxList', { user: 'bob@elsewhere.org' }, 'r'];
  client.peer.send(post([refused, refused, list]));
  // Two are refused at once, and take 2 ms; with the third it lets others go first.
  const ended = (): number => engine.events.filter(({ kind }) => kind === 'exchange-ended').length;
  for (let turn = 0; turn < 100_000 && ended() < 2; turn += 1)
    await (turn % 100 === 99 ? settle() : Promise.resolve());
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  assert.equal(ended(), 2);
  engine.service.abort();
  await turns();
  assert.equal(engine.service.sessions, 0);
  assert.equal(engine.commands.length, 0);
  assert.deepEqual(
    engine.recordsOf('completion').map(({ outcome }) => outcome),
    ['denied', 'denied', 'failed'],
  );
});

void test('what is held of bodies is given back also when they cannot be written', async () => {
  const engine = openHttp();
  const { buffered } = engine.context.exchanges();
  let memoryBytes = 0;
  const held: HeldBytes = {
    length: 0,
    get memoryBytes() {
      return memoryBytes;
    },
    expect: () => Promise.resolve(),
    // To a file, in which there is no room.
    append: async () => {
      if (memoryBytes === 0) {
        memoryBytes = 1024 * 1024;
        return;
      }
      memoryBytes = 0;
      throw new Error('ENOSPC');
    },
    read: () => Promise.reject(new Error('ENOSPC')),
    close: () => undefined,
  };
  Reflect.set(engine.context, 'holdBody', () => held);
  const client = await engine.client();
  client.peer.send('POST /doveadm/v1 HTTP/1.1\r\nHost: gate\r\nContent-Length: 100\r\n\r\n[');
  await turns();
  assert.equal(buffered.bytes, 1024 * 1024);
  client.peer.send(' ');
  await turns();
  assert.deepEqual(answersOf(client), ['HTTP/1.1 500']);
  assert.equal(buffered.bytes, 0);
});

void test('a key that ends while its command waits for its record sends nothing', async () => {
  const lastsMs = 60_000;
  const engine = openWithKeys(httpSettings.replace('quota get', 'mailbox create'), lastsMs);
  const client = stranger(engine);
  const create = ['mailboxCreate', { user: alice, mailbox: ['Sent'] }, 'c'];
  const key = `Authorization: Bearer ${keys[0]?.text}\r\n`;
  engine.setJournal('hold');
  client.send(post([create], key));
  await turns();
  await engine.clock.advance(lastsMs);
  engine.setJournal('take');
  await turns();
  const { outcome, denial, sent } = engine.recordsOf('completion')[0] ?? {};
  assert.deepEqual([engine.commands.length, outcome, denial, sent], [0, 'denied', 'not-served', false]);
});

void test('a client that leaves while its wrong key waits takes its session along', async () => {
  const engine = openWithKeys();
  for (let at = 0; at < 20; at += 1) {
    const client = stranger(engine);
    client.send(
      `GET / HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer ${makeKey(randomBytes(keyBytes))}\r\n\r\n`,
    );
    await turns(4);
    client.vanish();
  }
  await turns();
  assert.equal(engine.service.sessions, 0);
});

void test('a final answer to a client that waits to send its body is the last one', async () => {
  const engine = openHttp();
  const client = await engine.client();
  client.peer.send(
    'POST /nowhere HTTP/1.1\r\nHost: gate\r\nExpect: 100-continue\r\nContent-Length: 40\r\n\r\n',
  );
  await turns();
  assert.match(client.peer.received().toString(), /^HTTP\/1\.1 404 [^]*Connection: close/);
});

void test('requests that run no command have their turn, however many connections send them', async () => {
  const engine = openHttp(httpSettings, { workMs: 1 });
  const crowd = await Promise.all(Array.from({ length: 20 }, () => engine.client()));
  const asked = 'OPTIONS * HTTP/1.1\r\nHost: gate\r\n\r\n';
  for (const { peer } of crowd) peer.send(asked.repeat(bounds.httpWaiting - 2));
  const answered = (): number => engine.events.filter(({ kind }) => kind === 'http-request').length;
  let most = 0;
  for (let before = -1; before < answered(); ) {
    before = answered();
    await settle();
    most = Math.max(most, answered() - before);
  }
  assert.equal(answered(), crowd.length * (bounds.httpWaiting - 2));
  // Several turns of the loop are in it; without turns, all connections are answered in each of them.
  assert.ok(most < 5 * crowd.length, `${most} answers between two looks`);
});

// bounds.strangerPieces
void test('heads of strangers that come byte by byte are read four in a turn at most', async () => {
  const engine = openWithKeys();
  const drips = Array.from({ length: 40 }, () => stranger(engine));
  const head = 'GET / HTTP/1.1\r\nHost: gate\r\nX: ';
  for (const byte of head.slice(0, bounds.strangerPieces)) {
    for (const peer of drips) peer.send(byte);
    await turns(drips.length);
  }
  for (const peer of drips) peer.send(`${head.slice(bounds.strangerPieces)}x\r\n\r\n`);
  const answered = (): number => drips.filter((peer) => String(peer.received()) !== '').length;
  let most = 0;
  for (let before = 0, turn = 0; answered() < drips.length; turn += 1) {
    assert.ok(turn < 1_000, `${answered()} answers`);
    await settle();
    most = Math.max(most, answered() - before);
    before = answered();
  }
  assert.ok(most <= 8, `${most} in one turn`);
});
