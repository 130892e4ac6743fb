// The image of the Dockerfile, built without any image registry, and containers of it. Base image, storage and tools come from
// lab/setup; containers run under crun as Docker would run them read-only: its namespaces, no capability, no new privilege.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { endBefore, type Owner } from '../../kit/plain/folder.js';
import { type ProgramResult, runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { type Skipped, skipped } from '../../kit/plain/skipped.js';
import { whyNoMachine } from '../systemd/machine.js';

const imageShape = z.object({
  Docker: z.object({
    config: z.object({
      User: z.string(),
      Env: z.array(z.string()),
      Entrypoint: z.array(z.string()),
      Cmd: z.array(z.string()),
      StopSignal: z.string(),
      Volumes: z.record(z.string(), z.object({})),
      Healthcheck: z.object({ Test: z.array(z.string()) }),
    }),
  }),
});

/** What the image says of itself. */
export type ImageConfig = z.infer<typeof imageShape>['Docker']['config'];

export interface Image {
  readonly config: ImageConfig;
  /** Its files, of a container that nobody has written to. */
  readonly root: string;
}

export interface ContainerOptions {
  readonly name: string;
  /** Folder for the bundle and, below `volumes`, for the image's volumes. */
  readonly folder: string;
  /** Host path -> path inside; read-only. */
  readonly binds: Readonly<Record<string, string>>;
  /** Path inside -> host path that is written to. */
  readonly volumes?: Readonly<Record<string, string>>;
  /** Folders in memory that are the user's own. */
  readonly memory?: readonly string[];
  /** `UID:GID`, and groups beside; without it the image's. */
  readonly user?: string;
  readonly groups?: readonly number[];
  /** Instead of the image's. */
  readonly command?: readonly string[];
}

export interface Container {
  /** A path of a volume of the image, on the host. */
  volume(inside: string): string;
  /** Runs a program inside, as the container's user. */
  exec(...command: readonly string[]): Promise<ProgramResult>;
  signal(signal: 'TERM' | 'KILL'): Promise<void>;
  /** Exit code as the runtime gives it. */
  readonly exited: Promise<number>;
  readonly output: () => string;
}

const root = fileURLToPath(projectRoot);
const labs = process.env['DOVEGATE_LABS'] ?? join(tmpdir(), 'dovegate-labs');
const buildMs = 15 * 60_000;

/** Builds the image; where this machine cannot: why, or with DOVEGATE_NO_SKIP=1 a rejection. It goes with its owner. */
export async function buildImage(owner: Owner): Promise<Image | Skipped> {
  const why = whyNoMachine();
  if (why !== undefined) return skipped(why);
  const [fact, cache] = await Promise.all([setUp(), npm('config', 'get', 'cache')]);
  const storage = ['--root', fact('storage'), '--runroot', fact('run'), '--storage-driver', 'vfs'];
  const buildah = (...args: string[]): Promise<string> => checked('buildah', [...storage, ...args]);
  const own = `dovegate-${randomUUID()}`;
  const tag = `localhost/${own}`;
  owner.after(async () => {
    await runProgram('buildah', [...storage, 'rm', own]);
    await runProgram('buildah', [...storage, 'rmi', '--prune', tag]);
    await runProgram('buildah', [...storage, 'rmi', tag]);
  });
  // Packages and the Node of the image that were fetched before: as a builder keeps them from one build to the next.
  const runtimes = join(root, '.runtime');
  for (const path of [cache, runtimes]) mkdirSync(path, { recursive: true });
  // As the page shows it: in another format the image has no health check.
  const page = readFileSync(join(root, 'docs/container-kubernetes.md'), 'utf8');
  const [, format = ''] = /^buildah build --format (\S+) /m.exec(page) ?? [];
  const isolated = ['--isolation', 'chroot', '--format', format, '--pull-never', '--tag', tag];
  const volumes = ['--volume', `${cache}:/root/.npm`, '--volume', `${runtimes}:/build/.runtime`];
  await buildah('bud', ...isolated, '--build-arg', `BASE=${fact('image')}`, ...volumes, root);
  const config = imageShape.parse(JSON.parse(await buildah('inspect', '--type', 'image', tag))).Docker.config;
  await buildah('from', '--pull-never', '--name', own, tag);
  return { config, root: (await buildah('mount', own)).trim() };
}

let facts: Promise<string> | undefined;

/** Makes what the lab has if it is not there; a look-up of its paths. */
async function setUp(): Promise<(name: string) => string> {
  facts ??= npm('root', '--global').then((modules) =>
    checked('bash', [join(root, 'test/whole/container/lab/setup'), process.execPath, join(modules, 'npm')]),
  );
  const text = await facts;
  return (name) => new RegExp(`^${name}=(.+)$`, 'm').exec(text)?.[1] ?? '';
}

/**
 * The root of the image for the architecture that this machine does not have, as the Dockerfile makes it, in a folder that is not there
 * yet.
 */
export async function makeOtherRoot(
  folder: string,
): Promise<{ readonly root: string; readonly architecture: 'amd64' | 'arm64' }> {
  const fact = await setUp();
  await checked(process.execPath, [join(root, 'scripts/image.mjs'), fact('other'), folder]);
  return { root: folder, architecture: z.enum(['amd64', 'arm64']).parse(fact('other_arch')) };
}

async function npm(...args: string[]): Promise<string> {
  return (await runProgram('npm', args, { cwd: '/' })).stdout.toString().trim();
}

async function checked(file: string, args: readonly string[]): Promise<string> {
  const env = { DOVEGATE_LABS: labs };
  const done = await runProgram(file, args, { env, timeoutMs: buildMs });
  if (done.exit !== 0)
    throw new Error(`${file} ${args.join(' ')}: exit ${done.exit}: ${done.text.slice(-4000)}`);
  return done.stdout.toString();
}

/** Starts one; it ends before its folder goes. */
export function startContainer(image: Image, options: ContainerOptions): Container {
  const { name, folder, binds, volumes = {}, memory = [], groups = [] } = options;
  const { user = image.config.User, command = image.config.Cmd } = options;
  const bundle = join(folder, name);
  const [uid = 0, gid = 0] = user.split(':').map(Number);
  const volume = (inside: string): string => join(folder, 'volumes', inside);
  for (const path of Object.keys(image.config.Volumes)) {
    // A new volume gets the owner of the folder that it is mounted on.
    mkdirSync(volume(path), { recursive: true });
    chownSync(volume(path), uid, gid);
  }
  mkdirSync(bundle, { recursive: true });
  const mount = (source: string, destination: string, isWritable: boolean) => ({
    destination,
    source,
    type: 'bind',
    options: ['bind', isWritable ? 'rw' : 'ro', 'nosuid', 'nodev'],
  });
  const none = { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] };
  const spec = {
    ociVersion: '1.0.0',
    process: {
      terminal: false,
      user: { uid, gid, additionalGids: groups },
      args: [...image.config.Entrypoint, ...command],
      env: image.config.Env,
      cwd: '/',
      capabilities: none,
      noNewPrivileges: true,
    },
    root: { path: image.root, readonly: true },
    hostname: name,
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      ...Object.keys(image.config.Volumes).map((path) => mount(volume(path), path, true)),
      ...memory.map((destination) => ({
        destination,
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'nodev', 'mode=700', `uid=${uid}`, `gid=${gid}`],
      })),
      ...Object.entries(volumes).map(([destination, source]) => mount(source, destination, true)),
      ...Object.entries(binds).map(([source, destination]) => mount(source, destination, false)),
    ],
    linux: { namespaces: ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type })) },
  };
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));

  const state = join(folder, 'crun');
  // crun refuses a machine with both versions of control groups, whether it is to use them or not.
  const alone = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"';
  const crun = ['--mount', 'sh', '-c', alone, 'sh', 'crun', '--root', state, '--cgroup-manager=disabled'];
  const container: ChildProcess = spawn('unshare', [...crun, 'run', '--bundle', bundle, name], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [container.stdout, container.stderr])
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  const exited = new Promise<number>((resolve) => {
    container.once('close', (code) => resolve(code ?? -1));
  });
  const run = (...args: string[]): Promise<ProgramResult> => runProgram('unshare', [...crun, ...args]);
  endBefore(folder, async () => {
    await run('delete', '--force', name);
    await exited;
  });
  return {
    volume,
    exited,
    exec: (...words) => run('exec', '--user', user, name, ...words),
    async signal(signal) {
      const done = await run('kill', name, signal);
      if (done.exit !== 0) throw new Error(done.text);
    },
    output: () => output,
  };
}
