// Goal: files in memory do not outlive a run. Phases: a run that succeeds, one that fails, one that is killed while another one runs.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { test } from 'node:test';

const setup = new URL('../../../scripts/setup.mjs', import.meta.url).href;
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
  assert.match(stdout, /^\/dev\/shm\/dovegate-of-\d+-\S+\n$/, stderr);
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
  running.kill('SIGKILL');
  await ended;
  assert.ok(existsSync(place));
  placeAfter('process.exit(0)');
  assert.deepEqual([existsSync(failed), existsSync(place)], [false, false], 'the next run removes both');
});

const isRoot = process.geteuid?.() === 0;
test('directories of other users are left alone', { skip: !hasMemory || !isRoot }, (t) => {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  const foreign = mkdtempSync(`/dev/shm/dovegate-of-${pid}-`);
  t.after(() => rmSync(foreign, { recursive: true, force: true }));
  chownSync(foreign, 65534, 65534);
  placeAfter('process.exit(0)');
  assert.ok(existsSync(foreign));
});
