// Goal: check tells everything that is wrong at once, each at its place, and nothing twice.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFromDisk } from '../../../src/host/machine/process.js';
import { describeSettings } from '../../../src/rules/cli/check.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import type { ProgramResult } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { deskConfiguration as observing, openDesk } from '../../whole/cli/desk.js';
import { hash, withJobs } from '../config/jobs.js';
import { parse, settingsOf, sound } from '../config/sound.js';

/** The lines of stdout that have these words. */
const linesWith = ({ stdout }: ProgramResult, words: string): readonly string[] =>
  stdout
    .toString()
    .split('\n')
    .filter((line) => line.includes(words));

/** Without a warning. */
const deskConfiguration = observing.replace('mode: observe', 'mode: enforce');

test('six mistakes are six problems with the right places', async (t) => {
  const mistakes: readonly (readonly [from: string, to: string])[] = [
    ['unix: audit.sock', 'unix: support.sock'],
    ['tls: off', 'tls: of'],
    ['- mailbox list', '- mailbox lst'],
    ['field: [uid, flags]', 'fields: [uid, flags]'],
    ['savedbefore: { at_least: 30d }', 'savedbefore: { at_least: 30 }'],
    ['limit: 20/hour', 'limit: 20 an hour'],
  ];
  const text = mistakes.reduce((before, [from, to]) => before.replace(from, to), deskConfiguration);
  const { run, folder } = openDesk(t, text);
  const told = await run('check');
  assert.equal(told.exit, 78);
  const problems = told.stdout.toString().split('\n');
  assert.deepEqual(
    problems.filter((line) => line.startsWith('dovegate.yaml:')),
    [
      'dovegate.yaml:4:12: listeners.audit.unix: is the socket of listener support already',
      'dovegate.yaml:7:40: backends.mail1.tls: must be one of: starttls, implicit, off',
      'dovegate.yaml:16:9: policies.support.allow[1]: no Dovecot has a command "mailbox lst" that can be sent to it; did you mean mailbox list?',
      'dovegate.yaml:18:18: policies.support.allow[2].where.fields: "fetch" has no parameter "fields"; did you mean field?',
      'dovegate.yaml:20:66: policies.support.allow[3].where.query.savedbefore.at_least: must be an age: a whole number and ms, s, m, h, d or w, as 30d',
      'dovegate.yaml:22:9: policies.support.allow[3].limit: must be a rate: a number and second, minute, hour or day, as 20/hour',
      'dovegate.yaml: 6 errors, 0 warnings',
    ],
  );
  const json = await run('check', '--json');
  assert.equal(json.exit, 78);
  assert.deepEqual(
    linesWith(json, '{').map((line) => {
      const { line: at, severity, code } = JSON.parse(line);
      return `${at} ${severity} ${code}`;
    }),
    [
      '4 error defined-twice',
      '7 error invalid-value',
      '16 error unknown-name',
      '18 error unknown-name',
      '20 error invalid-value',
      '22 error invalid-value',
    ],
  );
  // A line of the file below each, with a caret below the column.
  const at = problems.findIndex((line) => line.includes(':16:9:'));
  assert.deepEqual(problems.slice(at + 1, at + 3), [
    `    ${' '.repeat(6)}- mailbox lst`,
    `    ${' '.repeat(8)}^`,
  ]);

  writeFileSync(join(folder, 'mail1.password'), 'x', { mode: 0o600 });
  writeFileSync(
    join(folder, 'dovegate.yaml'),
    `${deskConfiguration}state: state\naudit: { directory: audit, memory: off }\n`,
  );
  const good = await run('check');
  assert.equal(good.text, 'dovegate.yaml: no problems\n');
  assert.equal(good.exit, 0);
});

