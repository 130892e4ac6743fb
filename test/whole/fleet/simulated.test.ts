// Goal: a verifier of many hosts finds each fault at the host where it is, as what it is, and nothing else, while other gates crash,
// their clocks step, and a host joins; its mirror has every journal byte for byte. The small form of `npm run lab -- fleet`: 33 hosts, real
// writers and shippers, a real server, a real watch and verify. What must not happen: a fault of one host that shows at another one, a
// record that is lost or doubled, a connection that ends because another host joins.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulateFleet } from './simulated/simulation.js';

test('planted faults on many hosts', { timeout: 300_000 }, async (t) => {
  const seed = Number(process.env['DOVEGATE_SEED'] ?? Date.now() % 1_000_000_000);
  t.diagnostic(`seed ${seed}`);
  const outcome = await simulateFleet(t, {
    hosts: 33,
    newcomers: 1,
    rate: 2_500,
    seconds: 8,
    seed,
    group: 20,
    days: 0,
    patienceMs: 4_000,
    isMeasured: false,
    say: (what, figures) => t.diagnostic(`${what}: ${figures}`),
  });
  if ('skip' in outcome) return t.skip(outcome.skip);
  for (const { name, host, expected, found } of outcome.faults)
    assert.deepEqual(found, expected, `${name}, planted on ${host}`);
  assert.deepEqual([outcome.others, outcome.different], [[], []]);
  for (const { host, lost, others, acknowledged } of outcome.joins) {
    assert.deepEqual(lost, [], host);
    assert.ok(others > 0 && acknowledged > 0, `${acknowledged} blocks of ${others} gates`);
  }
  assert.equal(outcome.joins.length, 1);
});
