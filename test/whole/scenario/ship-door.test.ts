// Goal: the process that ships is told the receivers and how far records are on disk, and can do nothing else; whoever of both is gone, no
// record is lost. Phases: who may ask, and what; a second process; too much of it; claims about what was shipped, and lies, before
// retention; kills under load; a gate that stops; a reload. What must not happen: an answer for somebody else, a call of the page that is
// answered there, a record that no receiver gets, a segment that goes for a lie.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import type { ShipClaims } from '../../../src/gate/door/ship.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { segmentName } from '../../../src/journal/files/segments.js';
import { askDoor, shipHeadOf } from '../../kit/gate/ask-door.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { type Daemon, runDovegate, startDaemon, startShip } from '../../kit/gate/daemon.js';
import { type Gateway, openGateway } from '../../kit/gate/gateway.js';
import { openSyslogReceiver, type SyslogReceiver } from '../../kit/gate/syslog-receiver.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { askPageAs } from '../../kit/plain/ask-page.js';
import { openFolder } from '../../kit/plain/folder.js';
import { isRoot, onlyRoot } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const authority = makeAuthority({ name: 'receivers' });
const quota = { user: 'alice@example.org', fields: ['quota get'] };
const asRoot = onlyRoot('can be somebody else');
const stranger = 41_005;
const shipUid = 41_006;

const auditOf = (ports: readonly number[], more = ''): string =>
  `{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB${more}, ship: [${ports.map((port) => `{ syslog: "127.0.0.1:${port}", ca: ca.pem }`).join(', ')}] }`;
const usual = { authority, more: 'admin: { unix: admin.sock }' };

interface Status {
  readonly ship?: { readonly connected: boolean };
  readonly shipping: readonly { readonly name: string; readonly state: string; readonly safe_seq: number }[];
}

async function statusOf(daemon: Daemon): Promise<Status> {
  const status: Status = JSON.parse(
    (await askHttp({ socketPath: daemon.path('admin.sock') }, '/status.json')).body,
  );
  return status;
}

async function command({ client }: Gateway, times = 1): Promise<void> {
  const one = await client();
  for (let at = 0; at < times; at += 1) assert.equal((await one.ask(quota)).status, '+');
  one.close();
}

const linesOf = (daemon: Daemon): string[] => daemon.audit().map(({ text }) => text);

/** Every record of the journal, byte for byte, and on each connection without a hole, from where others had come to at the most. */
function assertAll(receiver: SyslogReceiver, daemon: Daemon): void {
  const lines = linesOf(daemon);
  const got = receiver.lines();
  assert.deepEqual(
    lines.filter((line) => !got.has(line)),
    [],
  );
  assert.equal(got.size, lines.length, 'and nothing else');
  let most = 0;
  for (const seqs of receiver.seqs()) {
    const [first = most + 1] = seqs;
    assert.ok(first <= most + 1, `${first} behind ${most}`);
    assert.deepEqual(
      seqs,
      seqs.map((_, at) => first + at),
    );
    most = Math.max(most, seqs.at(-1) ?? 0);
  }
}

