// Goal: what operators took out of service is remembered whole or not at all, and a file that cannot be read is no empty one.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DrainedBackends } from '../../src/daemon/operator.js';
import { openFolder } from '../kit/folder.js';

const by = { by: 'alice', since: '2026-01-01T00:00:00.000Z' };

void test('put, found again by the next daemon, and taken back', (t) => {
  const folder = join(openFolder(t), 'state');
  const drained = new DrainedBackends(folder);
  assert.equal(drained.find('mail1'), undefined);
  drained.put('mail1', by);
  drained.put('mail2', { ...by, by: 'bob' });
  assert.deepEqual(new DrainedBackends(folder).find('mail1'), by);
  assert.equal(statSync(join(folder, 'drained.json')).mode & 0o777, 0o600);
  new DrainedBackends(folder).put('mail1', undefined);
  assert.equal(new DrainedBackends(folder).find('mail1'), undefined);
  assert.equal(new DrainedBackends(folder).find('mail2')?.by, 'bob');
});

void test('what cannot be written is not remembered either', (t) => {
  const folder = openFolder(t);
  writeFileSync(join(folder, 'state'), 'in the way');
  // Nothing there to be read, since it is no directory.
  assert.throws(() => new DrainedBackends(join(folder, 'state')), /ENOTDIR/);
});

void test('a file that is damaged stops the start: nobody would know what was taken out', (t) => {
  const folder = openFolder(t);
  for (const text of ['', '{', 'null', '7']) {
    writeFileSync(join(folder, 'drained.json'), text);
    assert.throws(() => new DrainedBackends(folder), Error, text);
  }
  assert.equal(readFileSync(join(folder, 'drained.json'), 'utf8'), '7');
});
