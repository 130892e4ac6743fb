// Goal: each host has a stream with a share of the disk. Real daemons ship to a real server. Phases of the first: two gates and a
// watch; the watch and `verify` find nothing, nothing is doubled or missing, the mirror has the journal. Of the second: a gate's
// credentials fill its stream. What must not happen: a command that waits for a stream, a gate that stops for what another one
// did, a finding that nobody caused.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { NatsFault } from '../../../src/evidence/nats/fault.js';
import { openNats } from '../../../src/evidence/nats/link.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { findTrail } from '../../../src/journal/files/trail.js';
import { type Nats, natsReleases, openNatsServer } from '../../kit/gate/nats.js';
import { until } from '../../kit/plain/until.js';
import { openAdministrator } from './administrator.js';
import { findingsOf, openDesk, skipOf, statusOf } from './fleet-lab.js';
import { assertSameLines, type FleetGate, openFleetGate } from './gate.js';
import { startWatch } from './watching.js';

const hosts = ['gate1', 'gate2'] as const;
const prefix = 'DOVEGATE_AUDIT';

async function openGates(t: TestContext, nats: Nats): Promise<readonly [FleetGate, FleetGate]> {
  const [one, two] = hosts;
  return Promise.all([
    openFleetGate(t, nats, { host: one, clients: 2 }),
    openFleetGate(t, nats, { host: two, clients: 2 }),
  ]);
}

for (const release of natsReleases)
  test(`two gates, each with a stream of its own, and a watch (nats-server of ${release})`, {
    timeout: 600_000,
  }, async (t) => {
    const nats = await openNatsServer(t, { gates: hosts, release });
    if (skipOf(t, nats)) return;
    const made = await openDesk(nats, { gate1: {}, gate2: {} }, 'admin').run('init');
    assert.equal(made.exit, 0, made.text);
    const gates = await openGates(t, nats);
    const desk = openDesk(
      nats,
      Object.fromEntries(hosts.map((host, at) => [host, { key: gates[at]?.key ?? '', silent_after: '1h' }])),
    );
    for (const gate of gates) gate.work();
    // A host of which nothing came yet is a finding, too.
    for (const host of hosts) await until(() => hasRecords(nats, host), `the stream of ${host} has records`);
    const watch = startWatch(nats, desk);
    await Promise.all(gates.map((gate) => gate.untilAnswered(100)));
    for (const gate of gates) await gate.rest();
    for (const gate of gates) await gate.catchUp();
    // Checkpoints go on, one each second.
    const written = gates.map((gate) => gate.journal().toString('latin1').split('\n').length - 1);
    const isRead = (at: 0 | 1): boolean =>
      (statusOf(desk).gates.find(({ host }) => host === hosts[at])?.seq ?? 0) >= (written[at] ?? Infinity);
    await until(() => existsSync(join(desk.state, 'status.json')), 'the watch says what it has read');
    await until(() => isRead(0) && isRead(1), 'the watch reads both streams', 120_000);
    assert.equal((await watch.stop()).code, 0, watch.errors());
    assert.deepEqual([watch.of('finding'), statusOf(desk).findings], [[], []]);
    const whole = await desk.run('verify', '--whole');
    assert.equal(whole.exit, 0, whole.text);

    for (const gate of gates) await gate.stop();
    for (const [at, host] of hosts.entries())
      assertSameLines(await storedOfOwn(t, nats, host), gates[at]?.journal() ?? Buffer.alloc(0));
    const read = await desk.run('verify');
    assert.equal(read.exit, 0, read.text);
    for (const [at, host] of hosts.entries()) {
      const mirrored = join(desk.state, 'journals', host);
      const [id = ''] = readdirSync(mirrored);
      const copied = findTrail([join(mirrored, id)]).files.map(({ path, isCompressed }) =>
        isCompressed ? gunzipSync(readFileSync(path)) : readFileSync(path),
      );
      assertSameLines(Buffer.concat(copied), gates[at]?.journal() ?? Buffer.alloc(0));
    }
    const rows = await desk.read('search', '--user', 'alice@example.org', '--json');
    const found = rows.stdout.toString().match(/"host":"gate2"/g);
    assert.equal(found?.length, gates[1].answered);
  });

