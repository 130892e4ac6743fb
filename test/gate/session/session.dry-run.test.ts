// Goal: a dry run says how many mails the command would concern, found by a search that has records of its own; the command itself is
// never sent, and what would stop it stops the dry run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import { type MemoryEngine, openMemoryEngine, openWithClient } from '../../kit/gate/memory-engine.js';

const guid = '0123456789abcdef0123456789abcdef';

function settingsOf(rules: string, more = '', backends = ['mail1']): string {
  const address = (name: string): string =>
    `  ${name}: { address: "unix:/run/${name}/doveadm-server", connections: 2, series: "2.4", shared_namespaces: [] }`;
  return `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support } }
backends:
${backends.map(address).join('\n')}
routes: [{ users: ["*"], ${backends.length > 1 ? `spread: [${backends.join(', ')}]` : 'backend: mail1'} }]
policies:
  support:
    users: ["${rules.includes('all_users') ? '*' : '*@example.org'}"]
    allow: [${rules}]
    ${more}
`;
}

const expunge = '||dovegate dry-run|-u|alice@example.org|--|expunge|mailbox|Trash|all';
const sent = (engine: MemoryEngine): string[] =>
  engine.commands.map(({ line }) => line.replaceAll('\t', '|'));

function answerWith(engine: MemoryEngine, rows: string): void {
  engine.setAnswer((line) => replyPacket(line.includes('search') ? `${rows}\n+\n` : '\n+\n'));
}

void test('the mails are counted by a search, with records before it is sent, and nothing else is', async () => {
  const engine = openMemoryEngine({ settings: settingsOf('expunge'), minor: 3 });
  answerWith(engine, `${guid}\t1\t${guid}\t2\t${guid}\t7\t`);
  const client = await engine.client(2);
  await client.line(expunge);
  assert.match(client.said(), /\tmails\t3\t\n\+\n$/);
  assert.deepEqual(sent(engine), ['|alice@example.org|search|--|mailbox|Trash|all']);
  assert.equal(engine.commands[0]?.admissions, 1);
  const told = engine.records
    .map(({ record }) => record)
    .filter(({ event }) => event === 'admission' || event === 'completion')
    .map(({ event, command, effect, user, users, matches, sent: isSent }) => [
      event,
      command,
      effect ?? isSent,
      user,
      users?.join(' ') ?? matches,
    ]);
  assert.deepEqual(told, [
    ['admission', 'search', 'read', 'alice@example.org', 'alice@example.org'],
    ['completion', 'search', true, 'alice@example.org', undefined],
    ['admission', 'dovegate dry-run', 'session', '', ''],
    ['completion', 'dovegate dry-run', false, '', undefined],
  ]);
  const [search, , dryRun] = engine.records
    .map(({ record }) => record)
    .filter(({ event }) => event !== 'session-open');
  assert.equal(search?.for, dryRun?.id);
  assert.equal(dryRun?.matches, 3);
});

const alice = '-u|alice@example.org|--';
// [the rules, the command, what is searched]
const counted: readonly (readonly [string, string, string?])[] = [
  ['expunge', `${alice}|expunge|mailbox|x|all`, 'alice@example.org|search|--|mailbox|x|all'],
  ['flags add', `${alice}|flags add|\\Seen|all`, 'alice@example.org|search|--|all'],
  // Mails are taken from bob, and would go to alice.
  [
    '{ command: move, where: { source-user: any } }',
    `${alice}|move|x|user|bob@example.org|mailbox|y|all`,
    'bob@example.org|search|--|mailbox|y|all',
  ],
  ['copy', `${alice}|copy|x|all`, 'alice@example.org|search|--|all'],
  ['fetch', `${alice}|fetch|uid|all`, 'alice@example.org|search|--|all'],
  ['quota get', `${alice}|quota get`],
];
for (const [rules, command, searched] of counted) {
  void test(`dry run of ${command}`, async () => {
    const { engine, client } = await openWithClient(2, { settings: settingsOf(rules), minor: 3 });
    await client.line(`||dovegate dry-run|${command}`);
    assert.match(client.said(), searched === undefined ? /\teffect\tread\t/ : /\tmails\t0\t/);
    assert.match(client.said(), /\n\+\n$/);
    assert.deepEqual(sent(engine), searched === undefined ? [] : [`|${searched}`]);
    assert.equal(client.said().includes('\tmails\t'), searched !== undefined);
  });
}

