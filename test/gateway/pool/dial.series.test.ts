import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seriesOfBackend } from '../../../src/gateway/pool/dial.js';
import { UpstreamFault } from '../../../src/ports/faults.js';

test('what a backend announces names its series', () => {
  assert.equal(seriesOfBackend('auto', 0), '2.3');
  assert.equal(seriesOfBackend('auto', 1), '2.3');
  assert.equal(seriesOfBackend('auto', 2), '2.3');
  assert.equal(seriesOfBackend('auto', 3), '2.4');
  assert.equal(seriesOfBackend('auto', 4), '2.4');
});

test('a configured series holds where nothing is announced, and must agree where something is', () => {
  assert.equal(seriesOfBackend('2.3', undefined), '2.3');
  assert.equal(seriesOfBackend('2.4', 3), '2.4');
  const isFault = (fault: unknown): boolean =>
    fault instanceof UpstreamFault && fault.code === 'version-unsupported';
  assert.throws(() => seriesOfBackend('2.4', 2), isFault);
  assert.throws(() => seriesOfBackend('2.3', 4), isFault);
  assert.throws(() => seriesOfBackend('auto', undefined), isFault);
});
