// A TCP socket for somebody else's server: bound where it was asked, refused with a sentence, gone after close.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { bindTcp } from '../../src/net/bind-tcp.js';
import { ListenFault } from '../../src/net/listen.js';

const failOnError = (text: string): never => assert.fail(text);

test('binds on the address, says the port, and frees it at close', async () => {
  const server = createServer((socket) => socket.end('here'));
  const bound = await bindTcp(server, { host: '127.0.0.1', port: 0 }, failOnError);
  const { port } = bound;
  assert.ok(port > 0);
  const socket = connect({ host: '127.0.0.1', port });
  const [chunk] = await once(socket.setEncoding('utf8'), 'data');
  assert.equal(chunk, 'here');

  const taken = bindTcp(createServer(), { host: '127.0.0.1', port }, failOnError);
  await assert.rejects(taken, (fault) => {
    assert.ok(fault instanceof ListenFault);
    assert.match(fault.message, new RegExp(`^127\\.0\\.0\\.1:${port}: `));
    return true;
  });
  await bound.close();
  const again = await bindTcp(createServer(), { host: '127.0.0.1', port }, failOnError);
  await again.close();
});

test('an address that is not ours is refused', async () => {
  await assert.rejects(
    bindTcp(createServer(), { host: '2001:db8::1', port: 1 }, failOnError),
    /^ListenFault: \[2001:db8::1\]:1: the socket cannot be made/,
  );
});
