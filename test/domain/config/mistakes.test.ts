// Goal: what is wrong with a configuration is told with its place, in words that help, and nothing else is told. The tables of
// test/domain/config/cases: a configuration without a problem, a line of dashes, and cases of two parts each:
//
//   10|     users: ["?@example.com"]    Line 10 of the configuration becomes this one; `9-10|`: both lines do.
//   |     mode: watch                   One more line behind it.
//     10:13: policies...: only * ...    All that is told, or `nothing`.
//
// <hash>, <cheap>, <key>, <KEY> and <pin> stand for values that are longer than a line may be. A line that begins with # is a comment.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { hashKey } from '../../../src/domain/people/keys/key.js';
import { hash } from './jobs.js';
import { parse, told } from './sound.js';

const folder = new URL('../../../../test/domain/config/cases/', import.meta.url);

const key = hashKey('first');
const values = new Map([
  ['<hash>', hash],
  ['<cheap>', hash.replace('32768', '4096')],
  ['<key>', key],
  ['<KEY>', key.toUpperCase()],
  ['<pin>', `sha256:${'ab'.repeat(32)}`],
  // Of the language itself.
  ['<user>', '<user>'],
]);

for (const name of readdirSync(folder)) {
  const [before = '', table = ''] = readFileSync(new URL(name, folder), 'utf8')
    .replaceAll(/<\w+>/g, (value) => values.get(value) ?? assert.fail(value))
    .split('-----\n');
  const base = before.trimEnd().split('\n');

  void test(`${name}: nothing is told without a mistake`, () => assert.deepEqual(told(before), []));

  const cases = table.replaceAll(/^#.*\n/gm, '').match(/^(?:\d*(?:-\d+)?\|.*\n)+(?: {2}.*\n)+/gm) ?? [];
  assert.equal(cases.join(''), table.replaceAll(/^#.*\n/gm, ''));
  for (const each of cases) {
    const lines = base.map((line) => [line]);
    let at = 0;
    for (const [, first = '', last = first, text = ''] of each.matchAll(/^(\d*)(?:-(\d+))?\| (.*)/gm)) {
      if (first !== '') at = Number(first) - 1;
      for (let line = at; line < Number(last); line += 1) lines[line] = [];
      lines[at]?.push(text);
    }
    const changed = lines.flat().join('\n');
    const expected = [...each.matchAll(/^ {2}(.*)/gm)].map(([, problem = '']) => problem);
    void test(`${name}: ${each}`, () => {
      assert.deepEqual(told(`${changed}\n`), expected.join() === 'nothing' ? [] : expected);
      const isError = expected.some((line) => !line.includes(' warning: ') && line !== 'nothing');
      assert.equal(parse(`${changed}\n`).settings === undefined, isError);
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
