// Goal: what is wrong with a configuration is told with its place, in words that help, and nothing else is told. The tables of
// test/rules/config/cases: a configuration without a problem, a line of dashes, and cases of two parts each:
//
//   10|     users: ["?@example.com"]    Line 10 of the configuration becomes this one; `9-10|`: both lines do.
//   |     mode: watch                   One more line behind it.
//     10:13: policies...: only * ...    All that is told, or `nothing`.
//
// <hash>, <cheap>, <key>, <KEY> and <pin> stand for values that are longer than a line may be. A line that begins with # is a comment.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { projectRoot } from '../../kit/plain/root.js';
import { changed, filled } from './jobs.js';
import { parse, told } from './sound.js';

const folder = new URL('test/rules/config/cases/', projectRoot);

for (const name of readdirSync(folder)) {
  const [before = '', table = ''] = filled(readFileSync(new URL(name, folder), 'utf8')).split('-----\n');

  void test(`${name}: nothing is told without a mistake`, () => assert.deepEqual(told(before), []));

  const cases = table.replaceAll(/^#.*\n/gm, '').match(/^(?:\d*(?:-\d+)?\|.*\n)+(?: {2}.*\n)+/gm) ?? [];
  assert.equal(cases.join(''), table.replaceAll(/^#.*\n/gm, ''));
  for (const each of cases) {
    const text = changed(before, each);
    const expected = [...each.matchAll(/^ {2}(.*)/gm)].map(([, problem = '']) => problem);
    void test(`${name}: ${each}`, () => {
      assert.deepEqual(told(text), expected.join() === 'nothing' ? [] : expected);
      const isError = expected.some((line) => !line.includes(' warning: ') && line !== 'nothing');
      assert.equal(parse(text).settings === undefined, isError);
    });
  }
}

void test('a key that is a member of every object of the language is an unknown key, wherever it stands', () => {
  for (const member of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    for (const text of [
      `${member}:\n`,
      `listeners: { a: { ${member}: 1 } }\n`,
      `audit: { ${member}: [x] }\n`,
    ]) {
      assert.ok(
        told(text).some((line) => line.includes(member)),
        text,
      );
    }
  }
});
