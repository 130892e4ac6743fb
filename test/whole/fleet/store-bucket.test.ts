// Goal: a bucket with a lock gets every record of several gates once, byte for byte, whatever is killed and whenever, from a gateway that
// spoils a third of the requests. DOVEGATE_ROUNDS=50 makes 3 gates with 20,000 records and 50 kills each.
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { systemClock } from '../../../src/host/machine/clock.js';
import { openBucket } from '../../../src/host/store/bucket.js';
import { openGateway, openProxy, type Spoil } from '../../kit/plain/bucket.js';
import { killAndCompare } from './store-story.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const spoils: readonly Spoil[] = ['error', 'cut', 'lost', 'late'];

test('gates and what ships for them are killed: a bucket behind a bad network has it all', {
  timeout: 300_000 + rounds * 240_000,
}, async (t) => {
  const gateway = await openGateway(t);
  if ('skip' in gateway) return t.skip(gateway.skip);
  const url = await gateway.openBucket({ lock: true });
  let asked = 0;
  let spoiled = 0;
  let isCalm = false;
  const proxy = await openProxy(t, gateway.origin, () => {
    asked += 1;
    if (isCalm || Math.random() > 0.33) return 'none';
    spoiled += 1;
    return spoils[spoiled % spoils.length] ?? 'none';
  });
  const { credentialsFile } = gateway;
  const store = openBucket({ url, prefix: 'dovegate', credentialsFile, clock: systemClock });
  t.after(() => store.close());
  const told = await killAndCompare(t, {
    kills: rounds,
    gates: rounds > 1 ? 3 : 2,
    receiver: `store: "${url.replace(gateway.origin, proxy)}", credentials: store.ini`,
    files: { 'store.ini': readFileSync(credentialsFile, 'utf8') },
    verifier: { store: url, credentials: credentialsFile },
    store,
    calm: () => {
      isCalm = true;
    },
  });
  t.diagnostic(`${told}; ${spoiled} of ${asked} requests spoiled`);
});
