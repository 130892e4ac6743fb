// Goal: all sessions are counted, limited, and ended together.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelAccess } from '../../../src/gate/session/greet-peer.js';
import { createService } from '../../../src/gate/session/service.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { Peer } from '../../../src/host/ports/peer.js';
import type { Transport } from '../../../src/host/ports/transport.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import { type MemoryEngine, openMemoryEngine, openWithClient } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';
import { openStepCounter } from '../../kit/plain/step-counter.js';
import { accessByLogin } from './strangers.js';

// bounds.sessionsPerListener
void test('no more sessions than the listener may have; one that ends makes room', async () => {
  const engine = openMemoryEngine();
  const { sessionsMax } = engine.listener;
  const clients = [];
  for (let n = 0; n < sessionsMax; n += 1) clients.push(await engine.client(2));
  const surplus = await engine.client(2);
  assert.equal(surplus.transport.closedFor, undefined);
  await surplus.line('|alice@example.org|quota get');
  assert.equal(surplus.transport.closedFor, 'sessions-limit');
  assert.match(
    surplus.said(),
    /dovegate: more than 3 sessions at once \[sessions-limit\]\n.*\n-TEMPFAIL\n$/s,
  );
  assert.ok(engine.events.some((event) => event.kind === 'session-refused' && event.listener === 'support'));
  assert.deepEqual([engine.commands.length, engine.recordsOf('admission').length], [0, 0]);
  assert.equal(engine.service.sessions, sessionsMax);
  clients[0]?.peer.end();
  await settle();
  assert.equal(engine.service.sessions, sessionsMax - 1);
  const next = await engine.client(2);
  assert.equal(next.transport.closedFor, undefined);
  engine.service.cut();
  await settle();
  assert.equal(engine.service.sessions, 0);
});

// bounds.sessionsPerPeer
void test('one uid has no more sessions than a peer may have; others are served, and it is again when one ended', async () => {
  const engine = openMemoryEngine();
  const serve = (uid: number | undefined) =>
    engine.serve({ uid }, { sessionsMax: 10, sessionsPerPeerMax: 2 });
  /** Whether it is over when its client has sent a command. */
  const isRefused = async ({ transport, peer }: ReturnType<typeof serve>): Promise<boolean> => {
    peer.send('VERSION\tdoveadm-server\t1\t2\n\talice@example.org\tquota get\n');
    await settle();
    return transport.closedFor === 'sessions-limit' && /TEMPFAIL/.test(String(peer.received()));
  };
  const first = serve(1000);
  const some = [serve(1000), serve(1000), serve(1001)];
  assert.deepEqual(await Promise.all(some.map(isRefused)), [false, true, false]);
  // Of whom nothing is known count together.
  const unknown = [serve(undefined), serve(undefined), serve(undefined)];
  assert.deepEqual(await Promise.all(unknown.map(isRefused)), [false, false, true]);
  first.peer.end();
  await settle();
  assert.equal(serve(1000).transport.closedFor, undefined);
  engine.service.cut();
  await settle();
});

// bounds.refusedSessions, bounds.refusedStepMs
void test('clients over a limit are told why: so many at once, half of them of one uid, each for one command and a few seconds', async () => {
  const engine = openMemoryEngine();
  let described = 0;
  const serve = (uid: number) =>
    engine.serve({ uid }, { sessionsMax: 1000, sessionsPerPeerMax: 1 }, () => {
      described += 1;
      return Promise.resolve({ listener: 'support', uid, user: `user${uid}` });
    });
  for (const uid of [1, 2, 3]) serve(uid);
  const greedy = Array.from({ length: 100 }, () => serve(1));
  const others = Array.from({ length: 100 }, () => serve(2));
  const isOpen = ({ transport }: (typeof greedy)[0]): boolean => transport.closedFor === undefined;
  assert.deepEqual(
    [greedy.filter(isOpen).length, others.filter(isOpen).length, isOpen(serve(3))],
    [bounds.refusedSessions / 2, bounds.refusedSessions / 2, false],
  );
  // Ten a second are logged of each uid; the system is asked for the names of these, and of those that are told.
  assert.ok(described <= bounds.refusedSessions + 40, String(described));
  await settle();
  const refused = engine.events.find((event) => event.kind === 'session-refused');
  assert.ok(refused?.kind === 'session-refused');
  assert.deepEqual(
    [refused.principal, refused.text],
    ['user1@support', 'more than 1 sessions of user1 at once'],
  );
  const [asking, silent] = greedy;
  asking?.peer.send(
    'VERSION\tdoveadm-server\t1\t1\n\ta@example.org\tquota get\n\ta@example.org\tquota get\n',
  );
  await settle();
  const said = String(asking?.peer.received());
  assert.equal(said.split('TEMPFAIL').length, 2, said);
  assert.match(said, /dovegate: more than 1 sessions of user1 at once/);
  // The place is free again; who says nothing has it for a few seconds.
  assert.ok(isOpen(serve(3)));
  await engine.clock.advance(6_000);
  assert.deepEqual([silent?.transport.closedFor, silent?.peer.isReset], ['sessions-limit', true]);
  engine.service.cut();
  await engine.untilIdle();
});

