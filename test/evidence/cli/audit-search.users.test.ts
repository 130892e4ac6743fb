// Goal: who looks for a user finds every command that touched, or would have touched, that user's mailbox: named in arguments, through a
// mask or an alias, with all users, refused too. Phases: the built daemon records one command of each kind; the built program searches.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';

const alice = 'alice@example.org';
const bob = 'bob@example.org';
const many = Array.from({ length: 90 }, (_, at) => `a-rather-long-name-of-user-${at}@example.org`);

const all = ['*'];

/**
 * The user of a command and its fields; the users that are recorded (`cut`: the admission has the first and the last); who finds it:
 * a(lice), b(ob), c(arol@example.net).
 */
type Kind = readonly [
  user: string,
  fields: readonly string[],
  users: readonly string[] | 'cut',
  found: string,
];

const kinds: Readonly<Record<string, Kind>> = {
  'her own': [alice, ['quota get'], [alice], 'a'],
  'her own, in capitals': ['Alice@EXAMPLE.org', ['quota get'], [alice], 'a'],
  'another one': [bob, ['quota get'], [bob], 'b'],
  'from her mailbox': [bob, ['copy', 'Saved', 'user', alice, 'mailbox', 'INBOX', 'all'], [bob, alice], 'ab'],
  'a right for her': [bob, ['acl set', 'INBOX', `user=${alice}`, 'lookup'], [bob, alice], 'ab'],
  'a right for anyone': [bob, ['acl set', 'INBOX', 'anyone', 'lookup'], all, 'abc'],
  'by name': ['', ['user', alice, bob], [alice, bob], 'ab'],
  'by mask': ['', ['user', 'al*@example.org'], ['al*@example.org'], 'a'],
  'by domain': ['', ['user', '*@example.org'], ['*@example.org'], 'ab'],
  'by a mask for all': ['', ['user', '*'], all, 'abc'],
  'by address': ['', ['kick', '192.0.2.0/24'], all, 'abc'],
  everybody: ['', ['who'], all, 'abc'],
  'all users': ['', ['quota get', '-A'], all, 'abc'],
  'not allowed': [alice, ['expunge', 'mailbox', 'INBOX', 'all'], [alice], 'a'],
  unparsable: [alice, ['quota get', '--bogus'], [alice], 'a'],
  'more than a record holds': ['', ['auth cache flush', ...many, alice], 'cut', 'a'],
  nobody: ['', ['reload'], [], ''],
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
  for (const [user, fields] of Object.values(kinds)) {
    one.sendCommand({ user, fields: [...fields] });
    await one.readReply();
  }
  one.close();
  await daemon.stop();

  const admissions = daemon
    .audit()
    .flatMap(({ record }) => (record['event'] === 'admission' ? [record] : []));
  const told: string[] = [];
  for (const [at, [what, [, , users]]] of Object.entries(kinds).entries()) {
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
    const wanted = Object.keys(kinds).filter((what) => kinds[what]?.[3].includes(letter));
    assert.deepEqual(names, wanted, user);
  }
});
