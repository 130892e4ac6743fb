// A limited view: what it shows of every kind of record, and that nothing that comes out of it depends on what it hides.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createSearch, createSurvey } from '../../../src/evidence/trail/search.js';
import { allEvents, createCover, createView, shownKeys } from '../../../src/evidence/views/view.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import { AccessBook } from '../../../src/journal/records/access-book.js';
import { recordKeys, rowOf } from '../../../src/journal/records/keys.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { grantRecords, over } from '../../kit/plain/access-records.js';
import { sealedBytes } from '../trail/paper-trail.js';

const ours = ['*@example.com'];
const startMs = Date.UTC(2026, 10, 20);

function seen(records: readonly JournalRecord[], users: readonly string[] = ours): Record<string, unknown>[] {
  const text = createView(users).take(sealedBytes(records)).toString('utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

const admission: JournalRecord = {
  time: startMs,
  event: 'admission',
  session: 'S',
  id: 'A',
  principal: 'bob@support',
  command: 'fetch',
  user: 'alice@example.com',
  args: ['text', 'all'],
  users: ['alice@example.com'],
};

const texts = `for tag listener principal policy version rule reason command backend upstream action by text error`;
const numbers = 'matches count rows cells bytes_in bytes_out wait_ms first_byte_ms duration_ms';

/** Every key that a record can have, with a value that must not be seen. */
const full: Omit<JournalRecord, 'event'> = {
  ...admission,
  ...Object.fromEntries(texts.split(' ').map((key) => [key, `secret-${key}`])),
  ...Object.fromEntries(numbers.split(' ').map((key) => [key, 4711])),
  protocol: 'http',
  peer: { uid: 4711, user: 'secret-user', exe: '/secret', address: '192.0.2.77', certificate: 'secret-cert' },
  series: '2.4',
  decision: 'deny',
  would: 'deny',
  user: 'secret@other.org',
  users: ['secret@other.org'],
  args: ['secret-arg', { hmac: 'abcd' }],
  input: { bytes: 4711, hmac: 'abcd' },
  effect: 'read',
  backends: ['secret-backends', { backend: 'secret-part', outcome: 'ok', sent: true, error: 'secret-error' }],
  level: 'info',
  status: '-SECRET',
  outcome: 'failed',
  sent: true,
  logs: { error: 4711 },
  client: 3,
};

void test('of every event that a journal holds, a record that touches others is seq, time and event, and what holds no name', () => {
  const names = 'journal catalog segment head key signature ring until'.split(' ');
  const own = {
    ...Object.fromEntries(names.map((key) => [key, `secret-${key}`])),
    program: 'dovegate secret <>',
    torn: { file: 'secret-file', bytes: 4711, sha256: 'secret-sha' },
  };
  for (const event of allEvents) {
    const [record = {}] = seen([{ ...full, ...own, event }]);
    assert.deepEqual(Object.keys(record), ['seq', 'time', 'event'], event);
    assert.deepEqual([record['seq'], record['event']], [1, event]);
  }
});

void test('what the journal says of itself is shown where it holds no name', () => {
  const time = '2026-11-20T00:00:00.000Z';
  const started = { program: 'dovegate 1.2.3', recovered: 2, lost: 'unknown' } as const;
  const retired = { segment: '00000001.jsonl', until: time, by: 'age' };
  const records = seen([
    { time: startMs, event: 'start', journal: 'J', ...started, key: 'K' },
    { time: startMs, event: 'retire', ...retired },
    { time: startMs, event: 'retire', segment: '../bob', until: 'bob', by: 'bob' },
    { time: startMs, event: 'checkpoint', oldest_seq: 1, head: 'ab', key: 'K', signature: 'S' },
    { time: startMs, event: 'clock', step_ms: -5 },
    // Numbers that no daemon writes.
    { time: startMs, event: 'clock', step_ms: -1e300 },
    { time: startMs, event: 'checkpoint', oldest_seq: 2 ** 53, steps_ms: 8.64e15 },
  ]);
  assert.deepEqual(records, [
    { seq: 1, time, event: 'start', ...started },
    { seq: 2, time, event: 'retire', ...retired },
    { seq: 3, time, event: 'retire' },
    { seq: 4, time, event: 'checkpoint', oldest_seq: 1 },
    { seq: 5, time, event: 'clock', step_ms: -5 },
    { seq: 6, time, event: 'clock' },
    { seq: 7, time, event: 'checkpoint' },
  ]);
});

void test('a record of covered users is whole but for the hashes, with its log lines and its end; a key that nobody decided is not shown', () => {
  const { users: _u, args: _a, user: _v, ...rest } = full;
  const records: JournalRecord[] = [
    { ...full, event: 'admission', user: 'alice@example.com', users: ['alice@example.com'] },
    { ...rest, event: 'log', text: 'from the backend' },
    { ...rest, event: 'completion', outcome: 'ok' },
    { time: startMs, event: 'log', id: 'A', text: 'late' },
    { time: startMs, event: 'log', id: 'B', text: 'of somebody else' },
  ];
  const shown = seen(records);
  const stored = sealedBytes(records).toString('utf8').split('\n').slice(0, -1);
  for (const [at, line] of stored.slice(0, 4).entries()) {
    const { prev, hash, by: _by, ...expected } = JSON.parse(line);
    assert.deepEqual(shown[at], expected, 'whole');
    assert.match(`${prev}${hash}`, /^[0-9a-f]{128}$/);
  }
  assert.deepEqual(Object.keys(shown[4] ?? {}), ['seq', 'time', 'event']);
  // Of these keys, all but those of the chain, of operators and of the journal itself belong to exchanges.
  const keys = new Set(stored.flatMap((line) => Object.keys(JSON.parse(line))));
  assert.deepEqual(
    [...keys].filter((key) => !shownKeys.has(key)),
    ['by', 'prev', 'hash'],
  );
  const [strange] = stored;
  const odd = Buffer.from(`${strange?.replace('"id":"A"', '"id":"A","new_key":"bob@other.org"')}\n`);
  assert.doesNotMatch(createView(ours).take(odd).toString(), /new_key|bob@other/);
});

void test('a key of records is shown only if its row says so: a row that says nothing is hidden, and so is every key of the journal itself', () => {
  assert.deepEqual(rowOf('by'), {}, 'a row that says nothing');
  const [record = {}] = seen([{ ...admission, by: 'bob@support', principal: 'bob@support' }]);
  assert.deepEqual([record['by'], record['principal']], [undefined, 'bob@support']);
  for (const key of recordKeys) {
    assert.equal(shownKeys.has(key), rowOf(key).isShown === true, key);
    if (rowOf(key).of === 'own') assert.ok(!shownKeys.has(key), key);
  }
});

void test('which admissions are covered for sure', () => {
  const isCovered = (more: object, users: readonly string[] = ours): boolean =>
    createCover(users)({ ...admission, ...more });
  assert.ok(isCovered({}));
  assert.ok(isCovered({ user: '' }));
  assert.ok(isCovered({ users: ['alice@example.com', 'a*@example.com', '?@example.com'] }));
  assert.ok(isCovered({ user: 'x', users: ['x', 'y@example.com'] }, ['x', '*@example.com']));
  const patterns = ['*', '*@*', '*example.com', 'alice@example.co?', 'alice@example.com@other.org'];
  const others = ['bob@other.org@example.com', 'bob@other.org*@example.com', ''];
  const no: readonly object[] = [
    { users: ['alice@example.com', 'bob@other.org'] },
    ...[...patterns, ...others].map((user) => ({ users: [user] })),
    { users: [] },
    { users: undefined },
    { users: 'alice@example.com' },
    { users: [null] },
    { users: ['alice@example.com', { more: 3, bytes: 5, sha256: '' }] },
    { users: [{ cut: 'alice@example.com', bytes: 5000, sha256: '' }] },
    { user: 'bob@other.org' },
    { user: { cut: 'alice@example.com' } },
    // It could not be read, so nobody knows whom its arguments mean.
    { args: undefined },
  ];
  for (const more of no) assert.ok(!isCovered(more), JSON.stringify(more));
});

void test('a completion or a log line without its admission is hidden, and damage is a line without content', () => {
  const [alone = {}] = seen([{ time: startMs, event: 'completion', id: 'A', outcome: 'ok' }]);
  assert.deepEqual(Object.keys(alone), ['seq', 'time', 'event']);
  const damaged = Buffer.from(
    'bob@other.org\n{"seq":9,"time":"bob@other.org bob@othe","event":"x"}\n{"seq":9,"time":"2026-11-20T00:00:00.000Z","event":"bob"}\n{"seq":1,"time":"2026-11-20T00:00:00.000Z","event":"admission","users":["x',
  );
  const shown = createView(ours).take(damaged).toString();
  assert.equal(
    shown,
    '{}\n{}\n{"seq":9,"time":"2026-11-20T00:00:00.000Z","event":"unknown"}\n{"seq":1,"time":"2026-11-20T00:00:00.000Z","event":"admission"}\n',
  );
});

void test('without patterns everything is shown, as it is stored', () => {
  const lines = sealedBytes([{ ...admission, users: ['*'] }]);
  assert.equal(createView(undefined).take(lines), lines);
});

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

void test('two journals that differ in what is hidden give the same answer to every filter', () => {
  const words = ['bob@other.org', 'carol@other.org', 'expunge', 'x'.repeat(3000), 'mail2', 'A1'];
  const hiddenWord = fc.constantFrom(...words);
  const hidden = fc.record({
    command: hiddenWord,
    user: hiddenWord,
    users: fc.subarray(['bob@other.org', '*', 'carol@other.org'], { minLength: 1 }),
    args: fc.array(hiddenWord, { maxLength: 3 }),
    principal: hiddenWord,
    session: hiddenWord,
    outcome: fc.constantFrom('ok' as const, 'denied' as const, 'failed' as const),
  });
  const exchange = fc.record({ isOurs: fc.boolean(), one: hidden, other: hidden });
  const filter: fc.Arbitrary<TrailFilter> = fc.record(
    {
      user: fc.oneof(hiddenWord, fc.constantFrom('*', 'alice@example.com', '*other*', 'b*')),
      text: fc.oneof(hiddenWord, fc.constantFrom('other.org', 'hash', 'prev', '"', 'bob')),
      command: hiddenWord,
      principal: fc.oneof(hiddenWord, fc.constant('*')),
      session: hiddenWord,
      id: fc.constantFrom('id0', 'id1', 'id2'),
      outcome: fc.constantFrom('ok', 'open', 'denied'),
      sinceMs: fc.constantFrom(startMs, startMs + 3),
    },
    { requiredKeys: [] },
  );
  const alice = { user: 'alice@example.com', users: ['alice@example.com'] };
  const mine = { ...alice, command: 'fetch', principal: 'p', args: [], session: 'S' };
  fc.assert(
    fc.property(fc.array(exchange, { maxLength: 6 }), filter, (exchanges, asked) => {
      const answer = (side: 'one' | 'other'): unknown => {
        const records = exchanges.flatMap((each, at): JournalRecord[] => {
          const { outcome, ...touched } = each[side];
          const id = `id${at}`;
          const what = each.isOurs ? mine : touched;
          return [
            { time: startMs + at, event: 'admission', id, ...what },
            { time: startMs + at, event: 'completion', id, outcome: each.isOurs ? 'ok' : outcome },
          ];
        });
        const shown = createView(ours).take(sealedBytes(records));
        const search = createSearch(asked);
        const survey = createSurvey(asked);
        survey.take(shown);
        return [search.take(shown), search.finish(), survey.finish()];
      };
      const one = answer('one');
      assert.deepEqual(one, answer('other'));
      assert.doesNotMatch(JSON.stringify(one), /other\.org/);
    }),
    { numRuns: 300 * rounds },
  );
});

void test('each step of access is shown by the users that it names, wherever a reader begins', () => {
  const mine = [...grantRecords('G1', startMs), over('revoked', 'G1', startMs + 5)];
  const users = ['anna@example.com', 'eve@other.org'];
  const ended = over('revoked', 'G2', startMs + 6, 'grant', { users });
  const others = [...grantRecords('G2', startMs, { users }), ended];
  const book = new AccessBook();
  for (const record of [...mine.slice(0, 3), ...others.slice(0, 3)]) book.follow(record);
  const shown = seen([...mine, ...others, ...book.carried(startMs + 7)]);
  const whole = shown.filter(({ action }) => action !== undefined);
  assert.deepEqual(
    whole.map(({ action, grant, request }) => `${String(action)} ${String(grant ?? request)}`),
    ['requested G1', 'approved G1', 'granted G1', 'revoked G1', 'requested G1', 'approved G1', 'granted G1'],
  );
  assert.ok(!JSON.stringify(shown).includes('G2'), 'the ids of others are hidden');
  for (const record of whole)
    for (const key of ['bound', 'identities', 'by']) assert.ok(!(key in record), key);
  const alone = seen([
    over('expired', 'R1', startMs, 'request'),
    over('expired', 'R2', startMs, 'request', { users }),
  ]);
  assert.deepEqual(
    alone.map(({ action }) => action),
    ['expired', undefined],
  );
});
