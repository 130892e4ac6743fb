// Goal: the commands of a verifier on a real server, with journals as the daemon's writer makes them: init, verify, status, search, fetch;
// what each says when somebody tears at the stream, the state or the journals.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openNats } from '../../src/adapters/nats/link.js';
import type { FleetStatus } from '../../src/domain/fleet/shapes.js';
import { writeJournal } from '../cli/audit/shown.js';
import { openNatsServer } from '../kit/nats.js';
import { runProgram } from '../kit/program.js';
import { runWarm } from '../kit/warm-program.js';
import { fill, openDesk, readLines, send, skipOf, trusted } from './fleet-lab.js';

type Row = Readonly<Record<string, unknown>>;
const parse = (text: string): Row => JSON.parse(text);
const parseStatus = (text: string): FleetStatus & { readonly passed: boolean } => JSON.parse(text);

void test('a fleet of two gates, from its first day', { timeout: 600_000 }, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1', 'gate2'] });
  if (skipOf(t, nats)) return;
  const directory = await writeJournal(t);
  const one = readLines(directory);
  const two = readLines(await writeJournal(t, 10));
  const hosts = { gate1: trusted, gate2: trusted };
  const desk = openDesk(nats, hosts);

  await t.test('init: without the right to make the stream, who can; with it, made once', async () => {
    const refused = await desk.run('init');
    assert.equal(refused.exit, 77, refused.text);
    assert.match(refused.stderr, /fleet init --print/);
    const admin = openDesk(nats, hosts, 'admin');
    const made = await admin.run('init');
    assert.equal(made.exit, 0, made.text);
    assert.match(made.text, /\$JS\.API\.DIRECT\.GET\.DOVEGATE_AUDIT_gate2\.dovegate\.audit\.gate2\.\*/);
    const again = await desk.run('init');
    assert.equal(again.exit, 0, again.text);
    assert.match(again.text, /^the stream DOVEGATE_AUDIT is there/);
  });

  await t.test('a stream that somebody set otherwise: init and verify say what differs', async () => {
    const { config } = await nats.api('STREAM.INFO.DOVEGATE_AUDIT');
    const hour = 3_600_000_000_000;
    const changed = { ...Object(config), max_age: hour, discard: 'old' };
    assert.equal((await nats.api('STREAM.UPDATE.DOVEGATE_AUDIT', changed))['error'], undefined);
    for (const command of ['init', 'verify']) {
      const said = await desk.run(command);
      assert.equal(said.exit, 1, said.text);
      assert.match(said.text, /max_age is 1h, must be 400d \(keep\)/);
      assert.match(said.text, /discard is "old" \(a full stream removes the oldest records\), must be "new"/);
    }
    await nats.api('STREAM.UPDATE.DOVEGATE_AUDIT', Object(config));
    assert.doesNotMatch((await desk.run('verify')).text, /max_age/);
  });

  await t.test('the rights that init prints are a configuration that the server takes', async () => {
    const printed = await desk.run('init', '--print');
    assert.equal(printed.exit, 0);
    assert.match(printed.text, /^# nats stream add DOVEGATE_AUDIT \\$/m);
    const file = join(nats.folder, 'printed.conf');
    writeFileSync(file, printed.text.slice(printed.text.indexOf('# Users of the server')));
    const checked = await runProgram('/usr/sbin/nats-server', ['-t', '-c', file]);
    assert.equal(checked.exit, 0, checked.text);
  });

  await t.test('nothing in the stream: both hosts were never seen', async () => {
    const done = await desk.run('verify', '--json');
    assert.equal(done.exit, 1, done.text);
    const { passed, findings } = parseStatus(done.text);
    assert.equal(passed, false);
    assert.deepEqual(
      findings.map(({ kind, host }) => `${host} ${kind}`),
      ['gate1 never-seen', 'gate2 never-seen'],
    );
  });

  await t.test('journals arrive: passed, signed, and the next run reads only what is new', async () => {
    await fill(nats, { gate1: one, gate2: two });
    const done = await desk.run('verify');
    assert.equal(done.exit, 0, done.text);
    const records = one.lines.length + two.lines.length;
    assert.match(done.text, /^passed: DOVEGATE_AUDIT, 2 hosts/);
    assert.match(done.text, new RegExp(`^read ${records} records in .*; ${records} in all runs$`, 'm'));
    assert.match(done.text, /^signed: line 1 of checkpoints\.jsonl/m);
    const again = await desk.run('verify');
    assert.equal(again.exit, 0, again.text);
    assert.match(again.text, new RegExp(`^read 0 records; ${records} in all runs$`, 'm'));
    const lines = readFileSync(join(desk.state, 'checkpoints.jsonl'), 'utf8').trimEnd().split('\n');
    assert.equal(lines.length, 1, 'nothing new, nothing signed');
    const link = await openNats(nats.settingsOf('verifier'));
    const kept = await link.lastOf('DOVEGATE_AUDIT', 'dovegate.fleet.checkpoint');
    await link.close();
    assert.equal(kept?.bytes.toString(), `${lines[0]}\n`);
    for (const name of ['state.json', 'checkpoint.key', 'checkpoints.jsonl'])
      assert.equal(statSync(join(desk.state, name)).mode & 0o077, 0, name);
    // The page's process reads it as a member of the group of the directory.
    assert.equal(statSync(join(desk.state, 'status.json')).mode & 0o077, 0o040);
  });

  await t.test('status: the gates as they were seen, and how old that is', async () => {
    const done = await desk.run('status');
    assert.equal(done.exit, 0, done.text);
    assert.match(done.text, /^as of \S+, \d+ \w+ ago$/m);
    assert.match(done.text, new RegExp(`^gate1 +${one.lines.length} +${one.lines.length} `, 'm'));
    const { gates } = parseStatus((await desk.run('status', '--json')).text);
    assert.equal(gates.length, 2);
    // Root asks where the key is the service's, or a credential that is there only while it runs.
    desk.write(hosts, { key: 'elsewhere.key' });
    const reader = await desk.run('status');
    assert.equal(reader.exit, 0, reader.text);
    assert.equal((await desk.run('verify')).exit, 78);
    desk.write(hosts);
  });

  await t.test('search: over all hosts, over one, by time, and without a hit', async () => {
    const all = await desk.run('search', '--json', '--user', 'alice@example.com', '--since', '1h');
    const rows = all.stdout.toString().trimEnd().split('\n').map(parse);
    assert.deepEqual(
      ['gate1', 'gate2'].map((host) => rows.filter((row) => row['host'] === host).length),
      [40, 10],
    );
    assert.equal(rows[0]?.['outcome'], 'ok');
    const of = await desk.run('search', '--host', 'gate2', '--command', 'quota');
    assert.equal(of.stdout.toString().match(/^gate2 .* quota get /gm)?.length, 10, of.text);
    const none = await desk.run('search', '--user', 'nobody@example.com');
    assert.deepEqual([none.exit, none.stdout.toString()], [0, '']);
    assert.match(none.stderr, /no command for "nobody@example\.com" was found in 2 journals/);
  });

  await t.test('fetch: the segments byte for byte, for audit verify; never over something else', async () => {
    const to = join(nats.folder, 'copy');
    const done = await desk.run('fetch', 'gate1', '--to', to);
    assert.equal(done.exit, 0, done.text);
    const segments = readdirSync(directory).filter((name) => name.endsWith('.jsonl'));
    assert.ok(segments.length > 2);
    assert.deepEqual(readdirSync(to).toSorted(), segments.toSorted());
    for (const name of segments)
      assert.ok(readFileSync(join(to, name)).equals(readFileSync(join(directory, name))), name);
    const key = join(nats.folder, 'gate.pub');
    writeFileSync(key, trusted.key);
    const verified = await runWarm(['audit', 'verify', '--key', key, to]);
    assert.equal(verified.exit, 0, verified.text);
    const again = await desk.run('fetch', 'gate1', '--to', to);
    assert.equal(again.exit, 78);
    assert.match(again.stderr, /is not empty; nothing is overwritten/);
    const nobody = await desk.run('fetch', 'gate9', '--to', join(nats.folder, 'nobody'));
    assert.equal(nobody.exit, 1);
    assert.match(nobody.stderr, /has nothing of gate9/);
  });

  await t.test(
    'a journal with a hole: found with host and seq; fetched for somebody who asks for the rest',
    async () => {
      const other = readLines(await writeJournal(t, 20));
      const link = await openNats(nats.settingsOf('gate2'));
      await send(link, 'gate2', { ...other, lines: other.lines.slice(0, 20) });
      await send(link, 'gate2', { ...other, lines: other.lines.slice(23) });
      await link.close();
      const done = await desk.run('verify');
      assert.equal(done.exit, 1, done.text);
      assert.match(done.text, /^failed: DOVEGATE_AUDIT/);
      assert.match(done.text, /^gate2 seq 21: missing: /m);
      assert.match(done.text, /^gate2.*: new-journal: /m);

      const several = await desk.run('fetch', 'gate2', '--to', join(nats.folder, 'several'));
      assert.equal(several.exit, 64);
      assert.ok(several.stderr.includes(`${two.id}, to seq ${two.lines.length}`), several.stderr);
      assert.ok(!existsSync(join(nats.folder, 'several')));
      const torn = join(nats.folder, 'torn');
      const refused = await desk.run('fetch', 'gate2', '--journal', other.id, '--to', torn);
      assert.equal(refused.exit, 1);
      assert.match(refused.stderr, /seq 20 is followed by 24/);
      const asked = await desk.run(
        'fetch',
        'gate2',
        '--journal',
        other.id,
        '--holes',
        '--to',
        `${torn}-asked`,
      );
      assert.equal(asked.exit, 1);
      assert.match(asked.text, /^missing: seq 20 is followed by 24$/m);

      const later = await desk.run('verify');
      assert.equal(later.exit, 1, 'it stands');
      const accepted = await desk.run('verify', '--accept');
      assert.equal(accepted.exit, 0, accepted.text);
      assert.match(accepted.text, /^[23] findings of earlier runs accepted$/m);
      const whole = await desk.run('verify', '--whole');
      assert.equal(whole.exit, 0, whole.text);
      assert.doesNotMatch(whole.text, /^read 0 records/m);
    },
  );

  await t.test('a kept line: what it says is there; a line that was changed is none', async () => {
    const kept = join(nats.folder, 'kept.jsonl');
    const text = readFileSync(join(desk.state, 'checkpoints.jsonl'), 'utf8').split('\n')[0] ?? '';
    writeFileSync(kept, `${text}\n`);
    const done = await desk.run('verify', '--checkpoint', kept);
    assert.equal(done.exit, 0, done.text);
    assert.match(done.text, /^the kept line names the ends of 2 journals: all are in the stream$/m);
    writeFileSync(kept, `${text.replace('"findings":0', '"findings":1')}\n`);
    const changed = await desk.run('verify', '--checkpoint', kept);
    assert.equal(changed.exit, 1);
    assert.match(changed.stderr, /is no checkpoint of a fleet, or it was changed/);
  });

  await t.test('a stream that was made anew: told, and what is gone is told', async () => {
    await nats.stop();
    rmSync(join(nats.folder, 'store'), { recursive: true });
    mkdirSync(join(nats.folder, 'store'));
    await nats.start();
    const gone = await desk.run('verify');
    assert.equal(gone.exit, 78, gone.text);
    assert.match(gone.stderr, /fleet init/);
    // gate1 sends all of its journal again, gate2 has nothing left.
    await fill(nats, { gate1: one });
    const done = await desk.run('verify', '--json');
    assert.equal(done.exit, 1, done.text);
    const { findings } = parseStatus(done.stdout.toString());
    assert.deepEqual([...new Set(findings.map(({ kind, host }) => `${host} ${kind}`))].toSorted(), [
      '- stream-replaced',
      'gate1 stream-replaced',
      'gate2 cut-in-stream',
      'gate2 never-seen',
      'gate2 stream-replaced',
    ]);
  });

  await t.test('no server, and a file of settings with problems', async () => {
    await nats.stop();
    const away = await desk.run('verify');
    assert.equal(away.exit, 69, away.text);
    assert.match(away.stderr, /nobody listens there/);
    desk.write({ gate1: { silent_after: 'soon' } });
    const wrong = await desk.run('verify');
    assert.equal(wrong.exit, 78);
    assert.match(wrong.stderr, /fleet-verifier\.yaml:1:\d+: hosts\.gate1\.silent_after: must be a duration/);
  });
});

