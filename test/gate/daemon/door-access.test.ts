// Steps of access on request by people of the page: whom an issuer names is the person of `persons` with that address, and a group is
// nobody.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideOnPage } from '../../../src/gate/daemon/door-access.js';
import { accessRightsOf } from '../../../src/gate/daemon/engine-parts.js';
import type { DoorAccess, LinkOpener } from '../../../src/gate/door/parse.js';
import type { PagePerson } from '../../../src/rules/config/settings.js';
import { humanOnPage } from '../../../src/rules/identity/human.js';
import { Persons } from '../../../src/rules/identity/person.js';
import { emptyReply, type MemoryEngine, openMemoryEngine } from '../../kit/gate/memory-engine.js';

const settings = `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server" } }
routes: [{ users: ["*"], backend: mail1 }]
persons: { anna: { users: [anna], oidc: anna@example.com }, carol: { page: [carol] }, dave: { users: [dave, dave-admin] } }
policies:
  support:
    users: ["*@example.org"]
    allow: [quota get]
    on_request:
      - { command: fetch, content: true, approvals: 1, for: 1h, scope: user }
      - { command: expunge, approvals: 1, for: 1h }
admin:
  page:
    tcp: "127.0.0.1:9147"
    unix: /run/dovegate/page.sock
    approve: true
    oidc: { issuer: "https://issuer.example", client_id: dovegate, client_secret_file: /etc/dovegate/page/secret }
    people:
      desk: { oidc: { email: anna@example.com }, role: approve }
      carol: { oidc: { email: carol@example.com }, role: approve }
      dave: { user: dave, role: approve }
      erin: { oidc: { sub: erin }, role: approve }
      leads: { oidc: { group: leads }, role: approve }
`;

const aFetch = 'fetch|text|mailbox|INBOX|all';

/** The engine, and a request of anna in it for mail of bob. */
async function openAsked(text: string, command: string) {
  const engine = openMemoryEngine({ settings: text, uids: { anna: 1001, dave: 1003, 'dave-admin': 1004 } });
  engine.setAnswer(emptyReply);
  const anna = await engine.client(2, { user: 'anna', uid: 1001, loginUid: 1001 });
  await anna.line(`||dovegate request|-u|bob@example.org|--reason|x|--|${command}`);
  const [, id = ''] = /"id":"([0-9A-Z]{26})"/.exec(anna.said()) ?? [];
  assert.notEqual(id, '', anna.said());
  return { engine, id };
}

/** As the door does. */
function decideAs(
  { exchanges, settings: own }: MemoryEngine,
  person: PagePerson,
  asked: DoorAccess,
): ReturnType<typeof decideOnPage> {
  const human = humanOnPage(person, asked, exchanges.access.rights.persons);
  return decideOnPage(exchanges, own, person, human, asked, {});
}

