// Goal: a server at the admin socket or the page's that sends a byte now and then does not hold a command for ever.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { runDovegate } from '../kit/daemon.js';
import { openFolder } from '../kit/folder.js';

// bounds.daemonAnswerTime
test('an answer must be whole in time, whatever comes of it before', async (t) => {
  const socket = join(openFolder(t), 'slow.sock');
  const server = createServer((_request, response) => {
    const timer = setInterval(() => response.write(' '), 1000);
    response.on('close', () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  for (const { exit, stderr } of await Promise.all([
    runDovegate(['kill', '--socket', socket, 'ID']),
    runDovegate(['audit', 'search', '--socket', socket]),
  ])) {
    assert.equal(exit, 69, stderr);
    assert.match(stderr, /no whole answer within 30 s/);
  }
});
