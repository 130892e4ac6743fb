// Goal: what a page, or a process that ships, that was taken over sends is taken whole, in its shape, or refused with a sentence; nothing
// of it is believed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { doorCalls } from '../../../src/gate/door/calls.js';
import { recordedActions } from '../../../src/gate/door/door.js';
import { shipCalls } from '../../../src/gate/door/ship.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { readerOf } from '../../../src/host/values/fit.js';
import { doorMessages, shipMessage, withNumber } from '../../kit/plain/door-messages.js';

const parseRecordCall = readerOf(doorCalls.record.asks);
const parseExtractCall = readerOf(doorCalls.sign.asks);
const parseActionCall = readerOf(doorCalls.operate.asks);
const parseAccessCall = readerOf(doorCalls.access.asks);
const parseRefusedCall = readerOf(doorCalls.refused.asks);
const parsePageCall = readerOf(doorCalls.page.asks);
const parseShipClaims = readerOf(shipCalls.shipped.asks);

const as = { person: 'anna', role: 'audit', generation: 3 };
const record = {
  as,
  action: 'audit-search',
  from: ['address=192.0.2.7'],
  args: ['user=a', { secret: 's' }],
  rows: 3,
};
const facts = { fromSeq: 1, toSeq: 4, isDamaged: false, sha256: 'ab'.repeat(32) };
const extract = {
  as,
  from: ['uid=7', 'pid=9', 'user=anna'],
  facts,
  filter: { user: 'a' },
  after: ['after=9'],
  rows: 3,
};
const action = { as, from: [], action: { kind: 'kill', id: 'X' } };
const access = {
  as: { ...as, role: 'approve' },
  from: [],
  opener: { uid: 1001, loginUid: 1002, loginUser: 'anna' },
  step: 'approve',
  id: 'A1',
  forMs: 60_000,
  uses: 1,
  reason: 'r',
};
const refused = { why: 'no-token', address: '192.0.2.7', what: 'me', more: 0 };
const page = {
  version: '1.2.3',
  certificates: [{ role: 'listener', name: '(page)', leftMs: -5 }],
  people: 1,
  watchers: 2,
  signIns: 3,
  refusedSignIns: 4,
  problem: 'it cannot',
};

const whyNot = (found: unknown): string => (typeof found === 'string' ? found : 'taken');

/** The call with changes. */
const said = (parse: (body: string) => unknown, call: object, changes: object): unknown =>
  parse(JSON.stringify({ ...call, ...changes }));

const calls = [
  [parseRecordCall, record],
  [parseExtractCall, extract],
  [parseActionCall, action],
  [parseRefusedCall, { ...refused, person: 'ann' }],
  [parseAccessCall, access],
  [parsePageCall, page],
] as const;

void test('each call as the page sends it', () => {
  for (const [parse, value] of calls) assert.deepEqual(parse(JSON.stringify(value)), value);
});

void test('further keys are left out, and nothing of another type gets in', () => {
  const strange: readonly unknown[] = [null, -1, 1.5, 'x'.repeat(2_000), [[]], {}, true, ['x'.repeat(9), 5]];
  for (const [parse, value] of calls) {
    assert.deepEqual(parse(JSON.stringify({ ...value, more_: 'x', __proto__: 5, peer: { uid: 0 } })), {
      ...value,
    });
    for (const key of Object.keys(value)) {
      for (const other of strange) {
        const found = parse(JSON.stringify({ ...value, [key]: other }));
        if (typeof found === 'string') assert.match(found, /must|Invalid|Too big/);
        else assert.deepEqual(found, { ...value, [key]: other }, `${key} ${JSON.stringify(other)}`);
      }
    }
    for (const text of ['', '{', '[]', 'null', '5', '"x"']) assert.equal(typeof parse(text), 'string', text);
  }
});

void test('a caller needs a name, a role that there is, and a generation', () => {
  const wrong = [
    undefined,
    {},
    { ...as, role: 'approve_' },
    { ...as, role: 'toString' },
    { ...as, generation: '3' },
    { ...as, generation: -1 },
    { ...as, person: 5 },
    { ...as, person: 'x'.repeat(257) },
  ];
  for (const each of wrong) {
    assert.match(whyNot(parseRecordCall(JSON.stringify({ ...record, as: each }))), /^as/);
    assert.equal(typeof parseActionCall(JSON.stringify({ ...action, as: each })), 'string');
    assert.equal(typeof parseExtractCall(JSON.stringify({ ...extract, as: each })), 'string');
  }
});

