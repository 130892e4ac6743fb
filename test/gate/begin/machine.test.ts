// Goal: the domains of the mail users become patterns, if they are few and plain.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookAtMachine, patternsOf, whyNotListed } from '../../../src/gate/begin/machine.js';
import { readPage } from '../../whole/cli/docs-page.js';

void test('a pattern for each domain; none where there are many, or where users have none', () => {
  assert.deepEqual(patternsOf(['b@example.net', 'a@example.com', 'c@example.com', ''], undefined), [
    '*@example.com',
    '*@example.net',
  ]);
  assert.deepEqual(patternsOf(['anna', 'bert'], undefined), []);
  assert.deepEqual(patternsOf(['anna', 'b@example.com'], undefined), []);
  assert.deepEqual(patternsOf(['anna', 'bert'], 'example.com'), ['*@example.com']);
  assert.deepEqual(patternsOf([], 'example.com'), ['*@example.com']);
  assert.deepEqual(patternsOf([], undefined), []);
  const many = Array.from({ length: 50 }, (_, at) => `a@d${at}.example`);
  assert.deepEqual(patternsOf(many, undefined), []);
  assert.deepEqual(patternsOf(['a@"\u001b[31m'], undefined), []);
});

void test('users that are not listed: a stopped Dovecot is another cause than a userdb without a list', () => {
  assert.match(whyNotListed(false), /Dovecot is stopped$/);
  assert.match(
    whyNotListed(true),
    /userdb of this Dovecot cannot list its users, as with the driver static$/,
  );
});

void test('each preset that is offered says what it is for, from the beginning of that sentence', async () => {
  const { presets } = await lookAtMachine();
  assert.ok(presets.length >= 10);
  for (const { name, about } of presets) {
    assert.match(about, /^[A-Z][^\n#]+$/, name);
    assert.ok(
      readPage(`config/presets/${name}.yaml`).includes(`\n# ${about.slice(0, 20)}`),
      `${name}: ${about}`,
    );
  }
});