void test('who comes by TCP and is turned away is gone at once: nobody counts what is left of him', async () => {
  const engine = openMemoryEngine();
  const serve = () => {
    const { transport, peer } = engine.serve({ uid: undefined, address: '192.0.2.1' }, { sessionsMax: 1 });
    return [transport.closedFor, peer.isReset];
  };
  assert.deepEqual(
    [serve(), serve()],
    [
      [undefined, false],
      ['sessions-limit', true],
    ],
  );
  engine.service.cut();
  await settle();
});

void test('silent strangers of many addresses keep nobody out, and take no place from an address where somebody logged in lately', async () => {
  const access = accessByLogin();
  const engine = openMemoryEngine({ access: () => access });
  const serve = (address: string) =>
    engine.serve({ uid: undefined, address }, { unauthenticatedMax: 2 }).transport;
  const strangers = [serve('192.0.2.1'), serve('192.0.2.2')];
  const all = () => [...strangers, known].map(({ closedFor }) => closedFor);
  access.logins.byCertificate({ names: ['robot'], fingerprint: '', authorities: [] }, '192.0.2.3');
  const known = serve('192.0.2.3');
  assert.deepEqual(all(), ['sessions-limit', undefined, undefined]);
  for (const address of ['192.0.2.4', '192.0.2.5']) assert.equal(serve(address).closedFor, undefined);
  assert.deepEqual(all(), ['sessions-limit', 'sessions-limit', undefined]);
  engine.service.cut();
  await settle();
});

void test('who must log in is served in the turn of its network, as long as there are descriptors for those who wait', async () => {
  const engine = openMemoryEngine({ access: accessByLogin });
  const { service } = engine;
  const listener = { ...engine.listener, unauthenticatedMax: 2_000, unauthenticatedPerPeerMax: 2_000 };
  const served: string[] = [];
  const arrive = (address: string): boolean => {
    const turn = service.turnOf(listener, address);
    void turn?.then(() => served.push(address));
    return turn !== undefined;
  };
  for (let n = 0; n < 999; n += 1) assert.ok(arrive('192.0.2.1'));
  assert.ok(arrive('198.51.100.7'));
  assert.equal(arrive('192.0.2.1'), false, 'a thousand wait');
  for (let turns = 0; !served.includes('198.51.100.7'); turns += 1) {
    assert.ok(turns < 100);
    await settle();
  }
  assert.ok(served.length <= 8, `${served.length} before it`);
  while (served.length < 1000) await settle();
  assert.ok(arrive('192.0.2.1'));
  await service.drain();
  assert.equal(arrive('192.0.2.1'), false);
  assert.equal(service.turnOf({ ...listener, context: engine.context }, undefined), undefined);
});

void test('no more of an address, or of a listener, wait for their turn than may be unauthenticated', () => {
  const engine = openMemoryEngine({ access: accessByLogin });
  const listener = { ...engine.listener, unauthenticatedMax: 6, unauthenticatedPerPeerMax: 4 };
  const waits = (address: string): boolean => {
    const turn = engine.service.turnOf(listener, address);
    void turn?.then(() => undefined);
    return turn !== undefined;
  };
  const from = (address: string) => Array.from({ length: 5 }, () => waits(address));
  assert.deepEqual(from('192.0.2.1'), [true, true, true, true, false]);
  assert.deepEqual(from('192.0.2.2'), [true, true, false, false, false]);
});

/** A listener of an engine that permits uid 1000 only, and how peers of other uids connect to it. */
function openForOne(engine: ReturnType<typeof openMemoryEngine>) {
  const { context } = engine;
  const policy = (peer: Peer) => (peer.uid === 1000 ? context.policy(peer) : undefined);
  const changes = { sessionsPerPeerMax: 1, context: { ...context, policy } };
  return (uid: number, more: Partial<Peer> = {}) => {
    const who: Peer = { listener: 'support', uid, gid: 5, ...more };
    const served = engine.serve(who, changes, () => Promise.resolve({ ...who, user: 'anna' }));
    return { ...served, isOpen: (): boolean => served.transport.closedFor === undefined };
  };
}

const quota = 'VERSION\tdoveadm-server\t1\t2\n\ta@example.org\tquota get\n';

void test('a client that `peers` does not permit is greeted, answered once with -NOPERM and closed; nothing is sent or recorded', async () => {
  const engine = openMemoryEngine();
  const connect = openForOne(engine);
  const refused = connect(1001);
  refused.peer.send(`${quota}\ta@example.org\tquota get\n`);
  await settle();
  assert.match(
    String(refused.peer.received()),
    /^VERSION\tdoveadm-client\t1\t3\n\+\nL.{4}\x04dovegate: anna \(uid 1001, gid 5\) is not among the peers of listener support; ask the operators to add you to them, or use another listener \[peer-refused\]\n\0.{4}\n-NOPERM\n$/s,
  );
  assert.equal(refused.transport.closedFor, 'peer-refused');
  assert.deepEqual([engine.commands.length, engine.records.length, engine.service.sessions], [0, 0, 0]);
  // Over TCP nothing is said, and a client of HTTP waits for another greeting.
  const far = connect(1001, { address: '192.0.2.1' });
  assert.deepEqual([far.transport.closedFor, far.peer.isReset], ['peer-refused', true]);
  const http = openMemoryEngine({ access: () => ({ ...kernelAccess, protocol: 'http' }) });
  assert.equal(openForOne(http)(1001).transport.closedFor, 'peer-refused');
  engine.service.cut();
});

