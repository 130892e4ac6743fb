// The oracle is a second opinion only as long as it shares no code with what it judges, or with the driver that provokes it.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../architecture/project.js';

void test('the oracle imports nothing but Node and itself', () => {
  const folder = join(root, 'test', 'whole', 'chaos', 'oracle');
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  assert.ok(files.includes('main.ts'));
  for (const name of files) {
    const text = readFileSync(join(folder, name), 'utf8');
    const named = text.matchAll(/^(?:import|export)\b[^;]*? from '([^']+)';$|\bimport\('([^']+)'\)/gm);
    const specifiers = [...named].map(([, path = '', late = '']) => path || late);
    assert.ok(specifiers.length > 0 || !text.includes('import '), name);
    const foreign = specifiers.filter((path) => !path.startsWith('node:') && !/^\.\/[a-z-]+\.js$/.test(path));
    assert.deepEqual(foreign, [], name);
  }
});