void test('of all users on several backends the mails are added up, and a backend that fails is a failure', async () => {
  const settings = settingsOf('{ command: expunge, all_users: true, where: { query: any } }', '', [
    'mail1',
    'mail2',
  ]);
  const engine = openMemoryEngine({ settings, minor: 3 });
  answerWith(engine, `${guid}\t1\t`);
  const client = await engine.client(3);
  await client.line('||dovegate dry-run|--|expunge|-A|mailbox|x|all');
  assert.match(client.said(), /\tmails\t2\t\n\+\n$/);
  engine.setAnswer((_line, { address }) =>
    replyPacket(address.kind === 'unix' && address.path.includes('mail2') ? '\n-TEMPFAIL\n' : '\n+\n'),
  );
  await client.line('||dovegate dry-run|--|expunge|-A|mailbox|x|all');
  assert.match(client.said(), /\n-TEMPFAIL\n$/);
});

void test('more mails than its rule allows: refused, as the command would be', async () => {
  const engine = openMemoryEngine({ settings: settingsOf('{ command: expunge, max_matches: 2 }'), minor: 3 });
  answerWith(engine, `${guid}\t1\t`.repeat(3));
  const client = await engine.client(2);
  await client.line(expunge);
  assert.match(client.said(), /3 mails match, and its rule allows at most 2[^]*\n-NOPERM\n$/);
  assert.equal(sent(engine).length, 1);
});

void test('a search that cannot be recorded is not sent', async () => {
  const { engine, client } = await openWithClient(2, { settings: settingsOf('expunge'), minor: 3 });
  engine.setJournal('refuse');
  await client.line(expunge);
  assert.match(client.said(), /-TEMPFAIL\n$/);
  assert.deepEqual(sent(engine), []);
});

void test('a query by the content of mails needs what the command needs: denied, nothing is counted', async () => {
  for (const [rule, isAllowed] of [
    ['{ command: expunge, where: { query: any } }', false],
    ['{ command: expunge, where: { query: any }, content: true }', true],
  ] as const) {
    const { engine, client } = await openWithClient(2, { settings: settingsOf(rule), minor: 3 });
    await client.line('||dovegate dry-run|-u|alice@example.org|--|expunge|mailbox|x|text|secret');
    assert.match(client.said(), isAllowed ? /\tmails\t0\t\n\+\n$/ : /\n-NOPERM\n$/);
    assert.equal(sent(engine).length, isAllowed ? 1 : 0);
  }
});

const rated = settingsOf(
  'quota get, save, { command: mailbox delete, reason: required }',
  'limits: { rate: 3/minute }',
);

void test('a dry run is judged, counted and recorded as the command would be, and nothing is sent', async () => {
  const { engine, client } = await openWithClient(2, { settings: rated });
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
  assert.ok(completions.every((each) => each.sent === false));
});

void test('a dry run that cannot be read, or names a user twice, is no dry run', async () => {
  for (const line of [
    '||dovegate dry-run',
    '|alice@example.org|dovegate dry-run|--|quota get',
    '||dovegate dry-run|--|dovegate dry-run|--|quota get',
  ]) {
    const { engine, client } = await openWithClient(2, { settings: rated });
    await client.line(line);
    assert.match(client.said(), /\n-USAGE\n$/, line);
    assert.equal(engine.commands.length, 0);
  }
});
