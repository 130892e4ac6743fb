import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatName, type ObjectName, parseName, shardFolder } from '../../../src/evidence/store/names.js';
import { isHostWord } from '../../../src/rules/config/fleet-names.js';

const journal = '2f0c1f6c5a9d4e0d8f9f8a3c0a6b7e11';
const hash = '9a'.repeat(32);
const block = {
  kind: 'block',
  host: 'gate-1',
  journal,
  first: 200_001,
  last: 200_113,
  hash,
  isCopy: false,
} as const;

test('names of blocks, copies, marks and lines of verifiers are read as they were made', () => {
  const names: readonly ObjectName[] = [
    block,
    { ...block, isCopy: true },
    { ...block, first: 1, last: 1 },
    { ...block, first: Number.MAX_SAFE_INTEGER, last: Number.MAX_SAFE_INTEGER },
    { kind: 'forked', host: 'gate-1', journal, seq: 200_001, hash },
    { kind: 'verifier', verifier: 'v-1', seq: 12, hash },
  ];
  for (const name of names) assert.deepEqual(parseName(formatName(name)), name);
  assert.equal(
    formatName(block),
    `gate-1/${journal}/00000000002/0000000000200001-0000000000200113-${hash}.jsonl.gz`,
  );
});

test('blocks sort as their records, and a shard before its blocks and behind those of earlier shards', () => {
  const of = (first: number): string => formatName({ ...block, first, last: first + 5 });
  const names = [1, 99_999, 100_000, 100_001, 200_000, 10_000_000].map(of);
  assert.deepEqual(names.toSorted(), names);
  assert.ok(shardFolder('gate-1', journal, 100_000) > of(99_999));
  assert.ok(shardFolder('gate-1', journal, 100_000) < of(100_000));
});

test('no other text is a name', () => {
  const good = formatName(block);
  for (const bad of [
    good.replace('00000000002/', '00000000001/'),
    good.replace('gate-1', '..'),
    good.replace('gate-1', '.gate'),
    good.replace('gate-1', '_gate'),
    good.replace('gate-1', 'g'.repeat(64)),
    good.replace('gate-1', 'gate/1'),
    good.replace(hash, hash.toUpperCase()),
    good.replace('.jsonl', '.3.jsonl'),
    `/${good}`,
    `${good}\n`,
    good.slice(0, -3),
    formatName({ ...block, first: 200_114 }),
    formatName({ ...block, first: 0 }),
    good.replaceAll('0000000000200113', '9999999999999999'),
    `_verifiers/../0000000000000001-${hash}.jsonl`,
    `_verifiers/v-1/1-${hash}.jsonl`,
    '',
  ])
    assert.equal(parseName(bad), undefined, bad);
  assert.ok(isHostWord('mail-gate_3') && !isHostWord('_verifiers') && !isHostWord('a.b') && !isHostWord(''));
});
