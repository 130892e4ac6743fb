// Goal: the keys of an HTTP listener are read whole, and everything that would let nobody in, or in too long, is told at its place. What
// must not happen: a key that stands in a configuration is shown.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '../../../src/domain/config/parse-settings.js';
import { formatProblem } from '../../../src/domain/config/problem.js';
import { hashKey, keyBytes, makeKey } from '../../../src/domain/keys/key.js';
import { hash as passwordHash, withJobs } from './jobs.js';
import { memoryFiles, settingsOf, sound, told } from './sound.js';

const keyText = makeKey(Buffer.alloc(keyBytes, 5));
const first = hashKey(keyText);
const second = hashKey('second');
const third = hashKey('third');

/** `first` in line 5 of a listener that speaks HTTP, its tls in the next one, or where `first` says it. */
function withPanel(firstLine: string, tls = 'tls: { certificate: c, key: k }'): string {
  const other = tls === '' ? [] : [tls];
  const lines = [firstLine, 'protocol: http', ...other, 'tcp: "0.0.0.0:8443"'];
  const text = lines.map((line) => `    ${line}\n`).join('');
  return sound.replace('backends:', `  panel:\n${text}backends:`);
}

const withKeys = (text: string): string => withPanel(`keys: { ${text} }`);

void test('all of it', () => {
  const text = withKeys(
    `modoboa: { hash: "${first}", policy: support, expires: 2027-06-30, from: [192.0.2.10/32, "2001:db8::/32"] }, graph: { hash: [{ hash: "${second}", until: 2027-01-31T18:00:00Z }, { hash: "${third}" }], policy: support }`,
  );
  const [, panel] = settingsOf(text).listeners;
  assert.equal(panel?.protocol, 'http');
  assert.equal(panel.tls?.mode, 'implicit', 'HTTP has no STARTTLS, so that is what TLS means there');
  assert.deepEqual(
    panel.keys.map(({ name, policy, hashes, expiresMs, from }) => ({
      name,
      policy,
      hashes,
      expiresMs,
      from,
    })),
    [
      {
        name: 'modoboa',
        policy: 'support',
        hashes: [{ sha256: first.slice(7), untilMs: undefined }],
        // The end of that day.
        expiresMs: Date.UTC(2027, 6, 1),
        from: ['192.0.2.10/32', '2001:db8::/32'],
      },
      {
        name: 'graph',
        policy: 'support',
        hashes: [
          { sha256: second.slice(7), untilMs: Date.UTC(2027, 0, 31, 18) },
          { sha256: third.slice(7), untilMs: undefined },
        ],
        expiresMs: undefined,
        from: [],
      },
    ],
  );
  assert.deepEqual(panel.keys[0]?.place, { file: '/etc/dovegate/d.yaml', line: 5, column: 13 });
});

const good = `keys: { a: { hash: "${first}", policy: support } }`;

void test('accounts beside keys, and instead of them; off on loopback; a socket of systemd', () => {
  const accounts = `accounts: { b: { password_hash: "${passwordHash}", policy: support } }`;
  for (const text of [
    withPanel(`${good}\n    ${accounts}`),
    withPanel(accounts),
    withPanel(good, 'tls: { mode: implicit, certificate: c, key: k }'),
    withPanel(good, 'tls: { mode: off }').replace('0.0.0.0', '127.0.0.1'),
    withPanel(good).replace('tcp: "0.0.0.0:8443"', 'systemd: panel'),
  ])
    settingsOf(text);
  const unix = 'unix: /run/p.sock\n    protocol: http\n    policies: [{ policy: support }]';
  const [, panel] = settingsOf(sound.replace('backends:', `  panel:\n    ${unix}\nbackends:`)).listeners;
  assert.deepEqual([panel?.protocol, panel?.keys, panel?.tls], ['http', [], undefined]);
});

