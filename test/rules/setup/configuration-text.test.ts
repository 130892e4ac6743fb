// Goal: settings cross to other threads and processes as one text, whatever they hold, and judge there as they do here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { settingsIn, settingsText } from '../../../src/rules/setup/configuration-text.js';

const many = Array.from({ length: 2_000 }, (_, at) => `user${at}@example.com`);
const text = `
version: 1
listeners: { support: { unix: /s, policy: support } }
backends: { mail1: { address: "unix:/m1" } }
routes: [{ users: ${JSON.stringify(['*@b.example', ...many])}, backend: mail1 }]
policies:
  support:
    users: ${JSON.stringify(['*@a.example', ...many])}
    except: ["x*y@a.example"]
    allow:
      - quota get
      - { command: mailbox create, users: ${JSON.stringify(many)}, where: { mailbox: [A, "B*"] } }
      - { command: expunge, where: { query: { mailbox: [Trash, "Junk*"] } } }
      - { command: backup, root_equivalent: true, where: { destination: "maildir:/backup/*" } }
    on_request:
      - { command: mailbox delete, users: ${JSON.stringify(many)}, reason: { regex: "ticket [0-9]+" }, uses: 3 }
    requests: { open: 2, wait: 2h }
    approve: [support]
persons: { carol: { users: [carol], oidc: carol@example.com }, dave: { users: ["1001"] } }
`;

void test('the settings are the same at the other end', () => {
  const { settings } = parseSettings('x', { readText: () => text, glob: () => [] });
  assert.ok(settings);
  const crossed = settingsText(settings);
  const built = settingsIn(crossed);
  assert.equal(settingsText(built), crossed);
  const [here, there] = [settings, built].map((each) =>
    JSON.stringify(each.policies.get('support')?.allow.map(({ where, users: of }) => [where, of])),
  );
  assert.equal(there, here);
  assert.deepEqual([...built.persons.keys()], ['carol', 'dave']);
  assert.deepEqual(built.persons.get('dave')?.users, ['1001']);
  const [requestable] = built.policies.get('support')?.onRequestByCommand.get('mailbox delete') ?? [];
  const { terms, hash, users } = requestable ?? assert.fail();
  assert.equal(hash, settings.policies.get('support')?.onRequest[0]?.hash);
  const said = ['ticket 7', 'no'].map((reason) => terms.reason?.matches(reason));
  assert.deepEqual([terms.uses, ...said], [3, true, false]);
  assert.equal(users?.matches('user7@example.com'), true);
  assert.deepEqual(built.policies.get('support')?.requests, { open: 2, waitMs: 7_200_000 });
  assert.deepEqual(built.policies.get('support')?.approve, ['support']);
  const [route] = built.routes;
  const policy = built.policies.get('support');
  const rule = policy?.allow[1];
  assert.ok(route && policy && rule?.users);
  for (const name of ['user0@example.com', 'user1999@example.com', 'user2000@example.com']) {
    const isThere = !name.includes('2000');
    const found: boolean[] = [route.users, policy.users, rule.users].map((list) => list.matches(name));
    assert.deepEqual(found, [isThere, isThere, isThere], name);
  }
  assert.ok(route.users.matches('a@b.example'));
  assert.ok(policy.except.matches('x-y@a.example'));
});

void test('added commands cross once, and every policy has them at the other end', () => {
  const scan = '{ "name": "site scan", "scope": "user", "effect": "read" }';
  const files = new Map([
    ['/x', text.replace('allow:', 'allow:\n      - site scan').concat('catalog: site.json\n')],
    ['/site.json', `{ "series": "2.4", "commands": [${scan}] }`],
  ]);
  const read = { readText: (path: string) => files.get(path) ?? '', glob: () => [] };
  const { settings } = parseSettings('/x', read);
  const crossed = settingsText(settings ?? assert.fail());
  assert.equal(crossed.split('site scan |').length, 2);
  const built = settingsIn(crossed);
  assert.equal(settingsText(built), crossed);
  assert.equal(built.policies.get('support')?.added.named('2.4', 'site scan')?.effect, 'read');
});

void test('what denies goes on to hold in any case at the other end, in short and long lists', () => {
  const denied = `["ceo@a.example", ${many.map((each) => JSON.stringify(each)).join(', ')}]`;
  const kept = `${text.replace('except: ["x*y@a.example"]', `except: ${denied}\n    deny: [{ command: expunge, users: ["ceo@a.example"] }]`)}mail_users: { case: keep }\n`;
  const { settings, problems } = parseSettings('x', { readText: () => kept, glob: () => [] });
  const built = settingsIn(settingsText(settings ?? assert.fail(JSON.stringify(problems))));
  const policy = built.policies.get('support');
  assert.equal(policy?.except.matches('CEO@a.example'), true);
  assert.equal(policy?.deny[0]?.users?.matches('CEO@a.example'), true);
});
