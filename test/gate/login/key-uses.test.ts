// Goal: of each key is known when it was used last, and how often it was refused; keys of the same name on two listeners are two.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyUses } from '../../../src/gate/login/key-uses.js';

void test('uses and failures by listener and key', () => {
  const uses = new KeyUses();
  assert.deepEqual(uses.of('panel', 'modoboa'), { lastUsedMs: undefined, lastFrom: undefined, failures: 0 });
  uses.used('panel', 'modoboa', 1000, '192.0.2.7');
  uses.used('panel', 'modoboa', 2000, '192.0.2.7');
  const [nobody, refused] = [
    { lastUsedMs: undefined, lastFrom: undefined },
    { failures: 1, lastFailedMs: 3000, failedFrom: '192.0.2.8' },
  ];
  uses.refused('panel', 'modoboa', 3000, '192.0.2.8');
  uses.refused('graph', 'modoboa', 3000, '192.0.2.8');
  const used = { lastUsedMs: 2000, lastFrom: '192.0.2.7', ...refused };
  assert.deepEqual(uses.of('panel', 'modoboa'), used);
  assert.deepEqual(uses.of('graph', 'modoboa'), { ...nobody, ...refused });
  for (const name of ['modoboa@panel', 'modoboa@graph', 'other@panel']) uses.ran(name, 9000);
  assert.deepEqual(uses.of('panel', 'modoboa'), { ...used, lastUsedMs: 9000 });
  assert.deepEqual(uses.of('graph', 'modoboa'), { ...nobody, ...refused });
  assert.deepEqual(uses.of('panel', 'other'), { ...nobody, failures: 0 });
});
