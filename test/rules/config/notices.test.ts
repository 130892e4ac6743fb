// Goal: no receivers are as none were, and there are so many; all else of them is in the tables of readings and mistakes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { parse, sound } from './sound.js';

const read = (notices: string) => {
  const { settings, problems } = parse(`${sound}${notices}\n`);
  return { hash: settings?.hash, problems: problems.map(({ path, message }) => `${path}: ${message}`) };
};

void test('a configuration without receivers has the hash that it had before there were any', () => {
  assert.equal(read('notices: {}').hash, read('').hash);
  assert.notEqual(read('notices: { c: { webhook: "http://[::1]:1/", format: text } }').hash, read('').hash);
});

// bounds.noticeReceivers
void test('notices have so many receivers', () => {
  const many = Array.from(
    { length: bounds.noticeReceivers + 1 },
    (_, at) => `c${at}: { webhook: "http://127.0.0.1/x${at}", format: text }`,
  );
  assert.match(
    read(`notices: { ${many.join(', ')} }`).problems.join(),
    /^notices: must hold at most 8 receivers/,
  );
  assert.deepEqual(read(`notices: { ${many.slice(1).join(', ')} }`).problems, []);
});
