// A short `npm run lab -- chaos`: driver and oracle still understand each other, and a run of some faults leaves nothing to find. The
// evidence of a run with one line taken out of it is found: the oracle reads what it is given. DOVEGATE_ROUNDS makes it longer; full runs
// are `npm run lab -- chaos`.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openFolder } from '../../kit/plain/folder.js';
import { ends, runProgram } from '../../kit/plain/program.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const chaos = (name: string): string => fileURLToPath(new URL(`../chaos/${name}`, import.meta.url));

void test('a short run of chaos, and its oracle', { timeout: 600_000 * rounds }, async (t) => {
  if (process.getuid?.() !== 0) return t.skip('a run of chaos needs root');
  const evidence = openFolder(t);
  const faults = 'kill,reload,tear,disk-stall,clock';
  const words = ['--enable-source-maps', chaos('run.js'), evidence, String(0.2 * rounds), '7', faults];
  const env = { DOVEGATE_CLIENTS: '40', DOVEGATE_THINK_MS: '300' };
  await ends(0, runProgram(process.execPath, words, { env, timeoutMs: 500_000 * rounds }));
  const judge = () => runProgram(process.execPath, [chaos('oracle/main.js'), evidence]);
  const judged = await ends(0, judge());
  assert.match(judged.text, /^\d{3,} commands, .*\b0 findings$/m);
  const file = join(evidence, 'clients.jsonl');
  const lines = readFileSync(file, 'utf8').split('\n');
  const at = lines.findIndex((line) => line.includes('"effect":"write"') && line.includes('"status":"+"'));
  writeFileSync(file, lines.toSpliced(at, 1).join('\n'));
  const found = await ends(1, judge());
  assert.match(found.text, /no client asked for/);
});
