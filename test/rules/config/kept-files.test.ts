// Goal: a configuration that is read from its copy is the one that the files held. Phases: includes by pattern, a preset with parameters, a
// file of a policy; the files are gone; texts that are no copy. What must not happen: another hash, a look at the disk.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFromDisk } from '../../../src/host/machine/process.js';
import { keeping, readKept } from '../../../src/rules/config/kept-files.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { memorySettings } from '../../kit/gate/memory-engine.js';

const main = '/etc/dovegate/dovegate.yaml';
const texts: Readonly<Record<string, string>> = {
  [main]: `include: ["conf.d/*.yaml"]\n${memorySettings}`,
  '/etc/dovegate/conf.d/10-desk.yaml':
    'policies:\n  desk: { use: [presets/support-desk], users: ["*@example.org"] }\n',
  '/etc/dovegate/conf.d/20-more.yaml': 'limits: { drain: 5s }\n',
};

const files = {
  readText: (path: string): string => texts[path] ?? assert.fail(path),
  glob: () => Object.keys(texts).filter((path) => path !== main),
  presetText: readFromDisk.presetText,
};

void test('a copy holds all that was read, and is read as that', () => {
  const keeper = keeping(files);
  const { settings, problems } = parseSettings(main, keeper.read);
  assert.ok(settings !== undefined, JSON.stringify(problems));
  const kept = readKept(keeper.text(main, 5));
  assert.deepEqual([kept?.file, kept?.readMs], [main, 5]);
  assert.ok(kept !== undefined);
  const again = parseSettings(main, kept.read);
  assert.deepEqual([again.settings?.hash, again.problems], [settings.hash, problems]);
  assert.deepEqual([...again.texts], [...parseSettings(main, files).texts]);

  assert.throws(() => kept.read.readText('/etc/passwd'), /not in the copy/);
  assert.deepEqual(kept.read.glob('/etc/*'), []);
  assert.equal(kept.read.presetText?.('constructor'), undefined);
});

void test('what is not a whole copy is none', () => {
  const text = keeping(files).text(main, 5);
  for (const other of ['', 'null', text.slice(0, -1), text.replace('5', '-5'), text.replace('[]', '[1]')])
    assert.equal(readKept(other), undefined, other);
});
