// What each endpoint says; and that asking all the time does not cost all the time.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPages } from '../../../src/gate/admin/pages.js';
import { type Running, stateOfRoute, whyNotReady } from '../../../src/gate/now/running.js';
import { type TextAnswer } from '../../../src/host/http/server.js';
import { backend, down, drained, exchange, fault, healthy } from '../../kit/gate/running.js';
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
  assert.deepEqual(await ask('/healthz'), {
    status: 200,
    type: 'text/plain; charset=utf-8',
    body: 'ok\n',
  });
});

test('readyz: 200 or 503, with the reasons and the state of every route', async () => {
  const ready = await open(healthy).ask('/readyz');
  assert.equal(ready.status, 200);
  assert.deepEqual(parsed(ready), {
    ready: true,
    state: 'serving',
    reasons: [],
    routes: [
      { route: 'dovegate.yaml:9', state: 'up', backends: ['mail1'] },
      { route: 'dovegate.yaml:10', state: 'up', backends: ['mail1', 'mail2'] },
    ],
    backends: [
      { backend: 'mail1', up: true },
      { backend: 'mail2', up: true },
    ],
    journal: 'writable',
  });
  const not = await open({ ...healthy, backends: [down('mail1')] }).ask('/readyz');
  assert.equal(not.status, 503);
  assert.deepEqual(parsed(not), {
    ready: false,
    state: 'serving',
    reasons: [{ code: 'backends-down', text: 'no backend is up (mail1: dial-refused, nobody listens)' }],
    routes: [
      { route: 'dovegate.yaml:9', state: 'down', backends: ['mail1'] },
      { route: 'dovegate.yaml:10', state: 'down', backends: ['mail1', 'mail2'] },
    ],
    backends: [{ backend: 'mail1', up: false, text: 'dial-refused, nobody listens' }],
    journal: 'writable',
  });
});

