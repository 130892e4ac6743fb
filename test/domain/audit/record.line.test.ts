import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBody } from '../../../src/domain/audit/encode.js';
import { genesisHash, sealLine } from '../../../src/domain/audit/ledger.js';
import { parseLine, readHead, readWord } from '../../../src/domain/audit/record.js';

const record = {
  time: 1,
  event: 'admission',
  session: 'S1',
  id: 'I1',
  reason: '","id":"forged","event":"stop',
} as const;
const line = sealLine(9, encodeBody(record), genesisHash).line.trimEnd();

void test('time and event stand at the start of a line, and of a body with a comma before it', () => {
  const head = { time: '1970-01-01T00:00:00.001Z', event: 'admission' };
  assert.deepEqual(readHead(line), head);
  assert.deepEqual(readHead(`,${encodeBody(record)}`), head);
});

void test('a value cannot pretend to be a key', () => {
  assert.equal(readWord(line, 'id'), 'I1');
  assert.equal(readWord(line, 'session'), 'S1');
  assert.equal(
    readWord(sealLine(9, encodeBody({ ...record, id: undefined }), genesisHash).line, 'id'),
    undefined,
  );
});

void test('what is no line of ours has no head', () => {
  for (const text of [
    '',
    '{}',
    `${' '.repeat(40)},"time":"`,
    ',"time":"1970-01-01T00:00:00.001Z","event":"open',
  ]) {
    assert.equal(readHead(text), undefined, text);
  }
});

void test('only an object is a line', () => {
  assert.deepEqual(parseLine('{"a":1}'), { a: 1 });
  for (const text of ['', '[]', 'null', '1', '{"a":']) assert.equal(parseLine(text), undefined, text);
});
