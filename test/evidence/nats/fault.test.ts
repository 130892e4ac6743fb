import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NatsFault } from '../../../src/evidence/nats/fault.js';
import { bounds } from '../../../src/host/bounds/bounds.js';

test('a sentence with words of a server has a bound, and no control character', () => {
  const fault = new NatsFault('refused', `\u001b[2J${'x'.repeat(2 * bounds.natsFaultChars)}`);
  assert.equal(fault.message.match(/x*$/)?.[0].length, bounds.natsFaultChars - 4);
  assert.match(fault.message, /^[ -~]+$/);
});
