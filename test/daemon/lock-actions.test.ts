// Goal: who locks and lifts, and what is never locked, at each door of an operator. What must not happen: a lock by somebody who is not
// root and does not operate on the page; a lift of one's own lock; an action of somebody locked; a page without an operator who is free.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operator, OperatorAction } from '../../src/adapters/admin/access.js';
import { bounds } from '../../src/bounds/bounds.js';
import { withLocks, wordsOnPage } from '../../src/daemon/lock-actions.js';
import { Persons } from '../../src/domain/people/identity/person.js';
import { openMemoryEngine } from '../kit/memory-engine.js';

const settings = `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server" } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*@example.org"], allow: [quota get] } }
persons: { anna: { users: [anna], page: [anna] }, carol: { users: [carol], page: [carol] }, boss: { users: [root, boss] } }
admin:
  unix: /run/dovegate/admin.sock
  page:
    unix: /run/dovegate/page.sock
    people:
      anna: { user: anna, roles: [operate] }
      carol: { user: carol, roles: [operate] }
      dave: { user: dave, roles: [audit] }
`;
const uids = { anna: 1001, carol: 1002, root: 0, boss: 1009 };
const root: Operator = { by: 'root', uid: 0, user: 'root', loginUid: 0 };

function open() {
  const engine = openMemoryEngine({ settings, uids });
  const all: Readonly<Record<string, number>> = uids;
  const users = {
    uidsOf: (name: string) => [all[name] ?? []].flat(),
    uidOf: (name: string) => all[name],
    isUnknown: () => false,
  };
  const others: OperatorAction[] = [];
  const act = withLocks(
    async (action) => {
      others.push(action);
      return { kind: 'done', text: '' };
    },
    {
      access: engine.exchanges.access,
      served: {
        now: {
          settings: engine.settings,
          persons: new Persons(engine.settings.persons, users),
          exchanges: engine.exchanges,
        },
      },
      service: engine.service,
      names: {
        uidOf: async () => ({ kind: 'none' }),
        hasUser: async (name) => ['dave', 'root'].includes(name),
      },
      log: { report: () => undefined },
    },
  );
  const onPage = (name: string): Operator => {
    const person = engine.settings.admin?.page?.people.find((each) => each.name === name);
    assert.ok(person);
    return {
      by: name,
      uid: 64_000,
      user: 'dovegate-page',
      person: wordsOnPage(person),
      from: ['address=192.0.2.7'],
    };
  };
  const lock = (target: string, operator: Operator, forMs = 3_600_000) =>
    act({ kind: 'lock', target, forMs, reason: 'stolen', kills: false }, operator);
  const unlock = (target: string, operator: Operator) =>
    act({ kind: 'unlock', target, reason: 'found' }, operator);
  return { engine, act, onPage, lock, unlock, others };
}

void test('root and people who operate on the page lock and lift; nobody else does', async () => {
  const { engine, onPage, lock, unlock } = open();
  for (const operator of [
    { by: 'token', address: '192.0.2.1' },
    { by: 'SIGHUP' },
    { by: 'dave', uid: 64_123, user: 'dave', loginUid: 64_123 },
  ])
    for (const asked of [lock('dave', operator), unlock('dave', operator)])
      assert.equal((await asked).kind, 'refused');
  for (const operator of [root, onPage('anna')]) {
    assert.equal((await lock('dave', operator)).kind, 'done');
    assert.equal((await unlock('dave', operator)).kind, 'done');
  }
  const [made, , again] = engine.recordsOf('lock');
  assert.deepEqual([made?.by, made?.peer?.login_uid, made?.args], ['root', 0, undefined]);
  assert.deepEqual([again?.by, again?.args], ['anna', ['address=192.0.2.7']]);
  assert.deepEqual(again?.identities, ['name:dave', 'page:dave', 'user:dave']);
});

void test('nobody lifts a lock on oneself, and somebody locked does nothing', async () => {
  const { act, onPage, lock, unlock, others } = open();
  assert.equal((await lock('anna', root)).kind, 'done');
  const annas: readonly Operator[] = [
    onPage('anna'),
    { by: 'anna', uid: 1001, user: 'anna', loginUid: 1001 },
    { by: 'admin', uid: 64_000, user: 'admin', loginUid: 1001 },
  ];
  for (const operator of annas) {
    assert.match((await unlock('anna', operator)).text, /anna is locked by root/);
    assert.match((await act({ kind: 'reload' }, operator)).text, /anna is locked by root/);
  }
  const sudo = { ...root, loginUid: 1001 };
  assert.equal((await act({ kind: 'reload' }, sudo)).kind, 'done');
  assert.match((await unlock('anna', sudo)).text, /nobody lifts a lock on oneself/);
  assert.deepEqual(others, [{ kind: 'reload' }]);
  assert.equal((await unlock('anna', onPage('carol'))).kind, 'done');
});

void test('root, a person who may be root, and the last one who operates on the page are not locked', async () => {
  const { lock, unlock } = open();
  for (const target of ['root', '0', 'boss'])
    assert.match((await lock(target, root)).text, /root is not locked/);
  assert.equal((await lock('anna', root)).kind, 'done');
  assert.match((await lock('carol', root)).text, /last person who operates on the page/);
  assert.match((await lock('1002', root)).text, /last person who operates on the page/);
  assert.equal((await lock('dave', root)).kind, 'done');
  assert.equal((await unlock('anna', root)).kind, 'done');
  assert.equal((await lock('carol', root)).kind, 'done');
});

// bounds.lockMs
void test('a lock is for a time, and its record is tried again', async () => {
  const { engine, lock } = open();
  for (const forMs of [0, -1, 0.5, bounds.lockMs + 1, Number.NaN])
    assert.equal((await lock('dave', root, forMs)).kind, 'refused');
  engine.setJournal('refuse');
  const { kind, text } = await lock('dave', root, bounds.lockMs);
  assert.equal(kind, 'undone');
  assert.match(
    text,
    /^dave is locked until .*; in force, but not recorded yet, which is tried again: the disk refuses$/,
  );
  assert.ok(engine.exchanges.access.locks.on({ identities: ['name:dave'] }));
});
