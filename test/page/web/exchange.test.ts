// What the screen of one command makes of its story; also where the story has nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldStory } from '../../../src/evidence/story/fold.js';
import { tellStory } from '../../../src/evidence/story/words.js';
import { type CommandStory, tryPath } from '../../../src/page/web/exchange.js';

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

void test('a command can be tried again where its words are recorded: at its listener, as who asked', () => {
  const path = '/access?listener=support&as=1000&user=bob%40example.org&line=expunge+--+mailbox+%27a+b%27';
  assert.equal(tryPath(story(admission)), path);
  const { peer: _peer, ...remote } = admission;
  assert.match(tryPath(story(remote)) ?? '', /&as=anna&/);
  // A secret and a part that is not recorded would be another command.
  for (const args of [['mailbox', { hmac: 'ab12' }], ['mailbox', { more: 3 }], undefined])
    assert.equal(tryPath(story({ ...admission, args })), undefined);
});
