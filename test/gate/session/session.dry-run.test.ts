import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openMemoryEngine } from '../../kit/gate/memory-engine.js';

const settings = `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server", connections: 2, series: "2.4", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies:
  support:
    users: ["*@example.org"]
    allow: [quota get, save, { command: mailbox delete, reason: required }]
    limits: { rate: 3/minute }
`;

void test('a dry run is judged, counted and recorded as the command would be, and nothing is sent', async () => {
  const engine = openMemoryEngine({ settings });
  const client = await engine.client(2);
  await client.line('||dovegate dry-run|-u|alice@example.org|--|quota get');
  assert.match(client.said(), /backend\tmail1\t.*\n\+\n$/s);
  await client.line('||dovegate dry-run|-u|alice@example.org|--|expunge|mailbox|x|all');
  assert.match(client.said(), /\n-NOPERM\n$/);
  await client.line('||dovegate dry-run|-u|alice@example.org|--|mailbox delete|x');
  assert.match(client.said(), /must say why[^]*\n-NOPERM\n$/);
  await client.line('||OPTION|dovegate-reason=because');
  await client.line('||dovegate dry-run|-u|alice@example.org|--|mailbox delete|x');
  assert.match(client.said(), /destroy[^]*\n\+\n$/);
  // No text follows: the next line is a command.
  await client.line('||dovegate dry-run|-u|alice@example.org|--|save|-m|INBOX');
  assert.match(client.said(), /write[^]*\n\+\n$/);
  await client.line('|alice@example.org|quota get');
  assert.match(client.said(), /over the rate[^]*\n-TEMPFAIL\n$/);
  assert.equal(engine.commands.length, 0);
  assert.equal(engine.dialler.ends.length, 0);
  const admissions = engine.recordsOf('admission');
  assert.deepEqual(
    admissions.map(({ command, effect, decision, user, args }) => [
      command,
      effect,
      decision,
      user,
      args?.map(String).join(' '),
    ]),
    [
      ['dovegate dry-run', 'session', 'allow', '', '-u alice@example.org -- quota get --'],
      ['dovegate dry-run', 'session', 'deny', '', '-u alice@example.org -- expunge -- mailbox x all'],
      ['dovegate dry-run', 'session', 'allow', '', '-u alice@example.org -- mailbox delete -- x'],
      ['dovegate dry-run', 'session', 'allow', '', '-u alice@example.org -- mailbox delete -- x'],
      ['dovegate dry-run', 'session', 'allow', '', '-u alice@example.org -- save -m INBOX --'],
      ['quota get', 'read', 'allow', 'alice@example.org', '--'],
    ],
  );
  assert.ok(admissions.slice(0, -1).every(({ users }) => users?.length === 0));
  const completions = engine.recordsOf('completion');
  assert.ok(completions.every(({ sent }) => sent === false));
});

void test('a dry run that cannot be read, or names a user twice, is no dry run', async () => {
  const engine = openMemoryEngine({ settings });
  const client = await engine.client(2);
  await client.line('||dovegate dry-run');
  assert.match(client.said(), /\n-USAGE\n$/);
  await client.line('|alice@example.org|dovegate dry-run|--|quota get');
  assert.match(client.said(), /\n-USAGE\n$/);
  await client.line('||dovegate dry-run|--|dovegate dry-run|--|quota get');
  assert.match(client.said(), /\n-USAGE\n$/);
  assert.equal(engine.commands.length, 0);
});
