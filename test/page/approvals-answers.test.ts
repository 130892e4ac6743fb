// A decision on the page that is refused has the status of its cause: what was asked wrongly, who may not, what is not there, what changed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTrail } from '../../src/evidence/reading/read-trail.js';
import type { DoorAccess } from '../../src/gate/door/calls.js';
import type { DoorAccessed } from '../../src/gate/door/door.js';
import { DoorFault } from '../../src/gate/door/door-client.js';
import { formatTime } from '../../src/host/words/instants.js';
import type { AuditRecord } from '../../src/journal/records/record.js';
import { createApprovalHandlers } from '../../src/page/approvals-answers.js';
import { type PageCaller, replyOf } from '../../src/page/http/page-request.js';
import { startMs, writeJournal } from '../evidence/reading/written-journal.js';
import { temporaryDirectory } from '../journal/files/reading.js';
import { accessItem } from '../kit/gate/access-item.js';
import { doorHead } from '../kit/gate/now.js';
import { grantRecords } from '../kit/plain/access-records.js';

const opener = { uid: 1001, loginUid: 1002 };
const who: PageCaller = { name: 'carol', roles: ['approve'], users: undefined, opener, from: [] };

async function askAs(
  caller: PageCaller,
  endpoint: 'approve' | 'uses',
  body: string,
  answer: DoorAccessed | DoorFault,
  directory = '/nowhere',
) {
  const asked: Omit<DoorAccess, 'as'>[] = [];
  const recorded: unknown[] = [];
  const log = { report: () => undefined };
  const handlers = createApprovalHandlers({
    log,
    looks: { read: (task) => readTrail({ ...task, limits }, { now: () => 0 }) },
    daemon: {
      told: { head: { ...doorHead, directory } },
      access({ from, opener: by }, access) {
        asked.push({ ...access, from, opener: by });
        return answer instanceof DoorFault ? Promise.reject(answer) : Promise.resolve(answer);
      },
      record: (person, what) => Promise.resolve(void recorded.push([person.name, what])),
      flush: () => Promise.resolve(),
      sign: () => assert.fail(),
    },
  });
  const { signal } = new AbortController();
  const request = { endpoint, params: ['01M'], body, who: caller, isStill: () => true, signal };
  const reply = await replyOf(handlers, request, log);
  assert.ok('body' in reply);
  return { status: reply.status, ...JSON.parse(reply.body), asked, recorded };
}

const limits = { rowsMax: 10_000, bytesMax: 4 << 20, timeMs: 60_000 };
const approve = (body: string, answer: DoorAccessed | DoorFault) => askAs(who, 'approve', body, answer);

void test('what the daemon refuses has the status of its code', async () => {
  for (const [code, status] of [
    ['access-invalid', 400],
    ['access-denied', 403],
    ['access-unknown', 404],
    ['access-changed', 409],
    ['access-limit', 503],
    ['access-unrecorded', 503],
  ] as const) {
    const answer = await approve('', { text: 'no', isPassing: status > 404, code });
    assert.deepEqual([answer.status, answer.text], [status, 'no'], code);
  }
});

void test('what the door refuses, too', async () => {
  for (const [code, status] of [
    ['malformed', 400],
    ['person', 403],
    ['stale', 409],
    ['busy', 503],
    ['away', 503],
  ] as const)
    assert.equal((await approve('{"forMs":1}', new DoorFault(code, 'no'))).status, status, code);
});

void test('a value of another kind, or out of its range, does not become one that was not given', async () => {
  for (const body of ['{"forMs":"1h"}', '{"forMs":-1}', '{"uses":null}', '{"reason":7}', '[]', '{']) {
    const { status, asked } = await approve(body, { items: [] });
    assert.deepEqual([status, asked], [400, []], body);
  }
  const { status, asked } = await approve('{"forMs":60000,"uses":1}', { items: [] });
  assert.equal(status, 200);
  assert.deepEqual([asked[0]?.forMs, asked[0]?.uses], [60_000, 1]);
  // The daemon judges by the process that got the link.
  assert.deepEqual(asked[0]?.opener, opener);
});

void test('an approver sees the uses of what is listed to them, each look with a record, and nothing else of the journal', async (t) => {
  const directory = temporaryDirectory(t);
  const anna = 'anna@example.com';
  const fetching = { event: 'admission', command: 'fetch', args: ['text'], user: anna } as const;
  const use = (id: string, grant?: string): AuditRecord[] => [
    { time: startMs + 9, ...fetching, id, users: [anna], grant },
    { time: startMs + 9, event: 'completion', id, outcome: 'ok', sent: true, grant },
  ];
  writeJournal(directory, [
    ...grantRecords('01M', startMs),
    ...grantRecords('01N', startMs),
    ...use('U1', '01M'),
    ...use('U2', '01N'),
    ...use('U3'),
  ]);
  const listed = { items: [{ ...accessItem, id: '01M', users: [anna] }] };
  const { status, uses, recorded, text } = await askAs(who, 'uses', '', listed, directory);
  assert.equal(status, 200, text);
  const time = formatTime(startMs + 9);
  assert.deepEqual(uses, [{ time, ...fetching, id: 'U1', outcome: 'ok', grant: '01M' }]);
  assert.deepEqual(recorded, [['carol', { action: 'audit-show', args: ['wanted=01M'], rows: 5 }]]);
  // One that the gate does not list, and a role without approvals: nothing is read.
  const other = await askAs(who, 'uses', '', { items: [{ ...accessItem, id: '01N' }] }, directory);
  assert.deepEqual([other.status, other.uses, other.recorded], [200, [], []]);
  const refused = await askAs(who, 'uses', '', new DoorFault('person', 'no'), directory);
  assert.deepEqual([refused.status, refused.recorded], [403, []]);
});
