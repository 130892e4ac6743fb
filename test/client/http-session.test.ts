// The library over HTTP: what it sends, byte for byte where it matters, and what becomes of every answer, whole, refused or cut.
// What must not happen: a cut answer that gives rows; a key in a message, or in clear to another machine; a dry run that runs.
import assert from 'node:assert/strict';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import tls from 'node:tls';
import {
  type Command,
  CommandFailed,
  type CommandInput,
  connect,
  SessionFault,
} from '../../src/client/connect.js';
import { type HttpOptions } from '../../src/client/http-session.js';
import { makeAuthority } from '../kit/gate/certificates.js';
import {
  type HttpServer,
  json,
  openHttpServer,
  type ScriptedAnswer,
  type SeenRequest,
} from './http-server.js';
import { openSession } from './opened.js';

const key = 'dvg_testkey1_secret';
const quota = { user: 'alice', name: 'quota get' };
const quotaRow = { root: 'User quota', type: 'STORAGE', value: '72', limit: 10240, percent: '0' };
const ok = (rows: unknown): ScriptedAnswer => json([['doveadmResponse', rows, '1']]);

async function sessionAt(t: TestContext, server: HttpServer, options: Partial<HttpOptions> = {}) {
  const session = await connect({ url: server.url, key, ...options });
  t.after(() => session.close());
  return session;
}

/** One command, one answer. */
async function answered(
  t: TestContext,
  answer: ScriptedAnswer,
  command: Command = quota,
): Promise<{ rows?: readonly (readonly string[])[]; fault?: unknown; request: SeenRequest | undefined }> {
  const server = await openHttpServer(t, () => answer);
  const session = await sessionAt(t, server);
  try {
    return { rows: await session.run(command), request: server.requests[0] };
  } catch (fault) {
    return { fault, request: server.requests[0] };
  }
}

void test('rows by name: those of the answer, for all users too; an answer without names is refused', async (t) => {
  const named = async (answer: ScriptedAnswer, command: Command) => {
    const session = await sessionAt(t, await openHttpServer(t, () => answer));
    return session.named(command);
  };
  const { limit, ...others } = quotaRow;
  assert.deepEqual(await named(ok([quotaRow]), quota), [{ ...others, limit: String(limit) }]);
  const all = { name: 'quota get', args: ['-A'] };
  const ofAlice = { username: 'alice', ...others };
  assert.deepEqual(await named(ok([ofAlice]), all), [ofAlice]);
  await assert.rejects(named(ok({ alice: { uid: '5000' } }), { name: 'user', args: ['alice'] }), {
    name: 'SessionFault',
    code: 'unexpected-reply',
  });
});

void test('a command as JSON, and rows in the order of their columns', async (t) => {
  const { percent, ...others } = quotaRow;
  const asked = { ...quota, reason: 'Störung 4711' };
  const { rows, request } = await answered(t, ok([{ percent, ...others }]), asked);
  assert.deepEqual(rows, [['User quota', 'STORAGE', '72', '10240', '0']]);
  assert.equal(request?.line, 'POST /doveadm/v1 HTTP/1.1');
  assert.equal(request.body, '[["quotaGet",{"user":"alice"},"1"]]');
  assert.equal(request.headers.get('authorization'), `X-Dovecot-API ${Buffer.from(key).toString('base64')}`);
  const reason = Buffer.from(request.headers.get('dovegate-reason') ?? '', 'latin1').toString();
  assert.equal(reason, 'Störung 4711');
  assert.equal(request.headers.get('content-type'), 'application/json');
  assert.equal(request.headers.has('expect'), false);
});

void test('cells and stream give the same as run; a field asked for twice is given twice', async (t) => {
  const [unseen, seen] = [
    { uid: '1', flags: '' },
    { uid: '2', flags: '\\Seen' },
  ];
  const server = await openHttpServer(t, () => ok([unseen, seen]));
  const session = await sessionAt(t, server);
  const command = { user: 'alice', name: 'fetch', args: ['uid flags uid', 'all'] };
  const rows = [
    ['1', '', '1'],
    ['2', '\\Seen', '2'],
  ];
  assert.deepEqual(await session.run(command), rows);
  const streamed = session.stream(command);
  const cells: string[] = [];
  for await (const { bytes, endsCell } of session.cells(command)) {
    assert.ok(endsCell);
    cells.push(bytes.toString());
  }
  assert.deepEqual(cells, rows.flat());
  // Sent before the first row was asked for.
  assert.equal(server.requests.length, 3);
  const late: (readonly string[])[] = [];
  for await (const row of streamed) late.push(row);
  assert.deepEqual(late, rows);
});