void test('only the actions of the list can be recorded, and only three things done', () => {
  for (const name of Object.keys(recordedActions))
    assert.equal(typeof parseRecordCall(JSON.stringify({ ...record, action: name })), 'object');
  for (const name of ['reload', 'kill', 'page-refused', 'admission', '__proto__', 'constructor', ''])
    assert.equal(
      parseRecordCall(JSON.stringify({ ...record, action: name })),
      'action: must be one that the page may have recorded',
    );
  for (const kind of ['reload', 'KILL', '', 'toString'])
    assert.equal(typeof parseActionCall(JSON.stringify({ ...action, action: { kind, id: 'X' } })), 'string');
});

void test('nothing that the page chose is signed or said of where a person is', () => {
  const wrong: readonly object[] = [
    { filter: ['dovegate certifies that bob deleted nothing'] },
    { filter: { claim: 'bob deleted nothing' } },
    { after: ['bob deleted nothing'] },
    { rows: 5 },
    { from: ['event=admission'] },
    { from: ['address=192.0.2.7 user=root'] },
    { facts: { ...facts, toSeq: 1.5 } },
  ];
  for (const each of wrong) {
    const found = parseExtractCall(JSON.stringify({ ...extract, ...each }));
    const isLeftOut = typeof found === 'object' && !JSON.stringify(found).includes('deleted nothing');
    assert.ok(typeof found === 'string' || isLeftOut, JSON.stringify(each));
  }
});

// bounds.doorBodyBytes
void test('a question of the playground fits, as long as the longest line', () => {
  const longest = JSON.stringify({ ...record, action: 'explain', args: ['x'.repeat(900_000)] });
  assert.ok(longest.length < bounds.doorBodyBytes);
  assert.equal(typeof parseRecordCall(longest), 'object');
});

void test('the process that got a link has a uid, and no long name', () => {
  const carol = { person: 'carol', role: 'approve', generation: 1 };
  const parse = (opener: unknown) =>
    parseAccessCall(JSON.stringify({ as: carol, from: [], step: 'list', id: '', opener }));
  const opener = { uid: 1001, loginUid: 1002, loginUser: 'anna' };
  assert.deepEqual(parse(opener), { as: carol, from: [], opener, step: 'list', id: '' });
  assert.deepEqual(parse(undefined), { as: carol, from: [], step: 'list', id: '' });
  for (const wrong of [null, 7, {}, { ...opener, loginUid: '0' }, { ...opener, loginUser: 'a'.repeat(300) }])
    assert.match(whyNot(parse(wrong)), /^opener/, JSON.stringify(wrong));
});

const [sink] = shipMessage.sinks;
const [chat] = shipMessage.notices;
const [certificate] = shipMessage.certificates;

const claimed = (changes: object): unknown => said(parseShipClaims, shipMessage, changes);

void test('claims of the process that ships as it sends them, also the shortest', () => {
  assert.deepEqual(claimed({}), shipMessage);
  const shortest = { version: '1', journal: 'J', sinks: [], notices: [], certificates: [] };
  assert.deepEqual(parseShipClaims(JSON.stringify(shortest)), shortest);
  const fresh = { name: 'a:1', state: 'connecting', sentSeq: 0 };
  assert.deepEqual(claimed({ sinks: [fresh] }), { ...shipMessage, sinks: [fresh] });
  assert.deepEqual(claimed({ peer: { uid: 0 }, seq: 9 }), shipMessage);
  for (const text of ['', '{', '[]', 'null', '5', '"x"'])
    assert.equal(typeof parseShipClaims(text), 'string');
});

void test('no claims of another shape are taken', () => {
  const { safe } = sink;
  const wrong: readonly object[] = [
    { sinks: undefined },
    { sinks: {} },
    { sinks: [null] },
    { sinks: [{ ...sink, name: undefined }] },
    { sinks: [{ ...sink, state: 'fine' }] },
    { sinks: [{ ...sink, sentSeq: -1 }] },
    { sinks: [{ ...sink, sentSeq: '5' }] },
    { sinks: [{ ...sink, safe: 4 }] },
    { sinks: [{ ...sink, safe: { ...safe, hash: 'ab' } }] },
    { sinks: [{ ...sink, safe: { ...safe, hash: 'AB'.repeat(32) } }] },
    { sinks: [{ ...sink, safe: { ...safe, hash: undefined } }] },
    { sinks: [{ ...sink, safe: { ...safe, bytes: 1.5 } }] },
    { sinks: [{ ...sink, safe: { ...safe, segment: '../1' } }] },
    { notices: undefined },
    { notices: 'x' },
    { notices: [7] },
    { notices: [{ ...chat, name: 'a b' }] },
    { notices: [{ ...chat, name: '<b>' }] },
    { notices: [{ ...chat, delivered: -1 }] },
    { notices: [{ ...chat, lagMs: 'x' }] },
    { notices: [{ ...chat, fault: { code: 'words of a receiver', forMs: 1 } }] },
    { notices: [{ ...chat, fault: { code: 'status', status: 'evil', forMs: 1 } }] },
    { notices: [{ ...chat, fault: { code: 'status' } }] },
    { certificates: [{ ...certificate, role: 'listener' }] },
    { certificates: [{ ...certificate, leftMs: null }] },
    { version: 5 },
    { journal: null },
    { problem: ['x'] },
  ];
  for (const each of wrong) assert.equal(typeof claimed(each), 'string', JSON.stringify(each));
});