const mistakes: readonly (readonly [text: string, ...problems: string[]])[] = [
  [withJobs(good), '5:5: listeners.jobs.keys: is for listeners with protocol: http; others have accounts'],
  [
    sound.replace('policy: support }', `policy: support, ${good} }`),
    '3:50: listeners.support.keys: is for listeners with protocol: http; others have accounts',
  ],
  [
    sound.replace('policy: support }', `policy: support, protocol: http, ${good} }`),
    '3:66: listeners.support.keys: is for TCP sockets; the kernel says who connects to a UNIX socket',
  ],
  [
    withPanel(good, 'tls: { mode: starttls, certificate: c, key: k }'),
    '7:12: listeners.panel.tls.mode: must be implicit (or off, on loopback): HTTP has no STARTTLS',
  ],
  [
    withPanel(good, 'tls: { mode: off }'),
    '7:12: listeners.panel.tls.mode: off is for loopback addresses (127.0.0.1, [::1]): passwords would travel in clear',
  ],
  [
    withPanel(good, ''),
    '4:3: listeners.panel: needs TLS: add tls: { certificate: FILE, key: FILE }; without it passwords would travel in clear',
  ],
  [
    withPanel('sessions: 5'),
    '4:3: listeners.panel: needs keys (see dovegate key new) or accounts: nobody else can log in by TCP',
  ],
  [
    withPanel('keys: {}'),
    '5:5: listeners.panel.keys: needs keys (see dovegate key new) or accounts: nobody else can log in by TCP',
  ],
  [
    withPanel(`policy: support\n    ${good}`),
    '5:5: listeners.panel.policy: is for UNIX sockets: each key and each account has its own',
  ],
  [
    withPanel(good).replace('protocol: http', 'protocol: https'),
    // Without it the listener is one of doveadm, and is read as that.
    '4:3: listeners.panel: needs accounts: nobody else can log in by TCP',
    '5:5: listeners.panel.keys: is for listeners with protocol: http; others have accounts',
    '6:5: listeners.panel.protocol: must be one of: doveadm, http',
  ],
  [
    withKeys(`a: { hash: "${first}", policy: suport }`),
    `5:99: listeners.panel.keys.a.policy: there is no policy "suport"; did you mean support?`,
  ],
  [
    withKeys(`a: { hash: "${first}" }`),
    '5:5: listeners.panel.keys: needs keys (see dovegate key new) or accounts: nobody else can log in by TCP',
    '5:13: listeners.panel.keys.a.policy: is missing; it must be the name of a policy',
  ],
];

for (const [text, ...problems] of mistakes)
  void test(`mistake: ${problems[0] ?? ''}`, () => assert.deepEqual(told(text), problems));

void test('shapes', () => {
  for (const [text, expected] of [
    ['a: { policy: support }', /panel\.keys\.a.*hash/],
    [
      'a: { hash: 5, policy: support }',
      /hash: must be a hash, as dovegate key new prints it, or a list of hashes/,
    ],
    ['a: { hash: [], policy: support }', /must hold at least one hash/],
    ['"a b": { hash: x, policy: support }', /a name is 1 to 64 letters/],
    [`a: { hash: "${first}", policy: support, form: [] }`, /"form" is not a key here; did you mean from\?/],
  ] as const)
    assert.match(told(withKeys(text)).join('\n'), expected);
});

/** With the hash of key `a` at column 24, or in a list from column 33 on. */
const keyProblems: readonly (readonly [text: string, ...problems: string[]])[] = [
  [
    `a: { hash: "sha256:${'0'.repeat(64)}", policy: support }`,
    '5:18: listeners.panel.keys.a.hash: must be sha256$ and 64 lower-case hex digits, as dovegate key new prints it',
  ],
  [
    `a: { hash: "${first.toUpperCase()}", policy: support }`,
    '5:18: listeners.panel.keys.a.hash: must be sha256$ and 64 lower-case hex digits, as dovegate key new prints it',
  ],
  [
    `a: { hash: "${first}", policy: support }, b: { hash: "${first}", policy: support }`,
    '5:123: listeners.panel.keys.b.hash: is the hash of key a already',
  ],
  [
    `a: { hash: [{ hash: "${first}" }, { hash: "${first}" }], policy: support }`,
    '5:112: listeners.panel.keys.a.hash[1].hash: is in this list already',
  ],
  [
    `a: { hash: [{ hash: "${first}", until: soon }], policy: support }`,
    '5:108: listeners.panel.keys.a.hash[0].until: must be a day as 2027-06-30, or a time as 2027-06-30T18:00:00Z',
  ],
  [
    `a: { hash: "${first}", policy: support, expires: 2027-02-30 }`,
    '5:116: listeners.panel.keys.a.expires: must be a day as 2027-06-30, or a time as 2027-06-30T18:00:00Z',
  ],
  [
    `a: { hash: "${first}", policy: support, from: [192.0.2.1/24, panel] }`,
    '5:123: listeners.panel.keys.a.from[0]: has bits set beyond its length; write the first address of the network',
    '5:137: listeners.panel.keys.a.from[1]: must be an address or a network, as 192.0.2.7, 192.0.2.0/24 or "2001:db8::/32"',
  ],
];