void test('what the server says of a command is CommandFailed, with its message', async (t) => {
  const cases: [type: string, exitCode: number, code: string][] = [
    ['exitCode', 67, 'NOUSER'],
    ['exitCode', 68, 'NOTFOUND'],
    ['exitCode', 64, 'USAGE'],
    ['exitCode', 65, 'DATAERR'],
    ['exitCode', 73, 'CANTCREAT'],
    ['exitCode', 75, 'TEMPFAIL'],
    ['exitCode', 76, 'PROTOCOL'],
    ['exitCode', 77, 'NOPERM'],
    ['exitCode', 2, 'CHANGED'],
    ['exitCode', 1003, 'EXPIRED'],
    ['exitCode', -1, 'UNKNOWN'],
    ['unAuthorized', 77, 'NOPERM'],
    ['unknownMethod', 0, 'USAGE'],
    ['invalidRequest', 0, 'USAGE'],
  ];
  const server = await openHttpServer(t, ({ headers }) => {
    const [type, exitCode] = cases[Number(headers.get('dovegate-reason'))] ?? [];
    return json([['error', { type, exitCode, message: 'no rule allows it', id: 'x' }, '1']]);
  });
  const session = await sessionAt(t, server);
  for (const [at, [type, , code]] of cases.entries()) {
    await assert.rejects(session.run({ ...quota, reason: String(at) }), (fault) => {
      assert.ok(fault instanceof CommandFailed);
      assert.deepEqual([fault.code, fault.logs.map(({ text }) => text)], [code, ['no rule allows it']], type);
      return true;
    });
  }
  const id = '01KDYAK3487FXJ0FWSFTT3D0WN';
  const own = { type: 'unAuthorized', exitCode: 77, message: 'denied by policy p (x)', code: 'denied', id };
  const denied = await answered(t, json([['error', own, '1']]));
  assert.ok(denied.fault instanceof CommandFailed);
  const said = denied.fault.logs.map(({ text }) => text);
  assert.deepEqual(said, [`dovegate: denied by policy p (x) [denied], id ${id}`]);
  // Dovecot sends no message.
  const bare = await answered(t, json([['error', { type: 'exitCode', exitCode: 67 }, '1']]));
  assert.ok(bare.fault instanceof CommandFailed && bare.fault.logs.length === 0);
});

