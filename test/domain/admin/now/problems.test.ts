// Goal: each thing that is wrong has its sentence, right and with something to do; the worst is first; nobody outside can put a word in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type FoundProblem,
  findProblems,
  Standing,
  stateOf,
} from '../../../../src/domain/admin/now/problems.js';
import type {
  Fault,
  Running,
  RunningBackend,
  RunningExchange,
  RunningKey,
  RunningSink,
  TlsCause,
} from '../../../../src/domain/admin/now/running.js';
import {
  backend,
  down as downNow,
  drained,
  exchange,
  fault,
  healthy,
  shipTold,
} from '../../../kit/running.js';

const nowMs = healthy.atMs;
const downMs = Date.UTC(2026, 10, 21, 2, 14);
const dayMs = 86_400_000;
const { journal } = healthy;
const failed = (more: Fault): Running['journal'] => ({ ...journal, state: 'failed', fault: more });

function down(
  name: string,
  code = 'dial-refused',
  system?: string,
  more: Partial<RunningBackend> = {},
  tlsCause?: TlsCause,
): RunningBackend {
  const why = { ...fault(code, 'what it said', 'what the table says', 'ask'), system, tlsCause };
  return downNow(name, { sinceMs: downMs, fault: why, ...more });
}

function find(more: Partial<Running>): readonly FoundProblem[] {
  return findProblems({ ...healthy, backends: [backend('mail1')], routes: [], ...more });
}

function first(more: Partial<Running>): readonly (string | undefined)[] {
  const [problem] = find(more);
  return [problem?.code, problem?.text, problem?.try];
}

void test('nothing is wrong', () => {
  assert.deepEqual(find({}), []);
  assert.equal(stateOf(false, [], true), 'serving');
  assert.equal(stateOf(true, [], true), 'draining');
});

void test('no backend can be reached: not serving, whatever else is wrong but the journal', () => {
  const some = find({ backends: [down('mail1')] });
  assert.equal(stateOf(false, some, true), 'degraded');
  assert.equal(stateOf(false, some, false), 'not serving');
  assert.equal(stateOf(true, some, false), 'draining');
  assert.equal(stateOf(false, find({ journal: failed(fault('removed', '', 'why')) }), false), 'blind');
  const standing = new Standing(1_000);
  standing.judge('not serving', find({ backends: [down('mail1')] }), downMs + 5_000);
  assert.deepEqual([standing.state, standing.sinceMs], ['not serving', downMs]);
});

void test('what makes the state comes first, and what degrades nothing behind it', () => {
  const missing = { seq: 7, sinceMs: downMs };
  const found = find({ backends: [down('mail1')], journal: { ...journal, missing } });
  assert.deepEqual(
    found.map(({ code }) => code),
    ['backend-down', 'audit-missing'],
  );
});

void test('a backend is down: since when, why, who waits, what to try', () => {
  const [, cost] = first({ backends: [down('mail1', 'dial-refused', 'ECONNREFUSED', { lost: 412 })] });
  assert.match(cost ?? '', /: connection refused\. 412 commands failed\.$/);
  assert.deepEqual(first({ backends: [down('mail1', 'dial-refused', 'ECONNREFUSED', { waiters: 3 })] }), [
    'backend-down',
    'mail1 is down since {2026-11-21T02:14:00.000Z}: connection refused. 3 commands wait.',
    'systemctl status dovecot on mail1.example.com',
  ]);
  const one = down('mail1', 'dial-refused', 'ENOENT', { host: undefined, waiters: 1 });
  assert.deepEqual(first({ backends: [one] }).slice(1), [
    'mail1 is down since {2026-11-21T02:14:00.000Z}: its socket does not exist. 1 command waits.',
    'systemctl status dovecot',
  ]);
});

