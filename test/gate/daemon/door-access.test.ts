// Steps of access on request by people of the page: whom an issuer names is the person of `persons` with that address, and a group is
// nobody.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideOnPage } from '../../../src/gate/daemon/door-access.js';
import { DoorBudget } from '../../../src/gate/daemon/door-budget.js';
import { DoorNotes } from '../../../src/gate/daemon/door-notes.js';
import { accessRightsOf } from '../../../src/gate/daemon/engine-parts.js';
import {
  callRow,
  type DoorAccess,
  type DoorCall,
  doorCalls,
  type LinkOpener,
} from '../../../src/gate/door/calls.js';
import type { DoorRefusal } from '../../../src/gate/door/door.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { PagePerson } from '../../../src/rules/config/settings.js';
import { humanOnPage } from '../../../src/rules/identity/human.js';
import { Persons } from '../../../src/rules/identity/person.js';
import { emptyReply, type MemoryEngine, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

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

// Goal: each kind of call has calls and bytes of its own, and what is refused takes nothing.

const isCall = (text: string): text is DoorCall => Object.hasOwn(doorCalls, text);
/** Judged after they were read. */
const decisions: readonly string[] = ['operate', 'access'];
const kinds = Object.keys(doorCalls)
  .filter(isCall)
  .filter((call) => !decisions.includes(call));

const costly: ReadonlySet<DoorCall> = new Set(['settings', 'now', 'traffic']);

/** How many are taken before the first refusal. */
function takenOf(take: () => number | undefined): number {
  for (let taken = 0; ; taken += 1) if (take() !== undefined) return taken;
}

// bounds.doorCalls, bounds.doorCallMs
void test('calls of each kind, also when all the others are used up', () => {
  const budget = new DoorBudget();
  for (const kind of kinds) {
    const isStream = costly.has(kind);
    const taken = takenOf(() => budget.take(kind, 0, 0));
    assert.equal(taken, isStream ? bounds.doorStreamOpens : bounds.doorCalls, kind);
    const refillMs = isStream ? bounds.doorStreamMs : bounds.doorCallMs;
    assert.equal(budget.take(kind, 0, 0), refillMs);
    assert.equal(budget.take(kind, 0, refillMs), undefined);
  }
});

void test('bytes of each kind: the longest body can be read, and then it takes its time', () => {
  const budget = new DoorBudget();
  for (const kind of kinds) {
    const bytes = callRow(kind).bytesMax ?? bounds.doorBriefBytes;
    const taken = takenOf(() => budget.take(kind, bytes, 0));
    const most = Math.floor(bounds.doorCallBytes / 1024 / Math.ceil(bytes / 1024));
    const calls = costly.has(kind) ? bounds.doorStreamOpens : bounds.doorCalls;
    assert.equal(taken, Math.min(most, calls), kind);
    assert.ok(taken > 0);
  }
});

// bounds.doorLists, bounds.doorListMs, bounds.doorSteps, bounds.doorStepMs, bounds.doorLocks, bounds.doorLockMs
void test('lists of requests for access take nothing from steps, nor these or locks from others; no decision is refused before it is read', () => {
  const budget = new DoorBudget();
  const most = {
    list: [bounds.doorLists, bounds.doorListMs],
    step: [bounds.doorSteps, bounds.doorStepMs],
    lock: [bounds.doorLocks, bounds.doorLockMs],
    enable: [bounds.doorCalls, bounds.doorCallMs],
    nothing: [bounds.doorCalls, bounds.doorCallMs],
  } as const;
  for (const what of ['list', 'step', 'lock', 'enable', 'nothing'] as const) {
    const [times, refillMs] = most[what];
    const taken = takenOf(() => budget.takeDecided(what, 0));
    assert.equal(taken, times, what);
    assert.equal(budget.takeDecided(what, 0), refillMs, what);
    assert.equal(budget.takeDecided(what, refillMs), undefined, what);
  }
  for (const call of ['operate', 'access'] as const)
    for (let at = 0; at < 10 * bounds.doorCalls; at += 1)
      assert.equal(budget.take(call, 10_000, 0), undefined);
});

// Goal: nothing is done for a record of the page that has no room, and what one person or kind takes is missing to no other.
type Again = Parameters<DoorNotes['note']>[5];

function open() {
  const clock = createFakeClock();
  const records: unknown[] = [];
  let digests = 0;
  let synced = Promise.resolve();
  const notes = new DoorNotes({
    clock,
    journal: {
      appendDurable(record) {
        records.push(record);
        return synced;
      },
    },
    redact(word) {
      digests += 1;
      return { hmac: word.length.toString(16) };
    },
    onError: (text) => assert.fail(text),
  });
  const note = (
    name: string,
    args: readonly (string | { secret: string })[],
    again: Again = () => undefined,
  ) => notes.note({ name, roles: ['audit'] }, 'audit-search', args, 0, { uid: 1 }, again);
  const hold = (until: Promise<void>): void => void (synced = until);
  return { clock, notes, note, records, hold, digests: () => digests };
}

/** Of all, and an eighth of it of a person. */
const burstBytes = bounds.doorBytes / 8;

void test('20,000 secret words without room: no digest is made', async () => {
  const { note, records, digests } = open();
  const words = Array.from({ length: 20_000 }, () => ({ secret: 'x' }));
  assert.equal(await note('ann', words), undefined, 'one that is larger than all of it takes all of it');
  assert.equal(records.length, 1);
  const made = digests();
  assert.ok(made > 0 && made <= 128 + 1);
  assert.equal((await note('ann', words))?.code, 'busy');
  assert.equal(digests(), made);
  assert.equal(records.length, 1);
  assert.equal(await note('ben', ['a']), undefined, 'others go on');
});

void test('who is locked while a look is recorded does not look', async () => {
  const { note, records, hold } = open();
  let [sync, lock]: [() => void, DoorRefusal | undefined] = [() => undefined, undefined];
  hold(new Promise((resolve) => void (sync = resolve)));
  const asked = note('ann', ['a'], () => lock);
  assert.equal(records.length, 1);
  lock = { code: 'person', text: 'ann is locked' };
  sync();
  assert.deepEqual(await asked, lock);
});

// bounds.doorBytes
void test('refusals and acts have bytes of their own', () => {
  const { notes } = open();
  const big = ['x'.repeat(burstBytes / 8)];
  const fill = (noted: 'looks' | 'acts' | 'refusals'): number => {
    for (let person = 0; ; person += 1)
      if (notes.whyNot(noted, noted === 'refusals' ? undefined : `p${person}`, big) !== undefined)
        return person;
  };
  assert.deepEqual([fill('refusals'), fill('acts'), fill('looks')], [7, 7, 7]);
  assert.match(notes.whyNot('refusals', undefined, big)?.text ?? '', /^the page has had too much recorded; /);
});
