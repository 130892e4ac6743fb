// Goal: check tells everything that is wrong at once, each at its place, and nothing twice.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ProgramResult } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { deskConfiguration as observing, openDesk } from '../../whole/cli/desk.js';

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
  const lines = problems.filter((line) => line.startsWith('dovegate.yaml:'));
  assert.deepEqual(lines, [
    'dovegate.yaml:4:12: listeners.audit.unix: is the socket of listener support already',
    'dovegate.yaml:7:40: backends.mail1.tls: must be one of: starttls, implicit, off',
    'dovegate.yaml:16:9: policies.support.allow[1]: no Dovecot has a command "mailbox lst" that can be sent to it; did you mean mailbox list?',
    'dovegate.yaml:18:18: policies.support.allow[2].where.fields: "fetch" has no parameter "fields"; did you mean field?',
    'dovegate.yaml:20:66: policies.support.allow[3].where.query.savedbefore.at_least: must be an age: a whole number and ms, s, m, h, d or w, as 30d',
    'dovegate.yaml:22:9: policies.support.allow[3].limit: must be a rate: a number and second, minute, hour or day, as 20/hour',
    'dovegate.yaml: 6 errors, 0 warnings',
  ]);
  const json = await run('check', '--json');
  assert.equal(json.exit, 78);
  const found = linesWith(json, '{').map((line) => {
    const { line: at, severity, code } = JSON.parse(line);
    return `${at} ${severity} ${code}`;
  });
  assert.deepEqual(found, [
    '4 error defined-twice',
    '7 error invalid-value',
    '16 error unknown-name',
    '18 error unknown-name',
    '20 error invalid-value',
    '22 error invalid-value',
  ]);
  // A line of the file below each, with a caret below the column.
  const at = problems.findIndex((line) => line.includes(':16:9:'));
  const marked = [`    ${' '.repeat(6)}- mailbox lst`, `    ${' '.repeat(8)}^`];
  assert.deepEqual(problems.slice(at + 1, at + 3), marked);

  writeFileSync(join(folder, 'mail1.password'), 'x', { mode: 0o600 });
  writeFileSync(
    join(folder, 'dovegate.yaml'),
    `${deskConfiguration}state: state\naudit: { directory: audit, memory: off }\n`,
  );
  const good = await run('check');
  assert.equal(good.text, 'dovegate.yaml: no problems\n');
  assert.equal(good.exit, 0);
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
  const left = linesWith(await run('check', '--config', systemd), `${systemd}:`)
    .filter((line) => !/audit\.memory|may not make it/.test(line))
    .map((line) => line.slice(systemd.length).replace(/[23] warnings/, '1 warning'));
  assert.deepEqual(left, [
    ':17:20: warning: backends.mail1.password_file: /run/credentials/dovegate.service/secret_mail1 is there only while its service runs, so it was not looked at',
    ':14:9: backends.mail1.ca: /etc/dovegate/ca.pem cannot be read: there is no such file; make it, or correct the path',
    ': 1 error, 1 warning',
  ]);
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
    const isWarned = /listeners\.old\.accounts: "doveadm" is whoever knows/.test(found);
    assert.equal(isWarned, mode === 'enforce', found);
  }
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
  const named = places.map(([, line, column, path]) => {
    const value = /^[\w.-]+/.exec(lines[Number(line) - 1]?.slice(Number(column) - 1) ?? '')?.[0];
    return `${path} = ${value}`;
  });
  assert.deepEqual(named, [
    'backends.mail1.password_file[1] = p-two',
    'backends.mail1.ca = mail1.ca',
    'audit.sign_key = sign.key',
    'audit.hmac_key = hmac.key',
    'admin.token_file = admin.token',
  ]);
});

// Goal: `check --verbose` tells who may log in where, and how that is proved; never what a password is compared with; and where a record is
// before its command is sent.
