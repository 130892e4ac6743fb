// Goal: the built daemon on a disk that fails under it. Phases: a full disk with only the reserve left, then room again; a directory
// that is taken away while nothing happens; a disk that stands still while the daemon starts, and while it stops. What must not
// happen: a command that was sent and is not on disk, a wait without end, a service that needs a hand to return.
// Mounting needs root: elsewhere the two tests that mount are skipped, and say so.
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readIncidents } from '../../../src/evidence/reading/read-incidents.js';
import { foldIncidents } from '../../../src/evidence/story/incidents.js';
import { runDovegate, startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import type { RawClient } from '../../kit/plain/raw-client.js';
import { runTool, withSmallDisk } from '../../kit/plain/small-disk.js';
import { readAudit } from '../../kit/plain/traces.js';
import { until } from '../../kit/plain/until.js';

const rootOnly = 'no file system can be mounted here (needs root)';
const quota = { user: 'alice@example.org', fields: ['quota get'] };
const list = { user: 'alice@example.org', fields: ['mailbox list'] };
const policy = `
    users: ["*@example.org"]
    allow: [quota get, { command: mailbox list, emergency: true }]`;

const create = { user: 'alice@example.org', fields: ['mailbox create', 'New'] };
const changing = `
    users: ["*@example.org"]
    allow: [quota get, mailbox create]`;

async function ask(client: RawClient, command: typeof quota): Promise<{ status: string; log: string }> {
  const { status, logs } = await client.ask(command);
  return { status, log: logs[0]?.text ?? '' };
}

/** Of the journal itself, in sentences. */
async function incidentsIn(directory: string): Promise<readonly string[]> {
  const task = { directory, incidentsSinceMs: 0, before: undefined, after: 0, timeMs: 60_000 };
  const { turns } = await readIncidents(task, performance);
  return foldIncidents(turns)
    .filter(({ kind }) => kind === 'reserve' || kind === 'blind' || kind === 'restarted')
    .map(({ kind, text }) => `${kind}: ${text}`);
}

const noStop =
  'dovegate was started again, and no record says that it was stopped: it crashed, was killed, or its disk took no records any more.';

function fill(place: string): void {
  const filler = openSync(join(place, 'filler'), 'w');
  try {
    for (;;) writeSync(filler, Buffer.alloc(4096));
  } catch {
    // It is full.
  }
  closeSync(filler);
}

test('a full disk: with the reserve only emergencies are served, then everything, by itself', async (t) => {
  const isDone = await withSmallDisk('tmpfs', async (place, owner) => {
    const audit = `{ directory: ${join(place, 'audit')}, memory: shm/audit.ring, memory_size: 4MiB, reserve: 512KiB, segment: 64KiB }`;
    const { client, daemon, backend } = await openGateway(owner, { policy, audit });
    const one = await client();
    assert.equal((await ask(one, quota)).status, '+');
    const reserve = join(place, 'audit', 'reserve');
    await until(() => existsSync(reserve) && statSync(reserve).size === 512 << 10, 'the reserve is there');
    writeFileSync(join(place, 'filler'), Buffer.alloc(1 << 20));
    let served = 1;
    let last = await ask(one, quota);
    for (; last.status === '+'; last = await ask(one, quota)) served += 1;
    assert.equal(last.status, '-TEMPFAIL');
    assert.match(last.log, /only commands for emergencies are served/);
    for (let count = 0; count < 20; count += 1) assert.equal((await ask(one, list)).status, '+');
    assert.equal((await ask(one, quota)).status, '-TEMPFAIL');
    assert.equal(backend.commands.length, served + 20);
    rmSync(join(place, 'filler'));
    await until(async () => (await ask(one, quota)).status === '+', 'service is back');
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
    const records = readAudit(join(place, 'audit')).map(({ record }) => record);
    const sent = records.filter(({ event, sent: isSent }) => event === 'completion' && isSent === true);
    assert.equal(sent.length, backend.commands.length);
    const codes = new Set(records.flatMap(({ error }) => (error === undefined ? [] : [error])));
    assert.deepEqual([...codes], ['audit-reserve']);
    // What it has cost is told when it is over, with who asked.
    const [told] = await incidentsIn(join(place, 'audit'));
    assert.match(
      String(told),
      /^reserve: Only rules with emergency: true were served: its disk is full but for its reserve\. \d+ commands of 1 requester were refused, and nothing of them was sent\. By requester: root@support \d+\.$/,
    );
    t.diagnostic(`${served} commands until the disk was full`);
  });
  if (!isDone) t.skip(rootOnly);
});

test('a full disk: "check --start" says that a restart would end a daemon that still answers', async (t) => {
  const isDone = await withSmallDisk('tmpfs', async (place, owner) => {
    const audit = `{ directory: ${join(place, 'audit')}, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB }`;
    const { client, daemon } = await openGateway(owner, {
      policy,
      audit,
      more: 'admin: { unix: admin.sock }',
    });
    const asked = () => runDovegate(['check', '--start', '--config', daemon.configFile]);
    assert.equal((await asked()).exit, 0);
    const one = await client();
    assert.equal((await ask(one, list)).status, '+');
    fill(place);
    const early = await asked();
    assert.equal(early.exit, 1, early.text);
    assert.match(early.text, /a daemon would not start now: .* are free for the journal in .*df -h/);
    while ((await ask(one, list)).status === '+');
    for (let count = 0; count < 292; count += 1) assert.equal((await ask(one, list)).status, '-TEMPFAIL');
    const told = await asked();
    assert.equal(told.exit, 1, told.text);
    assert.match(told.text, /would not start now: the daemon cannot write its journal: .*df -h/);
    // It still answers, with the reason.
    assert.equal((await ask(await client(), list)).status, '-TEMPFAIL');
    // Its last records stay in memory for the next start, and none is called lost.
    assert.equal((await daemon.stop()).code, 1);
    const of = (from: typeof daemon, event: string) => from.logs.filter((line) => line.event === event);
    const [left] = of(daemon, 'audit-left');
    assert.deepEqual([left?.level, of(daemon, 'audit-lost')], ['warn', []]);
    assert.equal(of(daemon, 'audit-begun').length, 1);
    rmSync(join(place, 'filler'));
    assert.equal((await asked()).exit, 0);
    const next = await startDaemon(owner, { folder: daemon.folder });
    const [recovered] = of(next, 'audit-recovered');
    // The disk took some of them before it was full, without a sync.
    const taken = Number(/: (\d+) records taken from audit\.memory/.exec(String(recovered?.['text']))?.[1]);
    assert.ok(taken > 0 && taken <= Number(left?.['count']), `${taken} of ${String(left?.['count'])}`);
    assert.deepEqual(of(next, 'audit-begun'), []);
    await next.stop();
    const [incident, ...others] = await incidentsIn(join(place, 'audit'));
    assert.ok(others.includes(`restarted: ${noStop} Each command on record has its end.`), others.join('\n'));
    assert.match(
      String(incident),
      /^blind: No record reached the disk: the disk refused a write or a sync\. 29\d commands of 1 requester were refused, and nothing of them was sent\. By requester: root@support 29\d\. dovegate was restarted before that was over\.$/,
    );
  });
  if (!isDone) t.skip(rootOnly);
});

test('a disk that stays full without audit.memory: what is lost is counted in the log, and its restart is not called a crash', async (t) => {
  const isDone = await withSmallDisk('tmpfs', async (place, owner) => {
    const audit = `{ directory: ${join(place, 'audit')}, memory: off, reserve: 4KiB }`;
    const { client, daemon } = await openGateway(owner, { policy, audit });
    const one = await client();
    fill(place);
    while ((await ask(one, list)).status === '+');
    assert.equal((await daemon.stop()).code, 1);
    const [lost] = daemon.logs.filter(({ event }) => event === 'audit-lost');
    assert.ok(Number(lost?.['count']) > 0, JSON.stringify(lost));
    rmSync(join(place, 'filler'));
    await (await startDaemon(owner, { folder: daemon.folder })).stop();
    const told = await incidentsIn(join(place, 'audit'));
    assert.ok(
      told.some((each) => each.startsWith(`restarted: ${noStop}`)),
      told.join('\n'),
    );
  });
  if (!isDone) t.skip(rootOnly);
});

test('a disk that is smaller than the reserve is called that', async (t) => {
  const isDone = await withSmallDisk('tmpfs', async (place, owner) => {
    const audit = `{ directory: ${join(place, 'audit')}, memory: off, reserve: 4MiB }`;
    const { daemon } = await openGateway(owner, { policy, audit });
    const { text } = await daemon.waitForLog(({ event }) => event === 'audit-reserve', 'the reserve');
    assert.match(String(text), /smaller than audit\.reserve.*Lower audit\.reserve/);
  });
  if (!isDone) t.skip(rootOnly);
});

test('a directory that is taken away while nothing happens is noticed and made again', async (t) => {
  const { client, daemon } = await openGateway(t);
  const away = `${daemon.path('audit')}-away`;
  renameSync(daemon.path('audit'), away);
  const startMs = performance.now();
  await daemon.waitForLog(({ event }) => event === 'audit-failed', 'the failed journal');
  const tookMs = performance.now() - startMs;
  // It looks every 5 s.
  assert.ok(tookMs < 20_000, `${tookMs} ms`);
  await daemon.waitForLog(({ event }) => event === 'audit-writable', 'the healed journal');
  assert.equal((await ask(await client(), quota)).status, '+');
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  assert.ok(auditRecords(daemon).some(({ event }) => event === 'admission'));
  t.diagnostic(`noticed after ${Math.round(tookMs)} ms`);
});

test('a disk that does not answer at the start: the daemon says so and ends', async (t) => {
  const isDone = await withSmallDisk('ext4', async (place, owner) => {
    const { daemon } = await openGateway(owner);
    await daemon.stop();
    const text = readFileSync(daemon.configFile, 'utf8');
    const directory = `directory: ${join(place, 'audit')}, deadline: 100ms`;
    daemon.write('stuck.yaml', text.replace('directory: audit', directory));
    assert.ok(runTool('fsfreeze', '-f', place));
    let output = '';
    let isThawed = false;
    const { exit, text: all } = await runDovegate(['serve', '--config', daemon.path('stuck.yaml')], {
      onOutput(piece) {
        output += piece.toString();
        // Its thread sleeps in the kernel, which nothing can end before the disk goes on.
        if (!isThawed && output.includes('"start-failed"')) isThawed = runTool('fsfreeze', '-u', place);
      },
    });
    assert.match(all, /"start-failed".*could not be opened within 3000 ms: its disk does not answer/);
    assert.equal(exit, 78);
  });
  if (!isDone) t.skip(rootOnly);
});

test('a disk that stands still: what must be synced is refused within the deadline, reads go on, and the daemon can end', async (t) => {
  const isDone = await withSmallDisk('ext4', async (place, owner) => {
    const audit = `{ directory: ${join(place, 'audit')}, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, deadline: 300ms }`;
    const { client, daemon, backend } = await openGateway(owner, { policy: changing, audit });
    const one = await client();
    assert.equal((await ask(one, quota)).status, '+');
    assert.ok(runTool('fsfreeze', '-f', place));
    const startMs = performance.now();
    const refused = await ask(one, create);
    assert.equal(refused.status, '-TEMPFAIL');
    assert.match(refused.log, /the audit record could not be written/);
    assert.equal((await ask(one, quota)).status, '+');
    // The disk stays frozen until the test thaws it, so an answer shows that nobody waited for the disk.
    assert.ok(performance.now() - startMs < 20_000);
    daemon.signal('SIGTERM');
    await daemon.waitForLog(({ event }) => event === 'stopped', 'stopped');
    assert.deepEqual(
      backend.commands.map(({ fields }) => fields[0]),
      ['quota get', 'quota get'],
    );
    // Its thread sleeps in the kernel, which nothing can end before the disk goes on.
    assert.ok(runTool('fsfreeze', '-u', place));
    assert.deepEqual(await daemon.exited, { code: 1, signal: null });
  });
  if (!isDone) t.skip(rootOnly);
});