test('a gate fills its stream: it alone waits, and goes on serving', { timeout: 600_000 }, async (t) => {
  const nats = await openNatsServer(t, { gates: hosts });
  if (skipOf(t, nats)) return;
  const admin = openDesk(nats, { gate1: { share: '1MiB' }, gate2: {} }, 'admin');
  const made = await admin.run('init');
  assert.equal(made.exit, 0, made.text);
  const gates = await openGates(t, nats);
  const [full, other] = gates;
  const keys = Object.fromEntries(
    hosts.map((host, at) => [host, { key: gates[at]?.key ?? '', silent_after: '1h' }]),
  );
  const desk = openDesk(nats, keys);
  for (const gate of gates) gate.work();
  await Promise.all(gates.map((gate) => gate.untilAnswered(20)));

  // A thief of the credentials of gate1, under a name of a journal that nobody has.
  const thief = await openNats(nats.settingsOf('gate1'));
  t.after(() => thief.close());
  const subject = `dovegate.audit.gate1.${randomBytes(16).toString('hex')}`;
  const fill = async (bytes: number): Promise<void> => {
    for (let last = 0; ; )
      ({ streamSeq: last } = await thief.publish(subject, [], Buffer.alloc(bytes), last));
  };
  const isFull = (fault: unknown): boolean => fault instanceof NatsFault && fault.code === 'stream-full';
  await assert.rejects(fill(200_000), isFull);
  // A message that is larger than any of a gate is refused, whatever room there is.
  await assert.rejects(thief.publish(subject, [], Buffer.alloc(1 << 20), 0), NatsFault);
  await until(() => full.ship.logs.some(({ type }) => type === 'stream-full'), 'the gate says why it waits');
  await until(async () => (await full.lag()) > 50, 'its records wait');
  await Promise.all(gates.map((gate) => gate.untilAnswered(100)));
  assert.deepEqual([full.refused, other.refused], [0, 0]);
  for (const gate of gates) await gate.rest();
  await other.catchUp();
  assert.ok((await full.lag()) > 50);

  const findings = await findingsOf(desk);
  assert.ok(findings.length > 0);
  assert.ok(
    findings.every((text) => text.startsWith('gate1 ')),
    findings.join('\n'),
  );
  // An idle gate writes a checkpoint from time to time; the comparison needs a moment between two of them.
  await until(async () => {
    const journal = other.journal();
    await other.catchUp();
    const stored = await storedOfOwn(t, nats, 'gate2');
    if (!journal.equals(other.journal())) return false;
    assertSameLines(stored, journal);
    return true;
  }, 'a journal that stays as it is');

  // More room, and everything arrives.
  const { config } = await nats.api(`STREAM.INFO.${prefix}_gate1`);
  const larger = { ...Object(config), max_bytes: 64 << 20, max_msgs: -1 };
  assert.equal((await nats.api(`STREAM.UPDATE.${prefix}_gate1`, larger))['error'], undefined);
  await full.catchUp();
});

async function hasRecords(nats: Nats, host: string): Promise<boolean> {
  const { state } = await nats.api(`STREAM.INFO.${prefix}_${host}`);
  return Number(Object(state).messages) > 0;
}

async function storedOfOwn(t: TestContext, nats: Nats, host: string): Promise<Buffer> {
  const administrator = await openAdministrator(t, nats, `${prefix}_${host}`);
  const messages = await administrator.readAll();
  await administrator.close();
  return Buffer.concat(messages.map(({ bytes }) => bytes));
}

// bounds.fleetShareBytes, bounds.fleetLogBytes
test('shares that do not fit the server: init says so, and goes on when there is room', {
  timeout: 600_000,
}, async (t) => {
  const nats = await openNatsServer(t, { gates: hosts });
  if (skipOf(t, nats)) return;
  const admin = openDesk(nats, { gate1: {}, gate2: { share: '1TiB' } }, 'admin');
  admin.write({ gate1: {}, gate2: { share: '1TiB' } }, { max_size: undefined });
  const refused = await admin.run('init');
  assert.equal(refused.exit, 75, refused.text);
  assert.match(refused.stderr, /gates of streams that are not there yet keep their records: put this right/);
  admin.write({ gate1: {}, gate2: { share: '1GiB' } }, { max_size: undefined });
  const made = await admin.run('init');
  assert.equal(made.exit, 0, made.text);
  assert.match(made.text, /^the streams of 2 hosts take up to 12 GiB together; max_file/m);
  const maxBytesOf = async (stream: string): Promise<unknown> => {
    const { config } = await nats.api(`STREAM.INFO.${stream}`);
    return Object(config)['max_bytes'];
  };
  assert.equal(await maxBytesOf(prefix), bounds.fleetLogBytes);
  assert.equal(await maxBytesOf(`${prefix}_gate1`), bounds.fleetShareBytes);
  assert.equal(await maxBytesOf(`${prefix}_gate2`), 1 << 30);
  // Others have set it otherwise.
  admin.write({ gate1: { share: '1GiB' }, gate2: { share: '1GiB' } }, { max_size: undefined });
  const differs = await admin.run('init');
  assert.equal(differs.exit, 1, differs.text);
  assert.match(differs.text, /^differs: stream DOVEGATE_AUDIT_gate1: it takes up to 10 GiB \(max_bytes\)/m);
});

