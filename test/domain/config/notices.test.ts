// Goal: receivers of notices are read as written, and one whose notices could be read or forged on their way, or that nothing could be sent
// to, is a problem at its place.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import type { NoticeSettings } from '../../../src/domain/config/settings.js';
import { parse, sound } from './sound.js';

const page = 'admin: { page: { unix: /run/page.sock, people: { anna: { user: anna, role: view } } } }';

function read(
  notices: string,
  admin = page,
): { settings: readonly NoticeSettings[]; problems: string[]; hash: string } {
  const { settings, problems } = parse(`${sound}${admin}\n${notices}\n`);
  return {
    settings: settings?.notices ?? [],
    hash: settings?.hash ?? '',
    problems: problems.map(({ path, severity, message }) => `${path}: ${severity}: ${message}`),
  };
}

void test('a webhook and a mail, with their defaults', () => {
  const { settings, problems } = read(`notices:
  chat: { webhook: "https://chat.example.com/hooks/x", secret_file: hook, ca: ca.pem, events: [requested, break-glass] }
  room: { webhook: "http://localhost:8065/hooks/y", format: text }
  mail: { mail: { to: [leads@example.com], from: dovegate@gate1.example.com } }`);
  assert.deepEqual(problems, []);
  const all = ['requested', 'granted', 'refused', 'revoked', 'break-glass'];
  assert.deepEqual(settings, [
    {
      kind: 'webhook',
      name: 'chat',
      caFile: '/etc/dovegate/ca.pem',
      events: ['requested', 'break-glass'],
      url: 'https://chat.example.com/hooks/x',
      format: 'json',
      secretFile: '/etc/dovegate/hook',
    },
    {
      kind: 'webhook',
      name: 'room',
      events: all,
      url: 'http://localhost:8065/hooks/y',
      format: 'text',
    },
    {
      kind: 'mail',
      name: 'mail',
      events: all,
      to: ['leads@example.com'],
      from: 'dovegate@gate1.example.com',
      host: 'localhost',
      port: 25,
    },
  ]);
});

void test('mails to the owners of mailboxes', () => {
  const { settings, problems } = read(`notices:
  owners: { mail: { to: owner, from: dovegate@gate1.example.com, domain: example.com, except: ["Shared-*@example.com"] } }`);
  assert.deepEqual(settings, [
    {
      kind: 'owners',
      name: 'owners',
      from: 'dovegate@gate1.example.com',
      host: 'localhost',
      port: 25,
      digestMs: 7 * 3_600_000,
      domain: 'example.com',
      except: ['shared-*@example.com'],
    },
  ]);
  assert.deepEqual(problems, ['notices.owners.mail.to: warning: has no effect: no policy has on_request']);
  const twice = read(`notices:
  one: { mail: { to: owner, from: a@example.com } }
  two: { mail: { to: owner, from: b@example.com } }`);
  assert.match(twice.problems.join(), /notices\.two\.mail\.to: error: is owner in one, too/);
  const wrong: readonly (readonly [mail: string, problem: RegExp])[] = [
    ['to: owner, digest: "7:00"', /mail\.digest: error: must be a time of the day in UTC, in quotes/],
    ['to: owner, digest: "24:00"', /mail\.digest: error: must be a time of the day/],
    ['to: owner, domain: "a b"', /mail\.domain: error: must be a domain/],
    ['to: owner, except: ["@example.com"]', /mail\.except\[0\]: error: names no user/],
    ['to: owners', /mail\.to: error: must be owner, or a list of addresses/],
    ['to: [leads@example.com], digest: "07:00"', /mail\.digest: warning: has no effect without to: owner/],
    ['to: [leads@example.com], except: [a]', /mail\.except: warning: has no effect without to: owner/],
  ];
  for (const [mail, problem] of wrong) {
    const found = read(
      `notices: { owners: { mail: { ${mail}, from: dovegate@gate1.example.com } } }`,
    ).problems;
    assert.ok(
      found.some((each) => problem.test(each)),
      `${mail}: ${found.join()}`,
    );
  }
  const events = read(
    'notices: { owners: { mail: { to: owner, from: dovegate@gate1.example.com }, events: [granted] } }',
  ).problems;
  assert.ok(
    events.some((each) => /events: warning: has no effect with to: owner/.test(each)),
    events.join(),
  );
});

void test('a configuration without receivers has the hash that it had before there were any', () => {
  assert.equal(read('notices: {}').hash, read('').hash);
  assert.notEqual(read('notices: { c: { webhook: "http://[::1]:1/", format: text } }').hash, read('').hash);
});

