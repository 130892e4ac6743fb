// DER of strangers: what was written is read again; lengths that are not the shortest, that lead beyond the text or have no end, and what
// stands where nothing should, are faults. Whatever the bytes are, there is a value or a DerFault.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  constructed,
  DerFault,
  DerReader,
  identifierOf,
  numberOf,
  primitive,
  readWhole,
  tags,
  timeOf,
} from '../../../../src/domain/language/der/read.js';
import {
  boolean,
  explicit,
  implicit,
  integer,
  nothing,
  objectIdentifier,
  octetString,
  sequence,
} from '../../../../src/domain/language/der/write.js';
import { randomInteger, seededRandom } from '../../../kit/chunkings.js';

const hex = (text: string): DerReader => new DerReader(Buffer.from(text, 'hex'));

void test('what was written is read again', () => {
  const long = Buffer.alloc(70_000, 7);
  const text = sequence(
    integer(Buffer.from([0, 0, 0x80])),
    objectIdentifier('1.2.840.113549.1.9.16.1.4'),
    octetString(long),
    boolean(true),
    nothing(),
    implicit(1, Buffer.from([3])),
    explicit(0, integer(Buffer.from([5]))),
  );
  const reader = readWhole(text, tags.sequence);
  assert.equal(numberOf(reader.take(tags.integer)), 128);
  assert.equal(identifierOf(reader.take(tags.objectIdentifier)), '1.2.840.113549.1.9.16.1.4');
  assert.ok(reader.take(tags.octetString).content.equals(long));
  assert.equal(reader.maybe(tags.integer), undefined);
  assert.deepEqual([...(reader.maybe(tags.boolean)?.content ?? [])], [0xff]);
  assert.equal(reader.next().content.length, 0);
  assert.deepEqual([...reader.take(primitive(1)).content], [3]);
  assert.equal(numberOf(reader.into(constructed(0)).take(tags.integer)), 5);
  reader.end();
  for (const id of ['2.5.29.37', '2.999.1', '0.9.2342'])
    assert.equal(
      identifierOf(
        new DerReader(id === '2.999.1' ? Buffer.from('0603883701', 'hex') : objectIdentifier(id)).next(),
      ),
      id,
    );
});

void test('what is no DER is a fault', () => {
  const wrong = {
    nothing: '',
    'half a head': '30',
    'a length beyond the end': '300500',
    'a length without an end': '30800000',
    'a length in two bytes that fits into one': '04817f',
    'a length with a leading zero': '0482008000',
    'a length of five bytes': '04850000000001',
    'half a length': '0482ff',
    'a tag of several bytes': '1f0100',
  };
  for (const [what, text] of Object.entries(wrong)) assert.throws(() => hex(text).next(), DerFault, what);
  assert.throws(() => readWhole(Buffer.from('300000', 'hex'), tags.sequence), DerFault, 'more behind it');
  assert.throws(() => hex('0400').take(tags.integer), DerFault, 'another tag');
  assert.throws(() => numberOf(hex('0201ff').next()), DerFault, 'below 0');
  assert.throws(() => numberOf(hex('0200').next()), DerFault, 'no number');
  assert.throws(() => identifierOf(hex('0600').next()), DerFault, 'no identifier');
  assert.throws(() => identifierOf(hex('060288ff').next()), DerFault, 'half an identifier');
  assert.throws(() => identifierOf(hex('06038001 01'.replace(' ', '')).next()), DerFault, 'a leading zero');
});

void test('times of UTC are read with their fraction, and no other ones', () => {
  const read = (text: string): number =>
    timeOf({ tag: tags.generalizedTime, bytes: Buffer.alloc(0), content: Buffer.from(text) });
  assert.equal(read('20261129101112Z'), Date.UTC(2026, 10, 29, 10, 11, 12));
  assert.equal(read('20261129101112.25Z'), Date.UTC(2026, 10, 29, 10, 11, 12, 250));
  for (const text of [
    '20261129101112',
    '20261129101112+0100',
    '20261329101112Z',
    '20261129101112.50Z',
    '202611291011Z',
    '',
  ])
    assert.throws(() => read(text), DerFault, text);
});

void test('whatever the bytes are, there is a value or a fault', () => {
  const random = seededRandom(3);
  for (let count = 0; count < 5000; count += 1) {
    const bytes = Buffer.from(
      Array.from({ length: randomInteger(random, 0, 12) }, () => randomInteger(random, 0, 255)),
    );
    try {
      for (const each of new DerReader(bytes).rest()) assert.ok(each.content.length < bytes.length);
    } catch (fault) {
      assert.ok(fault instanceof DerFault, String(fault));
    }
  }
});
