// Goal: files in memory do not outlive a run, and never stop the next one. Phases: a run that succeeds, one that fails, one that is
// killed while another one runs, one that leaves a mounted file system, one whose directory belongs to another user.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../plain/root.js';
import { runTool } from '../plain/small-disk.js';

const setup = new URL('scripts/setup.mjs', projectRoot).href;
const isRoot = process.geteuid?.() === 0;
const hasMemory = process.platform === 'linux' && existsSync('/dev/shm');
/** Prints its directory, with a file in it, then does `end`. */
const argsOf = (end: string): readonly string[] => [
  '--input-type=module',
  '-e',
  `import { ownMemory } from ${JSON.stringify(setup)};
  import { writeFileSync } from 'node:fs';
  ownMemory();
  writeFileSync(process.env.DOVEGATE_MEMORY + '/file', 'x');
  console.log(process.env.DOVEGATE_MEMORY);
  ${end}`,
];

function placeAfter(end: string): string {
  const { stdout, stderr } = spawnSync(process.execPath, argsOf(end), { encoding: 'utf8' });
  assert.match(stdout, /^\/dev\/shm\/dovegate-run-\S+\n$/, stderr);
  return stdout.trim();
}

test('a run removes its own directory in memory, and those of ended runs', {
  skip: !hasMemory,
}, async (t) => {
  assert.ok(!existsSync(placeAfter('process.exit(0)')), 'a success leaves nothing');
  const running = spawn(process.execPath, argsOf('setInterval(() => {}, 1e6);'), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(running, 'exit');
  t.after(() => running.kill('SIGKILL'));
  const [line] = await once(running.stdout, 'data');
  const place = String(line).trim();
  assert.equal(statSync(place).mode & 0o777, 0o711, 'daemons of other users can pass');
  const failed = placeAfter('process.exit(1)');
  assert.ok(existsSync(failed), 'evidence of a failure stays');
  assert.ok(existsSync(place), 'another run that is alive keeps its files');
  if (isRoot) {
    const apart = ['--pid', '--fork', '--mount-proc', process.execPath, ...argsOf('process.exit(0)')];
    assert.equal(spawnSync('unshare', apart).status, 0);
    assert.ok(existsSync(place), 'also from a run that does not see its process');
  }
  running.kill('SIGKILL');
  await ended;
  assert.ok(existsSync(place));
  placeAfter('process.exit(0)');
  assert.deepEqual([existsSync(failed), existsSync(place)], [false, false], 'the next run removes both');
});

test('what a killed test has mounted goes with its run', { skip: !hasMemory || !isRoot }, (t) => {
  const left = mkdtempSync('/dev/shm/dovegate-run-');
  const mounted = [join(left, 'disk'), join(left, 'disk', 'inner')];
  t.after(() => {
    for (const place of mounted.toReversed()) runTool('umount', '-l', place);
    rmSync(left, { recursive: true, force: true });
  });
  for (const place of mounted) {
    mkdirSync(place);
    assert.ok(runTool('mount', '-t', 'tmpfs', 'tmpfs', place));
  }
  placeAfter('process.exit(0)');
  assert.ok(!existsSync(left));
});

test('a directory that cannot be removed is said, and the run goes on', {
  skip: !hasMemory || !isRoot,
}, (t) => {
  const left = mkdtempSync('/dev/shm/dovegate-run-');
  t.after(() => {
    runTool('umount', left);
    rmSync(left, { recursive: true, force: true });
  });
  // Nobody removes the place of a file system itself while it is mounted.
  assert.ok(runTool('mount', '-t', 'tmpfs', 'tmpfs', left));
  const { status, stderr } = spawnSync(process.execPath, argsOf('process.exit(0)'), {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  assert.equal(status, 0, stderr);
  assert.match(
    stderr,
    new RegExp(`^${left}, of a run that has ended, cannot be removed: rm: .*: Device or resource busy`, 'm'),
  );
});

test('directories of other users are left alone', { skip: !hasMemory || !isRoot }, (t) => {
  const foreign = mkdtempSync('/dev/shm/dovegate-run-');
  t.after(() => rmSync(foreign, { recursive: true, force: true }));
  chownSync(foreign, 65534, 65534);
  placeAfter('process.exit(0)');
  assert.ok(existsSync(foreign));
});
