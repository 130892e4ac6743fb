// Goal: a stream whose settings somebody weakened, on a real server: `verify` fails and names each property, `watch` reports it and its
// end, `init --repair` repairs it; less than before is found until that is accepted; a verifier with too many rights is found; how full a
// stream is. What must not happen: a look at rights that changes or removes anything.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FleetStatus } from '../../../src/evidence/fleet/shapes.js';
import { openNats } from '../../../src/evidence/nats/link.js';
import { writeJournal } from '../../evidence/cli/shown.js';
import { openNatsServer } from '../../kit/gate/nats.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';
import { fill, openDesk, readLines, send, skipOf, trusted } from './fleet-lab.js';
import { startWatch } from './watching.js';

const day = 86_400_000_000_000;
const stream = 'DOVEGATE_AUDIT_gate1';

void test('a weakened stream', { timeout: 600_000 }, async (t) => {
  const nats = await openNatsServer(t, {
    gates: ['gate1'],
    others: {
      // All of the API, as somebody may write it to be done with it.
      wide: { publish: { allow: ['$JS.API.>', 'dovegate.>'] }, subscribe: { allow: ['_INBOX.verifier.>'] } },
    },
  });
  if (skipOf(t, nats)) return;
  await fill(nats, { gate1: readLines(await writeJournal(t, 20)) });
  const [port = 0] = await freePorts(1);
  const metrics = `127.0.0.1:${port}`;
  const desk = openDesk(nats, { gate1: { ...trusted, share: '1MiB' } }, 'verifier', metrics);
  const admin = openDesk(nats, { gate1: trusted }, 'admin');
  const configNow = async (name = stream): Promise<object> =>
    Object((await nats.api(`STREAM.INFO.${name}`))['config']);
  const update = async (change: object, name = stream): Promise<void> => {
    const { error } = await nats.api(`STREAM.UPDATE.${name}`, { ...(await configNow(name)), ...change });
    assert.equal(error, undefined, JSON.stringify(error));
  };
  const weakened = async (...flags: string[]) => {
    const done = await desk.run('verify', '--json', ...flags);
    const { findings }: FleetStatus = JSON.parse(done.stdout.toString());
    assert.deepEqual([...new Set(findings.map(({ kind }) => kind))], done.exit === 0 ? [] : ['weakened']);
    return { exit: done.exit, text: findings.map(({ text }) => text).join('\n') };
  };
  const asMade = await configNow();

  await t.test('verify fails, and names each property, its value and what repairs it', async () => {
    assert.deepEqual(await weakened(), { exit: 0, text: '' });
    await update({
      max_age: day / 24,
      discard: 'old',
      max_msgs_per_subject: 100,
      max_bytes: 1_000_000,
      max_msgs: 1000,
      duplicate_window: 1_000_000_000,
    });
    const { exit, text } = await weakened();
    assert.equal(exit, 1);
    for (const words of [
      'max_age is 1h, must be 7d',
      'discard is "old"',
      'max_msgs_per_subject is 100',
      'max_bytes is 1000000 (a lower limit removes the oldest records), must be 1048576 (share)',
      'max_msgs is 1000 (a lower limit removes the oldest records), must be 2048 (share)',
      'duplicate_window is 1s, must be 2m',
      'dovegate audit fleet init --repair',
    ])
      assert.ok(text.includes(words), `${words}: ${text}`);
    assert.equal((await weakened('--accept')).exit, 1, 'it cannot be accepted');
    assert.equal((await desk.run('init')).exit, 1);
    assert.equal((await desk.run('status')).exit, 1);
  });

  await t.test('init --repair: not by the verifier; by the administrator as it was made', async () => {
    const refused = await desk.run('init', '--repair');
    assert.equal(refused.exit, 77, refused.text);
    const repaired = await admin.run('init', '--repair');
    assert.equal(repaired.exit, 0, repaired.text);
    assert.match(repaired.text, /^repaired: stream DOVEGATE_AUDIT_gate1: max_age is 1h, must be 7d/m);
    assert.deepEqual(await configNow(), asMade);
    assert.deepEqual(await weakened(), { exit: 0, text: '' });
    assert.match((await admin.run('init', '--repair')).text, /was not changed/);
  });

  await t.test(
    'a stream without compression is not weak; init repairs it where the server can compress',
    async () => {
      const can = !nats.version.startsWith('2.9.');
      assert.equal(Reflect.get(asMade, 'compression'), can ? 's2' : undefined);
      await update({ compression: 'none' });
      assert.deepEqual(await weakened(), { exit: 0, text: '' });
      const said = await admin.run('init');
      assert.equal(/compression is "none", must be "s2"/.test(said.text), can, said.text);
      const repaired = await admin.run('init', '--repair');
      assert.equal(repaired.exit, 0, repaired.text);
      assert.deepEqual(await configNow(), asMade);
    },
  );

  await t.test('what stops the trail is found and repaired, in both streams', async () => {
    const checkpoints = 'DOVEGATE_AUDIT';
    const asCheckpoints = await configNow(checkpoints);
    await update({ max_msg_size: 10 });
    await update({ max_msg_size: 10, max_bytes: 1_000_000, max_msgs: 1000 }, checkpoints);
    const { exit, text } = await weakened();
    assert.equal(exit, 1);
    for (const words of [
      'max_msg_size is 10 (larger messages are refused), must be 1048576',
      'max_bytes is 1000000 (a lower limit removes the oldest records), must be 1073741824',
      'max_msgs is 1000 (a lower limit removes the oldest records), must be 2097152',
    ])
      assert.ok(text.includes(words), `${words}: ${text}`);
    assert.match((await admin.run('init')).text, /^next: dovegate audit fleet init --repair/m);
    const repaired = await admin.run('init', '--repair');
    assert.equal(repaired.exit, 0, repaired.text);
    assert.deepEqual([await configNow(), await configNow(checkpoints)], [asMade, asCheckpoints]);
    assert.deepEqual(await weakened(), { exit: 0, text: '' });
  });

  await t.test('less than an earlier run saw: found until it is accepted', async () => {
    await update({ max_age: 800 * day });
    assert.equal((await weakened()).exit, 0);
    await update({ max_age: 400 * day, max_bytes: 1 << 20 });
    const { exit, text } = await weakened();
    assert.equal(exit, 1);
    assert.match(text, /max_age is 400d and was 800d/);
    assert.equal((await weakened()).exit, 1, 'in the next run too');
    assert.equal((await weakened('--accept')).exit, 0);
    assert.equal((await weakened()).exit, 0);
  });

  await t.test(
    'watch reports it once when it begins and once when it ends, and how full the stream is',
    async () => {
      const watch = startWatch(nats, desk);
      const metric = async (name: string): Promise<string | undefined> => {
        const text = await (await fetch(`http://${metrics}/metrics`)).text();
        return text.split('\n').find((line) => line.startsWith(name));
      };
      await until(
        async () => (await metric('dovegate_fleet_lag_messages').catch(() => ''))?.endsWith(' 0') === true,
        'everything was read',
      );
      const { bytes } = Object((await nats.api(`STREAM.INFO.${stream}`))['state']);
      const used = `dovegate_fleet_stream_bytes{stream="${stream}"} ${bytes}`;
      await until(
        async () => (await metric(`dovegate_fleet_stream_bytes{stream="${stream}"`)) === used,
        used,
      );
      assert.equal(
        await metric(`dovegate_fleet_stream_max_bytes{stream="${stream}"`),
        `dovegate_fleet_stream_max_bytes{stream="${stream}"} ${1 << 20}`,
      );
      assert.deepEqual(watch.of('stream-filling'), []);

      await update({ max_bytes: Math.ceil(bytes / 0.85), discard: 'old' });
      await until(() => watch.of('finding', 'weakened').length === 1, 'weakened');
      assert.match(String(watch.of('finding', 'weakened')[0]?.['text']), /discard is "old"/);
      await until(() => watch.of('stream-filling').length === 1, 'filling');
      assert.equal(watch.of('stream-filling')[0]?.['stream'], stream);
      await until(
        async () => (await metric('dovegate_fleet_findings{'))?.endsWith('kind="weakened"} 1') === true,
        'the metric has it',
      );
      await until(
        async () => /^filling: .* is full, and its gate waits/m.test((await desk.run('status')).text),
        'the status has it',
      );

      await update({ max_bytes: 1 << 20, discard: 'new' });
      await until(() => watch.of('finding-ended', 'weakened').length === 1, 'it ended');
      await until(() => watch.of('stream-filling-ended').length === 1, 'it ended');
      assert.equal((await watch.stop()).code, 0);
      assert.equal(watch.of('stream-filling').length, 1);
    },
  );

  await t.test('a verifier that may do more than it must is found; looking changes nothing', async () => {
    const sent = async () => {
      const { config, created, state } = await nats.api(`STREAM.INFO.${stream}`, {
        subjects_filter: 'dovegate.audit.>',
      });
      return { config, created, subjects: Object(state)['subjects'] };
    };
    const before = await sent();
    const wide = openDesk(nats, { gate1: trusted }, 'wide');
    const done = await wide.run('verify');
    assert.equal(done.exit, 1, done.text);
    assert.match(
      done.text,
      /weakened: the verifier's user .* may change the settings of the stream, purge it, remove streams, send records as a gate does\./,
    );
    assert.deepEqual(await sent(), before);
    for (const user of ['verifier', 'gate1']) {
      const link = await openNats(nats.settingsOf(user));
      assert.deepEqual(await link.rights(stream, 'gate1'), user === 'gate1' ? ['publish'] : []);
      await link.close();
    }
  });

  await t.test(
    'a stream that was made weak: what an update can repair is repaired, the rest is named',
    async () => {
      const { name, subjects, allow_direct } = Object(asMade);
      const republish = { src: '>', dest: 'elsewhere.>' };
      assert.equal((await nats.api(`STREAM.DELETE.${stream}`))['success'], true);
      const made = {
        name,
        subjects,
        allow_direct,
        storage: 'memory',
        allow_rollup_hdrs: true,
        max_msgs: 5,
        republish,
      };
      assert.equal((await nats.api(`STREAM.CREATE.${stream}`, made))['error'], undefined);
      const differs = /^differs: stream DOVEGATE_AUDIT_gate1: republish is on \(every record also goes/m;
      assert.match((await admin.run('init')).text, differs);
      const repaired = await admin.run('init', '--repair');
      assert.equal(repaired.exit, 1, repaired.text);
      // A server of 2.9 refuses this one.
      assert.match(repaired.text, /^(?:not )?repaired: stream DOVEGATE_AUDIT_gate1: republish is on/m);
      for (const property of ['allow_rollup_hdrs', 'discard', 'deny_delete', 'deny_purge'])
        assert.match(repaired.text, new RegExp(`^repaired: stream ${stream}: ${property} `, 'm'));
      assert.match(repaired.text, /^differs: stream DOVEGATE_AUDIT_gate1: storage is "memory"/m);
      assert.deepEqual(
        repaired.text.match(/(?<=^differs: stream DOVEGATE_AUDIT_gate1: )(?!republish)\w+/gm),
        ['storage', 'it'],
      );
      assert.match(repaired.text, /^not repaired: .*: max_bytes is without limit, the share is /m);
    },
  );

  const line = readFileSync(join(desk.state, 'checkpoints.jsonl'), 'utf8').trimEnd().split('\n').at(-1) ?? '';
  assert.match(line, /"streams":\[\{.*\{"stream":"DOVEGATE_AUDIT_gate1","replicas":1,"max_age":\d+\}\]/);
});

void test('a stream that answers no direct requests is read all the same', {
  timeout: 600_000,
}, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1', 'gate2'] });
  if (skipOf(t, nats)) return;
  const lines = readLines(await writeJournal(t, 20));
  const other = readLines(await writeJournal(t, 20));
  const most = { id: other.id, lines: other.lines.slice(0, -1) };
  await fill(nats, { gate1: lines, gate2: most });
  const desk = openDesk(nats, { gate1: trusted, gate2: trusted });
  assert.equal((await desk.run('verify')).exit, 0);
  const verifier = await openNats(nats.settingsOf('verifier'));
  /** Single messages: numbers that are there and are not, and subjects. */
  const looked = async () => {
    const { lastSeq } = await verifier.info(stream);
    const found = await Promise.all([
      verifier.messageAt(stream, 1),
      verifier.messageAt(stream, lastSeq + 1),
      verifier.messageFrom(stream, lastSeq),
      verifier.messageFrom(stream, 0),
      verifier.messageFrom(stream, lastSeq + 1),
      verifier.lastOf(stream, `dovegate.audit.gate1.${lines.id}`),
      verifier.lastOf(stream, 'dovegate.audit.gate1.none'),
    ]);
    return found.map(
      (each) =>
        each && [each.streamSeq, each.subject, each.storedMs, each.header('Dovegate-Seq'), each.bytes.length],
    );
  };
  const before = await looked();
  assert.deepEqual(
    before.map((each) => each !== undefined),
    [true, false, true, true, false, true, false],
  );
  for (const name of [stream, 'DOVEGATE_AUDIT']) {
    const config: object = Object((await nats.api(`STREAM.INFO.${name}`))['config']);
    const { error } = await nats.api(`STREAM.UPDATE.${name}`, { ...config, allow_direct: false });
    assert.equal(error, undefined, JSON.stringify(error));
  }
  assert.deepEqual(await looked(), before);
  await verifier.close();
  const link = await openNats(nats.settingsOf('gate2'));
  await send(link, 'gate2', { id: other.id, lines: other.lines.slice(-1) });
  await link.close();

  const done = await desk.run('verify', '--json');
  assert.equal(done.exit, 1, done.text);
  const { findings, gates }: FleetStatus = JSON.parse(done.stdout.toString());
  assert.deepEqual(
    findings.map(({ kind, text }) => [
      kind,
      /DOVEGATE_AUDIT\w*/.exec(text)?.[0],
      text.includes('allow_direct'),
    ]),
    [
      ['weakened', 'DOVEGATE_AUDIT', true],
      ['weakened', stream, true],
    ],
  );
  assert.equal(gates.find(({ host }) => host === 'gate2')?.seq, other.lines.length);
  assert.equal(done.stderr, '', 'the checkpoint is in the stream');
  const { exit, stdout } = await desk.read('search', '--json');
  assert.equal(exit, 0);
  assert.notEqual(stdout.toString(), '');
});
