// Goal: a server whose store was put back from an older copy is filled up again by the gates, without a hand, and who verifies with what
// was seen before finds nothing missing. Two gates, one of which sends nothing but checkpoints in the meantime.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { natsReleases, openNatsServer } from '../../kit/gate/nats.js';
import { openAdministrator } from './administrator.js';
import { assertSameLines, type FleetGate, openFleetGate } from './gate.js';
import { openVerifier } from './verifier.js';

const hosts = ['gate-1', 'gate-2'] as const;
const chains = 'dovegate.audit.>';

for (const release of natsReleases)
  test(`the store of the server is replaced by an older copy (nats-server of ${release})`, {
    timeout: 600_000,
  }, async (t) => {
    const nats = await openNatsServer(t, { gates: hosts, release });
    if ('skip' in nats) return t.skip(nats.skip);
    const first = await openAdministrator(t, nats);
    await first.createStreams();
    await first.close();
    const gates: FleetGate[] = [];
    for (const host of hosts) gates.push(await openFleetGate(t, nats, { host, settle: '1h' }));
    const [busy, idle] = gates;
    assert.ok(busy !== undefined && idle !== undefined);
    const keys = Object.fromEntries(hosts.map((host, at) => [host, `{ key: "${gates[at]?.key ?? ''}" }`]));
    const verifier = openVerifier(t, { nats, hosts: keys, more: 'drift: 1h' });
    const work = async (answers: number): Promise<void> => {
      busy.work();
      await busy.untilAnswered(answers);
      await busy.rest();
      for (const gate of gates) await gate.catchUp();
    };
    idle.work();
    await idle.untilAnswered(200);
    await idle.rest();
    await work(200);
    await nats.stop();
    nats.copyStore('old');
    await nats.start();
    // What the copy does not have, and the verifier has seen.
    await work(800);
    const before = await verifier.verify();
    assert.deepEqual([before.exit, before.findings], [0, []], before.text);
    const seen = Buffer.concat(gates.map((gate) => gate.journal()));

    await nats.kill();
    nats.restoreStore('old');
    for (const { ship } of gates) ship.signal('SIGSTOP');
    await nats.start();
    const administrator = await openAdministrator(t, nats);
    const restored = Buffer.concat((await administrator.readAll(chains)).map(({ bytes }) => bytes));
    assert.ok(restored.length < seen.length / 2, `${restored.length} bytes of ${seen.length} are left`);
    for (const { ship } of gates) ship.signal('SIGCONT');
    busy.work();
    await busy.untilAnswered(200);
    await busy.rest();
    for (const gate of gates) await gate.catchUp();

    const after = await verifier.verify();
    assert.deepEqual([after.exit, after.findings], [0, []], after.text);
    for (const gate of gates) assert.deepEqual(await gate.stop(), { code: 0, signal: null });
    for (const [at, host] of hosts.entries()) {
      const messages = await administrator.readAll(`dovegate.audit.${host}.*`);
      assertSameLines(
        Buffer.concat(messages.map(({ bytes }) => bytes)),
        gates[at]?.journal() ?? Buffer.alloc(0),
      );
    }
    const told = busy.ship.logs.filter(({ event }) => String(event).startsWith('ship-'));
    assert.ok(
      told.some(({ event }) => event === 'ship-restarted'),
      busy.ship.output(),
    );
    assert.ok(!told.some(({ event }) => event === 'ship-missing'), busy.ship.output());
    const atEnd = await verifier.verify();
    assert.deepEqual([atEnd.exit, atEnd.findings], [0, []], atEnd.text);
    t.diagnostic(`nats-server ${nats.version}: ${String(atEnd.document['records'])} records verified`);
  });
