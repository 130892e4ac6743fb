// Goal: names of users and ids of ACLs mean through the daemon what they mean at Dovecot's own socket, in every spelling.
// Phases: the same steps on an ACL directly and through the daemon, for ids that differ in case and realm; a Dovecot that keeps the case
// of names, with two users whose names differ in nothing else; generated commands with names in all spellings, directly and through the
// daemon, to mailboxes that differ in their first letter only (DOVEGATE_ROUNDS=34: 10,000; DOVEGATE_SEED repeats a run).
// What must not happen: an entry or a mailbox of somebody else that changes, or a named one that stays.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { runWarm } from '../../kit/gate/warm-program.js';
import { pick, type Random, seededRandom } from '../../kit/plain/chunkings.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { ends } from '../../kit/plain/program.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import {
  alice,
  bob,
  mailsFound,
  onDovecot,
  openRealDovecot,
  openRealGateway,
  passwordSetting,
  type RealGateway,
  realmSettings,
  userdbListener,
} from './real-gateway.js';

async function answerOf(client: RawClient, user: string, fields: readonly string[]): Promise<string> {
  const { body, status } = await client.ask({ user, fields });
  return `${body.toString().trimStart()}${status}`;
}

/** No user of the gate has such a name, so these are for rules with `masks`. */
const oddIds = ['user=a b', 'user=Ü@example.org'];
const ids = ['user=bob@example.org', 'user=Bob@Example.org', 'user=BOB@example.org', 'user=bob', 'user=Bob'];

/** Each for a mailbox. What is left after them differs as soon as one step meets another entry than its own. */
const aclSteps: readonly (readonly string[])[] = [
  ...ids.map((id) => ['set', id, 'lookup', 'read']),
  ['delete', 'user=Bob@Example.org'],
  ['add', 'user=BOB@example.org', 'write'],
  ['remove', 'user=bob', 'read'],
  ['set', 'user=Bob', 'expunge'],
  ...oddIds.map((id) => ['set', id, 'lookup']),
  ['delete', 'user=a b'],
];

onDovecot('an id of an ACL is the one that was written', openRealDovecot, async (t, lab) => {
  const own = await openRawClient({ path: lab.unixPreauth, minor: 2 });
  t.after(() => own.close());
  const gateway = await openRealGateway(t, lab, {
    policy: `
    users: ["*"]
    allow:
      - { command: acl set, masks: true, where: { id: any } }
      - { command: acl add, where: { id: any } }
      - { command: acl remove, where: { id: any } }
      - { command: acl delete, masks: true, where: { id: any } }
      - acl get`,
    more: 'mail_users: { default_realm: example.org }',
  });
  const client = await gateway.client({ minor: 2 });
  for (const name of ['Direct', 'Gate'])
    assert.equal(await answerOf(own, alice, ['mailbox create', name]), '+');
  const entries = async (mailbox: string): Promise<string> =>
    (await answerOf(own, alice, ['acl get', mailbox])).split('\t').toSorted().join('\n');
  for (const [verb = '', ...words] of aclSteps) {
    const direct = await answerOf(own, alice, [`acl ${verb}`, 'Direct', ...words]);
    assert.equal(await answerOf(client, alice, [`acl ${verb}`, 'Gate', ...words]), direct, words.join(' '));
    assert.equal(await entries('Gate'), await entries('Direct'), words.join(' '));
  }
  await gateway.reload({
    policy: '\n    users: ["*@example.org"]\n    allow: [{ command: acl set, where: { id: any } }]',
  });
  assert.equal(await answerOf(client, alice, ['acl set', 'Gate', 'user=a b', 'lookup']), '-NOPERM');
  const admitted = (await gateway.finish('admission')).slice(0, -1);
  assert.deepEqual(
    admitted.map(({ args }) => (Array.isArray(args) ? args[2] : undefined)),
    aclSteps.map(([, id]) => id),
  );
  for (const { users, args } of admitted) {
    const isOdd = oddIds.some((id) => Array.isArray(args) && args.includes(id));
    assert.deepEqual(users, isOdd ? ['*'] : [alice, bob]);
  }
});

