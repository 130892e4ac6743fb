// Goal: a policy comes out of a day of work. Phases: a support desk works under `mode: observe`; suggest reads the journal; a second daemon
// enforces what it said. What must not happen: work of that day that is refused now; anything wrong that is allowed now; a
// suggestion that check does not take, or that grants root or all users.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import type { Script } from '../../kit/gate/script.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import type { RawClient } from '../../kit/plain/raw-client.js';

const observing = `
    mode: observe
    users: ["*@example.org"]
    except: ["ceo@example.org"]
    deny: [mailbox delete]
    limits: { at_once: 3 }
    allow: [quota get]
`;

/** A Dovecot to whom everything is possible. */
const willing: Script = async (_, connection) => {
  await connection.status('+');
};

type Command = readonly [user: string, ...fields: string[]];

const query = (text: string): string[] => text.split(' ');

/** What a support desk does all day, as clients of both series spell it. */
const work: readonly Command[] = [
  ['alice@example.org', 'quota get'],
  ['bob@example.org', 'quota', 'get'],
  ['Carol@example.org', 'quota get', '-u', 'carol@example.org'],
  ['alice@example.org', 'mailbox', 'list'],
  ['alice@example.org', 'mailbox list', '-s', '--', 'Arch*'],
  ['bob@example.org', 'mailbox status', 'messages vsize', 'INBOX'],
  ['bob@example.org', 'mailbox', 'status', 'unseen', 'Trash'],
  ['bob@example.org', 'search', ...query('mailbox INBOX savedsince 7d')],
  ['bob@example.org', 'search', ...query('mailbox Trash deleted')],
  ['bob@example.org', 'fetch', 'uid flags', ...query('mailbox INBOX uid 1:20')],
  ['alice@example.org', 'fetch', 'uid date.saved size.physical', ...query('mailbox Trash all')],
  ['', 'who', 'alice@example.org'],
  ['', 'kick', 'alice@example.org'],
  ['alice@example.org', 'quota recalc'],
  ['alice@example.org', 'mailbox subscribe', 'Archive'],
  ['bob@example.org', 'mailbox', 'subscribe', 'Sent'],
  ['bob@example.org', 'mailbox', 'create', '-s', 'Restored'],
  ['bob@example.org', 'fts rescan'],
  ['bob@example.org', 'flags add', '\\Seen', ...query('mailbox INBOX savedbefore 14d')],
  ['alice@example.org', 'flags add', '\\Seen', ...query('mailbox INBOX savedbefore 30d unseen')],
  ['alice@example.org', 'expunge', ...query('mailbox Trash savedbefore 30d')],
  ['bob@example.org', 'expunge', ...query('mailbox Junk savedbefore 45d')],
];

/** The same desk on another day, and somebody at the desk who should not sit there. */
const wrong: readonly Command[] = [
  ['ceo@example.org', 'quota get'],
  ['alice@example.com', 'quota get'],
  ['alice@example.org', 'mailbox delete', 'Archive'],
  ['alice@example.org', 'expunge', ...query('mailbox INBOX savedbefore 30d')],
  ['alice@example.org', 'expunge', ...query('mailbox Trash savedbefore 29d')],
  ['alice@example.org', 'expunge', ...query('mailbox Trash all')],
  ['alice@example.org', 'expunge', ...query('( mailbox Trash OR mailbox INBOX ) savedbefore 30d')],
  ['alice@example.org', 'expunge', '-d', ...query('mailbox Trash savedbefore 30d')],
  ['alice@example.org', 'fetch', 'text', ...query('mailbox INBOX all')],
  ['alice@example.org', 'fetch', 'uid hdr.subject', ...query('mailbox INBOX all')],
  ['alice@example.org', 'search', ...query('mailbox INBOX text salary')],
  ['alice@example.org', 'quota get', '-A'],
  ['', 'who'],
  ['', 'who', '*'],
  ['', 'kick', '192.0.2.1'],
  ['', 'kick', 'ceo@example.org'],
  ['alice@example.org', 'mailbox list', '-F', '/etc/passwd'],
  ['alice@example.org', 'mailbox create', 'Elsewhere'],
  ['alice@example.org', 'flags add', '\\Deleted', ...query('mailbox INBOX savedbefore 30d')],
  ['alice@example.org', 'flags remove', '\\Seen', ...query('mailbox INBOX savedbefore 30d')],
  ['alice@example.org', 'copy', 'Archive', 'user', 'ceo@example.org', ...query('mailbox INBOX all')],
  ['alice@example.org', 'sieve list'],
  ['alice@example.org', 'acl set', 'INBOX', 'user=bob@example.org', 'lookup'],
  ['', 'reload'],
];