const advice: readonly (readonly [code: string, system: string | undefined, why: RegExp, hint: RegExp])[] = [
  [
    'dial-refused',
    'ENOTFOUND',
    /: its host name cannot be resolved\./,
    /^getent hosts mail1\.example\.com; correct backends\.mail1\.address$/,
  ],
  ['dial-refused', 'EHOSTUNREACH', /: no route to its host\./, /^ping mail1\.example\.com$/],
  ['dial-refused', 'EACCES', /: permission denied for its socket\./, /right to open the socket/],
  ['dial-refused', 'ESOMETHING', /: what the table says\./, /^systemctl status dovecot on/],
  ['dial-timeout', undefined, /: no connection in time\./, /^ping .*; systemctl status dovecot on mail1/],
  [
    'auth-rejected',
    undefined,
    /: what the table says\./,
    /backends\.mail1\.password_file \(\/etc\/dovegate\/mail\.password\) with doveadm_password on mail1/,
  ],
  // The error of a file is none of the backend's socket.
  ['auth-rejected', 'ENOENT', /: the file of its password cannot be read \(ENOENT\)\./, /password_file/],
  [
    'tls-failed',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    /: what the table says\./,
    /ca \(\/etc\/dovegate\/ca\.pem\), server_name and key_pins of backends\.mail1/,
  ],
  ['version-unsupported', undefined, /./, /correct backends\.mail1\.address, series, release or newer/],
  [
    'closed-early',
    'ECONNRESET',
    /: it ended the connection before it greeted\./,
    /^journalctl -u dovecot on mail1/,
  ],
  ['reply-timeout', undefined, /./, /^journalctl -u dovecot/],
];
for (const [code, system, why, hint] of advice) {
  void test(`a backend is down: ${code} ${system ?? ''}`, () => {
    const [, text = '', tried = ''] = first({ backends: [down('mail1', code, system)] });
    assert.match(text, why);
    assert.match(tried, hint);
  });
}

void test('a backend that accepts connections and says nothing is no matter of the network', () => {
  const silent = down('mail1', 'dial-timeout');
  const backends = [{ ...silent, fault: silent.fault && { ...silent.fault, isSilent: true } }];
  const [, text = '', tried = ''] = first({ backends });
  assert.match(text, /: it accepts connections and sends no greeting, .*process_limit\./);
  assert.match(tried, /^systemctl status dovecot on mail1\.example\.com; raise process_limit/);
});

void test('a backend is down for its certificate: the cause, and what to do about that one', () => {
  const cases = [
    [
      'expired',
      /: its certificate has expired\./,
      /^renew the certificate of Dovecot on mail1\.example\.com$/,
    ],
    ['not-valid-yet', /: its certificate is not valid yet\./, /clocks/],
    ['name', /: its certificate is for another name than server_name\./, /^dovegate doctor; .*server_name$/],
    [
      'issuer',
      /: its certificate comes from an authority that is not trusted\./,
      /ca \(\/etc\/dovegate\/ca\.pem\)/,
    ],
    ['key', /: the key of its certificate is none of key_pins\./, /key_pins/],
  ] as const;
  for (const [tlsCause, why, hint] of cases) {
    const [, text = '', tried = ''] = first({
      backends: [down('mail1', 'tls-failed', undefined, {}, tlsCause)],
    });
    assert.match(text, why);
    assert.match(tried, hint);
  }
});

