// Installs the locked packages when they are missing or older than the lockfile, and builds.
// Plain JavaScript without imports of ours: it must run in a fresh clone, before anything is installed.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a program in the project's root; ends this process with its exit code when it fails. */
export function run(program, args, options = {}) {
  const done = spawnSync(program, args, { cwd: root, stdio: 'inherit', ...options });
  if (done.error) {
    console.error(`${program}: ${done.error.message}`);
    process.exit(1);
  }
  if (done.status !== 0) {
    console.error(`${program} ${args.join(' ')}: ended with ${done.status ?? done.signal}`);
    process.exit(done.status || 1);
  }
}

/** The oldest Node that package.json permits. */
export const oldestNode = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node.slice(
  '>='.length,
);

/** So long a file of tests may take: more than twice what the longest needs beside other work. */
export const fileLimitS = Number(process.env.DOVEGATE_FILE_LIMIT_S ?? 15 * 60);

const installedLockfile = join(root, 'node_modules', '.installed-lockfile');
const lockfileText = () => readFileSync(join(root, 'package-lock.json'), 'utf8');

/** The installed tree is the one that the lockfile names. */
export const isInstalled = () =>
  existsSync(installedLockfile) && readFileSync(installedLockfile, 'utf8') === lockfileText();

/** `npm ci`, where it is needed. */
export function install() {
  if (process.versions.node.localeCompare(oldestNode, 'en', { numeric: true }) < 0) {
    console.error(`dovegate needs Node ${oldestNode} or newer; this is ${process.versions.node}`);
    process.exit(1);
  }
  if (isInstalled()) return;
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(installedLockfile, lockfileText());
}

const packages = (words) => ['bash', [join(root, 'scripts', 'packages.sh'), ...words]];

/** The system's packages that tests of these stages need and that are missing, as words. */
export function missingPackages(stages) {
  if (process.platform !== 'linux') return [];
  const { stdout } = spawnSync(...packages(['--missing', ...stages]), { encoding: 'utf8' });
  return (stdout ?? '').split(/\s+/).filter((word) => word !== '');
}

/**
 * The system's packages that tests of these stages need, in one step. What cannot be installed is printed: its tests are skipped,
 * or fail with DOVEGATE_NO_SKIP=1.
 */
export function installPackages(stages) {
  if (process.platform !== 'linux') return;
  const done = spawnSync(...packages(new Set(stages)), { stdio: 'inherit' });
  if (done.error) console.error(`bash: ${done.error.message}`);
}

const sharedMemory = '/dev/shm';
const memoryName = 'dovegate-run-';

/**
 * Removes a directory, and takes away first what a killed test has mounted below it. What cannot be removed is said, and stays, with all
 * that is still mounted there.
 */
function removeTree(path) {
  const places = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) =>
      line.split(' ')[4]?.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8))),
    )
    .filter((place) => place?.startsWith(`${path}/`));
  for (const place of places.toReversed()) {
    spawnSync('fsfreeze', ['-u', place], { stdio: 'ignore' });
    spawnSync('umount', ['-l', place], { stdio: 'inherit' });
  }
  const removed = spawnSync('rm', ['-rf', '--one-file-system', path], { encoding: 'utf8' });
  if (removed.status !== 0)
    console.error(`${path}, of a run that has ended, cannot be removed: ${removed.stderr.trim()}`);
}

/**
 * A directory in memory that is locked as long as this process lives. A lock is seen in every namespace; the id of a process is not. It is
 * locked before it has its name, so that no other run takes it for one of an ended run.
 */
function makeMemory() {
  const made = mkdtempSync(join(sharedMemory, 'dovegate-new-'));
  // Daemons of other users have their files below it.
  chmodSync(made, 0o711);
  // The lock belongs to our descriptor, which stays open.
  spawnSync('flock', ['--nonblock', '3'], { stdio: ['ignore', 'ignore', 'ignore', openSync(made, 'r')] });
  const own = made.replace('dovegate-new-', memoryName);
  renameSync(made, own);
  return own;
}

/** Removes the directories of this user's runs that have ended without removing theirs. */
function clearMemory() {
  for (const name of readdirSync(sharedMemory)) {
    const path = join(sharedMemory, name);
    if (!name.startsWith(memoryName)) continue;
    if (lstatSync(path, { throwIfNoEntry: false })?.uid !== process.geteuid()) continue;
    if (spawnSync('flock', ['--nonblock', path, 'true']).status === 0) removeTree(path);
  }
}