test('files that include names and that are not there are said in words', async (t) => {
  const { run, folder } = openDesk(t, `${deskConfiguration}include: [none.d/*.yaml, none.yaml, folder]\n`);
  mkdirSync(join(folder, 'folder'));
  const told = await run('check');
  assert.equal(told.exit, 78);
  assert.deepEqual(
    linesWith(told, 'include[').map((line) => line.replace(/^\S+ /, '')),
    [
      'include[0]: none.d/*.yaml cannot be read: there is no such directory',
      'include[1]: none.yaml cannot be read: there is no such file',
      'include[2]: folder cannot be read: it is a directory',
    ],
  );
});

test('a group that this machine does not have ends check and serve alike', async (t) => {
  const unknown = deskConfiguration.replace(
    'unix: support.sock',
    'unix: support.sock, group: nobody-has-this',
  );
  const { run, folder } = openDesk(
    t,
    `${unknown}audit: { directory: audit, group: nor-this, memory: off }\nstate: state\n`,
  );
  writeFileSync(join(folder, 'mail1.password'), 'x', { mode: 0o600 });
  for (const [subcommand, ...options] of [['check'], ['serve', '--no-last']] as const) {
    const told = await run(subcommand, ...options);
    assert.equal(told.exit, 78, told.text);
    assert.deepEqual(
      told.text.split('\n').filter((line) => line.startsWith('dovegate.yaml:')),
      [
        'dovegate.yaml:3:41: listeners.support.group: this machine has no group nobody-has-this, so serve cannot start; make it, or correct the name',
        'dovegate.yaml:29:35: audit.group: this machine has no group nor-this, so serve cannot start; make it, or correct the name',
        'dovegate.yaml: 2 errors, 0 warnings',
      ],
    );
  }
});

test('the examples that are shipped have no problem but the files that are not here', async (t) => {
  const { run } = openDesk(t);
  const example = new URL('config/dovegate.example.yaml', projectRoot).pathname;
  const told = await run('check', '--config', example);
  // Which groups there are, whether there is a /run/dovegate, and what this user may make, is a matter of the machine.
  const problems = linesWith(told, `${example}:`).filter(
    (line) => !/ errors, |this machine has no|may not make it|audit\.memory/.test(line),
  );
  assert.deepEqual(problems, []);
  const systemd = new URL('config/systemd.example.yaml', projectRoot).pathname;
  assert.deepEqual(
    linesWith(await run('check', '--config', systemd), `${systemd}:`)
      .filter((line) => !/audit\.memory|may not make it/.test(line))
      .map((line) => line.slice(systemd.length).replace(/[23] warnings/, '1 warning')),
    [
      ':17:20: warning: backends.mail1.password_file: /run/credentials/dovegate.service/secret_mail1 is there only while its service runs, so it was not looked at',
      ':14:9: backends.mail1.ca: /etc/dovegate/ca.pem cannot be read: there is no such file; make it, or correct the path',
      ': 1 error, 1 warning',
    ],
  );
  const tested = await run('test', '--config', example);
  assert.equal(tested.text, 'all 5 tests passed\n');
});

test('a value with characters that a terminal obeys is shown without them, and in JSON it is still the value', async (t) => {
  const name = 'a\u202eb\u009bc\u2066d';
  const { run } = openDesk(
    t,
    deskConfiguration.replace('backend: mail1', `backend: ${JSON.stringify(name)}`),
  );
  const obeyed = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066]/;
  const told = (await run('check')).stdout.toString();
  assert.doesNotMatch(told, obeyed);
  assert.ok(told.includes('"a\\u{202e}b\\x9bc\\u{2066}d"'), told);
  const json = await run('check', '--json');
  assert.doesNotMatch(json.stdout.toString(), obeyed);
  const messages = linesWith(json, '{').map((line) => String(JSON.parse(line).message));
  assert.ok(messages.join('\n').includes(name), json.text);
});

test('a policy that observes is a warning, once, since its users and exceptions do not hold', async (t) => {
  const { run } = openDesk(t, observing);
  assert.deepEqual(linesWith(await run('check'), 'observes'), [
    'dovegate.yaml:26:11: warning: policies.watch.mode: observes: users, except and deny do not hold for commands that only touch mailboxes of users named one by one',
  ]);
});

