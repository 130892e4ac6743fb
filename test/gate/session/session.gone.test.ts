// Goal: a command that came in one chunk with another is not begun for a client that left during that other one. What must not
// happen: a change for nobody.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLoginGuard, Logins } from '../../../src/gate/login/logins.js';
import { kernelAccess } from '../../../src/gate/session/greet-peer.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import { memorySettings, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';

for (const next of ['quota get', 'mailbox subscribe\tB', 'mailbox subscribe\tA']) {
  void test(`${next}, whose record nobody waits for`, async () => {
    const settings = memorySettings.replace('version: 1', 'version: 1\naudit: { strict: [] }');
    const engine = openMemoryEngine({ settings });
    engine.setAnswer(() => undefined);
    const client = await engine.client(2);
    client.peer.send(`\talice@example.org\tmailbox subscribe\tA\n\talice@example.org\t${next}\n`);
    await settle();
    client.peer.vanish();
    await settle();
    engine.commands[0]?.end.peer.send(replyPacket('\n+\n'));
    await settle();
    assert.equal(engine.commands.length, 1, 'sent for nobody');
    const close = engine.records.find(({ record }) => record.event === 'session-close');
    assert.deepEqual([close?.record.reason, close?.record.count], ['peer-gone', 1]);
  });
}

void test('who proved nothing has one second to take the last bytes', async () => {
  const logins = new Logins('support', [], createLoginGuard(createFakeClock()));
  const access = { ...kernelAccess, isPreauthenticated: false, logins } as const;
  const engine = openMemoryEngine({ access: () => access });
  const { transport, peer } = createMemoryTransport();
  peer.setStopped(true);
  engine.service.serve(engine.listener, transport, { listener: 'support', address: '192.0.2.1' });
  await settle();
  peer.send('VERSION\tdoveadm-server\t1\t2\n');
  await settle();
  peer.end();
  await settle();
  assert.ok(transport.closedFor !== undefined && transport.unsentBytes > 0);
  await engine.clock.advance(999);
  assert.equal(peer.isReset, false);
  await engine.clock.advance(1);
  assert.equal(peer.isReset, true);
});
