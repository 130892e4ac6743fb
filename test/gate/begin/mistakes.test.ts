// Goal: forty mistakes of a beginner, each answered with what is wrong, where (a line of the file, or the word), and what to do. One small
// configuration, one change each: mistakes.txt, where the line behind `>` is the first error, as a person approved it; then a daemon that
// cannot start, a Dovecot that does not answer, and a command that is typed wrongly.
// What must not happen: a stack, a message of a library, a first problem that is not the one that was made. What else a configuration can
// have wrong is in test/rules/config/cases.

import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import net from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  type Answers,
  draftConfiguration,
  draftSnippet,
  serverCommandsOf,
  type TcpBackend,
  testsFor,
} from '../../../src/gate/begin/draft.js';
import { uidOf } from '../../../src/host/machine/accounts.js';
import { readFromDisk, shippedPresets } from '../../../src/host/machine/process.js';
import { runTests } from '../../../src/rules/answers/policy-tests.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { policyTestsOf, type Settings } from '../../../src/rules/config/settings.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { runDovegate } from '../../kit/gate/daemon.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { columns } from '../../kit/plain/columns.js';
import { openFolder } from '../../kit/plain/folder.js';
import { projectRoot } from '../../kit/plain/root.js';
import { changed, filled, shortened } from '../../rules/config/jobs.js';
import { answers, local } from './examples.js';

const configuration = `version: 1
listeners:
  support: { unix: support.sock, policy: support }
backends:
  mail1:
    address: "127.0.0.1:24245"
    tls: off
    password_file: mail1.password
    shared_namespaces: []
routes:
  - { users: ["*@example.com"], backend: mail1 }
policies:
  support:
    users: ["*@example.com"]
    allow:
      - quota get
      - mailbox list
audit: { directory: audit, memory: off }
state: state
`;

/** A folder with a configuration, and what it names. */
function openPlace(t: TestContext, text = configuration): string {
  const folder = openFolder(t);
  writeFileSync(join(folder, 'dovegate.yaml'), text);
  writeFileSync(join(folder, 'mail1.password'), 'secret\n', { mode: 0o600 });
  for (const name of ['state', 'audit']) mkdirSync(join(folder, name), { mode: 0o700 });
  const first = makeAuthority({ name: 'first' }).issue({ names: ['localhost'] });
  const second = makeAuthority({ name: 'second' }).issue({ names: ['localhost'] });
  writeFileSync(join(folder, 'tls.crt'), first.certificatePem);
  writeFileSync(join(folder, 'other.key'), second.keyPem, { mode: 0o600 });
  return folder;
}