test('the shared login of an old port is a warning, as soon as its policy enforces', async (t) => {
  const port = (mode: string): string =>
    deskConfiguration
      .replace(
        /^listeners:\n/m,
        '$&  old: { tcp: 127.0.0.1:1, tls: { mode: "off" }, accounts: { doveadm: { policy: watch, password_hash: "scrypt$32768$8$1$8GfmOVmE/ekoduHREcnl5w==$GMj7qWFNdetJBxAguhb5EOodmSTL/Fug19nJ4A4VH9M=" } } }\n',
      )
      .replace('mode: enforce', `mode: ${mode}`);
  for (const mode of ['observe', 'enforce']) {
    const { run } = openDesk(t, port(mode));
    const [found = ''] = linesWith(await run('check'), 'old port');
    assert.equal(
      /listeners\.old\.accounts: "doveadm" is whoever knows/.test(found),
      mode === 'enforce',
      found,
    );
  }
});

test('a candidate stands below its policy, and can says that there is one', async (t) => {
  const { run, folder } = openDesk(t, deskConfiguration.replace('mode: enforce', 'shadow: next.yaml'));
  writeFileSync(join(folder, 'next.yaml'), 'users: ["*"]\nallow: [who]\n');
  const settings = parseSettings(join(folder, 'dovegate.yaml'), readFromDisk).settings ?? assert.fail();
  assert.match(
    describeSettings(settings),
    /^candidate of policy watch, \S*next\.yaml:1 [0-9a-f]{16}:\n {2}version: 1\n[^]*? {6}- who$/m,
  );
  assert.match((await run('can', '--listener', 'audit')).text, /; a candidate is judged beside it/);
  const json = JSON.parse((await run('can', '--listener', 'audit', '--json')).stdout.toString());
  assert.match(json.candidate, /next\.yaml:1$/);
});

test('dsync-server in front of a Dovecot that is not known to be 2.4.5 is a warning at each backend', async (t) => {
  const granting = deskConfiguration.replace('- mailbox list', '- dsync-server');
  const { run, folder } = openDesk(t, granting);
  const warned = async () => linesWith(await run('check'), 'CVE-2026-33606');
  assert.deepEqual(await warned(), [
    'dovegate.yaml:7:10: warning: backends.mail1: policy support grants "dsync-server", and this Dovecot is not known to be 2.4.5 or newer: before that release, stored mail can act as dsync commands (CVE-2026-33606); write its release, or move only mail that you trust',
  ]);
  const known = granting.replace(
    'password_file: mail1.password',
    'password_file: mail1.password, release: "2.4.5"',
  );
  writeFileSync(join(folder, 'dovegate.yaml'), known);
  assert.notEqual(known, granting);
  assert.deepEqual(await warned(), []);
  // Not where no policy grants it.
  writeFileSync(join(folder, 'dovegate.yaml'), deskConfiguration);
  assert.deepEqual(await warned(), []);
});

test('a problem with a file stands at the value that names it', async (t) => {
  const text = `${deskConfiguration.replace('password_file: mail1.password', 'password_file: [p-one, p-two], ca: mail1.ca')}audit: { sign_key: sign.key, hmac_key: hmac.key }
admin: { tcp: "127.0.0.1:9146", token_file: admin.token }
`;
  const { run, folder } = openDesk(t, text);
  writeFileSync(join(folder, 'p-one'), 'x', { mode: 0o600 });
  const told = await run('check');
  assert.equal(told.exit, 78);
  const lines = text.split('\n');
  const places = [
    ...told.stdout.toString().matchAll(/^dovegate\.yaml:(\d+):(\d+): ([\w.[\]]+): .* cannot be read/gm),
  ];
  assert.deepEqual(
    places.map(([, line, column, path]) => {
      const value = /^[\w.-]+/.exec(lines[Number(line) - 1]?.slice(Number(column) - 1) ?? '')?.[0];
      return `${path} = ${value}`;
    }),
    [
      'backends.mail1.password_file[1] = p-two',
      'backends.mail1.ca = mail1.ca',
      'audit.sign_key = sign.key',
      'audit.hmac_key = hmac.key',
      'admin.token_file = admin.token',
    ],
  );
});

