// Goal: the commands of a verifier over a folder, with journals as the daemon's writer makes them: verify, status, policy, and search,
// show, export, access and verify over its mirror; what each says when somebody tears at the store, the state or the journals.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { FleetStatus } from '../../../src/evidence/fleet/shapes.js';
import { writeJournal } from '../../evidence/cli/shown.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { ends } from '../../kit/plain/program.js';
import { kindsOf, openDesk, openTrail, readLines, trusted } from './fleet-lab.js';
import { HandJournal, putAll } from './hand-journal.js';

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
const parseStatus = (text: string): FleetStatus => JSON.parse(text);

void test('a fleet of two gates, from its first day', { timeout: 600_000 }, async (t) => {
  const trail = openTrail(t);
  const directory = await writeJournal(t);
  const one = readLines(directory);
  const two = readLines(await writeJournal(t, 10));
  const hosts = { gate1: trusted, gate2: trusted };
  const desk = openDesk(t, trail, hosts);

  await t.test('nothing in the store: both hosts were never seen', async () => {
    assert.deepEqual(kindsOf(await desk.verify()), ['gate1 never-seen', 'gate2 never-seen']);
  });

  await t.test('journals arrive: passed, signed, and the next run reads only what is new', async () => {
    await trail.send('gate1', one);
    await trail.send('gate2', two);
    // The store does not take the line; the next run puts it there.
    mkdirSync(join(trail.root, '_verifiers'));
    symlinkSync('nowhere', join(trail.root, '_verifiers', 'verifier'));
    const done = await ends(0, desk.run('verify'));
    assert.match(done.stderr, /the checkpoint is not in the store yet/);
    rmSync(join(trail.root, '_verifiers', 'verifier'));
    const records = one.lines.length + two.lines.length;
    assert.match(done.text, /^passed: .*\/store\/dovegate, 2 hosts/);
    assert.match(done.text, new RegExp(`^read ${records} records in .*; ${records} in all runs$`, 'm'));
    assert.match(done.text, /^signed: line 1 of checkpoints\.jsonl/m);
    const again = await ends(0, desk.run('verify'));
    assert.match(again.text, new RegExp(`^read 0 records; ${records} in all runs$`, 'm'));
    const lines = readFileSync(join(desk.state, 'checkpoints.jsonl'), 'utf8').trimEnd().split('\n');
    assert.equal(lines.length, 1, 'nothing new, nothing signed');
    const [kept = ''] = readdirSync(join(trail.root, '_verifiers', 'verifier'));
    assert.match(kept, /^0{15}1-[0-9a-f]{64}\.jsonl$/);
    assert.equal(readFileSync(join(trail.root, '_verifiers', 'verifier', kept), 'utf8'), `${lines[0]}\n`);
    for (const name of ['state.json', 'checkpoint.key', 'checkpoints.jsonl'])
      assert.equal(statSync(join(desk.state, name)).mode & 0o077, 0, name);
    // The page's process reads it as a member of the group of the directory.
    assert.equal(statSync(join(desk.state, 'status.json')).mode & 0o077, 0o040);
  });

  await t.test('status: the gates as they were seen, and how old that is', async () => {
    const done = await ends(0, desk.run('status'));
    assert.match(done.text, /^as of \S+, \d+ \w+ ago$/m);
    assert.match(done.text, new RegExp(`^gate1 +${one.lines.length} +${one.lines.length} `, 'm'));
    const { gates } = parseStatus((await desk.run('status', '--json')).text);
    assert.equal(gates.length, 2);
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
    await ends(64, desk.read('search', '--config', 'dovegate.yaml'));
  });

  await t.test('the mirror: the segments byte for byte, and audit verify passes them', async () => {
    const mirrored = join(desk.state, 'journals', 'gate1', one.id);
    const segments = readdirSync(directory).filter((name) => name.endsWith('.jsonl'));
    assert.ok(segments.length > 2);
    assert.deepEqual([...textsIn(mirrored).keys()], segments.toSorted());
    for (const [name, text] of textsIn(mirrored))
      assert.ok(text.equals(readFileSync(join(directory, name))), name);
    const verified = await ends(0, desk.read('verify', '--json'));
    const found = verified.stdout.toString().trimEnd().split('\n').map(parse);
    assert.deepEqual(
      found.map((row) => [row['host'], row['passed'], row['signatures_checked'], row['records']]),
      [
        ['gate1', true, true, one.lines.length],
        ['gate2', true, true, two.lines.length],
      ],
    );
    desk.write({ ...hosts, gate3: {} });
    const lacking = await ends(1, desk.read('verify'));
    assert.match(lacking.stderr, /the mirror holds no journal of gate3/);
    desk.write(hosts);
  });

  await t.test('a mirror that somebody removed is made again, as far as the store goes', async () => {
    rmSync(join(desk.state, 'journals', 'gate2'), { recursive: true });
    await ends(0, desk.run('verify'));
    const texts = [...textsIn(join(desk.state, 'journals', 'gate2', two.id)).values()];
    assert.equal(Buffer.concat(texts).toString(), two.lines.join(''));
  });

  await t.test('a journal with a hole: found with host and seq, in the store and in the mirror', async () => {
    const other = readLines(await writeJournal(t, 20, undefined, true));
    await trail.send('gate2', { ...other, lines: other.lines.slice(0, 20) });
    await trail.send('gate2', { ...other, lines: other.lines.slice(23) });
    const done = await ends(1, desk.run('verify'));
    assert.match(done.text, /^failed: .*dovegate, /);
    assert.match(done.text, /^gate2 seq 21: missing: /m);
    assert.match(done.text, /^gate2.*: new-journal: /m);

    const mirrored = await ends(1, desk.read('verify'));
    assert.match(mirrored.text, /seq 21: missing: /);

    const later = await desk.run('verify');
    assert.equal(later.exit, 1, 'it stands');
    const accepted = await ends(0, desk.run('verify', '--accept'));
    assert.match(accepted.text, /^[23] findings of earlier runs accepted$/m);
    const whole = await ends(0, desk.run('verify', '--whole'));
    assert.doesNotMatch(whole.text, /^read 0 records/m);
  });

  await t.test('a kept line: what it says is there; a line that was changed is none', async () => {
    const kept = desk.at('kept.jsonl');
    const text = readFileSync(join(desk.state, 'checkpoints.jsonl'), 'utf8').split('\n')[0] ?? '';
    writeFileSync(kept, `${text}\n`);
    const done = await ends(0, desk.run('verify', '--checkpoint', kept));
    assert.match(done.text, /^the kept line names the ends of 2 journals: all are in the store$/m);
    writeFileSync(kept, `${text.replace('"findings":{}', '"findings":{"open":1}')}\n`);
    const changed = await ends(1, desk.run('verify', '--checkpoint', kept));
    assert.match(changed.stderr, /is no checkpoint of a fleet, or it was changed/);
  });

  await t.test('what was removed from the store is told, and a host that is gone', async () => {
    const folder = join(trail.root, 'gate1', one.id, '00000000000');
    const names = readdirSync(folder);
    rmSync(join(folder, names[1] ?? ''));
    rmSync(join(trail.root, 'gate2'), { recursive: true });
    const { findings } = await desk.verify();
    const gone = findings.filter(({ kind }) => kind === 'cut-in-store');
    assert.deepEqual(
      gone.map(({ host, seq }) => `${host} ${seq}`).filter((each) => each.startsWith('gate1')),
      ['gate1 26'],
    );
    assert.ok(gone.some(({ host }) => host === 'gate2'));
    await ends(0, desk.run('verify', '--accept'));
  });

  await t.test('policy: what a bucket must let a gate do, and the verifier', async () => {
    const folder = await ends(64, desk.run('policy', 'gate1'));
    assert.match(folder.stderr, /is a folder: its server says who may write where/);
    writeFileSync(desk.at('store.ini'), '', { mode: 0o600 });
    const bucket = { store: 'https://s3.example.com/audit-trail', credentials: 'store.ini' };
    desk.write(hosts, bucket);
    const policyOf = async (...args: string[]) => {
      const done = await ends(0, desk.run('policy', ...args));
      const { Statement: all }: { Statement: { Effect: string; Action: string[]; Resource: string[] }[] } =
        JSON.parse(done.stdout.toString());
      return all.map(({ Effect, Action, Resource }) => `${Effect} ${Action.join(',')} ${Resource.join()}`);
    };
    const arn = 'arn:aws:s3:::audit-trail';
    const locks = 's3:PutObjectRetention,s3:PutObjectLegalHold,s3:PutObjectAcl,s3:PutObjectVersionAcl';
    assert.deepEqual(await policyOf('gate1'), [
      `Allow s3:PutObject ${arn}/dovegate/gate1/*`,
      `Allow s3:GetObject ${arn}/dovegate/gate1/*`,
      `Allow s3:ListBucket ${arn}`,
      `Deny ${locks} ${arn}/dovegate/gate1/*`,
    ]);
    assert.deepEqual((await policyOf('gate1', '--aws')).slice(4), [
      `Deny s3:PutObject ${arn}/dovegate/gate1/*`,
    ]);
    assert.deepEqual((await policyOf('verifier')).slice(0, 2), [
      `Allow s3:PutObject ${arn}/dovegate/_verifiers/verifier/*`,
      `Allow s3:GetObject,s3:GetObjectVersion ${arn}/dovegate/*`,
    ]);
    const unlisted = await ends(0, desk.run('policy', 'gate-l'));
    assert.match(unlisted.stderr, /^dovegate: "gate-l" is not in "hosts" yet/);
    desk.write(hosts);
  });

  await t.test('no store, and a file of settings with problems', async () => {
    desk.write(hosts, { store: `file://${trail.folder}/elsewhere`, state: desk.at('other') });
    const away = await ends(69, desk.run('verify'));
    assert.match(away.stderr, /\/elsewhere is not there \(ENOENT\)/);
    desk.write(hosts, { prefix: 'other' });
    const other = await ends(78, desk.run('verify'));
    assert.match(other.stderr, /is not a state of .*\/store\/other/);
    desk.write({ gate1: { silent_after: 'soon' } });
    const wrong = await ends(78, desk.run('verify'));
    assert.match(wrong.stderr, /fleet\.yaml:\d+:\d+: hosts\.gate1\.silent_after: must be a duration/);
  });
});

