// Goal: touches become groups by day, requester, class and reason, and counts; memory stays small whatever reasons a client states.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createDayBook,
  createTouchCounter,
  others,
  type Touch,
  type TouchDay,
} from '../../../src/domain/report/touch.js';

const plain: Touch = {
  time: '2026-11-20T12:00:00.000Z',
  day: '2026-11-20',
  requester: 'carol@support',
  class: 'read',
  kind: 'read',
  reason: '',
  command: 'quota get',
  args: '--',
  user: 'bob@example.com',
  by: 'named',
  reached: 'yes',
  showed: 'no',
  outcome: 'ok',
  countedFor: '',
  id: 'E',
  session: 'S',
  listener: 'support',
  backend: 'mail1',
  seq: 1,
  completedSeq: 2,
};

function at(time: string, more: Partial<Touch> = {}): Touch {
  return { ...plain, time, day: time.slice(0, 10), ...more };
}

function days(touches: readonly Touch[]): TouchDay[] {
  const book = createDayBook();
  return [...touches.flatMap((touch) => book.take(touch)), ...book.finish()];
}

void test('what is alike is one group, what differs is not; the gravest class comes first', () => {
  const [day, ...rest] = days([
    at('2026-11-20T08:00:00.000Z'),
    at('2026-11-20T09:00:00.000Z', { command: 'mailbox list' }),
    at('2026-11-20T07:00:00.000Z', { command: 'mailbox list' }),
    at('2026-11-20T09:30:00.000Z', { class: 'content', showed: 'yes', command: 'fetch' }),
    at('2026-11-20T09:31:00.000Z', { class: 'destroyed', command: 'expunge', reason: 'ticket 5' }),
    at('2026-11-20T10:00:00.000Z', { requester: 'anna@support' }),
    at('2026-11-20T10:00:00.000Z', { class: 'denied', reached: 'no' }),
    at('2026-11-20T10:00:00.000Z', { class: 'denied', kind: 'destroyed', reached: 'no', command: 'expunge' }),
    at('2026-11-20T10:00:00.000Z', { by: 'all' }),
    at('2026-11-20T10:00:00.000Z', { outcome: 'timeout' }),
    at('2026-11-20T10:00:00.000Z', { countedFor: 'F', command: 'search' }),
  ]);
  assert.deepEqual(rest, []);
  assert.deepEqual(
    day?.groups.map((one) => [one.requester, one.class, one.reason, one.count, [...one.commands].join(' ')]),
    [
      ['anna@support', 'read', '', 1, 'quota get,1'],
      ['carol@support', 'destroyed', 'ticket 5', 1, 'expunge,1'],
      ['carol@support', 'content', '', 1, 'fetch,1'],
      ['carol@support', 'read', '', 3, 'quota get,1 mailbox list,2'],
      ['carol@support', 'read', '', 1, 'quota get,1'],
      ['carol@support', 'read', '', 1, 'quota get,1'],
      ['carol@support', 'read', '', 1, 'search,1'],
      ['carol@support', 'denied', '', 1, 'quota get,1'],
      ['carol@support', 'denied', '', 1, 'expunge,1'],
    ],
  );
  const group = day?.groups[3];
  assert.deepEqual(
    [group?.firstTime, group?.lastTime],
    ['2026-11-20T07:00:00.000Z', '2026-11-20T09:00:00.000Z'],
  );
});

void test('days come in order, and a command that ended much later gives its day again, marked', () => {
  const told = days(
    ['18', '19', '18', '20', '21', '18', '22'].map((day) => at(`2026-11-${day}T08:00:00.000Z`)),
  ).map(({ day, isMore, groups }) => `${day.slice(8)}${isMore ? ' more' : ''} ${groups[0]?.count}`);
  assert.deepEqual(told, ['18 2', '19 1', '18 more 1', '20 1', '21 1', '22 1']);
});

// bounds.reportGroups
void test('another reason, requester and command each time: one day keeps some thousand groups, and counts the rest', () => {
  const book = createDayBook();
  const count = 30_000;
  for (let each = 0; each < count; each += 1) {
    const texts = { reason: `r${each}`, requester: `p${each}@x`, command: `c${each}` };
    assert.deepEqual(book.take({ ...plain, ...texts }), []);
  }
  const [{ groups } = assert.fail('no day')] = book.finish();
  assert.ok(groups.length < 5000, `${groups.length} groups`);
  assert.equal(
    groups.reduce((sum, one) => sum + one.count, 0),
    count,
  );
  const rest = groups.find(({ requester }) => requester === others);
  assert.equal(rest?.reason, others);
  assert.ok((rest?.commands.size ?? 0) <= 51);
});

void test('counts: what did not reach a mail server is apart', () => {
  const counter = createTouchCounter();
  counter.take(plain);
  counter.take({ ...plain, requester: 'anna@support', showed: 'yes' });
  counter.take({ ...plain, showed: 'maybe', by: 'all', outcome: 'unknown' });
  counter.take({ ...plain, reached: 'maybe', outcome: 'open' });
  counter.take({ ...plain, requester: 'eve@support', class: 'denied', reached: 'no', outcome: 'denied' });
  assert.deepEqual(counter.counts(), {
    commands: 4,
    requesters: 2,
    isMoreRequesters: false,
    showed: 1,
    maybeShowed: 1,
    notNamed: 1,
    open: 1,
    unknown: 1,
    stopped: 1,
    denied: 1,
    deleted: 0,
    deleteDenied: 0,
    deleteFailed: 0,
  });
});

void test('counts: what may have deleted something, and what tried to', () => {
  const counter = createTouchCounter();
  const expunge = { ...plain, class: 'destroyed', kind: 'destroyed', command: 'expunge' } as const;
  counter.take(expunge);
  counter.take({ ...expunge, reached: 'maybe', outcome: 'open' });
  counter.take({ ...expunge, class: 'denied', reached: 'no', outcome: 'denied' });
  counter.take({ ...expunge, class: 'failed', outcome: 'failed' });
  counter.take({ ...expunge, class: 'failed', reached: 'no', outcome: 'failed' });
  // A line that could not be read may mean anything, where it was sent.
  counter.take({ ...plain, class: 'unread', kind: 'unread', reached: 'maybe' });
  counter.take({ ...plain, class: 'unread', kind: 'unread', reached: 'no', outcome: 'unparsable' });
  counter.take({ ...plain, class: 'denied', reached: 'no', outcome: 'denied' });
  const { deleted, deleteDenied, deleteFailed, denied, stopped } = counter.counts();
  assert.deepEqual([deleted, deleteDenied, deleteFailed, denied, stopped], [3, 1, 2, 2, 4]);
});