void test('a drained backend: by whom, since when, why, what it costs; it degrades while that leaves somebody unserved', () => {
  const one = drained('mail1', { newer: 'reads' });
  const told = (more: Partial<RunningBackend>) => {
    const [{ code, text, try: ask, isDegrading } = assert.fail(), ...others] = find({
      backends: [{ ...one, ...more }, backend('mail2')],
    });
    return [code, text, ask, isDegrading, others.length];
  };
  assert.deepEqual(told({}), [
    'backend-drained',
    'mail1 is drained by the configuration. No commands failed yet.',
    'remove drained from backends.mail1, then dovegate reload',
    false,
    0,
  ]);
  const since = '2026-11-21T02:14:00.000Z';
  assert.deepEqual(
    told({
      drained: [{ by: 'anna, on call', since, reason: 'new disk' }],
      refused: 412,
      refusedPerSecond: 29,
    }),
    [
      'backend-drained',
      `mail1 is drained by anna, on call since {${since}} (new disk). 412 commands failed, 29 a second now.`,
      'dovegate backend enable mail1',
      true,
      0,
    ],
  );
  const [quiet, late] = [told({ drained: [{ by: 'anna', since }], refused: 1 }), find({ backends: [one] })];
  assert.deepEqual(
    [quiet[1], quiet[3]],
    [`mail1 is drained by anna since {${since}}. 1 command failed.`, false],
  );
  const routes = [{ place: '/etc/dovegate/dovegate.yaml:12', backends: ['mail1'] }];
  const [only, ...more] = find({ backends: [one, backend('mail2')], routes });
  assert.deepEqual(
    [only?.code, only?.isDegrading, more],
    ['backend-drained', true, []],
    'and nothing else comes first where it is the only one of its route',
  );
  assert.match(
    only?.text ?? '',
    / It is the only one of the route at dovegate\.yaml:12: its users are not served\.$/,
  );
  assert.deepEqual(
    late.map(({ code, isDegrading }) => [code, isDegrading]),
    [['backend-drained', true]],
    'nor where it is the only one of all',
  );
  // At its end the gate drains them all, and there is nothing to enable.
  assert.deepEqual(find({ state: 'draining', backends: [drained('mail1', { drained: [] })] }), []);
});

void test('no backend is up: one sentence for all of them, then each', () => {
  const later = down('mail2', 'dial-timeout');
  const codes = find({ backends: [down('mail1'), later] }).map(({ code }) => code);
  assert.deepEqual(codes, ['backends-down', 'backend-down', 'backend-down']);
  const [, text] = first({ backends: [down('mail1'), later] });
  assert.equal(
    text,
    'No backend is up since {2026-11-21T02:14:00.000Z}: mail1, mail2. All commands for them fail.',
  );
});

void test('a daemon that was started within an outage says that it may be longer', () => {
  const [, text] = first({ backends: [{ ...down('mail1'), mayBeLonger: true }, backend('mail2')] });
  assert.match(
    text ?? '',
    /^mail1 is down since \{[^}]*\} or longer \(it was not reached since dovegate started, or changed its settings\): /,
  );
});

void test('workers are stopped behind a backend that accepts connections', () => {
  const exchanges = [exchange('A', { durationMs: 40_000 }), exchange('B', { durationMs: 12_000 })];
  const others = [
    exchange('C', { durationMs: 50_000, isWaiting: true }),
    exchange('D', { durationMs: 50_000, clientMs: 2_000 }),
    exchange('E', { durationMs: 50_000, backend: 'mail2' }),
    exchange('F', { durationMs: 9_000 }),
  ];
  const stuck = (health: RunningBackend['health'], running: readonly RunningExchange[]) =>
    find({ backends: [backend('mail1', { health })], exchanges: running });
  const [found, ...more] = stuck('retrying', [...exchanges, ...others]);
  assert.deepEqual(
    [found?.code, found?.text, found?.isDegrading, more],
    [
      'backend-stuck',
      'mail1 does not answer: new connections to it fail, and 2 commands hang there, the first for 40 s.',
      true,
      [],
    ],
  );
  assert.deepEqual(stuck('retrying', others), []);
  // Commands may take long where connections are made.
  assert.deepEqual(stuck('up', exchanges), []);
});

void test('every backend of a route is down or drained, and others are up', () => {
  const backends = [down('mail1'), drained('mail2'), backend('mail3')];
  const routes = [
    { place: '/etc/dovegate/dovegate.yaml:12', backends: ['mail1', 'mail2'] },
    { place: '/etc/dovegate/dovegate.yaml:13', backends: ['mail1', 'mail3'] },
    // Its backend has a sentence of its own.
    { place: '/etc/dovegate/dovegate.yaml:14', backends: ['mail1'] },
    { place: '/etc/dovegate/dovegate.yaml:15', backends: ['mail2'] },
  ];
  const found = find({ backends, routes });
  assert.deepEqual(
    found.map(({ code }) => code),
    ['backend-down', 'backend-drained', 'route-down'],
  );
  assert.deepEqual(
    found.slice(1).map(({ text }) => text),
    [
      'mail2 is drained by the configuration. No commands failed yet. It is the only one of the route at dovegate.yaml:15: its users are not served.',
      'No backend of the route at dovegate.yaml:12 is up: mail1 down, mail2 drained. Its users are not served.',
    ],
  );
});

