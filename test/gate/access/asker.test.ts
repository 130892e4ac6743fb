// Which identities may ask and approve, and how a request is shown.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import {
  type ApprovalRights,
  type Asker,
  countingApprovals,
  countsFor,
  isMadeBy,
  loginOf,
  otherOriginsOf,
  whyNoApproval,
  whyNotAsk,
} from '../../../src/gate/access/asker.js';
import type { Peer } from '../../../src/host/ports/peer.js';
import { AccessBook } from '../../../src/journal/records/access-book.js';
import { formatCommand } from '../../../src/journal/records/encode.js';
import type { AccessRecord } from '../../../src/journal/records/record.js';
import { humanOf, type Proof } from '../../../src/rules/identity/human.js';
import { type Person, Persons } from '../../../src/rules/identity/person.js';
import { approved, requested } from '../../kit/plain/access-records.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import { knownUids } from '../../kit/plain/names.js';

const kernel = { kind: 'kernel' } as const;
const none = { users: [], accounts: [], keys: [], page: [], oidc: undefined };
const all = new Map<string, Person>([
  ['carol', { ...none, users: ['carol', 'carol-admin'], accounts: ['carol'], keys: ['desk'] }],
  ['dave', { ...none, users: ['dave'] }],
]);
const known = knownUids({ carol: 2, 'carol-admin': 3, dave: 4, eve: 7 });
const persons = new Persons(all, known);
const policy = {
  name: 'leads',
  version: 'v',
  users: new GlobList(['*@example.org']),
  except: new GlobList(['ceo@example.org']),
  approve: ['support'],
};

function askerOf(peer: Partial<Peer>, proof: Proof = kernel): Asker {
  const whole = { listener: 'x', ...peer };
  return {
    listener: 'x',
    principal: 'who@x',
    origin: 'who',
    peer: { uid: whole.uid, user: whole.user },
    policy,
    ...humanOf(whole, proof, false),
    login: loginOf(whole),
    credential: proof.kind === 'kernel' ? undefined : proof.stamp,
  };
}

const asked = {
  policy: 'support',
  users: ['bob@example.org'],
  identities: ['name:anna', 'uid:1'],
  approvers: [],
};
const carol = { uid: 2, user: 'carol', loginUid: 2 };

void test('a process of which the kernel tells no login asks only where it says that there is none', () => {
  assert.notEqual(whyNotAsk({ listener: 'x', uid: 1 }, kernel), undefined);
  assert.equal(whyNotAsk({ listener: 'x', uid: 1, hasNoLogin: true }, kernel), undefined);
  assert.equal(
    whyNotAsk({ listener: 'x', address: '192.0.2.1' }, { kind: 'key', name: 'k', stamp: 's' }),
    undefined,
  );
});

void test('who may approve, as asker.txt has it', () => {
  const key = (name: string): Proof => ({ kind: 'key', name, stamp: 's' });
  const eve = { uid: 9, user: 'eve', loginUid: 9 };
  const byCarol = { loginUid: 2, loginUser: 'carol' };
  const cases: readonly (readonly [peer: Partial<Peer>, proof?: Proof, request?: Partial<typeof asked>])[] = [
    [carol],
    [{ ...carol, uid: 3, user: 'carol-admin', loginUser: 'carol' }],
    [{ address: '192.0.2.1' }, key('desk')],
    [carol, kernel, { policy: 'other' }],
    [carol, kernel, { users: ['bob@example.org', 'ceo@example.org'] }],
    [{ ...carol, uid: 0, user: 'root' }],
    [{ ...carol, loginUid: 0 }],
    // Whoever may map the range can be any of its uids.
    [{ uid: 100_001, rangeOwners: [{ uid: 2 }], loginUid: 100_001 }],
    [{ ...carol, user: 'mallory' }],
    [{ uid: 2, user: 'carol', hasNoLogin: true }],
    [{ uid: 2, user: 'carol' }],
    [eve],
    // Somebody else became carol, or carol became dave.
    [{ ...carol, loginUid: 9, loginUser: 'eve' }],
    [{ uid: 4, user: 'dave', ...byCarol }],
    // A process without a login can set that of anybody.
    [{ ...eve, ...byCarol }],
    [{ ...eve, ...byCarol }, key('eve')],
    [eve, key('desk')],
    [{ ...eve, loginUid: 4, loginUser: 'dave' }, key('desk')],
    [carol, kernel, { identities: ['account:carol'] }],
    [carol, kernel, { identities: ['name:service', 'uid:2'] }],
    [carol, kernel, { identities: ['key:carol', 'name:carol'] }],
    // The account has the name of a user of hers that she does not act as now.
    [carol, kernel, { identities: ['account:carol-admin', 'name:carol-admin'] }],
  ];
  const answers = cases.map(([peer, proof, request]): Asked => {
    const why = whyNoApproval(askerOf(peer, proof), { ...asked, ...request }, persons);
    return [JSON.stringify([peer, proof, request]), () => why ?? 'approves'];
  });
  compareAnswers('test/gate/access/asker.txt', answers);
  const twice = { ...asked, approvers: [['key:desk']] };
  assert.match(whyNoApproval(askerOf(carol), twice, persons) ?? '', /for another person/);
});

