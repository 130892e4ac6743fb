// Goal: a search by bytes finds what a search by parsing everything finds. Random trails (exchanges that overlap, are open, are cut, come
// in any pieces) and random filters; the oracle parses each line with the standard library and asks it plainly.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { createSearch, createSurvey } from '../../../src/evidence/trail/search.js';
import { createSketchTest } from '../../../src/evidence/trail/sketch-test.js';
import type { TrailFilter } from '../../../src/gate/door/trail-filter.js';
import { encodeBody } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';
import { makeSketch, readSketch } from '../../../src/journal/records/sketch.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const startMs = Date.UTC(2026, 10, 20);
const names = ['alice@example.org', 'bob@example.com', 'a"b\\c@x', 'ünï@x', 'a', ''];
const word = fc.constantFrom(...names, 'x'.repeat(3000));
const outcome = fc.constantFrom('ok', 'failed', 'denied', 'unknown');
const masks = ['*', '*@example.org', 'al?ce@*', '?'];
const many = Array.from({ length: 300 }, (_, at) => `user-${at}@example.com`);
/** As this release records them, or not at all: then arguments count. */
const orNone = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: undefined });
const someOf = (words: readonly string[]) => fc.subarray([...words], { maxLength: 3 });
const userWords = [...names.slice(0, -1), ...masks, 'x'.repeat(3000)];
const userLists = orNone(fc.oneof(someOf(userWords), fc.constant(many)));
const argumentLists = orNone(someOf(['--', '-A', 'user=alice@example.org', ...userWords]));
const backend = orNone(fc.constantFrom('mail1', 'mail2'));

/** What an exchange is made of; `end`: after how many others it ends, undefined: never. */
const exchange = fc.record({
  user: orNone(word),
  principal: fc.constantFrom('bob@support', 'bobby@support', 'bob@jobs'),
  peerUser: fc.constantFrom(...names),
  command: fc.constantFrom('quota get', 'mailbox list', 'mailbox', undefined),
  policy: fc.constantFrom('p', 'q'),
  would: fc.constantFrom(undefined, 'denied', 'no-reason'),
  shadow: fc.constantFrom(undefined, 'denied', 'served'),
  listener: fc.constantFrom('support', 'jobs'),
  reason: orNone(word),
  users: userLists,
  args: argumentLists,
  admittedAt: backend,
  endedAt: backend,
  outcome,
  end: orNone(fc.integer({ min: 0, max: 4 })),
});

// Nobody asks for the user without a name.
const pattern = fc.oneof(
  word.filter((text) => text !== ''),
  fc.constantFrom('*', 'a*', 'alice@*', 'user-7@example.com', 'user-299@example.com', 'carol@example.org'),
  fc.constantFrom('*@example.org', '*li*', 'bob*@*', '*"b*', 'xx*x'),
);
const values = fc.record({
  user: pattern,
  principal: fc.constantFrom('bob@*', 'bob@support', '*@jobs', '*'),
  command: fc.constantFrom('mailbox', 'mailbox list', 'quota', 'quota get'),
  listener: fc.constantFrom('support', '*'),
  policy: fc.constantFrom('p', 'q'),
  would: fc.constantFrom('any', 'denied'),
  shadow: fc.constantFrom('any', 'served', 'depends'),
  backend: fc.constantFrom('mail1', 'mail3'),
  outcome: fc.constantFrom('ok', 'failed', 'open'),
  sinceMs: fc.integer({ min: 0, max: 12 }).map((at) => startMs + at * 500),
  untilMs: fc.integer({ min: 0, max: 12 }).map((at) => startMs + at * 500),
  reason: fc.constantFrom('ALICE', 'none of this', 'o'),
  text: fc.constantFrom('alice', 'a"b', 'mail1', 'none of this', 'ünï'),
});
/** Two keys at most: with more of them nothing is found. */
const filter: fc.Arbitrary<TrailFilter> = values.chain((all) =>
  fc
    .subarray(Object.entries(all), { maxLength: 2 })
    .map((entries): TrailFilter => Object.fromEntries(entries)),
);