void test('an address of the issuer is the person who has it, and a group approves nothing', async () => {
  const { engine, id } = await openAsked(settings, aFetch);
  const personNamed = (name: string) => {
    const person = engine.settings.admin?.page?.people.find((each) => each.name === name);
    assert.ok(person !== undefined);
    return person;
  };
  const callerOf = (person: string) =>
    ({ as: { person, role: 'approve', generation: 1 }, from: [], id }) as const;
  const as = (name: string) => {
    const asked = { ...callerOf(name), step: 'approve' } as const;
    return decideAs(engine, personNamed(name), asked);
  };
  const refusing = { ...callerOf('carol'), step: 'refuse', reason: 'no\u001b[31m\nway' } as const;
  assert.deepEqual(await decideAs(engine, personNamed('carol'), refusing), {
    text: 'not accepted: a reason is one line of text',
    isPassing: false,
    code: 'access-invalid',
  });
  assert.match(JSON.stringify(await as('leads')), /a group of OpenID Connect gives no approval/);
  assert.match(JSON.stringify(await as('desk')), /nobody approves a request of their own/);
  const list = async (name: string) =>
    decideAs(engine, personNamed(name), { ...callerOf(name), step: 'list' });
  assert.match(JSON.stringify(await list('leads')), /"whyNone":"a group of OpenID Connect gives no approval/);
  assert.deepEqual(await list('erin'), {
    items: [],
    more: 0,
    decided: [],
    whyNone:
      'you may approve nothing, since no one entry of persons names you: ask an operator to add page: [erin] to yours',
  });
  assert.doesNotMatch(JSON.stringify(await list('carol')), /whyNone|why_not/);
  assert.match(JSON.stringify(await list('desk')), /"why_not":"nobody approves a request of their own"/);
  const granted = JSON.stringify(await as('carol'));
  assert.match(granted, /"state":"granted"/);
  assert.match(granted, /"content":true/);
  assert.match(JSON.stringify(await list('carol')), /"decided":\[\]/);
  // What was decided stays in the list, with what became of it.
  const revoking = { ...callerOf('carol'), step: 'revoke', reason: 'done' } as const;
  await decideAs(engine, personNamed('carol'), revoking);
  assert.match(
    JSON.stringify(await list('carol')),
    /^\{"items":\[\],.*"decided":\[.*"state":"revoked".*"ended_by":"page:carol".*"why":"done"/,
  );
  assert.match(JSON.stringify(await list('erin')), /"decided":\[\]/);
});

void test('who came by a link is judged by the process that got it, as at the socket of a listener', async () => {
  const { engine, id } = await openAsked(settings, aFetch);
  const dave = engine.settings.admin?.page?.people.find(({ name }) => name === 'dave');
  assert.ok(dave !== undefined);
  const as = { person: 'dave', role: 'approve', generation: 1 } as const;
  const ask = async (step: 'list' | 'approve', opener?: LinkOpener): Promise<string> => {
    const asked = { as, from: [], id, step, opener };
    return JSON.stringify(await decideAs(engine, dave, asked));
  };
  const refused: readonly (readonly [LinkOpener, RegExp])[] = [
    [{ uid: 1003, loginUid: 1001, loginUser: 'anna' }, /this login is not that of the same person/],
    [{ uid: 1003, loginUid: 1009, loginUser: 'eve' }, /this login is not that of the same person/],
    [{ uid: 1003, loginUid: 1009 }, /this login is not that of the same person/],
    [{ uid: 1003 }, /this process belongs to no login/],
    [{ uid: 1003, loginUid: 0, loginUser: 'root' }, /root may be anybody/],
  ];
  for (const [opener, why] of refused) {
    const answer = await ask('approve', opener);
    assert.match(answer, why);
    assert.match(answer, /"code":"access-denied"/);
    const list = await ask('list', opener);
    assert.match(list, new RegExp(`"whyNone":"${why.source}`));
    assert.doesNotMatch(list, /"may":\[[^\]]*"approve"/);
    assert.match(list, new RegExp(`"why_not":"${why.source}`));
  }
  const own = await ask('list', { uid: 1003, loginUid: 1003 });
  assert.match(own, /"may":\["approve",/);
  assert.doesNotMatch(own, /why_not/);
  const admin = { uid: 1003, loginUid: 1004, loginUser: 'dave-admin' };
  assert.match(await ask('approve', admin), /"state":"granted"/);
});

void test('an approval on the page counts as long as its person may decide about access to these users', async () => {
  const two = settings.replace(
    'command: fetch, content: true, approvals: 1',
    'command: fetch, content: true, approvals: 2',
  );
  const { engine, id } = await openAsked(two, aFetch);
  const desk = engine.exchanges.access;
  const as = (person: string, step: 'approve' | 'list') => {
    const found = engine.settings.admin?.page?.people.find(({ name }) => name === person);
    assert.ok(found !== undefined);
    const asked = { as: { person, role: 'approve', generation: 1 }, from: [], id, step } as const;
    return decideAs(engine, found, asked);
  };
  assert.match(JSON.stringify(await as('carol', 'approve')), /"approved_by":\[\{"principal":"page:carol"/);
  const changes = [
    ['      carol: { oidc: { email: carol@example.com }', '      eve: { oidc: { email: carol@example.com }'],
    ['carol@example.com }, role: approve', 'carol@example.com }, role: audit'],
    ['carol@example.com }, role: approve', 'carol@example.com }, role: approve, users: [eve@example.org]'],
    ['    approve: true', '    approve: false'],
  ] as const;
  for (const [from, to] of changes) {
    const text = two
      .replace(from, to)
      .replace(
        'carol: { page: [carol] }',
        to.includes('eve: ') ? 'carol: { oidc: carol@example.com }' : '$&',
      );
    assert.notEqual(text, two);
    const isUser = () => Promise.resolve(true);
    const changed = openMemoryEngine({ settings: text });
    desk.turnTo(accessRightsOf(changed.settings, new Persons(changed.settings.persons), isUser));
    assert.doesNotMatch(JSON.stringify(await as('dave', 'list')), /page:carol/, to);
    desk.turnTo(accessRightsOf(engine.settings, new Persons(engine.settings.persons), isUser));
    assert.match(JSON.stringify(await as('dave', 'list')), /page:carol/);
  }
});

void test('a count on the page, for which no command asks, names the request twice', async () => {
  const { engine, id } = await openAsked(settings, 'expunge|mailbox|INBOX|all');
  const carol = engine.settings.admin?.page?.people.find(({ name }) => name === 'carol');
  assert.ok(carol !== undefined);
  const as = { person: 'carol', role: 'approve', generation: 1 } as const;
  const asked = { as, from: [], id, step: 'approve' } as const;
  await decideAs(engine, carol, asked);
  const count = engine.records.findLast(({ record }) => record.event === 'admission')?.record;
  assert.deepEqual([count?.listener, count?.command, count?.for, count?.request], ['page', 'search', id, id]);
});
