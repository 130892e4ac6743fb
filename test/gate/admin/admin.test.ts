// The endpoints over real sockets: what is answered, what is refused, and that nobody can hold a place for long.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, lstatSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Act } from '../../../src/gate/admin/access.js';
import { type AdminDoor, type AdminOptions, openAdmin } from '../../../src/gate/admin/admin.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { bindTcp, bindUnix } from '../../../src/host/net/listen.js';
import { Secret } from '../../../src/rules/identity/credentials.js';
import { noHuman } from '../../../src/rules/identity/human.js';
import { healthy } from '../../kit/gate/running.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';

const failOnError = (text: string): never => assert.fail(text);

/** `unix`: path of the UNIX socket; `port` of the TCP one, which has the token `secret`; `refused`: addresses without the right token. */
async function open(
  t: TestContext,
  metrics = (): Promise<string> => Promise.resolve('m 1\n'),
  flushed = (): Promise<void> => Promise.resolve(),
) {
  const clock = createFakeClock();
  const unix = join(openFolder(t), 'admin.sock');
  const errors: string[] = [];
  let port = 0;
  const place = { path: unix, mode: 0o600, uid: undefined, gid: undefined };
  const doors: AdminDoor[] = [
    { door: { kind: 'unix' }, bind: (server) => bindUnix(server, place, failOnError) },
    {
      door: { kind: 'tcp', host: '127.0.0.1', isRemote: false, hasTls: false, token: new Secret('secret') },
      async bind(server) {
        const bound = await bindTcp(server, { host: '127.0.0.1', port: 0 }, failOnError);
        ({ port } = bound);
        return bound;
      },
    },
  ];
  const onError = (text: string): void => void errors.push(text);
  const acted: string[] = [];
  const act: Act = (action, { by }) => {
    acted.push(`${by}: ${JSON.stringify(action)}`);
    if (action.kind === 'kill' && action.id === 'lost') return Promise.reject(new Error('no record'));
    if (action.kind === 'kill')
      return Promise.resolve({ kind: 'unknown', text: `no command ${action.id} runs` });
    return Promise.resolve({ kind: action.kind === 'reload' ? 'failed' : 'done', text: 'said' });
  };
  const whoIs: AdminOptions['whoIs'] = (_, door) =>
    Promise.resolve({ by: door.kind === 'unix' ? 'alice' : 'token', human: noHuman });
  const refused: string[] = [];
  const onRefused = (address: string): void => void refused.push(address);
  const told = { onError, onRefused };
  const admin = await openAdmin({
    clock,
    snapshot: () => healthy,
    metrics,
    flushed,
    doors,
    act,
    whoIs,
    ...told,
  });
  t.after(() => admin.close());
  return { clock, errors, acted, refused, unix, port, close: () => admin.close() };
}

function ask(
  where: { readonly socketPath: string } | { readonly port: number },
  path: string,
  more: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {},
) {
  return new Promise<{ status: number; headers: IncomingHttpHeaders; body: string }>((resolve, reject) => {
    const asked = request({ ...where, path, agent: false, ...more }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    asked.on('error', reject).end();
  });
}

/** All that comes until the other side ends, or resets. */
function readAll(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', () => undefined).on('close', () => resolve(text));
  });
}

async function sendRaw(to: NetConnectOpts, bytes: string): Promise<string> {
  const socket = connect(to);
  socket.write(bytes);
  return readAll(socket);
}

test('flushed answers when the records are on disk, or says why not; over TCP with the token only', async (t) => {
  let isSlow = true;
  const flushed = (): Promise<void> =>
    isSlow ? Promise.reject(new Error('a write or sync took longer than 2000 ms')) : Promise.resolve();
  const { unix, port, errors, acted } = await open(t, undefined, flushed);
  const slow = await ask({ socketPath: unix }, '/flushed');
  assert.deepEqual([slow.status, slow.body], [503, 'a write or sync took longer than 2000 ms\n']);
  isSlow = false;
  assert.equal((await ask({ socketPath: unix }, '/flushed')).status, 200);
  assert.equal((await ask({ socketPath: unix }, '/flushed', { method: 'POST' })).status, 405);
  assert.equal((await ask({ port }, '/flushed')).status, 401);
  assert.deepEqual([errors, acted], [[], []]);
});

