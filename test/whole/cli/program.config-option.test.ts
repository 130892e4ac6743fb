// Goal: every subcommand that takes --config finds the same file without it: that of DOVEGATE_CONFIG, else the one of the standard place;
// and a place that is named on the command line counts for more.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { runDovegate } from '../../kit/gate/daemon.js';
import { runWarm } from '../../kit/gate/warm-program.js';

const standard = '/etc/dovegate/dovegate.yaml';
const subcommands = [
  ['serve'],
  ['check'],
  ['test'],
  ['suggest', '--listener', 'support'],
  ['can', '--listener', 'support'],
  ['explain', '--listener', 'support', '--', 'quota', 'get'],
  ['status'],
  ['kill', 'ID'],
  ['backend', 'drain', 'mail1'],
  ['reload'],
  ...['verify', 'search', 'show 7', 'tail', 'export', 'hmac x'].map((words) => [
    'audit',
    ...words.split(' '),
  ]),
];

test('without --config: DOVEGATE_CONFIG, else the standard place', async (t) => {
  const folder = temporaryDirectory(t);
  const named = join(folder, 'named.yaml');
  writeFileSync(named, 'audit: 5\n');
  const told: string[] = [];
  const expect = async (args: readonly string[], file: string, config: string | undefined): Promise<void> => {
    // A daemon has a process of its own.
    const run = args[0] === 'serve' ? runDovegate : runWarm;
    const { exit, text } = await run(args, { env: { DOVEGATE_CONFIG: config } });
    if (exit !== 78 || !text.includes(file))
      told.push(`${args.join(' ')}: exit ${exit}: ${text.slice(0, 300)}`);
  };
  for (const args of subcommands) await expect(args, named, named);
  for (const args of [['check'], ['status'], ['audit', 'search']]) await expect(args, standard, undefined);
  await expect(['check'], standard, '');
  await expect(['check', '--config', named], named, join(folder, 'other.yaml'));
  // Neither the variable nor its file is asked for where the journal itself is named.
  await expect(['audit', 'tail', folder], `${folder} holds no journal`, named);
  assert.deepEqual(told, []);
  const missing = join(folder, 'none.sock');
  const asked = await runWarm(['status', '--socket', missing], { env: { DOVEGATE_CONFIG: named } });
  assert.equal(asked.exit, 69, asked.text);
  const can = await runWarm(['can', '--socket', missing], { env: { DOVEGATE_CONFIG: named } });
  assert.equal(can.exit, 69, can.text);
  assert.match(
    (await runWarm(['check', '--help'])).text,
    /default: \$DOVEGATE_CONFIG, else\s+\/etc\/dovegate\//,
  );
});