void test('a refusal of the whole request says what to do, and never shows the key', async (t) => {
  const strange = 'version-unsupported';
  const cases: [status: string, body: string, name: string, code: string, message: RegExp][] = [
    ['401 Authentication required', '', 'SessionFault', 'auth-rejected', /refused the key/],
    ['404 Path Not Found', 'Path Not Found', 'SessionFault', strange, /no doveadm HTTP API at this URL/],
    ['403 Forbidden', '', 'SessionFault', strange, /answered 403 Forbidden/],
    ['503 Service Unavailable', '', 'SessionFault', strange, /answered 503/],
    ['504 Gateway Timeout', '', 'SessionFault', strange, /answered 504/],
    ['400 Bad Request', "Parameter `user' is double\r\n", 'CommandFailed', 'USAGE', /`user' is double/],
    ['413 Payload Too Large', '', 'CommandFailed', 'DATAERR', /longer than the server takes/],
  ];
  for (const [status, body, name, code, message] of cases) {
    const { fault } = await answered(t, json(body, status));
    assert.ok(fault instanceof CommandFailed || fault instanceof SessionFault, status);
    assert.deepEqual([fault.name, fault.code], [name, code], status);
    assert.match(fault.message, message);
    // Whoever passed it on does not know what became of it.
    if (fault instanceof SessionFault) assert.equal(fault.mayHaveRun, status.startsWith('504'), status);
    assert.ok(!JSON.stringify([fault.message, fault.stack]).includes(key));
  }
});

void test('an answer that is cut at any byte, closed or reset, gives no row', async (t) => {
  const text = JSON.stringify([['doveadmResponse', [quotaRow, quotaRow], '1']]);
  const whole = [
    `HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`,
    `HTTP/1.1 200 OK\r\n\r\n${text}`,
  ];
  for (const bytes of whole) {
    for (const next of ['close', 'reset'] as const) {
      for (let at = 0; at < bytes.length; at += 7) {
        const { rows, fault } = await answered(t, { bytes: bytes.slice(0, at), next });
        assert.equal(rows, undefined, `${next} at ${at} of ${bytes}`);
        assert.ok(fault instanceof SessionFault && fault.mayHaveRun, `${String(fault)} at ${at}`);
        assert.ok(['closed-early', 'wire-fault'].includes(fault.code), fault.code);
      }
    }
  }
  const wrong = ' null {} [] [[]] [["x",[],"1"]] [["error",[],"1"]] [["doveadmResponse",[1],"1"]]';
  for (const body of wrong.split(' ')) {
    const { fault } = await answered(t, json(body));
    assert.ok(fault instanceof SessionFault && fault.code === 'wire-fault', body);
  }
});

void test('an input is sent as it comes, escaped, at every cut of its bytes', async (t) => {
  const server = await openHttpServer(t, () => ok([]));
  const session = await sessionAt(t, server);
  const text = 'Subject: "ü" \\ 😀\r\n\r\n.\r\n\tx\ty\u2028\n';
  const bytes = Buffer.from(text);
  const command = { user: 'alice', name: 'save', args: ['-m', 'Drafts'] };
  for (let at = 0; at <= bytes.length; at += 1) {
    await session.run({ ...command, input: [bytes.subarray(0, at), bytes.subarray(at)] });
    const sent = [['save', { user: 'alice', mailbox: 'Drafts', file: text }, '1']];
    assert.deepEqual(JSON.parse(server.requests.at(-1)?.body ?? ''), sent);
  }
  assert.equal(server.requests[0]?.headers.get('expect'), '100-continue');
  assert.equal(new Set(server.requests.map(({ connection }) => connection)).size, 1);
});

void test('an input that is no UTF-8, or cannot be read, never arrives whole', async (t) => {
  const server = await openHttpServer(t, () => ok([]));
  const session = await sessionAt(t, server);
  const command = { user: 'alice', name: 'save' };
  const faults = async (input: CommandInput): Promise<SessionFault> => {
    const fault: unknown = await session.run({ ...command, input }).catch((cause: unknown) => cause);
    assert.ok(fault instanceof SessionFault, String(fault));
    return fault;
  };
  const latin1 = await faults([Buffer.from('good\n'), Buffer.from([0xe9, 0x0a])]);
  assert.deepEqual([latin1.code, latin1.mayHaveRun], ['input-not-utf8', false]);
  assert.match(latin1.message, /must be UTF-8/);
  assert.equal((await faults([Buffer.from([0xc3])])).code, 'input-not-utf8');
  const failing = function* () {
    yield 'begin';
    throw new Error('disk');
  };
  const broken = await faults(failing());
  assert.deepEqual([broken.code, broken.mayHaveRun], ['input-failed', false]);
  await assert.rejects(session.run(command), { code: 'unsendable', message: /needs its input/ });
  await delay(20);
  assert.deepEqual([server.requests.length, server.heads()], [0, 3]);
});

void test('commands go one at a time, on one connection where the server keeps it', async (t) => {
  const server = await openHttpServer(t, ({ connection }) => ({
    ...ok([quotaRow]),
    next: connection === 1 ? 'stay' : 'close',
  }));
  const session = await sessionAt(t, server);
  await Promise.all([session.run(quota), session.run(quota), session.run(quota)]);
  assert.equal(server.requests.map(({ connection }) => connection).join(' '), '1 1 1');
  await session.close();
  await assert.rejects(session.run(quota), { code: 'closed' });
});

void test('a dry run has a path of its own, and over a socket a command of its own', async (t) => {
  const rows = [{ what: 'decision', value: 'allow' }];
  const { request } = await answered(t, ok(rows), { ...quota, dryRun: true });
  assert.equal(request?.line, 'POST /dovegate/v1/dry-run HTTP/1.1');
  const tagged = await answered(t, ok(rows), { ...quota, tag: 'bulk-1' });
  assert.match(tagged.request?.body.toString() ?? '', /,"bulk-1"\]\]$/);
  // Over the doveadm protocol it is a command of dovegate's own, and no input follows it.
  const { session, peer } = openSession(0, { serverMinor: 3 });
  const save = { user: 'alice', name: 'save', args: ['-m', 'x'], input: 'text' };
  const running = session.run({ ...save, dryRun: true });
  await peer.receive((bytes) => bytes.includes('\n'));
  assert.equal(peer.received().toString(), '\t\tdovegate dry-run\t-u\talice\t--\tsave\t-m\tx\n');
  peer.send('decision\tallow\t\n+\n');
  assert.deepEqual(await running, [['decision', 'allow']]);
});

void test('rights are asked for with GET', async (t) => {
  const said = json([{ what: 'listener', value: 'panel' }]);
  const { rows, request } = await answered(t, said, { name: 'dovegate can' });
  assert.deepEqual([request?.line, rows], ['GET /dovegate/v1/can HTTP/1.1', [['listener', 'panel']]]);
  const other = await answered(t, json([]), { name: 'dovegate explain' });
  assert.ok(other.fault instanceof SessionFault && other.fault.code === 'unsendable');
});

void test('a server of 2.3 is asked again by its own names of parameters, after invalidRequest only', async (t) => {
  const old = json([['error', { type: 'invalidRequest', exitCode: 0 }, '1']]);
  const server = await openHttpServer(t, ({ body }) => (body.includes('"user"') ? ok([]) : old));
  const session = await sessionAt(t, server);
  assert.deepEqual(await session.run({ name: 'proxy kick', args: ['bob'] }), []);
  assert.equal(server.requests.length, 2);
  await assert.rejects(session.run({ name: 'who', args: ['bob'] }), { code: 'USAGE' });
  assert.equal(server.requests.length, 3);
});

void test('a server that is not there, is silent, or is left', async (t) => {
  const gone = await connect({ url: 'unix:/nonexistent/dovegate.sock' });
  await assert.rejects(gone.run(quota), { code: 'dial-refused', mayHaveRun: false });
  await gone.close();
  const server = await openHttpServer(t, () => undefined);
  const hasty = await sessionAt(t, server, { replyIdleMs: 50 });
  await assert.rejects(hasty.run(quota), { code: 'reply-timeout', mayHaveRun: true });
  const session = await sessionAt(t, server);
  const controller = new AbortController();
  const running = session.run({ ...quota, signal: controller.signal });
  while (server.requests.length < 2) await delay(5);
  controller.abort(new Error('enough'));
  await assert.rejects(running, /enough/);
  const left = session.run(quota);
  left.catch(() => undefined);
  while (server.requests.length < 3) await delay(5);
  await session.close();
  await assert.rejects(left, { code: 'closed' });
  const many = await openHttpServer(t, () => ok([quotaRow, quotaRow]));
  const small = await sessionAt(t, many, { replyBytesMax: 100 });
  await assert.rejects(small.run(quota), { code: 'unexpected-reply' });
});

void test('only what a connected server was sent may have run, and that also where TLS breaks afterwards', async (t) => {
  const change = { user: 'alice', name: 'mailbox create', args: ['x'] };
  // Accepts and never shakes hands; ends the handshake at once; is no server of TLS.
  const greetings = [() => undefined, (to: net.Socket) => to.destroy(), (to: net.Socket) => to.end('x')];
  for (const greet of greetings) {
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      greet(socket);
    });
    const url = `https://localhost:${await listen(t, server)}`;
    const session = await connect({ url, connectTimeoutMs: 200 });
    const fault: unknown = await session.run(change).catch((cause: unknown) => cause);
    assert.ok(fault instanceof SessionFault && !fault.mayHaveRun, String(fault));
    await session.close();
  }
  const authority = makeAuthority({ name: 'test' });
  const { certificatePem, keyPem } = authority.issue({ names: ['localhost'] });
  const plain = new Set<net.Socket>();
  const server = tls.createServer({ cert: certificatePem, key: keyPem }, (socket) => {
    socket.on('error', () => undefined);
    // The request is here; what follows is not of TLS.
    socket.once('data', () => plain.forEach((each) => each.write('HTTP/1.1 408 Request Timeout\r\n\r\n')));
  });
  server.on('connection', (socket: net.Socket) => plain.add(socket));
  const url = `https://localhost:${await listen(t, server)}`;
  const session = await connect({ url, ca: authority.certificatePem });
  t.after(() => session.close());
  await assert.rejects(session.run(change), { code: 'tls-failed', mayHaveRun: true });
});

async function listen(t: TestContext, server: net.Server): Promise<number> {
  const open = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => open.add(socket));
  await new Promise<void>((resolve) => void server.listen(0, 'localhost', resolve));
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
