// Goal: no expression takes long on any text: its work grows with the text's length at most. Counted in steps, which are the same on every
// machine however busy it is.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createRegex, regexTextMax } from '../../../src/rules/policy/regex.js';
import { regexSizeMax } from '../../../src/rules/policy/regex-parser.js';
import { openStepCounter } from '../../kit/plain/step-counter.js';

const hostile = [
  '(a+)+$',
  '(a|aa)+',
  '(a*)*b',
  '(x+x+)+y',
  '.*a.{80}',
  '(?:a?){45}a{45}',
  '(.*a.{28}|.*b.{28}|.*c.{28})',
  // Every position of the largest expression, at every character of the text.
  `((?:.?){${regexSizeMax}})*`,
  `((?:[^b]?){${regexSizeMax - 1}})*b`,
  '((?:[\\wä-üà-öø-ÿĀ-žа-я日-本]?){90})*x',
  '((?:[a-cä]?[^x]?.?){30})*x',
  '(?:(?:.*a|.*b|.*ä|.*日){11})*',
  '(.{1,47}.{0,45})*x',
];

const counter = openStepCounter();
after(() => counter.close());

for (const source of hostile) {
  void test(`/${source}/ takes no more than linear work on a hostile value of 4 KiB`, async (t) => {
    const result = createRegex(source);
    assert.ok(result.kind === 'regex');
    const compiled = result.regex;
    let seed = 7;
    const random = (): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed >> 8;
    };
    const texts = [
      'a'.repeat(regexTextMax),
      'x'.repeat(regexTextMax),
      Array.from({ length: regexTextMax }, () => 'abc'.charAt(random() % 3)).join(''),
      Array.from({ length: regexTextMax }, () => 'aäb日'.charAt(random() % 4)).join(''),
      'ä'.repeat(regexTextMax),
      '😀'.repeat(regexTextMax / 2),
    ];
    const stepsOf = (text: string): Promise<number> => counter.count(() => void compiled.matches(text));
    let most = 0;
    for (const text of texts) {
      const whole = await stepsOf(text);
      most = Math.max(most, whole);
      // A quarter of the text with a quarter of the work; with a sixteenth, where the work grew with the square.
      const quarter = await stepsOf(text.slice(0, text.length / 4));
      assert.ok(whole < 5 * quarter + 1_000, `${quarter} steps, then ${whole}`);
    }
    t.diagnostic(`${most} steps at most`);
  });
}
