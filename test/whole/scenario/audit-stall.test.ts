// Goal: a disk that stands still for seconds under load costs what must be synced, and nothing else. Phases: readers and writers at work;
// the disk stands still, longer than five deadlines; it goes on; the daemon ends. What must not happen: a change that is sent, a read that
// waits for the disk, a command at the backend without its admission or with two, a service that needs a hand to return.
// Freezing a file system needs root: elsewhere it is skipped, and says so.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { runDovegate } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { runTool, withSmallDisk } from '../../kit/plain/small-disk.js';
import { readAudit } from '../../kit/plain/traces.js';
import { until } from '../../kit/plain/until.js';

const deadlineMs = 500;
/** DOVEGATE_ROUNDS=3 and more make the 10 s of the full figure. */
const stallMs = Math.min(3_500 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1), 10_000);
const policy = `
    users: ["*@example.org"]
    allow: [quota get, expunge]`;
const read = { user: 'alice@example.org', fields: ['quota get'] };
const change = { user: 'alice@example.org', fields: ['expunge', 'mailbox', 'Trash', 'all'] };

interface Answer {
  readonly atMs: number;
  readonly tookMs: number;
  readonly status: string;
}

test('a disk that stands still under load: changes fail at the deadline, reads go on to half of the memory, nothing is lost', async (t) => {
  const isDone = await withSmallDisk('ext4', async (place, owner) => {
    const memory = 'memory: shm/audit.ring, memory_size: 512KiB';
    const audit = `{ directory: ${join(place, 'audit')}, ${memory}, reserve: 4KiB, deadline: ${deadlineMs}ms }`;
    // The longest line must fit into half of the memory.
    const more = 'limits: { line: 1KiB }';
    const { client, daemon, backend } = await openGateway(owner, { policy, audit, more });
    const load = { isOver: false };
    let refusedReads = 0;
    const work = async (command: typeof read): Promise<Answer[]> => {
      const one = await client();
      const answers: Answer[] = [];
      while (!load.isOver) {
        const atMs = performance.now();
        const { status } = await one.ask(command);
        if (command === read && status === '-TEMPFAIL') refusedReads += 1;
        answers.push({ atMs, tookMs: performance.now() - atMs, status });
        await pause(2);
      }
      return answers;
    };
    const readers = Promise.all([read, read, read].map(work));
    const writers = Promise.all([change, change].map(work));
    await until(() => backend.commands.length > 50, 'a service under load');
    assert.ok(runTool('fsfreeze', '-f', place));
    const frozenMs = performance.now();
    await pause(stallMs);
    await until(() => refusedReads > 0, 'half of the memory is used', 60_000);
    const thawedMs = performance.now();
    assert.ok(runTool('fsfreeze', '-u', place));
    const asked = async (command: typeof read): Promise<string> => {
      const one = await client();
      return (await one.ask(command)).status;
    };
    // What the scripted backend does not know it answers with a plain minus.
    await until(async () => (await asked(change)) === '-', 'changes go on', 30_000);
    assert.equal(await asked(read), '+');
    load.isOver = true;
    const whileFrozen = ({ atMs }: Answer): boolean => atMs > frozenMs + 100 && atMs < thawedMs - 100;
    const reads = (await readers).flat().filter(whileFrozen);
    const changes = (await writers).flat().filter(whileFrozen);
    const served = reads.filter(({ status }) => status === '+').length;
    assert.ok(served > 50, `${served} reads while the disk stood still`);
    // All of them would; many take long where the machine is busy with other things.
    const late = reads.filter(({ tookMs }) => tookMs >= deadlineMs).length;
    assert.ok(
      late < reads.length / 2,
      `${late} of ${reads.length} reads took as long as if they waited for the disk`,
    );
    assert.ok(changes.length > 0 && changes.every(({ status }) => status === '-TEMPFAIL'));
    assert.ok(changes.some(({ atMs, tookMs }) => atMs + tookMs < thawedMs));
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
    const records = readAudit(join(place, 'audit')).map(({ record }) => record);
    const ids = records.flatMap(({ event, id }) => (event === 'admission' ? [id] : []));
    assert.equal(new Set(ids).size, ids.length, 'no admission twice');
    const sent = records.filter(({ event, sent: isSent }) => event === 'completion' && isSent === true);
    assert.equal(sent.length, backend.commands.length, 'each command at the backend has its two records');
    assert.ok(sent.every(({ id }) => ids.includes(id)));
    const key = daemon.path('state/audit-sign.key');
    const verified = await runDovegate(['audit', 'verify', join(place, 'audit'), '--key', key]);
    assert.equal(verified.exit, 0, verified.text);
    t.diagnostic(
      `${served} reads served, ${reads.length - served} refused, ${changes.length} changes refused in ${stallMs} ms`,
    );
  });
  if (!isDone) t.skip('no file system can be frozen here (needs root)');
});
