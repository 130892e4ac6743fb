// Goal: names word by word, by the catalog or by rights; then options, and values where they are known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeCommandWords } from '../../../src/cli/completion/candidates.js';
import type { Rights } from '../../../src/domain/answers/rights.js';

const rights: Rights = {
  listener: 'support',
  principal: undefined,
  policy: 'support',
  isObserving: false,
  users: [],
  except: [],
  limits: [],
  logs: 'none',
  debug: false,
  allow: ['mailbox list', 'mailbox delete', 'fetch'].map((command) => ({
    command,
    effect: 'read',
    says: [],
  })),
  onRequest: [],
  approve: [],
  deny: [
    { command: 'mailbox delete', effect: 'destroy', says: [] },
    { command: 'fetch', effect: 'read', says: ['field: hdr'] },
  ],
};

async function offered(text: string, known?: Rights, hasOwn = false): Promise<string> {
  const found = await completeCommandWords(text.split(' '), { hasOwn, rights: () => Promise.resolve(known) });
  return found.kind === 'words' ? found.words.map(({ word }) => word).join(' ') : `(${found.kind})`;
}

void test('names by the catalog of both series', async () => {
  assert.equal(await offered('mailbox c'), 'cache create cryptokey');
  assert.equal(await offered('mailbox cache '), 'decision purge remove');
  assert.equal(await offered('dire'), 'director');
  assert.equal(await offered('nonsense '), '');
  assert.equal(await offered('doveg'), '');
  assert.equal(
    await offered('dovegate ', undefined, true),
    'access approve can dry-run explain grant refuse request requests review revoke',
  );
});

void test('names by rights: less what is never allowed, but not what is denied under conditions', async () => {
  assert.equal(await offered('', rights), 'fetch mailbox');
  assert.equal(await offered('mailbox ', rights), 'list');
  assert.match(await offered('mailbox ', { ...rights, isObserving: true }), /^cache create cryptokey list/);
});

void test('options, their values, and fields', async () => {
  assert.equal(await offered('mailbox list -'), '-A -S -u -F -7 -8 -s');
  assert.equal(await offered('mailbox list -S '), '(files)');
  assert.equal(await offered('quota get -u '), '');
  assert.equal(await offered('mailbox list -s -'), '-A -S -u -F -7 -8 -s');
  assert.equal(await offered('mailbox list -- -'), '');
  assert.match(await offered('mailbox status '), /^all messages/);
  assert.equal(await offered('mailbox status un'), 'unseen');
});