/** A Dovecot that takes names in any case for one user, behind a gate that keeps their case. */
onDovecot('a mailbox is held under each spelling of its name', openRealDovecot, async (t, lab) => {
  const gateway = await openRealGateway(t, lab, {
    way: 'unix',
    policy: `
    users: ["*@example.org", "Bob@Example.Org"]
    allow: [quota get, { command: expunge, where: { query: { mailbox: INBOX } } }]`,
    more: 'mail_users: { case: keep }\nadmin: { unix: admin.sock }\n',
  });
  const socket = gateway.daemon.path('admin.sock');
  const words = ['user:bob@example.org', '--destroying', '--reason', 'case 17'];
  const lock = await ends(0, runWarm(['lock', '--socket', socket, ...words]));
  const client = await gateway.client({ minor: 2 });
  const inbox = ['mailbox', 'INBOX', 'all'];
  const expunge = (user: string) => client.ask({ user, fields: ['expunge', ...inbox] });
  const mails = await mailsFound(lab, inbox, bob);
  for (const user of ['Bob@example.org', 'BOB@example.org', 'Bob@Example.Org', 'bob@example.org']) {
    const { status, logs } = await expunge(user);
    assert.equal(status, '-NOPERM', `${user} ${logs.map(({ text }) => text).join()}`);
    assert.equal((await client.ask({ user, fields: ['quota get'] })).status, '+', user);
  }
  assert.equal(await mailsFound(lab, inbox, bob), mails);
  assert.equal((await expunge('Alice@example.org')).status, '+', 'another user');
  assert.match(lock.text, /\. Other cases of that name are stopped as well, and have a route: \*/);
  await gateway.finish();
});

/** Two users, and a third one that has no twin. */
const twins = ['Alice@example.org', 'alice@example.org', 'Erin@Example.Org'];

onDovecot('names that keep their case are those of other users', openRealDovecot, async (t, lab) => {
  const format = lab.series === '2.3' ? '%u' : '%{user}';
  await lab.writeExtraConf(`${passwordSetting}auth_username_format = ${format}\n`);
  await lab.addUsers(['Alice@example.org:{PLAIN}pw::::::', 'Erin@Example.Org:{PLAIN}pw::::::']);
  const own = await openRawClient({ path: lab.unixPreauth, minor: 2 });
  t.after(() => own.close());
  const gateway = await openRealGateway(t, lab, {
    policy: `
    users: ["*@example.org", "*@Example.Org"]
    except: ["boss@example.org"]
    allow: [mailbox list, mailbox create, { command: expunge, where: { query: { mailbox: Twin } } }, mailbox status]`,
    more: 'mail_users: { case: keep }',
  });
  const client = await gateway.client({ minor: 2 });
  const answers = async (user: string, fields: readonly string[]): Promise<void> =>
    assert.equal(await answerOf(client, user, fields), await answerOf(own, user, fields), user);
  for (const user of twins) {
    for (const name of ['Twin', `of-${user.replaceAll('.', '-')}`])
      assert.equal(await answerOf(client, user, ['mailbox create', name]), '+', user);
    await ends(0, lab.doveadm(['save', '-u', user, '-m', 'Twin'], { stdin: 'Subject: one\n\ntext\n' }));
  }
  for (const user of twins) await answers(user, ['mailbox list', 'of*']);
  const counts = async (): Promise<readonly string[]> => {
    const found: string[] = [];
    for (const user of twins) found.push(await answerOf(own, user, ['mailbox status', 'messages', 'Twin']));
    return found;
  };
  const before = await counts();
  assert.equal(await answerOf(client, 'Alice@example.org', ['expunge', 'mailbox', 'Twin', 'all']), '+');
  const after = await counts();
  assert.deepEqual(
    after.map((count, at) => count === before[at]),
    [false, true, true],
  );
  // Neither a user that is not there nor one that is excepted becomes another one.
  assert.match(await answerOf(client, 'ALICE@example.org', ['mailbox list']), /-NOUSER/);
  assert.match(await answerOf(client, 'Boss@example.org', ['mailbox list']), /-NOPERM/);
  const users = (await gateway.finish('admission')).map(({ user }) => user);
  assert.deepEqual([...new Set(users)], [...twins, 'ALICE@example.org', 'Boss@example.org']);
  // A search and a report are about one of them.
  const directory = gateway.daemon.path('audit');
  for (const user of twins) {
    const found = await runWarm(['audit', 'search', '--json', '--user', user, directory]);
    const reported = await runWarm(['audit', 'report', '--json', '--mailbox', user, directory]);
    const rows = (text: string): readonly unknown[] =>
      [...text.matchAll(/"user":"([^"]+@[^"]+)"/g)].map(([, name]) => name);
    const expected = users.filter((each) => each === user);
    assert.deepEqual(rows(found.stdout.toString()), expected);
    assert.deepEqual(rows(reported.stdout.toString()), expected);
  }
});

