// Goal: what is wrong with a configuration is told with its place, in words that help, and nothing else is told. The tables of
// test/rules/config/cases: a configuration without a problem, a line of dashes, and cases of two parts each:
//
//   10|     users: ["?@example.com"]    Line 10 of the configuration becomes this one; `9-10|`: both lines do.
//   |     mode: watch                   One more line behind it.
//     10:13: policies...: only * ...    All that is told, or `nothing`.
//
// <hash>, <cheap>, <key>, <KEY> and <pin> stand for values that are longer than a line may be. A line that begins with # is a comment.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { projectRoot } from '../../kit/plain/root.js';
import { changed, filled, shortened } from './jobs.js';
import { parse, settingsOf, sound, told } from './sound.js';

const folder = (name: string) => new URL(`test/rules/config/${name}/`, projectRoot);
const mistakes = folder('cases');

for (const name of readdirSync(mistakes)) {
  const [before = '', table = ''] = filled(readFileSync(new URL(name, mistakes), 'utf8')).split('-----\n');

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
    const texts = [`${member}:\n`, `listeners: { a: { ${member}: 1 } }\n`, `audit: { ${member}: [x] }\n`];
    for (const text of texts) {
      const isTold = told(text).some((line) => line.includes(member));
      assert.ok(isTold, text);
    }
  }
});

// Goal: each section is read as it was meant, with its units and defaults. The tables of test/rules/config/readings: what is read;
// sections that take the places of those of the sound configuration, in which nothing is wrong; and behind `>` what the settings have
// then that those of the sound one have not, as a person approved it. Names in <> are those of the tables of mistakes.
// After a change, `DOVEGATE_ANSWERS=write` and this test write the files: read the difference.

const readings = folder('readings');
const sectionsOf = (text: string): Map<string, string> =>
  new Map([...text.matchAll(/^(\w+):.*\n(?:[ }].*\n)*/gm)].map(([section, name = '']) => [name, section]));
const isMap = (value: unknown): value is object =>
  Object.prototype.toString.call(value) === '[object Object]';

/** Lists by what stands in them, maps by their keys; a line for what differs from the sound configuration. */
function* differences(path: string, is: unknown, was: unknown): Generator<string> {
  if (isDeepStrictEqual(is, was)) return;
  if (isMap(is) && isMap(was))
    for (const [key, value] of Object.entries(is))
      yield* differences(`${path}.${key}`, value, Object(was)[key]);
  else if (Array.isArray(is) && Array.isArray(was))
    for (const each of is)
      yield* was.some((one) => isDeepStrictEqual(one, each)) ? [] : [`${path}: ${shown(each)}`];
  else yield `${path}: ${shown(is)}`;
}
const shown = (value: unknown): string =>
  shortened(
    JSON.stringify(value, (_, each) => (each instanceof Set || each instanceof Map ? [...each] : each)) ??
      'none',
  );

/** Policies are read in files of their own. */
function plainOf(text: string): unknown {
  const { places: _places, policies: _policies, hash: _hash, routes, ...settings } = settingsOf(text);
  return { ...settings, routes: routes.map(({ place: _place, ...route }) => route) };
}

for (const name of readdirSync(readings)) {
  const file = new URL(name, readings);
  const written = readFileSync(file, 'utf8');
  const rows = written.split(/^(?=## )/m).map((row) => {
    const [what = '', ...lines] = row.replaceAll(/^> .*\n/gm, '').split('\n');
    const text = [...new Map([...sectionsOf(sound), ...sectionsOf(filled(lines.join('\n')))]).values()].join(
      '',
    );
    const found = [...differences('', plainOf(text), plainOf(sound))].map((line) => `> ${line.slice(1)}\n`);
    return { what, now: `${[what, ...lines].join('\n')}${found.join('')}`, row };
  });
  if (process.env['DOVEGATE_ANSWERS'] === 'write') writeFileSync(file, rows.map(({ now }) => now).join(''));
  else
    for (const { what, now, row } of rows)
      void test(`${name}: ${what.slice(3)}`, () => assert.equal(now, row));
}
