// Goal: the status is shown whole, as status.txt has it, and what another version says more or less never fails.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatStatus } from '../../../src/gate/cli/status.js';
import type { Paint } from '../../../src/host/output/screen.js';
import { textOf } from '../../architecture/project.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import { fencesOf } from '../../whole/cli/docs-steps.js';

/** A pipe: no width, no colors. */
const pipe = { columns: undefined, paint: (_: Paint, text: string): string => text };
/** A terminal, whose colors are words. */
const terminal = (columns: number) => ({
  columns,
  paint: (paint: Paint, text: string): string => `<${paint}>${text}</>`,
});

const full = {
  version: '1.2.3',
  state: 'serving',
  started: '2026-01-01T00:00:00.000Z',
  config: 'abcdef0123456789abcdef',
  loaded: { since: '2026-01-01T12:00:00.000Z', by: 'anna', files: ['/etc/dovegate/dovegate.yaml: of uid 0'] },
  ready: false,
  reasons: [{ code: 'backends-down', text: 'no backend is up' }],
  journal: { state: 'writable', space: 'normal', unsynced_ms: 999, memory: '/run/dovegate/audit.ring' },
  reload: { at: '2026-01-02T00:00:00.000Z', success: false, restart: ['admin.unix'] },
  listeners: [{ name: 'support', sessions: 2, sessions_max: 200, address: 'unix:/run/s.sock' }],
  backends: [
    {
      name: 'mail1',
      up: true,
      leased: 1,
      idle: 2,
      connections: 4,
      waiters: 0,
      address: 'a:1',
      drained: [],
    },
    { name: 'mail2', up: false, fault: { code: 'dial-refused' }, drained: [] },
    {
      name: 'mail3',
      up: false,
      health: 'drained',
      drained: [{}, { by: 'alice', since: '2026-01-01T00:00:00.000Z', reason: 'disk' }],
    },
  ],
  keys: [
    {
      name: 'modoboa',
      listener: 'panel',
      policy: 'support',
      expires: '2027-06-30',
      last_used: '2026-01-01T00:00:00.000Z',
      failures: 3,
    },
    { name: 'old', listener: 'panel', policy: 'support', expires: '2025-12-31', left_ms: 0, failures: 7 },
    { name: 'graph', listener: 'panel', policy: 'metrics', failures: 0 },
  ],
  exchanges: [
    {
      id: '01A',
      principal: 'alice@support',
      user: 'bob\u001b[2J',
      command: 'quota get',
      duration_ms: 1234,
      client_ms: 1000,
    },
    { id: '01B', principal: 'bob@support', command: 'who', backend: 'mail1', duration_ms: 3, client_ms: 9 },
    {
      id: '01C',
      principal: 'bob@support',
      command: 'index',
      backend: 'mail1',
      duration_ms: 9000,
      overdue: true,
    },
  ],
};

const writable = { state: 'writable', space: 'normal', unsynced_ms: 0 };
const slow = { ...writable, state: 'failed', unsynced_ms: 3_210, memory_fault: 'audit.memory is off' };
const serving = (more: object) => ({ state: 'serving', ...more });
const candidates = [
  { policy: 'support', place: '/etc/dovegate/next.yaml:1', differing: 12 },
  { policy: 'watch', place: '/etc/dovegate/w.yaml:3', differing: 0 },
];
const problems = [
  {
    code: 'backend-down',
    text: 'mail1 has been down since T: connection\u001b[2J refused.',
    try: 'systemctl status dovecot',
    degrading: true,
  },
  { code: 'key-expires', text: 'The key "graph" expires.' },
  {
    code: 'ship-away',
    text: 'No records.',
    try: 'look',
    degrading: false,
    acknowledged: { by: 'anna', until: 'T' },
  },
  // Of another version.
  { code: 'later' },
  7,
];
const item = { id: 'R1', to: 'anna@support', users: ['bob@example.org'], until: '2026-11-26T16:00:00.000Z' };
const list = [
  { ...item, state: 'requested', approvals: 2, approved_by: [{}], command: 'expunge mailbox Trash all' },
  { ...item, id: 'G1', state: 'granted', used: 1, uses: 3, rule: ['fetch', 'with\u001b content'] },
  { ...item, id: 'G2', state: 'expired', command: 'mailbox list' },
];
const access = (requests: number, grants: number, unreviewed: number, more = {}) =>
  serving({ access: { requests, grants, unreviewed, ...more } });