const text = 'format: text';
const cases: readonly (readonly [string, RegExp])[] = [
  [
    `webhook: "http://chat.example.com/x", ${text}`,
    /^notices\.c\.webhook: error: http: is not encrypted, and chat\.example\.com/,
  ],
  [`webhook: "http://10.0.0.1/x", ${text}`, /^notices\.c\.webhook: error: http: is not encrypted/],
  [`webhook: "ftp://localhost/x", ${text}`, /^notices\.c\.webhook: error: must be a URL/],
  [`webhook: nonsense, ${text}`, /^notices\.c\.webhook: error: must be a URL/],
  [`webhook: "https://u:p@chat.example.com/x", ${text}`, /^notices\.c\.webhook: error: a URL holds no user/],
  ['webhook: "https://chat.example.com/x"', /^notices\.c: error: needs secret_file/],
  [`webhook: "http://127.0.0.1/x", ${text}, ca: ca.pem`, /^notices\.c\.ca: warning: has no effect/],
  ['events: [requested]', /^notices\.c: error: needs webhook or mail/],
  [
    `webhook: "http://127.0.0.1/x", ${text}, events: [approved]`,
    /^notices\.c\.events\[0\]: error: must be one of: requested, granted/,
  ],
  [
    `webhook: "http://127.0.0.1/x", ${text}, events: []`,
    /^notices\.c\.events: error: must hold at least one/,
  ],
  [
    `webhook: "http://127.0.0.1/x", mail: { to: [a@b.c], from: a@b.c }`,
    /^notices\.c\.mail: error: a receiver is either/,
  ],
  [
    'mail: { to: ["a@b.c\\r\\nBcc: x@y.z"], from: a@b.c }',
    /^notices\.c\.mail\.to\[0\]: error: must be an address/,
  ],
  ['mail: { to: ["<a@b.c>"], from: a@b.c }', /^notices\.c\.mail\.to\[0\]: error: must be an address/],
  ['mail: { to: [a@b.c], from: "Gate <a@b.c>" }', /^notices\.c\.mail\.from: error: must be an address/],
  ['mail: { to: [a@b.c], from: a@b.c, server: mail }', /^notices\.c\.mail\.server: error: must be HOST:PORT/],
  ['mail: { to: [a@b.c], from: a@b.c }, secret_file: x', /^notices\.c\.secret_file: error: is for a webhook/],
  ['mail: { to: [], from: a@b.c }', /^notices\.c\.mail\.to: error: must hold at least one address/],
  [
    `webhook: "https://chat.example.com/x#frag", ${text}`,
    /^notices\.c\.webhook: warning: what stands behind # .* never sent/,
  ],
  [
    `webhook: "http://127.0.0.1/x", ${text}, events: [granted, refused, granted]`,
    /^notices\.c\.events\[2\]: warning: granted is there twice/,
  ],
  [
    'mail: { to: [a@b.c, d@e.f, a@b.c], from: a@b.c }',
    /^notices\.c\.mail\.to\[2\]: warning: a@b\.c is there twice/,
  ],
  [
    'mail: { to: [a@b.c], from: a@b.c, server: "mx:465" }',
    /^notices\.c\.mail\.server: warning: port 465 expects TLS/,
  ],
  [
    `webhook: "http://127.0.0.1/x", ${text}, link: true`,
    /^notices\.c\.link: error: "link" is not a key here/,
  ],
];

void test('what could be read or forged on its way, or goes nowhere, is a problem', () => {
  for (const [receiver, expected] of cases) {
    const { problems } = read(`notices: { c: { ${receiver} } }`);
    assert.ok(
      problems.some((each) => expected.test(each)),
      `${receiver}\n${problems.join('\n')}`,
    );
  }
  // One fault is one problem.
  for (const receiver of [
    'mail: { to: [a@b.c] }',
    'webhook: 7',
    `webhook: "http://127.0.0.1/x", ${text}, events: [expired]`,
    'mail: { to: [{ a: b }], from: a@b.c }',
  ])
    assert.equal(read(`notices: { c: { ${receiver} } }`).problems.length, 1, receiver);
  // The page need not be there.
  assert.deepEqual(read(`notices: { c: { webhook: "http://127.0.0.1/x", ${text} } }`, '').problems, []);
  // Of one channel, for different events and for the same.
  const twice = (events: string): string[] =>
    read(
      `notices: { a: { webhook: "http://127.0.0.1/x", ${text}, events: [granted] }, b: { webhook: "http://127.0.0.1/x", ${text}, events: [${events}] } }`,
    ).problems;
  assert.deepEqual(twice('refused'), []);
  assert.match(twice('refused, granted').join(), /^notices\.b\.webhook: warning: is the URL of a, too/);
  // bounds.noticeReceivers
  const many = Array.from(
    { length: bounds.noticeReceivers + 1 },
    (_, at) => `c${at}: { webhook: "http://127.0.0.1/x${at}", ${text} }`,
  );
  assert.match(
    read(`notices: { ${many.join(', ')} }`).problems.join(),
    /^notices: error: must hold at most 8 receivers/,
  );
  assert.deepEqual(read(`notices: { ${many.slice(1).join(', ')} }`).problems, []);
});
