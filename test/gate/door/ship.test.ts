// Goal: what a process that ships and was taken over says is taken whole, in its shape, or refused with a sentence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseShipClaims } from '../../../src/gate/door/ship.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { shipMessage, withNumber } from '../../kit/plain/door-messages.js';

const [sink] = shipMessage.sinks;
const [chat] = shipMessage.notices;
const [certificate] = shipMessage.certificates;

const taken = (changes: object): unknown => parseShipClaims(JSON.stringify({ ...shipMessage, ...changes }));

void test('claims as the process sends them, also the shortest', () => {
  assert.deepEqual(taken({}), shipMessage);
  const shortest = { version: '1', journal: 'J', sinks: [], notices: [], certificates: [] };
  assert.deepEqual(parseShipClaims(JSON.stringify(shortest)), shortest);
  const fresh = { name: 'a:1', state: 'connecting', sentSeq: 0, lagMs: 0 };
  assert.deepEqual(taken({ sinks: [fresh] }), { ...shipMessage, sinks: [fresh] });
  assert.deepEqual(taken({ peer: { uid: 0 }, seq: 9 }), shipMessage);
  for (const text of ['', '{', '[]', 'null', '5', '"x"'])
    assert.equal(typeof parseShipClaims(text), 'string');
});

void test('nothing of another shape is taken', () => {
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
  for (const each of wrong) assert.equal(typeof taken(each), 'string', JSON.stringify(each));
});

void test('a number has a range in every place', () => {
  let places = 0;
  for (const outside of [-1e300, 1e300, 2 ** 53, -(2 ** 53), 8.64e15 + 1, null])
    for (const { place, message } of withNumber(shipMessage, outside)) {
      const isTaken = typeof parseShipClaims(JSON.stringify(message)) === 'object';
      assert.ok(!isTaken || (outside === 8.64e15 + 1 && !place.endsWith('Ms')), `${place} ${outside}`);
      places += 1;
    }
  assert.equal(places, 6 * 12);
});

// bounds.shipReceivers, bounds.noticeReceivers, bounds.doorNameChars, bounds.doorTextChars
void test('lists and texts end where they may', () => {
  const ends: readonly (readonly [most: number, taken: (most: number) => unknown])[] = [
    [bounds.shipReceivers, (most) => taken({ sinks: Array(most).fill(sink) })],
    [2 * bounds.shipReceivers, (most) => taken({ certificates: Array(most).fill(certificate) })],
    [bounds.noticeReceivers, (most) => taken({ notices: Array(most).fill(chat) })],
    [bounds.doorNameChars, (most) => taken({ version: 'x'.repeat(most) })],
    [
      bounds.doorNameChars,
      (most) => taken({ sinks: [{ ...sink, fault: { ...sink.fault, code: 'x'.repeat(most) } }] }),
    ],
    [
      bounds.doorTextChars,
      (most) => taken({ sinks: [{ ...sink, fault: { ...sink.fault, text: 'x'.repeat(most) } }] }),
    ],
    [bounds.doorTextChars, (most) => taken({ problem: 'x'.repeat(most) })],
  ];
  for (const [at, [most, isTaken]] of ends.entries()) {
    assert.equal(typeof isTaken(most), 'object', String(at));
    assert.equal(typeof isTaken(most + 1), 'string', String(at));
  }
});
