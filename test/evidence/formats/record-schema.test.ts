// The JSON Schema of a record: what is published is what the table of keys makes, every kind of record is one, and nothing else is.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatRecordSchema } from '../../../src/evidence/formats/record-schema.js';
import { recordKeys } from '../../../src/journal/records/keys.js';
import { everyKind, linesOf } from '../../kit/plain/record-kinds.js';
import { recordFaults } from '../../kit/plain/record-validator.js';
import { projectRoot } from '../../kit/plain/root.js';

void test('the published schema is the one that the table of keys makes', () => {
  const path = new URL('config/record.schema.json', projectRoot);
  assert.equal(readFileSync(path, 'utf8'), formatRecordSchema());
});

void test('every kind of record is valid, and the kinds here have every key and every event', () => {
  const lines = linesOf();
  assert.deepEqual(
    lines.flatMap((line) => recordFaults(line)),
    [],
  );
  const records = lines.map((line): Readonly<Record<string, unknown>> => JSON.parse(line));
  const seen = new Set(records.flatMap((record) => Object.keys(record)));
  assert.deepEqual(
    recordKeys.filter((key) => !seen.has(key)),
    [],
  );
  const schema: { properties: { event: { enum: string[] } } } = JSON.parse(formatRecordSchema());
  assert.deepEqual(new Set(records.map(({ event }) => event)), new Set(schema.properties.event.enum));
  assert.ok(everyKind.length > 60);
});

void test('what is no record is not valid', () => {
  const [line = ''] = linesOf(everyKind.filter(({ event }) => event === 'completion').slice(0, 1));
  const record: Readonly<Record<string, unknown>> = JSON.parse(line);
  const changes: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
    'an unknown key': { mesage: 'x' },
    'an unknown event': { event: 'completed' },
    'another outcome': { outcome: 'fine' },
    'a negative count': { rows: -1 },
    'a text for a number': { rows: '1' },
    'a number for a text': { command: 1 },
    'another form of time': { time: '2026-11-20T08:22:34Z' },
    'a key of the journal': { oldest_seq: 1 },
    'no id': { id: undefined },
    'a hash that is none': { hash: 'AB' },
    'seq 0': { seq: 0 },
    'an unknown level': { logs: { loud: 1 } },
    'an unknown fact of the peer': { peer: { uids: 1 } },
    'an unknown form of an argument': { args: [{ word: 'x' }] },
  };
  for (const [what, change] of Object.entries(changes))
    assert.notDeepEqual(recordFaults(JSON.stringify({ ...record, ...change })), [], what);
  assert.deepEqual(recordFaults(JSON.stringify(record)), []);
});