type Made = ReturnType<typeof linesOf>;

function linesOf(
  exchanges: readonly (typeof exchange extends fc.Arbitrary<infer T> ? T : never)[],
): string[] {
  const ledger = new Ledger('p', undefined, 'ab');
  const lines: string[] = [];
  const add = (record: AuditRecord) => void lines.push(ledger.seal(encodeBody(record)));
  const ends: { readonly at: number; readonly record: AuditRecord }[] = [];
  for (const [at, each] of exchanges.entries()) {
    const time = startMs + at * 500;
    const id = `E${String(at).padStart(at % 2 === 0 ? 25 : 3, '0')}`;
    const { peerUser, admittedAt, endedAt: backendAtEnd, outcome: ended, end: after, ...asked } = each;
    const named = { time, event: 'admission', session: 'S', id, peer: { uid: 1, user: peerUser } } as const;
    add({ ...named, decision: 'allow', ...asked, backend: admittedAt });
    add({ time, event: 'log', id, text: 'alice@example.org' });
    const { user } = asked;
    const record = { time, event: 'completion', id, user, backend: backendAtEnd, outcome: ended } as const;
    if (after !== undefined) ends.push({ at: at + after, record });
    for (const end of ends.filter((one) => one.at === at)) add(end.record);
  }
  return lines;
}

function matchesGlob(text: string, given: string): boolean {
  const source = given.split('*').map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  return new RegExp(`^${source.join('[^]*')}$`).test(text);
}

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : String(Object(value).cut ?? '');

/** Whether some text matches both; a `?` of the pattern is itself. */
function meet(mask: string, given: string): boolean {
  if (mask === '' || given === '') return /^\**$/.test(mask + given);
  if (mask[0] === '*') return meet(mask.slice(1), given) || meet(mask, given.slice(1));
  if (given[0] === '*') return meet(mask, given.slice(1)) || meet(mask.slice(1), given);
  return (mask[0] === '?' || mask[0] === given[0]) && meet(mask.slice(1), given.slice(1));
}

function mayMean(value: unknown, given: string): boolean {
  if (typeof value === 'string') return /[*?]/.test(value) ? meet(value, given) : matchesGlob(value, given);
  return 'more' in Object(value) || meet(`${textOf(value)}*`, given);
}

/** Words that were left out may be any. */
function isCut({ args, users }: Readonly<Record<string, unknown>>): boolean {
  const all = [args, users].flatMap((list): unknown[] => (Array.isArray(list) ? list : []));
  return all.some((each) => Object(each).more !== undefined || Object(each).cut !== undefined);
}

/** Whether an admission may touch a user whom the pattern means, read plainly. */
function mayTouch(record: Readonly<Record<string, unknown>>, given: string): boolean {
  const { user, users } = record;
  if (/^\*+$/.test(given) || matchesGlob(textOf(user), given)) return true;
  return Array.isArray(users) && users.some((value) => mayMean(value, given));
}