void test('gates that are listed before they are there', { timeout: 600_000 }, async (t) => {
  const trail = openTrail(t);
  const [one, two, three] = [await writeJournal(t, 5), await writeJournal(t, 5), await writeJournal(t, 5)];
  await trail.send('gate1', readLines(one));
  const desk = openDesk(t, trail, {
    gate1: trusted,
    gate2: { key: 'gate2.pub' },
    gate3: { key: 'gate3.pub' },
  });
  // The shell makes the file before a command prints the key.
  writeFileSync(desk.at('gate3.pub'), '');
  const found = async () => {
    const done = await ends(1, desk.run('verify', '--json'));
    const kinds = kindsOf(parseStatus(done.stdout.toString()));
    return { kinds, warned: [...done.stderr.matchAll(/hosts\.(gate\d)\.key: /g)].map(([, host]) => host) };
  };
  assert.deepEqual(await found(), {
    kinds: ['gate2 never-seen', 'gate3 never-seen'],
    warned: ['gate2', 'gate3'],
  });
  writeFileSync(desk.at('gate2.pub'), `${trusted.key}\n`);
  await trail.send('gate2', readLines(two));
  await trail.send('gate3', readLines(three));
  assert.deepEqual(await found(), { kinds: ['gate3 untrusted'], warned: ['gate3'] });
  const report = await ends(1, desk.read('report', '--mailbox', 'nobody@example.com'));
  assert.match(report.text, /gate3: no proved record came from it yet/);
  assert.match((await desk.run('status')).text, /^gate3: 14 records behind record 0 are not proved yet/m);
  writeFileSync(desk.at('gate3.pub'), trusted.key);
  await ends(0, desk.run('verify'));
});