test('status.json: all of the snapshot, in the words of the records', async () => {
  const away = fault('dial-refused', 'nobody listens there', 'what the table says');
  const sinks = [
    { name: 'logs:6514', state: 'away' as const, fault: away, lagRecords: 7, lagMs: 1_500.4, safeSeq: 3 },
  ];
  const key = { listener: 'panel', policy: 'panel', leftMs: undefined };
  const keys = [
    { ...key, name: 'a', expiresMs: undefined, lastUsedMs: undefined, failures: 0 },
    { ...key, name: 'b', expiresMs: Date.UTC(2027, 0), lastUsedMs: Date.UTC(2026, 5), failures: 3 },
    {
      ...key,
      name: 'c',
      expiresMs: Date.UTC(2025, 5, 30, 18),
      leftMs: -1,
      lastUsedMs: undefined,
      failures: 7,
    },
  ];
  const mark = { by: 'anna', until: '2026-11-22T00:00:00.000Z' };
  const acknowledged = (problem: string) => (problem === 'key-expires panel c' ? mark : undefined);
  const now = { ...healthy, exchanges: [exchange('E1')], sinks, keys, acknowledged };
  const answer = await open(now).ask('/status.json');
  assert.equal(answer.status, 200);
  const counts = { connections: 4, dialing: 0, idle: 1, leased: 0, overdue: 0, waiters: 0 };
  const failed = { dial: 0, tls: 0, greeting: 0, authentication: 0, reply: 0 };
  assert.deepEqual(parsed(answer), {
    program: 'dovegate',
    version: '1.2.3',
    state: 'serving',
    started: '2026-01-02T03:04:05.000Z',
    uptime_ms: 60_000,
    config: 'aa',
    loaded: {
      since: '2026-11-21T02:14:00.000Z',
      by: 'anna',
      files: ['/etc/dovegate/dovegate.yaml: of uid 0'],
    },
    problems: [
      {
        code: 'ship-away',
        text: 'The receiver logs:6514 gets no records: what the table says. 7 records wait for it.',
        degrading: true,
      },
      {
        code: 'key-expires',
        text: 'The key "c" of listener "panel" has expired at 2026-11-21T02:30:00.000Z.',
        try: 'make another one (dovegate key new), give its program that, and replace the hash; or remove the key',
        degrading: false,
        acknowledged: mark,
      },
    ],
    ready: true,
    reasons: [],
    listeners: [
      {
        listener: 'support',
        address: 'unix:/run/support.sock',
        sessions: 2,
        unauthenticated: 0,
        sessions_max: 200,
      },
    ],
    backends: ['mail1', 'mail2'].map((name) => ({
      backend: name,
      up: true,
      address: `${name}.example.com:24245`,
      series: '2.3',
      health: 'up',
      since: '1970-01-01T00:00:00.000Z',
      drained: [],
      ...counts,
      failed,
      failed_since: '1970-01-01T00:00:00.000Z',
      oldest_wait_ms: 0,
    })),
    routes: [
      { route: 'dovegate.yaml:9', state: 'up', backends: ['mail1'] },
      { route: 'dovegate.yaml:10', state: 'up', backends: ['mail1', 'mail2'] },
    ],
    journal: {
      state: 'writable',
      space: 'normal',
      lost: 0,
      unsynced_ms: 12,
      free_bytes: 3 * 1024 ** 3,
      memory: '/run/dovegate/audit.ring',
    },
    // Whoever is not there makes the daemon no less ready.
    locks: [],
    shipping: [
      {
        sink: 'logs:6514',
        state: 'away',
        fault: { code: 'dial-refused', text: 'nobody listens there' },
        lag_records: 7,
        lag_ms: 1_500,
        safe_seq: 3,
      },
    ],
    keys: [
      { listener: 'panel', key: 'a', policy: 'panel', failures: 0 },
      {
        listener: 'panel',
        key: 'b',
        policy: 'panel',
        expires: '2026-12-31',
        last_used: '2026-06-01T00:00:00.000Z',
        failures: 3,
      },
      {
        listener: 'panel',
        key: 'c',
        policy: 'panel',
        expires: '2025-06-30T18:00:00Z',
        expired: true,
        failures: 7,
      },
    ],
    exchanges: [
      {
        listener: 'support',
        session: 'S1',
        id: 'E1',
        principal: 'bob@support',
        user: 'alice@example.org',
        command: 'search',
        backend: 'mail1',
        duration_ms: 12,
      },
    ],
  });
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
  assert.deepEqual(first, {
    status: 200,
    type: 'text/plain; version=0.0.4; charset=utf-8',
    body: 'm 1\n',
  });
  for (let at = 0; at < 50; at += 1) assert.equal((await ask('/metrics')).body, 'm 1\n');
  await clock.advance(100);
  isBroken = true;
  await assert.rejects(ask('/metrics'), /not now/);
  isBroken = false;
  assert.equal((await ask('/metrics')).body, 'm 3\n');
});

test('status.json: what is wrong, with plain times', async () => {
  const since = '1970-01-01T00:00:00.000Z';
  const held = { id: 'H1', target: 'user:bob@example.org', by: 'root', reason: 'case 17', since, hold: true };
  const told = parsed(
    await open({ ...healthy, backends: [down('mail1'), backend('mail2')], locks: [held] }).ask(
      '/status.json',
    ),
  );
  assert.deepEqual(Reflect.get(Object(told), 'problems'), [
    {
      code: 'backend-down',
      text: 'mail1 is down since 1970-01-01T00:00:00.000Z: what the table says. Its commands fail.',
      try: 'systemctl status dovecot on mail1.example.com',
      backend: 'mail1',
      degrading: true,
    },
    {
      code: 'held',
      text: `user bob@example.org is held by root since ${since}, reason: case 17; what could destroy, hide, move or change its mail is refused`,
      try: 'dovegate unlock H1 --reason TEXT',
      degrading: false,
    },
  ]);
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
