// Goal: records are in memory that survives the daemon before a command is sent, or every command waits for the disk, and serve and
// status say so. Phases: SIGKILL, with the directory or the memory gone meanwhile; `off`; a path that cannot be made.
// That SIGKILL alone takes nothing is kill-nine's. What must not happen: a command without an admission, a memory that is missing and
// nobody is told.
import assert from 'node:assert/strict';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { readWhole } from '../../journal/files/reading.js';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, type Gateway, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';

const memory = 'memory: shm/audit.ring, memory_size: 4MiB';
const audit = (more: string): string => `{ directory: audit, reserve: 4KiB, sign_key: sign.pem, ${more} }`;
const admin = 'admin: { unix: admin.sock }\n';

async function open(t: Parameters<typeof openGateway>[0], more: string): Promise<Gateway> {
  const sign = await runWarm(['audit', 'keygen']);
  return openGateway(t, { audit: audit(more), more: admin, files: { 'sign.pem': sign.stdout.toString() } });
}

/** Reads until the backend has seen so many, then SIGKILL in the middle of them. */
async function killAmongReads({ daemon, backend, client }: Gateway, most: number): Promise<void> {
  const clients = await Promise.all(Array.from({ length: 8 }, () => client()));
  const ends = clients.map(async (each, number) => {
    for (let at = 0; ; at += 1) {
      await each.ask({ user: `u${number}-${at}@example.org`, fields: ['quota get'] });
    }
  });
  const settled = Promise.allSettled(ends);
  await backend.waitFor(({ commands }) => commands.length >= most, 'reads', 60_000);
  await daemon.kill();
  await settled;
}

async function journalOf(daemon: Daemon): Promise<Record<string, unknown>> {
  const told = await runWarm(['status', '--json', '--socket', daemon.path('admin.sock')]);
  assert.equal(told.exit, 0, told.text);
  const { journal } = JSON.parse(told.stdout.toString());
  return journal;
}

test('SIGKILL after the directory was moved away: no record is lost, and the hole is said in red', async (t) => {
  const { daemon, client } = await open(t, memory);
  const one = await client();
  const read = async (user: string): Promise<void> => {
    await one.ask({ user, fields: ['quota get'] });
  };
  await read('a@example.org');
  assert.ok(auditRecords(daemon).some(({ user }) => user === 'a@example.org'));
  renameSync(daemon.path('audit'), daemon.path('gone'));
  await read('b@example.org');
  await daemon.kill();
  // It may have noticed and begun another one.
  if (existsSync(daemon.path('audit'))) renameSync(daemon.path('audit'), daemon.path('begun'));
  const next = await startDaemon(t, { folder: daemon.folder });
  assert.ok(next.logs.some(({ event, type }) => event === 'audit-damaged' && type === 'removed'));
  assert.match(JSON.stringify((await journalOf(next))['missing']), /"seq":\d/);
  const asked = ['gone', 'begun', 'audit'].flatMap((folder) =>
    existsSync(next.path(folder)) ? next.audit(folder) : [],
  );
  const users = asked.flatMap(({ record }) => (record['event'] === 'admission' ? [record['user']] : []));
  assert.deepEqual(new Set(users), new Set(['a@example.org', 'b@example.org']));
  const key = ['--key', next.path('sign.pem')];
  await next.stop();
  const hole = await runWarm(['audit', 'verify', next.path('audit'), ...key]);
  assert.equal(hole.exit, 1, hole.text);
  assert.match(hole.text, /segments at the beginning were missing that retention had left/);
});

test('the memory went with a machine: the start says so, in the log, the journal and to verify', async (t) => {
  const gateway = await open(t, memory);
  const { daemon } = gateway;
  await killAmongReads(gateway, 20);
  rmSync(daemon.path('shm/audit.ring'));
  const next = await startDaemon(t, { folder: daemon.folder });
  assert.ok(next.logs.some(({ event, type }) => event === 'audit-memory' && type === 'left'));
  await next.stop();
  const starts = readWhole(next.path('audit')).filter(({ event }) => event === 'start');
  assert.deepEqual(
    starts.map(({ ring }) => ring),
    [undefined, 'missing'],
  );
  const verified = await runWarm(['audit', 'verify', next.path('audit'), '--key', next.path('sign.pem')]);
  assert.equal(verified.exit, 0, verified.text);
  const seq = String(starts[1]?.['seq']);
  assert.match(verified.text, new RegExp(`warning: \\S+: seq ${seq}: the memory of the run before was gone`));
});

for (const [name, more, level, why] of [
  ['off', 'memory: off', 'info', /audit\.memory is off/],
  [
    'a path that cannot be made',
    'memory: no-such-folder/audit.ring',
    'warn',
    /no-such-folder.* cannot be made/,
  ],
] as const) {
  test(`${name}: every command waits for the disk, and serve and status say so`, async (t) => {
    const { daemon, backend, client } = await open(t, more);
    const said = daemon.logs.find(({ event }) => event === 'audit-memory');
    assert.equal(said?.level, level);
    assert.match(String(said?.text), /^every command waits until its record is on disk: /);
    assert.match(String(said?.text), why);
    const { memory: path, memory_fault: fault } = await journalOf(daemon);
    assert.equal(path, undefined);
    assert.match(String(fault), why);
    const one = await client();
    await one.ask({ user: 'alice@example.org', fields: ['quota get'] });
    // Synced before it was sent: SIGKILL takes nothing of it.
    await daemon.kill();
    const records = readWhole(daemon.path('audit'));
    assert.equal(backend.commands.length, 1);
    assert.ok(records.some(({ event, user }) => event === 'admission' && user === 'alice@example.org'));
  });
}
