// Goal: a person accepts a key, and the daemon's own user cannot, whatever he writes.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { acceptKey, demandMayAccept, readAccepted } from '../../../src/cli/audit/audit-keys.js';
import { CommandFault } from '../../../src/cli/output/output.js';
import { makeSignKey } from '../../../src/domain/audit/ledger.js';
import { openFolder } from '../../kit/folder.js';

const { key } = makeSignKey();
const ourselves = process.geteuid?.() ?? 0;
const daemon = ourselves + 1;
const by = { key, journal: 'ab', wallMs: 0, userId: ourselves, ownerId: daemon };

void test('what was accepted is read again, once, and by everybody', (t) => {
  const config = join(openFolder(t), 'dovegate.yaml');
  assert.deepEqual(readAccepted(config, by).keys, []);
  const path = acceptKey(config, by);
  assert.equal(acceptKey(config, by), path);
  const other = makeSignKey().key;
  acceptKey(config, { ...by, key: other });
  assert.deepEqual(readAccepted(config, by), { path, keys: [key, other], problem: undefined });
  assert.equal(statSync(path).mode & 0o777, 0o644);
  assert.match(readFileSync(path, 'utf8'), /accepted 1970-01-01T00:00:00\.000Z by uid \d+ for journal ab\n/);
});

void test("the daemon's user may not accept, and a file that he could write does not count", (t) => {
  const folder = openFolder(t);
  const config = join(folder, 'dovegate.yaml');
  const refused = (userId: number, ownerId: number, exitCode: number) =>
    assert.throws(
      () => demandMayAccept(config, { userId, ownerId }),
      (fault) => fault instanceof CommandFault && fault.exitCode === exitCode,
    );
  refused(daemon, daemon, 77);
  demandMayAccept(config, { userId: ourselves, ownerId: daemon });
  demandMayAccept(config, { userId: 0, ownerId: 0 });
  const path = acceptKey(config, by);
  chmodSync(path, 0o666);
  assert.match(readAccepted(config, by).problem ?? '', /can be changed by every user/);
  assert.deepEqual(readAccepted(config, by).keys, []);
  chmodSync(path, 0o644);
  chmodSync(folder, 0o777);
  refused(ourselves, daemon, 78);
  assert.deepEqual(readAccepted(config, by).keys, []);
  chmodSync(folder, 0o755);
  if (ourselves !== 0) return;
  chownSync(path, daemon, 0);
  assert.match(readAccepted(config, by).problem ?? '', /belongs to /);
  chownSync(path, 0, 0);
  chownSync(folder, daemon, 0);
  assert.deepEqual(readAccepted(config, by).keys, []);
  refused(ourselves, daemon, 78);
});

void test('what is no key is not taken for one', (t) => {
  const folder = join(openFolder(t), 'etc');
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(join(folder, 'accepted-audit-keys'), `# words\n\n${key}x\n${key} said so\n`, { mode: 0o600 });
  assert.deepEqual(readAccepted(join(folder, 'dovegate.yaml'), by).keys, [key]);
});
