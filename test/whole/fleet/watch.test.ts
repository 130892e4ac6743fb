// Goal: the service over a folder: a finding is told once when it begins and once when it ends; a silent host in time; the absence of the
// store, and what it hides; metrics, status, reload, and an end within seconds.
import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { readCheckpoint, signCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { findTrail, type TrailFile } from '../../../src/journal/files/trail.js';
import { writeJournal } from '../../evidence/cli/shown.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { ends } from '../../kit/plain/program.js';
import { until } from '../../kit/plain/until.js';
import { type Desk, openDesk, openTrail, readLines, trusted } from './fleet-lab.js';
import { startWatch } from './watching.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function linesOf({ state }: Desk): readonly string[] {
  return readFileSync(join(state, 'checkpoints.jsonl'), 'utf8').trimEnd().split('\n');
}

/** One more line of the verifier, which could not be put there at its time. */
function signAnHourAgo(desk: Desk): void {
  const last = readCheckpoint(linesOf(desk).at(-1) ?? '');
  assert.ok(last !== undefined);
  const key = readFileSync(join(desk.state, 'checkpoint.key'), 'utf8');
  const { line } = signCheckpoint(last, last, key, Date.now() - 3_600_000);
  appendFileSync(join(desk.state, 'checkpoints.jsonl'), `${line}\n`);
}

function textOf({ path, isCompressed }: TrailFile): string {
  const bytes = readFileSync(path);
  return (isCompressed ? gunzipSync(bytes) : bytes).toString();
}