test('calls at the door: those of dovegate ship alone, not too long, not too many', async (t) => {
  const people = '{ oncall: { user: "0", role: view } }';
  const users = join(openFolder(t), 'passwd');
  const others = readFileSync('/etc/passwd', 'utf8').replaceAll(/^dovegate-ship:.*\n/gm, '');
  writeFileSync(users, `${others}dovegate-ship:x:${shipUid}:${shipUid}::/:/bin/false\n`);
  const gateway = await openGateway(t, {
    authority,
    audit: auditOf([1]),
    // A host that has that user.
    ...(isRoot && {
      launcher: ['unshare', '--mount', 'sh', '-ec', `mount --bind ${users} /etc/passwd; exec "$@"`, 'sh'],
    }),
    more: `admin: { unix: admin.sock, door: door.sock, page: { unix: page.sock, people: ${people} } }`,
  });
  const { daemon } = gateway;
  const { journal, sinks, directory } = await shipHeadOf(daemon);
  assert.deepEqual([sinks.map(({ name }) => name), directory], [['127.0.0.1:1'], daemon.path('audit')]);
  const claims: ShipClaims = { version: '1', journal, sinks: [], notices: [], certificates: [] };
  const calls: readonly (readonly [path: string, body: unknown, status: number, code: string])[] = [
    ['/shipped', claims, 200, ''],
    ['/receivers', {}, 404, 'version'],
    // Calls of the page, and of nobody.
    ['/record', {}, 404, 'version'],
    ['/sign', {}, 404, 'version'],
    ['/operate', { action: { kind: 'drain', backend: 'mail1' }, from: [] }, 404, 'version'],
    ['/access', {}, 404, 'version'],
    ['/page', {}, 404, 'version'],
    ['/reload', {}, 404, 'version'],
    ['/status.json', {}, 404, 'version'],
    ['/shipped', '', 400, 'malformed'],
    ['/shipped', '[', 400, 'malformed'],
    ['/shipped', [], 400, 'malformed'],
    ['/shipped', { ...claims, sinks: 5 }, 400, 'malformed'],
    ['/shipped', { ...claims, journal: 'cd'.repeat(16) }, 400, 'malformed'],
    // bounds.doorBriefBytes
    ['/shipped', { ...claims, more: 'x'.repeat(bounds.doorBriefBytes) }, 413, 'malformed'],
  ];
  const seq = daemon.audit().length;
  for (const [path, body, status, code] of calls) {
    const answer = await askDoor(daemon, path, body, 'ship.sock');
    const what = `${path} ${JSON.stringify(body).slice(0, 120)}`;
    assert.deepEqual([answer.status, answer.code], [status, code], what);
  }
  assert.equal((await askDoor(daemon, '/shipped', claims)).status, 404, 'nor there');
  const got = (door: string, path: string, headers = {}, body = '', method = 'GET') =>
    new Promise<number>((resolve, reject) => {
      const asked = request(
        { socketPath: daemon.path(door), path, method, headers, agent: false },
        (response) => {
          resolve(response.statusCode ?? 0);
          response.destroy();
        },
      );
      asked.on('error', reject).end(body);
    });
  assert.equal(await got('door.sock', '/receivers'), 404);
  for (const path of ['/settings', '/now', '/facts', '/traffic'])
    assert.equal(await got('ship.sock', path), 404, path);
  // A body of which nobody says how long it is.
  const chunked = { 'Transfer-Encoding': 'chunked' };
  assert.equal(await got('ship.sock', '/shipped', chunked, JSON.stringify(claims), 'POST'), 411);
  assert.equal(daemon.audit().length, seq, 'nothing of it is recorded');

  await t.test('only root, the user of the daemon and dovegate-ship may ask', asRoot, async () => {
    chmodSync(daemon.folder, 0o711);
    const door = daemon.path('ship.sock');
    const told = JSON.stringify(claims);
    const statusesFor = async (uid: number): Promise<readonly number[]> =>
      (
        await askPageAs(uid, door, [
          ['/shipped', told],
          ['/record', '{}'],
        ])
      ).map(({ status }) => status);
    assert.equal(statSync(door).mode & 0o777, existsGroup() ? 0o660 : 0o600);
    assert.deepEqual(await statusesFor(stranger), [0, 0], 'the mode of the socket');
    // The mode is not the only thing that keeps others out.
    chmodSync(door, 0o666);
    assert.deepEqual(await statusesFor(stranger), [403, 403]);
    assert.deepEqual(await statusesFor(shipUid), [200, 404]);
    assert.deepEqual(await statusesFor(0), [200, 404]);
  });

  // bounds.doorCalls, bounds.doorCallMs
  const startMs = performance.now();
  const made = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const codes: string[] = [];
      for (let at = 0; at < 50; at += 1)
        codes.push((await askDoor(daemon, '/shipped', claims, 'ship.sock')).code);
      return codes;
    }),
  );
  const spanMs = performance.now() - startMs;
  const taken = made.flat().filter((code) => code === '').length;
  assert.equal(taken + made.flat().filter((code) => code === 'busy').length, 400);
  assert.ok(taken <= bounds.doorCalls + spanMs / bounds.doorCallMs + 1, `${taken} calls within ${spanMs} ms`);
  await command(gateway);
  assert.deepEqual(
    daemon.logs.filter(({ event }) => event === 'admin-failed'),
    [],
  );
});

const existsGroup = (): boolean => /^dovegate-ship:/m.test(readFileSync('/etc/group', 'utf8'));

