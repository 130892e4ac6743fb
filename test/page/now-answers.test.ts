// Goal: the backends as CSV: a line each, and nothing that a spreadsheet obeys; a narrowed state names no person, program or command. What the page shows live is tested by test/scenario/page-now.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BackendNow, Now } from '../../src/domain/page/api.js';
import { formatBackends, narrow } from '../../src/page/now-answers.js';

const up: BackendNow = {
  name: 'mail1',
  address: 'mail1.example.com:24245',
  series: '2.4',
  isUp: true,
  health: 'up',
  since: '2026-11-21T02:14:00.000Z',
  connections: 10,
  dialing: 0,
  idle: 2,
  leased: 8,
  waiting: 3,
  oldestWaitMs: 1234,
  failed: { dial: 1, tls: 2, greeting: 3, authentication: 4, reply: 5 },
  certificateEnds: '2027-01-01T00:00:00.000Z',
  drained: [],
};

void test('one line each, after the names of the columns', () => {
  const down: BackendNow = {
    name: 'mail2',
    address: 'unix:/run/dovecot/doveadm-server',
    isUp: false,
    health: 'down',
    text: 'connection refused',
    connections: 10,
    dialing: 0,
    idle: 0,
    leased: 0,
    waiting: 0,
    oldestWaitMs: 0,
    failed: {},
    drained: [],
  };
  assert.equal(
    formatBackends([up, down]),
    [
      'backend,address,series,status,health,since,error,connections_max,dialing,idle,leased,waiting,oldest_wait_ms,failed_dial,failed_tls,failed_greeting,failed_authentication,failed_reply,certificate_ends,drained_by',
      'mail1,mail1.example.com:24245,2.4,UP,up,2026-11-21T02:14:00.000Z,,10,0,2,8,3,1234,1,2,3,4,5,2027-01-01T00:00:00.000Z,',
      'mail2,unix:/run/dovecot/doveadm-server,,DOWN,down,,connection refused,10,0,0,0,0,0,0,0,0,0,0,,',
      '',
    ].join('\r\n'),
  );
});

void test('names of operators command no spreadsheet and make no further cell', () => {
  const drained = ['=HYPERLINK("http://x"),2026-11-21', 'configuration'];
  const [, line = ''] = formatBackends([{ ...up, isUp: false, health: 'drained', drained }]).split('\r\n');
  assert.match(line, /,DRAIN,drained,/);
  assert.ok(line.endsWith(`,"'=HYPERLINK(""http://x""),2026-11-21; configuration"`), line);
  assert.equal(formatBackends([{ ...up, drained: ['a\r\nb'] }]).split('\r\n').length, 3);
});

void test('a narrowed state: no command, no refusal, and nobody by name in what is wrong and who drained', () => {
  const now: Now = {
    at: '2026-11-21T02:14:00.000Z',
    head: {
      host: 'gate',
      version: '1',
      state: 'degraded',
      since: '2026-11-21T02:14:00.000Z',
      started: '2026-11-21T02:14:00.000Z',
      configHash: 'abc',
      problems: [
        {
          code: 'backend-down',
          text: 'mail1 is down: connection refused.',
          try: 'systemctl status',
          backend: 'mail1',
        },
        {
          code: 'queue-grows',
          text: '3 wait for a slow client: anna@support.',
          try: 'dovegate kill 01ID',
          backend: 'mail1',
        },
        { code: 'key-refused', text: 'The key "annas-panel" was refused.' },
        { code: 'reload-failed', text: 'policies.d/anna.yaml:3' },
        { code: 'a-later-one', text: 'anna did it' },
      ],
    },
    tiles: {
      perSecond: 1,
      history: [1],
      failed: 2,
      denied: 3,
      waiting: 0,
      oldestWaitMs: 0,
      journal: { state: 'writable', seq: 1, unsyncedMs: 0, receivers: [] },
    },
    running: [
      { id: '01ID', principal: 'anna@support', listener: 'support', command: 'search', durationMs: 1 },
    ],
    runningCount: 1,
    waitingCount: 0,
    troubles: [{ at: '2026-11-21T02:14:00.000Z', kind: 'denied', principal: 'anna@support', text: 'No.' }],
    backends: [{ ...up, drained: ['configuration', 'anna, who is on call, 2026-11-21T02:14:00.000Z'] }],
  };
  const left = narrow(now);
  assert.doesNotMatch(JSON.stringify(left), /anna|01ID|search/);
  assert.deepEqual(left.backends[0]?.drained, ['configuration', 'an operator, 2026-11-21T02:14:00.000Z']);
  assert.deepEqual(left.head.problems[0], now.head.problems[0]);
  assert.deepEqual(
    left.head.problems.map(({ code }) => code),
    now.head.problems.map(({ code }) => code),
  );
  assert.equal(
    left.head.problems[1]?.text,
    'Something is wrong (queue-grows). A person with the role "view" or "operate" sees what.',
  );
  assert.deepEqual([left.tiles, left.runningCount], [now.tiles, 1]);
});