test('init --repair removes no record: no limit is lowered to what a stream holds', {
  timeout: 600_000,
}, async (t) => {
  const nats = await openNatsServer(t, { gates: hosts });
  if (skipOf(t, nats)) return;
  const name = `${prefix}_gate1`;
  const share = (size: string) => ({ gate1: { share: size } });
  const admin = openDesk(nats, share('5MiB'), 'admin');
  assert.equal((await admin.run('init')).exit, 0);
  const gate = await openNats(nats.settingsOf('gate1'));
  t.after(() => gate.close());
  const subject = (): string => `dovegate.audit.gate1.${randomBytes(16).toString('hex')}`;
  const own = subject();
  for (let at = 0; at < 30; at += 1) await gate.publish(own, [], Buffer.alloc(100_000), at);
  const look = async () => {
    const { config, state } = await nats.api(`STREAM.INFO.${name}`);
    const { max_bytes, max_msgs, discard } = Object(config);
    return { max_bytes, max_msgs, discard, messages: Object(state)['messages'] };
  };
  const update = async (change: object): Promise<void> => {
    const { config } = await nats.api(`STREAM.INFO.${name}`);
    assert.equal(
      (await nats.api(`STREAM.UPDATE.${name}`, { ...Object(config), ...change }))['error'],
      undefined,
    );
  };
  const before = await look();
  assert.equal(before.messages, 30);

  // Three hosts have equal parts of 5 MiB: the stream holds more than one part, and is made weaker in another way.
  const three = { gate1: {}, gate2: {}, gate3: {} };
  admin.write(three, { max_size: '5MiB' });
  const told = await admin.run('init');
  assert.equal(told.exit, 1, told.text);
  assert.match(
    told.text,
    /^differs: stream DOVEGATE_AUDIT_gate1: it takes up to 5 MiB .* holds 2\.9 MiB.*raise max_size/m,
  );
  assert.doesNotMatch(told.text, /^next:/m);
  await update({ discard: 'old' });
  assert.match((await admin.run('init')).text, /^next: dovegate audit fleet init --repair/m);
  const refused = await admin.run('init', '--repair');
  assert.deepEqual(await look(), before);
  assert.equal(refused.exit, 1, refused.text);
  assert.match(refused.text, /^repaired: stream DOVEGATE_AUDIT_gate1: discard is "old"/m);
  assert.match(
    refused.text,
    /^not repaired: stream DOVEGATE_AUDIT_gate1: max_bytes is 5 MiB, .*set "share" of gate1 to 4MiB/m,
  );

  // What it holds fits, but leaves no room.
  admin.write(share('3MiB'));
  assert.equal((await admin.run('init', '--repair')).exit, 1);
  assert.deepEqual(await look(), before);
  // As the sentence says.
  admin.write(share('4MiB'));
  const lowered = await admin.run('init', '--repair');
  assert.equal(lowered.exit, 0, lowered.text);
  assert.deepEqual(await look(), { ...before, max_bytes: 4 << 20, max_msgs: 8192 });

  // As many messages as a share does not take, in few bytes.
  await update({ max_bytes: 64 << 20, max_msgs: -1 });
  for (let sent = 0; sent < 7000; sent += 100)
    await Promise.all(Array.from({ length: 100 }, () => gate.publish(subject(), [], Buffer.alloc(0), 0)));
  const many = await admin.run('init', '--repair');
  assert.equal((await look()).messages, 7030);
  assert.equal(many.exit, 1, many.text);
  assert.match(
    many.text,
    /^not repaired: stream DOVEGATE_AUDIT_gate1: max_msgs is without limit, .*set "share" of gate1 to 5MiB/m,
  );
  assert.equal((await look()).max_bytes, 64 << 20);
  admin.write(share('5MiB'));
  assert.equal((await admin.run('init', '--repair')).exit, 0);
  assert.deepEqual(await look(), { ...before, messages: 7030 });
});
