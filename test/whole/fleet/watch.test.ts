// Goal: the service on a real server: a finding is told once when it begins and once when it ends; a silent host in time; the absence of
// the server, and what it hides; metrics, status, reload, and an end within seconds.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { readCheckpoint, signCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { openNats } from '../../../src/evidence/nats/link.js';
import { findTrail, type TrailFile } from '../../../src/journal/files/trail.js';
import { writeJournal } from '../../evidence/cli/shown.js';
import { type Nats, openNatsServer } from '../../kit/gate/nats.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';
import {
  type Desk,
  fill,
  type Lines,
  openDesk,
  readLines,
  send,
  skipOf,
  statusOf,
  trusted,
} from './fleet-lab.js';
import { startWatch } from './watching.js';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function sendMore(nats: Nats, host: string, lines: Lines): Promise<void> {
  const link = await openNats(nats.settingsOf(host));
  await send(link, host, lines);
  await link.close();
}

function linesOf({ state }: Desk): readonly string[] {
  return readFileSync(join(state, 'checkpoints.jsonl'), 'utf8').trimEnd().split('\n');
}

/** One more line of the verifier, which could not be sent at its time. */
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
  const nats = await openNatsServer(t, { gates: ['gate1', 'gate2'] });
  if (skipOf(t, nats)) return;
  const one = readLines(await writeJournal(t));
  const two = readLines(await writeJournal(t));
  const part = (lines: Lines, from: number, to: number): Lines => ({
    ...lines,
    lines: lines.lines.slice(from, to),
  });
  await fill(nats, { gate1: part(one, 0, 20), gate2: part(two, 0, 20) });
  const [port = 0] = await freePorts(1);
  const silent = { ...trusted, silent_after: '6s' };
  const patient = { ...trusted, silent_after: '1h' };
  const desk = openDesk(
    nats,
    { gate1: patient, gate2: patient, gate3: patient },
    'verifier',
    `127.0.0.1:${port}`,
  );
  const metric = async (name: string): Promise<string | undefined> => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return text.split('\n').find((line) => line.startsWith(name));
  };
  const status = () => statusOf(desk);
  const signed = (): readonly string[] => linesOf(desk);
  let watch = startWatch(nats, desk);

  await t.test('it tells what is wrong, and nothing twice', async () => {
    await until(() => watch.of('finding', 'never-seen').length > 0, 'gate3 was never seen');
    assert.equal(watch.of('finding', 'never-seen')[0]?.['host'], 'gate3');
    assert.equal(watch.of('finding').length, 1, JSON.stringify(watch.events));
    const busy = await desk.run('verify');
    assert.equal(busy.exit, 75, busy.text);
    assert.match(busy.stderr, /^.*process \d+.*, a "fleet verify" or "fleet watch", has the state/m);
  });

  await t.test('metrics and status follow what is read', async () => {
    await until(
      async () => (await metric('dovegate_fleet_seq{host="gate1"}'))?.endsWith(' 20') === true,
      'seq 20',
    );
    await sendMore(nats, 'gate1', part(one, 20, 40));
    await until(
      async () => (await metric('dovegate_fleet_seq{host="gate1"}'))?.endsWith(' 40') === true,
      'seq 40',
    );
    assert.equal(await metric('dovegate_fleet_up'), 'dovegate_fleet_up 1');
    await until(
      async () => (await metric('dovegate_fleet_lag_messages')) === 'dovegate_fleet_lag_messages 0',
      'no lag',
    );
    assert.equal(await metric('dovegate_fleet_records_total'), 'dovegate_fleet_records_total 60');
    assert.equal(
      await metric('dovegate_fleet_findings{'),
      'dovegate_fleet_findings{host="gate3",kind="never-seen"} 1',
    );
    assert.match(
      (await metric('dovegate_fleet_last_message_timestamp_seconds{host="gate2"}')) ?? '',
      / \d{10}/,
    );
    await until(
      () => status().gates.some(({ host, seq }) => host === 'gate1' && seq === 40),
      'the status has it',
    );
    const shown = await desk.run('status');
    assert.equal(shown.exit, 1);
    assert.match(shown.text, /^gate3: never-seen: /m);
    // The mirror is read while it is written.
    const found = await desk.read('search', '--json');
    assert.equal(found.exit, 0, found.text);
    assert.match(found.stderr, /the mirror holds no journal of gate3/);
    const mirrored = findTrail([join(desk.state, 'journals', 'gate1', one.id)]).files;
    assert.equal(mirrored.map(textOf).join(''), one.lines.slice(0, 40).join(''));
  });

  await t.test(
    'SIGHUP: settings with problems are refused, others taken: a listed host is gone',
    async () => {
      desk.write({ gate1: { silent_after: 'soon' } });
      watch.child.kill('SIGHUP');
      await until(() => watch.of('reload-refused').length === 1, 'refused');
      assert.match(String(watch.of('reload-refused')[0]?.['text']), /silent_after: must be a duration/);
      desk.write({ gate1: patient, gate2: patient }, { metrics: `127.0.0.1:${port}`, replicas: 1 });
      watch.child.kill('SIGHUP');
      await until(() => watch.of('reloaded').length === 1, 'reloaded');
      await until(() => watch.of('finding-ended', 'never-seen').length === 1, 'it ended');
    },
  );

  await t.test('a hole is told when it comes, with host and seq', async () => {
    await sendMore(nats, 'gate2', part(two, 25, 40));
    await until(() => watch.of('finding', 'missing').length === 1, 'missing');
    const [found] = watch.of('finding', 'missing');
    assert.deepEqual([found?.['host'], found?.['seq']], ['gate2', 21]);
  });

  await t.test('a restart: what was told is not told again', async () => {
    const { code, ms } = await watch.stop();
    assert.equal(code, 0);
    assert.ok(ms < 30_000, `${ms} ms`);
    assert.equal(watch.events.at(-1)?.['event'], 'stopped');
    const accepted = await desk.run('verify');
    assert.equal(accepted.exit, 1);
    signAnHourAgo(desk);
    const { length } = signed();
    watch = startWatch(nats, desk);
    await until(
      async () =>
        (await metric('dovegate_fleet_lag_messages').catch(() => '')) === 'dovegate_fleet_lag_messages 0',
      'read',
    );
    await sendMore(nats, 'gate1', part(one, 40, 60));
    await until(
      async () => (await metric('dovegate_fleet_seq{host="gate1"}'))?.endsWith(' 60') === true,
      'seq 60',
    );
    assert.deepEqual(watch.of('finding'), []);
    // The line of this hour, and the one that is not in the stream yet.
    await until(() => signed().length > length, 'signed');
    const link = await openNats(nats.settingsOf('verifier'));
    const subject = 'dovegate.fleet.checkpoint';
    const sent = async () => (await link.lastOf('DOVEGATE_AUDIT', subject))?.bytes.toString().trimEnd();
    await until(async () => (await sent()) === signed().at(-1), 'it is in the stream');
    await link.close();
    const { seq = 0, heads = [] } = readCheckpoint(signed().at(-1) ?? '') ?? {};
    assert.deepEqual([seq, heads.find(({ host }) => host === 'gate1')?.seq], [length + 1, 60]);
    await until(() => status().checkpoint?.seq === seq, 'the status has it');
  });

  await t.test('a silent host is told within silent_after and 5 s, and ends when it speaks', async () => {
    const startMs = Date.now();
    const lines = signed().length;
    await sendMore(nats, 'gate1', part(one, 60, 65));
    desk.write({ gate1: silent, gate2: patient }, { metrics: `127.0.0.1:${port}` });
    watch.child.kill('SIGHUP');
    const heardMs = Date.now();
    let slowestMs = 0;
    await until(async () => {
      const askedMs = performance.now();
      await nats.api('STREAM.INFO.DOVEGATE_AUDIT');
      slowestMs = Math.max(slowestMs, performance.now() - askedMs);
      await pause(200);
      return watch.of('finding', 'silent').length === 1;
    }, 'silent');
    const told = Date.parse(String(watch.of('finding', 'silent')[0]?.['time']));
    assert.ok(told - startMs >= 6_000, `${told - startMs} ms`);
    // The machine of a test may be busy: then its server answers late, too.
    const shown = `told ${told - heardMs - 6_000} ms after silent_after; slowest answer of the server: ${Math.round(slowestMs)} ms`;
    t.diagnostic(shown);
    assert.ok(told - heardMs < 6_000 + 5_000 + 20 * slowestMs, shown);
    assert.equal(watch.of('finding', 'silent')[0]?.['host'], 'gate1');
    await sendMore(nats, 'gate1', part(one, 65, 70));
    await until(() => watch.of('finding-ended', 'silent').length === 1, 'it spoke');
    assert.equal(signed().length, lines, 'no other line before an hour is over');
  });

  await t.test(
    'a server that is away for longer than silent_after: told, and nobody is called silent',
    async () => {
      await sendMore(nats, 'gate1', part(one, 70, 75));
      await until(
        async () => (await metric('dovegate_fleet_seq{host="gate1"}'))?.endsWith(' 75') === true,
        'seq 75',
      );
      const silences = watch.of('finding', 'silent').length;
      await nats.kill();
      await until(() => watch.of('stream-away').length === 1, 'away');
      assert.equal(await metric('dovegate_fleet_up'), 'dovegate_fleet_up 0');
      await until(() => status().away !== undefined, 'the status says so');
      const shown = await desk.run('status');
      assert.equal(shown.exit, 1);
      assert.match(shown.text, /^not known: the stream cannot be read since \S+: .+\nuntil then: /);
      await pause(8_000);
      await nats.start();
      await until(() => watch.of('stream-back').length === 1, 'back', 120_000);
      await sendMore(nats, 'gate1', part(one, 75, 80));
      await until(
        async () => (await metric('dovegate_fleet_seq{host="gate1"}'))?.endsWith(' 80') === true,
        'seq 80',
      );
      assert.equal(watch.of('finding', 'silent').length, silences, JSON.stringify(watch.events.slice(-5)));
      await until(() => status().away === undefined, 'the status says so');
    },
  );

  await t.test('with the server away it ends within seconds, too', async () => {
    await nats.kill();
    await until(() => watch.of('stream-away').length === 2, 'away');
    const { code, ms } = await watch.stop();
    assert.equal(code, 0);
    assert.ok(ms < 30_000, `${ms} ms`);
  });
});
