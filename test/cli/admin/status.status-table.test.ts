// Goal: the status is shown whole, and what another version says more or less never fails.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatStatus, isClosed } from '../../../src/cli/admin/status.js';
import type { Paint } from '../../../src/cli/output/screen.js';
import { textOf } from '../../architecture/project.js';
import { fencesOf } from '../docs-steps.js';

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
  reload: { time: '2026-01-02T00:00:00.000Z', success: false, restart_needed: ['admin.unix'] },
  listeners: [{ listener: 'support', sessions: 2, sessions_max: 200, address: 'unix:/run/s.sock' }],
  backends: [
    {
      backend: 'mail1',
      up: true,
      leased: 1,
      idle: 2,
      connections: 4,
      waiters: 0,
      address: 'a:1',
      drained: [],
    },
    { backend: 'mail2', up: false, text: 'dial-refused', drained: [] },
    {
      backend: 'mail3',
      up: false,
      health: 'drained',
      drained: [{}, { by: 'alice', since: '2026-01-01T00:00:00.000Z', reason: 'disk' }],
    },
  ],
  keys: [
    {
      key: 'modoboa',
      listener: 'panel',
      policy: 'support',
      expires: '2027-06-30',
      last_used: '2026-01-01T00:00:00.000Z',
      failures: 3,
    },
    { key: 'old', listener: 'panel', policy: 'support', expires: '2025-12-31', expired: true, failures: 7 },
    { key: 'graph', listener: 'panel', policy: 'metrics', failures: 0 },
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

void test('listeners, backends and what runs', () => {
  const shown = formatStatus(full, pipe);
  assert.equal(
    shown,
    `dovegate       1.2.3, not serving, started 2026-01-01T00:00:00.000Z
configuration  abcdef0123456789, loaded 2026-01-01T12:00:00.000Z by a reload by anna; changed: /etc/dovegate/dovegate.yaml: of uid 0, RELOAD FAILED 2026-01-02T00:00:00.000Z; after a restart: admin.unix
ready          no: no backend is up
journal        writable, space normal
memory         /run/dovegate/audit.ring

LISTENER  SESSIONS  ADDRESS
support   2/200     unix:/run/s.sock

BACKEND  STATE                UPSTREAMS              WAITING  ADDRESS
mail1    up                   1 in use, 2 idle of 4  0        a:1
mail2    down (dial-refused)  0 in use, 0 idle of
mail3    drained              0 in use, 0 idle of

KEY            POLICY   EXPIRES             LAST-USED                 REFUSED
modoboa@panel  support  2027-06-30          2026-01-01T00:00:00.000Z  3
old@panel      support  2025-12-31 EXPIRED  not since the start       7
graph@panel    metrics  never               not since the start       0

ID   REQUESTER      USER        COMMAND    BACKEND  WAITS           SECONDS
01A  alice@support  bob\\x1b[2J  quota get  -        for its client  1.2
01B  bob@support    -           who        mail1    -               0.0
01C  bob@support    -           index      mail1    overdue         9.0`.replace(/ +$/gm, ''),
  );
});

void test('the table of backends stays in line where one is down', () => {
  const text = 'the backend could not be reached: connect ECONNREFUSED 192.0.2.1:24245, as in the last hour';
  const backends = [
    { ...full.backends[0] },
    { backend: 'mail2', up: false, text, code: 'dial-refused', drained: [] },
  ];
  const lines = formatStatus({ state: 'serving', backends }, pipe).split('\n');
  const [head = '', ...rows] = lines.slice(lines.findIndex((line) => line.startsWith('BACKEND')));
  for (const row of rows) assert.equal(row.indexOf(' in use'), head.indexOf('UPSTREAMS') + 1, row);
});

void test('in the line of the journal, or one of its own: a slow disk, no memory, the reserve, what is missing, policies that observe', () => {
  const writable = { state: 'writable', space: 'normal', unsynced_ms: 0 };
  const slow = { ...writable, state: 'failed', unsynced_ms: 3_210, memory_fault: 'audit.memory is off' };
  const journal = (more: object) => formatStatus({ state: 'serving', journal: more }, terminal(200));
  const told = journal(slow);
  assert.match(told, /^journal +<bad>failed<\/>, space .*, oldest record not on disk for 3\.2 s/m);
  assert.match(told, /^memory +<doubtful>none, so every command waits for the disk: audit\.memory is off/m);
  assert.match(
    journal({ ...writable, space: 'reserve', free_bytes: 0 }),
    /journal +<bad>writable only in its reserve \(0 MiB free\)<\/>$/m,
  );
  assert.match(
    journal({ ...writable, missing_seq: 213 }),
    /<good>writable<\/>, space normal<bad>, records up to 213 are missing<\/>/,
  );
  assert.match(
    formatStatus({ ...full, observing: ['support', 'watch'] }, pipe),
    /^observes +policies support, watch: nothing is denied that only touches mailboxes of users named one by one$/m,
  );
  const candidates = [
    { policy: 'support', place: '/etc/dovegate/next.yaml:1', differing: 12 },
    { policy: 'watch', place: '/etc/dovegate/w.yaml:3', differing: 0 },
  ];
  assert.match(
    formatStatus({ ...full, candidates }, pipe),
    /^candidate +of policy support, \S+next\.yaml:1: 12 commands would have ended .*--shadow any\ncandidate +of policy watch, .*: no command /m,
  );
  assert.doesNotMatch(formatStatus(full, pipe), /observes|candidate/);
});

void test('a daemon that says something else', () => {
  for (const status of [{}, null, 'x', [], { backends: 7, exchanges: [null], listeners: [{}] }]) {
    assert.match(formatStatus(status, pipe), /^dovegate/);
  }
});

void test('a daemon that is not configured: its problems, and nothing that it does not have', () => {
  const status = {
    version: '1.2.3',
    state: 'closed',
    started: '2026-01-01T00:00:00.000Z',
    problems: ['dovegate.yaml:3:1: no such key\n    supp\u001brt: 1\n    ^'],
    config: '',
    ready: false,
    reasons: [{ code: 'not-configured', text: 'dovegate is not configured: dovegate.yaml:3:1: no such key' }],
    journal: { state: 'failed', space: 'normal' },
    listeners: [{ listener: 'support', sessions: 1, sessions_max: 1000, address: 'systemd:support' }],
  };
  const shown = formatStatus(status, pipe);
  assert.match(shown, /closed, started .*\nready +no: dovegate is not configured: dovegate\.yaml:3:1/);
  assert.match(shown, /\ndovegate\.yaml:3:1: no such key\n {4}supp\S+rt: 1\n {4}\^\n/);
  assert.ok(!shown.includes('\u001b') && !shown.includes('journal'));
  assert.deepEqual(
    [isClosed(status), isClosed({ state: 'serving' }), isClosed(undefined)],
    [true, false, false],
  );
});

void test('on a terminal each color stands on a word that says the same', () => {
  const shown = formatStatus(full, terminal(200));
  for (const painted of [
    '<bad>not serving</>, started',
    '<bad>no: no backend is up</>',
    '<good>writable</>',
    '<bad>RELOAD FAILED</>',
    '<title>BACKEND  STATE',
  ])
    assert.ok(shown.includes(painted), painted);
  const reload = { ...full.reload, last_read: '2026-01-01T00:00:00.000Z' };
  const onLast = formatStatus({ ...full, reload }, terminal(200));
  assert.ok(onLast.includes('<bad>SERVES THE LAST CONFIGURATION SINCE</> 2026-01-02T00:00:00.000Z'), onLast);
  assert.match(shown, /^mail1 {4}<good>up +<\/>/m);
  assert.match(shown, /^mail2 {4}<bad>down \(dial-refused\)<\/>/m);
  assert.match(shown, /^old@panel .*<bad>2025-12-31 EXPIRED<\/>/m);
  assert.match(shown, /^mail3 {4}<doubtful>drained +<\/>/m);
  const plainText = shown.replaceAll(/<\/?[a-z]*>/g, '').replaceAll(/ +$/gm, '');
  assert.equal(plainText, formatStatus(full, pipe), 'nothing is said by a color alone');
  const failing = {
    state: 'failed',
    space: 'reserve',
    unsynced_ms: 3_210,
    memory_fault: 'audit.memory is off',
  };
  const told = formatStatus({ state: 'serving', ready: true, journal: failing }, terminal(200));
  assert.match(told, /<good>yes<\/>\njournal +<bad>failed<\/>, space <bad>reserve<\/><doubtful>, oldest/);
  assert.match(told, /memory +<doubtful>none, so every command/);
});

void test('a narrow terminal: values are cut, columns go with a word, and no line is too wide', () => {
  for (const columns of [60, 80, 100, 120]) {
    const shown = formatStatus(full, { ...pipe, columns });
    const tables = shown.slice(shown.indexOf('LISTENER')).split('\n');
    for (const line of tables)
      assert.ok(line.length <= columns || line.startsWith('no room'), `${columns}: ${line}`);
    const [, said = ''] = /^no room for (.*): make the terminal wider, or use --json$/m.exec(shown) ?? [];
    const heads = ['LISTENER', 'BACKEND', 'KEY', 'ID'].map(
      (name) => tables.find((line) => line.startsWith(`${name} `)) ?? '',
    );
    for (const name of [
      'SESSIONS',
      'STATE',
      'WAITING',
      'UPSTREAMS',
      'EXPIRES',
      'COMMAND',
      'SECONDS',
      'REQUESTER',
      'USER',
    ])
      assert.ok(heads.some((head) => head.includes(name)) || said.includes(name), `${columns}: ${name}`);
    for (const word of ['up', 'down', 'drained'])
      assert.match(shown, new RegExp(`^mail\\d +${word}`, 'm'), word);
  }
  assert.ok(!formatStatus(full, { ...pipe, columns: 200 }).includes('no room'));
});

void test('what is wrong stands on top, worst first, with what to try', () => {
  const problems = [
    {
      code: 'backend-down',
      text: 'mail1 is down since T: connection\u001b[2J refused.',
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
  const shown = formatStatus({ ...full, problems }, terminal(200));
  assert.ok(
    shown.startsWith(`<bad>mail1 is down since T: connection\\x1b[2J refused.</>
  try: systemctl status dovecot
<doubtful>The key "graph" expires.</>
No records.
  acknowledged by anna until T

dovegate `),
    shown.slice(0, 200),
  );
  assert.ok(!shown.includes('undefined'));
  assert.equal(formatStatus({ ...full, problems: [] }, pipe), formatStatus(full, pipe));
});

test('access on request is named where something of it lives', () => {
  const lineOf = (access: unknown): string | undefined =>
    formatStatus({ state: 'serving', access }, pipe)
      .split('\n')
      .find((line) => line.startsWith('access'));
  assert.match(lineOf({ requests: 2, grants: 1, unreviewed: 0 }) ?? '', / 2 requests wait, 1 grant live$/);
  assert.match(lineOf({ requests: 0, grants: 0, unreviewed: 3 }) ?? '', /3 without approval to be reviewed$/);
  assert.equal(lineOf({ requests: 0, grants: 0, unreviewed: 0 }), undefined);
  const item = {
    id: 'R1',
    to: 'anna@support',
    users: ['bob@example.org'],
    until: '2026-11-26T16:00:00.000Z',
  };
  const list = [
    { ...item, state: 'requested', approvals: 2, approved_by: [{}], command: 'expunge mailbox Trash all' },
    { ...item, id: 'G1', state: 'granted', used: 1, uses: 3, rule: ['fetch', 'with\u001b content'] },
    { ...item, id: 'G2', state: 'expired', command: 'mailbox list' },
  ];
  const access = { requests: 7, grants: 1, unreviewed: 1, list };
  assert.match(lineOf(access) ?? '', /the first 3 are listed$/);
  const [, rows = ''] = formatStatus({ state: 'serving', access }, pipe).split('ACCESS');
  assert.match(rows, /R1 +waits, 1 of 2 approvals +anna@support +bob@example.org +2026-11-26 16:00 +expunge/);
  assert.match(rows, /G1 +granted, used 1 of 3 .* fetch, with\\x1b content/);
  assert.match(rows, /G2 +over, not reviewed /);
});

test('parts that the daemon could not make are named', () => {
  const text = formatStatus({ ...full, not_shown: ['problems', 'page\u001b[2J'] }, pipe);
  assert.match(text, /^not shown +problems, page\S+: the log of dovegate says why; report it$/m);
  assert.ok(!text.includes('\u001b'));
  assert.doesNotMatch(formatStatus(full, pipe), /not shown/);
});

void test('docs/access-approve.md shows the table of receivers of notices', () => {
  const fault = { code: 'status', status: 500, for_ms: 42_000 };
  const notices = [{ receiver: 'chat', state: 'down', fault, delivered: 3, failed: 6, dropped: 0 }];
  const shown = fencesOf(textOf('docs/access-approve.md')).find(({ text }) => text.startsWith('NOTICES '));
  const printed = formatStatus({ ship: { notices } }, pipe).replaceAll(/ +$/gm, '');
  assert.ok(printed.endsWith(`\n${shown?.text.trimEnd()}`), printed);
});
