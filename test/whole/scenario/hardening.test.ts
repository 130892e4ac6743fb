// Goal: what is secret stays in the memory of the daemon, what goes wrong in it ends it with a whole journal, and a stall is told.
// Phases: what others may see of the process; an error that nobody catches; a process that is stopped for a moment.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, backendPassword, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { isRoot } from '../../kit/plain/skipped.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };

/** Loaded into the daemon before it starts: throws outside of everything that could catch it, when it gets the signal. */
const trap = `data:text/javascript,process.on('SIGUSR2',()=>setTimeout(()=>{throw new Error('made to fail')}))`;

test('a daemon that is looked at, stalled, and brought to fail', async (t) => {
  const { client, daemon: first } = await openGateway(t);

  await t.test('no secret in arguments or environment, no core dump, nobody but root looks in', async () => {
    const one = await client();
    assert.equal((await one.ask(quota)).status, '+');
    const told = (what: string): string => readFileSync(`/proc/${first.pid}/${what}`, 'latin1');
    assert.ok(!told('cmdline').includes(backendPassword));
    if (isRoot) assert.ok(!told('environ').includes(backendPassword));
    else assert.throws(() => told('environ'), { code: 'EACCES' });
    assert.match(told('limits'), /^Max core file size +0 +0 /m);
    // Files that it makes are not for others.
    assert.match(told('status'), /^Umask:\s+0027$/m);
    // Of a process that may not be dumped, the kernel gives these files to root.
    assert.equal(statSync(`/proc/${first.pid}/environ`).uid, 0);
  });

  await t.test('a stall of the event loop is told with its length', async () => {
    first.signal('SIGSTOP');
    await pause(1_200);
    first.signal('SIGCONT');
    // On a busy machine there may have been others.
    const isLong = (length: unknown): boolean => Number(length) >= 800;
    await first.waitForLog(
      ({ event, duration_ms: length }) => event === 'loop-stalled' && isLong(length),
      'told',
    );
  });

  await t.test(
    'an error that nobody caught: exit 70, the journal is whole, and the next start goes on with it',
    async () => {
      const config = readFileSync(first.configFile, 'utf8');
      await first.stop();
      const daemon = await startDaemon(t, {
        folder: first.folder,
        config,
        env: { NODE_OPTIONS: `--import "${trap}"` },
      });
      daemon.signal('SIGUSR2');
      assert.deepEqual(await daemon.exited, { code: 70, signal: null });
      const told = await daemon.waitForLog(({ event }) => event === 'internal-error', 'told');
      assert.match(String(told['text']), /made to fail/);
      const verified = await runWarm(['audit', 'verify', daemon.path('audit'), '--unsigned'], {
        cwd: daemon.folder,
      });
      assert.equal(verified.exit, 0, verified.text);
      const again = await startDaemon(t, { folder: first.folder });
      await again.stop();
      const events = auditRecords(again).map(({ event }) => event);
      assert.equal(events.filter((event) => event === 'start').length, 3);
      assert.equal(events.filter((event) => event === 'stop').length, 3);
    },
  );
});
