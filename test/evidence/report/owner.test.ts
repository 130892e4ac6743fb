// What the owner of a mailbox is shown: classes, teams, reasons and approvals; never a name of staff before a policy shows it, never a
// command, an argument, a client or another user; and a verdict in words of ours.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  makeOwnerReport,
  type OwnerReport,
  ownerFragment,
  ownerLines,
} from '../../../src/evidence/report/owner.js';
import type { Reported } from '../../../src/evidence/report/report.js';
import type { GrantTold } from '../../../src/evidence/report/touch.js';
import type { GivenToOwner } from '../../../src/evidence/story/owner-view.js';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import { makeTrail, started, verify } from '../trail/paper-trail.js';

const alice = 'alice@example.com';
const timeOf = (seq: number): string => `2026-11-20T08:01:${String(seq % 60).padStart(2, '0')}.000Z`;

function row(admittedSeq: number, more: Readonly<Record<string, unknown>> = {}): ExchangeRow {
  const time = timeOf(admittedSeq);
  const at = { time, id: `zuluID${admittedSeq}`, session: 'zuluSESSION', principal: 'zulucarol@support' };
  const peer = { address: '192.0.2.77', uid: 4711, user: 'zulucarol', exe: '/usr/bin/zulu' };
  const by = { peer, listener: 'zululistener', backend: 'zulumail1', policy: 'support', reason: 'ticket 1' };
  const of = { args: ['--', 'text', 'zuluargument'], user: alice, users: [alice, 'zulubob@example.com'] };
  const end = { effect: 'read', decision: 'allow', outcome: 'ok', sent: true, cells: 2 };
  const fields = { ...at, ...by, command: 'fetch', ...of, ...end, ...more };
  return { fields, admittedSeq, completedSeq: admittedSeq + 1, completedTime: time };
}

async function report(
  rows: readonly ExchangeRow[],
  { told, ...more }: Partial<Reported> & { told?: GrantTold } = {},
): Promise<OwnerReport> {
  const journal: Reported = {
    verdict: verify(makeTrail()),
    isChecked: true,
    whose: 'zuluwhose',
    pathOf: (file) => `/zulu/${file}`,
    // oxlint-disable-next-line typescript/require-await -- rows of a file come one by one
    async *rows() {
      yield* rows;
    },
    survey: () => Promise.reject(new Error('names of others are not looked for')),
    doubts: () => [],
    grants: () => Promise.resolve(() => told),
    ...more,
  };
  const asked = { mailbox: alice, fromMs: undefined, nowMs: started + 300_000 };
  return (await makeOwnerReport(journal, asked)).report;
}

void test('no name of staff, no command, no client and no other user', async () => {
  const made = await report([row(2), row(4), row(6, { reason: 'other' })]);
  const shown = JSON.stringify(made) + ownerFragment(made) + ownerLines(made).join('');
  assert.doesNotMatch(shown, /zulu|192\.0\.2|4711|fetch|uid/);
  const told = made.rows.map(({ from, until, team, reason, commands }) =>
    [from, until, team, reason, commands].join(' '),
  );
  const first = `${timeOf(2)} ${timeOf(4)} support ticket 1 2`;
  assert.deepEqual(told, [first, `${timeOf(6)} ${timeOf(6)} support other 1`]);
  assert.equal(made.complete, true, made.sentences.join());
});

/** By the team of each approver. */
function givenBy(...approvedBy: string[]): GivenToOwner {
  return { approvedBy, quietUntilMs: undefined };
}

void test('a grant: its id, its reason, and how many approved it', async () => {
  const one = row(2, { grant: 'G1', reason: undefined });
  const approvedAs = async (told?: GrantTold): Promise<unknown> => {
    const { rows } = await report([one], told === undefined ? {} : { told });
    return rows.map(({ grant, reason, approved_by: by }) => [grant, reason, by]);
  };
  const told = { approvedBy: 'approved by zuluerin@leads', reason: 'ticket 9' };
  const byTwo = await approvedAs({ ...told, given: givenBy('leads', 'legal') });
  assert.deepEqual(byTwo, [['G1', 'ticket 9', ['leads', 'legal']]]);
  assert.deepEqual(await approvedAs({ ...told, given: givenBy() }), [['G1', 'ticket 9', []]]);
  assert.deepEqual(await approvedAs(), [['G1', '', undefined]]);
});

