// Goal: the commands of a verifier on a real server, with journals as the daemon's writer makes them: init, verify, status, and
// search, show, export, access and verify over its mirror; what each says when somebody tears at the stream, the state or the journals.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { FleetStatus } from '../../../src/evidence/fleet/shapes.js';
import { formatServerTrust } from '../../../src/evidence/fleet-cli/fleet-trust.js';
import { openNats } from '../../../src/evidence/nats/link.js';
import { writeJournal } from '../../evidence/cli/shown.js';
import { openNatsServer } from '../../kit/gate/nats.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { runProgram } from '../../kit/plain/program.js';
import { fill, openDesk, readLines, send, skipOf, trusted } from './fleet-lab.js';

/** Of the segments in a directory, compressed or not, by their names. */
function textsIn(directory: string): ReadonlyMap<string, Buffer> {
  const files = readdirSync(directory).filter((file) => /\.jsonl(\.gz)?$/.test(file));
  return new Map(
    files.toSorted().map((file) => {
      const bytes = readFileSync(join(directory, file));
      return file.endsWith('.gz') ? [file.slice(0, -3), gunzipSync(bytes)] : [file, bytes];
    }),
  );
}

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
    assert.match(made.text, /^the stream DOVEGATE_AUDIT_gate2 is there: made at /m);
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
      assert.match(said.text, /max_age is 1h, must be 7d \(keep\)/);
      assert.match(said.text, /discard is "old" \(a full stream removes the oldest records\), must be "new"/);
    }
    await nats.api('STREAM.UPDATE.DOVEGATE_AUDIT', Object(config));
    assert.doesNotMatch((await desk.run('verify')).text, /max_age/);
  });

  await t.test('what init prints is a configuration that the server takes', async () => {
    const printed = await desk.run('init', '--print');
    assert.equal(printed.exit, 0);
    assert.match(printed.text, /^# nats stream add DOVEGATE_AUDIT \\$/m);
    const { trust } = nats.trust ?? assert.fail('by JWT');
    writeFileSync(join(nats.folder, 'trust.conf'), formatServerTrust(trust));
    const file = join(nats.folder, 'printed.conf');
    const place = (path: string): string => join(nats.folder, path);
    const here = printed.stdout
      .toString()
      .replace('"nats/trust.conf"', '"trust.conf"')
      .replace('/etc/nats/server.pem', place('server.pem'))
      .replace('/etc/nats/server.key', place('server.key'))
      .replaceAll('/var/lib/nats', place('lib'));
    writeFileSync(file, here);
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
    desk.write(hosts, { credentials: 'elsewhere.creds' });
    const reader = await desk.run('status');
    assert.equal(reader.exit, 0, reader.text);
    assert.equal((await desk.run('verify')).exit, 78);
    desk.write(hosts);
  });

  await t.test('search: over all hosts, over one, by time, and without a hit', async () => {
    const all = await desk.read('search', '--json', '--user', 'alice@example.com', '--since', '1h');
    const rows = all.stdout.toString().trimEnd().split('\n').map(parse);
    assert.deepEqual(
      ['gate1', 'gate2'].map((host) => rows.filter((row) => row['host'] === host).length),
      [40, 10],
    );
    assert.equal(rows[0]?.['outcome'], 'ok');
    const of = await desk.read('search', '--command', 'quota');
    assert.match(of.text, /^HOST +SEQ /m);
    assert.equal(of.stdout.toString().match(/^gate2 .* quota get /gm)?.length, 10, of.text);
    const csv = await desk.read('export', '--user', 'alice@example.com');
    assert.match(csv.stdout.toString(), /^host,.*\r\ngate1,/);
    const none = await desk.read('search', '--user', 'nobody@example.com');
    assert.deepEqual([none.exit, none.stdout.toString()], [0, '']);
    assert.match(none.stderr, /no command for "nobody@example\.com" was found among \d+ records/);
    const shown = await desk.read('show', 'E3');
    assert.deepEqual(shown.text.match(/^on gate\d$/gm), ['on gate1', 'on gate2'], shown.text);
    const record = parse((await desk.read('show', 'E30', '--json')).stdout.toString().split('\n')[0] ?? '');
    assert.deepEqual([record['host'], record['id']], ['gate1', 'E30']);
    const access = await desk.read('access');
    assert.match(access.text, /^gate1: 0 requests/m);
    const folder = await runWarm(['audit', 'search', '--fleet', join(desk.state, 'journals'), '--json']);
    assert.equal(folder.stdout.toString().trimEnd().split('\n').length, 50);
    const both = await desk.read('search', '--config', 'dovegate.yaml');
    assert.equal(both.exit, 64, both.text);
  });

  await t.test(
    'the mirror: the segments byte for byte, and audit verify passes them by the listed keys',
    async () => {
      const mirrored = join(desk.state, 'journals', 'gate1', one.id);
      const segments = readdirSync(directory).filter((name) => name.endsWith('.jsonl'));
      assert.ok(segments.length > 2);
      assert.deepEqual([...textsIn(mirrored).keys()], segments.toSorted());
      for (const [name, text] of textsIn(mirrored))
        assert.ok(text.equals(readFileSync(join(directory, name))), name);
      const verified = await desk.read('verify', '--json');
      assert.equal(verified.exit, 0, verified.text);
      const found = verified.stdout.toString().trimEnd().split('\n').map(parse);
      assert.deepEqual(
        found.map((row) => [row['host'], row['passed'], row['signatures_checked'], row['records']]),
        [
          ['gate1', true, true, one.lines.length],
          ['gate2', true, true, two.lines.length],
        ],
      );
      desk.write({ ...hosts, gate3: {} });
      const lacking = await desk.read('verify');
      assert.equal(lacking.exit, 1);
      assert.match(lacking.stderr, /the mirror holds no journal of gate3/);
      desk.write(hosts);
    },
  );

  await t.test('a mirror that somebody removed is made again, as far as the stream goes', async () => {
    rmSync(join(desk.state, 'journals', 'gate2'), { recursive: true });
    const done = await desk.run('verify');
    assert.equal(done.exit, 0, done.text);
    const texts = [...textsIn(join(desk.state, 'journals', 'gate2', two.id)).values()];
    assert.equal(Buffer.concat(texts).toString(), two.lines.join(''));
  });

  await t.test(
    'a journal with a hole: found with host and seq, in the stream and in the mirror',
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

      const mirrored = await desk.read('verify');
      assert.equal(mirrored.exit, 1);
      assert.match(mirrored.text, /seq 21: missing: /);

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
    writeFileSync(kept, `${text.replace('"findings":{}', '"findings":{"open":1}')}\n`);
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
    assert.match(
      wrong.stderr,
      /fleet-verifier\.yaml:\d+:\d+: hosts\.gate1\.silent_after: must be a duration/,
    );
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
  const report = await desk.read('report', '--mailbox', 'nobody@example.com');
  assert.equal(report.exit, 1, report.text);
  assert.match(report.text, /gate3: no signature was checked/);
});