test('a second process waits for the end of the first; a gate stops while a receiver is away: the rest is sent when it is back', async (t) => {
  const receiver = await openSyslogReceiver(t, authority);
  const gateway = await openGateway(t, { ...usual, audit: auditOf([receiver.port]) });
  const { daemon } = gateway;
  const first = await startShip(t, daemon);
  await until(async () => (await statusOf(daemon)).shipping[0]?.state === 'connected', 'it ships');
  const second = await startShip(t, daemon);
  const { text } = await second.waitForLog(({ event }) => event === 'door-away', 'that it is refused');
  assert.match(String(text), /another dovegate ship is told the receivers already/);
  await command(gateway, 3);
  assert.equal(receiver.open, 1);
  await first.kill();
  await command(gateway, 3);
  await second.waitForLog(({ event }) => event === 'ship-connected', 'that it goes on');
  await until(() => linesOf(daemon).every((line) => receiver.lines().has(line)), 'all records');
  assertAll(receiver, daemon);

  await receiver.leave();
  await second.waitForLog(({ event }) => event === 'ship-away', 'the receiver is away');
  await command(gateway, 20);
  const refusals = second.logs.length;
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  await second.waitForLog(
    (record) => record['event'] === 'door-away' && second.logs.indexOf(record) >= refusals,
    'the gate is away',
  );
  const lines = linesOf(daemon);
  assert.ok(receiver.lines().size < lines.length);
  await receiver.comeBack();
  await until(() => receiver.lines().size === lines.length, 'the rest');
  assertAll(receiver, daemon);
  // And with the next gate it goes on.
  const next = await startDaemon(t, { folder: daemon.folder });
  await until(async () => (await statusOf(next)).ship?.connected === true, 'it is there');
  await next.stop();
  assert.deepEqual(await second.stop(), { code: 0, signal: null });
  assertAll(receiver, next);
});

test('a reload brings receivers and takes them away; without one it ends with 0', async (t) => {
  const [one, two] = [await openSyslogReceiver(t, authority), await openSyslogReceiver(t, authority)];
  const gateway = await openGateway(t, { ...usual, audit: auditOf([one.port]) });
  const { daemon, configuration } = gateway;
  const ship = await startShip(t, daemon);
  const has = (receiver: SyslogReceiver): Promise<void> =>
    until(() => {
      const got = receiver.lines();
      return linesOf(daemon).every((line) => got.has(line));
    }, 'everything has come');
  await command(gateway, 3);
  await has(one);
  await daemon.reload(configuration({ audit: auditOf([one.port, two.port]) }));
  await has(two);
  await daemon.reload(configuration({ audit: auditOf([two.port]) }));
  await until(() => one.open === 0, 'the connection of the one that went has ended');
  const before = one.lines().size;
  await command(gateway, 3);
  await has(two);
  assert.equal(one.lines().size, before);
  await daemon.reload(configuration({ audit: auditOf([]) }));
  assert.deepEqual(await ship.exited, { code: 0, signal: null });
  const { exit, text } = await runDovegate(['ship', '--config', daemon.path('dovegate.yaml')]);
  assert.equal(exit, 0);
  assert.match(text, /has no receivers \(audit\.ship, notices\), so nothing is shipped/);
  assert.equal((await statusOf(daemon)).ship, undefined);
  await daemon.reload(configuration({ audit: auditOf([one.port]) }));
  const again = await startShip(t, daemon);
  await has(one);
  await daemon.stop();
  await again.stop();
  assertAll(one, daemon);
});

