// Loaded before a test file in every process and thread of it: writes down which mutants its code reaches, each at once and once,
// because a thread may be ended without a word; and ends loops that a mutant made endless.
import { appendFileSync } from 'node:fs';

const space = {};
globalThis.__stryker__ = space;
const file = process.env.MUTANTS_REACHED;
if (file !== undefined) {
  const first = new Proxy(
    {},
    {
      set(_target, id, count, counts) {
        appendFileSync(file, `${String(id)}\n`);
        return Reflect.defineProperty(counts, id, {
          value: count,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      },
    },
  );
  space.mutantCoverage = { static: Object.create(first), perTest: {} };
} else {
  space.hitCount = 0;
  space.hitLimit = 2_000_000;
}