/** Ids of the exchanges, each once. */
function expected(lines: Made, asked: TrailFilter): string[] {
  const records = lines.map((text) => ({ text, record: JSON.parse(text) }));
  const found: string[] = [];
  for (const { text, record } of records) {
    if (record.event !== 'admission') continue;
    const end = records.find((one) => one.record.event === 'completion' && one.record.id === record.id);
    const command = textOf(record.command);
    const timeMs = Date.parse(record.time);
    const isWanted =
      (asked.user === undefined || mayTouch(record, asked.user)) &&
      (asked.principal === undefined || matchesGlob(record.principal, asked.principal)) &&
      (asked.command === undefined || command === asked.command || command.startsWith(`${asked.command} `)) &&
      (asked.listener === undefined || record.listener === asked.listener) &&
      (asked.policy === undefined || record.policy === asked.policy) &&
      isBeside(record.would, asked.would) &&
      isBeside(record.shadow, asked.shadow) &&
      // Of these completions none says that it was sent, so a refused command met no backend.
      (asked.backend === undefined ||
        (end?.record.outcome !== 'denied' && (end?.record.backend ?? record.backend) === asked.backend)) &&
      (asked.outcome === undefined || (end?.record.outcome ?? 'open') === asked.outcome) &&
      (asked.sinceMs === undefined || timeMs >= asked.sinceMs) &&
      (asked.untilMs === undefined || timeMs < asked.untilMs) &&
      (asked.reason === undefined ||
        textOf(record.reason).toLowerCase().includes(asked.reason.toLowerCase())) &&
      (asked.text === undefined ||
        isCut(record) ||
        [text, end?.text ?? ''].some((line) => line.includes(JSON.stringify(asked.text).slice(1, -1))));
    if (isWanted) found.push(record.id);
  }
  return found.toSorted((one, other) => one.localeCompare(other));
}

function isBeside(recorded: unknown, asked: string | undefined): boolean {
  return asked === undefined || (asked === 'any' ? recorded !== undefined : recorded === asked);
}

void test('a search by bytes finds what a search by parsing everything finds', () => {
  let rows = 0;
  let passed = 0;
  fc.assert(
    fc.property(
      fc.array(exchange, { maxLength: 12 }),
      filter,
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      (exchanges, asked, cuts, isByParts) => {
        const lines = linesOf(exchanges);
        const search = createSearch(asked);
        const mayHold = isByParts ? createSketchTest(asked) : undefined;
        const found: unknown[] = [];
        for (let at = 0, cut = 0; at < lines.length; cut += 1) {
          const count = cuts[cut % cuts.length] ?? 1;
          const piece = Buffer.from(lines.slice(at, at + count).join(''));
          const sketch = readSketch(makeSketch(piece));
          if (search.waiting().length === 0 && sketch !== undefined && mayHold?.(sketch) === false)
            passed += 1;
          else for (const { fields } of search.take(piece)) found.push(fields['id']);
          // The piece is the reader's again.
          piece.fill(0);
          at += count;
        }
        for (const { fields } of search.finish()) found.push(fields['id']);
        rows += found.length;
        assert.deepEqual(
          found.map(String).toSorted((one, other) => one.localeCompare(other)),
          expected(lines, asked),
        );
      },
    ),
    // From one seed to another, 4 to 46 parts are passed over.
    { numRuns: 300 * rounds, seed: Number(process.env['DOVEGATE_SEED'] ?? 20_260_101) },
  );
  assert.ok(rows > 500 * rounds, `${rows} rows`);
  assert.ok(passed > 2 * rounds, `${passed} parts passed over`);
});

void test('a survey that passes over parts says what a survey of everything says', () => {
  const wanted = fc.constantFrom(
    'alice',
    'alice@example.com',
    'bob@example.org',
    'Bob@Example.com',
    'dora@y',
  );
  let passed = 0;
  fc.assert(
    fc.property(fc.array(exchange, { maxLength: 12 }), wanted, values, (exchanges, user, times) => {
      const asked = { user, sinceMs: times.sinceMs, untilMs: times.untilMs };
      const [whole, byParts] = [createSurvey(asked), createSurvey(asked)];
      for (const line of linesOf(exchanges)) {
        const piece = Buffer.from(line);
        whole.take(piece);
        const sketch = readSketch(makeSketch(piece));
        if (sketch !== undefined && byParts.takeSketch(sketch)) passed += 1;
        else byParts.take(piece);
      }
      assert.deepEqual(byParts.finish(), whole.finish());
    }),
    { numRuns: 200 * rounds },
  );
  assert.ok(passed > 1000 * rounds, `${passed} parts passed over`);
});
