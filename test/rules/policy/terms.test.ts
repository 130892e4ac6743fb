// Goal: never one more than the limit in any span, never an early amnesty by a reload, a full table, or another's counter.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Obligations } from '../../../src/rules/policy/policy.js';
import type { Rate } from '../../../src/rules/policy/rate.js';
import {
  areSameTerms,
  type LimitAsk,
  Limiter,
  limitAsks,
  saysWhy,
  stricterTerms,
  whyNoReason,
} from '../../../src/rules/policy/terms.js';

const hour = 3_600_000;
const rate = (key: string, count = 3): LimitAsk => ({
  kind: 'rate',
  name: 'a rate',
  key,
  rate: { count, windowMs: hour },
});

function admit(limiter: Limiter, nowMs: number, ...asks: LimitAsk[]): string {
  return limiter.admit(asks, nowMs).kind;
}

void test('no span of any story holds more than the limit, and one that is spread out is never refused', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: hour / 2 }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 6 }),
      (gaps, count) => {
        const limiter = new Limiter(100);
        const admitted: number[] = [];
        let nowMs = 0;
        for (const gap of gaps) {
          nowMs += gap;
          const slack = hour + hour / 60;
          const isRoomy = admitted.filter((atMs) => atMs >= nowMs - slack).length < count;
          const kind = admit(limiter, nowMs, rate('a', count));
          if (isRoomy) assert.equal(kind, 'within');
          if (kind === 'within') admitted.push(nowMs);
          assert.ok(admitted.filter((atMs) => atMs > nowMs - hour).length <= count);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

// bounds.limiterEntries
// What the limiter says to each of these, and how many counters and members it holds then. A span of 6 s has slots of 100 ms. `a*2`: 2 of
// rate a; `a:x*2`: 2 different users of a, of which this is x; `replay AGO`: it happened so long before; `max N`: a new limiter.
const story = `
max 100
0        a*2            within, 1 held
50       a*2            within, 1 held
60       a*2            over for 6040, 1 held
60       a*3            within, 1 held
6099     a*2            over for 1, 1 held
6100     a*2            within, 1 held
6150     a*2            within, 1 held
6199     a*2            over for 6001, 1 held
12199    a*2            over for 1, 1 held
99999    a*1            within, 1 held
99000    a*1            over for 7000, 1 held
max 100
50       a*1 replay 6050    -, 1 held
50       a*1            over for 50, 1 held
50       b*1 replay 6051    -, 2 held
50       b*1            within, 2 held
50       c*1 replay 0   -, 3 held
50       c*1            over for 6050, 3 held
max 100
5000     d*1            within, 1 held
4000     d*2            within, 1 held
4000     d*2            over for 6100, 1 held
10099    d*2            over for 1, 1 held
10100    d*2            within, 1 held
max 100
0        a:x*1 a:y*1    over for 6000, 0 held
0        a:x*1 a:x*1    within, 2 held
0        a:y*1          over for 6000, 2 held
5999     a:y*1          over for 1, 2 held
6000     a:y*1          within, 2 held
6001     a:y*1          within, 2 held
12000    a:x*1          over for 1, 2 held
12001    a:x*1 b*1      within, 3 held
12001    a:x*1 b*1      over for 6099, 3 held
12001    c*1 b*1        over for 6099, 3 held
12001    c*1            within, 4 held
max 100
1000     a:x*1 replay 500   -, 2 held
1000     a:x*1 replay 900   -, 2 held
6499     a:y*1          over for 1, 2 held
6500     a:y*1          within, 2 held
max 100
1000     a:x*1 replay 900   -, 2 held
1000     a:x*1 replay 500   -, 2 held
6499     a:y*1          over for 1, 2 held
6500     a:y*1          within, 2 held
max 2
0        a*1            within, 1 held
0        b*1            full, 1 held
0        a*2            within, 1 held
0        b*1 replay 0   -, 1 held
0        a*3 replay 0   -, 1 held
0        a*3            over for 6100, 1 held
max 4
0        a:x*9          within, 2 held
0        a:y*9          within, 3 held
0        a:z*9          full, 3 held
0        a:y*9          within, 3 held
0        c*9 a:y*9      full, 3 held
0        a:z*9 replay 0     -, 3 held
0        a:y*9 replay 0     -, 3 held
max 2
0        a*9            within, 1 held
6000     b*9            full, 1 held
6100     b*9            full, 1 held
6999     b*9            full, 1 held
7000     b*9            within, 1 held
max 3
0        a:x*9          within, 2 held
5000     b*9            full, 2 held
5999     b*9            full, 2 held
6000     b*9            within, 1 held
6000     a:x*9          within, 3 held
max 4
0        a:x*9 b*9      within, 3 held
0        a:x*9          within, 3 held
0        a:x*9 c*9      full, 3 held
3000     b*9            within, 3 held
6000     c*9            within, 2 held
`;

function toldBy(rows: string): string {
  let limiter = new Limiter(0);
  return rows.replaceAll(
    /^(?:max (\d+)|(\d+) +([^ ]+(?: [^ ]+\*\d)*)(?: replay (\d+))? {2,}.*)$/gm,
    (row: string, ...found: (string | undefined)[]) => {
      const [max, now, given = '', ago] = found;
      if (max !== undefined) limiter = new Limiter(Number(max));
      if (now === undefined) return row;
      const asks = given.split(' ').map(askIn);
      const [first = assert.fail()] = asks;
      const before = row.slice(0, Math.max(row.indexOf('-,'), row.search(/within|over|full/)));
      if (ago !== undefined) {
        limiter.replay(first, Number(ago), Number(now));
        return `${before}-, ${limiter.size} held`;
      }
      const verdict = limiter.admit(asks, Number(now));
      return `${before}${verdict.kind}${verdict.kind === 'over' ? ` for ${verdict.retryAfterMs}` : ''}, ${limiter.size} held`;
    },
  );
}

function askIn(text: string): LimitAsk {
  const [, key = '', member, count] = /^(\w+)(?::(\w+))?\*(\d)$/.exec(text) ?? assert.fail(text);
  const limit = { name: 'it', key, rate: { count: Number(count), windowMs: 6000 } };
  return member === undefined ? { kind: 'rate', ...limit } : { kind: 'distinct', ...limit, member };
}

void test('what is over its limit says which one, and how much', () => {
  const policy = { name: 'support', limits: { rate: { count: 1, windowMs: 60_000 } } };
  const limiter = new Limiter(100);
  const attempt = { users: ['a'], masks: [], everybody: 'none' } as const;
  const over = (obligations?: Obligations): string => {
    const asks = limitAsks(policy, obligations, attempt, 'uid:7');
    const [, second] = [limiter.admit(asks, 0), limiter.admit(asks, 0)];
    return second.kind === 'over' ? second.limit : second.kind;
  };
  assert.equal(over(), 'the rate of policy support (1/minute)');
  const limit = { count: 1, windowMs: hour };
  const rule = { reason: false, limitKey: 'h', emergency: false, limit };
  const policies = { name: 'support', limits: {} };
  const ruled = limitAsks(policies, rule, attempt, 'uid:7');
  limiter.admit(ruled, 0);
  assert.deepEqual(limiter.admit(ruled, 0), {
    kind: 'over',
    limit: 'the limit of a rule of policy support (1/hour)',
    retryAfterMs: 61 * 60_000,
  });
  const distinct = { name: 'support', limits: { distinctUsers: { count: 1, windowMs: hour } } };
  const many = limitAsks(distinct, undefined, { ...attempt, users: ['a', 'b'] }, 'uid:7');
  assert.deepEqual(limiter.admit(many, 0), {
    kind: 'over',
    limit: 'distinct_users of policy support (1/hour)',
    retryAfterMs: hour,
  });
});

void test('a story of limits', () => assert.equal(toldBy(story), story));

// The terms of two rules: the stricter of each, and both limits.
const [hourly, daily] = [
  { count: 5, windowMs: hour },
  { count: 9, windowMs: 24 * hour },
];
const plain: Obligations = { reason: false, limitKey: 'p', emergency: false };
const limited: Obligations = { ...plain, limit: hourly, limitKey: 'h' };
const urgent: Obligations = { ...plain, emergency: true };
const matching = (maxMatches: number): Obligations => ({ ...plain, maxMatches });

void test('terms that satisfy both', () => {
  const table: readonly (readonly [Obligations, Obligations, Obligations])[] = [
    [plain, plain, plain],
    [plain, { ...plain, limitKey: 'q' }, { ...plain, limitKey: 'q' }],
    [{ ...plain, reason: true }, plain, { ...plain, reason: true }],
    [plain, { ...plain, reason: true }, { ...plain, reason: true }],
    [urgent, plain, plain],
    [urgent, urgent, urgent],
    [matching(3), plain, matching(3)],
    [matching(3), matching(2), matching(2)],
    [{ ...plain, deadlineMs: 3 }, plain, { ...plain, deadlineMs: 3 }],
    [
      { ...plain, deadlineMs: 2 },
      { ...plain, deadlineMs: 3 },
      { ...plain, deadlineMs: 2 },
    ],
    [limited, plain, limited],
    [plain, limited, limited],
    [limited, limited, limited],
    [limited, { ...limited, limit: daily }, limited],
    [
      limited,
      { ...plain, limit: daily, limitKey: 'd' },
      { ...limited, alsoLimit: { limit: daily, limitKey: 'd' } },
    ],
  ];
  for (const [one, other, both] of table) assert.deepEqual(stricterTerms(one, other), both);
});

void test('the same terms', () => {
  const also = (limit: Rate): Obligations => ({ ...limited, alsoLimit: { limit, limitKey: 'd' } });
  const all = [
    undefined,
    plain,
    { ...plain, reason: true },
    urgent,
    matching(3),
    matching(2),
    limited,
    { ...limited, limit: { ...hourly } },
    also(daily),
    also({ ...daily }),
  ];
  for (const one of all) {
    for (const other of all)
      assert.equal(areSameTerms(one, other), one === other, JSON.stringify([one, other]));
  }
  assert.equal(areSameTerms(plain, { ...plain, limitKey: 'q' }), true);
  // It demands nothing of a client.
  assert.equal(areSameTerms(plain, { ...plain, deadlineMs: 3 }), true);
});

// Goal: a reason is something that an auditor can read.
const reasons = ['ticket 42', 'abc', '#42', 'é\u0301tat', '理由は', 'a\u200bb\u200bc', '  a b c  ', '👍👍👍'];

const none: Readonly<Record<string, string | undefined>> = {
  absent: undefined,
  empty: '',
  'a blank': ' ',
  'blanks of Unicode': '\u00a0\u2003\u3000\u1680\u202f',
  'line feeds': '\n\n\n\n',
  'too few': 'ab',
  'too few among blanks': ' a \n b ',
  'zero width': '\u200b\u200b\u200b\u200b',
  bidirectional: '\u202e\u2066\u2069\u200f',
  'soft hyphens': '\u00ad\u00ad\u00ad',
  'Hangul fillers': '\u3164\u115f\u1160\uffa0',
  'empty Braille patterns': '\u2800\u2800\u2800',
  'object replacements': '\ufffc\ufffc\ufffc',
  'null noteheads': '\u{1d159}\u{1d159}\u{1d159}',
  'marks alone': '\u0301\u0302\u0303\u0304',
  'variation selectors': '\ufe0f\ufe0f\ufe0f\u{e0100}',
  tags: '\u{e0041}\u{e0042}\u{e0043}',
  controls: '\u0007\u001b\u009b\u0085',
  'private use': '\ue000\ue001\ue002',
  unassigned: '\u0378\u0379\u{40000}',
  'lone surrogates': '\ud800\ud801\udc00\ud802',
  'an invisible plus and times': '\u2062\u2063\u2064',
};

void test('three visible characters are a reason, in any script', () => {
  for (const reason of reasons) assert.equal(saysWhy(reason), true, JSON.stringify(reason));
});

for (const [name, reason] of Object.entries(none)) {
  void test(`no reason: ${name}`, () => assert.equal(saysWhy(reason), false));
}

void test('what is missing is said', () => {
  const how =
    'dovegate send --reason TEXT, DOVEGATE_REASON=TEXT with dovegate as doveadm, or Dovegate-Reason: TEXT over HTTP';
  const demanded = { reason: true };
  for (const stated of [undefined, ''])
    assert.deepEqual(whyNoReason(demanded, stated), {
      code: 'no-reason',
      reason: `the client must say why: ${how}`,
    });
  assert.deepEqual(whyNoReason(demanded, '\u200b'), {
    code: 'reason-short',
    reason: 'the client must say why, in at least 3 visible characters',
  });
  assert.equal(whyNoReason(demanded, 'ticket 7'), undefined);
  assert.equal(whyNoReason({ reason: false }, undefined), undefined);
  assert.equal(whyNoReason(undefined, undefined), undefined);
});
