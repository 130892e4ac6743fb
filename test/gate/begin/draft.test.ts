// Goal: whatever was answered, the text is a configuration without an error, whose tests pass and say something, and it says what was
// answered. What must not happen: an answer that becomes another key of the file.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Answers,
  draftConfiguration,
  draftSnippet,
  serverCommandsOf,
  type TcpBackend,
  testsFor,
} from '../../../src/gate/begin/draft.js';
import { readFromDisk, shippedPresets } from '../../../src/host/machine/process.js';
import { runTests } from '../../../src/rules/answers/policy-tests.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { policyTestsOf, type Settings } from '../../../src/rules/config/settings.js';
import { columns } from '../../kit/plain/columns.js';
import { answers, local } from './examples.js';

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
