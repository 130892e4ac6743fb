import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { findServerDoor, parseServerAddress } from '../../../src/client/doveadm/server-door.js';
import { openFolder } from '../../kit/plain/folder.js';
import { listenHere } from '../../kit/plain/free-ports.js';

void test('an address is a path with a slash, or a host with a port', () => {
  assert.deepEqual(parseServerAddress('./s'), { socket: './s' });
  assert.deepEqual(parseServerAddress('mail:24245'), { host: 'mail', port: 24245 });
  assert.deepEqual(parseServerAddress('[::1]:1'), { host: '::1', port: 1 });
  for (const text of ['mail', 'mail:0', 'mail:70000', 'a:b:1', '', ':1'])
    assert.equal(parseServerAddress(text), undefined, text);
});

void test('the password of client.yaml goes to the server that it names, and to no other', async (t) => {
  let received = '';
  const server = createServer((socket) => {
    socket.on('data', (bytes) => {
      received += bytes.toString();
      if (received.includes('PLAIN')) socket.end('-\n');
    });
    socket.on('error', () => undefined);
    socket.write('VERSION\tdoveadm-client\t1\t2\n-\n');
  });
  const port = await listenHere(server);
  t.after(() => server.close());
  const here = `127.0.0.1:${port}`;
  const folder = openFolder(t);
  writeFileSync(join(folder, 'password'), 'sEcReT-pw\n', { mode: 0o600 });
  const file = join(folder, 'client.yaml');
  const written = 'tls: off\naccount: migrator\npassword_file: password\n';
  const sent = async (settings: string, named: string | undefined): Promise<string> => {
    received = '';
    writeFileSync(file, settings);
    const door = await findServerDoor(named, { DOVEGATE_CLIENT_CONFIG: file }, { tls: 'off' });
    assert.ok(door);
    await assert.rejects(door.open(() => undefined, AbortSignal.timeout(5000)));
    return received;
  };
  const another = `address: 127.0.0.1:1\n${written}`;
  assert.doesNotMatch(await sent(another, here), /PLAIN/);
  assert.doesNotMatch(await sent(`socket: /run/dovegate/jobs.sock\n${written}`, here), /PLAIN/);
  assert.match(await sent(`address: ${here}\n${written}`, here), /PLAIN/);
  assert.match(await sent(`address: ${here}\n${written}`, undefined), /PLAIN/);
  assert.match(await sent(written, here), /PLAIN/, 'a file that names no server is for all of them');
});
