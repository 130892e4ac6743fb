// Requests over the socket of the page: which role may ask for what, and that a body is taken whole or refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askedShape } from '../../../src/evidence/views/asked.js';
import { type Look, lookAt, lookPath, looks, mayLook, openMax } from '../../../src/evidence/views/look.js';
import { readerOf } from '../../../src/host/values/fit.js';

const parse = (look: Look, body: string) => readerOf(askedShape(look))(body);

void test('the roles: records are for auditors, whether the journal is whole is for all', () => {
  const table = looks.map((look) => `${look}: ${mayLook[look].join(' ')}`);
  const records = 'search histogram export extract report survey requests show'.split(' ');
  assert.deepEqual(table, [
    'me: view operate audit',
    'verify: view operate audit',
    ...records.map((look) => `${look}: audit`),
  ]);
});

void test('a path is one of the looks or none, and none of them acts', () => {
  for (const look of looks) assert.equal(lookAt(lookPath(look)), look);
  const others = '/ /trail /trail/ /trail/kill /kill/A /reload /trail/search/x /trail/constructor';
  for (const path of others.split(' ')) assert.equal(lookAt(path), undefined, path);
});

void test('hostile bodies are refused with a sentence', () => {
  const bodies = [
    '',
    'null',
    '[]',
    '{"filter":[]}',
    '{"filter":{"toString":"x"}}',
    '{"filter":{"__proto__":"x"}}',
    '{"filter":{"user":{"cut":"x"}}}',
    '{"filter":{"sinceMs":"x"}}',
    '{"filter":{"sinceMs":1e999}}',
    JSON.stringify({ filter: { text: 'x'.repeat(5000) } }),
    '{"cursor":17}',
    '{"cursor":{"after":-1,"open":[]}}',
    '{"cursor":{"after":1.5,"open":[]}}',
    '{"cursor":{"after":1,"open":["1"]}}',
    JSON.stringify({ cursor: { after: 1, open: Array.from({ length: openMax + 1 }, () => 1) } }),
  ];
  for (const body of bodies) assert.equal(typeof parse('search', body), 'string', body.slice(0, 80));
  for (const body of ['{}', '{"wanted":5}', '{"wanted":"../x"}', '{"wanted":""}'])
    assert.equal(typeof parse('show', body), 'string', body);
});

void test('a page of the newest, and rows as lines of a file', () => {
  const asked = (look: Look, body: object): unknown => parse(look, JSON.stringify(body));
  const newest = { before: 9, rows: 50 };
  assert.deepEqual(asked('search', { newest }), { look: 'search', filter: {}, newest });
  for (const wrong of [{}, { rows: 0 }, { rows: 1_001 }, { rows: 1.5 }, { rows: 5, before: 0 }, [], 7])
    assert.match(String(asked('search', { newest: wrong })), /^newest/);
  assert.match(String(asked('export', { newest })), /^newest: only for a search/);
  const cursor = { after: 1, open: [] };
  assert.match(String(asked('search', { newest, cursor })), /^newest: only for a search/);
  assert.deepEqual(asked('export', { as: 'csv' }), { look: 'export', filter: {}, as: 'csv' });
  assert.match(String(asked('extract', { as: 'csv' })), /^as: must be/);
  assert.match(String(asked('export', { as: 'xml' })), /^as: must be/);
  assert.match(String(asked('search', { as: 'json' })), /^as: only for/);
});
