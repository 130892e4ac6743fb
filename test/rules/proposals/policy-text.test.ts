// Goal: what is written is read back as it was meant, and nothing in it can end a line, a quote or a comment.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parse as parseYaml } from 'yaml';
import { formatValue, type Plain } from '../../../src/rules/proposals/policy-text.js';

void test('any text, and anything made of texts, is read back the same, on one line', () => {
  const text = fc.string({ unit: 'binary', maxLength: 12 });
  const scalar = fc.oneof(
    text,
    fc.constantFrom('off', 'on', '1', '0x1f', '1_000', '30d', '5E2', '2026-01-01', '=', '<<'),
  );
  const plain: fc.Arbitrary<Plain> = fc.letrec<{ value: Plain }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      scalar,
      fc.boolean(),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(
        fc.stringMatching(/^[a-z_]{1,8}$/).filter((key) => key !== '__proto__'),
        tie('value'),
        { maxKeys: 3 },
      ),
    ),
  })).value;
  fc.assert(
    fc.property(plain, (value) => {
      const written = formatValue(value);
      assert.doesNotMatch(written, /[\p{Cc}\u2028\u2029\u202e]/u);
      assert.deepEqual(parseYaml(`x: ${written}`, { version: '1.2' }), {
        x: JSON.parse(JSON.stringify(value)),
      });
    }),
    { seed: 20_261_120, numRuns: 500 },
  );
});
