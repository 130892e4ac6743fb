// Ports of loopback that nobody has at the moment. Another process may take one before it is bound: a test that can bind port 0
// itself does that instead.
import net from 'node:net';

/** So many different ones. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => net.createServer());
  const ports = servers.map(async (server) => {
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const bound = server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : 0;
  });
  const found = await Promise.all(ports);
  for (const server of servers) {
    await new Promise((resolve) => {
      server.close(resolve);
    });
  }
  return found;
}
