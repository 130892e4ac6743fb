// Goal: each key that is unknown, misspelt, mistyped, missing or not done yet is told at its place, in words that help.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatJsonSchema } from '../../../src/domain/config/schema.js';
import { testMistakes } from './sound.js';

testMistakes([
  [
    'newer version',
    'version: 1',
    'version: 2',
    '1:1: version: must be 1; a newer configuration needs a newer dovegate',
  ],
  [
    'a duration without a unit',
    'tls: off',
    'tls: off, idle_timeout: 5',
    '5:50: backends.mail1.idle_timeout: must be a duration with its unit, as 500ms, 5s, 10m or 7d',
  ],
  [
    'a rule without a command',
    '[quota get]',
    '[{}]',
    '11:13: policies.support.allow[0].command: is missing; it must be the full name of a command',
  ],
  [
    'a rule that is neither text nor map',
    '[quota get]',
    '[[quota]]',
    '11:13: policies.support.allow[0]: must be the name of a command, or a map with the key command',
  ],
  [
    'missing users',
    '    users: ["*@example.com"]\n',
    '',
    '9:3: policies.support.users: is missing; it must be a list of patterns, as ["*@example.com"]',
  ],
  [
    'a name that cannot be one',
    '  support: {',
    '  "sup port": {',
    '3:3: listeners.sup port: a name is 1 to 64 letters, digits, dots, dashes and underscores, and begins with a letter or digit',
  ],
  [
    'not YAML',
    'version: 1',
    'version: [1',
    '2:1: not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  [
    'unquoted mode',
    'unix: /run/s.sock',
    'unix: /run/s.sock, mode: 0660',
    '3:33: listeners.support.mode: must be written in quotes, as "0660": unquoted it is another number',
  ],

  [
    'unknown keys, two of them',
    'version: 1',
    'x: 1\nlistner: 2',
    '1:1: x: "x" is not a key here; known are: admin, audit, backends, include, limits, listeners, log, mail_users, policies, routes, server_commands, state, tests, version',
    '2:1: listner: "listner" is not a key here; did you mean listeners?',
  ],
  ['a section without a value', 'version: 1', 'limits:', '1:1: limits: must be the limits: a map of keys'],
  [
    'a number as text',
    'tls: off',
    'tls: off, connections: "4"',
    '5:50: backends.mail1.connections: must be a whole number from 1 to 1000',
  ],
  [
    'a yes that is no boolean',
    'tls: off',
    'tls: off, drained: yes',
    '5:50: backends.mail1.drained: must be true or false',
  ],
  [
    'a series that is not known',
    'tls: off',
    'tls: off, series: "2.2"',
    '5:50: backends.mail1.series: must be one of: auto, "2.3", "2.4"',
  ],
  [
    'a list that is empty',
    'users: ["*"]',
    'users: []',
    '7:7: routes[0].users: must hold at least one pattern',
  ],
]);

void test('the JSON Schema for editors is the one that the code gives (else: npm run build:test, node scripts/make-schema.mjs)', () => {
  const path = new URL('../../../../config/dovegate.schema.json', import.meta.url);
  assert.equal(readFileSync(path, 'utf8'), formatJsonSchema());
});

void test('docs/settings.md is what the code gives (else: npm run build:test, node scripts/make-settings.mjs)', async () => {
  const root = new URL('../../../../', import.meta.url);
  const script: { formatSettingsPage(): string } = await import(
    new URL('scripts/settings-page.mjs', root).href
  );
  // The widths of columns are the formatter's.
  const plain = (page: string): string => page.replace(/ +\|/g, ' |').replace(/-{3,}/g, '---');
  const page = readFileSync(new URL('docs/settings.md', root), 'utf8');
  assert.equal(plain(page), plain(script.formatSettingsPage()));
});
