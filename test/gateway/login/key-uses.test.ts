// Goal: of each key is known when it was used last, and how often it was refused; keys of the same name on two listeners are two.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyUses } from '../../../src/gateway/login/key-uses.js';

void test('uses and failures by listener and key', () => {
  const uses = new KeyUses();
  assert.deepEqual(uses.of('panel', 'modoboa'), { lastUsedMs: undefined, lastFrom: undefined, failures: 0 });
  uses.used('panel', 'modoboa', 1000, '192.0.2.7');
  uses.used('panel', 'modoboa', 2000, '192.0.2.7');
  uses.refused('panel', 'modoboa');
  uses.refused('graph', 'modoboa');
  assert.deepEqual(uses.of('panel', 'modoboa'), { lastUsedMs: 2000, lastFrom: '192.0.2.7', failures: 1 });
  assert.deepEqual(uses.of('graph', 'modoboa'), { lastUsedMs: undefined, lastFrom: undefined, failures: 1 });
});
