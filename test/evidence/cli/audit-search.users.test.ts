// Goal: who looks for a user finds every command that touched, or would have touched, that user's mailbox: named in arguments, through a
// mask or an alias, with all users, refused too. Phases: the built daemon records one command of each kind; the built program searches.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';

const alice = 'alice@example.org';
const bob = 'bob@example.org';
const many = Array.from({ length: 90 }, (_, at) => `a-rather-long-name-of-user-${at}@example.org`);

interface Kind {
  readonly command: { readonly user: string; readonly fields: readonly string[] };
  /** As recorded; `cut`: the admission has the first and the last of them. */
  readonly users: readonly string[] | 'cut';
  /** Who finds it: a(lice), b(ob), c(arol@example.net). */
  readonly found: string;
}

const kinds: Readonly<Record<string, Kind>> = {
  'her own': { command: { user: alice, fields: ['quota get'] }, users: [alice], found: 'a' },
  'her own, in capitals': {
    command: { user: 'Alice@EXAMPLE.org', fields: ['quota get'] },
    users: [alice],
    found: 'a',
  },
  'another one': { command: { user: bob, fields: ['quota get'] }, users: [bob], found: 'b' },
  'from her mailbox': {
    command: { user: bob, fields: ['copy', 'Saved', 'user', alice, 'mailbox', 'INBOX', 'all'] },
    users: [bob, alice],
    found: 'ab',
  },
  'a right for her': {
    command: { user: bob, fields: ['acl set', 'INBOX', `user=${alice}`, 'lookup'] },
    users: [bob, alice],
    found: 'ab',
  },
  'a right for anyone': {
    command: { user: bob, fields: ['acl set', 'INBOX', 'anyone', 'lookup'] },
    users: ['*'],
    found: 'abc',
  },
  'by name': { command: { user: '', fields: ['user', alice, bob] }, users: [alice, bob], found: 'ab' },
  'by mask': {
    command: { user: '', fields: ['user', 'al*@example.org'] },
    users: ['al*@example.org'],
    found: 'a',
  },
  'by domain': {
    command: { user: '', fields: ['user', '*@example.org'] },
    users: ['*@example.org'],
    found: 'ab',
  },
  'by a mask for all': { command: { user: '', fields: ['user', '*'] }, users: ['*'], found: 'abc' },
  'by address': { command: { user: '', fields: ['kick', '192.0.2.0/24'] }, users: ['*'], found: 'abc' },
  everybody: { command: { user: '', fields: ['who'] }, users: ['*'], found: 'abc' },
  'all users': { command: { user: '', fields: ['quota get', '-A'] }, users: ['*'], found: 'abc' },
  'not allowed': {
    command: { user: alice, fields: ['expunge', 'mailbox', 'INBOX', 'all'] },
    users: [alice],
    found: 'a',
  },
  unparsable: { command: { user: alice, fields: ['quota get', '--bogus'] }, users: [alice], found: 'a' },
  'more than a record holds': {
    command: { user: '', fields: ['auth cache flush', ...many, alice] },
    users: 'cut',
    found: 'a',
  },
  nobody: { command: { user: '', fields: ['reload'] }, users: [], found: '' },
};

test('a search for a user finds every command that may have touched that user', async (t) => {
  const policy = `
    users: ["*@example.org"]
    allow: [quota get, auth cache flush, { command: user, masks: true }, { command: reload, root_equivalent: true }]`;
  const { daemon, client } = await openGateway(t, {
    policy,
    more: 'server_commands: { user: mail1, reload: mail1, auth cache flush: mail1 }',
  });
  const one = await client({ minor: 4 });
  for (const { command } of Object.values(kinds)) {
    one.sendCommand({ user: command.user, fields: [...command.fields] });
    await one.readReply();
  }
  one.close();
  await daemon.stop();

  const admissions = daemon
    .audit()
    .flatMap(({ record }) => (record['event'] === 'admission' ? [record] : []));
  const told: string[] = [];
  for (const [at, [what, { users }]] of Object.entries(kinds).entries()) {
    const recorded: unknown[] = Object(admissions[at]?.['users'] ?? ['absent']);
    const isRight =
      users === 'cut'
        ? recorded.some((value) => Object(value)['more'] > 0) && recorded.at(-1) === alice
        : JSON.stringify(recorded) === JSON.stringify(users);
    if (!isRight) told.push(`${what}: ${JSON.stringify(recorded).slice(-200)}`);
  }
  assert.deepEqual(told, []);

  for (const [letter, user] of [
    ['a', alice],
    ['b', bob],
    ['c', 'carol@example.net'],
    ['a', 'al*@example.org'],
  ] as const) {
    const { stdout } = await runWarm(['audit', 'search', '--json', '--user', user, daemon.path('audit')]);
    const ids = stdout
      .toString()
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [JSON.parse(line).id]));
    const names = Object.keys(kinds).filter((_, at) => ids.includes(admissions[at]?.['id']));
    const wanted = Object.entries(kinds).filter(([, { found }]) => found.includes(letter));
    assert.deepEqual(
      names,
      wanted.map(([what]) => what),
      user,
    );
  }
});