async function statusOf(client: RawClient, [user, ...fields]: Command): Promise<string> {
  return (await client.ask({ user, fields })).status;
}

test('observe two days of work, suggest, enforce: the work goes on, twenty wrong things do not', async (t) => {
  const backend = { script: willing };
  const first = await openGateway(t, { backend, policy: observing });
  const desk = await first.client({ minor: 3 });
  // What is done once is no rule.
  for (const command of [...work, ...work])
    assert.equal(await statusOf(desk, command), '+', command.join(' '));
  // On that day somebody tried what not even observing lets through.
  for (const command of [
    ['', 'reload'],
    ['alice@example.org', 'quota get', '-A'],
    ['ceo@example.org', 'quota get'],
    ['alice@example.org', 'mailbox delete', 'Archive'],
  ] as const) {
    await statusOf(desk, command);
  }
  await first.daemon.stop();

  const told = await runWarm(['suggest', '--config', first.daemon.configFile, '--listener', 'support']);
  assert.equal(told.exit, 0, told.text);
  const suggestion = told.stdout.toString();
  assert.match(suggestion, /48 records, of which this allows 44\./);
  assert.match(suggestion, /^ +# WARNING, not granted: it amounts to root.*\n.*\n +# - command: reload$/m);
  assert.match(suggestion, /^ +# {3}once, .*"quota get": Dovecot 2\.3 has no command for/m);
  assert.match(suggestion, /^ +# {3}once, last .*"mailbox delete": a rule of policy support denies/m);
  assert.match(suggestion, /^ +# {3}once, last .*"quota get": policy support excepts a user/m);
  assert.doesNotMatch(suggestion, /^ *[^# ].*(?:root_equivalent|all_users|masks|content|shared)/m);

  const second = await openGateway(t, {
    backend,
    policy: suggestion.slice(suggestion.indexOf('  support:') + '  support:'.length),
  });
  const checked = await runWarm(['check', '--config', second.daemon.configFile]);
  // Nobody asks the userdb in this scenario, and check says what that leaves open.
  assert.match(checked.text, /policies\.support\.except: an alias of such a user gets around it/);
  assert.ok(checked.text.endsWith(`${second.daemon.configFile}: 0 errors, 1 warning\n`), checked.text);

  const again = await second.client({ minor: 3 });
  for (const command of work) assert.equal(await statusOf(again, command), '+', command.join(' '));
  const sent = second.backend.commands.length;
  assert.equal(sent, work.length);
  assert.ok(wrong.length >= 20);
  for (const command of wrong) assert.equal(await statusOf(again, command), '-NOPERM', command.join(' '));
  assert.equal(second.backend.commands.length, sent);
  await second.daemon.stop();

  // The day replayed: what was allowed and is denied now was denied in so many words, or nobody may have it unasked.
  const replayed = await runWarm([
    'test',
    '--config',
    second.daemon.configFile,
    '--replay',
    first.daemon.path('audit'),
    '--coverage',
  ]);
  assert.equal(replayed.exit, 1);
  assert.match(replayed.text, /^48 records judged: 46 as before, 2 allow -> deny, 0 deny -> allow$/m);
  assert.match(replayed.text, /^allow -> deny {2}mailbox delete -- Archive$/m);
  assert.match(replayed.text, /^allow -> deny {2}quota get --$/m);
  // What is unseen and older is within what is younger, and is no rule of its own: each rule decided something.
  assert.match(replayed.text, /\n15 of 15 rules exercised\n*$/);
  // Of more than ten refusals a second only the number is kept.
  const records = auditRecords(second.daemon);
  const denied = records.filter(({ decision }) => decision === 'deny').length;
  const counted = records.reduce((sum, { event, count }) => sum + (event === 'limit' ? Number(count) : 0), 0);
  assert.equal(denied + counted, wrong.length);
  const narrow = await runWarm([
    'test',
    '--config',
    first.daemon.configFile,
    '--replay',
    first.daemon.path('audit'),
  ]);
  assert.equal(narrow.exit, 0, narrow.text);
});