/** What `doctor` says of the names, in front of a Dovecot that does `nameCase`: how to write the one where the other is written. */
async function assertDoctor(gateway: RealGateway, lab: Lab, nameCase: 'fold' | 'keep'): Promise<void> {
  for (const written of ['fold', 'keep'] as const) {
    await gateway.reload({
      more: `mail_users: { case: ${written}, resolve: ${join(lab.folder, 'run', 'dovegate-userdb')} }`,
    });
    const users = ['Nobody@example.org', alice].flatMap((user) => ['--user', user]);
    const { stdout } = await runWarm(['doctor', '--config', gateway.daemon.configFile, ...users]);
    const [line = ''] = stdout.toString().match(/^.* mail users\b.*$/m) ?? [];
    assert.match(line, /names/);
    const expected = `write mail_users: { case: ${nameCase} }`;
    assert.equal(line.includes(expected), written !== nameCase, line);
  }
}

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const commandsPerRound = 150;

/** Mailboxes of the two ways. */
const ways = { direct: 'X', gate: 'Y' } as const;

/** Fields of a command; in them `@` at the start of a word stands for the way's letter. */
function makeCommand(random: Random, spell: (name: string) => string): readonly string[] {
  const box = (): string => `@${pick(random, ['a', 'b', 'Sub'])}`;
  const name = (): string => spell(pick(random, ['alice', 'bob', 'victim', 'nobody']));
  const id = (): string =>
    pick(random, [`user=${name()}`, `user=${name()}`, 'owner', 'anyone', `group=${name()}`]);
  const right = (): string => pick(random, ['lookup', 'read', 'write', 'expunge']);
  return pick<() => readonly string[]>(random, [
    () => ['mailbox create', box()],
    () => ['mailbox create', box()],
    () => ['mailbox delete', box()],
    () => ['mailbox rename', box(), box()],
    () => ['mailbox list', '@*'],
    () => ['mailbox status', 'messages', box()],
    () => ['acl set', box(), id(), right(), right()],
    () => ['acl set', box(), id(), right()],
    () => ['acl add', box(), id(), right()],
    () => ['acl remove', box(), id(), right()],
    () => ['acl delete', box(), id()],
    () => ['acl get', box()],
    () => ['copy', box(), 'mailbox', 'INBOX', '1'],
    () => ['copy', box(), 'user', name(), 'mailbox', 'INBOX', '1'],
    () => ['fetch', 'uid', 'mailbox', box(), 'all'],
    () => ['expunge', 'mailbox', box(), '1'],
    () => ['quota get'],
  ])();
}

