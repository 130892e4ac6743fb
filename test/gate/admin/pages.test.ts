// What each endpoint says; and that asking all the time does not cost all the time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPages } from '../../../src/gate/admin/pages.js';
import { type Running, stateOfRoute, whyNotReady } from '../../../src/gate/now/running.js';
import { type TextAnswer } from '../../../src/host/http/server.js';
import { backend, down, drained, exchange, fault, healthy } from '../../kit/gate/running.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

function open(snapshot: Running, metrics: () => Promise<string> = () => Promise.resolve('m 1\n')) {
  const clock = createFakeClock();
  const errors: string[] = [];
  const onError = (text: string): void => void errors.push(text);
  const flushed = (): Promise<void> => Promise.resolve();
  const pages = createPages({ clock, snapshot: () => snapshot, metrics, flushed, onError });
  const ask = async (path: string): Promise<TextAnswer> => {
    const page = pages.get(path);
    assert.ok(page !== undefined, path);
    return page.answer();
  };
  return { clock, pages, ask, errors };
}

function parsed(answer: TextAnswer): unknown {
  assert.equal(answer.type, 'application/json; charset=utf-8');
  assert.ok(answer.body.endsWith('}\n'));
  return JSON.parse(answer.body);
}

test('over TCP without a token: health and metrics, not the status', () => {
  const { pages } = open(healthy);
  assert.deepEqual(
    [...pages].map(([path, { isHarmless }]) => [path, isHarmless]),
    [
      ['/healthz', true],
      ['/readyz', true],
      ['/metrics', true],
      ['/flushed', false],
      ['/status.json', false],
    ],
  );
});

test('a part that cannot be made takes no other with it, and readiness asks only for our own state', async () => {
  const broken = (key: keyof Running): Running =>
    Object.defineProperty({ ...healthy }, key, {
      enumerable: true,
      get() {
        throw new RangeError('Invalid time value');
      },
    });
  const { ask, errors } = open(broken('lookups'));
  const status = await ask('/status.json');
  assert.equal(status.status, 200);
  const { problems: _, ...whole } = Object(parsed(await open(healthy).ask('/status.json')));
  assert.deepEqual(parsed(status), { ...whole, not_shown: ['problems'] });
  assert.deepEqual(errors, ['problems of the status: Invalid time value']);
  const ready = await open(healthy).ask('/readyz');
  for (const key of ['lookups', 'page', 'sinks', 'keys', 'exchanges', 'access', 'listeners'] as const)
    assert.deepEqual(await open(broken(key)).ask('/readyz'), ready, key);
  const withoutReload = await open(broken('reload')).ask('/readyz');
  assert.equal(withoutReload.status, 200);
  assert.deepEqual(parsed(withoutReload), { ...Object(parsed(ready)), not_shown: ['problems'] });
});

test('healthz says ok whatever is broken', async () => {
  const { ask } = open({ ...healthy, state: 'draining', backends: [] });
  assert.deepEqual(await ask('/healthz'), { status: 200, type: 'text/plain; charset=utf-8', body: 'ok\n' });
});

/** What is wrong stands among the rest, with plain times, and names nobody else. */
const since = '1970-01-01T00:00:00.000Z';
const held = { id: 'H1', target: 'user:bob@example.org', by: 'root', reason: 'case 17', since, hold: true };
const away = fault('dial-refused', 'nobody listens there', 'what the table says');
const sinks = [
  { name: 'logs:6514', state: 'away' as const, fault: away, lagRecords: 7, lagMs: 1_500.4, safeSeq: 3 },
];
const unused = { listener: 'panel', policy: 'panel', leftMs: undefined, lastUsedMs: undefined, failures: 0 };
const keys = [
  { ...unused, name: 'a', expiresMs: undefined },
  { ...unused, name: 'b', expiresMs: Date.UTC(2027, 0), lastUsedMs: Date.UTC(2026, 5), failures: 3 },
  { ...unused, name: 'c', expiresMs: Date.UTC(2025, 5, 30, 18), leftMs: -1, failures: 7 },
];
const mark = { by: 'anna', until: '2026-11-22T00:00:00.000Z' };
const acknowledged = (problem: string) => (problem === 'key-expires panel c' ? mark : undefined);

