// The verifier has its newest signed line stamped once a day. Its lines, written anew with its own key, are found by the stamp from before,
// and so is one that was moved; plain openssl verifies a stored one, and the stamped line is one to verify from.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCheckpoint, signCheckpoint } from '../../src/domain/records/fleet/checkpoint.js';
import { writeJournal } from '../cli/audit/shown.js';
import { freePorts } from '../kit/free-ports.js';
import { openNatsServer } from '../kit/nats.js';
import { makeStampAuthority, paperStamp } from '../kit/stamp-authority.js';
import { until } from '../kit/until.js';
import { fill, openDesk, readLines, skipOf, trusted } from './fleet-lab.js';
import { startWatch } from './watching.js';

void test('the lines of a verifier are stamped, and found written anew', { timeout: 600_000 }, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1'] });
  if (skipOf(t, nats)) return;
  await fill(nats, { gate1: readLines(await writeJournal(t)) });
  const authority = makeStampAuthority(t);
  const [port = 0] = await freePorts(1);
  const desk = openDesk(nats, {}, 'verifier');
  const hosts = { gate1: { ...trusted, silent_after: '1h' } };
  const stamps = { url: await authority.listen(t), authority: authority.rootFile };
  desk.write(hosts, { metrics: `127.0.0.1:${port}`, stamps });
  assert.equal((await desk.run('verify')).exit, 0);
  assert.notEqual(
    (await desk.run('verify', '--stamps', join(desk.state, 'stamps'))).exit,
    0,
    'there is none yet',
  );

  const watch = startWatch(nats, desk);
  await until(
    () => watch.of('stamps-taken').length === 1,
    () => `the stamp: ${watch.errors()}`,
  );
  const day = String(watch.of('stamps-taken')[0]?.['day']);
  const metric = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  await until(
    async () =>
      (await metric()).includes(`dovegate_fleet_stamps_last_timestamp_seconds ${Date.parse(day) / 1000}`),
    'the metric',
  );
  assert.equal((await watch.stop()).code, 0);
  const folder = join(desk.state, 'stamps');
  assert.deepEqual(readdirSync(folder).toSorted(), [`${day}.jsonl`, `${day}.tsr`]);
  const good = await desk.run('verify', '--stamps', folder);
  assert.equal(good.exit, 0, good.text);
  assert.match(good.text, /^each stamp is of a line that is here, and of its time$/m);
  const line = join(folder, `${day}.jsonl`);
  const files = ['-in', join(folder, `${day}.tsr`), '-data', line, '-CAfile', authority.rootFile];
  assert.equal(spawnSync('openssl', ['ts', '-verify', ...files]).status, 0);
  assert.equal((await desk.run('verify', '--checkpoint', line)).exit, 0);

  // The whole file is written anew with the key.
  const linesFile = join(desk.state, 'checkpoints.jsonl');
  const before = readFileSync(linesFile, 'utf8');
  const old = before
    .trimEnd()
    .split('\n')
    .map((each) => readCheckpoint(each));
  const key = readFileSync(join(desk.state, 'checkpoint.key'), 'utf8');
  let last: ReturnType<typeof readCheckpoint>;
  let text = '';
  for (const each of old) {
    assert.ok(each !== undefined);
    const heads = each.heads.map((head) => ({ ...head, hash: '0'.repeat(64) }));
    const { line: made } = signCheckpoint({ ...each, heads }, last, key, Date.parse(each.time));
    last = readCheckpoint(made);
    text += `${made}\n`;
  }
  writeFileSync(linesFile, text);
  const { stamp_faults: faults, passed } = JSON.parse(
    (await desk.run('verify', '--json', '--stamps', folder)).stdout.toString(),
  );
  assert.equal(passed, false);
  assert.equal(faults.length, 1);
  assert.match(faults[0], /\.tsr: line \d+ of checkpoints\.jsonl is not the one that was stamped/);
  writeFileSync(linesFile, '');
  const cut = JSON.parse((await desk.run('verify', '--json', '--stamps', folder)).stdout.toString());
  assert.match(cut.stamp_faults.join(), /is not the one that was stamped/);

  // The stamp of another line.
  writeFileSync(linesFile, before);
  const other = Buffer.from('else\n');
  writeFileSync(join(folder, `${day}.tsr`), paperStamp(authority, { timeMs: Date.now(), stamped: other }));
  const moved = JSON.parse((await desk.run('verify', '--json', '--stamps', folder)).stdout.toString());
  assert.match(moved.stamp_faults.join(), /it is the stamp of other bytes than those beside it/);
});

void test('another authority counts after a reload', { timeout: 600_000 }, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1'] });
  if (skipOf(t, nats)) return;
  await fill(nats, { gate1: readLines(await writeJournal(t)) });
  const authority = makeStampAuthority(t);
  let asked = 0;
  const away = await authority.listen(t, (_, response) => {
    asked += 1;
    response.writeHead(503).end();
  });
  const desk = openDesk(nats, {}, 'verifier');
  const hosts = { gate1: { ...trusted, silent_after: '1h' } };
  desk.write(hosts);
  assert.equal((await desk.run('verify')).exit, 0);
  const watch = startWatch(nats, desk);
  const reload = async (url?: string): Promise<void> => {
    const before = watch.of('reloaded').length;
    desk.write(hosts, url === undefined ? {} : { stamps: { url, authority: authority.rootFile } });
    watch.child.kill('SIGHUP');
    await until(
      () => watch.of('reloaded').length > before,
      () => `it is reloaded ${JSON.stringify(watch.events)}`,
    );
  };
  await until(() => watch.of('started').length === 1, 'it runs');
  await reload(away);
  await until(() => watch.of('stamps-away').length === 1, 'the first one gives none');
  // The same again is no other one.
  const before = asked;
  await reload(away);
  assert.equal(asked, before);
  await reload(await authority.listen(t));
  await until(() => watch.of('stamps-taken').length === 1, 'the second one does');
  await reload();
  assert.deepEqual(watch.of('reload-refused'), []);
  assert.equal((await watch.stop()).code, 0);
});
