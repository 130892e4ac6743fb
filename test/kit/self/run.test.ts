// Goal: a run of the suite leaves nothing, whatever ends it. Phases: killed by SIGKILL, by each
// signal that a terminal or a service manager sends, by Ctrl-C of a terminal's group, and by a pipe that nobody reads, each
// while a test has a daemon in a session of its own, a mounted disk that is frozen, and a process that writes to it; a run that fails;
// one that would never end; a user without rights; one of `npm run lab -- NAME`. What must not happen: a process, a mount or a loop device
// that outlives the run.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openFolder } from '../plain/folder.js';
import { runProgram } from '../plain/program.js';
import { projectRoot } from '../plain/root.js';
import { isRoot, onlyRoot } from '../plain/skipped.js';
import { until } from '../plain/until.js';

const scriptOf = (name: string): string => new URL(`scripts/${name}`, projectRoot).href;
const asRoot = onlyRoot('makes namespaces and mounts');

/** It never ends. Without `set -e` a step that fails would leave nothing to find, and the test would pass. */
const holding = `import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
test('holds', { timeout: 600_000 }, async () => {
  const sh = (script) => spawn('sh', ['-ec', script], { stdio: 'inherit', detached: true });
  const made = spawnSync('sh', ['-ec', \`
    truncate -s 8M image; mkfs.ext4 -q image; mkdir disk; mount -o loop image disk; fsfreeze -f disk\`], { stdio: 'inherit' });
  if (made.status !== 0) throw new Error('no disk');
  writeFileSync('memory', process.env.DOVEGATE_MEMORY);
  sh('echo $$ > writer; exec tee disk/file < writer');
  sh('echo daemon > daemon; exec sleep 100000');
  await new Promise(() => setInterval(() => undefined, 100_000));
});
`;

/** Empty if the process has ended. */
function environmentOf(id: string): string {
  try {
    return readFileSync(`/proc/${id}/environ`, 'utf8');
  } catch {
    return '';
  }
}

interface Run {
  readonly child: ChildProcess;
  /** Resolves to the exit code and the signal. */
  readonly ended: Promise<unknown[]>;
}

interface Place {
  readonly folder: string;
  /** Starts a run of the pool with these files of the folder. */
  start(...files: string[]): Run;
  /** Starts a script of the project. */
  startScript(name: string, ...args: string[]): Run;
  /** The processes of all runs of this place. */
  processes(): string[];
}

function openPlace(t: TestContext, environment: Readonly<Record<string, string>> = {}): Place {
  const folder = openFolder(t);
  chmodSync(folder, 0o777);
  const [key, value] = ['DOVEGATE_MARK', randomUUID()];
  const mark = `${key}=${value}`;
  const start = (...args: string[]): Run => {
    const child = spawn(process.execPath, args, {
      // Below Node's own runner a file does not report by itself.
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, [key]: value, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
      // A group of its own, as in a terminal.
      detached: true,
    });
    t.after(() => child.kill('SIGKILL'));
    return { child, ended: once(child, 'exit') };
  };
  writeFileSync(
    join(folder, 'run.mjs'),
    `import { ownRun } from ${JSON.stringify(scriptOf('setup.mjs'))};
await ownRun();
process.chdir(${JSON.stringify(folder)});
const { runPool } = await import(${JSON.stringify(scriptOf('pool.mjs'))});
const entries = process.argv.slice(2).map((name) => ({ stage: 'own', name, path: ${JSON.stringify(`${folder}/`)} + name + '.mjs' }));
const { counts } = await runPool(entries);
process.exit(counts.fail);
`,
  );
  return {
    folder,
    start: (...files) => start(join(folder, 'run.mjs'), ...files),
    startScript: (name, ...args) => start(fileURLToPath(scriptOf(name)), ...args),
    processes: () =>
      readdirSync('/proc').filter((name) => /^\d+$/.test(name) && environmentOf(name).includes(mark)),
  };
}

/** The same place, held by a run that goes on. */
async function hold(place: Place, ...others: string[]): Promise<Run> {
  writeFileSync(
    join(place.folder, 'holding.mjs'),
    holding.replace('import { test', `process.chdir(${JSON.stringify(place.folder)});\nimport { test`),
  );
  const run = place.start('holding', ...others);
  await until(
    () => ['writer', 'daemon', 'disk'].every((name) => existsSync(join(place.folder, name))),
    'the test has a disk, a writer and a daemon',
  );
  return run;
}

async function mustBeGone(place: Place): Promise<void> {
  await until(
    () => place.processes().length === 0,
    () => `the end of ${place.processes().join(' ')}`,
  );
  // Nobody else mounts, or has losetup in the PATH.
  if (!isRoot) return;
  const { folder } = place;
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(folder));
  const devices = async () => (await runProgram('losetup', ['-j', join(folder, 'image')])).text;
  await until(async () => (await devices()) === '', 'the loop device is gone');
}

test('killed by SIGKILL', asRoot, async (t) => {
  const place = openPlace(t);
  const run = await hold(place);
  assert.ok(place.processes().length > 5);
  run.child.kill('SIGKILL');
  await mustBeGone(place);
});

