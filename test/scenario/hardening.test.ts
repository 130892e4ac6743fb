// Goal: what is secret stays in the memory of the daemon, what goes wrong in it ends it with a whole journal, and a stall is told.
// Phases: what others may see of the process; an error that nobody catches; a process that is stopped for a moment.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { startDaemon } from '../kit/daemon.js';
import { auditRecords, backendPassword, openGateway } from '../kit/gateway.js';
import { runWarm } from '../kit/warm-program.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };

/** Loaded into the daemon before it starts: throws outside of everything that could catch it, when it gets the signal. */
const trap = `data:text/javascript,process.on('SIGUSR2',()=>setTimeout(()=>{throw new Error('made to fail')}))`;

test('no secret in arguments or environment, no core dump, nobody but root looks in, others get no file', async (t) => {
  const { client, daemon } = await openGateway(t);
  const one = await client();
  one.sendCommand(quota);
  assert.equal((await one.readReply()).status, '+');
  for (const what of ['cmdline', 'environ']) {
    assert.ok(!readFileSync(`/proc/${daemon.pid}/${what}`, 'latin1').includes(backendPassword), what);
  }
  const limits = readFileSync(`/proc/${daemon.pid}/limits`, 'utf8');
  assert.match(limits, /^Max core file size +0 +0 /m);
  const status = readFileSync(`/proc/${daemon.pid}/status`, 'utf8');
  assert.match(status, /^Umask:\s+0027$/m);
  // Of a process that may not be dumped, the kernel gives these files to root.
  assert.equal(statSync(`/proc/${daemon.pid}/environ`).uid, 0);
});

test('an error that nobody caught: exit 70, the journal is whole, and the next start goes on with it', async (t) => {
  const { daemon: first } = await openGateway(t);
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
  const again = await startDaemon(t, { folder: first.folder, config });
  await again.stop();
  const events = auditRecords(again).map(({ event }) => event);
  assert.equal(events.filter((event) => event === 'start').length, 3);
  assert.equal(events.filter((event) => event === 'stop').length, 3);
});

test('a stall of the event loop is told with its length', async (t) => {
  const { daemon } = await openGateway(t);
  daemon.signal('SIGSTOP');
  await new Promise((resolve) => {
    setTimeout(resolve, 1_200);
  });
  daemon.signal('SIGCONT');
  const told = await daemon.waitForLog(({ event }) => event === 'loop-stalled', 'told');
  assert.ok(Number(told['duration_ms']) >= 800, String(told['duration_ms']));
});
