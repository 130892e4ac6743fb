// Goal: a dry run says how many mails the command would concern, found by a search that has records of its own; the command itself is
// never sent, and what would stop it stops the dry run.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import { type MemoryEngine, openMemoryEngine } from '../../kit/gate/memory-engine.js';

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

// [the rules, the command, what is searched, what is answered]
const counted: readonly (readonly [string, string, string, RegExp])[] = [
  [
    'expunge',
    '-u|alice@example.org|--|expunge|mailbox|x|all',
    'alice@example.org|search|--|mailbox|x|all',
    /\tmails\t0\t/,
  ],
  [
    'flags add',
    '-u|alice@example.org|--|flags add|\\Seen|all',
    'alice@example.org|search|--|all',
    /\tmails\t0\t/,
  ],
  // Mails are taken from bob, and would go to alice.
  [
    '{ command: move, where: { source-user: any } }',
    '-u|alice@example.org|--|move|x|user|bob@example.org|mailbox|y|all',
    'bob@example.org|search|--|mailbox|y|all',
    /\tmails\t0\t/,
  ],
  ['copy', '-u|alice@example.org|--|copy|x|all', 'alice@example.org|search|--|all', /\tmails\t0\t/],
  ['fetch', '-u|alice@example.org|--|fetch|uid|all', 'alice@example.org|search|--|all', /\tmails\t0\t/],
  ['quota get', '-u|alice@example.org|--|quota get', '', /\teffect\tread\t/],
];
for (const [rules, command, searched, answered] of counted) {
  void test(`dry run of ${command}`, async () => {
    const engine = openMemoryEngine({ settings: settingsOf(rules), minor: 3 });
    const client = await engine.client(2);
    await client.line(`||dovegate dry-run|${command}`);
    assert.match(client.said(), answered);
    assert.match(client.said(), /\n\+\n$/);
    assert.deepEqual(sent(engine), searched === '' ? [] : [`|${searched}`]);
    assert.equal(client.said().includes('\tmails\t'), searched !== '');
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
  const engine = openMemoryEngine({ settings: settingsOf('expunge'), minor: 3 });
  const client = await engine.client(2);
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
    const engine = openMemoryEngine({ settings: settingsOf(rule), minor: 3 });
    const client = await engine.client(2);
    await client.line('||dovegate dry-run|-u|alice@example.org|--|expunge|mailbox|x|text|secret');
    assert.match(client.said(), isAllowed ? /\tmails\t0\t\n\+\n$/ : /\n-NOPERM\n$/);
    assert.equal(sent(engine).length, isAllowed ? 1 : 0);
  }
});