for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGHUP', 129],
  ['SIGINT', 130],
] as const)
  test(`ended by ${signal}: nothing is left when it has ended`, asRoot, async (t) => {
    const place = openPlace(t);
    const run = await hold(place);
    // A terminal sends Ctrl-C to all that have not left its group.
    process.kill(signal === 'SIGINT' ? -(run.child.pid ?? 0) : (run.child.pid ?? 0), signal);
    assert.deepEqual(await run.ended, [code, null]);
    assert.deepEqual(place.processes(), []);
    assert.ok(!existsSync(readFileSync(join(place.folder, 'memory'), 'utf8')), 'nor its files in memory');
    await mustBeGone(place);
  });

test('nobody reads what it says', asRoot, async (t) => {
  const place = openPlace(t);
  writeFileSync(
    join(place.folder, 'says.mjs'),
    `import { existsSync } from 'node:fs';
const go = ${JSON.stringify(join(place.folder, 'go'))};
await new Promise((resolve) => setInterval(() => existsSync(go) && resolve(), 20));
process.exit(0);
`,
  );
  const run = await hold(place, 'says');
  run.child.stdout?.destroy();
  writeFileSync(join(place.folder, 'go'), '');
  await run.ended;
  await mustBeGone(place);
});

test('a run that ends by itself', async (t) => {
  const place = openPlace(t);
  writeFileSync(
    join(place.folder, 'fails.mjs'),
    `import { spawn } from 'node:child_process';
import { test } from 'node:test';
test('leaves a process', () => {
  spawn('sleep', ['100000'], { stdio: 'ignore' }).unref();
  throw new Error(Array.from({ length: 100 }, (_, at) => 'line ' + at).join('\\n'));
});
test('does not', (t) => t.diagnostic('5 of 5'));
`,
  );
  const run = place.start('fails');
  let text = '';
  run.child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  assert.deepEqual(await run.ended, [1, null]);
  await mustBeGone(place);
  assert.match(
    text,
    /^-- own\/fails: [0-9.]+ s, 1 pass, 1 fail; all that it said: \/.*own-fails\.txt\n✖ leaves a process\n/,
  );
  assert.match(
    text,
    /\n {2}Error: line 0\n {2}line 1\n(?: {2}.*\n)+ {2}\.\.\. \d+ more lines\nℹ 5 of 5\n== own: 1 pass, 1 fail in 1 file, \d+ s one after another\n\n== failed\nown\/fails: leaves a process\n(?: {2}.*\n){11}$/,
  );
  assert.equal(text.match(/line 1$/gm)?.length, 2, 'once, and once in the closing list');
  assert.equal(text.slice(text.indexOf('✖'), text.indexOf('ℹ')).split('\n').length, 51);
});

test('a file whose process does not end is named, with what it holds', async (t) => {
  const place = openPlace(t, { DOVEGATE_FILE_LIMIT_S: '2' });
  writeFileSync(
    join(place.folder, 'stays.mjs'),
    `import { test } from 'node:test';
test('ends', () => undefined);
test('leaves a timer', () => void setInterval(() => undefined, 100_000));
`,
  );
  const run = place.start('stays');
  let text = '';
  run.child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  assert.deepEqual(await run.ended, [1, null]);
  assert.match(text, /✖ leaves a timer\n {2}begun last in a process .* after 2 s; it holds: .*Timeout/);
});

test('a user without rights, killed by SIGKILL', asRoot, async (t) => {
  const place = openPlace(t);
  writeFileSync(
    join(place.folder, 'plain.mjs'),
    `import { ownRun } from ${JSON.stringify(scriptOf('setup.mjs'))};
import { spawn } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
await ownRun();
spawn('sleep', ['100000']);
writeFileSync(${JSON.stringify(join(place.folder, 'new'))}, process.env.DOVEGATE_MEMORY ?? '');
renameSync(${JSON.stringify(join(place.folder, 'new'))}, ${JSON.stringify(join(place.folder, 'ready'))});
`,
  );
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath];
  const own = spawn('setpriv', [...nobody, join(place.folder, 'plain.mjs')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  t.after(() => own.kill('SIGKILL'));
  await until(() => existsSync(join(place.folder, 'ready')), 'it runs');
  // No run of another user removes it.
  const memory = readFileSync(join(place.folder, 'ready'), 'utf8');
  t.after(() => rmSync(memory, { recursive: true, force: true }));
  const groups = (): string[] =>
    readdirSync('/proc').filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(place.folder);
      } catch {
        return false;
      }
    });
  assert.ok(groups().length >= 3);
  own.kill('SIGKILL');
  await until(() => groups().length === 0, 'all of it has ended');
});

test('a long run, ended by SIGTERM', asRoot, async (t) => {
  const place = openPlace(t);
  const run = place.startScript('lab.mjs', 'mutate', 'policy', '--built', '--sample', 'all');
  const memory = (): string | undefined =>
    place
      .processes()
      .map(
        (id) =>
          /^DOVEGATE_MEMORY=(.*)\/mutants-\d+\/tmp1$/m.exec(environmentOf(id).replaceAll('\0', '\n'))?.[1],
      )
      .find((found) => found !== undefined);
  await until(() => memory() !== undefined, 'a worker runs');
  const files = memory() ?? '';
  run.child.kill('SIGTERM');
  assert.deepEqual(await run.ended, [143, null]);
  assert.deepEqual([place.processes(), existsSync(files)], [[], false]);
});
