// Goal: an address becomes a transport, or one fault that says why. What must not happen: a socket that stays after an abort.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, statSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createConnect } from '../../../src/host/net/dial.js';
import { UpstreamFault } from '../../../src/host/ports/faults.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { openFolder } from '../../kit/plain/folder.js';
import { listen } from './pair.js';

const connect = createConnect(createFakeClock());
const never = new AbortController().signal;

const refusal = (pattern: RegExp) => (fault: unknown) => {
  assert.ok(fault instanceof UpstreamFault, String(fault));
  assert.equal(fault.code, 'dial-refused');
  assert.match(fault.message, pattern);
  return true;
};

for (const kind of ['tcp', 'unix'] as const) {
  const openTarget = async (t: Parameters<typeof listen>[0]) => {
    const server = await listen(t, kind);
    const address = server.address();
    const target =
      typeof address === 'object' && address !== null
        ? ({ kind: 'tcp', host: '127.0.0.1', port: address.port } as const)
        : ({ kind: 'unix', path: String(address) } as const);
    return { server, target };
  };

  void test(`${kind}: connected, half-open, and no longer in the hands of the signal`, async (t) => {
    const { server, target } = await openTarget(t);
    const accepted: Promise<Socket[]> = once(server, 'connection');
    const controller = new AbortController();
    const transport = await connect(target, controller.signal);
    const [far] = await accepted;
    assert.ok(far);
    controller.abort('late');
    far.end('hello');
    assert.equal(String(await transport.read()), 'hello');
    assert.equal(await transport.read(), null);
    await transport.write([Buffer.from('still here')]);
    const [bytes]: Buffer[] = await once(far, 'data');
    assert.equal(String(bytes), 'still here');
    transport.close('peer-ended');
    await transport.whenClosed();
  });

  void test(`${kind}: aborted before, and while it connects: the signal's reason, and nothing stays`, async (t) => {
    const { server, target } = await openTarget(t);
    await assert.rejects(connect(target, AbortSignal.abort('early')), (fault) => fault === 'early');
    const controller = new AbortController();
    const connecting = connect(target, controller.signal);
    controller.abort('given up');
    await assert.rejects(connecting, (fault) => fault === 'given up');
    // The server closes only when nobody is connected any more.
    server.on('connection', (far) => {
      far.on('error', () => undefined).resume();
      far.on('end', () => far.destroy());
    });
    await once(server.close(), 'close');
  });

  void test(`${kind}: nobody listens there any more`, async (t) => {
    const { server, target } = await openTarget(t);
    await once(server.close(), 'close');
    const place = target.kind === 'tcp' ? `127\\.0\\.0\\.1:${target.port}: nobody listens` : 'no such socket';
    await assert.rejects(connect(target, never), refusal(new RegExp(place)));
  });
}

void test('unix: no such socket; a path that no socket can have', async (t) => {
  const folder = openFolder(t);
  const dialled = (name: string) => connect({ kind: 'unix', path: join(folder, name) }, never);
  await assert.rejects(dialled('none'), refusal(/no such socket/));
  await assert.rejects(dialled('x'.repeat(200)), refusal(/xxx/));
});

void test('an address with a zone is dialled through that interface', async (t) => {
  // A container may be without IPv6.
  if (networkInterfaces()['lo']?.some(({ address }) => address === '::1') !== true)
    return assert.rejects(connect({ kind: 'tcp', host: '::1%lo', port: 1 }, never), refusal(/::1%lo/));
  const server = createServer((far) => far.end('hello'));
  t.after(() => server.close());
  server.listen({ host: '::1', port: 0 });
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const transport = await connect({ kind: 'tcp', host: '::1%lo', port: address.port }, never);
  assert.equal(String(await transport.read()), 'hello');
  transport.close('peer-ended');
  await transport.whenClosed();
});

void test('unix: whether another socket stands at the path, also where it got the inode of the one before', async (t) => {
  const path = join(openFolder(t), 's');
  const serve = async () => {
    const server = createServer((far) => far.on('error', () => undefined).resume());
    t.after(() => server.close());
    await once(server.listen(path), 'listening');
    return server;
  };
  const first = await serve();
  const before = await connect({ kind: 'unix', path }, never);
  assert.equal(before.isReplaced, false);
  const { ino } = statSync(path);
  // Gone, and there again: a file system gives the inode to the next file, as a rule.
  unlinkSync(path);
  assert.equal(before.isReplaced, true);
  const second = await serve();
  t.diagnostic(statSync(path).ino === ino ? 'the same inode' : 'another inode');
  assert.equal(before.isReplaced, true);
  const after = await connect({ kind: 'unix', path }, never);
  assert.equal(after.isReplaced, false);
  for (const transport of [before, after]) transport.close('probed');
  await Promise.all([once(first.close(), 'close'), once(second.close(), 'close')]);
});

void test('unix: another socket came to the path during the dial: it is dialled again', async (t) => {
  const folder = openFolder(t);
  const serve = async (name: string) => {
    const server = createServer((far) => far.on('error', () => undefined).end(name));
    t.after(() => server.close());
    await once(server.listen(join(folder, name)), 'listening');
    return server;
  };
  await serve('old');
  const server = await serve('new');
  let accepted = 0;
  server.on('connection', () => (accepted += 1));
  const connecting = connect({ kind: 'unix', path: join(folder, 'old') }, never);
  renameSync(join(folder, 'new'), join(folder, 'old'));
  const transport = await connecting;
  assert.equal(String(await transport.read()), 'new');
  assert.deepEqual([transport.isReplaced, accepted], [false, 1]);
  transport.close('probed');
});

/** Listens, and accepts nothing before it reads a byte: its queue of one is full then, and the kernel lets others wait. */
const slowServer = `
  const server = require('node:net').createServer((far) => far.end('slow'));
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    require('node:fs').writeSync(1, String(server.address().port));
    require('node:fs').readSync(0, Buffer.alloc(1));
  });`;

void test('a name with two addresses: a slow one is not given up for the next, which is dialled beside it', async (t) => {
  const child = spawn(process.execPath, ['-e', slowServer], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill());
  const [said]: Buffer[] = await once(child.stdout, 'data');
  const port = Number(said);
  const filling = Array.from({ length: 4 }, () => createConnection({ host: '127.0.0.1', port }));
  t.after(() => filling.forEach((socket) => socket.destroy()));
  for (const socket of filling) socket.on('error', () => undefined).resume();
  await once(filling[0] ?? assert.fail(), 'connect');
  const clock = createFakeClock();
  const dial = createConnect(clock, () =>
    Promise.resolve([{ address: '127.0.0.1' }, { address: '127.0.0.2' }]),
  );
  let hasFailed = false;
  const connecting = dial({ kind: 'tcp', host: 'mail1.example.com', port }, never);
  connecting.catch(() => (hasFailed = true));
  await settle();
  // Nobody listens at the second one.
  await clock.advance(250);
  await once(createConnection({ host: '127.0.0.2', port }), 'error').catch(() => undefined);
  assert.equal(hasFailed, false);
  child.stdin.write('x');
  const transport = await connecting;
  assert.equal(String(await transport.read()), 'slow');
  assert.equal(clock.timers, 0);
  transport.close('probed');
});
