import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { encodeBody } from '../../../src/domain/audit/encode.js';
import type { AuditRecord } from '../../../src/domain/audit/record.js';
import { createSurvey, type Surveyed } from '../../../src/domain/trail/search.js';

const startMs = Date.UTC(2026, 10, 20, 8);

function survey(
  records: readonly Partial<AuditRecord>[],
  asked: Parameters<typeof createSurvey>[0],
): Surveyed {
  const made = createSurvey(asked);
  const lines = records.map((record, at) => {
    const body = encodeBody({ time: startMs + at * 1000, event: 'admission', id: `E${at}`, ...record });
    return `{"seq":${at + 1},${body},"prev":"ab","hash":"cd"}\n`;
  });
  made.take(Buffer.from(lines.slice(0, 2).join('')));
  made.take(Buffer.from(`torn\n${lines.slice(2).join('')}`));
  return made.finish();
}

const records: readonly Partial<AuditRecord>[] = [
  { principal: 'alice@support', user: 'bob@example.com', users: ['bob@example.com'] },
  { user: 'bob@example.com', users: ['bob@example.com', 'alice@example.com'] },
  { user: 'alice@example.net', users: ['alice@example.net'], text: 'alice@text' },
  { user: 'alicebob@example.net' },
];

test('records and times of a trail, and of the time that was asked for', () => {
  const { names: _, isNamed: _n, ...all } = survey(records, {});
  const [firstTime, lastTime] = ['2026-11-20T08:00:00.000Z', '2026-11-20T08:00:03.000Z'];
  assert.deepEqual(all, { records: 4, all: 4, firstTime, lastTime });
  assert.equal(survey(records, { sinceMs: startMs + 1000, untilMs: startMs + 3000 }).records, 2);
  assert.equal(survey(records, { sinceMs: startMs + 9000 }).records, 0);
  assert.deepEqual(survey([], { user: 'alice' }).firstTime, undefined);
});

test('users with that name and a domain, and no principals', () => {
  assert.deepEqual(survey(records, { user: 'alice' }).names, ['alice@example.com', 'alice@example.net']);
  assert.deepEqual(survey(records, { user: 'ALICE' }).names, ['alice@example.com', 'alice@example.net']);
  assert.deepEqual(survey(records, { user: 'support' }).names, []);
  assert.deepEqual(survey(records, { user: 'ali*' }).names, []);
  assert.deepEqual(survey(records, {}).names, []);
});

test('whether a record names the user, whenever it was and however many are like it', () => {
  const later = { sinceMs: startMs + 9000 };
  assert.equal(survey(records, { user: 'Alice@example.com', ...later }).isNamed, true);
  assert.equal(survey(records, { user: 'alice@support' }).isNamed, false);
  assert.equal(survey(records, { user: 'alice' }).isNamed, false);
  const many = Array.from({ length: 10_001 }, (_, at) => ({ user: `user${at}@example.com` }));
  assert.equal(survey(many, { user: 'user10000@example.com' }).isNamed, true);
});

test('a misspelled user: the nearest name of its domain, and its name in the nearest domain', () => {
  const namesFor = (user: string): readonly string[] => survey(records, { user }).names;
  assert.deepEqual(namesFor('alcie@example.com'), ['alice@example.com']);
  assert.deepEqual(namesFor('BOB@exmaple.com'), ['bob@example.com']);
  assert.deepEqual(namesFor('alice@example.org'), ['alice@example.com']);
  assert.deepEqual(namesFor('carol@example.com'), []);
  assert.deepEqual(namesFor('alice@support'), [], 'a requester is no user');
});

// bounds.likeNames
test('a misspelled user is looked for among so many', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, at) => ({ user: `user${at}x@example.com` }));
  const asked = { user: 'someboyd@example.com' };
  const meant = { user: 'somebody@example.com' };
  assert.deepEqual(survey([...many(bounds.likeNames - 1), meant], asked).names, [meant.user]);
  assert.deepEqual(survey([...many(bounds.likeNames), meant], asked).names, []);
});
