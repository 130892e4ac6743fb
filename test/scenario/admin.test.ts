// Goal: an operator, a probe and a scraper see the truth about the running daemon, over its UNIX socket and over TCP. Phases: a
// healthy daemon; a backend that goes and comes back; a journal that is taken away and heals; the drain; a hostile client. What must
// not happen: "ready" while commands are refused, a fault that shows later than 10 s, an end of it that shows later than 12 s, a
// series that a client made, a status without the token over TCP.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { askHttp, type Got } from '../kit/ask-http.js';
import { type Daemon, DaemonStartError, startDaemon } from '../kit/daemon.js';
import { freePorts } from '../kit/free-ports.js';
import { backendPassword, type Gateway, openGateway } from '../kit/gateway.js';
import type { RawClient } from '../kit/raw-client.js';
import { createGate } from '../kit/script.js';
import { openScriptedDovecot } from '../kit/scripted-dovecot.js';

const token = 'staple-battery-token';
const quota = { user: 'alice@example.org', fields: ['quota get'] };
const onUnix = 'admin: { unix: admin.sock, mode: "0600" }';
/** The full figure is 10,000 (DOVEGATE_ROUNDS=10). */
const hostile = 1_000 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

const askDaemon = (daemon: Daemon, path: string): Promise<Got> =>
  askHttp({ socketPath: daemon.path('admin.sock') }, path);

/** Asks until it is so, as a probe does; says how long that took. */
async function until(
  daemon: Daemon,
  status: number,
  ms: number,
  meanwhile = async () => {},
): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const { status: now, body } = await askDaemon(daemon, '/readyz');
    const tookMs = performance.now() - startMs;
    if (now === status) return tookMs;
    assert.ok(tookMs < ms, `after ${ms} ms /readyz is still ${now}: ${body}`);
    await meanwhile();
    // What a probe asks for has no event: it asks again.
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
}

function codesOf(body: string): string[] {
  return [...body.matchAll(/"code": "([a-z-]+)"/g)].map(([, code]) => code ?? '');
}