void test('the journal: failed is blind, in reserve, slow, with losses', () => {
  const full = fault('write-failed', 'ENOSPC', 'the disk refused a write or a sync', 'free the disk');
  const bad = { ...failed(full), freeBytes: 0 };
  const worse = { ...bad, space: 'reserve', unsyncedMs: 9_000 } as const;
  assert.deepEqual(first({ journal: worse }), [
    'audit-failed',
    'Audit records do not reach the disk: the disk refused a write or a sync (0 bytes free). Commands that must be recorded first fail.',
    'free the disk; df -h /var/lib/dovegate/audit',
  ]);
  const [, denied, look] = first({ journal: failed(fault('no-rights', 'EACCES', 'no right')) });
  assert.match(denied ?? '', /do not reach the disk: no right\. Commands/);
  assert.equal(look, 'ls -ld /var/lib/dovegate/audit');
  // One cause, one sentence.
  assert.equal(find({ journal: worse }).length, 1);
  assert.equal(stateOf(false, find({ journal: bad }), true), 'blind');
  assert.equal(stateOf(true, find({ journal: bad }), true), 'draining');
  const [code, text, hint] = first({ journal: { ...journal, space: 'reserve', freeBytes: 64 * 1024 ** 2 } });
  assert.equal(hint, 'free the disk: df -h /var/lib/dovegate/audit');
  assert.match(
    first({ journal: { ...journal, space: 'reserve', freeBytes: 40 * 1024 ** 3 } })[2] ?? '',
    /reached audit\.max_size: raise it/,
  );
  assert.equal(code, 'audit-reserve');
  assert.match(text ?? '', /full but for its reserve \(64 MiB free\)\. Only rules with emergency: true/);
  assert.deepEqual(find({ journal: { ...journal, unsyncedMs: 1_999 } }), []);
  assert.match(
    first({ journal: { ...journal, unsyncedMs: 12_345 } })[1] ?? '',
    /has waited 12 s for the disk/,
  );
  const lost = find({ journal: { ...journal, lost: 1, freeBytes: undefined } });
  assert.match(lost[0]?.text ?? '', /^1 audit record never reached/);
  assert.equal(stateOf(false, lost, true), 'serving');
});

void test('a queue grows: by its wait, or by half of its places; not that of a backend that is down', () => {
  const waiting = { leased: 10, connections: 10, waiters: 12 };
  assert.deepEqual(find({ backends: [backend('mail1', { ...waiting, oldestWaitMs: 4_999 })] }), []);
  const [code, text, hint] = first({ backends: [backend('mail1', { ...waiting, oldestWaitMs: 8_000 })] });
  assert.deepEqual(
    [code, text],
    ['queue-grows', '12 commands wait for mail1, the first for 8 s. 10 of 10 connections are in use.'],
  );
  assert.match(hint ?? '', /dovegate kill ID/);
  assert.equal(first({ backends: [backend('mail1', { waiters: 500 })] })[0], 'queue-grows');
  const both = find({
    backends: [down('mail1', 'dial-timeout', undefined, { waiters: 12, oldestWaitMs: 8_000 })],
  });
  assert.deepEqual(
    both.map((each) => each.code),
    ['backend-down'],
  );
});

function sink(name: string, state: RunningSink['state'], lagRecords: number, why?: Fault): RunningSink {
  return { name, state, fault: why, lagRecords, lagMs: 0, safeSeq: 0 };
}

void test('a receiver is away, with what waits for it', () => {
  const sinks = [
    sink('log1:6514', 'away', 1234, fault('dial-refused', '', 'nobody listens there', 'mend the receiver')),
    sink('log2:6514', 'connected', 5),
  ];
  assert.deepEqual(first({ sinks }), [
    'ship-away',
    'The receiver log1:6514 gets no records: nobody listens there. 1,234 records wait for it.',
    'mend the receiver',
  ]);
  assert.equal(find({ sinks }).length, 1);
});

