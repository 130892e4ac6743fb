import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import type { MemoryEngine } from '../../kit/gate/memory-engine.js';
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
  assert.deepEqual(
    admissions.map(({ tag, protocol, reason, decision }) => [tag, protocol, reason, decision]),
    [
      ['t1', 'http', 'because', 'allow'],
      ['t2', 'http', 'because', 'allow'],
      ['t3', 'http', 'because', 'deny'],
      ['t4', 'http', 'because', 'deny'],
    ],
  );
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

void test('while the memory of all sessions is used up, an answer goes out as it comes', async () => {
  const engine = openHttp();
  const row = `${'x'.repeat(99)}\t`;
  engine.setAnswer(() => replyPacket(`${row.repeat(2_000)}\n+\n`));
  const { buffered } = engine.context.exchanges();
  for (const isFull of [false, true]) {
    if (isFull) buffered.take(1024 ** 4, 'others');
    const before = buffered.bytes;
    const { head } = await ask(engine, post([list]));
    assert.equal(/transfer-encoding: chunked/i.test(head), isFull, head);
    assert.equal(buffered.bytes, before);
  }
});

// bounds.httpAnswerBytes
void test('an answer is held up to a limit, and goes out as it comes beyond it', async () => {
  const engine = openHttp();
  for (const [bytes, isChunked] of [
    [bounds.httpAnswerBytes / 2, false],
    [bounds.httpAnswerBytes * 2, true],
  ] as const) {
    engine.setAnswer(() => replyPacket(`${`${'x'.repeat(1023)}\t`.repeat(bytes / 1024)}\n+\n`));
    const { head } = await ask(engine, post([list]));
    assert.equal(/transfer-encoding: chunked/i.test(head), isChunked, head);
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
