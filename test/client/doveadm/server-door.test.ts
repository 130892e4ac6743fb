import assert from 'node:assert/strict';
import { symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { findServerDoor, parseServerAddress } from '../../../src/client/doveadm/server-door.js';
import { builtProgram } from '../../kit/gate/daemon.js';
import { openFolder } from '../../kit/plain/folder.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import { runProgram } from '../../kit/plain/program.js';

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

// Goal: the letters before a command are read as the real program reads them, wherever a dash stands.

void test('a dash within a group of letters, and a value for --help, are invalid letters', async (t) => {
  const program = join(openFolder(t), 'doveadm');
  symlinkSync(builtProgram, program);
  for (const words of [
    ['-D-', 'kick', 'x'],
    ['--help=1', 'kick', 'x'],
  ]) {
    const { exit, text } = await runProgram(process.execPath, [program, ...words]);
    assert.deepEqual([exit, /invalid option -- '-'/.test(text)], [64, true], text);
  }
});

void test('DOVEGATE_DRY_RUN is 1, 0 or empty: with another value nothing is sent', async (t) => {
  const program = join(openFolder(t), 'doveadm');
  symlinkSync(builtProgram, program);
  const run = (value: string) =>
    runProgram(process.execPath, [program, 'purge', '-u', 'x', '-S', '/nowhere/s'], {
      env: { DOVEGATE_DRY_RUN: value },
    });
  for (const value of ['yes', 'true', '01', ' ']) {
    const { exit, text } = await run(value);
    assert.deepEqual([exit, /must be 1 or 0/.test(text)], [64, true], text);
  }
  for (const value of ['', '0', '1']) assert.equal((await run(value)).exit, 75, value);
});