void test('a receiver of notices takes none: its name, since when, and the meaning of the code', () => {
  const why = ['it answers with an HTTP status that is no success', 'correct the URL'] as const;
  const notice = { name: 'chat', delivered: 0, failed: 1, dropped: 0, lagMs: 0 };
  const notices = [{ ...notice, fault: { code: 'status', status: 500, forMs: nowMs - 300, why } }];
  const ship = { ...shipTold, notices, ageMs: 300 };
  assert.deepEqual(first({ ship }), [
    'notices-away',
    'The receiver of notices chat takes none since {1970-01-01T00:00:00.000Z}: it answers with an HTTP status that is no success (500).',
    'correct the URL',
  ]);
  assert.equal(find({ ship })[0]?.isDegrading, false);
});

void test('without dovegate ship receivers get nothing, once it is away for longer than a restart takes', () => {
  const ship = { ...shipTold, isThere: false, isAbsent: true, names: ['logs:6514', 'chat'] };
  assert.deepEqual(first({ ship }), [
    'ship-absent',
    'Receivers get nothing (logs:6514, chat): dovegate ship does not run, or does not ask. Once it runs, it sends what they missed.',
    'systemctl start dovegate-ship.path, and read the log of dovegate-ship.service',
  ]);
  assert.equal(find({ ship })[0]?.isDegrading, false, 'notices alone');
  assert.equal(find({ ship, sinks: [sink('logs:6514', 'connecting', 5)] })[0]?.isDegrading, true);
  assert.deepEqual(find({ ship: { ...ship, isAbsent: false } }), []);
});

void test('who waits for a slow client is named, with what ends it', () => {
  const slow = { principal: 'anna@support', clientMs: 1_000 };
  const exchanges = [
    exchange('01B', slow),
    exchange('01A', { ...slow, clientMs: 1_001 }),
    exchange('01C', { clientMs: 999 }),
    exchange('01D', { ...slow, backend: 'mail2' }),
  ];
  const busy = backend('mail1', { waiters: 3, oldestWaitMs: 7_000, leased: 2, connections: 2 });
  assert.deepEqual(first({ backends: [busy], exchanges }), [
    'queue-grows',
    '3 commands wait for mail1, the first for 7 s. 2 of 2 connections are in use. 2 of them wait for a slow client: anna@support.',
    'end it (dovegate kill 01A), or raise backends.mail1.connections',
  ]);
});

void test('a receiver holds another journal under the id of this one', () => {
  assert.deepEqual(first({ sinks: [sink('nats1:4222', 'forked', 5)] }), [
    'audit-forked',
    'The receiver nats1:4222 holds another journal under the id of this one, and gets no more of it: this machine was copied, or its disk was put back from a copy.',
    `find out who else writes this journal; then stop dovegate, move ${journal.directory} and audit-end.json of state away and start: a new journal begins`,
  ]);
});

function key(name: string, leftMs: number | undefined): RunningKey {
  const listener = 'panel';
  return {
    listener,
    name,
    policy: 'panel',
    expiresMs: undefined,
    leftMs,
    lastUsedMs: undefined,
    failures: 0,
  };
}

void test('a key that ends with a day of the configuration: that day, in every time zone', () => {
  const midnightMs = Date.UTC(2026, 10, 24);
  const keyOf = (endMs: number) => [key('webmail', endMs - nowMs)];
  const textOf = (endMs: number) => first({ keys: keyOf(endMs) })[1];
  assert.equal(
    textOf(midnightMs),
    'The key "webmail" of listener "panel" expires in 2 days: its last day is 2026-11-23.',
  );
  assert.equal(
    textOf(Date.UTC(2026, 10, 21)),
    'The key "webmail" of listener "panel" has expired: its last day was 2026-11-20.',
  );
  assert.match(textOf(midnightMs + 1000) ?? '', /expires in 2 days, at \{2026-11-24T00:00:01\.000Z\}\.$/);
});

