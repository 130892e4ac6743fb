// Goal: what a verifier has in its mirror, on its disk, it signs; a gate with `verifiers` keeps the rest. Phases of the first: a gate, a
// real server, a verifier that reads, replaces its key, and goes on when the gate has the new one. Of the second: a mirror that is full is
// a finding when half of `keep` is over, and none when it has room; a hole that nobody has accepted is covered by no line. What must not
// happen: a line beyond what the mirror has, a gate that takes the word of a key that nobody gave it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { toHostSubject } from '../../../src/evidence/fleet/block.js';
import { type ReadMirrored, readMirrored } from '../../../src/evidence/fleet/mirrored.js';
import { openNats } from '../../../src/evidence/nats/link.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { writeJournal } from '../../evidence/cli/shown.js';
import { type Nats, openNatsServer } from '../../kit/gate/nats.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { until } from '../../kit/plain/until.js';
import { fill, findingsOf, openDesk, readLines, send, skipOf, trusted } from './fleet-lab.js';
import { openFleetGate } from './gate.js';

const stream = 'DOVEGATE_AUDIT';

/** The last line to a host. */
async function lineTo(nats: Nats, host: string): Promise<ReadMirrored | undefined> {
  const link = await openNats(nats.settingsOf(host));
  const message = await link.lastOf(stream, toHostSubject(host, 'mirrored'));
  await link.close();
  return message && readMirrored(message.bytes);
}

void test('a gate keeps what no verifier has mirrored, and a new key counts when it has it', {
  timeout: 600_000,
}, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1', 'gate2'] });
  if (skipOf(t, nats)) return;
  const hosts = { gate1: { silent_after: '1h' } };
  const admin = openDesk(nats, hosts, 'admin');
  const made = await admin.run('init');
  assert.equal(made.exit, 0, made.text);
  const desk = openDesk(nats, hosts);
  const { text } = await desk.run('verify');
  const verifierFile = join(desk.state, 'checkpoint.pub');
  const gate = await openFleetGate(t, nats, {
    host: 'gate1',
    settle: '1s',
    verifier: readFileSync(verifierFile, 'utf8'),
  });
  const safe = async (): Promise<number> => {
    const { body } = await askHttp({ socketPath: gate.daemon.path('admin.sock') }, '/status.json');
    return Number(JSON.parse(body).shipping[0].safe_seq);
  };
  const refused = () => gate.ship.logs.filter(({ event }) => event === 'mirrored-refused');

  gate.work();
  await gate.untilAnswered(50);
  await gate.rest();
  await gate.catchUp();
  // The stream has all of it, settled: without `verifiers` that would be enough.
  assert.equal(await safe(), 0, text);
  const first = await desk.run('verify');
  assert.equal(first.exit, 0, first.text);
  const line = await lineTo(nats, 'gate1');
  assert.ok(line !== undefined && line.seq > 50, JSON.stringify(line));
  await until(
    async () => (await safe()) >= line.seq,
    () => `it is safe\n${gate.ship.output()}`,
  );
  assert.deepEqual(refused(), []);
  // Nobody else may read it, or write one.
  const other = await openNats(nats.settingsOf('gate2'));
  await assert.rejects(other.lastOf(stream, toHostSubject('gate1', 'mirrored')), /no-rights|ermission/);
  await assert.rejects(other.publish(toHostSubject('gate1', 'mirrored'), [], Buffer.from('{}'), 0));
  await other.close();

  const rotated = await desk.run('rotate-key');
  assert.equal(rotated.exit, 0, rotated.text);
  gate.work();
  await gate.untilAnswered(50);
  await gate.rest();
  await gate.catchUp();
  const before = await safe();
  assert.equal((await desk.run('verify')).exit, 0);
  const later = await lineTo(nats, 'gate1');
  assert.ok(later !== undefined && later.key !== line.key && later.seq > line.seq);
  await until(() => refused().length > 0, 'the new key is not the one that the gate has');
  assert.match(String(refused()[0]?.['text']), /copy its checkpoint\.pub again/);
  assert.ok((await safe()) <= before);
  cpSync(verifierFile, gate.daemon.path('verifier.pub'));
  await until(
    async () => (await safe()) >= later.seq,
    () => `the new key counts\n${gate.ship.output()}`,
  );

  // The old one is in the file, too, and signs nothing any more.
  assert.deepEqual(readFileSync(verifierFile, 'utf8').trimEnd().split('\n').length, 2);
  await gate.stop();
});

void test('a full mirror, and a hole: no line goes beyond, and both are said', {
  timeout: 600_000,
}, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1', 'gate2'] });
  if (skipOf(t, nats)) return;
  // bounds.fleetMirroredMs
  assert.equal(bounds.fleetMirroredMs, 600_000);
  const [one, two] = [readLines(await writeJournal(t, 30)), readLines(await writeJournal(t, 30))];
  await fill(nats, { gate1: one, gate2: { ...two, lines: two.lines.slice(0, 20) } });
  const desk = openDesk(nats, { gate1: trusted, gate2: trusted });
  assert.deepEqual(await findingsOf(desk), []);
  const said = await lineTo(nats, 'gate1');
  assert.equal(said?.seq, one.lines.length);

  // A mirror takes 4 MiB at least: large lines that do not compress, of a journal of its own.
  const large = readLines(
    await writeJournal(t, 800, (record) => ({
      ...record,
      args: [randomBytes(1_500).toString('base64'), randomBytes(1_500).toString('base64')],
    })),
  );
  const link = await openNats(nats.settingsOf('gate1'));
  await send(link, 'gate1', large);
  await link.close();
  const cut = await openNats(nats.settingsOf('gate2'));
  await send(cut, 'gate2', { ...two, lines: two.lines.slice(23) });
  await cut.close();

  // The streams were made to keep more, which is not weak.
  const small = { mirror_share: '4MiB', keep: '2s' };
  desk.write({ gate1: trusted, gate2: trusted }, small);
  const full = await findingsOf(desk);
  const startsWith = (begin: string, all = full) => all.filter((each) => each.startsWith(begin)).length;
  assert.equal(startsWith('gate1 mirror-full: '), 1, full.join('\n'));
  assert.equal(startsWith('gate2 missing: '), 1, full.join('\n'));
  const isOld = async (): Promise<boolean> =>
    startsWith('gate1 not-mirrored: its records since ', await findingsOf(desk)) === 1;
  await until(isOld, 'half of keep is over', 60_000);
  // Of the new journal nothing is said, which the mirror does not have whole; of the other nothing behind its hole.
  assert.deepEqual(await lineTo(nats, 'gate1'), said);
  assert.equal((await lineTo(nats, 'gate2'))?.seq, 20);

  desk.write({ gate1: trusted, gate2: trusted }, { keep: '2s' });
  const accepted = await findingsOf(desk, '--accept');
  assert.equal(startsWith('gate1 not-mirrored', accepted), 0, accepted.join('\n'));
  assert.equal(startsWith('gate1 mirror-full', accepted), 0, accepted.join('\n'));
  assert.equal((await lineTo(nats, 'gate1'))?.seq, large.lines.length);
  assert.equal((await lineTo(nats, 'gate2'))?.seq, two.lines.length);
});
