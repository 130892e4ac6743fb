// Three real nats-servers as one cluster, each of which can be killed, frozen, emptied, and cut off from the others: the routes between
// them go through relays of the test, which clients do not use.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { gateSubjectsOf } from '../../../src/evidence/fleet/block.js';
import type { NatsSettings } from '../../../src/evidence/nats/dial.js';
import { endBefore, type Owner, openFolder } from '../plain/folder.js';
import { freePorts } from '../plain/free-ports.js';
import type { Skipped } from '../plain/skipped.js';
import { until } from '../plain/until.js';
import { makeAuthority } from './certificates.js';
import { installNats, natsReleases } from './nats.js';
import { makeTestTrust, type TestTrust } from './nats-trust.js';

export interface NatsCluster {
  readonly version: string;
  readonly folder: string;
  readonly trust: TestTrust;
  /** All servers in their order, or those of these numbers. */
  settingsOf(user: string, servers?: readonly number[]): NatsSettings;
  /** `server_name` of each, by its number. */
  readonly names: readonly string[];
  start(server: number): Promise<void>;
  /** SIGKILL, awaited. */
  kill(server: number): Promise<void>;
  freeze(server: number): Promise<void>;
  thaw(server: number): void;
  /** Of one that is killed: its store is gone. */
  empty(server: number): void;
  /** Between this one and the others nothing passes. */
  cutOff(server: number): void;
  join(server: number): void;
}

const size = 3;
const numbers = [0, 1, 2] as const;

/** Ends with the test. */
export async function openNatsCluster(
  owner: Owner,
  gates: readonly string[],
  stream = 'DOVEGATE_AUDIT',
): Promise<NatsCluster | Skipped> {
  const server = await installNats(natsReleases[0] ?? 'native');
  if ('skip' in server) return server;
  const folder = openFolder(owner);
  const ports = await freePorts(2 * size + size * size);
  const portOf = (at: number): number => ports[at] ?? 0;
  const authority = makeAuthority({ name: 'authority of the cluster' });
  const file = (name: string, text: string): void => writeFileSync(join(folder, name), text, { mode: 0o600 });
  const pair = (name: string, issued: ReturnType<typeof authority.issue>): void => {
    file(`${name}.pem`, issued.certificatePem);
    file(`${name}.key`, issued.keyPem);
  };
  file('ca.pem', authority.certificatePem);
  pair('server', authority.issue({ names: ['localhost', '127.0.0.1'] }));
  const trust = makeTestTrust(new Map(gates.map((gate) => [gate, gateSubjectsOf(stream, gate)])));
  for (const [name, text] of trust.credentials) file(`${name}.creds`, text);
  const names = numbers.map((at) => `nats${at}`);
  /** From one to another. */
  const relayOf = (from: number, to: number): number => portOf(2 * size + from * size + to);
  for (const at of numbers) {
    const others = numbers.filter((other) => other !== at);
    file(
      `${at}.conf`,
      `server_name: ${names[at]}
listen: "127.0.0.1:${portOf(at)}"
jetstream: { store_dir: "${join(folder, `store-${at}`)}", max_file: 4GB, max_mem: 64MB }
tls: { cert_file: "${join(folder, 'server.pem')}", key_file: "${join(folder, 'server.key')}", timeout: 5
 }
cluster: { name: fleet, listen: "127.0.0.1:${portOf(size + at)}", advertise: "127.0.0.1:1",
  routes: [${others.map((other) => `"nats-route://127.0.0.1:${relayOf(at, other)}"`).join(', ')}] }
${trust.configurationIn(folder, `accounts-${at}`)}
`,
    );
    mkdirSync(join(folder, `store-${at}`));
  }

  const cut = new Set<number>();
  const relays = numbers.flatMap((from) =>
    numbers.flatMap((to) => (from === to ? [] : [{ from, to, sockets: new Set<Socket>() }])),
  );
  const listening = await Promise.all(
    relays.map(async ({ from, to, sockets }) => {
      const relay = createServer((near) => {
        near.on('error', () => undefined);
        if (cut.has(from) || cut.has(to)) {
          near.destroy();
          return;
        }
        const far = connect(portOf(size + to), '127.0.0.1');
        far.on('error', () => near.destroy());
        for (const socket of [near, far]) {
          sockets.add(socket);
          socket.on('close', () => {
            sockets.delete(socket);
            near.destroy();
            far.destroy();
          });
        }
        near.pipe(far).pipe(near);
      });
      await once(relay.listen(relayOf(from, to), '127.0.0.1'), 'listening');
      return relay;
    }),
  );

  const children = new Map<number, ChildProcess>();
  const outputs = new Map<number, string>();
  const end = (at: number): Promise<void> => {
    const child = children.get(at);
    children.delete(at);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.kill('SIGKILL');
    });
  };
  endBefore(folder, async () => {
    await Promise.all(numbers.map(end));
    for (const { sockets } of relays) for (const socket of sockets) socket.destroy();
    for (const relay of listening) relay.close();
  });
  const cluster: NatsCluster = {
    version: server.version,
    folder,
    trust,
    names,
    settingsOf: (user, servers = numbers) => ({
      servers: servers.map((at) => ({ host: '127.0.0.1', port: portOf(at) })),
      caFile: join(folder, 'ca.pem'),
      name: `test ${user}`,
      inbox: `_INBOX.${user}`,
      credentialsFile: join(folder, `${user}.creds`),
    }),
    async start(at) {
      const child = spawn(server.program, [...server.words, '-c', join(folder, `${at}.conf`)], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      children.set(at, child);
      outputs.set(at, '');
      child.stderr.on('data', (chunk: Buffer) => outputs.set(at, `${outputs.get(at)}${chunk.toString()}`));
      await until(() => (outputs.get(at) ?? '').includes('Server is ready'), `server ${at} is ready`);
    },
    kill: end,
    async freeze(at) {
      const child = children.get(at);
      child?.kill('SIGSTOP');
      const status = `/proc/${child?.pid}/status`;
      await until(() => /^State:\s+T/m.test(readFileSync(status, 'utf8')), `server ${at} stands still`);
    },
    thaw: (at) => void children.get(at)?.kill('SIGCONT'),
    empty(at) {
      rmSync(join(folder, `store-${at}`), { recursive: true });
      mkdirSync(join(folder, `store-${at}`));
    },
    cutOff(at) {
      cut.add(at);
      for (const { from, to, sockets } of relays)
        if (from === at || to === at) for (const socket of sockets) socket.destroy();
    },
    join: (at) => void cut.delete(at),
  };
  await Promise.all(numbers.map((at) => cluster.start(at)));
  return cluster;
}
