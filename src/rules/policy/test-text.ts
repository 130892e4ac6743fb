// A condition of a rule as the configuration spells it.

import type { ValueTest } from './policy.js';
import { comparesValues, textOfBounds } from './value-test.js';

type WrittenTest =
  | string
  | readonly string[]
  | Readonly<Record<string, string | boolean | readonly string[]>>;

export function textOfTest(test: ValueTest): WrittenTest {
  if (!comparesValues(test)) return test.kind;
  const optional = test.isOptional ? { optional: true } : {};
  switch (test.kind) {
    case 'one-of':
      return test.isOptional ? { one_of: test.globs.texts, ...optional } : test.globs.texts;
    case 'equals':
      return { equals: test.values, ...optional };
    case 'number':
      return { ...textOfBounds(test, String), ...optional };
    case 'regex':
      return { regex: test.regex.source, ...optional };
    default:
      return test satisfies never;
  }
}
