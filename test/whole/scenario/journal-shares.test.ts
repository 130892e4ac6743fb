// Goal: one client with a cheap allowed read in a loop does not stop the gate for the others. Phases: the loop, until the journal is
// nearly full or as long as twice what fits; commands of another client; the same after a restart; then more room, by a reload of
// the whole daemon. What must not happen: a refusal of the small writer, a refusal below 80 %, a journal that refusals fill.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { onlyRoot } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';

const listeners = `
  support: { unix: support.sock, mode: "0666", policy: support }
  panel: { unix: panel.sock, mode: "0666", policy: support }`;
const policy = `
    users: ["*@example.org"]
    allow: [quota get, { command: mailbox list, emergency: true }]`;
const asRoot = onlyRoot('can be several users');
const bytesMax = 512 << 10;
const audit = (size = '512KiB') =>
  `{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 64KiB, segment: 4MiB, max_size: ${size} }`;
/** As many commands as fill the journal several times. */
const loopMax = 8000;
const quota = { user: 'alice@example.org', fields: ['quota get'] };
const list = { user: 'alice@example.org', fields: ['mailbox list'] };

async function ask(client: RawClient, command = quota): Promise<{ status: string; log: string }> {
  const { status, logs } = await client.ask(command);
  return { status, log: logs[0]?.text ?? '' };
}

function bytesIn(directory: string): number {
  const files = readdirSync(directory).filter((name) => name.includes('.jsonl'));
  return files.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

/** No two are alike, so that compressed segments have some size. */
function anyone() {
  return { user: `${randomBytes(90).toString('hex')}@example.org`, fields: ['quota get'] };
}

test('a client in a loop is refused before the journal is full, and the others go on', asRoot, async (t) => {
  const more = 'admin: { unix: admin.sock }';
  const opened = await openGateway(t, { listeners, policy, audit: audit(), more });
  const { daemon, backend, configuration } = opened;
  chmodSync(daemon.folder, 0o711);
  const openSmall = () => openRawClient({ path: daemon.path('panel.sock'), minor: 2, uid: 64_001 });
  const isTold = (of: Daemon) =>
    of.logs.some(({ event, level }) => event === 'audit-filling' && level === 'warn');
  const hog = await openRawClient({ path: daemon.path('support.sock'), minor: 2 });
  let refused = { status: '', log: '' };
  const loop = async (): Promise<boolean> => {
    const { status, log } = await ask(hog, anyone());
    if (status === '-TEMPFAIL') refused = { status, log };
    else assert.equal(status, '+');
    return status === '+';
  };
  // One segment is not compressed, so what is written stays as large.
  for (let at = 0; at < loopMax && !isTold(daemon); at += 1)
    await until(async () => isTold(daemon) || (await loop()), 'room, or the warning');
  t.diagnostic(`${backend.commands.length} commands of the loop were served: ${refused.log}`);
  const small = await openSmall();
  const answers: string[] = [];
  for (let at = 0; at < 30; at += 1) answers.push((await ask(small)).status);
  assert.deepEqual([...new Set(answers)], ['+'], 'the small writer goes on');

  assert.equal(refused.status, '-TEMPFAIL');
  assert.match(refused.log, /audit journal is nearly full.*audit\.max_size/);
  const text = String(daemon.logs.find(({ event }) => event === 'audit-filling')?.['text']);
  assert.match(
    text,
    /fill 8\d % of audit\.max_size; the largest writers are refused first: \S+@support \((?:[89]\d|100) %\)/,
  );

  const again = await openRawClient({ path: daemon.path('support.sock'), minor: 2 });
  // It waits until the records of reads, which are written within 20 ms, are in their files.
  daemon.audit();
  const before = bytesIn(daemon.path('audit'));
  for (let at = 0; at < 300; at += 1) assert.equal((await ask(again)).status, '-TEMPFAIL');
  daemon.audit();
  const grown = bytesIn(daemon.path('audit')) - before;
  // Their count is recorded each second, beside checkpoints; 300 records of their own would be over 100 kB.
  assert.ok(grown < 30_000, `300 refusals took ${grown} bytes`);
  assert.equal((await ask(again, list)).status, '+', 'emergencies are served');

  const admin = { socketPath: daemon.path('admin.sock') };
  const status = JSON.parse((await askHttp(admin, '/status.json')).body);
  const { journal, problems } = status;
  assert.equal(journal.max_bytes, bytesMax);
  assert.ok(journal.young_bytes >= 0.75 * bytesMax && journal.young_bytes < bytesMax, journal.young_bytes);
  assert.match(journal.largest_writers[0].principal, /@support$/);
  const problem = problems.find(({ code }: { code: string }) => code === 'audit-filling');
  assert.match(problem.text, /@support/);
  const { body: metrics } = await askHttp(admin, '/metrics');
  assert.match(metrics, /^dovegate_audit_writer_share\{principal="[^"]+@support"\} (?:0\.[89]|1$)/m);
  assert.match(metrics, new RegExp(`^dovegate_audit_max_bytes ${bytesMax}$`, 'm'));
  again.close();
  small.close();
  hog.close();
  await daemon.stop();

  // A start looks at the segments at once.
  const restart = (size?: string) =>
    startDaemon(t, { folder: daemon.folder, config: configuration({ audit: audit(size) }) });
  const second = await restart();
  await second.waitForLog(
    ({ event, level }) => level !== 'info' && (event === 'audit-filling' || event === 'audit-reserve'),
    'a look at the size',
  );
  const after = await openRawClient({ path: daemon.path('support.sock'), minor: 2 });
  assert.equal((await ask(after)).status, '-TEMPFAIL', 'a restart forgets nothing');
  after.close();
  const calm = await openSmall();
  assert.equal((await ask(calm)).status, '+');
  calm.close();
  await second.stop();

  const limited = auditRecords(daemon).filter(({ error }) => error === 'audit-share');
  assert.ok(
    limited.length > 0 && limited.every(({ outcome, sent }) => outcome === 'limited' && sent === false),
  );
  const counted = auditRecords(daemon).filter(
    ({ event, action }) => event === 'limit' && action === 'refused',
  );
  assert.ok(counted.length > 0, 'the others are a number');

  const third = await restart('8MiB');
  const free = await openRawClient({ path: daemon.path('support.sock'), minor: 2 });
  assert.equal((await ask(free)).status, '+', 'with more room nobody is limited');
  free.close();
  await third.stop();
});
