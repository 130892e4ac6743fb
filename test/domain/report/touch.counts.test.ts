// Goal: a journal of many names does not fill the memory of the program that counts them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { createTouchCounter, createTouchReader } from '../../../src/domain/report/touch.js';
import { settingsOf, sound } from '../config/sound.js';
import { record } from '../review/recording.js';

// bounds.reportRequesters
test('people are told apart up to a limit, and then it says so', () => {
  const settings = settingsOf(sound.replace('[quota get]', '[quota get]\n    mode: observe'));
  const bob = 'bob@example.com';
  const made = record(settings, 'support', { user: bob, words: ['quota', 'get'] });
  const fields = { ...made.fields, decision: 'allow', sent: true, cells: 3, outcome: 'ok' };
  const touch = createTouchReader(bob)({ ...made, fields });
  const counter = createTouchCounter();
  const take = (at: number): void => counter.take({ ...touch, requester: `requester${at}@support` });
  for (let at = 0; at < bounds.reportRequesters; at += 1) take(at);
  assert.deepEqual(
    [counter.counts().requesters, counter.counts().isMoreRequesters],
    [bounds.reportRequesters, false],
  );
  take(0);
  assert.equal(counter.counts().isMoreRequesters, false);
  take(bounds.reportRequesters);
  assert.deepEqual(
    [counter.counts().requesters, counter.counts().isMoreRequesters],
    [bounds.reportRequesters, true],
  );
});
