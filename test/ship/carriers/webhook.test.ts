// Goal: a webhook gets each notice as Standard Webhooks says, and whatever it does, an attempt ends within its time and its bytes. What
// must not happen: a redirect that is followed, a certificate that is not verified, a word of the receiver in a fault, a connection that
// stays.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createSocketServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { createLookup } from '../../../src/host/net/receivers.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import { parseSecret } from '../../../src/rules/config/receiver.js';
import { postWebhook } from '../../../src/ship/carriers/webhook.js';
import { noticeOf } from '../../../src/ship/notices/notice.js';
import { NoticeFault } from '../../../src/ship/notices/notice-fault.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { accessLine, usualRequest } from '../../kit/plain/access-record.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import { fasterClock, faultOf, flood } from './attempts.js';

const from = { journal: 'ab'.repeat(16), host: 'gate1' };
const notice = noticeOf(accessLine(7, 1_764_144_000_000, usualRequest), from) ?? assert.fail();

const secret = Buffer.alloc(32, 7);
const secretText = `whsec_${secret.toString('base64')}\n`;

function filesIn(t: TestContext, files: Readonly<Record<string, string>>): (name: string) => string {
  const folder = temporaryDirectory(t);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
  return (name) => join(folder, name);
}

async function listen(
  t: TestContext,
  server: Server | ReturnType<typeof createSocketServer>,
): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  t.after(async () => {
    for (const socket of sockets) socket.destroy();
    await once(server.close(), 'close');
  });
  return listenHere(server);
}

function post(
  webhook: Parameters<typeof postWebhook>[0],
  clock: Clock = systemClock,
  signal = new AbortController().signal,
  lookup = createLookup(),
): Promise<void> {
  return postWebhook(webhook, notice, { clock, lookup }, signal);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of request.setEncoding('utf8')) text += String(piece);
  return text;
}

void test('a signed notice, as a receiver verifies it; and the text form for chats', async (t) => {
  const seen: { headers: IncomingMessage['headers']; body: string; url: string | undefined }[] = [];
  const server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      seen.push({ headers: request.headers, body, url: request.url });
      response.writeHead(204).end();
    });
  });
  const port = await listen(t, server);
  const at = filesIn(t, { hook: secretText });
  const url = `http://127.0.0.1:${port}/hooks/x?y=z`;
  await post({ url, format: 'json', secretFile: at('hook') });
  await post({ url, format: 'json', secretFile: at('hook') });
  await post({ url, format: 'text' });
  const [first, again, chat] = seen;
  assert.ok(first !== undefined && chat !== undefined);
  assert.equal(first.url, '/hooks/x?y=z');
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } = first.headers;
  assert.equal(id, `${'ab'.repeat(16)}.7`);
  assert.equal(again?.headers['webhook-id'], id);
  assert.ok(Math.abs(Number(timestamp) - Date.now() / 1000) < 60);
  const digest = createHmac('sha256', secret).update([id, timestamp, first.body].join('.')).digest('base64');
  assert.equal(signature, `v1,${digest}`);
  assert.equal(JSON.parse(first.body).type, 'access.requested');
  assert.equal(chat.headers['webhook-signature'], undefined);
  assert.deepEqual(Object.keys(JSON.parse(chat.body)), ['text']);
});