void test('certificates and keys: within days, the first to end comes first; expired ones before what only may happen', () => {
  const certificates = [
    { role: 'listener', name: 'panel', leftMs: 3.5 * dayMs, file: '/etc/dovegate/panel.crt' },
    { role: 'client-ca', name: 'panel', leftMs: 8 * dayMs, file: '/etc/dovegate/ca.pem' },
    { role: 'backend', name: 'mail1', leftMs: 1.5 * dayMs, file: undefined },
    { role: 'listener', name: '(page)', leftMs: 1_000, file: '/etc/dovegate/page.crt' },
  ] as const;
  const keys = [key('webmail', 2 * dayMs), key('graph', undefined), key('old', -1)];
  const reload = {
    atMs: downMs,
    isSuccess: false,
    restart: [],
    problems: ['f.yaml:3:1: no backend "x"\n    x: 1', 'f.yaml:2:1: warning: z'],
  };
  assert.deepEqual(
    find({ certificates, keys, reload }).map(({ text }) => text.replace(/\{[^}]*\}/g, 'T')),
    [
      'The key "old" of listener "panel" has expired at T.',
      'The configuration was not reloaded at T, and the one from before is served: f.yaml:3:1: no backend "x" (and 1 more)',
      'The certificate of page (/etc/dovegate/page.crt) expires in less than a day, at T.',
      'The certificate that mail1 shows expires in 1 day, at T.',
      'The key "webmail" of listener "panel" expires in 2 days, at T.',
      'The certificate of listener "panel" (/etc/dovegate/panel.crt) expires in 3 days, at T.',
    ],
  );
  assert.equal(stateOf(false, find({ certificates, keys }), true), 'serving');
  assert.deepEqual(
    find({ reload: { ...reload, lastMs: downMs - dayMs } }).map(({ text, ...each }) => [
      each.code,
      each.isDegrading,
      text.replace(/\{[^}]*\}/g, 'T'),
    ]),
    [
      [
        'last-served',
        true,
        'The file has problems since the start, and the configuration that was served before is served, as it was read at T; what the file denies since then may still be allowed: f.yaml:3:1: no backend "x" (and 1 more)',
      ],
    ],
  );
  const over = { role: 'listener', name: 'panel', leftMs: -1, file: '/etc/dovegate/panel.crt' } as const;
  assert.equal(stateOf(false, find({ certificates: [over] }), true), 'degraded');
});

void test('a key that is used from elsewhere is not one that is old', () => {
  const used = {
    listener: 'panel',
    key: 'webmail',
    why: 'address',
    network: '203.0.113.9',
    isFromSeveral: false,
    count: 3,
    firstMs: downMs,
    lastMs: nowMs,
  } as const;
  assert.deepEqual(find({ refusedKeys: [{ ...used, count: 2 }] }), []);
  const [code, text, hint] = first({ refusedKeys: [used] });
  assert.deepEqual(
    [code, text],
    [
      'key-stolen',
      'The key "webmail" of listener "panel" was used 3 times since {2026-11-21T02:14:00.000Z}, from 203.0.113.9, where it is not permitted, and not accepted: it may be stolen.',
    ],
  );
  assert.match(
    hint ?? '',
    /or remove it from listeners\.panel\.keys, or add 203\.0\.113\.9 to its "from" if that is you$/,
  );
  const old = { ...used, why: 'replaced', isFromSeveral: true } as const;
  assert.deepEqual(
    find({ refusedKeys: [old, used] }).map((each) => each.code),
    ['key-stolen', 'key-refused'],
  );
  assert.match(
    first({ refusedKeys: [old] })[1] ?? '',
    /from 203\.0\.113\.9 and elsewhere, and not accepted: it was replaced\.$/,
  );
});

