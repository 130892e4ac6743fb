// What the screen of one command makes of its story; also where the story has nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldStory } from '../../../src/evidence/story/fold.js';
import { tellStory } from '../../../src/evidence/story/words.js';
import { argumentsOf, type CommandStory, chainOf, tryPath } from '../../../src/page/web/exchange.js';

const admission = {
  seq: 4,
  event: 'admission',
  id: 'X',
  listener: 'support',
  principal: 'anna@support',
  peer: { uid: 1000 },
  user: 'bob@example.org',
  command: 'expunge',
  args: ['--', 'mailbox', 'a b'],
};

/** As it comes from the page's process. */
const story = (record: object): CommandStory =>
  JSON.parse(JSON.stringify(tellStory(foldStory([{ ...record }], 'X'))));

void test('arguments are texts; a secret has its digest', () => {
  const args = ['mailbox', { hmac: 'ab12' }, { more: 3 }];
  assert.deepEqual(argumentsOf(story({ ...admission, args })), [
    { text: 'mailbox' },
    { text: '', hmac: 'ab12' },
    { text: '(3 more, not recorded)' },
  ]);
  assert.deepEqual(argumentsOf(story({ event: 'log', id: 'X' })), []);
});

void test('hashes are there only if the records have them', () => {
  assert.deepEqual(
    chainOf([
      { ...admission, hash: 'aa' },
      { seq: 5, event: 'admission', id: 'T' },
    ]),
    [{ seq: 4, event: 'admission', hash: 'aa' }],
  );
});

void test('a command can be tried again where its words are recorded: at its listener, as who asked', () => {
  assert.equal(
    tryPath(story(admission)),
    '/access?listener=support&as=1000&user=bob%40example.org&line=expunge+--+mailbox+%27a+b%27',
  );
  const { peer: _peer, ...remote } = admission;
  assert.match(tryPath(story(remote)) ?? '', /&as=anna&/);
  // A secret and a part that is not recorded would be another command.
  for (const args of [['mailbox', { hmac: 'ab12' }], ['mailbox', { more: 3 }], undefined])
    assert.equal(tryPath(story({ ...admission, args })), undefined);
});
