import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createLoginGuard, Logins } from '../../../src/gate/login/logins.js';
import { kernelAccess } from '../../../src/gate/session/greet-peer.js';
import { type AccessPath, readAccess } from '../../../src/gate/session/http-access.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { HeldBytes } from '../../../src/host/ports/machine.js';
import { hashKey, type Key, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import type { MemoryClient, MemoryEngine } from '../../kit/gate/memory-engine.js';
import { column, columns } from '../../kit/plain/columns.js';
import { settle } from '../../kit/plain/fake-clock.js';
import type { MemoryPeer } from '../../kit/plain/memory-transport.js';
import { ask, httpSettings, openHttp, post, turns } from './http.js';

const list = ['mailboxList', { user: 'alice@example.org' }, 't1'];

void test('commands of a request run in order, each recorded, and are answered together', async () => {
  const engine = openHttp();
  engine.setAnswer((line) =>
    line.includes('mailbox list') ? replyPacket('INBOX\tSent\t\n+\n') : replyPacket('\n-NOTFOUND\n'),
  );
  const { status, body, head } = await ask(
    engine,
    post(
      [
        list,
        ['mailboxStatus', { user: 'alice@example.org', field: ['messages'], mailboxMask: 'x' }, 't2'],
        ['expunge', { user: 'alice@example.org', query: ['mailbox', 'x', 'all'] }, 't3'],
        ['nonsense', {}, 't4'],
      ],
      'Dovegate-Reason: because\r\n',
    ),
  );
  assert.equal(status, 200, head);
  const answer = JSON.parse(body);
  assert.deepEqual(answer[0], ['doveadmResponse', [{ mailbox: 'INBOX' }, { mailbox: 'Sent' }], 't1']);
  assert.equal(answer[1][1].exitCode, 68);
  assert.equal(answer[2][1].type, 'unAuthorized');
  assert.equal(answer[3][1].type, 'unknownMethod');
  assert.equal(engine.commands.length, 2);
  for (const { admissions } of engine.commands) assert.ok(admissions > 0);
  const admissions = engine.recordsOf('admission');
  assert.deepEqual(columns(admissions, 'tag', 'protocol', 'reason', 'decision'), [
    ['t1', 'http', 'because', 'allow'],
    ['t2', 'http', 'because', 'allow'],
    ['t3', 'http', 'because', 'deny'],
    ['t4', 'http', 'because', 'deny'],
  ]);
});

const panel = httpSettings
  .replace('"2.4"', '"SERIES"')
  .replace('*@example.org', '*')
  .replace(
    /allow: .*/,
    `allow:
      - { command: mailbox list, all_users: true }
      - { command: mailbox status, all_users: true }
      - { command: mailbox create, all_users: true }
      - { command: proxy list, masks: true }
      - { command: indexer add, masks: true }`,
  );

function openPanel(series: '2.3' | '2.4'): MemoryEngine {
  return openHttp(panel.replace('SERIES', series), { minor: series === '2.4' ? 4 : 2 });
}

async function answerTo(
  engine: MemoryEngine,
  name: string,
  parameters: object,
): Promise<ReturnType<typeof JSON.parse>> {
  const { body } = await ask(engine, post([[name, parameters, 't']]));
  return JSON.parse(body)[0];
}

void test('a reply without known columns is not available over HTTP, one without rows is', async () => {
  const old = openPanel('2.3');
  const [, refusal] = await answerTo(old, 'proxyList', {});
  const { type, exitCode, code, message } = refusal;
  assert.deepEqual([type, exitCode, code], ['exitCode', 64, 'not-over-http']);
  assert.match(String(message), /^not available over HTTP: /);
  assert.equal(old.commands.length, 0);
  const engine = openPanel('2.4');
  engine.setAnswer(() => replyPacket('\n+\n'));
  const added = { user: 'alice@example.org', mailbox: 'INBOX' };
  assert.deepEqual(await answerTo(engine, 'indexerAdd', added), ['doveadmResponse', [], 't']);
});

void test('a mask of users shows the rows of those users, and is for what only reads', async () => {
  const engine = openPanel('2.4');
  engine.setAnswer(() =>
    replyPacket('alice@example.org\tINBOX\tbob@example.org\tINBOX\tal@other.org\tA\t\n+\n'),
  );
  const rows = async (user: string): Promise<unknown> =>
    (await answerTo(engine, 'mailboxList', { user }))[1].map(
      ({ username }: { username: string }) => username,
    );
  assert.deepEqual(await rows('*@EXAMPLE.org'), ['alice@example.org', 'bob@example.org']);
  assert.deepEqual(await rows('al*'), ['alice@example.org', 'al@other.org']);
  assert.deepEqual(await rows('*'), ['alice@example.org', 'bob@example.org', 'al@other.org']);
  const sent = engine.commands.length;
  const [, refusal] = await answerTo(engine, 'mailboxCreate', { user: 'al*', mailbox: 'A' });
  assert.equal(refusal.code, 'not-over-http');
  assert.equal(engine.commands.length, sent);
});

void test('a name that can be no user is one who does not exist', async () => {
  const engine = openPanel('2.4');
  for (const user of [
    '',
    'a b',
    'alice@example.org@example.org',
    '\u00fc',
    'x'.repeat(400),
    '/../x',
  ] as const) {
    const [, refusal] = await answerTo(engine, 'mailboxList', { user });
    const { type, exitCode, code } = refusal;
    assert.deepEqual([type, exitCode, code], ['exitCode', 67, 'user-unknown'], user);
  }
  // Before its values are read, and after its parameters.
  for (const [more, found] of [
    [{ mailboxMask: ['x', 'inbox'] }, 'user-unknown'],
    [{ nonsense: 'x' }, 'unknown-option'],
  ] as const) {
    const [, refusal] = await answerTo(engine, 'mailboxList', { user: 'a b', ...more });
    assert.equal(refusal.code, found);
  }
  assert.equal(engine.commands.length, 0);
});

void test('a bare status, and one of a full mailbox', async () => {
  const engine = openHttp();
  for (const [status, exitCode] of [
    ['-', -1],
    ['-UNKNOWN', -1],
    ['-NOUSER', 67],
    ['-EXPIRED', 1003],
  ] as const) {
    engine.setAnswer(() => replyPacket(`\n${status}\n`));
    const [[kind, error]] = JSON.parse((await ask(engine, post([list]))).body);
    assert.deepEqual([kind, error.type, error.exitCode], ['error', 'exitCode', exitCode], status);
  }
});

void test('a client beyond the sessions that there may be is closed without a word of another protocol', async () => {
  const engine = openHttp(httpSettings.replace('policy: support }', 'policy: support, sessions: 1 }'));
  await engine.client();
  const second = await engine.client();
  assert.equal(second.peer.received().length, 0);
  assert.ok(second.peer.isEnded);
});

// bounds.httpAnswerBytes
void test('an answer is held up to a limit, and goes out as it comes beyond it, or while all memory is used up', async () => {
  for (const [bytes, isFull, isChunked] of [
    [bounds.httpAnswerBytes / 2, false, false],
    [bounds.httpAnswerBytes / 2, true, true],
    [bounds.httpAnswerBytes * 2, false, true],
  ] as const) {
    const engine = openHttp();
    const { buffered } = engine.context.exchanges();
    if (isFull) buffered.take(1024 ** 4, 'others');
    const before = buffered.bytes;
    engine.setAnswer(() => replyPacket(`${`${'x'.repeat(1023)}\t`.repeat(bytes / 1024)}\n+\n`));
    const { head } = await ask(engine, post([list]));
    assert.equal(/transfer-encoding: chunked/i.test(head), isChunked, head);
    assert.equal(buffered.bytes, before);
  }
});

// bounds.httpIdleMs
void test('a connection that is kept waits for its next request up to a limit', async () => {
  const engine = openHttp();
  const client = await engine.client(undefined, { uid: 1000, user: 'root' });
  client.peer.send('GET /doveadm/v1 HTTP/1.1\r\nHost: gate\r\n\r\n');
  await client.peer.receive((bytes) => bytes.includes('\r\n\r\n'));
  await turns();
  await engine.clock.advance(bounds.httpIdleMs - 1);
  assert.equal(client.transport.closedFor, undefined);
  await engine.clock.advance(1);
  assert.equal(client.transport.closedFor, 'idle-timeout');
});

// bounds.httpLingerMs
void test('the rest of a refused request is read up to a limit', async () => {
  const engine = openHttp();
  const client = await engine.client(undefined, { uid: 1000, user: 'root' });
  client.peer.send('POST /doveadm/v1 HTTP/1.1\r\nHost: gate\r\nContent-Length: 99999999999\r\n\r\n[');
  await client.peer.receive((bytes) => bytes.includes('413'));
  await turns();
  await engine.clock.advance(bounds.httpLingerMs - 1);
  assert.equal(client.transport.closedFor, undefined);
  await engine.clock.advance(1);
  assert.equal(client.transport.closedFor, 'aborted');
});

// bounds.httpBodyBytes
void test('a body of 16 MiB is read, and one byte more is refused by its announced length', async () => {
  for (const [length, expected] of [
    [16_777_216, 400],
    [16_777_217, 413],
  ] as const) {
    const head = `POST /doveadm/v1 HTTP/1.1\r\nHost: gate\r\nContent-Length: ${length}\r\n\r\n`;
    // No list of commands: refused as soon as it is read.
    assert.equal((await ask(openHttp(), `${head}x`)).status, expected, String(length));
  }
});

// Sessions of HTTP whose clients, disks and backends misbehave, without sockets: what is answered, what is left behind.
const key = makeKey(randomBytes(keyBytes));

function openWithKeys(settings = httpSettings, lastsMs = 3_600_000): MemoryEngine {
  const keysUntil = (expiresMs: number): Key[] => [
    {
      name: 'one',
      policy: 'support',
      hashes: [{ sha256: hashKey(key).slice('sha256$'.length), untilMs: undefined }],
      expiresMs,
      from: [],
    },
  ];
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

/** A client of whom nothing but its address is known. */
const stranger = (engine: MemoryEngine): MemoryPeer =>
  engine.serve({ uid: undefined, address: '192.0.2.7' }).peer;

const answersOf = ({ peer }: MemoryClient): string[] =>
  peer
    .received()
    .toString()
    .match(/HTTP\/1\.1 \d{3}/g) ?? [];

const alice = 'alice@example.org';

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
  assert.deepEqual(column(engine.recordsOf('completion'), 'outcome'), ['denied', 'denied', 'failed']);
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
  engine.setJournal('hold');
  client.send(post([create], `Authorization: Bearer ${key}\r\n`));
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

// A body about access becomes the words of an own command, or it is refused: no member is ignored, and none can be taken for an option.

function wordsOf(path: AccessPath, body: unknown): readonly string[] | string {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const read = readAccess(path, Buffer.from(text));
  return 'bad' in read ? read.bad : read.line.words;
}

void test('a tag is the name of the request in the records, and no word of it', () => {
  const read = readAccess('requests', Buffer.from('{"tag":"mcp-0123:a.b"}'));
  assert.ok(!('bad' in read));
  assert.deepEqual([read.line.words, read.tag], [['dovegate requests'], 'mcp-0123:a.b']);
  for (const tag of ['a b', 'x'.repeat(65), 7])
    assert.match(String(wordsOf('requests', { tag })), /"tag" is/);
});

void test('members become options, and the command follows them', () => {
  const asked = {
    users: ['bob@example.com', '-A'],
    for: '1h',
    uses: 3,
    reason: '--uses=9',
    command: ['fetch', '--', 'uid', 'all'],
  };
  assert.deepEqual(wordsOf('request', asked), [
    'dovegate request',
    '--user=bob@example.com',
    '--user=-A',
    '--for=1h',
    '--uses=3',
    '--reason=--uses=9',
    '--',
    ...asked.command,
  ]);
  assert.deepEqual(wordsOf('grant', { to: 'anna@support', users: 'bob', command: ['who'] }), [
    'dovegate grant',
    '--to=anna@support',
    '--user=bob',
    '--',
    'who',
  ]);
  assert.deepEqual(wordsOf('approve', { id: '-x' }), ['dovegate approve', '--', '-x']);
  assert.deepEqual(wordsOf('requests', ''), ['dovegate requests']);
  assert.deepEqual(wordsOf('requests', {}), ['dovegate requests']);
  assert.deepEqual(wordsOf('requests', { id: '01K' }), ['dovegate access', '--', '01K']);
});

void test('what is no such object is refused', () => {
  for (const body of [
    '[]',
    '"x"',
    '{',
    '3',
    { id: {} },
    { uses: 1.5 },
    { for: ['1h'] },
    { users: [1] },
    { command: ['fetch', 1] },
    { usess: 1 },
    '{"__proto__": {"id": "x"}}',
  ])
    assert.equal(typeof wordsOf('request', body), 'string', JSON.stringify(body));
  assert.match(String(wordsOf('approve', { usess: 1 })), /no member "usess"/);
  assert.ok('bad' in readAccess('request', Buffer.from([0x7b, 0xff, 0x7d])));
});

// Seeded hostile requests through whole sessions, without sockets. Each gets one answer or a closed connection; nothing stays behind.
// DOVEGATE_ROUNDS multiplies them.

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const settings = httpSettings.replace(
  'policy: support }',
  'policy: support, sessions: 100, sessions_per_peer: 100 }',
);

/** A generator that gives the same numbers each time. */
function createChance(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const bodies = [
  '[]',
  '[["mailboxList",{"user":"alice@example.org"},"t"]]',
  '[["mailboxList",{"user":"alice@example.org"},"t"],["mailboxStatus",{"user":"alice@example.org","field":["messages"],"mailboxMask":"INBOX"},"u"]]',
  '[["save",{"user":"alice@example.org","mailbox":"INBOX","file":"Subject: x\\r\\n\\r\\n.\\r\\n"},"t"]]',
  '[["mailboxList",{"user":"bob@elsewhere.org"},""],["nothing",{},"\\u0001"]]',
];
const lines = [
  'Host: gate',
  'Host: other',
  'Connection: close',
  'Connection: keep-alive, Upgrade',
  'Upgrade: h2c',
  'Expect: 100-continue',
  'Expect: something',
  'Content-Length: 0',
  'Content-Length: 5',
  'Content-Length: -1',
  'Content-Length: 99999999999999999999',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Trailer: x',
  'Origin: https://evil.example',
  'Authorization: Basic !!!',
  'Dovegate-Reason: \xff\xfe',
  ' folded: x',
  'No colon',
  `X: ${'y'.repeat(9_000)}`,
];
const starts = [
  'POST /doveadm/v1 HTTP/1.1',
  'POST /doveadm/v1 HTTP/1.0',
  'POST /dovegate/v1/dry-run HTTP/1.1',
  'GET /doveadm/v1 HTTP/1.1',
  'GET /dovegate/v1/can HTTP/1.1',
  'HEAD / HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'CONNECT other:443 HTTP/1.1',
  'TRACE / HTTP/1.1',
  'POST http://other/doveadm/v1 HTTP/1.1',
  'PRI * HTTP/2.0',
  'GET /',
];

function makeRequest(chance: (below: number) => number): string {
  const pick = (from: readonly string[]): string => from[chance(from.length)] ?? '';
  const body = pick(bodies);
  const isMostlyWell = chance(3) > 0;
  const head = [isMostlyWell ? (starts[chance(3)] ?? '') : pick(starts)];
  if (chance(10) > 0) head.push('Host: gate');
  const isChunked = chance(3) === 0;
  if (chance(10) > 0) head.push(isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`);
  if (!isMostlyWell) for (let more = chance(3); more > 0; more -= 1) head.push(pick(lines));
  const text = isChunked
    ? `${body.length.toString(16)}${pick(['', ';x=y'])}\r\n${body}\r\n0\r\n${pick(['', '', 'x: y\r\n'])}\r\n`
    : body;
  let all = `${head.join(pick(['\r\n', '\r\n', '\r\n', '\r\n', '\n']))}\r\n\r\n${text}`;
  for (let flips = chance(4) === 0 ? chance(4) : 0; flips > 0; flips -= 1) {
    const at = chance(all.length);
    const by = pick(['', '\0', '\r', '\n', '"', '[', '\\', '\x7f', '\xff', '999']);
    all = all.slice(0, at) + by + all.slice(at + chance(3));
  }
  return all;
}

void test('hostile requests: an answer for each or a closed connection, and nothing stays', {
  timeout: 600_000,
}, async (t) => {
  const unhandled: unknown[] = [];
  const keep = (fault: unknown): void => void unhandled.push(fault);
  process.on('unhandledRejection', keep);
  const engine = openHttp(settings);
  const statuses = new Map<string, number>();
  let allowed = 0;
  let served = 0;
  try {
    for (let seed = 1; seed <= 1_000 * rounds; seed += 1) {
      const chance = createChance(seed);
      engine.setAnswer((line) => {
        const kind = chance(12);
        if (kind === 0) return undefined;
        if (kind === 1) return replyPacket('INBOX\tSent');
        if (kind === 2) return replyPacket('INBOX\n+\n');
        return replyPacket(line.includes('status') ? 'INBOX\t4\t\n+\n' : 'INBOX\t\n+\n');
      });
      const client = await engine.client();
      const requests = Array.from({ length: 1 + chance(3) }, () => makeRequest(chance));
      const sent = Buffer.from(requests.join(''), 'latin1');
      const size = chance(2) === 0 ? sent.length : 1 + chance(200);
      for (let at = 0; at < sent.length; at += size) {
        client.peer.send(sent.subarray(at, at + size));
        if (chance(3) === 0) await settle();
      }
      for (let turn = chance(12); turn > 0; turn -= 1) await settle();
      const isGone = chance(4) === 0;
      if (isGone) client.peer.vanish();
      else client.peer.end();
      for (let turn = 0; turn < 8; turn += 1) await settle();
      const title = JSON.stringify({ seed, isGone, sent: sent.toString('latin1').slice(0, 600) });
      await engine.untilIdle().catch((fault: unknown) => assert.fail(`${String(fault)}: ${title}`));
      assert.equal(engine.service.sessions, 0, title);
      const said = client.peer.received().toString('latin1');
      const answers = said.match(/^HTTP\/1\.1 \d{3}|(?<=[^]{2})HTTP\/1\.1 \d{3}/g) ?? [];
      for (const answer of answers) statuses.set(answer, (statuses.get(answer) ?? 0) + 1);
      assert.ok(answers.filter((answer) => !answer.endsWith('100')).length <= requests.length + 1, title);
      const admitted = engine.records.filter(
        ({ record }) => record.event === 'admission' && record.decision === 'allow',
      ).length;
      const completed = engine.recordsOf('completion').length;
      const admissions = engine.recordsOf('admission').length;
      // A line of a text has no TAB.
      const sentLines = engine.commands.filter(({ line }) => line.includes('\t')).length;
      assert.ok(sentLines <= admitted, title);
      assert.equal(completed, admissions, title);
      allowed += admitted;
      served += sentLines;
      engine.forget();
    }
  } finally {
    process.off('unhandledRejection', keep);
  }
  assert.deepEqual(unhandled, []);
  assert.equal(engine.context.exchanges().buffered.bytes, 0);
  t.diagnostic(`${allowed} allowed, ${served} sent; ${JSON.stringify(Object.fromEntries(statuses))}`);
  assert.ok(served > 150 * rounds, `${served}`);
});
