// Goal: access on request where a passdb says on which backend a user is, and a userdb which user an alias is. Phases: a command that one
// series alone has; users on two backends; the number of mails of each; aliases; services that do not answer; a reload in the middle.
// What must not happen: a hint that leads nowhere, an approval for a mailbox that the approver may not decide about, mails that were
// counted on another backend, a request or a grant of a rule that a reload took away.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { AccessItem } from '../../../src/gate/access/access-item.js';
import type { Peer } from '../../../src/host/ports/peer.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import { type MemoryClient, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { column } from '../../kit/plain/columns.js';
import { openFolder } from '../../kit/plain/folder.js';
import { until } from '../../kit/plain/until.js';

const folder = openFolder({ after });
writeFileSync(join(folder, 'password'), 'secret');

const settings = `
version: 1
mail_users: { resolve: /run/dovecot/dovegate-userdb }
listeners:
  support: { unix: /run/dovegate/support.sock, policy: support, sessions: 30, sessions_per_peer: 30 }
  leads: { unix: /run/dovegate/leads.sock, policy: leads }
backends:
  mail1: { address: "127.0.0.1:2", tls: off, password_file: ${join(folder, 'password')}, series: "2.3", shared_namespaces: [] }
  mail2: { address: "127.0.0.2:4", tls: off, password_file: ${join(folder, 'password')}, series: "2.4", shared_namespaces: [] }
routes: [{ users: ["*"], passdb: /run/dovecot/dovegate-userdb }]
audit: { sign_key: /etc/dovegate/sign.key }
persons: { anna: { users: [anna] }, carol: { users: [carol] }, dave: { users: [dave] } }
policies:
  support:
    users: ["*@example.org"]
    allow: [quota get]
    on_request:
      - { command: fetch, content: true, approvals: 1, for: 2h, scope: user, uses: 10 }
      - { command: expunge, approvals: 1, for: 1h }
      - { command: fts flatcurve stats, approvals: 1, for: 1h }
    requests: { open: 10, wait: 2h }
  leads: { users: ["*@example.org"], except: ["ceo@example.org"], allow: [mailbox list], approve: [support] }
`;

/** On the backend of the number in the name, with as many mails. */
const homes = new Map([
  ['bob1@example.org', '127.0.0.1'],
  ['eve2@example.org', '127.0.0.2'],
  ['boss@example.org', '127.0.0.1'],
  ['desk@example.org', '127.0.0.1'],
]);
const mails = new Map([
  ['bob1@example.org', 3],
  ['eve2@example.org', 5],
]);

const people = {
  anna: { uid: 1001, user: 'anna', loginUid: 1001 },
  carol: { uid: 1002, user: 'carol', loginUid: 1002 },
} as const satisfies Readonly<Record<string, Partial<Peer>>>;

function openRoutes() {
  const own: { isAway: boolean; held: (() => void) | undefined; isHeld: boolean; desk: string } = {
    isAway: false,
    desk: 'bob1@example.org',
    held: undefined,
    isHeld: false,
  };
  const engine = openMemoryEngine({
    settings,
    uids: { anna: 1001, carol: 1002, dave: 1003 },
    minor: ({ address }) => (address.kind === 'tcp' ? address.port : 2),
    policyOf: ({ user }) => (user === 'anna' ? 'support' : 'leads'),
    auth: (kind, user) => {
      if (own.isAway) return 'FAIL';
      if (kind === 'USER' && user === 'desk@example.org') return `USER|${own.desk}`;
      // The userdb knows the boss by another name.
      if (kind === 'USER') return `USER|${user === 'boss@example.org' ? 'ceo@example.org' : user}`;
      const host = homes.get(user);
      return host === undefined ? 'NOTFOUND' : `PASS|user=${user}|proxy=y|host=${host}`;
    },
  });
  engine.setAnswer((line, end) => {
    const [, user = '', name = ''] = line.split('\t');
    const count = name === 'search' ? (mails.get(user) ?? 0) : 0;
    const reply = replyPacket(`${'0123\t7\t'.repeat(count)}\n+\n`);
    if (!own.isHeld) return reply;
    own.held = () => end.peer.send(reply);
    return undefined;
  });
  /** Where each command went. */
  const sent = (name: string): string[] =>
    engine.commands
      .map(({ line, end: { address } }) => [line.split('\t'), address] as const)
      .filter(([[, , each]]) => each === name)
      .map(([[, user = ''], address]) => `${user} ${address.kind === 'tcp' ? address.host : ''}`);
  return { ...engine, own, sent, as: (who: Partial<Peer>) => engine.client(2, who) };
}