// Goal: `check --verbose` tells who may log in where, and how that is proved; never what a password is compared with; and where a record is
// before its command is sent.

void test('accounts and their proofs', () => {
  const pin = `sha256:${'ab'.repeat(32)}`;
  const text = describeSettings(
    settingsOf(
      withJobs(`accounts: {
      migrator: { password_hash: "${hash}", policy: support },
      backup: { certificate_name: B.example.com, policy: support },
      robot: { key_pins: ["${pin}"], password_hash: "${hash}", policy: support } }`),
    ),
  );
  const told = text.split('\n').filter((line) => line.includes('account'));
  assert.deepEqual(told, [
    '  policy support for account migrator, by a password',
    '  policy support for account backup, by a certificate of b.example.com',
    `  policy support for account robot, by a password, or by a certificate with key ${pin}`,
  ]);
  assert.ok(!text.includes('scrypt'));
});

void test('persons, and what policies offer on request', () => {
  const { settings } = parse(`${sound}    on_request: [{ command: expunge, approvals: 2 }]
    approve: [support]
persons: { carol: { users: [carol, "1001"], oidc: carol@example.com } }
`);
  const text = describeSettings(settings ?? assert.fail());
  assert.match(text, /^person carol: user:carol uid:1001 oidc:carol@example\.com$/m);
  assert.match(text, /\n +on_request:\n +- approvals: 2\n +command: expunge\n/);
  assert.match(text, /\n +approve:\n +- support/);
});

void test('keys, with when and where they hold', () => {
  const [one, two] = ['1', '2'].map((digit) => `sha256$${digit.repeat(64)}`);
  const keys = `keys: { modoboa: { hash: "${one}", policy: support, expires: 2027-06-30, from: [192.0.2.0/24] },
      graph: { hash: [{ hash: "${two}" }, { hash: "sha256$${'3'.repeat(64)}" }], policy: support } }`;
  const text = describeSettings(
    settingsOf(withJobs(`tls: { certificate: c, key: k }\n    protocol: http\n    ${keys}`, ['accounts'])),
  );
  assert.deepEqual(
    text.split('\n').filter((line) => / key |jobs/.test(line)),
    [
      'listener jobs: tcp:0.0.0.0:24246 http',
      '  policy support for key modoboa, until 2027-06-30, from 192.0.2.0/24',
      '  policy support for key graph, 2 hashes',
    ],
  );
  assert.ok(!text.includes('sha256'));
});

void test('where records are before a command is sent', () => {
  const records = (audit: string): string | undefined =>
    describeSettings(settingsOf(`${sound}audit: { directory: /a, memory_size: 3MiB, ${audit} }\n`))
      .split('\n')
      .find((line) => line.startsWith('records'));
  const synced = 'records /a: on disk before a command is sent';
  assert.equal(records('memory: /run/ring'), `${synced}; of read in /run/ring (3072 KiB)`);
  assert.equal(records('memory: off'), synced);
  assert.equal(records('strict: [read, session, write, admin, destroy]'), synced);
});

void test('a socket of systemd: its unit says who may connect', () => {
  const told = (listener: string): readonly string[] =>
    describeSettings(settingsOf(sound.replace(/unix: [^,}]+/, listener)))
      .split('\n')
      .filter((line) => /^listener support|^  policy support/.test(line));
  assert.deepEqual(told('systemd: support'), [
    'listener support: handed over by systemd as support',
    '  policy support for everybody whom SocketMode= and SocketGroup= of dovegate@support.socket let connect',
  ]);
});
