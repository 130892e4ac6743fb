// Goal: `npm run lab -- mutate` notices mutants that a test fails for, and says so where no test does.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { projectRoot } from '../plain/root.js';

const root = fileURLToPath(projectRoot);

void test('the tests of a file kill mutants of that file, and reach none of another', () => {
  const args = '--built --sample 6 --seed 3 --file regex.ts --file query.ts --test regex.test';
  const done = spawnSync(process.execPath, ['scripts/lab.mjs', 'mutate', 'policy', ...args.split(' ')], {
    cwd: root,
    encoding: 'utf8',
  });
  assert.equal(done.status, 0, done.stderr);
  const [, killed = 0, survived = 0, unreached = 0] =
    /policy: 6 of .*\n +(\d+) killed, (\d+) survived, 0 timed out, (\d+) not reached/
      .exec(done.stdout)
      ?.map(Number) ?? [];
  assert.ok(killed > 0 && unreached > 0 && killed + survived + unreached === 6, done.stdout);
  const places = done.stdout.match(/^not reached: \S+\.ts/gm) ?? [];
  assert.deepEqual([...new Set(places)], ['not reached: src/rules/policy/query.ts']);
});