// bounds.adminRefusals
test('the token: wrong ones are told ten at once and then one a second, and the right one never waits', async (t) => {
  const { port, refused, clock } = await open(t);
  const statuses = async (count: number, word: string): Promise<number[]> => {
    const all: number[] = [];
    for (let at = 0; at < count; at += 1)
      all.push(
        (await ask({ port }, '/status.json', { headers: { Authorization: `Bearer ${word}` } })).status,
      );
    return all;
  };
  assert.deepEqual(await statuses(12, 'secrex'), [...Array.from({ length: 10 }, () => 401), 429, 429]);
  assert.deepEqual(await statuses(3, 'secret'), [200, 200, 200]);
  const { headers } = await ask({ port }, '/status.json');
  assert.equal(headers['retry-after'], '1');
  assert.equal(refused.length, 10);
  await clock.advance(1_000);
  assert.deepEqual(await statuses(2, 'secrex'), [401, 429]);
  assert.equal(refused.length, 11);
});

test('the UNIX socket has its mode and answers everything; after close it is gone', async (t) => {
  const { unix, close } = await open(t);
  assert.equal(lstatSync(unix).mode & 0o777, 0o600);
  const to = { socketPath: unix };
  const health = await ask(to, '/healthz');
  assert.equal(health.status, 200);
  assert.equal(health.body, 'ok\n');
  assert.equal(health.headers['connection'], 'close');
  assert.equal(health.headers['cache-control'], 'no-store');
  assert.equal(health.headers['x-content-type-options'], 'nosniff');
  assert.equal((await ask(to, '/readyz?verbose=1')).status, 200);
  assert.equal((await ask(to, '/metrics')).body, 'm 1\n');
  assert.match((await ask(to, '/status.json')).body, /"version": "1\.2\.3"/);
  await close();
  assert.equal(existsSync(unix), false);
});

test('anything but GET is 405 and says what is allowed; what is not there is 404', async (t) => {
  const { unix } = await open(t);
  const to = { socketPath: unix };
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE', 'PATCH']) {
    const got = await ask(to, '/healthz', { method });
    assert.deepEqual([method, got.status, got.headers['allow']], [method, 405, 'GET']);
  }
  for (const path of [
    '/',
    '/healthz/',
    '//healthz',
    '/HEALTHZ',
    '/status',
    '/../healthz',
    'http://x/healthz',
    '/%68ealthz',
  ]) {
    assert.equal((await ask(to, path)).status, 404, path);
  }
});

test('what changes something is a POST, of somebody known, from no page of another origin', async (t) => {
  const { unix, port, acted, errors } = await open(t);
  const post = { method: 'POST' };
  const onUnix = { socketPath: unix };
  assert.equal((await ask(onUnix, '/reload')).status, 405);
  assert.equal((await ask(onUnix, '/reload', post)).status, 409);
  assert.deepEqual(await statusAndBody(ask(onUnix, '/backend/mail1/drain', post)), [200, 'said\n']);
  assert.equal((await ask(onUnix, '/backend/mail1/enable', post)).status, 200);
  assert.deepEqual(await statusAndBody(ask(onUnix, '/kill/01A', post)), [404, 'no command 01A runs\n']);
  assert.deepEqual(errors, []);
  assert.equal((await ask(onUnix, '/kill/lost', post)).status, 503);
  assert.equal(errors.length, 1);
  for (const path of [
    '/backend/mail1/remove',
    '/backend/mail1',
    '/backend//drain',
    '/kill/',
    '/kill/a/b',
    '/kill/%zz',
  ]) {
    assert.equal((await ask(onUnix, path, post)).status, 404, path);
  }
  const evil = { method: 'POST', headers: { Origin: 'http://evil.example' } };
  assert.equal((await ask(onUnix, '/reload', evil)).status, 403);
  assert.equal((await ask({ port }, '/reload', post)).status, 401);
  const token = { Authorization: 'Bearer secret' };
  assert.equal(
    (await ask({ port }, '/reload', { method: 'POST', headers: { ...token, Origin: 'null' } })).status,
    403,
  );
  const foreign = {
    method: 'POST',
    headers: { ...token, Host: 'evil.example', Origin: 'http://evil.example' },
  };
  assert.equal((await ask({ port }, '/reload', foreign)).status, 421);
  assert.equal((await ask({ port }, '/reload', { method: 'POST', headers: token })).status, 409);
  assert.deepEqual(acted, [
    'alice: {"kind":"reload"}',
    'alice: {"kind":"drain","backend":"mail1"}',
    'alice: {"kind":"enable","backend":"mail1"}',
    'alice: {"kind":"kill","id":"01A"}',
    'alice: {"kind":"kill","id":"lost"}',
    'token: {"kind":"reload"}',
  ]);
});

async function statusAndBody(got: ReturnType<typeof ask>): Promise<[number, string]> {
  const { status, body } = await got;
  return [status, body];
}

