// A decision on the page that is refused has the status of its cause: what was asked wrongly, who may not, what is not there, what changed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DoorFault } from '../../src/adapters/page/door-client.js';
import type { PageCaller } from '../../src/adapters/page/page-request.js';
import type { DoorAccessed } from '../../src/domain/admin/door/door.js';
import type { DoorAccess } from '../../src/domain/admin/door/parse.js';
import { createApprovalHandlers } from '../../src/page/approvals-answers.js';

const opener = { uid: 1001, loginUid: 1002 };
const who: PageCaller = { name: 'carol', roles: ['approve'], users: undefined, opener, from: [] };

async function approve(body: string, answer: DoorAccessed | DoorFault) {
  const asked: Omit<DoorAccess, 'as'>[] = [];
  const handlers = createApprovalHandlers({
    access(_who, access) {
      asked.push(access);
      return answer instanceof DoorFault ? Promise.reject(answer) : Promise.resolve(answer);
    },
  });
  const reply = await handlers.approve?.({
    endpoint: 'approve',
    params: ['01M'],
    body,
    who,
    isStill: () => true,
    signal: new AbortController().signal,
  });
  assert.ok(reply !== undefined && 'body' in reply);
  return { status: reply.status, ...JSON.parse(reply.body), asked };
}

void test('what the daemon refuses has the status of its code', async () => {
  for (const [code, status] of [
    ['access-invalid', 400],
    ['access-denied', 403],
    ['access-unknown', 404],
    ['access-changed', 409],
  ] as const) {
    const answer = await approve('', { text: 'no', isPassing: code === 'access-changed', code });
    assert.deepEqual([answer.status, answer.text], [status, 'no'], code);
  }
  for (const code of ['access-limit', 'access-unrecorded'])
    assert.equal((await approve('', { text: 'no', isPassing: true, code })).status, 503, code);
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