void test('gates that are listed before they join', { timeout: 600_000 }, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1', 'gate2', 'gate3'] });
  if (skipOf(t, nats)) return;
  const [one, two, three] = [await writeJournal(t, 5), await writeJournal(t, 5), await writeJournal(t, 5)];
  await fill(nats, { gate1: readLines(one) });
  const keyFile = (host: string): string => join(nats.folder, `${host}.pub`);
  // The shell makes the file before `join` prints the key.
  writeFileSync(keyFile('gate3'), '');
  const desk = openDesk(nats, { gate1: trusted, gate2: { key: 'gate2.pub' }, gate3: { key: 'gate3.pub' } });
  const found = async () => {
    const done = await desk.run('verify', '--json');
    assert.equal(done.exit, 1, done.text);
    const { findings } = parseStatus(done.stdout.toString());
    const kinds = [...new Set(findings.map(({ kind, host }) => `${host} ${kind}`))];
    return { kinds, warned: [...done.stderr.matchAll(/hosts\.(gate\d)\.key: /g)].map(([, host]) => host) };
  };
  assert.deepEqual(await found(), {
    kinds: ['gate2 never-seen', 'gate3 never-seen'],
    warned: ['gate2', 'gate3'],
  });
  // The share of gate1 is less than it was made with, which init reports.
  const made = await openDesk(nats, { gate1: trusted, gate2: {}, gate3: {} }, 'admin').run('init');
  assert.match(made.text, /^the stream DOVEGATE_AUDIT_gate3 is there: made/m);
  writeFileSync(keyFile('gate2'), `${trusted.key}\n`);
  for (const [host, directory] of [
    ['gate2', two],
    ['gate3', three],
  ] as const) {
    const link = await openNats(nats.settingsOf(host));
    await send(link, host, readLines(directory));
    await link.close();
  }
  assert.deepEqual(await found(), { kinds: ['gate3 untrusted'], warned: ['gate3'] });
  const report = await desk.run('report', '--mailbox', 'nobody@example.com');
  assert.equal(report.exit, 1, report.text);
  assert.match(report.text, /gate3.*no key is listed for it/s);
});