async function seriesOf(daemon: Daemon): Promise<ReadonlyMap<string, number>> {
  const { status, body } = await askDaemon(daemon, '/metrics');
  assert.equal(status, 200);
  const values = new Map<string, number>();
  for (const line of body.split('\n')) {
    const [, series, value] = /^([^#].*) (\S+)$/.exec(line) ?? [];
    if (series !== undefined) values.set(series, Number(value));
  }
  return values;
}

async function run(client: RawClient): Promise<string> {
  client.sendCommand(quota);
  return (await client.readReply()).status;
}

test('a healthy daemon: ready, its status and metrics show what it did, and the socket goes with it', async (t) => {
  const { client, daemon } = await openGateway(t, { more: onUnix });
  assert.equal(lstatSync(daemon.path('admin.sock')).mode & 0o777, 0o600);
  assert.deepEqual(await askDaemon(daemon, '/healthz'), { status: 200, body: 'ok\n' });
  const ready = await askDaemon(daemon, '/readyz');
  assert.equal(ready.status, 200, ready.body);
  assert.match(ready.body, /"route": ".*dovegate\.yaml:\d+",\s+"state": "up"/);

  const one = await client();
  assert.equal(await run(one), '+');
  assert.equal(await run(one), '+');
  one.sendCommand({ user: 'alice@example.org', fields: ['expunge', 'all'] });
  assert.notEqual((await one.readReply()).status, '+');
  let series = await seriesOf(daemon);
  // Known after the journal's first look at its disk, a moment after the start, and after its next sync.
  const records = (): number => series.get('dovegate_audit_records_total') ?? 0;
  while (!series.has('dovegate_audit_free_bytes') || records() < 2) series = await seriesOf(daemon);
  const labels = 'listener="support",command="quota get",decision="allow",outcome="ok"';
  assert.equal(series.get(`dovegate_exchanges_total{${labels}}`), 2);
  assert.equal(series.get('dovegate_sessions{listener="support"}'), 1);
  assert.equal(series.get('dovegate_upstreams{backend="mail1",state="idle"}'), 1);
  assert.equal(series.get('dovegate_dials_total{backend="mail1",result="ok"}'), 1);
  assert.equal(series.get('dovegate_backend_up{backend="mail1"}'), 1);
  assert.equal(series.get('dovegate_audit_writable'), 1);
  assert.equal(series.get('dovegate_audit_lost_total'), 0);
  assert.ok((series.get('dovegate_audit_free_bytes') ?? 0) > 0);
  assert.equal(series.get('dovegate_lease_wait_seconds_count'), 2);

  const status = await askDaemon(daemon, '/status.json');
  const started = await daemon.waitForLog(({ event }) => event === 'started', 'started');
  assert.ok(status.body.includes(`"config": "${String(started['hash'])}"`));
  assert.match(status.body, /"listener": "support",\s+"address": "unix:.*support\.sock",\s+"sessions": 1/);
  assert.ok(!status.body.includes(backendPassword));
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  assert.equal(existsSync(daemon.path('admin.sock')), false);
});

/** Ends the backend and opens another at its port, with the same certificate's names. */
async function comeBack(
  t: { after(run: () => void | Promise<void>): void },
  gateway: Gateway,
): Promise<void> {
  const { authority, backend } = gateway;
  const certificate = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const port = Number(backend.address.split(':').pop());
  const again = await openScriptedDovecot({ tls: 'starttls', certificate, password: backendPassword, port });
  t.after(() => again.close());
}

test('a backend that goes away makes it unready within 10 s, though nobody asks; its return ready within 12 s', async (t) => {
  const gateway = await openGateway(t, { more: onUnix, mail1: { idle: '1' } });
  const { client, daemon, backend } = gateway;
  assert.equal(await run(await client()), '+');
  await backend.close();
  const downMs = await until(daemon, 503, 10_000);
  const { body } = await askDaemon(daemon, '/readyz');
  assert.deepEqual(codesOf(body), ['backends-down']);
  assert.match(body, /"state": "down"/);
  assert.equal((await seriesOf(daemon)).get('dovegate_backend_up{backend="mail1"}'), 0);
  await comeBack(t, gateway);
  const upMs = await until(daemon, 200, 12_000);
  assert.equal(await run(await client()), '+');
  t.diagnostic(`unready after ${Math.round(downMs)} ms, ready after ${Math.round(upMs)} ms`);
});

/** Bytes of the journal's reserve. */
function reserveOf(daemon: Daemon): number {
  return statSync(daemon.path('audit/reserve'), { throwIfNoEntry: false })?.size ?? 0;
}

test('a journal whose directory is taken away makes it unready within 10 s; it heals and says so', async (t) => {
  const { client, daemon } = await openGateway(t, { more: onUnix });
  const one = await client();
  assert.equal(await run(one), '+');
  // The first round of maintenance makes the reserve; a directory that goes meanwhile would be taken for a full disk.
  for (const deadline = Date.now() + 60_000; reserveOf(daemon) === 0; ) {
    assert.ok(Date.now() < deadline, 'no reserve within 60 s');
    await askDaemon(daemon, '/readyz');
  }
  assert.equal(await run(one), '+');
  renameSync(daemon.path('audit'), daemon.path('audit.gone'));
  // In its place, so that the journal cannot just make another.
  daemon.write('audit', 'in the way');
  // The journal looks when it writes: somebody must want a record.
  const downMs = await until(daemon, 503, 10_000, async () => void (await run(one)));
  assert.deepEqual(codesOf((await askDaemon(daemon, '/readyz')).body), ['audit-failed']);
  assert.equal((await seriesOf(daemon)).get('dovegate_audit_writable'), 0);
  assert.equal((await askDaemon(daemon, '/healthz')).status, 200);
  assert.equal(await run(one), '-TEMPFAIL');
  rmSync(daemon.path('audit'));
  renameSync(daemon.path('audit.gone'), daemon.path('audit'));
  const upMs = await until(daemon, 200, 12_000);
  assert.equal(await run(one), '+');
  t.diagnostic(`unready after ${Math.round(downMs)} ms, ready after ${Math.round(upMs)} ms`);
});

test('a daemon that drains says so until it is gone', async (t) => {
  const gate = createGate();
  const { client, daemon, backend } = await openGateway(t, {
    more: onUnix,
    backend: {
      script: async (_command, connection) => {
        await gate.opened;
        await connection.status('+');
      },
    },
  });
  const one = await client();
  one.sendCommand(quota);
  await backend.waitFor((dovecot) => dovecot.commands.length === 1, 'the command');
  daemon.signal('SIGTERM');
  await daemon.waitForLog(({ event }) => event === 'stopping', 'stopping');
  const { status, body } = await askDaemon(daemon, '/readyz');
  assert.equal(status, 503);
  assert.ok(codesOf(body).includes('draining'), body);
  assert.equal((await askDaemon(daemon, '/healthz')).status, 200);
  gate.open();
  assert.equal((await one.readReply()).status, '+');
  assert.deepEqual(await daemon.exited, { code: 0, signal: null });
});

test('over TCP: health and metrics for this machine, the status with the token, no foreign Host', async (t) => {
  const [port = 0] = await freePorts(1);
  const where = { host: '127.0.0.1', port };
  const { daemon } = await openGateway(t, {
    more: `admin: { tcp: "127.0.0.1:${port}", token_file: token }`,
    files: { token: `${token}\n` },
  });
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    assert.equal((await askHttp(where, path)).status, 200, path);
    assert.equal((await askHttp(where, path, { Host: 'evil.example' })).status, 421, path);
  }
  assert.equal((await askHttp(where, '/status.json')).status, 401);
  assert.equal((await askHttp(where, '/status.json', { Authorization: `Bearer ${token}x` })).status, 401);
  assert.equal((await askHttp(where, '/status.json', { Authorization: `Bearer ${token}` })).status, 200);
  await daemon.stop();
  assert.deepEqual(daemon.grepSecrets([token]), []);
});

test('a second daemon at a live admin socket does not start', async (t) => {
  const { daemon } = await openGateway(t, { more: onUnix });
  const config = readFileSync(daemon.configFile, 'utf8')
    .replace('unix: support.sock', 'unix: other.sock')
    .replace('directory: audit', 'directory: audit2');
  const other = startDaemon(t, { folder: daemon.folder, config });
  await assert.rejects(other, (fault) => {
    assert.ok(fault instanceof DaemonStartError);
    assert.equal(fault.exit?.code, 78, fault.output);
    assert.match(fault.output, /admin\.sock: another process listens there/);
    return true;
  });
  assert.equal((await askDaemon(daemon, '/healthz')).status, 200);
});

test(`${hostile} random commands of a hostile client add no series beyond the first`, async (t) => {
  const { client, daemon } = await openGateway(t, { more: onUnix });
  const one = await client();
  const send = async (name: string): Promise<void> => {
    one.sendCommand({ user: 'alice@example.org', fields: [name] });
    await one.readReply();
  };
  await send('no such command');
  const before = await seriesOf(daemon);
  for (let at = 0; at < hostile; at += 1) await send(`x${randomBytes(6).toString('base64url')}"}`);
  const after = await seriesOf(daemon);
  const names = (series: ReadonlyMap<string, number>): string[] =>
    [...series.keys()]
      .filter((name) => !/event_loop|audit_(?:free|max|young)_bytes|backend="mail1"/.test(name))
      .toSorted();
  assert.deepEqual(names(after), names(before));
  const other = [...after].filter(([name]) => name.includes('command="other"'));
  assert.deepEqual(
    other.map(([, count]) => count),
    [hostile + 1],
  );
});
