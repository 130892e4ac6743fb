// Loaded into every process and thread of a mutation run. Threads and child processes write down which mutants their code reaches, each
// at once and once, because they may be killed; and endless loops that a mutant made are ended.
import { appendFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const file = process.env.MUTANTS_REACHED;
const isWorker = isMainThread && process.argv[1]?.endsWith('scripts/mutate/worker.mjs');
if (!isWorker) {
  const space = { hitCount: 0, hitLimit: 2_000_000 };
  globalThis.__stryker__ = space;
  if (file !== undefined && process.env.__STRYKER_ACTIVE_MUTANT__ === undefined) {
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
  }
}