// bounds.unpermittedSessions
void test('clients that `peers` does not permit have few places, half of them for one uid, and none of those over a limit', async () => {
  const engine = openMemoryEngine();
  const connect = openForOne(engine);
  const most = bounds.unpermittedSessions;
  const flood = (uid: number) => Array.from({ length: 100 }, () => connect(uid));
  const [one, other] = [flood(1001), flood(1002)];
  const open = (clients: typeof one) => clients.filter(({ isOpen }) => isOpen()).length;
  assert.deepEqual([open(one), open(other), connect(1003).isOpen()], [most / 2, most / 2, false]);
  // A client that is permitted, and over its limit, still gets the reason.
  connect(1000).peer.send('VERSION\tdoveadm-server\t1\t2\n');
  const over = connect(1000);
  over.peer.send(quota);
  await settle();
  assert.match(String(over.peer.received()), /\[sessions-limit\]\n.*\n-TEMPFAIL\n$/s);
  // And the other way round: as many as there may be over their limit leave these places alone.
  const all = Array.from({ length: bounds.refusedSessions }, () => connect(1000));
  assert.equal(open(all), bounds.refusedSessions / 2);
  // An answer makes room; so does the time.
  one[0]?.peer.send(quota);
  await settle();
  const next = connect(1003);
  assert.ok(next.isOpen());
  await engine.clock.advance(bounds.refusedStepMs);
  await settle();
  assert.deepEqual([open(one), open(other), next.peer.isReset], [0, 0, true]);
  engine.service.cut();
  await engine.untilIdle();
});

void test('whom no policy takes gets no session; a flood of them is one record', async () => {
  const engine = openMemoryEngine();
  const connect = openForOne(engine);
  for (let n = 0; n < 25; n += 1) {
    const { transport, peer } = connect(1001);
    peer.send(quota);
    await settle();
    assert.equal(transport.closedFor, 'peer-refused');
  }
  const refused = () => engine.events.filter(({ kind }) => kind === 'session-refused');
  await engine.clock.advance(0);
  assert.equal(refused().length, 10);
  assert.deepEqual(refused()[0], {
    kind: 'session-refused',
    level: 'warn',
    listener: 'support',
    principal: 'anna@support',
    text: 'anna (uid 1001, gid 5) is not among the peers of listener support',
  });
  await engine.clock.advance(1000);
  const records = engine.records.map(({ record }) => record);
  assert.deepEqual(
    records.map(({ event, action, principal, count }) => [event, action, principal, count]),
    [['limit', 'turned-away', '1001@support', 15]],
  );
});

void test('a reload that takes a right away ends its sessions: idle ones now, the others after their exchange', async () => {
  const engine = openMemoryEngine({ answer: () => undefined });
  let isGone = false;
  const { context } = engine;
  const policy = (peer: Peer) => (isGone && peer.uid === 1001 ? undefined : context.policy(peer));
  const serve = (uid: number) => engine.client(0, { uid }, { context: { ...context, policy } });
  const [stays, idle, busy] = [await serve(1000), await serve(1001), await serve(1001)];
  await busy.line('|alice@example.org|quota get');
  isGone = true;
  engine.service.reviewRights();
  assert.deepEqual(
    [stays, idle, busy].map(({ transport }) => transport.closedFor),
    [undefined, 'revoked', undefined],
  );
  engine.commands[0]?.end.peer.send(replyPacket('row\t\n+\n'));
  await settle();
  assert.equal(busy.transport.closedFor, 'revoked');
  assert.equal(stays.transport.closedFor, undefined);
  engine.service.cut();
  await settle();
});

void test('drain without sessions is over at once; afterwards nobody is served', async () => {
  const engine = openMemoryEngine();
  await engine.service.drain();
  const late = await engine.client(2);
  assert.deepEqual([late.transport.closedFor, late.said(), engine.service.sessions], ['draining', '', 0]);
});

void test('drain is over when the last session is, and its last bytes have left', async () => {
  const { engine, client } = await openWithClient(2, { answer: () => undefined });
  await client.line('|alice@example.org|quota get');
  let isOver = false;
  const drained = engine.service.drain().then(() => {
    isOver = true;
  });
  client.peer.setStopped(true);
  engine.commands[0]?.end.peer.send(replyPacket('row\t\n+\n'));
  await settle();
  assert.deepEqual([client.transport.closedFor, isOver], ['draining', false]);
  client.peer.setStopped(false);
  await drained;
  assert.match(client.said(), /row\t\n\+\n$/);
});

// Goal: what a full listener refuses costs the same however many sessions it has, and the system is asked for a name only where it is
// logged. What must not happen: a flood of connections walks all sessions for each of them.

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