void test('watch, from its start to its end', { timeout: 600_000 }, async (t) => {
  const trail = openTrail(t);
  const one = readLines(await writeJournal(t, 40, undefined, true));
  const two = readLines(await writeJournal(t, 40, undefined, true));
  const three = readLines(await writeJournal(t, 20, undefined, true));
  const send = async (host: 'gate1' | 'gate2' | 'gate4', from: number, to: number): Promise<void> => {
    const { id, lines } = { gate1: one, gate2: two, gate4: three }[host];
    await trail.send(host, { id, lines: lines.slice(from, to) });
  };
  await send('gate1', 0, 20);
  await send('gate2', 0, 20);
  const [port = 0] = await freePorts(1);
  const silent = { ...trusted, silent_after: '6s' };
  const patient = { ...trusted, silent_after: '1h' };
  const hosts = { gate1: patient, gate2: patient, gate3: patient };
  const desk = openDesk(t, trail, hosts, { metrics: `127.0.0.1:${port}` });
  const metric = async (name: string): Promise<string | undefined> => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return text.split('\n').find((line) => line.startsWith(name));
  };
  const status = () => desk.status();
  const seqIs = (host: string, seq: number): Promise<void> =>
    until(async () => {
      const line = await metric(`dovegate_fleet_seq{host="${host}"}`).catch(() => '');
      return line?.endsWith(` ${seq}`) === true;
    }, `seq ${seq}`);
  const signed = (): readonly string[] => linesOf(desk);
  const [store, away] = [join(trail.folder, 'store'), join(trail.folder, 'unmounted')];
  let watch = startWatch(desk);

  await t.test('it tells what is wrong, and nothing twice', async () => {
    await until(() => watch.of('finding', 'never-seen').length > 0, 'gate3 was never seen');
    assert.equal(watch.of('finding', 'never-seen')[0]?.['host'], 'gate3');
    assert.equal(watch.of('finding').length, 1, JSON.stringify(watch.events));
    const busy = await ends(75, desk.run('verify'));
    assert.match(busy.stderr, /^.*process \d+.*, a "fleet verify" or "fleet watch", has the state/m);
  });

  await t.test('metrics and status follow what is read', async () => {
    await seqIs('gate1', 20);
    await send('gate1', 20, 40);
    await seqIs('gate1', 40);
    for (const line of ['up 1', 'records_total 60', 'findings{host="gate3",kind="never-seen"} 1'])
      assert.equal(await metric(`dovegate_fleet_${line.split(/[ {]/, 1).join()}`), `dovegate_fleet_${line}`);
    const newest = await metric('dovegate_fleet_last_object_timestamp_seconds{host="gate2"}');
    assert.match(newest ?? '', / \d{10}/);
    const isRead = () => status().gates.some(({ host, seq }) => host === 'gate1' && seq === 40);
    await until(isRead, 'the status has it');
    const shown = await ends(1, desk.run('status'));
    assert.match(shown.text, /^gate3: never-seen: /m);
    // The mirror is read while it is written.
    const found = await ends(0, desk.read('search', '--json'));
    assert.match(found.stderr, /the mirror holds no journal of gate3/);
    const mirrored = findTrail([join(desk.state, 'journals', 'gate1', one.id)]).files;
    assert.equal(mirrored.map(textOf).join(''), one.lines.slice(0, 40).join(''));
  });

  await t.test('SIGHUP: settings with problems are refused, others taken', async () => {
    desk.write({ gate1: { silent_after: 'soon' } });
    watch.child.kill('SIGHUP');
    await until(() => watch.of('reload-refused').length === 1, 'refused');
    assert.match(String(watch.of('reload-refused')[0]?.['text']), /silent_after: must be a duration/);
    desk.write({ gate1: patient, gate2: patient });
    watch.child.kill('SIGHUP');
    await until(() => watch.of('reloaded').length === 1, 'reloaded');
    await until(() => watch.of('finding-ended', 'never-seen').length === 1, 'it ended');
  });

  await t.test('a host that is listed before its first object is seen soon after it', async () => {
    desk.write({ gate1: patient, gate2: patient, gate4: patient });
    watch.child.kill('SIGHUP');
    await until(() => watch.of('finding', 'never-seen').some(({ host }) => host === 'gate4'), 'never seen');
    await send('gate4', 0, 20);
    await seqIs('gate4', 20);
    await until(() => watch.of('finding-ended', 'never-seen').length === 2, 'it ended');
  });

  await t.test('a hole is told when it comes, with host and seq', async () => {
    await send('gate2', 25, 40);
    await until(() => watch.of('finding', 'missing').length === 1, 'missing');
    const [found] = watch.of('finding', 'missing');
    assert.deepEqual([found?.['host'], found?.['seq']], ['gate2', 21]);
  });

  await t.test('a restart: what was told is not told again', async () => {
    const { code, ms } = await watch.stop();
    assert.equal(code, 0);
    assert.ok(ms < 30_000, `${ms} ms`);
    assert.equal(watch.events.at(-1)?.['event'], 'stopped');
    await ends(1, desk.run('verify'));
    signAnHourAgo(desk);
    const { length } = signed();
    watch = startWatch(desk);
    await seqIs('gate1', 40);
    await send('gate1', 40, 60);
    await seqIs('gate1', 60);
    assert.deepEqual(watch.of('finding'), []);
    // The line of this hour, and the one that is not in the store yet.
    await until(() => signed().length > length, 'signed');
    const folder = join(trail.root, '_verifiers', 'verifier');
    const newest = (): string =>
      readFileSync(join(folder, readdirSync(folder).toSorted().at(-1) ?? ''), 'utf8');
    await until(() => newest().trimEnd() === signed().at(-1), 'it is in the store');
    const { seq = 0, heads = [] } = readCheckpoint(signed().at(-1) ?? '') ?? {};
    assert.deepEqual([seq, heads.find(({ host }) => host === 'gate1')?.seq], [length + 1, 60]);
    await until(() => status().checkpoint?.seq === seq, 'the status has it');
  });

  await t.test('a silent host is told after silent_after, and ends when it speaks', async () => {
    const startMs = Date.now();
    const lines = signed().length;
    await send('gate1', 60, 65);
    desk.write({ gate1: silent, gate2: patient });
    watch.child.kill('SIGHUP');
    const heardMs = Date.now();
    await until(() => watch.of('finding', 'silent').length === 1, 'silent');
    const told = Date.parse(String(watch.of('finding', 'silent')[0]?.['time']));
    assert.ok(told - startMs >= 6_000, `${told - startMs} ms`);
    t.diagnostic(`told ${told - heardMs - 6_000} ms after silent_after`);
    assert.equal(watch.of('finding', 'silent')[0]?.['host'], 'gate1');
    await send('gate1', 65, 70);
    await until(() => watch.of('finding-ended', 'silent').length === 1, 'it spoke');
    assert.equal(signed().length, lines, 'no other line before an hour is over');
  });

  await t.test('a store that is away is told, and nobody is called silent', async () => {
    desk.write({ gate1: { ...trusted, silent_after: '15s' }, gate2: patient });
    watch.child.kill('SIGHUP');
    await until(() => watch.of('reloaded').length === 2, 'reloaded');
    await send('gate1', 70, 75);
    await seqIs('gate1', 75);
    renameSync(store, away);
    await until(() => watch.of('store-away').length === 1, 'away');
    assert.equal(await metric('dovegate_fleet_up'), 'dovegate_fleet_up 0');
    await until(() => status().away !== undefined, 'the status says so');
    const shown = await ends(1, desk.run('status'));
    assert.match(shown.text, /^not known: the store cannot be read since \S+: .+\nuntil then: /);
    // Longer than it may be silent.
    await pause(18_000);
    renameSync(away, store);
    await until(() => watch.of('store-back').length === 1, 'back', 120_000);
    // It is judged before anything new comes.
    await until(() => status().away === undefined, 'the status says so');
    const told = watch.events.slice(watch.events.findIndex(({ event }) => event === 'store-away'));
    assert.deepEqual(
      told.filter(({ kind }) => kind === 'silent'),
      [],
      JSON.stringify(told),
    );
    await send('gate1', 75, 80);
    await seqIs('gate1', 80);
  });

  await t.test('with the store away it ends within seconds, too', async () => {
    renameSync(store, away);
    await until(() => watch.of('store-away').length === 2, 'away');
    const { code, ms } = await watch.stop();
    assert.equal(code, 0);
    assert.ok(ms < 30_000, `${ms} ms`);
  });
});
