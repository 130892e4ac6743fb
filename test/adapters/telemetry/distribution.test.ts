// A histogram of our own says what the one of the metrics package says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Histogram, Registry } from 'prom-client';
import { createDistribution } from '../../../src/adapters/telemetry/distribution.js';

const buckets = [0.001, 0.25, 1, 60];
const values = [0, 0.001, 0.0011, 0.2, 0.25, 0.26, 1, 59.5, 60, 61, 1e6];

for (const labelNames of [[], ['where', 'what']] as const) {
  test(`as the package's, with ${labelNames.length} labels, whenever it is read`, async () => {
    const [ours, theirs] = [new Registry(), new Registry()];
    const options = { name: 'x_seconds', help: 'how long', labelNames, buckets };
    const distribution = createDistribution<readonly string[]>(ours, options);
    const histogram = new Histogram<string>({ ...options, buckets: [...buckets], registers: [theirs] });
    assert.equal(await ours.metrics(), await theirs.metrics());
    for (const labels of [
      ['a', 'b'],
      ['a', 'c'],
      ['__proto__', '"\n}'],
    ]) {
      const used = labelNames.map((name, at) => [name, labels[at] ?? ''] as const);
      for (const value of values) {
        distribution.add(value, ...used.map(([, label]) => label));
        histogram.observe(Object.fromEntries(used), value);
      }
      assert.equal(await ours.metrics(), await theirs.metrics());
      assert.equal(await ours.metrics(), await theirs.metrics());
    }
  });
}