test('killed again and again under load: every record arrives, in an order that can be verified', {
  timeout: 120_000 + rounds * 120_000,
}, async (t) => {
  const receiver = await openSyslogReceiver(t, authority);
  const gateway = await openGateway(t, { ...usual, audit: auditOf([receiver.port], ', segment: 64KiB') });
  const { daemon } = gateway;
  const load = { isOver: false, count: 0 };
  const working = Promise.all(
    Array.from({ length: 2 }, async () => {
      const one = await gateway.client();
      // Records come all the time; as many as can be would show nothing more.
      for (; !load.isOver; load.count += 1) {
        assert.equal((await one.ask(quota)).status, '+');
        await pause(5);
      }
      one.close();
    }),
  );
  const kills = 4 * rounds;
  for (let kill = 0; kill < kills; kill += 1) {
    const connections = receiver.seqs().length;
    const ship = await startShip(t, daemon);
    const more = kill * 50;
    // At another place each time: before it is connected, while it catches up, and after it.
    if (kill % 4 !== 0)
      await until(() => (receiver.seqs()[connections]?.length ?? 0) > more, 'it sends', 120_000);
    await ship.kill();
  }
  load.isOver = true;
  await working;
  const ship = await startShip(t, daemon);
  // At its end it gives a receiver some seconds, and that may not be enough for what came while it was killed.
  const last = linesOf(daemon).at(-1) ?? '';
  await until(() => receiver.lines().has(last), 'it has caught up', 300_000);
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  assert.deepEqual(await ship.stop(), { code: 0, signal: null });
  assertAll(receiver, daemon);
  assert.match(linesOf(daemon).at(-1) ?? '', /"event":"(?:stop|checkpoint)"/);
  t.diagnostic(`${load.count} commands, ${daemon.audit().length} records, ${kills} kills`);
});

test('retention keeps what nobody is known to have, whatever is said, until it is true', async (t) => {
  const audit = (size: string): string =>
    auditOf([1, 2], `, segment: 64KiB, keep_min: 0s, max_size: ${size}`);
  const gateway = await openGateway(t, { ...usual, audit: audit('1MiB') });
  let { daemon } = gateway;
  const { journal } = await shipHeadOf(daemon);
  const file = (number: number): string => daemon.path(join('audit', segmentName(number)));
  const isThere = (number: number): boolean => existsSync(file(number)) || existsSync(`${file(number)}.gz`);
  const one = await gateway.client();
  while (!isThere(4)) assert.equal((await one.ask(quota)).status, '+');
  /** After the last record of a closed segment. */
  const endOf = (segment: number) => {
    const plain = file(segment);
    const text = existsSync(plain) ? readFileSync(plain) : gunzipSync(readFileSync(`${plain}.gz`));
    const { seq, hash } = JSON.parse(text.toString().trimEnd().split('\n').at(-1) ?? '');
    return { segment, bytes: text.length, seq: Number(seq), hash: String(hash) };
  };
  const [first, second] = [endOf(1), endOf(2)];
  const claim = async (positions: readonly (typeof first)[]): Promise<void> => {
    const sinks = positions.map((safe, at) => ({
      name: `127.0.0.1:${at + 1}`,
      state: 'connected' as const,
      sentSeq: safe.seq,
      safe,
    }));
    const claims: ShipClaims = { version: '1', journal, sinks, notices: [], certificates: [] };
    assert.equal((await askDoor(daemon, '/shipped', claims, 'ship.sock')).status, 200);
  };
  const safe = async (): Promise<readonly number[]> =>
    (await statusOf(daemon)).shipping.map((each) => each.safe_seq);
  const isKept = (at: number, { hash }: typeof first): boolean => {
    const kept = daemon.path(join('state', 'shipped.json'));
    const { receivers } = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : { receivers: {} };
    return receivers[`127.0.0.1:${at + 1}`]?.hash === hash;
  };
  /** What goes, goes in the first look of a start. */
  const startAgain = async (): Promise<void> => {
    await daemon.kill();
    daemon = await startDaemon(t, {
      config: gateway.configuration({ audit: audit('8KiB') }),
      folder: daemon.folder,
    });
    const metrics = async () => (await askHttp({ socketPath: daemon.path('admin.sock') }, '/metrics')).body;
    await until(async () => /^dovegate_audit_free_bytes /m.test(await metrics()), 'it has looked');
    assert.ok(!daemon.logs.some(({ text }) => String(text).includes('unshipped_max')), daemon.output());
  };
  assert.deepEqual(await safe(), [0, 0]);
  // What is said of the second receiver is true, and is looked at behind what is said of the first.
  await claim([{ ...second, hash: first.hash }, second]);
  await until(() => isKept(1, second), 'what is true counts');
  await startAgain();
  assert.deepEqual(await safe(), [0, second.seq]);
  assert.deepEqual([1, 2, 3].map(isThere), [true, true, true]);
  await claim([first, second]);
  await until(() => isKept(0, first), 'what is true counts');
  await startAgain();
  await until(
    () => !isThere(1),
    () => `the first segment goes: ${daemon.output()}`,
    20_000,
  );
  assert.deepEqual([1, 2, 3].map(isThere), [false, true, true]);
});
