// Goal: however small the limits of a listener are, sessions that proved nothing have a limit of their own, and never more than that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createServed, Switch } from '../../../src/gate/daemon/served.js';
import { createLoginGuard, Logins } from '../../../src/gate/login/logins.js';
import { kernelAccess } from '../../../src/gate/session/greet-peer.js';
import { createService } from '../../../src/gate/session/service.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { Transport } from '../../../src/host/ports/transport.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { Persons } from '../../../src/rules/identity/person.js';
import { memorySettings, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';

/** How many of so many silent connections stay open; each is from the address that `addressOf` says. */
async function held(connections: number, addressOf: (at: number) => string): Promise<number> {
  const { settings } = parseSettings('/etc/dovegate.yaml', {
    readText: () => memorySettings.replace('sessions: 3', 'sessions: 3, sessions_per_peer: 2'),
    glob: () => [],
    presetText: () => undefined,
  });
  assert.ok(settings !== undefined);
  const engine = openMemoryEngine();
  const logins = new Logins('support', [], createLoginGuard(engine.clock));
  const access = { ...kernelAccess, isPreauthenticated: false, logins } as const;
  const exchanges = { ...engine.exchanges, retire: () => Promise.resolve() };
  const numbers = { uidOf: () => undefined, gidOf: () => undefined };
  const served = new Switch();
  served.turnTo(
    createServed(settings, exchanges, numbers, new Map([['support', access]]), new Persons(new Map())),
  );
  const listener = served.listener('support');
  assert.ok(listener !== undefined);
  const service = createService({
    sessionsMax: Number.POSITIVE_INFINITY,
    clock: engine.clock,
    overdue: engine.exchanges.overdue,
  });
  const all: Transport[] = [];
  for (let at = 0; at < connections; at += 1) {
    const { transport } = createMemoryTransport();
    service.serve(listener, transport, { listener: 'support', address: addressOf(at) });
    all.push(transport);
  }
  const open = all.filter(({ closedFor }) => closedFor === undefined).length;
  service.cut();
  await settle();
  return open;
}

test('unauthenticated sessions of a listener', async () => {
  const most = bounds.unauthenticatedSessions;
  assert.equal(await held(most, (at) => `192.0.${at >> 8}.${at & 255}`), most);
  assert.equal(await held(most + 100, (at) => `192.0.${at >> 8}.${at & 255}`), most);
});

test('unauthenticated sessions of one network', async () => {
  const most = bounds.unauthenticatedPerPeer;
  assert.equal(await held(most, () => '192.0.2.1'), most);
  assert.equal(await held(most + 100, () => '192.0.2.1'), most);
});
