// Goal: a transport inside TLS, or a fault that says why, in time. What must not happen: a transport or timer that stays behind.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { dialReceiver } from '../../../src/adapters/shipping/receiver.js';
import { UpstreamFault } from '../../../src/ports/faults.js';
import type { TlsDemand } from '../../../src/ports/transport.js';
import { createFakeClock, settle } from '../../kit/fake-clock.js';
import { at, createMemoryDialler } from '../../kit/memory-backend.js';

const address = { kind: 'tcp', host: 'logs.example.com', port: 6514 } as const;
const wanted: TlsDemand = { serverName: 'logs.example.com', ca: 'PEM', keyPins: [] };

function start(demand: () => TlsDemand = () => wanted) {
  const clock = createFakeClock();
  const dialler = createMemoryDialler();
  const controller = new AbortController();
  const { signal } = controller;
  const run = () => {
    const dialling = dialReceiver({ address, demand }, dialler.connect, clock, signal);
    dialling.catch(() => undefined);
    return dialling;
  };
  const assertTidy = (open: number): void => {
    assert.equal(clock.timers, 0);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    assert.equal(dialler.open.length, open);
  };
  return { clock, dialler, controller, run, assertTidy };
}

const fault = (code: string) => (error: unknown) => error instanceof UpstreamFault && error.code === code;

void test('TLS from the first byte, as demanded at that time', async () => {
  let asked = 0;
  const { dialler, run, assertTidy } = start(() => {
    asked += 1;
    return { ...wanted, ca: `PEM ${asked}` };
  });
  for (const turn of [1, 2]) {
    const transport = await run();
    assert.equal(transport, at(dialler.ends, -1).transport);
    assert.deepEqual(at(dialler.ends, -1).peer.tlsDemands, [{ ...wanted, ca: `PEM ${turn}` }]);
    assertTidy(turn);
  }
  assert.deepEqual(at(dialler.ends, 0).address, address);
});

void test('nobody there, no TLS there, no file here', async () => {
  const refused = start();
  refused.dialler.setAnswer('refuse');
  await assert.rejects(refused.run(), fault('dial-refused'));
  refused.assertTidy(0);
  const clear = start();
  clear.dialler.onAccept(({ peer }) => peer.setTls('refuse'));
  await assert.rejects(clear.run(), fault('tls-failed'));
  clear.assertTidy(0);
  const unreadable = start(() => {
    throw new Error('/etc/ca.pem: ENOENT');
  });
  await assert.rejects(unreadable.run(), fault('tls-failed'));
  assert.equal(unreadable.dialler.dials, 0);
});

// bounds.receiverConnectMs, bounds.receiverHandshakeMs
void test('each phase has its time', async () => {
  const connecting = start();
  connecting.dialler.setAnswer('hang');
  const first = connecting.run();
  await connecting.clock.advance(5000);
  await assert.rejects(first, fault('dial-timeout'));
  connecting.assertTidy(0);
  const shaking = start();
  shaking.dialler.onAccept(({ peer }) => peer.setTls('hang'));
  const second = shaking.run();
  await shaking.clock.advance(5000);
  await assert.rejects(second, fault('dial-timeout'));
  shaking.assertTidy(0);
});

void test('an abort ends either phase with its reason', async () => {
  for (const phase of ['connect', 'TLS', 'before'] as const) {
    const { dialler, controller, run, assertTidy } = start();
    if (phase === 'connect') dialler.setAnswer('hang');
    else dialler.onAccept(({ peer }) => peer.setTls('hang'));
    const reason = new UpstreamFault('dial-timeout', 'no more');
    if (phase === 'before') controller.abort(reason);
    const dialling = run();
    await settle();
    controller.abort(reason);
    await assert.rejects(dialling, (error) => error === reason);
    assertTidy(0);
  }
});