test('readyz and status.json, whole, as pages.txt has them', async () => {
  const asked: Asked[] = [];
  for (const [what, path, more, status] of [
    ['readyz: ready', '/readyz', {}, 200],
    ['readyz: no backend is up', '/readyz', { backends: [down('mail1')] }, 503],
    [
      'status.json: all of the snapshot',
      '/status.json',
      { exchanges: [exchange('E1')], sinks, keys, acknowledged },
      200,
    ],
    [
      'status.json: what is wrong',
      '/status.json',
      { backends: [down('mail1'), backend('mail2')], locks: [held] },
      200,
    ],
  ] as const) {
    const answer = await open({ ...healthy, ...more }).ask(path);
    assert.equal(answer.status, status, what);
    asked.push([what, () => parsed(answer)]);
  }
  compareAnswers('test/gate/admin/pages.txt', asked);
});

// bounds.metricsAgeMs
test('metrics are made at most ten times a second, and a failure is not kept', async () => {
  let made = 0;
  let isBroken = false;
  const { clock, ask } = open(healthy, () => {
    made += 1;
    return isBroken ? Promise.reject(new Error('not now')) : Promise.resolve(`m ${made}\n`);
  });
  const first = await ask('/metrics');
  assert.deepEqual(first, { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: 'm 1\n' });
  for (let at = 0; at < 50; at += 1) assert.equal((await ask('/metrics')).body, 'm 1\n');
  await clock.advance(100);
  isBroken = true;
  await assert.rejects(ask('/metrics'), /not now/);
  isBroken = false;
  assert.equal((await ask('/metrics')).body, 'm 3\n');
});

// What makes the daemon not ready, and what it says then.

const judged = (more: Partial<Running>) => whyNotReady({ ...healthy, ...more });
const codes = (more: Partial<Running>): string[] => judged(more).map(({ code }) => code);
const routes = (backends: Running['backends']): string[] =>
  healthy.routes.map((route) => stateOfRoute(route.backends, backends));
const broken = {
  ...healthy.journal,
  state: 'failed',
  fault: fault('removed', 'the directory is gone', 'it failed'),
} as const;

test('draining, a failed journal, a full disk, no backend: each is a reason, and all are told', () => {
  assert.deepEqual(codes({ state: 'draining' }), ['draining']);
  assert.deepEqual(codes({ journal: broken }), ['audit-failed']);
  assert.match(judged({ journal: broken })[0]?.text ?? '', /the directory is gone/);
  assert.deepEqual(codes({ journal: { ...healthy.journal, space: 'reserve' } }), ['audit-reserve']);
  const both = [
    down('mail1'),
    down('mail2', { fault: fault('tls-failed', 'expired', 'its certificate') }),
    drained('mail3'),
  ];
  assert.deepEqual(codes({ backends: both }), ['backends-down']);
  assert.match(
    judged({ backends: both })[0]?.text ?? '',
    /mail1: dial-refused, nobody listens; mail2: tls-failed, expired; mail3: drained/,
  );
  assert.deepEqual(codes({ state: 'draining', journal: broken, backends: both }), [
    'draining',
    'audit-failed',
    'backends-down',
  ]);
});

test('one backend that is up is enough; the routes say who is left out', () => {
  const backends = [down('mail1'), backend('mail2')];
  assert.deepEqual(judged({ backends }), []);
  assert.deepEqual(routes(backends), ['down', 'partial']);
  assert.deepEqual(routes([drained('mail1'), backend('mail2')]), ['down', 'partial']);
});

test('a route to nobody and a daemon without backends are down', () => {
  assert.equal(stateOfRoute([], healthy.backends), 'down');
  assert.deepEqual(codes({ backends: [] }), ['backends-down']);
});
