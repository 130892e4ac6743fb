// Goal: a daemon ships to a real stream as it is configured, says how that goes, and serves whatever becomes of it. What must not happen:
// two machines with one journal that both go on shipping, a command that waits, a secret in a block or in a message.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openNats } from '../../../src/evidence/nats/link.js';
import { type Daemon, startDaemon, startShip } from '../../kit/gate/daemon.js';
import { type Gateway, openGateway } from '../../kit/gate/gateway.js';
import { type Nats, type NatsOptions, openNatsServer } from '../../kit/gate/nats.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { addMemory, openFolder } from '../../kit/plain/folder.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { findSecrets } from '../../kit/plain/traces.js';
import { until } from '../../kit/plain/until.js';
import { readShipped, stream } from './ship-story.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };

async function openStream(t: TestContext, options: Partial<NatsOptions> = {}): Promise<Nats | undefined> {
  const nats = await openNatsServer(t, { gates: ['gate1', 'gate2'], ...options });
  if ('skip' in nats) {
    t.skip(nats.skip);
    return undefined;
  }
  const admin = await openNats(nats.settingsOf('admin'));
  await admin.createStream(stream, {
    subjects: ['dovegate.audit.gate1.*'],
    replicas: 1,
    maxAgeMs: 0,
    maxBytes: undefined,
  });
  await admin.close();
  return nats;
}

function auditOf(ship: readonly string[]): string {
  const more = ship.length === 0 ? '' : `, ship: [${ship.join(', ')}]`;
  return `{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, checkpoint_interval: 1s${more} }`;
}

/** A receiver as YAML; the files are those that `openDaemon` gives. */
function sinkOf({ port }: Nats, more: string, host = 'gate1'): string {
  return `{ nats: "tls://127.0.0.1:${port}", host: ${host}, ca: nats-ca.pem, ${more} }`;
}

const byCredentials = 'credentials: gate1.creds';

function openDaemon(
  t: TestContext,
  { folder }: Nats,
  ship: readonly string[],
  names: readonly string[],
  included: Readonly<Record<string, string>> = {},
) {
  const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
  return openGateway(t, {
    audit: auditOf(ship),
    more: `admin: { unix: admin.sock }\ninclude: [${Object.keys(included).join(', ')}]`,
    files: { 'nats-ca.pem': readFileSync(join(folder, 'ca.pem'), 'utf8'), ...files, ...included },
  });
}

async function serves(daemon: Daemon): Promise<void> {
  const client = await openRawClient({ path: daemon.path('support.sock'), minor: 2 });
  client.sendCommand(quota);
  assert.equal((await client.readReply()).status, '+');
  client.close();
}

async function ask(daemon: Daemon, path: string): Promise<string> {
  return (await askHttp({ socketPath: daemon.path('admin.sock') }, path)).body;
}

interface SinkShown {
  readonly sink: string;
  readonly state: string;
  readonly fault?: { readonly code: string; readonly text: string };
  readonly lag_records: number;
  readonly safe_seq: number;
}

async function sinksOf(daemon: Daemon): Promise<readonly SinkShown[]> {
  const { shipping } = JSON.parse(await ask(daemon, '/status.json'));
  return shipping;
}

async function caughtUp(daemon: Daemon): Promise<void> {
  const isDone = async (): Promise<boolean> =>
    (await sinksOf(daemon)).every(({ state, lag_records: lag }) => state === 'connected' && lag === 0);
  await until(isDone, 'everything is shipped');
}

function journalOf(daemon: Daemon): string {
  const found = daemon.audit().find(({ record }) => typeof record['journal'] === 'string');
  return String(found?.record['journal']);
}