/**
 * Creates a directory in memory for this run, and sets DOVEGATE_MEMORY to it (`memoryPlace` in test/kit/plain/folder.ts). Files that a
 * killed test leaves in memory would otherwise stay until the next boot. After a failure the directory is kept until the next run starts.
 *
 * Temporary files go there too, unless TMPDIR says where: thousands of small files that are made, synced and removed keep a disk busy. The
 * roots of other releases, which stay, are left on the disk, and what a test wants there (`diskPlace`).
 */
export function ownMemory() {
  if (process.platform !== 'linux' || !existsSync(sharedMemory)) return;
  clearMemory();
  const own = makeMemory();
  process.env.DOVEGATE_MEMORY = own;
  process.env.DOVEGATE_DISK ??= process.env.TMPDIR ?? '/var/tmp';
  if (process.env.TMPDIR === undefined) {
    process.env.DOVEGATE_LABS ??= join(tmpdir(), 'dovegate-labs');
    // A short name: the path of a socket has 107 bytes.
    process.env.TMPDIR = join(own, 't');
    mkdirSync(process.env.TMPDIR);
    chmodSync(process.env.TMPDIR, 0o1777);
  }
  process.on('exit', (code) => {
    if (code === 0) removeTree(own);
  });
}

/**
 * Some tests start the built program as another user, who cannot reach a checkout below root's home. Such a checkout is mounted at a
 * second path, DOVEGATE_CHECKOUT, for as long as this run lasts.
 */
function openCheckout() {
  if (process.geteuid?.() !== 0 || process.env.DOVEGATE_MEMORY === undefined) return;
  let isOpen = true;
  for (let at = root; at !== dirname(at); at = dirname(at)) isOpen &&= (statSync(at).mode & 0o001) !== 0;
  if (isOpen) return;
  const place = join(process.env.DOVEGATE_MEMORY, 'checkout');
  mkdirSync(place);
  if (spawnSync('mount', ['--bind', root, place], { stdio: 'inherit' }).status === 0)
    process.env.DOVEGATE_CHECKOUT = place;
  else
    console.error(
      `only root may enter ${root}, so tests that run as another user will fail; move it, for example to /srv`,
    );
}

/** Of the process that does the work: it need not make namespaces again. */
const insideName = 'DOVEGATE_INSIDE';

/**
 * Runs this script again, with `ownMemory`, so that all that it starts and mounts ends with it and with us, however either ends: below
 * scripts/guard.sh, as root in namespaces for processes and mounts. Returns in the process that is to do the work; the other one ends with
 * its exit code.
 */
export async function ownRun() {
  if (process.env[insideName] !== undefined) {
    delete process.env[insideName];
    openCheckout();
    return;
  }
  ownMemory();
  const apart = ['unshare', '--mount', '--mount-proc', '--pid', '--fork', '--kill-child'];
  const canPart = spawnSync(apart[0], [...apart.slice(1), 'true'], { stdio: 'ignore' }).status === 0;
  const script = [
    'bash',
    join(root, 'scripts', 'guard.sh'),
    process.execPath,
    ...process.execArgv,
    ...process.argv.slice(1),
  ];
  const [program, ...args] = canPart ? [...apart, ...script] : script;
  const guard = spawn(program, args, {
    env: { ...process.env, [insideName]: '1' },
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    // Without namespaces the guard ends its process group.
    detached: !canPart,
  });
  let signaled;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => {
      signaled = signal;
      guard.stdio[3].destroy();
    });
  // The guard ends before it reads our end of the pipe.
  guard.stdio[3].on('error', () => undefined);
  const [code] = await once(guard, 'exit');
  if (signaled === undefined) process.exit(code ?? 1);
  // An interrupted run has no evidence to keep.
  if (process.env.DOVEGATE_MEMORY !== undefined) removeTree(process.env.DOVEGATE_MEMORY);
  // A terminal that hung up reads nothing.
  process.stderr.on('error', () => undefined);
  console.error(`cut off by ${signaled}: all that it started has ended`);
  process.exit(128 + constants.signals[signaled]);
}

/** Builds the program to dist/, and everything (with tests and demo) to build/. */
export function build() {
  run(process.execPath, ['scripts/build.mjs']);
  run(process.execPath, ['scripts/build-test.mjs']);
}