/** A name in some case, with a realm in some case or without one. */
function spelledName(random: Random, name: string): string {
  const cased = (text: string): string =>
    pick(random, [text, text, text.toUpperCase(), text.replace(/^./, (first) => first.toUpperCase())]);
  return pick(random, [cased(name), `${cased(name)}@${cased('example.org')}`, `${cased(name)}@example.org`]);
}

for (const nameCase of ['fold', 'keep'] as const)
  onDovecot(
    `names in all spellings, and what doctor says of them, ${nameCase}`,
    openRealDovecot,
    async (t, lab) => {
      const seed = Number(process.env['DOVEGATE_SEED'] ?? (rounds === 1 ? 4711 : Date.now() % 1e6));
      t.diagnostic(`DOVEGATE_SEED=${seed}`);
      const random = seededRandom(seed);
      const kept = `auth_username_format = ${lab.series === '2.3' ? '%u' : '%{user}'}\n`;
      const format = nameCase === 'fold' ? '' : kept;
      await lab.writeExtraConf(passwordSetting + format + realmSettings[lab.series] + userdbListener);
      const others = ['Alice@example.org', 'BOB@example.org', 'Bob@Example.org'];
      if (nameCase === 'keep') await lab.addUsers(others.map((each) => `${each}:{PLAIN}pw::::::`));
      // The same user under another name.
      await lab.addUsers(['ali@example.org:{PLAIN}pw::::::user=alice@example.org']);
      let own = await openRawClient({ path: lab.unixPreauth, minor: 2, owner: t });
      const verbs = ['set', 'add', 'remove', 'delete'];
      const boxes = ['create', 'delete', 'rename', 'list', 'status'].map((verb) => `mailbox ${verb}`);
      const names = [...boxes, 'acl get', 'expunge', 'quota get'];
      const gateway = await openRealGateway(t, lab, {
        policy: `
    users: ["*"]
    allow:
${names.map((name) => `      - ${name}\n`).join('')}      - { command: fetch, content: true }
      - { command: copy, where: { source-user: any, query: any } }
${verbs.map((verb) => `      - { command: acl ${verb}, masks: true, where: { id: any } }`).join('\n')}`,
        more: `mail_users: { default_realm: example.org, case: ${nameCase} }`,
        logLevel: 'info',
      });
      const client = await gateway.client({ minor: 2 });
      const spell = (name: string): string => spelledName(random, name);
      const run = async (through: RawClient, letter: string, user: string, fields: readonly string[]) => {
        const written = fields.map((field) => field.replace(/^@/, letter));
        const answer = await answerOf(through, user, written);
        return answer.replaceAll(new RegExp(`\\b${letter}(?=a|b|Sub)`, 'g'), '@');
      };
      for (let count = 0; count < rounds * commandsPerRound; count += 1) {
        const user = spell(pick(random, ['alice', 'bob', 'ali', 'nobody']));
        const fields = makeCommand(random, spell);
        const told = `${count}: ${user} ${fields.join(' ')}`;
        const direct = await run(own, ways.direct, user, fields).catch(() => undefined);
        const answer = await run(client, ways.gate, user, fields);
        if (direct !== undefined) assert.equal(answer, direct, told);
        else {
          // Dovecot's process crashed (a source user that is not there).
          assert.match(answer, /^-/, told);
          own = await openRawClient({ path: lab.unixPreauth, minor: 2, owner: t });
        }
      }
      // Whatever was left unlooked at.
      const looks = [['mailbox list', '@*'], ...['a', 'b', 'Sub'].map((box) => ['acl get', `@${box}`])];
      for (const user of [alice, bob, ...(nameCase === 'keep' ? others : [])])
        for (const fields of looks) {
          const [gated, direct] = [
            await run(own, ways.gate, user, fields),
            await run(own, ways.direct, user, fields),
          ];
          assert.equal(gated, direct, user);
        }
      await assertDoctor(gateway, lab, nameCase);
      await gateway.finish();
    },
  );
