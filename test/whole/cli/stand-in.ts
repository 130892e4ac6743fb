// Stands for a daemon: an HTTP server at a UNIX socket that says what a test tells it to.
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openFolder } from '../../kit/plain/folder.js';

/** The path of its socket; it goes with the test, whoever still waits for an answer. */
export async function openStandIn(
  t: TestContext,
  answer: RequestListener,
  folder = openFolder(t),
): Promise<string> {
  const socket = join(folder, 'admin.sock');
  const server = createServer(answer);
  await once(server.listen(socket), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return socket;
}
