// Goal: looks, steps and ends of own commands have budgets of their own. Phases: looks and steps in hundreds, then an end; a policy whose
// rate is used up; steps of others that wait for the disk; ends that end nothing. What must not happen: an end that is refused for a rate
// or waits for somebody else's step, and a flood of pointless ends without a limit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { Peer } from '../../../src/host/ports/peer.js';
import { emptyReply, type MemoryClient, openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';

const settings = `
version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support, sessions: 30, sessions_per_peer: 30 } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server", connections: 2 } }
routes: [{ users: ["*"], backend: mail1 }]
audit: { sign_key: /etc/dovegate/sign.key }
persons: { anna: { users: [anna] }, carol: { users: [carol] }, dave: { users: [dave] } }
policies:
  support:
    users: ["*@example.org"]
    allow: [quota get]
    on_request: [{ command: mailbox list, approvals: 1, for: 1h }]
    requests: { open: 5 }
  leads: { users: ["*@example.org"], allow: [mailbox list], approve: [support], limits: { rate: 30/hour } }
`;

const people = {
  anna: { uid: 1001, user: 'anna', loginUid: 1001 },
  carol: { uid: 1002, user: 'carol', loginUid: 1002 },
  dave: { uid: 1003, user: 'dave', loginUid: 1003 },
} as const satisfies Readonly<Record<string, Partial<Peer>>>;

async function openBudgets() {
  const engine = openMemoryEngine({
    settings,
    uids: { anna: 1001, carol: 1002, dave: 1003 },
    policyOf: ({ user }) => (user === 'anna' ? 'support' : 'leads'),
  });
  engine.setAnswer(emptyReply);
  const as = (who: keyof typeof people) => engine.client(2, people[who]);
  const anna = await as('anna');
  /** The id of a new request of anna. */
  const request = async (): Promise<string> => {
    const text = await ask(anna, '||dovegate request|-u|bob@example.org|--reason|x|--|mailbox list|INBOX');
    const [, id] = /"id":"([0-9A-Z]{26})"/.exec(text) ?? [];
    assert.ok(id, text);
    return id;
  };
  const steps = () => engine.recordsOf('access').map(({ action }) => action);
  return { ...engine, as, anna, request, steps };
}

async function ask(client: MemoryClient, line: string): Promise<string> {
  const before = client.said().length;
  await client.line(line);
  await settle();
  return client.said().slice(before);
}

const overLooks = /over 60 questions a minute.*\[over-limit\]/;

/** Asks the same until the budget of looks is used up. */
async function exhaust(client: MemoryClient, line: string): Promise<void> {
  for (let at = 0; at < bounds.questions; at += 1) assert.doesNotMatch(await ask(client, line), overLooks);
  assert.match(await ask(client, line), overLooks);
}

void test('after more looks than are answered, ends and steps work at once', async () => {
  const { as, anna, request, steps } = await openBudgets();
  const carol = await as('carol');
  const [first, second, third, own] = [await request(), await request(), await request(), await request()];
  await exhaust(carol, '||dovegate requests');
  await exhaust(anna, `||dovegate access|${own}`);
  assert.match(await ask(carol, `||dovegate approve|${first}`), /"state":"granted"/);
  assert.match(await ask(carol, `||dovegate revoke|${first}`), /"state":"revoked"/);
  assert.match(await ask(carol, `||dovegate refuse|--reason|no|${second}`), /"state":"refused"/);
  assert.match(await ask(carol, `||dovegate revoke|${third}`), /"state":"revoked"/);
  assert.match(await ask(anna, `||dovegate revoke|${own}`), /"state":"revoked"/);
  assert.deepEqual(steps().slice(-6), ['approved', 'granted', 'revoked', 'refused', 'revoked', 'revoked']);
});

void test('after more steps than are taken, and a rate of the policy that is used up, ends work at once', async () => {
  const { as, request } = await openBudgets();
  const carol = await as('carol');
  const [first, second] = [await request(), await request()];
  // Each is refused for its own reason.
  for (let at = 0; at < bounds.questions; at += 1)
    assert.match(await ask(carol, `||dovegate approve|X${at}`), /access-unknown/);
  assert.match(await ask(carol, `||dovegate approve|${first}`), /over 60 steps a minute.*\[over-limit\]/);
  // Steps do not count for the policy's rate, and other commands do.
  for (let at = 0; at < 30; at += 1)
    assert.doesNotMatch(await ask(carol, '|bob@example.org|mailbox list|INBOX'), /over-limit/);
  assert.match(
    await ask(carol, '|bob@example.org|mailbox list|INBOX'),
    /over the rate of policy leads \(\d+\/\w+\) /,
  );
  assert.match(await ask(carol, `||dovegate refuse|--reason|no|${first}`), /"state":"refused"/);
  assert.match(await ask(carol, `||dovegate revoke|${second}`), /"state":"revoked"/);
});

void test('an end waits for no step of somebody else', async () => {
  const { as, request, setJournal, exchanges } = await openBudgets();
  const [carol, dave] = [await as('carol'), await as('dave')];
  const [first, second] = [await request(), await request()];
  setJournal('hold');
  // Its record never gets to the disk.
  await carol.line(`||dovegate approve|${first}`);
  await settle();
  await dave.line(`||dovegate refuse|--reason|no|${second}`);
  await settle();
  assert.equal(exchanges.access.isLive(first), false);
  assert.deepEqual(exchanges.access.counts.requests, 1, 'the refused one is over');
  setJournal('take');
  await settle();
  assert.match(dave.said(), /"state":"refused"/);
});

void test('ends that end nothing are looks: over the rate they are refused, counted, and slow down nobody', async () => {
  const { as, anna, request, clock, records, steps, setSpace } = await openBudgets();
  const [carol, dave] = [await as('carol'), await as('dave')];
  const id = await request();
  await ask(carol, `||dovegate revoke|${id}`);
  const live = await request();
  const before = steps().length;
  // Unknown, over already, without a reason, and a request that somebody may not refuse.
  const pointless = [
    '||dovegate revoke|X',
    `||dovegate revoke|${id}`,
    `||dovegate refuse|${live}`,
    `||dovegate refuse|--reason|no|${id}`,
  ];
  for (let at = 0; at < bounds.questions; at += 1)
    assert.match(await ask(carol, pointless[at % pointless.length] ?? ''), /access-(unknown|invalid)/);
  for (const line of pointless) assert.match(await ask(carol, line), overLooks, line);
  await exhaust(anna, `||dovegate refuse|--reason|no|${live}`);
  const told = records.length;
  for (let at = 0; at < 1_000; at += 1) await carol.line(pointless[at % pointless.length] ?? '');
  await settle();
  assert.ok(records.length - told <= 2 * bounds.floodBurst, 'a thousand of them are a number');
  assert.equal(steps().length, before);
  assert.match(await ask(dave, `||dovegate revoke|${live}`), /"state":"revoked"/);

  // The reserve of the disk is for ends that end something.
  await clock.advance(60_000);
  const last = await request();
  setSpace('reserve');
  assert.match(await ask(carol, '||dovegate revoke|X'), /audit-reserve/);
  assert.match(await ask(carol, `||dovegate refuse|--reason|no|${last}`), /"state":"refused"/);
});
