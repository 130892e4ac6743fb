// Ports of loopback that nobody has at the moment. A test that can bind port 0 itself does that instead.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';

/** Below those that the kernel gives to outgoing connections: tests that run beside this one open thousands. */
const lowest = 10_000;
const highest = 32_000;

/** So many different ones. Another test may take one of them before it is bound: with these it is one in thousands. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, hold));
  for (const { server } of servers) {
    await once(server.close(), 'close');
  }
  return servers.map(({ port }) => port);
}

async function hold(): Promise<{ readonly server: net.Server; readonly port: number }> {
  for (;;) {
    const server = net.createServer();
    const port = randomInt(lowest, highest);
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (isFree) return { server, port };
  }
}

/** Listens on loopback, at a port that the kernel chooses and that is returned. */
export async function listenHere(server: net.Server, host = '127.0.0.1'): Promise<number> {
  await once(server.listen(0, host), 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}
