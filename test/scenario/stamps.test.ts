// Goal: an authority alone is reason enough for dovegate ship, which has the journal stamped, and the gate does nothing for it. Phases: a
// real authority (openssl ts); the stamp is stored, told, and verified by the program and by openssl; then an authority that fails, in log,
// metrics, status and doctor; then none, and the process ends. What must not happen: a word of the authority in any of them.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { askHttp } from '../kit/ask-http.js';
import { startShip } from '../kit/daemon.js';
import { openGateway } from '../kit/gateway.js';
import { makeStampAuthority } from '../kit/stamp-authority.js';
import { until } from '../kit/until.js';
import { runWarm } from '../kit/warm-program.js';

void test('an authority stamps the journal, fails, and is taken out', { timeout: 600_000 }, async (t) => {
  const authority = makeStampAuthority(t);
  let isEvil = false;
  const url = await authority.listen(t, (request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () =>
      isEvil
        ? response.writeHead(503).end('<b>evil</b>')
        : response.end(authority.answer(Buffer.concat(pieces))),
    );
  });
  const auditWith = (stamps: string): string =>
    `{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB${stamps} }`;
  const { daemon } = await openGateway(t, {
    audit: auditWith(`, stamps: { url: "${url}", authority: tsa.pem }`),
    more: 'admin: { unix: admin.sock }\n',
    files: { 'tsa.pem': authority.root },
  });
  const asked = async (path: string): Promise<string> =>
    (await askHttp({ socketPath: daemon.path('admin.sock') }, path)).body;

  const ship = await startShip(t, daemon);
  const taken = await ship.waitForLog(({ event }) => event === 'stamps-taken', 'the stamp');
  const day = /\d{4}-\d\d-\d\d/.exec(String(taken['text']))?.[0] ?? '';
  assert.deepEqual(readdirSync(daemon.path('ship-state/stamps')).toSorted(), [`${day}.jsonl`, `${day}.tsr`]);
  await until(async () => /^dovegate_stamps_up 1$/m.test(await asked('/metrics')), 'the metric');
  const last = /^dovegate_stamps_last_timestamp_seconds (\S+)$/m.exec(await asked('/metrics'))?.[1];
  assert.equal(Number(last) * 1000, Date.parse(day));
  const told = JSON.parse(await asked('/status.json')).ship;
  assert.deepEqual(told.stamps, { authority: new URL(url).host, last: day, failed: 0 });
  const doctor = await runWarm(['doctor', '--config', 'dovegate.yaml'], { cwd: daemon.folder });
  assert.match(
    doctor.stdout.toString(),
    new RegExp(`stamps 127\\.0\\.0\\.1:\\d+ +the last one is of ${day}`),
  );

  const verified = await runWarm(
    ['audit', 'verify', '--config', 'dovegate.yaml', '--stamps', 'ship-state/stamps'],
    { cwd: daemon.folder },
  );
  assert.match(
    verified.stdout.toString(),
    new RegExp(`stamped of ${day}: what is here up to seq \\d+ was there at `),
  );
  assert.equal(verified.exit, 0, verified.stderr);
  const at = daemon.path(`ship-state/stamps/${day}`);
  const files = ['-in', `${at}.tsr`, '-data', `${at}.jsonl`, '-CAfile', daemon.path('tsa.pem')];
  const openssl = spawnSync('openssl', ['ts', '-verify', ...files], { encoding: 'utf8' });
  assert.equal(openssl.status, 0, openssl.stderr);
  const line = readFileSync(`${at}.jsonl`, 'utf8');
  const journal = readdirSync(daemon.path('audit')).filter((file) => file.endsWith('.jsonl'));
  assert.ok(journal.some((file) => readFileSync(daemon.path(`audit/${file}`), 'utf8').includes(line)));

  // Somebody removes it: it is taken again, and the authority fails.
  isEvil = true;
  await ship.stop();
  rmSync(daemon.path('ship-state/stamps'), { recursive: true });
  const second = await startShip(t, daemon);
  await second.waitForLog(({ event, type }) => event === 'stamps-away' && type === 'status', 'the failure');
  await until(async () => /^dovegate_stamps_up 0$/m.test(await asked('/metrics')), 'up is 0');
  assert.match(await asked('/metrics'), /^dovegate_stamps_last_timestamp_seconds 0$/m);
  const status = await asked('/status.json');
  const problem = JSON.parse(status).problems.find(({ code }: { code: string }) => code === 'stamps-away');
  assert.match(
    problem.text,
    /^No time stamp is taken from 127\.0\.0\.1:\d+ since \S+, and there is none yet: it answers with an HTTP status that is no success\.$/,
  );
  const sick = await runWarm(['doctor', '--config', 'dovegate.yaml'], { cwd: daemon.folder });
  assert.match(sick.stdout.toString(), /stamps 127\.0\.0\.1:\d+.*none is taken for \S+.*HTTP status/);
  assert.doesNotMatch(second.output() + status + sick.stdout.toString(), /evil/);

  // The last reason is taken out: the process ends in order.
  const config = readFileSync(daemon.configFile, 'utf8').replace(/, stamps: \{[^}]*\}/, '');
  await daemon.reload(config);
  assert.equal((await second.exited).code, 0);
  const { stdout } = await runWarm(['doctor', '--config', 'dovegate.yaml'], { cwd: daemon.folder });
  assert.doesNotMatch(stdout.toString(), /read only at a start/);
});
