// Goal: names of users and ids of ACLs mean through the daemon what they mean at Dovecot's own socket, in every spelling.
// Phases: the same steps on an ACL directly and through the daemon, for ids that differ in case and realm; a Dovecot that keeps the case
// of names, with two users whose names differ in nothing else.
// What must not happen: an entry or a mailbox of somebody else that changes, or a named one that stays.
import assert from 'node:assert/strict';
import { openRawClient, type RawClient } from '../kit/raw-client.js';
import { alice, backendPassword, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

async function answerOf(client: RawClient, user: string, fields: readonly string[]): Promise<string> {
  client.sendCommand({ user, fields });
  const { body, status } = await client.readReply();
  return `${body.toString().trimStart()}${status}`;
}

const ids = ['user=bob@example.org', 'user=Bob@Example.org', 'user=BOB@example.org', 'user=bob', 'user=Bob'];

/** Each for a mailbox. What is left after them differs as soon as one step meets another entry than its own. */
const aclSteps: readonly (readonly string[])[] = [
  ...ids.map((id) => ['set', id, 'lookup', 'read']),
  ['delete', 'user=Bob@Example.org'],
  ['add', 'user=BOB@example.org', 'write'],
  ['remove', 'user=bob', 'read'],
  ['set', 'user=Bob', 'expunge'],
];

onDovecot('an id of an ACL is the one that was written', openRealDovecot, async (t, lab) => {
  const own = await openRawClient({ path: lab.unixPreauth, minor: 2 });
  t.after(() => own.close());
  const gateway = await openRealGateway(t, lab, {
    policy: `
    users: ["*@example.org"]
    allow:
      - { command: acl set, where: { id: any } }
      - { command: acl add, where: { id: any } }
      - { command: acl remove, where: { id: any } }
      - { command: acl delete, where: { id: any } }
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
  const lines = await gateway.finish();
  const admitted = lines.flatMap(({ record }) => (record['event'] === 'admission' ? [record] : []));
  assert.deepEqual(
    admitted.map(({ args }) => (Array.isArray(args) ? args[2] : undefined)),
    aclSteps.map(([, id]) => id),
  );
  assert.ok(admitted.every(({ users }) => JSON.stringify(users) === `["${alice}","bob@example.org"]`));
});

/** Two users, and a third one that has no twin. */
const twins = ['Alice@example.org', 'alice@example.org', 'Erin@Example.Org'];

onDovecot('names that keep their case are those of other users', openRealDovecot, async (t, lab) => {
  const format = lab.series === '2.3' ? '%u' : '%{user}';
  await lab.writeExtraConf(`doveadm_password = ${backendPassword}\nauth_username_format = ${format}\n`);
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
    assert.equal(await answerOf(client, user, ['mailbox create', 'Twin', `of ${user}`]), '+', user);
    own.sendCommand({ user, fields: ['save', '-m', 'Twin'] });
    own.send('Subject: one\n\ntext\n.');
    assert.equal((await own.readReply()).status, '+', user);
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
  const lines = await gateway.finish();
  const users = lines.flatMap(({ record }) => (record['event'] === 'admission' ? [record['user']] : []));
  assert.deepEqual([...new Set(users)], [...twins, 'ALICE@example.org', 'Boss@example.org']);
});
