// Goal: sessions of a gate without a valid configuration are bounded: one uid has half of them, all uids together no more than there are.
// In one process with real sockets. The clock is turned by hand, so that no session ends by itself; the uids are the test's, since only
// root can be several.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { FindPeer } from '../../src/adapters/host/find-peer.js';
import { loadNative } from '../../src/adapters/host/native.js';
import { createServiceManager, descriptorsMax } from '../../src/adapters/host/process.js';
import type { Log } from '../../src/adapters/telemetry/log.js';
import { bounds } from '../../src/bounds/bounds.js';
import { serveClosed } from '../../src/daemon/closed.js';
import { loadConfiguration } from '../../src/setup/configuration.js';
import { createFakeClock } from '../kit/fake-clock.js';
import { openFolder } from '../kit/folder.js';
import { openSocket } from '../kit/passed-sockets.js';

interface Client {
  /** The gate greeted it. The others are closed without a byte. */
  readonly isLetIn: boolean;
  /** Ends the connection; resolves when the gate has ended it too. */
  readonly leave: () => Promise<void>;
}

async function connectTo(t: TestContext, path: string): Promise<Client> {
  const socket = connect(path);
  t.after(() => socket.destroy());
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
  const greeted = new Promise<void>((resolve) => {
    socket.on('data', () => resolve());
  });
  socket.write('VERSION\tdoveadm-server\t1\t0\n');
  const isLetIn = await Promise.race([greeted.then(() => true), closed.then(() => false)]);
  return {
    isLetIn,
    leave() {
      socket.end();
      return closed;
    },
  };
}

// bounds.closedSessions
test('1000 sessions, and half of them for one uid; a place is free again when a session ends', async (t) => {
  assert.equal(bounds.closedSessions, 1000);
  if ((descriptorsMax() ?? Infinity) < 4000) return t.skip('this machine permits too few open files');
  const folder = openFolder(t);
  const path = join(folder, 'support.sock');
  const passed = [{ name: 'support', descriptor: await openSocket(t, path) }];
  const config = join(folder, 'dovegate.yaml');
  writeFileSync(config, 'version: 1\n');
  const clock = createFakeClock();
  const native = await loadNative();
  let uid = 0;
  const findPeer: FindPeer = (listener) => {
    const peer = { listener, uid };
    return { peer, describe: () => Promise.resolve(peer) };
  };
  const log: Log = {
    observe: () => undefined,
    report: () => undefined,
    setLevel: () => undefined,
    dropped: 0,
    suppressed: new Map(),
    flush: () => Promise.resolve(),
  };
  const manager = createServiceManager({ notify: undefined, watchdogMs: undefined }, native, clock);
  let stop = (): void => undefined;
  const first = new Promise<string>((resolve) => {
    stop = () => resolve('stop');
  });
  const own = { clock, manager, log, findPeer, native, passed, stop: { first, second: first } };
  const over = serveClosed(loadConfiguration(config), config, own, { failedStart: 'the journal is locked' });
  const letIn = async (count: number): Promise<number> => {
    const all = await Promise.all(Array.from({ length: count }, () => connectTo(t, path)));
    return all.filter(({ isLetIn }) => isLetIn).length;
  };

  uid = 1001;
  assert.deepEqual([await letIn(500), await letIn(1)], [500, 0]);
  uid = 1002;
  assert.equal(await letIn(499), 499);
  const last = await connectTo(t, path);
  assert.equal(last.isLetIn, true);
  uid = 1003;
  assert.equal(await letIn(1), 0);
  await last.leave();
  assert.deepEqual([await letIn(1), await letIn(1)], [1, 0]);
  stop();
  assert.equal(await over, 'stopped');
});
