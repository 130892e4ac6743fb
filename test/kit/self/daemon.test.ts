// The daemon starter against small stand-in programs: nothing keeps running, and a secret is found in every form.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Daemon, startDaemon } from '../gate/daemon.js';
import { type Owner, openFolder } from '../plain/folder.js';
import { isRunning, runProgram } from '../plain/program.js';

const greeting = `console.log(JSON.stringify({ level: 'info', event: 'started', argv: process.argv.slice(2) }));`;
const good = `console.error('on stderr');
  process.on('SIGHUP', () => console.log(JSON.stringify({ event: 'reloaded' })));
  process.on('SIGTERM', () => process.exit(3));
  setInterval(() => undefined, 1000);
  ${greeting}`;

async function start(owner: Owner, code: string, files: Record<string, string> = {}): Promise<Daemon> {
  const folder = openFolder(owner);
  const program = join(folder, 'stand-in.mjs');
  return startDaemon(owner, {
    config: 'version: 1\n',
    folder,
    program,
    files: { ...files, 'stand-in.mjs': code },
  });
}

void test('ends with the process that started it, also when that is told to end', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const stand = join(openFolder(t), 'stand-in.mjs');
    writeFileSync(stand, good);
    const starter = join(openFolder(t), 'starter.mjs');
    const kit = new URL('../gate/daemon.js', import.meta.url).href;
    writeFileSync(
      starter,
      `import { startDaemon } from ${JSON.stringify(kit)};
       const daemon = await startDaemon({ after() {} }, { config: '', program: ${JSON.stringify(stand)}, folder: ${JSON.stringify(openFolder(t))} });
       console.log(daemon.pid);
       process.kill(process.pid, ${JSON.stringify(signal)});`,
    );
    const result = await runProgram(process.execPath, [starter]);
    assert.equal(result.exit, signal === 'SIGTERM' ? 143 : 130, result.stderr);
    const pid = Number(result.stdout);
    assert.ok(pid > 0);
    // The kernel may take a moment to bury what was killed.
    for (let round = 0; isRunning(pid) && round < 1000; round += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(isRunning(pid), false);
  }
});

void test('finds a secret in every form, but not in the files that were given', async (t) => {
  const secret = 'hunter/2 "ü"';
  const daemon = await start(
    t,
    `console.log('x' + ${JSON.stringify(JSON.stringify(secret))}); ${greeting} setInterval(() => {}, 1000);`,
    { password: secret },
  );
  for (const offset of [0, 1, 2]) {
    const text = `${'.'.repeat(offset)}${secret} and more`;
    writeFileSync(daemon.path(`base64-${offset}`), Buffer.from(text).toString('base64'));
  }
  writeFileSync(daemon.path('hex'), Buffer.from(secret).toString('hex'));
  writeFileSync(daemon.path('squeezed.gz'), gzipSync(`... ${secret}`));
  writeFileSync(daemon.path('clean'), 'nothing here');
  await daemon.stop();
  const found = daemon.grepSecrets([secret, 'absent']).toSorted();
  const places = ['base64-0', 'base64-1', 'base64-2', 'hex', 'output', 'squeezed.gz'];
  assert.deepEqual(
    found,
    places.map((place) => `${place}: ${secret}`),
  );
});
