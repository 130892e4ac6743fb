// Goal: a digest can be found as long as its journal is there: the key of digests outlives a directory that was moved away.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openRedactor } from '../../src/daemon/open-audit.js';
import { openFolder } from '../kit/folder.js';

void test('the key beside the segments is kept in state, too, and comes back with the next start', (t) => {
  const folder = openFolder(t);
  const [directory, state] = [join(folder, 'audit'), join(folder, 'state')];
  mkdirSync(directory);
  mkdirSync(state);
  const settings = { directory };
  const digest = (): string => openRedactor(settings, state).redact('secret').hmac;
  const first = digest();
  assert.equal(statSync(join(state, 'audit-hmac.key')).mode & 0o777, 0o600);
  renameSync(directory, `${directory}.gone`);
  mkdirSync(directory);
  assert.equal(digest(), first);
  // A key that an operator put there is the one that counts from then on.
  writeFileSync(join(directory, 'hmac.key'), 'another key of the operator');
  const second = digest();
  assert.notEqual(second, first);
  rmSync(directory, { recursive: true });
  mkdirSync(directory);
  assert.equal(digest(), second);
  assert.equal(readFileSync(join(directory, 'hmac.key'), 'utf8'), 'another key of the operator');
});
