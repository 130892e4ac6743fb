// Goal: the look names the last day of the Node in a package, and from 60 days before says what to do. It does not judge other Nodes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookAtRuntime } from '../../../src/gate/health/looks.js';

const program = '/usr/lib/dovegate/runtime/node';

void test('the Node of a package, before and near the end of its maintenance', () => {
  const at = (day: string) => lookAtRuntime(program, '24.21.0', Date.parse(day));
  const text = 'Node 24.21.0, maintained until 2028-04-30';
  assert.deepEqual(at('2028-02-29'), [{ status: 'ok', name: 'runtime', text }]);
  assert.deepEqual(
    at('2028-03-02').map(({ status, todo }) => [status, todo]),
    [['warning', 'Install a newer dovegate, which brings a newer Node.']],
  );
});

void test('a line without a known end, and a Node of the distribution', () => {
  assert.deepEqual(lookAtRuntime(program, '28.1.0', Date.parse('2030-01-01')), [
    { status: 'ok', name: 'runtime', text: 'Node 28.1.0' },
  ]);
  assert.deepEqual(lookAtRuntime('/usr/bin/node', '24.21.0', Date.parse('2030-01-01')), []);
});
