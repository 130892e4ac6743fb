import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cpSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openNats } from '../../../src/evidence/nats/link.js';
import type { NatsServer } from '../../../src/evidence/nats/servers.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';

test('without the optional package the module loads, and the first link says what to install', async (t) => {
  const folder = openFolder(t);
  const built = fileURLToPath(new URL('build/src/', projectRoot));
  // Away from any node_modules: what the link needs and nothing else.
  for (const part of ['host', 'doveadm', 'rules', 'journal', 'gate', 'evidence']) {
    cpSync(join(built, part), join(folder, part), { recursive: true });
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const link = pathToFileURL(join(folder, 'evidence/nats/link.js')).href;
  const script = `const { openNats } = await import(${JSON.stringify(link)});
    const settings = { servers: [{ host: '127.0.0.1', port: 4222 }], name: 'test' };
    console.log(await openNats(settings).catch(({ name, code, message }) => JSON.stringify({ name, code, message })));`;
  const { text, exit } = await runProgram(process.execPath, ['--input-type=module', '-e', script]);
  assert.equal(exit, 0, text);
  const { name, code, message } = JSON.parse(text);
  assert.deepEqual([name, code], ['NatsFault', 'library-missing']);
  assert.match(message, /npm install @nats-io\/transport-node/);
});

async function openServer(t: TestContext, serve: (socket: Socket) => void): Promise<NatsServer> {
  const server = createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on('error', () => undefined);
    serve(socket);
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { host: '127.0.0.1', port: address.port };
}

// bounds.natsLineBytes
test('a first line without an end is read up to a bound', { timeout: 60_000 }, async (t) => {
  const server = await openServer(t, (socket) => {
    // It never ends by itself, and is not NATS by its length alone.
    socket.write(`INFO {"x":"${'x'.repeat(bounds.natsLineBytes)}`);
  });
  await assert.rejects(openNats({ servers: [server], name: 'test' }), {
    code: 'dial-refused',
    message: /is not a NATS server/,
  });
});

// bounds.natsDialMs
test('a server that says nothing is given up', { timeout: 60_000 }, async (t) => {
  let isThere = (): void => undefined;
  const connected = new Promise<void>((resolve) => (isThere = resolve));
  const server = await openServer(t, () => isThere());
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const opened = assert.rejects(openNats({ servers: [server], name: 'test' }), {
    code: 'dial-timeout',
    message: /says nothing within 5 s/,
  });
  await connected;
  // The other side of it hears of that a turn later.
  for (let turns = 0; turns < 10; turns += 1) await new Promise(setImmediate);
  t.mock.timers.tick(bounds.natsDialMs);
  await opened;
});
