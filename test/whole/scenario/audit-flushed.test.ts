// Goal: who looks into the journal right after a command sees it. Phases: the disk of the journal stands still; a read is served, its
// records wait in memory; `audit` is started and asks the daemon; the disk goes on. What must not happen: an answer without the command.
// Freezing a file system needs root: elsewhere it is skipped, and says so.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { runDovegate } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { runTool, withSmallDisk } from '../../kit/plain/small-disk.js';
import { readAudit } from '../../kit/plain/traces.js';

test('search, show, report, export and tail wait until the records of the last moment are on disk', async (t) => {
  const isDone = await withSmallDisk('ext4', async (place, owner) => {
    const directory = join(place, 'audit');
    const memory = 'memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB';
    const audit = `{ directory: ${directory}, ${memory}, deadline: 30s, checkpoint_interval: 1h }`;
    const { client, daemon, configuration } = await openGateway(owner, {
      audit,
      more: 'admin: { unix: admin.sock }',
    });
    // The same journal, and the daemon's admin socket by a way that shows when it is asked.
    let onAsked = (): void => undefined;
    const relay = createServer((near) => {
      onAsked();
      const far = connect(daemon.path('admin.sock'));
      near.pipe(far).pipe(near);
      near.on('error', () => far.destroy());
      far.on('error', () => near.destroy());
    });
    await new Promise<void>((resolve) => {
      relay.listen(daemon.path('relay.sock'), resolve);
    });
    owner.after(() => void relay.close());
    const config = daemon.path('reader.yaml');
    writeFileSync(config, configuration({ more: 'admin: { unix: relay.sock }' }));

    const one = await client();
    const found: Record<string, boolean> = {};
    for (const [name, more] of [
      ['search', ['--json']],
      ['show', ['--json']],
      ['report', ['--mailbox', 'alice@example.org', '--json']],
      ['export', ['--format', 'jsonl']],
      ['tail', ['--json', '--lines', '1000']],
    ] as const) {
      const lastSeq = Number(readAudit(directory).at(-1)?.record['seq']);
      assert.ok(runTool('fsfreeze', '-f', place));
      assert.equal((await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).status, '+');
      const asked = new Promise<void>((resolve) => {
        onAsked = resolve;
      });
      const wanted = name === 'show' ? [String(lastSeq + 1)] : [];
      const reading = runDovegate(['audit', name, ...wanted, '--config', config, ...more]);
      // One that asks nobody ends by itself.
      await Promise.race([asked, reading]);
      assert.ok(runTool('fsfreeze', '-u', place));
      const { stdout, stderr } = await reading;
      const ids = readAudit(directory).flatMap(({ record }) =>
        record['event'] === 'completion' && Number(record['seq']) > lastSeq ? [String(record['id'])] : [],
      );
      found[name] = ids.length === 1 && ids.every((id) => stdout.includes(id)) && !stderr.includes('warning');
      if (!found[name]) t.diagnostic(`${name}: ${stderr}`);
      // The last ones of this turn are on disk before the next freeze.
      await runDovegate(['audit', 'search', '--config', config]);
    }
    assert.deepEqual(found, { search: true, show: true, report: true, export: true, tail: true });
  });
  if (!isDone) t.skip('no file system can be frozen here (needs root)');
});