void test('two machines with one journal: both stop shipping, both serve, both say so', async (t) => {
  const nats = await openStream(t);
  if (nats === undefined) return;
  const sink = sinkOf(nats, byCredentials);
  const gateway = await openDaemon(t, nats, [sink], ['gate1.creds']);
  const earlier = await startShip(t, gateway.daemon);
  await serves(gateway.daemon);
  await caughtUp(gateway.daemon);
  await gateway.daemon.stop();
  await earlier.stop();
  const config = readFileSync(gateway.daemon.configFile, 'utf8');
  const copy = openFolder(t);
  cpSync(gateway.daemon.folder, copy, {
    recursive: true,
    filter: (path) => !path.endsWith('/shm') && !path.endsWith('.sock'),
  });
  addMemory(copy);
  const first = await startDaemon(t, { config, folder: gateway.daemon.folder });
  const ships = [await startShip(t, first)];
  await caughtUp(first);
  const second = await startDaemon(t, { config, folder: copy });
  ships.push(await startShip(t, second));
  for (const [at, daemon] of [first, second].entries()) {
    const told = await ships[at]?.waitForLog(({ event }) => event === 'audit-forked', 'audit-forked');
    assert.equal(told?.['level'], 'error');
    await serves(daemon);
    await until(async () => (await sinksOf(daemon))[0]?.state === 'forked', 'it is shown');
    const [shown] = await sinksOf(daemon);
    assert.deepEqual([shown?.state, shown?.fault?.code, shown?.safe_seq], ['forked', 'audit-forked', 0]);
    assert.equal((await askHttp({ socketPath: daemon.path('admin.sock') }, '/readyz')).status, 200);
    assert.match(await ask(daemon, '/metrics'), /^dovegate_audit_ship_forked\{sink="127\.0\.0\.1:\d+"\} 1$/m);
    const status = await runWarm(['status', '--config', daemon.configFile]);
    assert.match(status.text, /holds another journal under the id of this one/);
    assert.match(status.text, /move .*audit and audit-end\.json of state away and start/);
  }
  const journal = journalOf(first);
  const before = await readShipped(nats, journal);
  assert.equal(before.heads.filter(({ kind }) => kind === 'mark').length, 1);
  // Checkpoints come each second.
  const seq = first.audit().length;
  await until(() => first.audit().length > seq + 2, 'the journal goes on');
  assert.deepEqual((await readShipped(nats, journal)).lines, before.lines);
  for (const each of [first, second, ...ships])
    assert.deepEqual(await each.stop(), { code: 0, signal: null });
  for (const ship of ships) assert.equal(ship.logs.filter(({ event }) => event === 'audit-forked').length, 1);

  // What the message says to do: another journal.
  rmSync(join(copy, 'audit'), { recursive: true });
  rmSync(join(copy, 'state/audit-end.json'));
  mkdirSync(join(copy, 'audit'), { mode: 0o700 });
  const third = await startDaemon(t, { config, folder: copy });
  const last = await startShip(t, third);
  await caughtUp(third);
  await third.stop();
  await last.stop();
  assert.deepEqual(
    (await readShipped(nats, journalOf(third))).lines,
    third.audit().map(({ text }) => text),
  );
});