void test('many logins fail, an auth service, a stall', () => {
  const most = { network: '203.0.113.9', listener: 'panel', count: 28 };
  assert.deepEqual(find({ failedLogins: { count: 29, most } }), []);
  const [code, text] = first({ failedLogins: { count: 30, most } });
  assert.equal(code, 'login-failed');
  assert.match(
    text ?? '',
    /^30 logins failed in the last minute, 28 of them from 203\.0\.113\.9 at listener "panel"/,
  );
  const lookups = [
    { socket: '/run/dovecot/auth-userdb', sinceMs: downMs, why: ['no answer in time'] as const },
  ];
  assert.match(
    first({ lookups })[1] ?? '',
    /at \/run\/dovecot\/auth-userdb does not answer since \{2026.*\}: no answer in time\./,
  );
  assert.match(
    first({ stall: { atMs: nowMs, durationMs: 1_234 } })[1] ?? '',
    /^Nothing was served for 1\.2 s at \{/,
  );
});

void test('young records fill the journal: the largest writers are named, unless the journal has worse', () => {
  const largest = [
    { principal: 'jobs@jobs', share: 0.912 },
    { principal: 'panel@http', share: 0.05 },
  ];
  const filling = { isFilling: true, youngBytes: 83, bytesMax: 100, largest };
  assert.deepEqual(first({ journal: { ...journal, filling } }), [
    'audit-filling',
    'Records younger than audit.keep_min fill 83 % of audit.max_size. The largest writers are refused first: jobs@jobs (91 %), panel@http (5 %).',
    'find out what they do in a loop (dovegate audit search --principal jobs@jobs --since 1h); raise audit.max_size, or lower audit.keep_min',
  ]);
  const unknown = first({ journal: { ...journal, filling: { ...filling, largest: [] } } });
  assert.match(unknown[1] ?? '', /Who wrote them is not known\.$/);
  assert.equal(first({ journal: { ...journal, filling, space: 'reserve' } })[0], 'audit-reserve');
});

void test('worst first, whatever comes together', () => {
  const all = find({
    backends: [down('mail1'), down('mail2'), backend('mail3', { waiters: 9, oldestWaitMs: 9_000 })],
    routes: [{ place: 'a:1', backends: ['mail1', 'mail2'] }],
    journal: { ...journal, space: 'reserve', unsyncedMs: 9_000, lost: 2 },
    sinks: [sink('log1:6514', 'away', 1, fault('stalled', '', 'stalled')), sink('log2:4222', 'forked', 1)],
    reload: { atMs: downMs, isSuccess: false, problems: [], restart: [] },
    keys: [key('webmail', 1)],
    stall: { atMs: nowMs, durationMs: 600 },
  });
  assert.deepEqual(
    all.map(({ code }) => code),
    'audit-reserve backend-down backend-down route-down audit-unsynced queue-grows audit-forked ship-away loop-stalled audit-lost reload-failed key-expires'.split(
      ' ',
    ),
  );
  assert.ok(all.every(({ text, try: hint = '' }) => !`${text}${hint}`.includes('undefined')));
});

void test('the state keeps since when it is; a change that nobody looked at begins when its cause did, but not before the last look', () => {
  const standing = new Standing(1_000);
  const problem = (sinceMs?: number): FoundProblem => ({
    code: 'backend-down',
    text: '',
    isDegrading: true,
    ...(sinceMs === undefined ? {} : { sinceMs }),
  });
  assert.deepEqual([standing.state, standing.sinceMs], ['serving', 1_000]);
  standing.judge('serving', [], 5_000);
  standing.judge('degraded', [problem(7_000), problem(6_000)], 9_000);
  assert.deepEqual([standing.state, standing.sinceMs], ['degraded', 6_000]);
  standing.judge('degraded', [problem(9_500)], 10_000);
  assert.equal(standing.sinceMs, 6_000);
  standing.judge('serving', [], 11_000);
  assert.equal(standing.sinceMs, 11_000);
  standing.judge('degraded', [problem(2_000)], 12_000);
  assert.equal(standing.sinceMs, 11_000);
  standing.judge('blind', [problem(2_000)], 13_000);
  assert.equal(standing.sinceMs, 13_000);
  standing.judge('draining', [], 14_000);
  assert.deepEqual([standing.state, standing.sinceMs], ['draining', 14_000]);
  // A wall clock that was set back.
  standing.judge('serving', [], 3_000);
  assert.equal(standing.sinceMs, 3_000);
});

void test('records whose files were taken away: which, since when, and how they come back', () => {
  const [found, ...others] = find({ journal: { ...journal, missing: { seq: 213, sinceMs: 0 } } });
  assert.deepEqual(
    [found?.code, found?.isDegrading, found?.sinceMs, others],
    ['audit-missing', false, 0, []],
  );
  assert.match(found?.text ?? '', /up to seq 213 are missing from .* since \{1970-01-01T00:00:00\.000Z\}/);
  assert.match(found?.try ?? '', /cp -an OLD\/\* .*dovegate audit verify/);
  const [before] = find({ journal: { ...journal, missing: { seq: 213, sinceMs: undefined } } });
  assert.match(before?.text ?? '', / since before the start: /);
});

void test('what a start found in the journal is shown until the next one, and degrades nothing', () => {
  const found = find({ journal: { ...journal, isDamaged: true, isAppended: true } });
  assert.deepEqual(
    found.map(({ code, isDegrading }) => [code, isDegrading]),
    [
      ['audit-damaged', false],
      ['journal-appended', false],
    ],
  );
  for (const { text, try: ask = '' } of found) assert.match(`${text} ${ask}`, /At the start.*audit verify/);
});

test('a backend that is newer than dovegate knows says what it gets', () => {
  for (const [newer, text, isDegrading] of [
    [
      'reads',
      'Backend mail1 is newer than this dovegate knows. It gets commands that read; changes are refused.',
      true,
    ],
    ['serve', 'Backend mail1 is newer than this dovegate knows. It gets all commands.', false],
  ] as const) {
    const [found, ...others] = find({
      backends: [backend('mail1', { newer }), backend('mail2')],
    });
    assert.deepEqual(
      [found?.code, found?.text, found?.isDegrading, others],
      ['backend-newer', text, isDegrading, []],
    );
    assert.match(found?.try ?? '', /^upgrade dovegate/);
  }
});

void test('locks in force: by whom, until when and why, without a mail user; above five their number', () => {
  const lock = {
    by: 'root',
    reason: 'stolen',
    since: '2026-11-21T02:00:00.000Z',
    until: '2026-11-21T04:00:00.000Z',
    hold: false,
  };
  const locks = ['carol', 'key:panel', 'user:bob@example.com', 'backend:mail1', 'a', 'b', 'c'].map(
    (target, at) => ({
      ...lock,
      target,
      id: `L${at}`,
    }),
  );
  const found = find({ locks });
  assert.deepEqual(
    found.map(({ code, text, try: ask }) => [code, text, ask]),
    [
      [
        'locked',
        'carol is locked by root until {2026-11-21T04:00:00.000Z} (stolen)',
        'dovegate unlock L0 --reason TEXT',
      ],
      [
        'locked',
        'key panel is locked by root until {2026-11-21T04:00:00.000Z} (stolen)',
        'dovegate unlock L1 --reason TEXT',
      ],
      [
        'locked',
        'a mail user is locked by root until {2026-11-21T04:00:00.000Z}',
        'dovegate unlock L2 --reason TEXT',
      ],
      [
        'locked',
        'backend mail1 is locked by root until {2026-11-21T04:00:00.000Z} (stolen)',
        'dovegate unlock L3 --reason TEXT',
      ],
      [
        'locked',
        'a is locked by root until {2026-11-21T04:00:00.000Z} (stolen)',
        'dovegate unlock L4 --reason TEXT',
      ],
      ['locked', '2 more locks are in force: dovegate status lists them', undefined],
    ],
  );
  assert.ok(found.every(({ isDegrading }) => !isDegrading));
  const { until: _until, ...held } = { ...lock, target: 'user:bob@example.com', id: 'H1', hold: true };
  const holds = find({
    locks: [held, { ...held, asked: 'anna', asked_until: lock.until }, { ...held, until: lock.until }],
  });
  assert.deepEqual(
    holds.map(({ code, text }) => [code, text]),
    [
      ['held', 'a mail user is held by root'],
      [
        'held',
        'a mail user is held by root; anna asked to lift that, and another person must by {' +
          lock.until +
          '}',
      ],
      ['held', 'a mail user is held by root until {2026-11-21T04:00:00.000Z}'],
    ],
  );
});
