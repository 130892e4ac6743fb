import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WireFault } from '../../src/ports/faults.js';

void test('a fault is an Error that says its code', () => {
  const fault = new WireFault('bad-frame', 'a frame is too long');
  assert.ok(fault instanceof Error);
  assert.equal(fault.code, 'bad-frame');
  assert.equal(fault.name, 'WireFault');
  assert.equal(fault.message, 'a frame is too long');
});
