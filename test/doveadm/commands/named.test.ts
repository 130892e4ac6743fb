// Names of commands and parameters in JSON, and their values, as /doveadm/v1 takes them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries, commandNamed, commandsOf, type Series } from '../../../src/doveadm/commands/catalog.js';
import {
  errorTypeOf,
  hasFile,
  keyOfNamed,
  readNamedCommand,
  userMaskOf,
} from '../../../src/doveadm/commands/named.js';
import { parseNamed } from '../../../src/doveadm/commands/parse.js';
import { RequestDecoder } from '../../../src/doveadm/http-api/request.js';
import type { JsonValue, NamedParameter } from '../../../src/doveadm/protocol/command.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { shownText, testAnswers, textOf } from './approved.js';

/** Parameters as they stand in JSON, where one may come twice. */
function parameters(json: string): readonly NamedParameter[] {
  const decoder = new RequestDecoder({ commandsMax: 1 });
  decoder.push(Buffer.from(`[["x",${json},"t"]]`));
  const read = decoder.end();
  if (read.kind === 'bad') throw new Error(read.text);
  return read.commands[0]?.parameters ?? [];
}

/**
 * What a request's command comes to: a 400, or the line that is judged, its user, input and mask of users, and what a server of the series
 * would find in it.
 */
function answerTo(series: Series, name: string, given: readonly NamedParameter[]): string {
  const read = readNamedCommand({ name, parameters: given });
  if (read.kind === 'bad') return `400 ${read.text}`;
  const { line, input } = read;
  const [word = ''] = line.words;
  assert.deepEqual(line, {
    debug: false,
    verbose: false,
    proxyTtl: undefined,
    user: line.user,
    words: [word],
    fault: undefined,
    named: given,
  });
  const mask = userMaskOf(line);
  const parts = [
    ...(word === name ? [] : [word]),
    ...(line.user === '' ? [] : [`user ${line.user}`]),
    ...(mask === undefined ? [] : [`users ${mask}`]),
    ...(input === undefined ? [] : [`input ${input.from} to ${input.to}`]),
  ];
  const command = commandNamed(series, word);
  if (command === undefined) return [...parts, 'no command'].join('; ');
  const parsed = parseNamed(series, command, given);
  if (parsed.kind === 'unparsable')
    return [...parts, `${parsed.code}: ${parsed.message} (${errorTypeOf(parsed.code)})`].join('; ');
  return [...parts, JSON.stringify(Object.fromEntries(parsed.values))].join('; ');
}

testAnswers('named.cases', 3, (series, [, name = '', shown = '']) => {
  const json = shown
    .replaceAll(/(\w)\{(\d+)\}/g, (_, sign: string, count: string) => sign.repeat(Number(count)))
    .replaceAll(/<\d+>/g, '"$&"');
  const given = parameters(json).map((each) => ({ ...each, value: meant(each.value) }));
  return shownText(answerTo(series, textOf(name), given));
});

/** What JSON does not have, or only for long texts. */
function meant(value: JsonValue): JsonValue {
  const textMeant = (text: string): string => text.replace('<NUL>', '\0');
  if (value.kind === 'list') return { kind: 'list', items: value.items.map(textMeant) };
  if (value.kind !== 'string') return value;
  const [, bytes] = /^<(\d+)>$/.exec(value.text) ?? [];
  return bytes === undefined
    ? { kind: 'string', text: textMeant(value.text) }
    : { kind: 'span', from: 0, to: Number(bytes) };
}

void test('no two commands of a series have the same spelling, nor two parameters of a command', () => {
  const spelled = (name: string): string => name.replaceAll('-', ' ');
  for (const series of allSeries) {
    const names = commandsOf(series).map(({ name }) => spelled(name));
    assert.equal(new Set(names).size, names.length);
    for (const { name, params } of commandsOf(series)) {
      const all = params.map((each) => spelled(each.name));
      assert.equal(new Set(all).size, all.length, name);
      assert.ok(!/[A-Z]|[- ]\d/.test([name, ...all].join(' ')), name);
    }
  }
});

void test('what a command gets that could not be read', () => {
  assert.equal(errorTypeOf('command-unknown'), 'unknownMethod');
  for (const code of ['unknown-option', 'value-type', 'number-invalid'] as const)
    assert.equal(errorTypeOf(code), 'invalidRequest');
  assert.equal(errorTypeOf('argument-missing'), 'exitCode');
});

void test('different parameters have different keys', () => {
  const all = [
    ...'{} {"a":"b"} {"a":1} {"a":2} {"a":"1"} {"a":["1"]} {"a":["1","2"]} {"a":["1","3"]}'.split(' '),
    ...'{"a":[],"1":[]} {"a":true} {"a":"true"} {"a":null} {"a":[1]} {"a":{}}'.split(' '),
    ...'{"a":"","b":""} {"b":"","a":""}'.split(' '),
  ];
  const keys = all.map((json) => keyOfNamed(parameters(json)));
  assert.equal(new Set(keys).size, all.length);
});

void test('a command has so many values, and so much text, and no more', () => {
  const command = commandNamed('2.4', 'mailbox list') ?? assert.fail();
  const answer = (masks: readonly string[]): string => {
    const read = parseNamed('2.4', command, [
      { name: 'user', value: { kind: 'string', text: 'bob' } },
      { name: 'mailboxMask', value: { kind: 'list', items: masks } },
    ]);
    return read.kind === 'parsed' ? read.kind : `${read.code}: ${read.message}`;
  };
  const ofValues = (count: number): string => answer(Array.from({ length: count }, () => 'a'));
  assert.match(ofValues(bounds.jsonValues - 1), /^too-many: "mailbox list" names more than 256 mailboxes/);
  const tooMany = `too-many: "mailbox list" is given more than ${bounds.jsonValues} values`;
  assert.equal(ofValues(bounds.jsonValues), tooMany);
  const ofLength = (chars: number): string => answer(['a', 'a'.repeat(chars - 'boba'.length)]);
  assert.match(ofLength(bounds.jsonTextChars), /^too-long: mailbox-mask has more than/);
  assert.equal(ofLength(bounds.jsonTextChars + 1), 'too-long: the values of "mailbox list" are too long');
});

void test('what a 400 keeps from the reader of parameters, it refuses too', () => {
  const command = commandNamed('2.4', 'save') ?? assert.fail();
  const file: NamedParameter = { name: 'file', value: { kind: 'span', from: 1, to: 5 } };
  const text: NamedParameter = { name: 'file', value: { kind: 'string', text: 'x' } };
  const user: NamedParameter = { name: 'user', value: { kind: 'string', text: 'bob' } };
  const answer = (given: readonly NamedParameter[]): string => {
    const read = parseNamed('2.4', command, given);
    return read.kind === 'parsed' ? read.kind : `${read.code}: ${read.message}`;
  };
  assert.equal(answer([user, file]), 'parsed');
  assert.equal(answer([user, file, file]), 'repeated-option: file is given twice');
  assert.equal(answer([user, user, file]), 'repeated-option: user is given twice');
  assert.equal(answer([user, text]), 'value-type: file must be a string');
});

void test('a command has a file or not', () => {
  const file: NamedParameter = { name: 'file', value: { kind: 'span', from: 1, to: 5 } };
  const others = parameters('{"mailbox":"x"}');
  assert.deepEqual([hasFile([...others, file]), hasFile(others), hasFile([])], [true, false, false]);
});
