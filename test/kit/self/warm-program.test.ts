// A warm process must print, fail and end as a process of its own does.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runDovegate } from '../gate/daemon.js';
import { runWarm } from '../gate/warm-program.js';
import { openFolder } from '../plain/folder.js';

void test('what runs warm says the same as a process of its own, in any order', async (t) => {
  const folder = openFolder(t);
  writeFileSync(join(folder, 'dovegate.yaml'), 'audit: 5\n');
  const other = openFolder(t);
  for (const [args, options] of [
    [['--version'], {}],
    [['check'], { cwd: folder, env: { DOVEGATE_CONFIG: 'dovegate.yaml' } }],
    [['check', '--config', 'dovegate.yaml'], { cwd: other }],
    [['audit', 'search'], { env: { DOVEGATE_CONFIG: join(folder, 'dovegate.yaml') } }],
    [['audit', 'hmac', 'x', other], { env: { DOVEGATE_CONFIG: undefined } }],
  ] as const) {
    const { inOrder, ...warm } = await runWarm(args, options);
    assert.deepEqual(warm, await runDovegate(args, options), args.join(' '));
    // None of these writes to both.
    assert.equal(inOrder, warm.text);
  }
});