const table = new URL('test/gate/begin/mistakes.txt', projectRoot);
test('check: the first error is the one that was made', async (t) => {
  const written = readFileSync(table, 'utf8');
  let now = '';
  for (const [row, changes = ''] of written.matchAll(/^## .*\n((?:[\d-]*\|.*\n)+)(?:> .*\n)*/gm)) {
    const folder = openPlace(t, changed(configuration, filled(changes)));
    const told = await runWarm(['check', '--config', 'dovegate.yaml'], { cwd: folder });
    assert.equal(told.exit, 78, row + told.text);
    assert.doesNotMatch(told.text, /\bat .*:\d+:\d+\)?$|undefined|\[object/m);
    const errors = told.text
      .split('\n')
      .filter((each) => /^dovegate\.yaml:\d/.test(each) && !/ warning: /.test(each));
    now += `${row.replaceAll(/^> .*\n/gm, '')}> ${shortened(errors[0]?.replaceAll(folder, 'FOLDER') ?? '')}\n`;
  }
  if (process.env['DOVEGATE_ANSWERS'] === 'write') writeFileSync(table, now);
  else assert.equal(now, written);
});

test('check: a password file that others can read, one that the daemon cannot, a file that is not there', async (t) => {
  const folder = openPlace(t);
  const check = async (file = 'dovegate.yaml'): Promise<string> =>
    (await runWarm(['check', '--config', file], { cwd: folder })).text;
  chmodSync(join(folder, 'mail1.password'), 0o644);
  assert.match(
    await check(),
    /^dovegate\.yaml:8:20: .*can be read by every user \(mode 0644\); run: chmod o-r \S+mail1\.password$/m,
  );
  chmodSync(join(folder, 'mail1.password'), 0o600);
  assert.match(
    await check('none.yaml'),
    /^none\.yaml:1:1: none\.yaml cannot be read: there is no such file$/m,
  );
  if (process.getuid?.() !== 0) return t.skip('only root has files of other users');
  chmodSync(folder, 0o755);
  chmodSync(join(folder, 'dovegate.yaml'), 0o644);
  for (const name of ['state', 'audit']) chownSync(join(folder, name), uidOf('nobody') ?? -1, -1);
  assert.match(
    await check(),
    /^dovegate\.yaml:8:20: .*cannot be read by nobody, the user of the daemon: .*; run: chown nobody \S+mail1\.password$/m,
  );
});

/** A server that says this to everybody. */
async function openServer(t: TestContext, at: string | undefined, greeting: string): Promise<number> {
  const server = net.createServer((client) => {
    client.on('error', () => undefined);
    client.write(greeting);
  });
  await new Promise<void>((resolve) => {
    if (at === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(at, resolve);
  });
  t.after(() => server.close());
  const address: AddressInfo | string | null = server.address();
  return address === null || typeof address === 'string' ? 0 : address.port;
}

test('serve: a port and a socket at which another process listens', async (t) => {
  const port = await openServer(t, undefined, '');
  const serve = async (folder: string): Promise<string> => {
    const ended = await runDovegate(['serve', '--config', 'dovegate.yaml'], { cwd: folder });
    assert.equal(ended.exit, 78, ended.text);
    return ended.text;
  };
  const taken = openPlace(t, `${configuration}admin: { tcp: "127.0.0.1:${port}" }\n`);
  assert.match(
    await serve(taken),
    new RegExp(`127\\.0\\.0\\.1:${port}: .*another process listens there; stop it, or take another port`),
  );
  const folder = openPlace(t);
  await openServer(t, join(folder, 'support.sock'), '');
  assert.match(await serve(folder), /support\.sock: another process listens there; stop it first/);
});

test('doctor: a Dovecot that is not there, another service of it, one without the password', async (t) => {
  const doctor = async (address: string): Promise<string> => {
    const folder = openPlace(t, configuration.replace('127.0.0.1:24245', address));
    const told = await runWarm(['doctor', '--config', 'dovegate.yaml'], { cwd: folder });
    return /^bad +backend mail1 .*$/m.exec(told.text)?.[0] ?? told.text;
  };
  assert.match(
    await doctor('127.0.0.1:1'),
    /cannot connect to 127\.0\.0\.1:1: nobody listens there; look at the address/,
  );
  for (const [greeting, service] of [
    ['* OK Dovecot ready.\r\n', 'IMAP'],
    ['VERSION\t1\t2\nMECH\tPLAIN\nDONE\n', "Dovecot's auth service"],
  ] as const) {
    const address = `127.0.0.1:${await openServer(t, undefined, greeting)}`;
    const said = await doctor(address);
    const named = `${address}: it is no doveadm server: it greets as ${service} does; look whether "address" is`;
    assert.ok(said.includes(named), said);
  }
  const dovecot = await openScriptedDovecot({ owner: t, password: 'another' });
  assert.match(await doctor(dovecot.address), /compare password_file with doveadm_password of that Dovecot/);
});

test('words typed wrongly: no socket, one that is not there, an unknown listener, subcommand and option', async (t) => {
  const folder = openPlace(t);
  const env = { DOVEADM_SOCKET: undefined, DOVEGATE_CLIENT_CONFIG: undefined };
  const said = async (...args: string[]): Promise<string> => {
    const ended = await runWarm(args, { cwd: folder, env });
    assert.notEqual(ended.exit, 0);
    return ended.text;
  };
  const send = ['send', '--user', 'bob@example.com'];
  assert.match(await said(...send, '--', 'quota', 'get'), /no socket: give one with --socket/);
  assert.match(
    await said(...send, '--socket', 'support', '--', 'quota', 'get'),
    /^dovegate: support: neither .* as \.\/NAME$/m,
  );
  assert.match(
    await said(...send, '--socket', './none.sock', '--', 'quota', 'get'),
    /\.\/none\.sock: .*there is no such socket/,
  );
  const line = [
    '--config',
    'dovegate.yaml',
    '--listener',
    'suport',
    '--user',
    'a@example.com',
    '--',
    'quota',
    'get',
  ];
  assert.match(await said('explain', ...line), /has no listener "suport"; did you mean support\?/);
  assert.match(await said('chek'), /unknown command 'chek'\n\(Did you mean check\?\)/);
  assert.match(await said('check', '--confg', 'x'), /unknown option '--confg'\n\(Did you mean --config\?\)/);
});

// Goal: whatever was answered, the text is a configuration without an error, whose tests pass and say something, and it says what was
// answered. What must not happen: an answer that becomes another key of the file.

const nowMs = Date.UTC(2026, 10, 21);
const file = '/etc/dovegate/dovegate.yaml';

function parse(text: string): Settings {
  const { settings, problems } = parseSettings(file, { ...readFromDisk, readText: () => text }, { nowMs });
  assert.ok(settings, JSON.stringify(problems));
  return settings;
}

/** The whole file, with its tests, which pass. */
function settingsFor(given: Answers): Settings {
  const serverCommands = serverCommandsOf(parse(draftConfiguration(given)));
  const tests = testsFor(given, nowMs, parse, serverCommands);
  const settings = parse(draftConfiguration(given, { tests, serverCommands }));
  const failed = runTests(settings, nowMs).filter(({ isPassed }) => !isPassed);
  assert.deepEqual(failed, []);
  return settings;
}

void test('the file says what was answered', () => {
  const settings = settingsFor({
    ...answers,
    teams: [{ team: 'support', users: ['root', 'anna'], groups: ['helpdesk'] }],
  });
  const [listener] = settings.listeners;
  assert.deepEqual(listener?.socket, { kind: 'unix', path: '/run/dovegate/support.sock', mode: 0o666 });
  assert.deepEqual(listener?.peers, { users: ['root', 'anna'], groups: ['helpdesk'] });
  const [backend] = settings.backends;
  assert.deepEqual(backend?.address, { kind: 'unix', path: '/run/dovecot/dovegate-doveadm' });
  assert.deepEqual(backend?.sharedNamespaces, []);
  assert.deepEqual(backend?.passwordFiles, []);
  assert.equal(settings.audit.directory, '/var/lib/dovegate/audit');
  assert.equal(settings.state, '/var/lib/dovegate');
  assert.equal(settings.admin?.unix, '/run/dovegate/admin.sock');
  assert.deepEqual(settings.policies.get('support')?.users.texts, ['*@example.com']);
});

void test('a Dovecot that keeps the case of names', () => {
  const kept = settingsFor({ ...answers, backends: [{ ...local, nameCase: 'keep' }] });
  assert.equal(kept.mailUsers.case, 'keep');
  assert.doesNotMatch(draftConfiguration(answers), /mail_users/);
});

/** For presets that want to be told something. */
const values: Readonly<Record<string, Answers['parameters']>> = {
  migration: new Map([['destination', ['tcps:new.example.com:24245']]]),
  monitoring: new Map([['probe', ['canary@example.com']]]),
};

for (const preset of shippedPresets()) {
  void test(`preset ${preset}: no error, and tests of both kinds`, () => {
    const parameters = values[preset] ?? new Map();
    for (const mailUsers of [['*@example.com'], ['*']]) {
      const tests = policyTestsOf(settingsFor({ ...answers, preset, parameters, mailUsers }));
      const kinds = tests.map(({ expect }) => expect);
      assert.ok(kinds.includes('deny'), preset);
      assert.ok(kinds.includes('allow'), `${preset} for ${mailUsers.join(' ')}: ${JSON.stringify(tests)}`);
    }
  });
}

const remote: TcpBackend = {
  name: 'mail1',
  users: ['*'],
  kind: 'tcp',
  sharedNamespaces: undefined,
  host: '2001:db8::1',
  port: 24_245,
  tls: 'implicit',
  caFile: '/etc/ssl/ours.pem',
  serverName: 'mail1.example.com',
  passwordFile: 'mail1.password',
  password: 'Quail7+Tundra',
};

void test('over the network: TLS, the name of the certificate, the file of the password and never the password', () => {
  const backend = remote;
  const text = draftConfiguration({ ...answers, backends: [backend] });
  assert.ok(!text.includes('Quail7'));
  const [found] = parse(text).backends;
  assert.deepEqual(found?.address, { kind: 'tcp', host: '2001:db8::1', port: 24_245 });
  assert.equal(found?.tls, 'implicit');
  assert.equal(found?.serverName, 'mail1.example.com');
  assert.equal(found?.caFile, '/etc/ssl/ours.pem');
  assert.deepEqual(found?.passwordFiles, ['/etc/dovegate/mail1.password']);
  const snippet = draftSnippet({ ...answers, backends: [backend] }) ?? '';
  assert.ok(!snippet.includes('Quail7'));
  assert.match(snippet, /inet_listener dovegate \{\n {4}port = 24245\n {4}ssl = yes\n/);
});

void test('several Dovecots: each with its mail users, and a line for each command that has no other way to one of them', () => {
  const second = { ...remote, name: 'mail2', host: 'mail2.example.com', users: ['*'], sharedNamespaces: [] };
  const backends = [{ ...remote, users: ['*@example.com', 'bob@example.net'] }, second];
  const several = { ...answers, backends, preset: 'abuse-response' };
  const settings = settingsFor(several);
  assert.deepEqual(columns(settings.backends, 'name', 'sharedNamespaces'), [
    ['mail1', undefined],
    ['mail2', []],
  ]);
  const text = draftConfiguration(several, { serverCommands: serverCommandsOf(settings) });
  assert.match(
    text,
    /\nroutes:\n {2}- \{ users: \["\*@example\.com", "bob@example\.net"\], backend: mail1 \}\n {2}- \{ users: \["\*"\], backend: mail2 \}\n/,
  );
  assert.match(
    text,
    /\nserver_commands:\n {2}"auth cache flush": by_user\n {2}kick: all\n {2}"proxy kick": all\n/,
  );
  // A preset without such commands, and a single Dovecot, need none.
  for (const other of [
    { ...several, preset: 'quota-billing' },
    { ...several, backends: [second] },
  ])
    assert.deepEqual(serverCommandsOf(parse(draftConfiguration(other))), []);
  const lines = draftSnippet(several) ?? '';
  assert.match(lines, /^# On 2001:db8::1 and mail2\.example\.com:\n/);
  assert.equal(lines.match(/inet_listener/g)?.length, 1, 'the same file for both');
});

void test('hostile texts stay texts', () => {
  const evil = 'x"\n  admin: { tcp: 0.0.0.0:1 } # \u2028\u0085';
  const settings = settingsFor({
    ...answers,
    teams: [{ team: 'support', users: ['root', evil, 'yes', '~'], groups: ['null', '0x10'] }],
  });
  assert.deepEqual(settings.listeners[0]?.peers, {
    users: ['root', evil, 'yes', '~'],
    groups: ['null', '0x10'],
  });
  assert.equal(settings.admin?.tcp, undefined);
});