void test('a number has a range in every place', () => {
  const parsers = new Map<string, (body: string) => unknown>([
    ['/record', parseRecordCall],
    ['/sign', parseExtractCall],
    ['/operate', parseActionCall],
    ['/access', parseAccessCall],
    ['/refused', parseRefusedCall],
    ['/page', parsePageCall],
    ['/ship', parseShipClaims],
  ]);
  let places = 0;
  for (const [path, message] of [...doorMessages(3), ['/ship', shipMessage] as const]) {
    const parse = (value: object): unknown => parsers.get(path)?.(JSON.stringify(value));
    assert.deepEqual(parse(message), message);
    const isTaken = (other: number | null) =>
      withNumber(message, other).map(
        ({ place, message: changed }) => [place, typeof parse(changed) === 'object'] as const,
      );
    for (const outside of [-1e300, 1e300, 2 ** 53, -(2 ** 53), 8.64e15 + 1, null])
      for (const [place, taken] of isTaken(outside)) {
        const isLate = outside === 8.64e15 + 1 && !place.endsWith('Ms');
        assert.ok(!taken || isLate, `${path} ${place} ${outside}`);
      }
    places += isTaken(1).length;
  }
  assert.equal(places, 21 + 11);
});

// bounds.doorWords, bounds.doorPlaceWords, bounds.doorNameChars, bounds.doorTextChars, bounds.doorCertificates
// bounds.shipReceivers, bounds.noticeReceivers
void test('lists and texts end where they may', () => {
  const long = (chars: number): string => 'x'.repeat(chars);
  const many = (most: number, item: unknown): unknown[] => Array.from({ length: most }, () => item);
  const [ofPage] = page.certificates;
  const ends: readonly (readonly [most: number, ending: (most: number) => unknown])[] = [
    [bounds.doorWords, (most) => said(parseRecordCall, record, { args: many(most, 'x') })],
    [bounds.doorPlaceWords, (most) => said(parseActionCall, action, { from: many(most, 'pid=1') })],
    [bounds.doorPlaceWords, (most) => said(parseExtractCall, extract, { after: many(most, 'after=1') })],
    [
      bounds.doorNameChars,
      (most) => said(parseActionCall, action, { action: { kind: 'kill', id: long(most) } }),
    ],
    [bounds.doorNameChars, (most) => said(parseRefusedCall, refused, { person: long(most) })],
    [bounds.doorTextChars, (most) => said(parseRefusedCall, refused, { what: long(most) })],
    [bounds.doorTextChars, (most) => said(parsePageCall, page, { problem: long(most) })],
    [bounds.doorCertificates, (most) => said(parsePageCall, page, { certificates: many(most, ofPage) })],
    [bounds.shipReceivers, (most) => claimed({ sinks: many(most, sink) })],
    [2 * bounds.shipReceivers, (most) => claimed({ certificates: many(most, certificate) })],
    [bounds.noticeReceivers, (most) => claimed({ notices: many(most, chat) })],
    [bounds.doorNameChars, (most) => claimed({ version: long(most) })],
    [
      bounds.doorNameChars,
      (most) => claimed({ sinks: [{ ...sink, fault: { ...sink.fault, code: long(most) } }] }),
    ],
    [
      bounds.doorTextChars,
      (most) => claimed({ sinks: [{ ...sink, fault: { ...sink.fault, text: long(most) } }] }),
    ],
    [bounds.doorTextChars, (most) => claimed({ problem: long(most) })],
  ];
  for (const [at, [most, ending]] of ends.entries()) {
    assert.equal(typeof ending(most), 'object', String(at));
    assert.equal(typeof ending(most + 1), 'string', String(at));
  }
});
