// Goal: what a full listener refuses costs the same however many sessions it has, and the system is asked for a name only where it is
// logged. What must not happen: a flood of connections walks all sessions for each of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createService } from '../../../src/gate/session/service.js';
import type { Peer } from '../../../src/host/ports/peer.js';
import type { Transport } from '../../../src/host/ports/transport.js';
import { type MemoryEngine, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';
import { openStepCounter } from '../../kit/plain/step-counter.js';
import { accessByLogin } from './strangers.js';

const refusals = 200;

/**
 * Steps of so many connections above the limit, at a listener that has `sessionsMax` sessions. The newcomer is refused; over TCP the oldest
 * session is closed for it.
 */
async function stepsOfRefusals(
  engine: MemoryEngine,
  sessionsMax: number,
  peerOf: (at: number) => Peer,
): Promise<number> {
  const perPeer = { sessionsPerPeerMax: sessionsMax, unauthenticatedPerPeerMax: sessionsMax };
  const listener = { ...engine.listener, sessionsMax, unauthenticatedMax: sessionsMax, ...perPeer };
  const service = createService({
    sessionsMax: Number.POSITIVE_INFINITY,
    clock: engine.clock,
    overdue: engine.exchanges.overdue,
  });
  const all: Transport[] = [];
  const serve = (at: number): void => {
    const { transport } = createMemoryTransport();
    service.serve(listener, transport, peerOf(at));
    all.push(transport);
  };
  const closed = (): number => all.filter(({ closedFor }) => closedFor === 'sessions-limit').length;
  for (let at = 0; at < sessionsMax; at += 1) serve(at);
  await settle();
  // Explained ones take their places, and the gates of the log close.
  for (let at = 0; at < refusals; at += 1) serve(sessionsMax + at);
  await settle();
  const counter = openStepCounter();
  const before = closed();
  const steps = await counter.count(() => {
    for (let at = 0; at < refusals; at += 1) serve(sessionsMax + refusals + at);
  });
  counter.close();
  assert.equal(closed() - before, refusals);
  assert.ok(service.sessions <= sessionsMax);
  service.cut();
  await settle();
  return steps;
}

// bounds.refusedSessions
void test('a refused connection at a full listener costs the same with 100 sessions and with 1,500', async (t) => {
  const kinds = {
    'of one person': { peerOf: () => ({ listener: 'support', uid: 1000 }), isTcp: false },
    'of many people': { peerOf: (at: number) => ({ listener: 'support', uid: 1000 + at }), isTcp: false },
    'of silent strangers': {
      peerOf: (at: number) => ({ listener: 'support', address: `10.${at >> 8}.${at & 255}.1` }),
      isTcp: true,
    },
  };
  for (const [name, { peerOf, isTcp }] of Object.entries(kinds)) {
    const open = () => openMemoryEngine(isTcp ? { access: accessByLogin } : {});
    const few = await stepsOfRefusals(open(), 100, peerOf);
    const many = await stepsOfRefusals(open(), 1_500, peerOf);
    t.diagnostic(`${name}: ${few / refusals} steps each with 100 sessions, ${many / refusals} with 1,500`);
    assert.ok(many < few * 1.5, `${name}: ${few} steps with 100 sessions, ${many} with 1,500`);
  }
});

void test('a flood of clients that are told why asks the system for ten names a second', async () => {
  const engine = openMemoryEngine();
  let described = 0;
  const serve = async (): Promise<string> => {
    const who: Peer = { listener: 'support', uid: 1000, gid: 5 };
    const { peer } = engine.serve(who, { sessionsPerPeerMax: 1 }, () => {
      described += 1;
      return Promise.resolve({ ...who, user: 'anna' });
    });
    peer.send('VERSION\tdoveadm-server\t1\t2\n\ta@example.org\tquota get\n');
    await settle();
    return String(peer.received());
  };
  await serve();
  const asked = described;
  const said: string[] = [];
  for (let n = 0; n < 50; n += 1) said.push(await serve());
  assert.equal(described - asked, 10);
  assert.match(said[0] ?? '', /more than 1 sessions of anna at once/);
  assert.match(
    said[49] ?? '',
    /more than 1 sessions of uid 1000 \(gid 5\) at once \[sessions-limit\]\n.*\n-TEMPFAIL\n$/s,
  );
  engine.service.cut();
  await engine.untilIdle();
});
