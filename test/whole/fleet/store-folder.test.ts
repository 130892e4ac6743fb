// Goal: a folder gets every record of several gates once, byte for byte, whatever is killed and whenever. DOVEGATE_ROUNDS=50 makes 3
// gates with 20,000 records and 50 kills each; it takes longer than a file may, so DOVEGATE_FILE_LIMIT_S=3600 beside it.
import { join } from 'node:path';
import { test } from 'node:test';
import { openFolder as openStore } from '../../../src/host/store/folder.js';
import { openFolder } from '../../kit/plain/folder.js';
import { killAndCompare } from './store-story.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);

test('gates and what ships for them are killed: a folder has it all', {
  timeout: 300_000 + rounds * 120_000,
}, async (t) => {
  const root = openFolder(t);
  const told = await killAndCompare(t, {
    kills: rounds,
    gates: rounds > 1 ? 3 : 2,
    receiver: `store: "file://${root}"`,
    verifier: { store: `file://${root}` },
    store: openStore(root, 'dovegate'),
    root: join(root, 'dovegate'),
  });
  t.diagnostic(told);
});