async function ask(client: MemoryClient, line: string) {
  const before = client.said().length;
  await client.line(line);
  // The password of a backend is read from the disk.
  const status = /\n[+-][A-Z]*\n$/;
  await until(() => status.test(client.said().slice(before)), line);
  const text = client.said().slice(before);
  const [, json] = /access\t(\{.*?\})\t/.exec(text) ?? [];
  const item: AccessItem | undefined = json === undefined ? undefined : JSON.parse(json);
  return { text, item };
}

void test('a command of one series alone can be requested where the user is', async () => {
  const { as, sent } = openRoutes();
  const [anna, carol] = [await as(people.anna), await as(people.carol)];
  const denied = await ask(anna, '|eve2@example.org|fts flatcurve stats|INBOX');
  assert.match(denied.text, /available on request/);
  const wish = (user: string) => `||dovegate request|-u|${user}|--reason|x|--|fts flatcurve stats|INBOX`;
  const { item, text } = await ask(anna, wish('eve2@example.org'));
  assert.ok(item, text);
  const granted = await ask(carol, `||dovegate approve|${item.id}`);
  assert.equal(granted.item?.state, 'granted', granted.text);
  await ask(anna, '|eve2@example.org|fts flatcurve stats|INBOX');
  assert.deepEqual(sent('fts flatcurve stats'), ['eve2@example.org 127.0.0.2']);
  // On the other backend there is no such command.
  assert.match((await ask(anna, wish('bob1@example.org'))).text, /Dovecot 2\.3 has no such command/);
});

void test('users on two backends: one request, and each command goes where its user is', async () => {
  const { as, sent } = openRoutes();
  const [anna, carol] = [await as(people.anna), await as(people.carol)];
  const { item, text } = await ask(
    anna,
    '||dovegate request|-u|bob1@example.org|-u|eve2@example.org|--reason|x|--|fetch|text|mailbox|INBOX|all',
  );
  assert.ok(item, text);
  assert.deepEqual(sent('search'), ['bob1@example.org 127.0.0.1', 'eve2@example.org 127.0.0.2']);
  const shown = await ask(carol, `||dovegate access|${item.id}`);
  assert.equal(shown.item?.matches, 5, 'the most of one user');
  assert.equal((await ask(carol, `||dovegate approve|${item.id}`)).item?.state, 'granted');
  for (const user of ['bob1@example.org', 'eve2@example.org'])
    await ask(anna, `|${user}|fetch|text|mailbox|INBOX|all`);
  assert.deepEqual(sent('fetch'), ['bob1@example.org 127.0.0.1', 'eve2@example.org 127.0.0.2']);
});

void test('mails are counted where the user is, and no more of them are deleted there', async () => {
  const { as, sent } = openRoutes();
  const [anna, carol] = [await as(people.anna), await as(people.carol)];
  const line = (user: string) => `|${user}|expunge|mailbox|INBOX|all`;
  for (const [user, host, count] of [
    ['bob1@example.org', '127.0.0.1', 3],
    ['eve2@example.org', '127.0.0.2', 5],
  ] as const) {
    const { item, text } = await ask(anna, `||dovegate request|-u|${user}|--reason|x|--${line('').slice(1)}`);
    assert.ok(item, text);
    assert.equal((await ask(carol, `||dovegate access|${item.id}`)).item?.matches, count);
    assert.equal((await ask(carol, `||dovegate approve|${item.id}`)).item?.state, 'granted');
    mails.set(user, count + 1);
    assert.match((await ask(anna, line(user))).text, /-NOPERM/);
    mails.set(user, count);
    const isSent = (): boolean => sent('expunge').includes(`${user} ${host}`);
    assert.ok(!isSent());
    await ask(anna, line(user));
    assert.ok(isSent());
    const counts = sent('search').filter((each) => each.startsWith(user));
    assert.deepEqual([...new Set(counts)], [`${user} ${host}`]);
  }
});