void test('what a grant keeps from the owner is in no row and no number before its end, and then with it', async () => {
  const used = [row(2, { grant: 'G1' }), row(4, { grant: 'G1', outcome: 'failed', cells: 0 })];
  const reported = (quietUntilMs: number): Promise<OwnerReport> =>
    report(used, { told: { approvedBy: '', given: { ...givenBy('leads'), quietUntilMs }, reason: '' } });
  const during = await reported(started + 300_001);
  assert.deepEqual([during.rows, during.without_effect], [[], 0]);
  const after = await reported(started + 300_000);
  const [{ commands, kept_until: until } = assert.fail(), ...more] = after.rows;
  const end = new Date(started + 300_000).toISOString();
  assert.deepEqual([commands, until, more, after.without_effect], [1, end, [], 1]);
});

void test('what did nothing is a number, and what dovegate counted is nothing', async () => {
  const made = await report([
    row(2, { decision: 'deny', outcome: 'denied', sent: false, cells: 0 }),
    row(4, { outcome: 'failed', cells: 0 }),
    row(6, { for: 'zulu', request: 'G2' }),
    row(8, { for: 'zulu' }),
  ]);
  assert.deepEqual([made.rows, made.without_effect], [[], 2]);
  assert.match(made.sentences.join(' '), /2 more commands had no effect/);
});

void test('a command for everybody may have touched it; a mask that covers it did', async () => {
  const masked = row(4, { users: ['a*@example.com'], reason: 'mask' });
  const made = await report([row(2, { users: ['*'], user: '' }), masked]);
  assert.equal(made.rows.map(({ sure }) => sure).join(), 'false,true');
  assert.match(ownerFragment(made), /may have touched this mailbox: a command for many users/);
});

void test('harmless and escaped, wherever it stands', async () => {
  const hostile = '</td><script>x\u202e\u001b[31m"\'&';
  const told = { approvedBy: hostile, given: givenBy(hostile), reason: hostile };
  const texts = { reason: hostile, policy: hostile, grant: hostile, principal: hostile };
  const made = await report([row(2, texts)], { told });
  const html = ownerFragment(made);
  // oxlint-disable-next-line no-control-regex -- that none comes through is what is tested
  assert.doesNotMatch(html + ownerLines(made).join(''), /[\u202e\u001b]/);
  assert.doesNotMatch(html, /<script|<\/td><(?!td|\/tr)[a-z]*script/);
  assert.equal(html.match(/&lt;script&gt;/g)?.length, 4);
});

void test('a verdict without words of a record: every doubt has a sentence of ours', async () => {
  const faults = [{ kind: 'changed' as const, file: 'zulu', line: 3, seq: 3, text: 'zulu' }];
  const verdict = { ...verify(makeTrail()), faultCount: 1, faults };
  const made = await report([], { verdict, isChecked: false });
  assert.equal(made.complete, false);
  assert.match(
    made.sentences.join(' '),
    /NOT proved complete[^]*Records were changed or are missing\. The record is not signed\./,
  );
  assert.doesNotMatch(made.sentences.join(), /zulu/);
});

void test('the newest rows have room; of older ones the number is said', async () => {
  const many = Array.from({ length: 1000 + 5 }, (_, at) => row(2 * (at + 1), { reason: `ticket ${at}` }));
  const endless = { ...verify(makeTrail()), lastSeq: 1e6 };
  const made = await report(many, { verdict: endless });
  assert.deepEqual([made.rows.length, made.left_out, made.complete], [1000, 5, false]);
  assert.ok(!made.rows.some(({ reason }) => reason === 'ticket 4'));
  assert.match(made.sentences.join(' '), /5 older commands had no room/);
});