void test('what a log store received is compared with the store', { timeout: 600_000 }, async (t) => {
  const trail = openTrail(t);
  // Of an hour ago.
  const journal = new HandJournal({ host: 'gate1', clockMs: -3_600_000 }).work(10).work(2);
  await putAll(trail.store, [journal.block()]);
  const inStore = journal.seq;
  const desk = openDesk(t, trail, { gate1: { key: journal.signKey?.key ?? '', silent_after: '1d' } });
  await ends(0, desk.run('verify'));
  const compare = async (lines: readonly string[]) => {
    writeFileSync(
      desk.at('received.log'),
      lines.map((line) => `Nov 20 08:22:34 gate1 dovegate[812]: ${line}`).join(''),
    );
    return desk.read('verify', '--received', desk.at('received.log'));
  };
  const same = await ends(0, compare(journal.lines));
  assert.match(same.text, /^ {2}the store has all of it, and nothing more of gate1$/m);
  const less = await ends(0, compare(journal.lines.slice(0, -5)));
  assert.match(less.text, /^ {2}the store has all of it, and 5 later records of gate1 that are not here$/m);
  const fork = await ends(1, compare(journal.copy(undefined, 24).work(5).lines));
  assert.match(fork.text, /changed: the store has another record \d+ of gate1/);
  const [first = ''] = journal.lines;
  const damaged = [first.replace('"time":"2', '"time":"1'), ...journal.lines.slice(1)];
  assert.doesNotMatch((await ends(1, compare(damaged))).text, /the store has all of it/);
  const other = await compare(new HandJournal({ host: 'gate1', signKey: journal.signKey }).work(3).lines);
  assert.match(other.text, /missing: the store has nothing of journal [0-9a-f]{32}/);
  const ahead = journal.copy();
  ahead.exchange({ time: Date.now() - 3_500_000 });
  const onTheWay = await ends(0, compare(ahead.lines));
  assert.match(
    onTheWay.text,
    new RegExp(`the store has it up to seq ${inStore} of gate1; what is later is of the last`),
  );
  ahead.exchange({ time: Date.now() }, false);
  const lacking = await ends(1, compare(ahead.lines));
  const lacks = `seq ${inStore + 1}: missing: the store lacks records ${inStore + 1} to ${ahead.seq} of gate1`;
  assert.ok(lacking.text.includes(`${lacks}, which were received (signed up to ${inStore})`), lacking.text);
});
