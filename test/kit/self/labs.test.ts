// Goal: a Debian root that was cut off while it was made leaves no process and no mount, and the next one is whole. Phases: made, and used
// again; killed at a mount of its own; one that an older script left with mounts in everybody's namespace. Only debootstrap is a stand-in,
// which mounts as the real one does. What must not happen: a removal that goes into what is mounted below a root.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openFolder } from '../plain/folder.js';
import { runProgram } from '../plain/program.js';
import { projectRoot } from '../plain/root.js';
import { runTool } from '../plain/small-disk.js';
import { until } from '../plain/until.js';

const script = fileURLToPath(new URL('test/whole/dovecot/lab/root', projectRoot));
const asRoot = { skip: process.getuid?.() !== 0 && 'only root makes a Debian root' };

/** Counts its calls in `calls`. While a file `hold` is there, it goes on for as long as somebody writes to `held`. */
const debootstrap = `#!/bin/bash
set -eu
cd "$(dirname "$0")"
target=\${@: -2:1}
echo >> calls
mkdir -p "$target/proc" "$target/usr"
mount -t proc proc "$target/proc"
echo whole > "$target/usr/file"
if [ -e hold ]; then cat held; fi
`;

interface Labs {
  readonly folder: string;
  /** Of the root that is made here. */
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  calls(): number;
}

function openLabs(t: TestContext): Labs {
  const folder = openFolder(t);
  writeFileSync(join(folder, 'debootstrap'), debootstrap);
  chmodSync(join(folder, 'debootstrap'), 0o755);
  const labs = join(folder, 'labs with a blank');
  return {
    folder,
    home: join(labs, 'made'),
    env: { ...process.env, PATH: `${folder}:${process.env['PATH']}`, DOVEGATE_LABS: labs },
    calls: () => readFileSync(join(folder, 'calls'), 'utf8').length,
  };
}

const words = [script, 'made', 'trixie', 'one,two'];

async function mustBeWhole({ home, env }: Labs): Promise<void> {
  const made = await runProgram('bash', words, { env });
  assert.deepEqual([made.text, made.exit], [`${join(home, 'root')}\n`, 0]);
  assert.equal(readFileSync(join(home, 'root/usr/file'), 'utf8'), 'whole\n');
  assert.deepEqual(mountsBelow(home), []);
}

const mountsBelow = (folder: string): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => (line.split(' ')[4] ?? '').replaceAll('\\040', ' '))
    .filter((place) => place.startsWith(folder));

test('a root is made once, and again for other packages', asRoot, async (t) => {
  const labs = openLabs(t);
  await mustBeWhole(labs);
  await mustBeWhole(labs);
  assert.equal(labs.calls(), 1);
  const other = await runProgram('bash', [...words.slice(0, -1), 'three'], { env: labs.env });
  assert.equal(other.exit, 0, other.text);
  assert.equal(labs.calls(), 2);
});

test('one that is killed while it is made leaves nothing, and the next is whole', asRoot, async (t) => {
  const labs = openLabs(t);
  await mustBeWhole(labs);
  // Other packages: it is made beside the one that is there.
  assert.ok(runTool('mkfifo', join(labs.folder, 'held')));
  writeFileSync(join(labs.folder, 'hold'), '');
  const killed = spawn('bash', [...words.slice(0, -1), 'three'], { env: labs.env, stdio: 'ignore' });
  const ended = new Promise((resolve) => killed.once('exit', resolve));
  // A FIFO opens for writing when its reader is there.
  const writer = spawn('sh', ['-c', 'exec 3> "$0"; echo; exec cat >&3', join(labs.folder, 'held')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  writer.stdin.on('error', () => undefined); // it dies of the FIFO
  await new Promise((resolve) => writer.stdout.once('data', resolve));
  assert.ok(existsSync(join(labs.home, 'new/usr/file')));
  killed.kill('SIGKILL');
  await ended;
  const writerEnded = new Promise((resolve) => writer.once('exit', (...end) => resolve(end)));
  // Nobody reads the FIFO: its reader died with the script.
  await until(() => {
    writer.stdin.write('x');
    return writer.signalCode !== null || writer.exitCode !== null;
  }, 'the programs of the script are dead');
  await writerEnded;
  rmSync(join(labs.folder, 'hold'));
  assert.deepEqual(mountsBelow(labs.folder), []);
  assert.equal(
    readFileSync(join(labs.home, 'root/usr/file'), 'utf8'),
    'whole\n',
    'the old one is in its place',
  );
  await mustBeWhole(labs);
  const other = await runProgram('bash', [...words.slice(0, -1), 'three'], { env: labs.env });
  assert.equal(other.exit, 0, other.text);
  assert.ok(!existsSync(join(labs.home, 'new')));
});

test('mounts that were left below a root go first, and what is mounted stays whole', asRoot, async (t) => {
  const labs = openLabs(t);
  const precious = join(labs.folder, 'precious');
  mkdirSync(precious);
  writeFileSync(join(precious, 'file'), 'precious');
  for (const name of ['root', 'new']) {
    const [proc, bound] = [join(labs.home, name, 'proc'), join(labs.home, name, 'etc/bound')];
    for (const place of [proc, bound]) mkdirSync(place, { recursive: true });
    t.after(() => {
      for (const place of [proc, bound]) runTool('umount', '-l', place);
    });
    assert.ok(runTool('mount', '-t', 'proc', 'proc', proc));
    assert.ok(runTool('mount', '--bind', precious, bound));
  }
  await mustBeWhole(labs);
  assert.equal(readFileSync(join(precious, 'file'), 'utf8'), 'precious');
});