void test('a reload of an included file adds such a receiver, changes it and removes it; a stop sends what is there', async (t) => {
  const nats = await openStream(t);
  if (nats === undefined) return;
  const files = ['gate1.creds', 'gate2.creds'];
  const { daemon } = await openDaemon(t, nats, [], files, { 'ship.yaml': 'audit: {}' });
  const reload = async (ship: readonly string[], event = 'reloaded'): Promise<void> => {
    const told = daemon.logs.length;
    const lines = ship.map((sink) => `\n    - ${sink}`).join('');
    daemon.write('ship.yaml', `audit:\n  ship: ${lines === '' ? '[]' : lines}\n`);
    daemon.signal('SIGHUP');
    await until(
      () => daemon.logs.slice(told).some((log) => log['event'] === event),
      `${event}: ${daemon.output()}`,
    );
  };
  await serves(daemon);
  // What is wrong there is told with that file and its line.
  await reload([sinkOf(nats, byCredentials, 'mail.1')], 'reload-failed');
  const checked = await runWarm(['check', '--config', daemon.configFile]);
  assert.equal(checked.exit, 78);
  assert.match(checked.text, /^\S+\/ship\.yaml:3:\d+: audit\.ship\[0\]\.host: must be 1 to 63 letters/m);
  await serves(daemon);
  await reload([sinkOf(nats, byCredentials)]);
  let ship = await startShip(t, daemon);
  await caughtUp(daemon);
  // Another user, who may not write there: told; then right again.
  await reload([sinkOf(nats, 'credentials: gate2.creds')]);
  const away = await ship.waitForLog(({ event }) => event === 'ship-away', 'that it has no rights');
  assert.equal(away['type'], 'no-rights');
  await serves(daemon);
  await reload([sinkOf(nats, `${byCredentials}, settle: 0s`)]);
  await caughtUp(daemon);
  await until(async () => ((await sinksOf(daemon))[0]?.safe_seq ?? 0) > 0, 'acknowledged is enough');
  const journal = journalOf(daemon);
  await reload([]);
  await until(async () => (await sinksOf(daemon)).length === 0, 'it is gone');
  assert.deepEqual(await ship.exited, { code: 0, signal: null });
  const { lines } = await readShipped(nats, journal);
  await serves(daemon);
  await until(() => daemon.audit().length > lines.length + 1, 'the journal goes on');
  await reload([sinkOf(nats, byCredentials)]);
  ship = await startShip(t, daemon);
  await serves(daemon);
  await ship.waitForLog(({ event }) => event === 'ship-connected', 'it is connected');
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  assert.deepEqual(await ship.stop(), { code: 0, signal: null });
  const all = daemon.audit().map(({ text }) => text);
  assert.deepEqual((await readShipped(nats, journal)).lines, all, 'its stop record too');
});

void test('no secret of a command and none of the credentials is in a block or in a message', async (t) => {
  const nats = await openStream(t);
  if (nats === undefined) return;
  const credentials = readFileSync(join(nats.folder, 'gate1.creds'), 'utf8');
  const [seed = ''] = /\bSU[A-Z2-7]{50,}/.exec(credentials) ?? [];
  const [jwt = ''] = /\beyJ[\w.-]{50,}/.exec(credentials) ?? [];
  assert.ok(seed !== '' && jwt !== '');
  const secrets = ['a-password-of-alice', seed, jwt];
  const sink = sinkOf(nats, byCredentials);
  const gateway: Gateway = await openDaemon(t, nats, [sink], ['gate1.creds']);
  const { daemon } = gateway;
  const ship = await startShip(t, daemon);
  const client = await gateway.client();
  client.sendCommand({ user: 'alice@example.org', fields: ['search', 'subject', 'a-password-of-alice'] });
  await client.readReply();
  client.close();
  await caughtUp(daemon);
  const { lines } = await readShipped(nats, journalOf(daemon));
  assert.ok(
    lines.some((line) => line.includes('"command":"search"') && line.includes('hmac')),
    lines.join('\n'),
  );
  // Damaged: the file is read again at each connection.
  daemon.write('gate1.creds', credentials.replace(seed, seed.slice(0, 20)));
  await nats.kill();
  await nats.start();
  const isTold = (): boolean =>
    ship.logs.some(
      ({ event, type }) => event === 'ship-away' && type !== 'closed-early' && type !== 'dial-refused',
    );
  await until(isTold, 'that the credentials are not right');
  const shown = await Promise.all(['/status.json', '/metrics', '/'].map((path) => ask(daemon, path)));
  await daemon.stop();
  await ship.stop();
  const half = seed.slice(0, 20);
  assert.deepEqual(daemon.grepSecrets([...secrets, half]), []);
  await nats.stop();
  const output = `${shown.join('\n')}\n${ship.output()}\n${nats.output()}`;
  assert.deepEqual(findSecrets([...secrets, half], join(nats.folder, 'store'), [], output), []);
});
