// Goal: whether records can survive a crash is told before the daemon starts, and `off` is no problem.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PoorMemory } from '../../../src/host/machine/files.js';
import { inspectMemory } from '../../../src/rules/setup/inspect-files.js';
import { settingsOf, sound } from '../config/sound.js';

const told = (audit: string, poor: PoorMemory | undefined): string[] =>
  inspectMemory(settingsOf(`${sound}audit: ${audit}\n`), (path, bytes) => {
    assert.equal(`${path} ${bytes}`, '/run/ring 3145728');
    return poor;
  }).map(({ severity, path, message }) => `${severity} ${path}: ${message}`);

void test('what cannot be made is a warning that says what follows; so is what may be slow', () => {
  const audit = '{ memory: /run/ring, memory_size: 3MiB }';
  assert.deepEqual(told(audit, undefined), []);
  assert.deepEqual(told(audit, { text: 'there is no directory /run', isUsable: false }), [
    'warning audit.memory: /run/ring cannot be made: there is no directory /run; every command then waits until its record is on disk, as with "off"',
  ]);
  assert.deepEqual(told(audit, { text: '/run is on a disk', isUsable: true }), [
    'warning audit.memory: /run is on a disk',
  ]);
});

void test('off was meant', () => {
  assert.deepEqual(told('{ memory: off }', { text: 'no', isUsable: false }), []);
});
