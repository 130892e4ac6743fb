// Goal: a rule can name every parameter of every command but those that no rule may speak of.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, commandsOf } from '../../../src/domain/commands/catalog.js';
import { parametersOf, whyUnnamable } from '../../../src/domain/config/parse-where.js';

void test('what cannot be named, and what to write instead', () => {
  assert.match(whyUnnamable('fetch', 'fieldstr') ?? '', /write field/);
  assert.match(whyUnnamable('flags add', 'flagstr') ?? '', /write flag/);
  assert.match(whyUnnamable('copy', 'source-type') ?? '', /write source-user/);
  assert.match(whyUnnamable('fetch', 'all-users') ?? '', /all_users: true/);
  assert.match(whyUnnamable('fetch', 'user') ?? '', /users and except/);
  assert.match(whyUnnamable('fetch', 'user-file') ?? '', /never/);
  assert.match(whyUnnamable('fetch', 'socket-path') ?? '', /never/);
  assert.equal(whyUnnamable('who', 'socket-path'), undefined);
  // It has no list of fields beside the text.
  assert.equal(whyUnnamable('mailbox cache decision', 'fieldstr'), undefined);
  assert.equal(whyUnnamable('mailbox cache decision', 'field'), undefined);
  assert.equal(whyUnnamable('dict get', 'user'), undefined);
  assert.equal(whyUnnamable('fetch', 'no-such'), undefined);
});

void test('parameters of both series', () => {
  const names = [...parametersOf('auth cache flush').keys()];
  assert.ok(names.includes('user') && names.includes('user-mask'));
  assert.equal(parametersOf('no such').size, 0);
});

void test('what is never allowed is named by no rule, in any command', () => {
  for (const series of allSeries) {
    for (const command of commandsOf(series)) {
      for (const { name, role } of command.params) {
        if (role === 'user-file' || role === 'internal') assert.ok(whyUnnamable(command.name, name), name);
      }
    }
  }
});
