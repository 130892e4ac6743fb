// Goal: what `doctor` says of a bucket: its lock, and a credential that is refused.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { StoreSinkSettings } from '../../../src/rules/config/sinks.js';
import { openGateway } from '../../kit/plain/bucket.js';
import { base, looksAt } from './store-looks.js';

void test('a bucket: its lock, and a credential that is refused', { timeout: 300_000 }, async (t) => {
  const gateway = await openGateway(t);
  if ('skip' in gateway) return t.skip(gateway.skip);
  const { credentialsFile } = gateway;
  const sinkAt = (url: string): StoreSinkSettings => ({
    ...base,
    name: 'B',
    credentialsFile,
    place: { kind: 'bucket', url },
  });
  const locked = sinkAt(await gateway.openBucket({ lock: true }));
  assert.equal((await looksAt(locked))[1], 'ok store B, lock: COMPLIANCE for 1 day');
  const plain = sinkAt(await gateway.openBucket({ lock: false }));
  assert.equal(
    (await looksAt(plain))[1],
    'warning store B, lock: versions are off: who overwrites an object takes it away',
  );
  const stranger = await gateway.makeUser('stranger');
  const refused = (await looksAt({ ...locked, credentialsFile: stranger })).join();
  assert.match(refused, /^bad store B: the bucket: it answers with 403 \(AccessDenied\)$/);
  writeFileSync(stranger, '[default]\n');
  assert.match((await looksAt({ ...locked, credentialsFile: stranger })).join(), /has no aws_access_key_id/);
});
