// What a service manager does to the daemon, without one: it hands listening sockets over and hears notifications. The sockets live as
// long as the test, so they outlive a daemon as those of systemd do.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, linkSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { loadNative } from '../../../src/host/machine/native.js';
import { openDatagramSocket } from '../plain/datagram-socket.js';
import { openFolder } from '../plain/folder.js';
import { type Daemon, type DaemonOptions, startDaemon } from './daemon.js';
import { openScriptedDovecot } from './scripted-dovecot.js';

/** A listening socket that nobody accepts on, as systemd holds it. */
export async function openSocket(t: TestContext, path: string): Promise<number> {
  const server = createServer((socket: Socket) => socket.destroy());
  await once(server.listen(`${path}.made`), 'listening');
  // The name goes with the server, so the socket gets another one.
  linkSync(`${path}.made`, path);
  return keepDescriptor(t, server);
}

/** The descriptor of a listening socket whose server goes. */
async function keepDescriptor(t: TestContext, server: Server): Promise<number> {
  const handle: unknown = Reflect.get(server, '_handle');
  const descriptor: unknown = typeof handle === 'object' && handle !== null && Reflect.get(handle, 'fd');
  assert.ok(typeof descriptor === 'number');
  const kept = (await loadNative()).duplicate(descriptor);
  t.after(() => closeSync(kept));
  server.close();
  return kept;
}

/** A configuration with these listeners. */
export const configurationOf = (backend: string, listeners: string): string => `version: 1
listeners:
${listeners}
backends:
  mail1: { address: "${backend}", shared_namespaces: [] }
routes:
  - { users: ["*"], backend: mail1 }
policies:
  support: { users: ["*"], allow: [quota get] }
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB, reserve: 4KiB }
`;

/** LISTEN_PID is the number of the process that reads it. */
const launcher = ['sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh'];

/** A folder, a backend, the socket `support`, and a daemon that gets it. */
export async function openWorld(t: TestContext) {
  const folder = openFolder(t);
  const notify = openDatagramSocket(join(folder, 'notify'));
  t.after(() => notify.close());
  const backend = await openScriptedDovecot({ unix: join(folder, 'backend.sock') });
  const path = join(folder, 'support.sock');
  const descriptor = await openSocket(t, path);
  const start = (options: Partial<DaemonOptions> = {}): Promise<Daemon> =>
    startDaemon(t, {
      config: configurationOf(backend.address, '  support: { systemd: support, policy: support }'),
      folder,
      launcher,
      descriptors: [descriptor],
      ...options,
      env: {
        LISTEN_FDS: String(options.descriptors?.length ?? 1),
        LISTEN_FDNAMES: 'support',
        NOTIFY_SOCKET: join(folder, 'notify'),
        WATCHDOG_USEC: '300000',
        ...options.env,
      },
    });
  t.after(() => backend.close());
  return { folder, notify, path, descriptor, start, backend };
}

/** A listening TCP socket. */
export async function openTcpSocket(
  t: TestContext,
  host: string,
): Promise<{ descriptor: number; port: number }> {
  const server = createServer((socket: Socket) => socket.destroy());
  await once(server.listen({ host, port: 0 }), 'listening');
  const address = server.address();
  const descriptor = await keepDescriptor(t, server);
  return { descriptor, port: typeof address === 'object' && address !== null ? address.port : 0 };
}