void test('the vector of the specification is signed alike', () => {
  // https://github.com/standard-webhooks/standard-webhooks, "Signature scheme".
  const key = parseSecret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
  assert.ok(key !== undefined);
  const signed = 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}';
  const digest = createHmac('sha256', key).update(signed).digest('base64');
  assert.equal(digest, 'g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  const long = `whsec_${'A'.repeat(200)}`;
  for (const text of ['', 'whsec_', 'whsec_AAAA', long, 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'])
    assert.equal(parseSecret(text), undefined, text);
});

void test('only a success counts, and a redirect is not followed', async (t) => {
  let visits = 0;
  const server = createServer((request, response) => {
    visits += 1;
    const status = Number(request.url?.slice(1));
    response.writeHead(status, { Location: `http://127.0.0.1:${port}/204`, 'X-Evil': 'evil' }).end('evil');
  });
  const port = await listen(t, server);
  const postFor = (status: number) => post({ url: `http://127.0.0.1:${port}/${status}`, format: 'text' });
  for (const status of [301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
    assert.equal(await faultOf(postFor(status)), `${status < 400 ? 'redirected' : 'status'} ${status}`);
  for (const status of [200, 201, 202, 204]) await postFor(status);
  assert.equal(visits, 14);
});

void test('the receiver says when to come again, within a bound', async (t) => {
  let said = '';
  const server = createServer((_, response) => void response.writeHead(503, { 'Retry-After': said }).end());
  const port = await listen(t, server);
  const clock: Clock = { ...systemClock, wallMs: () => Date.UTC(2026, 10, 26, 8, 30) };
  const waits: number[] = [];
  const [later, earlier] = ['Thu, 26 Nov 2026 08:31:00 GMT', 'Thu, 26 Nov 2026 08:29:00 GMT'];
  for (said of ['120', later, '999999999', '-1', earlier, 'evil', ''])
    await post({ url: `http://127.0.0.1:${port}/`, format: 'text' }, clock).catch((fault: unknown) => {
      assert.ok(fault instanceof NoticeFault);
      waits.push(fault.waitMs);
    });
  assert.deepEqual(waits, [120_000, 60_000, 3_600_000, 0, 0, 0, 0]);
});

/** Talks raw bytes once the request has begun. */
function rawServer(t: TestContext, talk: (socket: Socket) => void): Promise<number> {
  return listen(
    t,
    createSocketServer((socket) => void socket.once('data', () => talk(socket))),
  );
}

void test('a hostile receiver costs its time and a few bytes', async (t) => {
  const written = { bytes: 0 };
  const fast = fasterClock(50);
  const webhookAt = async (talk: (socket: Socket) => void): Promise<Parameters<typeof postWebhook>[0]> => ({
    url: `http://127.0.0.1:${await rawServer(t, talk)}/`,
    format: 'text',
  });
  // An endless body after a success: the notice was taken, and nothing behind the head is read.
  await post(
    await webhookAt((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      flood(socket, `4000\r\n${'e'.repeat(0x4000)}\r\n`, written);
    }),
  );
  assert.ok(written.bytes < 16 << 20, `${written.bytes} bytes of an endless body`);
  // Heads: bounds.noticeHeadBytes.
  written.bytes = 0;
  const head = await webhookAt((socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    flood(socket, `X-Evil: ${'e'.repeat(1000)}\r\n`, written);
  });
  assert.equal(await faultOf(post(head)), 'not-http');
  assert.ok(written.bytes < 16 << 20, `${written.bytes} bytes, of which ${bounds.noticeHeadBytes} count`);
  // Answers before the answer, as many as may be, and without end.
  const note = 'HTTP/1.1 103 Early Hints\r\n\r\n';
  const notes = note.repeat(4);
  await post(
    await webhookAt((socket) => socket.end(`${notes}HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n`)),
  );
  const over = await webhookAt((socket) => socket.write(note + notes));
  assert.equal(await faultOf(post(over)), 'not-http');
  written.bytes = 0;
  const early = await webhookAt((socket) => flood(socket, note, written));
  assert.equal(await faultOf(post(early)), 'not-http');
  const other = await webhookAt((socket) => socket.write('SSH-2.0-OpenSSH_9.2 evil\r\n'));
  assert.equal(await faultOf(post(other)), 'not-http');
  const switched = await webhookAt((socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: evil\r\n\r\n'),
  );
  assert.equal(await faultOf(post(switched)), 'not-http');
  const gone = await webhookAt((socket) => socket.destroy());
  assert.match(await faultOf(post(gone)), /^(?:unreachable|not-http)$/);
  // Never, and one byte at a time: bounds.noticeMs.
  const startMs = performance.now();
  assert.equal(await faultOf(post(await webhookAt(() => undefined), fast)), 'timeout');
  const slow = await webhookAt((socket) => {
    const text = `HTTP/1.1 200 OK\r\n${'X-Slow: yes\r\n'.repeat(500)}`;
    let at = 0;
    const write = () => (socket.destroyed ? clearInterval(drip) : socket.write(text[at++] ?? '-'));
    const drip = setInterval(write, 20);
  });
  assert.equal(await faultOf(post(slow, fast)), 'timeout');
  assert.ok(performance.now() - startMs < 2 * bounds.noticeMs);
  // Nobody listens.
  assert.equal(await faultOf(post({ url: 'http://127.0.0.1:1/', format: 'text' })), 'connection-refused');
  for (const code of ['ENOTFOUND', 'EAI_AGAIN']) {
    const lookup = createLookup((_name, _options, callback) =>
      callback(Object.assign(new Error('evil'), { code }), []),
    );
    const chat = { url: 'https://chat.example.com/evil', format: 'text' } as const;
    assert.equal(await faultOf(post(chat, systemClock, undefined, lookup)), 'unknown-host', code);
  }
});

void test('an attempt ends with the abort, also of a receiver that never answers', async (t) => {
  const port = await rawServer(t, () => undefined);
  const ended = new AbortController();
  const reason = new Error('the page is stopping');
  const attempt = post({ url: `http://127.0.0.1:${port}/`, format: 'text' }, systemClock, ended.signal);
  setTimeout(() => ended.abort(reason), 50);
  await assert.rejects(attempt, reason);
});

void test('TLS: the authority and the name are verified, and a missing file is a fault of its own', async (t) => {
  const [authority, stranger] = [makeAuthority({ name: 'ours' }), makeAuthority({ name: 'evil' })];
  const at = filesIn(t, { 'ca.pem': authority.certificatePem, hook: secretText, bad: 'whsec_short' });
  const serve = async (by: typeof authority, names: readonly string[]): Promise<string> => {
    const { certificatePem: cert, keyPem: key } = by.issue({ names: [...names] });
    const server = createTlsServer({ cert, key }, (_, response) => void response.writeHead(200).end());
    server.on('tlsClientError', () => undefined);
    return `https://localhost:${await listen(t, server)}/`;
  };
  const caFile = at('ca.pem');
  const good = await serve(authority, ['localhost']);
  await post({ url: good, format: 'json', secretFile: at('hook'), caFile });
  const said = [
    await faultOf(post({ url: await serve(authority, ['evil.example']), format: 'text', caFile })),
    await faultOf(post({ url: await serve(stranger, ['localhost']), format: 'text', caFile })),
    await faultOf(post({ url: good, format: 'text' })),
    await faultOf(post({ url: good.replace('https', 'http'), format: 'text' })),
    await faultOf(post({ url: good, format: 'text', caFile: at('no.pem') })),
    await faultOf(post({ url: good, format: 'json', caFile, secretFile: at('none') })),
    await faultOf(post({ url: good, format: 'json', caFile, secretFile: at('bad') })),
  ];
  // The system of a test may have no list of authorities.
  assert.match(said[2] ?? '', /^(?:tls-failed|ca-file)$/);
  said[2] = '-';
  assert.match(said[3] ?? '', /^(?:status 400|not-http|unreachable)$/);
  said[3] = '-';
  assert.deepEqual(said, ['tls-failed', 'tls-failed', '-', '-', 'ca-file', 'secret-file', 'secret-file']);
});
