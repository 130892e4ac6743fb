// `npm run bench -- watchers [SECONDS]`: what 20 people who watch the page cost. Clients send commands at a fixed rate, and as many more commands as
// the page shows wait for their backend. The processor time of the daemon and of the page's process is taken without watchers, and with them: 20
// with one view, and 20 with four views of different users. Prints milliseconds of processor time in a second of each, states in a second,
// and what the watchers cost both; exits with 1 where that is a tenth of a processor or more. The watchers are in this process, and are not
// counted.

import { freePorts } from '../kit/free-ports.js';
import { openGateway } from '../kit/gateway.js';
import { type NowWatcher, signIn, watchNow } from '../kit/page-client.js';
import type { RawClient } from '../kit/raw-client.js';
import { hash, password } from '../kit/tcp-gate.js';
import { processSnapshot } from './load/usage.js';

const seconds = Number(process.argv[2] ?? 10);
const watchersMax = 20;
/** Of one person. */
const windows = 4;
const clientCount = 8;
/** Of one client. */
const paceMs = 20;
const heldCount = 50;
/** Of a processor. */
const shareMax = 0.1;

const viewers = Array.from({ length: watchersMax / windows }, (_, at) => `viewer${at}`);
const auditors = Array.from({ length: watchersMax / windows }, (_, at) => `auditor${at}`);
const people = [
  ...viewers.map((name) => `${name}: { password_hash: "${hash}", role: view }`),
  ...auditors.map(
    (name, at) => `${name}: { password_hash: "${hash}", role: audit, users: ["*${at}@example.org"] }`,
  ),
];

interface Phase {
  readonly what: string;
  /** Processor time in a second. */
  readonly daemonMs: number;
  readonly pageMs: number;
  readonly commands: number;
  readonly states: number;
}

const closers: (() => void | Promise<void>)[] = [];
const owner = { after: (run: () => void | Promise<void>) => void closers.push(run) };
try {
  const [port = 0] = await freePorts(1);
  const gateway = await openGateway(owner, {
    policy: `
    users: ["*@example.org"]
    allow: [quota get, search]`,
    mail1: { connections: String(heldCount + clientCount), idle: String(clientCount) },
    more: `limits: { drain: 100ms }\nadmin:\n  door: door.sock\n  page:\n    tcp: 127.0.0.1:${port}\n    people:\n      ${people.join('\n      ')}\n`,
    backend: {
      async script({ fields }, connection) {
        if (fields[0] === 'search') await connection.closed;
        await connection.status('+');
      },
    },
  });
  const pids = [gateway.daemon.pid, gateway.page?.pid ?? 0];
  for (let at = 0; at < heldCount; at += 1) {
    const held = await gateway.client();
    held.sendCommand({ user: `held${at}@example.org`, fields: ['search', 'ALL'] });
  }
  let commands = 0;
  const load = { isOver: false };
  const clients: RawClient[] = [];
  for (let at = 0; at < clientCount; at += 1) clients.push(await gateway.client());
  const work = clients.map(async (client, at) => {
    while (!load.isOver) {
      client.sendCommand({ user: `user${at}@example.org`, fields: ['quota get'] });
      await client.readReply();
      commands += 1;
      await new Promise((resolve) => {
        setTimeout(resolve, paceMs);
      });
    }
  });
  const tokens = new Map<string, string>();
  for (const name of [...viewers, ...auditors]) tokens.set(name, await signIn(port, name, password));

  async function measure(what: string, names: readonly string[]): Promise<Phase> {
    const watchers: NowWatcher[] = [];
    for (const name of names)
      for (let at = 0; at < windows; at += 1)
        watchers.push(await watchNow(owner, port, tokens.get(name) ?? ''));
    // What a beginning costs is not what watching costs.
    await pause(1_000);
    const [before, commandsBefore, startMs] = [pids.map(processSnapshot), commands, performance.now()];
    const statesBefore = watchers[0]?.changes ?? 0;
    await pause(seconds * 1_000);
    const spanMs = performance.now() - startMs;
    const after = pids.map(processSnapshot);
    const states = (watchers[0]?.changes ?? 0) - statesBefore;
    if (watchers.some(({ hasEnded }) => hasEnded)) throw new Error('a stream has ended');
    for (const watcher of watchers) watcher.close();
    await pause(500);
    const us = (snapshot: (typeof before)[number] | undefined): number =>
      [...(snapshot?.threads.values() ?? [])].reduce((sum, usage) => sum + usage.us, 0);
    const each = (count: number): number => (count * 1_000) / spanMs;
    const [daemonMs = 0, pageMs = 0] = pids.map((_, at) => each((us(after[at]) - us(before[at])) / 1_000));
    return {
      what,
      daemonMs,
      pageMs,
      commands: each(commands - commandsBefore),
      states: each(states),
    };
  }

  // What is compiled and grown in the first seconds is not counted.
  await measure('warm-up', []);
  const phases = [
    await measure('nobody watches', []),
    await measure(`${watchersMax} watch, one view`, viewers),
    await measure(`${watchersMax} watch, ${auditors.length} views`, auditors),
    await measure('nobody watches', []),
  ];
  load.isOver = true;
  await Promise.all(work);
  const both = (phase: Phase | undefined): number => (phase?.daemonMs ?? 0) + (phase?.pageMs ?? 0);
  const calm = (both(phases[0]) + both(phases[3])) / 2;
  console.log('daemon ms/s | page ms/s | commands/s | states/s | of a processor |');
  for (const phase of phases) {
    const { what, daemonMs, pageMs, commands: rate, states } = phase;
    const share = `${(((both(phase) - calm) / 1_000) * 100).toFixed(1)} %`;
    const cells = [
      daemonMs.toFixed(1).padStart(11),
      pageMs.toFixed(1).padStart(9),
      rate.toFixed(0).padStart(10),
      states.toFixed(1).padStart(8),
      share.padStart(14),
    ];
    console.log(`${cells.join(' | ')} | ${what}`);
  }
  if (phases.some((phase) => (both(phase) - calm) / 1_000 >= shareMax)) process.exitCode = 1;
} finally {
  for (const close of closers.toReversed()) await close();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