void test('an approval counts as long as its policy, its person and its users do', () => {
  const policies = new Map([['leads', policy]]);
  const approval = {
    time: 0,
    event: 'access',
    principal: 'carol@x',
    policy: 'leads',
    identities: ['uid:2'],
    action: 'approved',
    request: 'R1',
  } as const;
  const request = requested('R1', 0, {
    policy: asked.policy,
    users: asked.users,
    identities: asked.identities,
  });
  const counted = (
    approvals: readonly AccessRecord[],
    rights: ApprovalRights = { persons, policies, approvesOnPage: (name) => name === 'carol' },
    change: Partial<AccessRecord> = {},
  ): number => {
    const book = new AccessBook();
    for (const record of [{ ...request, ...change }, ...approvals]) book.follow(record);
    const entry = book.find('R1');
    return entry === undefined ? -1 : countingApprovals(entry, rights, () => false).length;
  };
  assert.equal(counted([approval]), 1);
  const approvesOnPage = () => false;
  assert.equal(counted([approval], { persons, policies: new Map(), approvesOnPage }), 0);
  assert.equal(counted([approval], { persons: new Persons(new Map()), policies, approvesOnPage }), 0);
  assert.equal(counted([approval], undefined, { users: ['ceo@example.org'] }), 0);
  assert.equal(counted([approval], undefined, { identities: ['key:desk'] }), 0);
  // The login of carol is left, and the user who approved is hers no more.
  const sudo = {
    ...approval,
    identities: ['uid:7', 'uid:2', 'name:eve', 'name:carol'],
    peer: { uid: 7, user: 'eve', login_uid: 2 },
  };
  const hers = new Persons(new Map([['carol', { ...none, users: ['carol', 'eve'] }]]), known);
  assert.equal(counted([sudo], { persons: hers, policies, approvesOnPage }), 1);
  const onPage = { ...approval, principal: 'page:carol', policy: undefined };
  assert.equal(counted([onPage]), 1);
  assert.equal(counted([onPage], { persons, policies, approvesOnPage }), 0);
  assert.equal(counted([sudo]), 0);
  // Two of one person.
  assert.equal(counted([approval, { ...approval, identities: ['key:desk'] }]), 1);
});

void test('a request is that of its owner and of whoever gave it, as whomever', () => {
  const request = requested('R1', 0, { principal: 'anna@x', to: 'anna@x', identities: ['user:anna'] });
  const isMade = (
    by: string | undefined,
    identities: readonly string[],
    approval?: AccessRecord,
  ): boolean => {
    const book = new AccessBook();
    for (const record of [{ ...request, by }, approval]) if (record !== undefined) book.follow(record);
    const entry = book.find('R1') ?? assert.fail();
    return isMadeBy({ identities }, entry, persons);
  };
  const approval = approved('R1', 1, { principal: 'carol@x', identities: ['user:carol', 'uid:2'] });
  assert.equal(isMade(undefined, ['user:anna']), true);
  assert.equal(isMade(undefined, ['user:carol'], approval), false);
  for (const each of ['user:carol', 'user:carol-admin', 'key:desk', 'uid:2'])
    assert.equal(isMade('carol@x', ['user:x', each], approval), true, each);
  assert.equal(isMade('carol@x', ['user:dave'], approval), false);
  // A start found the request, and not the approval that came with it.
  assert.equal(isMade('carol@x', ['key:desk']), true);
  assert.equal(isMade('carol@x', ['user:dave']), false);
  assert.equal(isMade('page:carol', ['page:carol', 'name:carol']), true);
});

void test('a request counts for its client, also under another origin; not for the login that a process shows', () => {
  const nobody = new Persons(new Map());
  const asking = (peer: Partial<Peer>, origin: string, proof: Proof = kernel) => ({
    origin,
    otherOrigins: otherOriginsOf({ listener: 'x', ...peer }, proof),
  });
  const hers = { uid: 2, user: 'carol' };
  const counts = (asker: ReturnType<typeof asking>, record: Partial<AccessRecord>, now = persons): boolean =>
    countsFor(asker, requested('R1', 0, { identities: [], ...record }), now);
  // Her entry came: the request has her uid alone.
  assert.equal(counts(asking(hers, 'person:carol'), { peer: hers }), true);
  // It went.
  assert.equal(counts(asking(hers, 'uid:2'), { origin: 'person:carol', peer: hers }, nobody), true);
  const byKey = asking({}, 'key:desk', { kind: 'key', name: 'desk', stamp: '1' });
  const recorded = {
    origin: 'person:carol',
    peer: { address: '127.0.0.1' },
    identities: ['key:desk', 'name:desk'],
  };
  assert.equal(counts(byKey, recorded, nobody), true);
  assert.equal(counts(byKey, { origin: 'key:desk', peer: { address: '127.0.0.1' } }, nobody), true);
  // Another identity of hers.
  assert.equal(counts(asking({ uid: 3 }, 'person:carol'), { origin: 'key:desk', peer: {} }), true);
  for (const record of [
    { peer: { uid: 9, login_uid: 2 }, identities: ['uid:9', 'uid:2', 'name:carol'] },
    { principal: 'page:eve', peer: hers, origin: 'page:eve' },
    { peer: { uid: 4, user: 'dave' } },
  ])
    assert.equal(counts(asking(hers, 'person:carol'), record), false, JSON.stringify(record));
});

void test('a command as it would be typed, without its secrets', () => {
  assert.equal(
    formatCommand(['fetch', '--', 'hdr.subject', 'mailbox', 'IN BOX']),
    "fetch hdr.subject mailbox 'IN BOX'",
  );
  assert.equal(formatCommand(['fetch', '--', '-x']), 'fetch -- -x');
  assert.equal(formatCommand(['search', '--', 'text', { hmac: 'a' }]), 'search text [secret]');
  assert.equal(formatCommand(['who']), 'who');
});
