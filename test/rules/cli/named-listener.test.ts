// Goal: where a listener has accounts, subcommands about policies answer for one of them. What must not happen: an answer for nobody in
// particular.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deskConfiguration, linesOf, openDesk } from '../../whole/cli/desk.js';
import { hash } from '../config/jobs.js';

const configuration = deskConfiguration.replace(
  'mail_users:',
  `  jobs:
    tcp: "127.0.0.1:24246"
    tls: { mode: starttls, certificate: tls.crt, key: tls.key, client_ca: ca.crt }
    accounts:
      migrator: { password_hash: "${hash}", policy: support }
      watcher: { certificate_name: Watcher.example.com, policy: watch }
  panel:
    tcp: "127.0.0.1:8443"
    protocol: http
    tls: { certificate: tls.crt, key: tls.key }
    keys: { modoboa: { hash: "sha256$${'0'.repeat(64)}", policy: support, expires: 2027-06-30 } }
mail_users:`,
);

test('explain and can answer for an account, by its policy', async (t) => {
  const { run } = openDesk(t, configuration);
  const asked = ['--user', 'bob', '--', 'mailbox', 'list'];
  const told = await run('explain', '--listener', 'jobs', '--account', 'migrator', ...asked);
  assert.equal(told.exit, 0, told.text);
  assert.ok(linesOf(told).includes('requester  migrator@jobs'), told.text);
  const can = await run('can', '--listener', 'jobs', '--account', 'watcher');
  assert.equal(can.exit, 0, can.text);
  assert.match(can.text, /requester +watcher@jobs/);
  assert.match(can.text, /policy support for account migrator; policy watch for account watcher/);
});

test('and for a key, which --account names too', async (t) => {
  const { run } = openDesk(t, configuration);
  const can = await run('can', '--listener', 'panel', '--account', 'modoboa');
  assert.equal(can.exit, 0, can.text);
  assert.match(can.text, /requester +modoboa@panel/);
  assert.match(can.text, /policy support for key modoboa/);
});

test('nobody in particular, somebody who is not there, or whom the kernel would have to know: 64, and what to say', async (t) => {
  const { run } = openDesk(t, configuration);
  const cases: readonly (readonly [string[], RegExp])[] = [
    [['--listener', 'jobs'], /listener jobs has accounts \(migrator, watcher\); say who asks with --account/],
    [['--listener', 'panel'], /listener panel has keys \(modoboa\); say who asks with --account/],
    [['--listener', 'panel', '--account', 'x'], /listener panel has no key "x"; there are: modoboa/],
    [
      ['--listener', 'jobs', '--account', 'migratr'],
      /listener jobs has no account "migratr"; did you mean migrator\?/,
    ],
    [
      ['--listener', 'support', '--account', 'migrator'],
      /listener support has no accounts: the kernel says who asks/,
    ],
  ];
  for (const [args, expected] of cases) {
    const told = await run('can', ...args);
    assert.equal(told.exit, 64);
    assert.match(told.stderr, expected);
  }
});
