// Goal: an address becomes a transport, or one fault that says why. What must not happen: a socket that stays after an abort.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { createConnect } from '../../../src/adapters/net/dial.js';
import { UpstreamFault } from '../../../src/ports/faults.js';
import { createFakeClock } from '../../kit/fake-clock.js';
import { openFolder } from '../../kit/folder.js';
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
  await assert.rejects(
    connect({ kind: 'unix', path: join(folder, 'none') }, never),
    refusal(/no such socket/),
  );
  await assert.rejects(connect({ kind: 'unix', path: join(folder, 'x'.repeat(200)) }, never), refusal(/xxx/));
});

void test('an address with a zone is dialled through that interface', async (t) => {
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
