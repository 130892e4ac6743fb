// Every command of the catalog as JSON: names as Dovecot spells them, values of their types, and nothing that JSON cannot say.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { SessionFault } from '../../src/client/connect.js';
import { type JsonCommand, type JsonParameter, jsonFormsOf } from '../../src/client/json-command.js';
import { allSeries, resolveCommand } from '../../src/doveadm/commands/catalog.js';
import { jsonName } from '../../src/doveadm/commands/named.js';
import { parseArguments, parseNamed } from '../../src/doveadm/commands/parse.js';
import { canonicalArguments } from '../../src/doveadm/meaning/canonical.js';
import type { JsonValue } from '../../src/doveadm/protocol/command.js';
import { projectRoot } from '../kit/plain/root.js';

/** The words of a line, its name in JSON, and its parameters as YAML. */
const cases = `
quota get => quotaGet {}
mailbox status|messages vsize|INBOX|Archive => mailboxStatus { field: [messages, vsize], mailboxMask: [INBOX, Archive] }
fetch|uid flags|mailbox|INBOX|all => fetch { field: [uid, flags], query: [mailbox, INBOX, all] }
mailbox delete|-r|-s|A|B => mailboxDelete { subscriptions: true, recursive: true, mailbox: [A, B] }
force-resync|* => forceResync { mailboxMask: "*" }
move|Archive|user|bob|mailbox|INBOX|all => move { destinationMailbox: Archive, sourceUser: bob, query: [mailbox, INBOX, all] }
flags add|\\Seen \\Flagged|mailbox|INBOX => flagsAdd { flag: [\\Seen, \\Flagged], query: [mailbox, INBOX] }
mailbox metadata set|-s||/private/x|y => mailboxMetadataSet { allowEmptyMailboxName: true, mailbox: "", key: /private/x, value: y }
search|mailbox|INBOX|uid|1:2 => search { query: [mailbox, INBOX, uid, "1:2"] }
`
  .trim()
  .split('\n')
  .map((row): [words: string, name: string, parameters: Record<string, JsonParameter>] => {
    const [, words = '', name = '', yaml = ''] = /^(.+) => (\w+) (.+)$/.exec(row) ?? assert.fail(row);
    return [words, name, { user: 'alice', ...parse(yaml) }];
  })
  .concat([
    ['who|alice', 'who', { mask: ['alice'] }],
    ['user|-f|home|alice', 'user', { field: 'home', userMask: ['alice'] }],
    ['mailbox list|-A', 'mailboxList', { allUsers: true }],
    // Only 2.3 has it.
    ['director status', 'directorStatus', {}],
  ]);

void test('commands by name and parameters', () => {
  for (const [words, name, parameters] of cases) {
    const [command = '', ...args] = words.split('|');
    const [json] = jsonFormsOf({ user: 'alice', name: command, args });
    assert.ok(json);
    assert.equal(json.name, name);
    assert.deepEqual(json.parameters, parameters, words);
  }
});

void test('a mask is no user: the server would take it for everybody', () => {
  for (const user of ['*', '*@example.org', 'a?'])
    assert.throws(
      () => jsonFormsOf({ user, name: 'expunge', args: ['all'] }),
      (fault) => fault instanceof SessionFault && fault.code === 'unsendable',
    );
  assert.deepEqual(jsonFormsOf({ name: 'quota get', args: ['-A'] })[0]?.parameters, { allUsers: true });
});

void test('the keys of rows, where they are known', () => {
  const keys = ['root', 'type', 'value', 'limit', 'percent'];
  assert.deepEqual(jsonFormsOf({ user: 'alice', name: 'quota get' })[0]?.keys, keys);
  assert.equal(jsonFormsOf({ name: 'quota get', args: ['-A'] })[0]?.keys, undefined);
  assert.equal(jsonFormsOf({ name: 'user', args: ['alice'] })[0]?.keys, undefined);
  assert.ok(jsonFormsOf({ user: 'alice', name: 'save' })[0]?.takesInput);
});

const preset = z.object({
  tests: z.object({
    cases: z.array(z.looseObject({ command: z.array(z.union([z.string(), z.number()])) })),
  }),
});

/** The lines that the tests of the shipped presets judge, and those above. */
function corpus(): string[][] {
  const folder = new URL('config/presets/', projectRoot);
  const lines = readdirSync(folder).flatMap((file) => {
    const { tests } = preset.parse(parse(readFileSync(new URL(file, folder), 'utf8')));
    return tests.cases.map(({ command }) => command.map(String));
  });
  return [...lines, ...cases.map(([words]) => words.split('|'))];
}

void test('the gate reads the JSON of a line as it reads the line itself, on both series', () => {
  let compared = 0;
  for (const words of corpus()) {
    for (const series of allSeries) {
      const found = resolveCommand(series, words);
      const line = found && parseArguments(series, found.command, found.args);
      if (found === undefined || line?.kind !== 'parsed') continue;
      const forms = formsIfSendable(found.command.name, found.args);
      // Of the series that has other names, the second one.
      const json = series === '2.3' ? forms.at(-1) : forms[0];
      if (json === undefined) continue;
      const named = Object.entries(json.parameters).map(([name, value]) => ({ name, value: valueOf(value) }));
      if (json.takesInput) named.push({ name: 'file', value: { kind: 'span', from: 0, to: 0 } });
      const read = parseNamed(series, found.command, named);
      assert.equal(jsonName(found.command.name), json.name);
      assert.ok(read.kind === 'parsed', `${words.join(' ')}: ${JSON.stringify(read)}`);
      assert.deepEqual(canonicalArguments(read), canonicalArguments(line), words.join(' '));
      compared += 1;
    }
  }
  assert.ok(compared > 400, String(compared));
});

/** None: a conversation, or a file of the server, which HTTP has not. */
function formsIfSendable(name: string, args: readonly string[]): readonly JsonCommand[] {
  try {
    return jsonFormsOf({ user: 'alice', name, args });
  } catch (fault) {
    assert.ok(fault instanceof SessionFault && /both ways|never a file/.test(fault.message), String(fault));
    return [];
  }
}

function valueOf(value: JsonParameter): JsonValue {
  if (value === true) return { kind: 'true' };
  return typeof value === 'string' ? { kind: 'string', text: value } : { kind: 'list', items: value };
}