void test('a mailbox behind an alias is that of the approver too, or it is not approved', async () => {
  const { as, own, sent } = openRoutes();
  const [anna, carol] = [await as(people.anna), await as(people.carol)];
  const wish = '||dovegate request|-u|boss@example.org|--reason|x|--|fetch|text|mailbox|INBOX|all';
  const { item, text } = await ask(anna, wish);
  assert.ok(item, text);
  assert.deepEqual(item.users, ['boss@example.org', 'ceo@example.org']);
  // The policy of the leads does not hold for the ceo.
  assert.match((await ask(carol, `||dovegate approve|${item.id}`)).text, /\[access-unknown\]/);
  assert.deepEqual(sent('fetch'), []);

  // Nobody knows whose mail it is.
  own.isAway = true;
  assert.match((await ask(anna, wish.replace('boss@', 'bob1@'))).text, /\[access-changed\]/);
  own.isAway = false;
  // The requester does not learn who exists.
  const nobody = wish.replace('boss@', 'nobody@');
  assert.equal((await ask(anna, nobody)).item?.state, 'requested');
});

void test('a grant for an alias ends where the alias becomes that of another user', async () => {
  const { as, own, sent, clock } = openRoutes();
  const [anna, carol] = [await as(people.anna), await as(people.carol)];
  const words = '|fetch|text|mailbox|INBOX|all';
  const { item, text } = await ask(anna, `||dovegate request|-u|desk@example.org|--reason|x|--${words}`);
  assert.ok(item, text);
  assert.deepEqual(item.users, ['desk@example.org', 'bob1@example.org']);
  assert.equal((await ask(carol, `||dovegate approve|${item.id}`)).item?.state, 'granted');
  await ask(anna, `|desk@example.org${words}`);
  assert.deepEqual(sent('fetch'), ['desk@example.org 127.0.0.1']);
  own.desk = 'eve2@example.org';
  await clock.advance(3_600_000);
  assert.match((await ask(anna, `|desk@example.org${words}`)).text, /\[on-request\]/);
  assert.equal(sent('fetch').length, 1);
});

void test('a reload in the middle: no request of a rule that is gone, no approval by a right that is gone', async () => {
  const routes = openRoutes();
  const { as, own, exchanges, records, offered } = routes;
  const [anna, carol] = [await as(people.anna), await as(people.carol)];
  const desk = exchanges.access;
  const { rights } = desk;
  const without = (name: string) => ({
    ...rights,
    policies: new Map([...rights.policies].filter(([each]) => each !== name)),
  });
  const wish = '||dovegate request|-u|bob1@example.org|--reason|x|--|expunge|mailbox|INBOX|all';

  // While the record of the request is written; the record of the question comes before it.
  const isWritten = (): boolean => offered.some(({ action }) => action === 'requested');
  routes.setJournal('hold');
  const before = anna.said().length;
  await anna.line(wish);
  await until(() => {
    if (!isWritten()) routes.setJournal('hold');
    return isWritten();
  }, 'the record of the request');
  desk.turnTo(without('support'));
  routes.setJournal('take');
  await until(() => anna.said().length > before, 'an answer');
  assert.match(anna.said().slice(before), /\[access-changed\]/);
  assert.deepEqual(desk.all(10), []);
  const actions = (): readonly unknown[] =>
    records.filter(({ record }) => record.event === 'access').map(({ record }) => record.action);
  assert.deepEqual(actions(), ['requested', 'ended']);

  desk.turnTo(rights);
  const { item, text } = await ask(anna, wish);
  assert.ok(item, text);
  assert.equal((await ask(carol, `||dovegate access|${item.id}`)).item?.matches, 3);
  // While the mails are counted for the approval.
  own.isHeld = true;
  const asked = carol.said().length;
  await carol.line(`||dovegate approve|${item.id}`);
  await until(() => own.held !== undefined, 'a search');
  desk.turnTo(without('leads'));
  own.held?.();
  await until(() => carol.said().length > asked, 'an answer');
  assert.match(carol.said().slice(asked), /reloaded meanwhile.*\[access-changed\]/);
  assert.deepEqual(column(desk.all(10), 'state'), ['requested']);
});
