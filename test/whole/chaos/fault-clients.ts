// Clients that are faults themselves: crowds that say nothing or garbage, and those that do not read their answers.
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../kit/plain/chunkings.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { largeBox, largeOwners, makeToken } from './commands.js';
import type { Evidence } from './evidence.js';
import type { World } from './world.js';

export async function crowd(world: World, random: Random, text: Buffer): Promise<void> {
  const { read, jobsPort, panelPort } = world.places;
  const sockets = Array.from({ length: 150 }, (_, at) => {
    const host = '127.0.0.1';
    const places = [{ path: read }, { host, port: jobsPort }, { host, port: panelPort }];
    const socket = net.connect(places[at % 3] ?? { path: read });
    socket.on('error', () => undefined);
    if (text.length > 0) socket.write(text);
    socket.resume();
    return socket;
  });
  await pause(1_000 + random() * 6_000);
  for (const socket of sockets) socket.destroy();
}

export async function slow(world: World, evidence: Evidence, random: Random): Promise<void> {
  const begun = Date.now();
  const user = 'a02@example.org';
  const tokens: string[] = [];
  const principals = new Map<string, string>();
  const sockets = Array.from({ length: 20 }, () => {
    const socket = net.connect({ path: world.places.read });
    socket.on('error', () => undefined);
    socket.write('VERSION\tdoveadm-server\t1\t2\n');
    // Answers of some 100 kB each.
    for (let number = 0; number < 20; number += 1) {
      const token = makeToken(random);
      tokens.push(token);
      socket.write(`\t${user}\tfetch\ttext\tmailbox\tStable\tnot\tkeyword\t${token}\n`);
    }
    socket.pause();
    return socket;
  });
  // The same over TLS, where the gate holds what it encrypts.
  const secured = Array.from({ length: 6 }, async () => {
    const client = await openStopped(world);
    for (let number = 0; number < 20; number += 1) {
      const token = makeToken(random);
      tokens.push(token);
      principals.set(token, 'backup@jobs');
      client.sendCommand({ user, fields: ['fetch', 'text', 'mailbox', 'Stable', 'not', 'keyword', token] });
    }
    return client;
  });
  await pause(1_000 + random() * 6_000);
  for (const socket of sockets) socket.destroy();
  await Promise.all(secured.map((one) => one.then((client) => client.close()).catch(() => undefined)));
  for (const token of tokens) {
    const principal = principals.get(token) ?? 'root@read';
    const args = ['text', 'mailbox', 'Stable', 'not', 'keyword', token];
    writeLeft(evidence, { kind: 'unix', principal, token, user, args, begun });
  }
}

/** What a client did that asked to `fetch` and left on purpose. */
function writeLeft(
  evidence: Evidence,
  what: {
    readonly kind: 'unix' | 'tls';
    readonly principal: string;
    readonly token: string;
    readonly user: string;
    readonly args: readonly string[];
    readonly begun: number;
    readonly unread?: true;
  },
): void {
  const asked = { command: 'fetch', expect: 'any', effect: 'read' };
  evidence.write('clients', { client: -1, ...asked, ...what, ended: Date.now(), end: 'left' });
}

/** A client over TLS that reads nothing from now on. */
async function openStopped({ places }: World): Promise<RawClient> {
  const client = await openRawClient({
    port: places.jobsPort,
    minor: 2,
    tls: 'starttls',
    ca: places.ca,
    serverName: 'localhost',
    auth: { user: 'backup', password: places.accountPassword },
  });
  client.setStopped(true);
  return client;
}

/** Long enough for a gate to read whole replies into its memory, also on a busy machine. */
const unreadMs = 15_000;

/** Clients that ask for an answer of 32 MiB and read nothing. The gate may take in only a small part of each answer. */
export async function leaveUnread(world: World, evidence: Evidence, random: Random): Promise<void> {
  await Promise.all(
    largeOwners.map(async (user) => {
      const client = await openStopped(world).catch(() => undefined);
      if (client === undefined) return;
      const token = makeToken(random);
      const args = ['text', 'mailbox', largeBox, 'not', 'keyword', token];
      const begun = Date.now();
      client.sendCommand({ user, fields: ['fetch', ...args] });
      await pause(unreadMs);
      client.close();
      const principal = 'backup@jobs';
      writeLeft(evidence, { kind: 'tls', principal, token, user, args, begun, unread: true });
    }),
  );
}
