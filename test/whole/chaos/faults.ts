// What goes wrong in a run: one fault after the other, in an order that a seed decides, each written down with its end and the moment at
// which the gate served again (EVIDENCE.md, `faults.jsonl`).
import { readdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pick, type Random, randomInteger } from '../../kit/plain/chunkings.js';
import { runTool } from '../../kit/plain/small-disk.js';
import type { Evidence } from './evidence.js';
import { crowd, leaveUnread, slow } from './fault-clients.js';
import { countFiles } from './processes.js';
import type { Relay } from './relay.js';
import type { World } from './world.js';

interface Act {
  readonly target: string;
  readonly detail?: string;
  /** Lasts from its start to the resolution of this. */
  readonly run: () => Promise<void>;
}

type Maker = (world: World, random: Random, evidence: Evidence) => Act;

/** What a hostile or broken backend might say. */
const forgeries: readonly Buffer[] = [
  Buffer.from('forged row\t\n+\n'),
  Buffer.from('\n-\n'),
  Buffer.from('half a cell'),
  Buffer.from('cell\t'),
  Buffer.from('cell\t\n'),
  Buffer.from('cell\t\n+'),
  Buffer.from('\nmaybe\n'),
  Buffer.from('\n-REFERRAL x@127.0.0.1:1\n'),
  Buffer.from('a\t\n+\nb\t\n+\n'),
  Buffer.alloc(300_000, 'x'),
];

/** Of a backend that ends a connection before anybody is logged in. */
const greetings: readonly string[] = [
  '',
  '-\n',
  'VERSION\tdoveadm-client\t1\t2\n',
  'VERSION\tdoveadm-client\t1\t9\n+\n',
  'HTTP/1.1 400 Bad Request\r\n\r\n',
  'x'.repeat(100_000),
];

type Fault = readonly [weight: number, kind: string, make: Maker];

const actOf = (target: string, detail: string, run: () => Promise<void>): Act => ({
  target,
  ...(detail !== '' && { detail }),
  run,
});

const atRelay = (
  weight: number,
  kind: string,
  detail: string,
  run: (relay: Relay, random: Random) => Promise<void>,
): Fault => [
  weight,
  kind,
  (world, random) => {
    const relay = pick(random, world.relays);
    return actOf(relay.name, detail, () => run(relay, random));
  },
];

const atGate = (
  weight: number,
  kind: string,
  detail: string,
  run: (...args: Parameters<Maker>) => Promise<void>,
): Fault => [weight, kind, (...args) => actOf('gate', detail, () => run(...args))];

/** One of the servers that have this name and a number. */
const atServer =
  (name: string, first: number, last: number) =>
  (
    weight: number,
    kind: string,
    detail: string,
    run: (world: World, at: number, random: Random) => Promise<void>,
  ): Fault => [
    weight,
    kind,
    (world, random) => {
      const number = randomInteger(random, first, last);
      return actOf(`${name}${number}`, detail, () => run(world, number - first, random));
    },
  ];
const atBackend = atServer('mail', 1, 2);

