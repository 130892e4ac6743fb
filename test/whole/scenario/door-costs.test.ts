// Goal: every call of a door, and every act and step in one, has what it may cost the gate: how often it is carried out, and bytes of the
// journal. The tables have a row for each of them, so that a new one without a row does not compile. Phases: each one is asked far more
// often than its budget, as a process that was taken over would, each time so that there is something to record.
// What must not happen: a call that is carried out more often than its row says, or that records more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DoorAction } from '../../../src/gate/door/action.js';
import type { DoorAccess, DoorCall } from '../../../src/gate/door/calls.js';

import type { ShipCall } from '../../../src/gate/door/ship.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { askDoor, generationOf } from '../../kit/gate/ask-door.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { hash } from '../../kit/gate/tcp-gate.js';
import { doorMessages, shipMessage } from '../../kit/plain/door-messages.js';

interface Cost {
  /** Undefined: not limited by a rate; it does something once. */
  readonly rate?: readonly [atOnce: number, againMs: number];
  /** Most bytes of the journal that one of them adds; 0: none. */
  readonly bytes: number;
  /** Undefined: `test/gate/daemon/door-budget.test.ts` has its rate, and no body of it is recorded. */
  readonly body?: (at: number) => object;
}

const call = [bounds.doorCalls, bounds.doorCallMs] as const;
const stream = { rate: [bounds.doorStreamOpens, bounds.doorStreamMs], bytes: 0 } as const;
const step = [bounds.doorSteps, bounds.doorStepMs] as const;
/** A record of one line. */
const line = 2_048;
/** Above the rates of a lock and of a step; those of lists and calls are asked of `DoorBudget` by its own test. */
const times = 30;

test('each call of a door costs what its row says', async (t) => {
  const people = `{ ann: { password_hash: "${hash}", roles: [audit, operate, approve] }, bob: { password_hash: "${hash}", roles: [operate] } }`;
  const { daemon } = await openGateway(t, {
    audit:
      '{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, ship: [{ syslog: "127.0.0.1:1", ca: ca.pem }] }',
    more: `admin: { unix: admin.sock, door: door.sock, page: { tcp: "127.0.0.1:1", approve: true, people: ${people} } }`,
  });
  const generation = await generationOf(daemon, t);
  const as = (role: string) => ({ person: 'ann', role, generation });
  const messages = new Map<string, object>(doorMessages(generation));
  const usual = (path: string) => (): object => messages.get(path) ?? assert.fail(path);
  const act = (of: (at: number) => DoorAction) => (at: number) => ({
    as: as('operate'),
    from: [],
    action: of(at),
  });
  const decide = (word: DoorAccess['step']) => (at: number) => ({
    as: as('approve'),
    from: [],
    step: word,
    id: word === 'list' ? '' : `A${at}`,
    ...(word === 'refuse' || word === 'revoke' ? { reason: 'x' } : {}),
  });

  const acts: Readonly<Record<DoorAction['kind'], Cost>> = {
    kill: { bytes: 0, body: act((at) => ({ kind: 'kill', id: `kill-${at}` })) },
    drain: { bytes: line, body: act(() => ({ kind: 'drain', backend: 'mail1' })) },
    enable: { rate: call, bytes: line, body: act(() => ({ kind: 'enable', backend: 'mail1' })) },
    acknowledge: { rate: call, bytes: line, body: act(() => ({ kind: 'acknowledge', text: 'x', hours: 1 })) },
    lock: {
      rate: [bounds.doorLocks, bounds.doorLockMs],
      bytes: line,
      body: act((at) => ({
        kind: 'lock',
        target: `user:u${at}@example.org`,
        forMs: bounds.lockLeastMs,
        reason: 'x',
        kills: false,
        isHold: false,
      })),
    },
    unlock: {
      rate: call,
      bytes: line,
      body: act((at) => ({ kind: 'unlock', target: `user:u${at}@example.org`, reason: 'x' })),
    },
  };
  const steps: Readonly<Record<DoorAccess['step'], Cost>> = {
    list: { rate: [bounds.doorLists, bounds.doorListMs], bytes: 0, body: decide('list') },
    approve: { rate: step, bytes: line, body: decide('approve') },
    review: { rate: step, bytes: line, body: decide('review') },
    refuse: { bytes: 0, body: decide('refuse') },
    revoke: { bytes: 0, body: decide('revoke') },
  };
  const calls: Readonly<Record<Exclude<DoorCall, 'operate' | 'access'>, Cost>> = {
    settings: stream,
    now: stream,
    traffic: stream,
    facts: { rate: call, bytes: 0 },
    flush: { rate: call, bytes: 0, body: () => ({}) },
    record: { rate: call, bytes: line, body: usual('/record') },
    sign: { rate: call, bytes: line, body: usual('/sign') },
    report: {
      rate: call,
      bytes: line,
      body: () => ({ token: 'x'.repeat(43), generation, address: '192.0.2.7' }),
    },
    refused: { rate: call, bytes: line, body: usual('/refused') },
    page: { rate: call, bytes: 0, body: usual('/page') },
  };
  const ship: Readonly<Record<ShipCall, Cost>> = {
    receivers: stream,
    shipped: { rate: call, bytes: 0, body: () => shipMessage },
  };
  const rows: readonly (readonly [name: string, cost: Cost, path: string, door: string])[] = [
    ...Object.entries(acts).map(([name, cost]) => [name, cost, '/operate', 'door.sock'] as const),
    ...Object.entries(steps).map(([name, cost]) => [name, cost, '/access', 'door.sock'] as const),
    ...Object.entries(calls).map(([name, cost]) => [name, cost, `/${name}`, 'door.sock'] as const),
    ...Object.entries(ship).map(([name, cost]) => [`ship ${name}`, cost, `/${name}`, 'ship.sock'] as const),
  ];

  for (const [name, { rate, bytes, body }, path, door] of rows) {
    if (body === undefined) continue;
    await t.test(name, async () => {
      await askDoor(daemon, '/flush', {});
      const before = daemon.audit().length;
      const startMs = performance.now();
      let carriedOut = 0;
      for (let at = 0; at < times; at += 1)
        if ((await askDoor(daemon, path, body(at), door)).code !== 'busy') carriedOut += 1;
      const [atOnce, againMs] = rate ?? [times, 1];
      const most = Math.min(times, Math.ceil(atOnce + (performance.now() - startMs) / againMs + 1));
      assert.ok(carriedOut <= most, `${carriedOut} of ${times} were carried out, and not ${most}`);
      await askDoor(daemon, '/flush', {});
      const added = daemon
        .audit()
        .slice(before)
        .filter(({ record }) => record['event'] !== 'checkpoint');
      const size = added.reduce((sum, { text }) => sum + text.length, 0);
      // One record may be of something else, as of a time that ends.
      const mostBytes = (rate === undefined ? 1 : most) * bytes + line;
      assert.ok(size <= mostBytes, `${added.length} records, ${size} bytes, and not ${mostBytes}`);
      t.diagnostic(`${name}: ${carriedOut} of ${times}, ${added.length} records, ${size} bytes`);
    });
  }
});
