// Goal: what `doctor` says of a store: whether this gate may write and read there, what is kept, and who could take it back.
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StoreSinkSettings } from '../../../src/rules/config/sinks.js';
import { openTrail, readLines } from '../../whole/fleet/fleet-lab.js';
import { writeJournal } from '../cli/shown.js';
import { base, looksAt } from './store-looks.js';

void test('a folder: what it has, that nothing guards it, and a beginning that is gone', async (t) => {
  const trail = openTrail(t);
  const sink: StoreSinkSettings = {
    ...base,
    name: 'F',
    place: { kind: 'folder', path: join(trail.folder, 'store') },
  };
  const rest = [
    'ok store F, lock: it is a folder: nothing but its server keeps anybody from changing what is there',
    'ok store F, records: none waits; with 288 objects a day a record waits 5 min at most',
  ];
  assert.deepEqual(await looksAt(sink), ['ok store F: it has nothing of gate1 yet', ...rest]);
  const names = await trail.send('gate1', readLines(await writeJournal(t)));
  assert.deepEqual(await looksAt(sink), [`ok store F: it has ${names.length} objects of gate1`, ...rest]);
  // What the gate says that it stored is looked for.
  const seq = 60;
  assert.deepEqual(await looksAt(sink, seq), await looksAt(sink));
  const [hidden = ''] = names.slice(1);
  renameSync(trail.pathOf(hidden), join(trail.folder, 'hidden'));
  assert.ok(
    (await looksAt(sink, seq)).includes('bad store F: records 26 to 50 are not there, and were stored'),
  );
  renameSync(join(trail.folder, 'hidden'), trail.pathOf(hidden));
  renameSync(trail.root, `${trail.root}.away`);
  mkdirSync(trail.root);
  assert.ok((await looksAt(sink, seq)).includes('bad store F: record 60 is not there, and was stored'));
  rmSync(trail.root, { recursive: true });
  renameSync(`${trail.root}.away`, trail.root);
  rmSync(trail.pathOf(names[0] ?? ''));
  const gone = 'warning store F: what was stored more than 1 day ago is gone';
  assert.deepEqual((await looksAt(sink))[1], gone);
  // Kept for long enough.
  const before = new Date(Date.now() - 8 * 86_400_000);
  utimesSync(trail.pathOf(names[1] ?? ''), before, before);
  assert.ok(!(await looksAt(sink)).includes(gone));
  rmSync(join(trail.folder, 'store'), { recursive: true });
  assert.match((await looksAt(sink)).join(), /^bad store F: \S+\/store is not there \(ENOENT\)$/);
});