const makers: readonly Fault[] = [
  atGate(6, 'kill', '', async (world, random) => {
    await world.gate.kill();
    await pause(random() * 1_000);
    await world.gate.start();
    world.settlePolicy();
  }),
  [
    2,
    'stop',
    (world, random) => {
      const keeper = pick(random, [world.gate, world.gate, world.page, world.ship, world.watch]);
      return actOf(keeper.name, '', () => stopFor((name) => keeper.signal(name), 500 + random() * 5_000));
    },
  ],
  ...(['page', 'ship', 'watch'] as const).map(
    (target): Fault => [
      1,
      target === 'page' ? 'page-kill' : 'kill',
      (world) =>
        actOf(target, '', async () => {
          await world[target].kill();
          await world[target].start();
        }),
    ],
  ),
  [
    3,
    'store-away',
    (world, random) =>
      actOf('store', '', async () => {
        renameSync(world.store, `${world.store}-away`);
        await pause(random() * 4_000);
        renameSync(`${world.store}-away`, world.store);
      }),
  ],
  atBackend(2, 'backend-stop', '', async (world, at, random) => {
    await world.labs[at]?.stop();
    world.relays[at]?.cut();
    await pause(random() * 2_000);
    await world.labs[at]?.start();
  }),
  atBackend(2, 'kill', 'its doveadm processes', (world, at) => {
    signalAll(doveadmProcesses(world.labs[at]?.folder ?? ''), 'SIGKILL');
    return pause(100);
  }),
  atGate(2, 'disk-full', '', async (world, random) => {
    const filler = join(world.disk, 'filler');
    const { bavail, bsize } = statfsSync(world.disk);
    runTool('fallocate', '-l', String(bavail * bsize), filler);
    runTool('dd', 'if=/dev/zero', `of=${join(world.disk, 'filler2')}`, 'bs=4k');
    await pause(1_000 + random() * 4_000);
    rmSync(filler, { force: true });
    rmSync(join(world.disk, 'filler2'), { force: true });
  }),
  atGate(3, 'disk-stall', '', async (world, random) => {
    runTool('fsfreeze', '-f', world.disk);
    await pause(300 + random() * 5_000);
    mustRun('fsfreeze', '-u', world.disk);
  }),
  atGate(2, 'disk-error', 'writes that end in the middle, or cannot begin', async (world, random) => {
    const pid = String(world.gate.pid);
    for (const bytes of [undefined, undefined, randomInteger(random, 1, 4_000_000)]) {
      const failures = world.gate.told('audit-failed');
      // The write that reaches a limit is cut there, and the next one fails.
      const limit = bytes ?? newestSegmentBytes(world.journal) + randomInteger(random, 1, 60_000);
      runTool('prlimit', '--pid', pid, `--fsize=${limit}:unlimited`);
      for (let wait = 0; wait < 50 && world.gate.told('audit-failed') === failures; wait += 1)
        await pause(100);
      mustRun('prlimit', '--pid', pid, '--fsize=unlimited:unlimited');
    }
  }),
  atGate(1, 'certificate', '', (world) => world.changeCertificate()),
  atGate(5, 'reload', '', (world) => world.reload()),
  atGate(2, 'broken-reload', '', (world) => world.reloadBroken()),
  atGate(1, 'kill', 'within a reload', async (world, random) => {
    const done = world.reload();
    await pause(random() * 400);
    await world.gate.kill();
    await world.gate.start();
    await done;
    world.settlePolicy();
  }),
  atRelay(4, 'cut', '', async (relay) => {
    relay.cut();
    await pause(50);
  }),
  atRelay(3, 'cut', 'a command line is swallowed', async (relay, random) => {
    relay.set({ swallows: randomInteger(random, 1, 4) });
    await pause(2_000);
    relay.set({ swallows: 0 });
  }),
  atRelay(2, 'cut', 'new connections are refused', async (relay, random) => {
    relay.set({ isRefused: true, greeting: pick(random, greetings) });
    relay.cut();
    await pause(300 + random() * 4_000);
    relay.set({ isRefused: false });
  }),
  atRelay(4, 'tear', '', async (relay, random) => {
    relay.set({
      tears: randomInteger(random, 1, 6),
      tearBytes: pick(random, [0, 1, 4, 5, 6, 7, 20, 100, 1_000, 8_000, -1, -1, -2, -3]),
    });
    await pause(2_000);
    relay.set({ tears: 0 });
  }),
  atRelay(3, 'shred', '', async (relay, random) => {
    relay.set({ shredBytes: randomInteger(random, 1, 7) });
    await pause(1_500);
    relay.set({ shredBytes: 0 });
  }),
  atRelay(3, 'delay', '', async (relay, random) => {
    relay.set({ delayMs: randomInteger(random, 20, 1_500) });
    await pause(1_000 + random() * 4_000);
    relay.set({ delayMs: 0 });
  }),
  atRelay(2, 'half-open', '', async (relay, random) => {
    relay.set({ isHeld: true });
    await pause(1_000 + random() * 6_000);
    relay.set({ isHeld: false });
  }),
  atRelay(4, 'hostile-server', '', async (relay, random) => {
    relay.set({ forges: randomInteger(random, 1, 4), forged: pick(random, forgeries) });
    await pause(2_000);
    relay.set({ forges: 0 });
  }),
  [
    3,
    'clock',
    (world, random) => {
      const now = Number(readFileSync(world.clock, 'utf8'));
      const others = [3, -3, 60, -60, 3_600, -7_200, 86_400, -86_400, 0].filter((each) => each !== now);
      const seconds = pick(random, others);
      return actOf('gate', `${seconds} s from the right time`, () => {
        writeFileSync(world.clock, `${seconds < 0 ? '' : '+'}${seconds}\n`);
        return pause(2_500);
      });
    },
  ],
  atGate(2, 'descriptors', '', async (world, random) => {
    const pid = String(world.gate.pid);
    const limit = countFiles(`/proc/${pid}/fd`) + randomInteger(random, 0, 5);
    const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
    const usual = /^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? '1024';
    runTool('prlimit', '--pid', pid, `--nofile=${limit}:`);
    await pause(1_000 + random() * 4_000);
    mustRun('prlimit', '--pid', pid, `--nofile=${usual}:`);
  }),
  atGate(1, 'memory', 'no more address space', async (world, random) => {
    const pid = String(world.gate.pid);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const bytes = Number(/^VmSize:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
    runTool('prlimit', '--pid', pid, `--as=${bytes + randomInteger(random, 0, 32) * 2 ** 20}:unlimited`);
    await pause(1_000 + random() * 3_000);
    runTool('prlimit', '--pid', pid, '--as=unlimited:unlimited');
    // Node ends when it gets no memory, and a service manager starts it again.
    if (world.gate.pid !== 0) return;
    await world.gate.start();
    world.settlePolicy();
  }),
  atBackend(2, 'stop', 'its doveadm processes', (world, at, random) => {
    const pids = doveadmProcesses(world.labs[at]?.folder ?? '');
    return stopFor((name) => signalAll(pids, name), 500 + random() * 5_000);
  }),
  atGate(2, 'half-open', '150 clients that say nothing', (world, random) =>
    crowd(world, random, Buffer.alloc(0)),
  ),
  atGate(
    2,
    'slow-client',
    '26 clients that do not read their answers, then 2 with answers of 32 MiB',
    async (world, random, evidence) => {
      await slow(world, evidence, random);
      await leaveUnread(world, evidence, random);
    },
  ),
  atGate(2, 'hostile-client', '150 clients that send garbage', (world, random) =>
    crowd(world, random, Buffer.from('VERSION\tdoveadm-server\t1\t2\n\t\t\t\t\n\x01\x00\n')),
  ),
];

export interface FaultOptions {
  readonly world: World;
  readonly evidence: Evidence;
  readonly random: Random;
  readonly untilMs: number;
  /** Between two faults, on average. */
  readonly restMs: number;
  readonly kinds?: readonly string[];
}

/**
 * Fault after fault until the time is over: each kind once, then as it comes, by weight. Resolves when the gate serves after the last.
 */
export async function injectFaults(options: FaultOptions): Promise<void> {
  const { world, evidence, random, untilMs, restMs, kinds } = options;
  const wanted = makers.filter(([, kind]) => kinds === undefined || kinds.includes(kind));
  const lotteryOf = (list: typeof wanted) =>
    list.flatMap((each) => Array.from({ length: each[0] }, () => each));
  const all = lotteryOf(wanted);
  // A new process has no leak: in the last part none is killed.
  const gentle = lotteryOf(wanted.filter(([, kind]) => kind !== 'kill' && kind !== 'memory'));
  const gentleMs = Date.now() + (untilMs - Date.now()) * (2 / 3);
  const seen = new Set<string>();
  while (Date.now() < untilMs) {
    const lottery = Date.now() > gentleMs && gentle.length > 0 ? gentle : all;
    const unseen = lottery.filter(([, kind]) => !seen.has(kind));
    const [, kind, make] = pick(random, unseen.length > 0 ? unseen : lottery);
    seen.add(kind);
    const { target, detail, run } = make(world, random, evidence);
    const at = Date.now();
    await run();
    const until = Date.now();
    await untilServing(world);
    evidence.write('faults', {
      at,
      until,
      recovered: Date.now(),
      kind,
      target,
      ...(detail !== undefined && { detail }),
    });
    await pause(random() * 2 * restMs);
  }
}

const recoveryMs = 120_000;

/** The gate says that it serves, that each backend is up, and that its journal can be written. */
export async function untilServing(world: World): Promise<void> {
  const startMs = Date.now();
  for (;;) {
    try {
      if (await world.isReady()) {
        const metrics = await world.metrics();
        const up = [...metrics.matchAll(/^dovegate_backend_up\{[^}]*\} (\d)$/gm)].map(([, value]) => value);
        const writable = /^dovegate_audit_writable(?:\{[^}]*\})? 1$/m.test(metrics);
        if (up.length === 2 && up.every((value) => value === '1') && writable) return;
      }
    } catch {
      // It does not answer.
    }
    if (Date.now() - startMs > recoveryMs)
      throw new Error(`the gate does not serve ${recoveryMs / 1_000} s after a fault`);
    await pause(200);
  }
}

/** Takes a fault back: one that stays would make the rest of the run worthless. */
function mustRun(program: string, ...args: string[]): void {
  if (!runTool(program, ...args)) throw new Error(`${program} ${args.join(' ')} failed`);
}

function newestSegmentBytes(journal: string): number {
  const newest = readdirSync(journal)
    .filter((name) => /^\d+\.jsonl$/.test(name))
    .toSorted()
    .at(-1);
  return newest === undefined ? 0 : statSync(join(journal, newest)).size;
}

async function stopFor(signal: (name: NodeJS.Signals) => void, ms: number): Promise<void> {
  signal('SIGSTOP');
  await pause(ms);
  signal('SIGCONT');
}

function doveadmProcesses(folder: string): readonly number[] {
  const master = Number(readFileSync(join(folder, 'run', 'master.pid'), 'utf8'));
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return stat.includes('(doveadm') && Number(stat.split(') ')[1]?.split(' ')[1]) === master;
      } catch {
        return false;
      }
    });
}

/** Those that have ended meanwhile are left out. */
function signalAll(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It has ended.
    }
  }
}