const onLast = { ...full.reload, last_read: '2026-01-01T00:00:00.000Z' };

/** What a daemon says, on a pipe, or on a terminal whose colors are words. */
const statuses: Readonly<
  Record<string, readonly [status: unknown, screen: Parameters<typeof formatStatus>[1]]>
> = {
  'listeners, backends and what runs': [full, pipe],
  'each color stands on a word that says the same': [full, terminal(200)],
  'it serves the last configuration': [{ ...full, reload: onLast }, terminal(200)],
  'a slow disk, and no memory': [serving({ journal: slow }), terminal(200)],
  'a slow disk in its reserve': [
    serving({ ready: true, journal: { ...slow, space: 'reserve' } }),
    terminal(200),
  ],
  'in its reserve, full': [
    serving({ journal: { ...writable, space: 'reserve', free_bytes: 0 } }),
    terminal(200),
  ],
  'records are missing': [serving({ journal: { ...writable, missing: { seq: 213 } } }), terminal(200)],
  'policies that observe, and candidates': [serving({ observing: ['support', 'watch'], candidates }), pipe],
  'what is wrong stands on top, worst first, with what to try': [{ ...full, problems }, terminal(200)],
  'nothing is wrong': [serving({ problems: [] }), pipe],
  'access: two wait, one lives': [access(2, 1, 0), pipe],
  'access: three to be reviewed': [access(0, 0, 3), pipe],
  'access: nothing': [access(0, 0, 0), pipe],
  'access: the first of many are listed': [access(7, 1, 1, { list }), pipe],
  'parts that the daemon could not make': [serving({ not_shown: ['problems', 'page\u001b[2J'] }), pipe],
};

void test('the status, whole', () => {
  const asked = Object.entries(statuses).map(
    ([what, [status, screen]]): Asked => [
      what,
      () => {
        const shown = formatStatus(status, screen);
        assert.ok(!/undefined|\u001b/.test(shown), shown);
        return shown.replaceAll(/ +$/gm, '');
      },
    ],
  );
  compareAnswers('test/gate/cli/status.txt', asked);
  const plainText = formatStatus(full, terminal(200)).replaceAll(/<\/?[a-z]*>/g, '');
  assert.equal(
    plainText.replaceAll(/ +$/gm, ''),
    formatStatus(full, pipe),
    'nothing is said by a color alone',
  );
});

void test('the table of backends stays in line where one is down', () => {
  const text = 'the backend could not be reached: connect ECONNREFUSED 192.0.2.1:24245, as in the last hour';
  const backends = [
    { ...full.backends[0] },
    { name: 'mail2', up: false, fault: { code: 'dial-refused', text }, drained: [] },
  ];
  const lines = formatStatus({ state: 'serving', backends }, pipe).split('\n');
  const [head = '', ...rows] = lines.slice(lines.findIndex((line) => line.startsWith('BACKEND')));
  for (const row of rows) assert.equal(row.indexOf(' in use'), head.indexOf('UPSTREAMS') + 1, row);
});

void test('docs/access-approve.md shows the table of receivers of notices', () => {
  const fault = { code: 'status', status: 500, for_ms: 42_000 };
  const notices = [{ name: 'chat', state: 'down', fault, delivered: 3, failed: 6, dropped: 0 }];
  const shown = fencesOf(textOf('docs/access-approve.md')).find(({ text }) => text.startsWith('NOTICES '));
  const printed = formatStatus({ ship: { notices } }, pipe).replaceAll(/ +$/gm, '');
  assert.ok(printed.endsWith(`\n${shown?.text.trimEnd()}`), printed);
});
