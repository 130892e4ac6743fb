// Goal: no expression takes long on any text: at most a time that grows with the text's length.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRegex, regexTextMax } from '../../../src/domain/policy/regex.js';
import { regexSizeMax } from '../../../src/domain/policy/regex-parser.js';

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

for (const source of hostile) {
  void test(`/${source}/ takes no more than linear time on a hostile value of 4 KiB`, (t) => {
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
    let worstMs = 0;
    for (const text of texts) {
      // The best of many: what else the machine does, and code that is not yet compiled, is not the expression's cost.
      const best = (value: string): number => {
        const times = Array.from({ length: 20 }, () => {
          const from = process.hrtime.bigint();
          compiled.matches(value);
          return Number(process.hrtime.bigint() - from) / 1e6;
        });
        return Math.min(...times);
      };
      const wholeMs = best(text);
      worstMs = Math.max(worstMs, wholeMs);
      // A quarter of the text in a quarter of the time; in a sixteenth, where the time grew with the square.
      const quarterMs = best(text.slice(0, text.length / 4));
      assert.ok(wholeMs < 10 * quarterMs + 0.1, `${quarterMs.toFixed(3)} ms, then ${wholeMs.toFixed(3)} ms`);
    }
    t.diagnostic(`${worstMs.toFixed(2)} ms at most`);
  });
}