test('one request a connection: what follows it is not answered', async (t) => {
  const { port } = await open(t);
  const get = 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n';
  const text = await sendRaw({ host: '127.0.0.1', port }, get.repeat(3));
  assert.equal(text.match(/HTTP\/1\.1 /g)?.length, 1, text);
});

// bounds.adminHeadBytes
test('requests that are too large or none at all are refused, and the next is served', async (t) => {
  const { unix } = await open(t);
  const to = { path: unix };
  const long = await sendRaw(to, `GET /${'x'.repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`);
  assert.match(long, /^HTTP\/1\.1 431 /);
  const header = await sendRaw(to, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(9000)}\r\n\r\n`);
  assert.match(header, /^HTTP\/1\.1 431 /);
  assert.match(await sendRaw(to, 'VERSION\tdoveadm-server\t1\t2\n'), /^HTTP\/1\.1 400 /);
  assert.match(await sendRaw(to, 'GET /healthz HTTP/1.1\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.equal(await sendRaw(to, 'CONNECT localhost:1 HTTP/1.1\r\nHost: a\r\n\r\n'), '');
  assert.match(
    await sendRaw(
      to,
      'GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    ),
    /^HTTP\/1\.1 200 /,
  );
  assert.equal((await ask({ socketPath: unix }, '/healthz')).status, 200);
});

test('a silent connection is closed after a second; half a request, or an answer that is not read, after ten', async (t) => {
  const big = 'x'.repeat(8 << 20);
  const asked: string[] = [];
  const { clock, unix } = await open(t, () => {
    asked.push('metrics');
    return Promise.resolve(big);
  });
  const silent = readAll(connect({ path: unix }));
  while (clock.timers < 1) await settle();
  await clock.advance(1_000);
  assert.equal(await silent, '');

  const half = connect({ path: unix });
  half.write('GET /healthz HTTP/1.1\r\nHost: a\r\n');
  const slow = readAll(half);
  const deaf = connect({ path: unix }).pause();
  deaf.write('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n');
  while (clock.timers < 2 || asked.length < 1) await settle();
  await clock.advance(9_999);
  assert.equal(clock.timers, 2);
  await clock.advance(1);
  assert.equal(await slow, '');
  assert.ok((await readAll(deaf.resume())).length < big.length);
  assert.equal(clock.timers, 0);
});

test('an endpoint that fails is 500 without a word of why, told to the log, and ends nothing', async (t) => {
  const { unix, errors } = await open(t, () => Promise.reject(new Error('inner detail')));
  const got = await ask({ socketPath: unix }, '/metrics?injected=1');
  assert.equal(got.status, 500);
  assert.ok(!got.body.includes('inner detail'));
  assert.deepEqual(errors, ['/metrics: inner detail']);
  assert.equal((await ask({ socketPath: unix }, '/healthz')).status, 200);
});

test('close ends connections that are open; a door that cannot be made leaves none behind', async (t) => {
  const { clock, unix, close } = await open(t);
  const socket = connect({ path: unix });
  await once(socket, 'connect');
  while (clock.timers < 1) await settle();
  const ended = readAll(socket);
  await close();
  assert.equal(await ended, '');
  assert.equal(clock.timers, 0);

  const bind: AdminDoor['bind'] = (server) =>
    bindUnix(server, { path: unix, mode: 0o600, uid: undefined, gid: undefined }, failOnError);
  const doors: AdminDoor[] = [
    { door: { kind: 'unix' }, bind },
    { door: { kind: 'unix' }, bind: () => Promise.reject(new Error('taken')) },
  ];
  const sources = {
    clock,
    snapshot: () => healthy,
    metrics: () => Promise.resolve(''),
    flushed: () => Promise.resolve(),
  };
  const act: Act = () => assert.fail('nobody asked');
  const whoIs = (): Promise<undefined> => Promise.resolve(undefined);
  const told = { onError: failOnError, onRefused: failOnError };
  await assert.rejects(openAdmin({ ...sources, doors, act, whoIs, ...told }), /taken/);
  assert.equal(existsSync(unix), false);
});

// bounds.adminHeadFields
test('a head of more fields than are read is refused, whatever stands in the last one', async (t) => {
  const { unix } = await open(t);
  const withFields = (count: number): Promise<string> =>
    sendRaw({ path: unix }, `GET /healthz HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(count - 1)}\r\n`);
  assert.match(await withFields(bounds.adminHeadFields), /^HTTP\/1\.1 200 /);
  assert.match(await withFields(bounds.adminHeadFields + 1), /^HTTP\/1\.1 431 /);
});