for (const [text, ...problems] of keyProblems)
  void test(`key: ${problems[0] ?? ''}`, () => assert.deepEqual(told(withKeys(text)), problems));

void test('a name is that of one account or key', () => {
  const accounts = `accounts: { a: { password_hash: "${passwordHash}", policy: support } }`;
  assert.deepEqual(told(withPanel(`${good}\n    ${accounts}`)), [
    '5:13: listeners.panel.keys.a: is the name of an account of this listener already',
  ]);
});

void test('the same hash on two listeners is no mistake: one program, two doors', () => {
  const more = `  more: { tcp: "0.0.0.0:8444", protocol: http, tls: { certificate: c, key: k }, ${good} }\nbackends:`;
  settingsOf(withPanel(good).replace('backends:', more));
});

void test('a key that was written instead of its hash is told, and not shown', () => {
  const file = '/etc/dovegate/d.yaml';
  const text = withKeys(`a: { hash: ${keyText}, policy: support }`);
  const { problems } = parseSettings(file, memoryFiles({ [file]: text }));
  const lines = problems.map((problem) => formatProblem(problem, text)).join('\n');
  assert.match(lines, /5:18: .*keys\.a\.hash: is a key itself, which must not stand here/);
  assert.ok(!lines.includes(keyText), lines);
  assert.ok(!lines.includes(keyText.slice(13, 56)), lines);
});

/** Warnings on 2026-06-01. */
function warnings(text: string): string[] {
  const file = '/etc/dovegate/d.yaml';
  const { problems } = parseSettings(file, memoryFiles({ [file]: withKeys(text) }), {
    nowMs: Date.UTC(2026, 5, 1),
  });
  return problems.map(({ column, severity, path, message, code }) => {
    assert.equal(code, 'key-expiry');
    return `${column}: ${severity} ${path.replace('listeners.panel.keys.', '')}: ${message}`;
  });
}

void test('what is told of the end of a key, and when', () => {
  const expiring = (day: string): string[] =>
    warnings(`a: { hash: "${first}", policy: support, expires: ${day} }`);
  const at = '116: warning a.expires: ';
  assert.deepEqual(warnings(`a: { hash: "${first}", policy: support }`), [
    '13: warning a: never expires; add expires: DATE, within a year or so',
  ]);
  assert.deepEqual(expiring('2026-05-31'), [`${at}is in the past: the key is refused`]);
  assert.deepEqual(expiring('2026-06-01T00:00:00Z'), [`${at}is in the past: the key is refused`]);
  const soon = (left: string): string[] => [`${at}the key expires in ${left}; add the hash of its successor`];
  assert.deepEqual(expiring('2026-06-01T23:59:59Z'), soon('less than a day'));
  assert.deepEqual(expiring('2026-06-01'), soon('a day'));
  assert.deepEqual(expiring('2026-06-13'), soon('13 days'));
  assert.deepEqual(expiring('2026-06-14'), []);
  assert.deepEqual(expiring('2027-05-31'), []);
  assert.deepEqual(expiring('2027-07-05'), []);
  assert.deepEqual(expiring('2027-07-06'), [
    `${at}is more than 400 days away; a key should be replaced before`,
  ]);
  assert.deepEqual(
    warnings(
      `a: { hash: [{ hash: "${first}", until: 2026-05-31 }, { hash: "${second}" }], policy: support, expires: 2027-01-01 }`,
    ),
    ['108: warning a.hash[0].until: is in the past: this hash is refused, and can be removed'],
  );
});
