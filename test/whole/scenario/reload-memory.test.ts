// Goal: a configuration that was replaced goes away whole, with its caches, timers and transports, its auth services included. Phases:
// clients that work while everything is replaced again and again; at equal distances they rest, and what is left after all garbage was
// collected is counted. What must not happen: more of anything after the last reload than after the first ones.
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Daemon, LogRecord } from '../../kit/gate/daemon.js';
import { type GatewayOptions, openGateway } from '../../kit/gate/gateway.js';
import { weigh, weighed } from '../../kit/gate/weigh.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import type { RawClient } from '../../kit/plain/raw-client.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
/** The full figure is 4 x 300 (DOVEGATE_ROUNDS=20). Ten show a leak of one thing for two of them; a heap shows its growth in many. */
const phases = rounds === 1 ? 2 : 4;
const reloadsEach = rounds === 1 ? 10 : 15 * rounds;
const workers = 3;
/** What a configuration would hold on to, or be held by. */
const kinds = ['caches', 'sockets', 'timers'] as const;
/** An upstream that is being replaced has a transport and timers of its own for a moment; a leak is one for each reload. */
const slack = 4;

/** Answers every question; the passdb says that everybody lives on this machine. */
async function openAuthService(owner: Owner): Promise<string> {
  const path = join(openFolder(owner), 'auth');
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.write('VERSION\t1\t2\nSPID\t1\n');
    socket.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n')) {
        const [kind, id, user] = line.split('\t');
        if (kind === 'USER') socket.write(`USER\t${id}\t${user}\n`);
        if (kind === 'PASS') socket.write(`PASS\t${id}\tuser=${user}\tproxy=y\thost=127.0.0.1\n`);
      }
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  owner.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return path;
}

/** No two that follow one another have a policy or an auth service in common, or all listeners; every fifth has another backend. */
function optionsOf(n: number, auth: string): GatewayOptions {
  const guest = n % 2 === 0 ? '' : `\n  guest${n}: { unix: guest.sock, policy: support }`;
  return {
    listeners: `\n  support: { unix: support.sock, policy: support }${guest}`,
    // One, so that as many are open whenever somebody looks.
    mail1: { connections: '1', server_name: n % 5 === 0 ? 'localhost' : '127.0.0.1' },
    routes: `[{ users: ["*"], passdb: ${auth}, cache_ttl: ${60 + (n % 7)}s }]`,
    policy: `
    users: ["*@example.org"]
    allow: [quota get, { command: search, where: { query: { regex: "(all|mailbox ${n % 50}).*" } } }]
    shadow: shadow.yaml
    limits: { rate: 900000/hour, distinct_users: ${9_000 + n}/hour }`,
    more: `mail_users: { resolve: ${auth}, characters: "A-Za-z0-9._+=@${n % 2}-" }
admin: { unix: admin.sock }`,
  };
}

/** The first that is not above `most`: a transport that was just closed is held for a moment by the other side. */
async function weighUntil(daemon: Daemon, most: LogRecord | undefined): Promise<LogRecord> {
  for (let tries = 1; ; tries += 1) {
    const found = await weigh(daemon);
    const isMore = kinds.some((kind) => Number(found[kind]) > Number(most?.[kind]) + slack);
    if (!isMore || tries === 20) return found;
    await pause(100);
  }
}

test(`${phases} times ${reloadsEach} reloads leave nothing`, {
  timeout: 300_000 + reloadsEach * 6_000,
}, async (t) => {
  const auth = await openAuthService(t);
  const gateway = await openGateway(t, {
    ...optionsOf(0, auth),
    files: { 'shadow.yaml': 'users: ["*"]\nallow: [quota get]\n' },
    env: weighed,
  });
  const { daemon, client } = gateway;
  const clients: RawClient[] = [];
  for (let n = 0; n < workers; n += 1) clients.push(await client());
  const steady = await client();
  let commands = 0;
  const ask = async (worker: RawClient): Promise<void> => {
    commands += 1;
    await worker.ask({ user: `user${commands % 5_000}@example.org`, fields: ['quota get'] });
  };

  const left: LogRecord[] = [];
  for (let phase = 0; phase < phases; phase += 1) {
    const state = { isOver: false };
    const working = clients.map(async (worker) => {
      // Something runs in each configuration; as much as can be would only keep the reloads waiting.
      for (; !state.isOver; await pause(150)) await ask(worker);
    });
    for (let n = 1; n <= reloadsEach; n += 1) {
      const number = phase * reloadsEach + n;
      await daemon.reload(gateway.configuration(optionsOf(n === reloadsEach ? 0 : number, auth)));
      // Each is asked something, and nobody waits for more than a few reloads.
      await ask(steady);
    }
    state.isOver = true;
    await Promise.all(working);
    // So that the same upstreams and links are open each time.
    for (const worker of clients) await ask(worker);
    left.push(await weighUntil(daemon, left[0]));
  }
  const counts = left.map((found) => kinds.map((kind) => Number(found[kind])));
  for (const found of counts)
    for (const [index, count] of found.entries())
      assert.ok(count <= (counts[0]?.[index] ?? 0) + slack, `${kinds.join('/')}: ${JSON.stringify(counts)}`);
  // The first phase compiles, and fills what stays.
  const bytes = left.map((found) => Number(found['bytes']));
  const slope = ((bytes.at(-1) ?? 0) - (bytes[1] ?? 0)) / (Math.max(1, phases - 2) * reloadsEach);
  const told = counts.map((found) => found.join('/')).join(' ');
  const heap = bytes.map((each) => Math.round(each / 1024)).join(' ');
  t.diagnostic(
    `${commands} commands; ${kinds.join('/')} ${told}; heap ${heap} KiB, ${(slope / 1024).toFixed(1)} KiB a reload`,
  );
  // Below that the warmth of the program counts for more than what a configuration leaves.
  if (reloadsEach >= 100) assert.ok(slope < 2 * 1024, `${slope} bytes a reload`);
  await daemon.stop();
});
