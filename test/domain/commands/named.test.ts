// Names of commands and parameters in JSON, and their values, as /doveadm/v1 takes them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { allSeries, commandNamed, commandsOf, type Series } from '../../../src/domain/commands/catalog.js';
import type { UnparsableCode } from '../../../src/domain/commands/getopt.js';
import {
  errorTypeOf,
  hasFile,
  keyOfNamed,
  readNamedCommand,
  userMaskOf,
} from '../../../src/domain/commands/named.js';
import { parseNamed } from '../../../src/domain/commands/parse.js';
import type { NamedParameter } from '../../../src/protocol/command.js';
import { RequestDecoder } from '../../../src/protocol/http-api/request.js';

/** Parameters as they stand in JSON, where one may come twice. */
function parameters(json: string): readonly NamedParameter[] {
  const decoder = new RequestDecoder({ commandsMax: 1 });
  decoder.push(Buffer.from(`[["x",${json},"t"]]`));
  const read = decoder.end();
  if (read.kind === 'bad') throw new Error(read.text);
  return read.commands[0]?.parameters ?? [];
}

function badText(name: string, json: string): string | undefined {
  const read = readNamedCommand({ name, parameters: parameters(json) });
  return read.kind === 'bad' ? read.text : undefined;
}

/** The values, or the code of the refusal. */
function values(
  series: Series,
  name: string,
  json: string,
): Record<string, readonly string[]> | UnparsableCode {
  const command = commandNamed(series, name);
  assert.ok(command, name);
  const read = parseNamed(series, command, parameters(json));
  return read.kind === 'parsed' ? Object.fromEntries(read.values) : read.code;
}

function wordsOf(name: string): readonly string[] {
  const read = readNamedCommand({ name, parameters: [] });
  return read.kind === 'line' ? read.line.words : [];
}

void test('a name in three spellings and their mixtures, letters in their case', () => {
  for (const name of ['mailboxStatus', 'mailbox status', 'mailbox-status'])
    assert.deepEqual(wordsOf(name), ['mailbox status']);
  for (const name of ['mailFsIterDirs', 'mail fsIter-dirs', 'mail-fs iterDirs'])
    assert.deepEqual(wordsOf(name), ['mail fs iter-dirs']);
  for (const name of [
    'MailboxStatus',
    'mailboxstatus',
    'mailbox  status',
    'mailbox Status',
    'mailbox_status',
    '',
  ])
    assert.deepEqual(wordsOf(name), [name]);
});

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

void test('what is a 400 for the whole request', () => {
  const cases: readonly (readonly [name: string, json: string, text: string | undefined])[] = [
    ['mailboxList', '{"user":"a","user":"a"}', "Parameter `user' is duplicated"],
    ['mailboxStatus', '{"mailboxMask":"a","mailbox-mask":"a"}', "Parameter `mailbox-mask' is duplicated"],
    ['authCacheFlush', '{"user":["a"],"userMask":["a"]}', "Parameter `user' is duplicated"],
    ['mailboxList', '{"mutf7":"yes"}', "Parameter `mutf7' must be `true' or `false', not `yes'"],
    ['mailboxList', '{"mutf7":1}', "Parameter `mutf7' must be `true' or `false', not `1'"],
    ['mailboxList', '{"mutf7":null}', "Parameter `mutf7' must be `true' or `false', not `null'"],
    ['mailboxList', '{"mutf7":[]}', "Parameter `mutf7' must be `true' or `false'"],
    ['search', '{"query":["uid",1]}', 'Command parameter array can only containstring values'],
    ['search', '{"query":1}', "Parameter `query' must be string or array"],
    ['search', '{"query":{}}', "Parameter `query' must be string or array"],
    ['mailbox update', '{"uidValidity":[]}', undefined],
    ['save', '{"file":1}', "Parameter `file' must be a string"],
    // Behind an unknown parameter Dovecot reads nothing.
    ['mailboxList', '{"usr":1,"user":"a","user":"a"}', undefined],
    ['nope', '{"user":1,"user":2}', undefined],
    ['mailboxList', '{"user":{}}', undefined],
    ['mailboxList', '{"__proto__":1,"constructor":1}', undefined],
  ];
  for (const [name, json, text] of cases) assert.equal(badText(name, json), text, json);
});

void test('the user of a mail command is the user of the line; a mask and no user are none', () => {
  const lineOf = (json: string): string | undefined => {
    const read = readNamedCommand({ name: 'mailboxList', parameters: parameters(json) });
    return read.kind === 'line' ? read.line.user : undefined;
  };
  assert.equal(lineOf('{"user":"alice@example.org"}'), 'alice@example.org');
  assert.equal(lineOf('{"user":"alice","mailboxMask":"x"}'), 'alice');
  assert.equal(lineOf('{"user":12}'), '12');
  assert.equal(lineOf('{"user":"*"}'), '');
  assert.equal(lineOf('{}'), '');
  for (const series of allSeries) {
    assert.deepEqual(values(series, 'mailbox list', '{"user":"alice"}'), {});
    assert.deepEqual(values(series, 'mailbox list', '{"user":"*"}'), { 'all-users': ['true'] });
    assert.deepEqual(values(series, 'mailbox list', '{"allUsers":true}'), { 'all-users': ['true'] });
    assert.deepEqual(values(series, 'mailbox list', '{"user":"a*"}'), { 'all-users': ['true'] });
    assert.equal(values(series, 'mailbox create', '{"user":"a*","mailbox":"A"}'), 'not-over-http');
    assert.equal(values(series, 'mailbox list', '{"user":""}'), 'user-unknown');
    assert.equal(values(series, 'mailbox list', '{"user":"","x":"y"}'), 'unknown-option');
    assert.equal(values(series, 'mailbox list', '{}'), 'argument-missing');
    assert.equal(values(series, 'mailbox list', '{"allUsers":false}'), 'argument-missing');
    assert.equal(values(series, 'mailbox list', '{"user":["a"]}'), 'value-type');
  }
});

void test('types of values', () => {
  const u = '"user":"a"';
  const cases: readonly (readonly [name: string, json: string, expected: unknown])[] = [
    ['mailbox list', `{${u},"mutf7":true}`, { mutf7: ['true'] }],
    ['mailbox list', `{${u},"mutf7":"true"}`, { mutf7: ['true'] }],
    ['mailbox list', `{${u},"mutf7":false}`, {}],
    ['mailbox list', `{${u},"mutf7":"false"}`, {}],
    ['mailbox list', `{${u},"mutf7":"yes"}`, 'value-type'],
    ['mailbox list', `{${u},"mailboxMask":"a b"}`, { 'mailbox-mask': ['a b'] }],
    ['mailbox list', `{${u},"mailboxMask":[]}`, {}],
    ['mailbox list', `{${u},"mailboxMask":null}`, 'value-type'],
    ['mailbox list', `{${u},"u":"b"}`, 'unknown-option'],
    ['mailbox list', `{${u},"userMask":"b"}`, 'unknown-option'],
    ['mailbox list', `{${u},"__proto__":"b"}`, 'unknown-option'],
    ['mailbox update', `{${u},"mailbox":"A","uidValidity":7}`, { mailbox: ['A'], 'uid-validity': ['7'] }],
    ['mailbox update', `{${u},"mailbox":"A","uidValidity":"7"}`, { mailbox: ['A'], 'uid-validity': ['7'] }],
    ['mailbox update', `{${u},"mailbox":"A","uidValidity":"abc"}`, 'number-invalid'],
    ['mailbox update', `{${u},"mailbox":"A","uidValidity":7.0}`, 'number-invalid'],
    ['mailbox update', `{${u},"mailbox":"A","uidValidity":-1}`, 'number-invalid'],
    ['mailbox update', `{${u},"mailbox":5}`, { mailbox: ['5'] }],
    ['mailbox update', `{${u},"mailbox":true}`, 'value-type'],
    [
      'mailbox status',
      `{${u},"fieldstr":"messages unseen","mailboxMask":"A"}`,
      { field: ['messages', 'unseen'], 'mailbox-mask': ['A'] },
    ],
    [
      'mailbox status',
      `{${u},"field":["messages","unseen"],"mailboxMask":"A"}`,
      { field: ['messages', 'unseen'], 'mailbox-mask': ['A'] },
    ],
    [
      'mailbox status',
      `{${u},"field":["messages"],"fieldstr":"unseen","mailboxMask":"A"}`,
      'ambiguous-argument',
    ],
    ['dsync-server', `{${u}}`, 'kills-server'],
    ['save', `{${u}}`, 'argument-missing'],
    ['save', `{${u},"file":"x"}`, {}],
    ['search', `{${u},"query":["bogus"]}`, 'query-invalid'],
    ['search', `{${u}}`, 'argument-missing'],
    ['auth cache flush', '{}', 'kills-server'],
  ];
  for (const series of allSeries)
    for (const [name, json, expected] of cases)
      assert.deepEqual(values(series, name, json), expected, `${series} ${json}`);
});

void test('an unknown parameter is named, with the one that was meant', () => {
  const refusal = (name: string, json: string): string => {
    const read = parseNamed('2.4', commandNamed('2.4', name) ?? assert.fail(), parameters(json));
    return read.kind === 'parsed' ? assert.fail() : read.message;
  };
  const status = '"mailbox status" has no parameter';
  assert.equal(refusal('mailbox status', '{"feild":["vsize"]}'), `${status} "feild"; did you mean "field"?`);
  assert.equal(
    refusal('mailbox status', '{"mailboxmask":["a"]}'),
    `${status} "mailboxmask"; did you mean "mailboxMask"?`,
  );
  assert.equal(refusal('mailbox status', '{"colour":1}'), `${status} "colour"`);
  // Nothing that a terminal obeys, and no text without an end.
  for (const name of ['\\u001b[2J', '\\u202e', 'é', 'x'.repeat(65), ''])
    assert.equal(refusal('mailbox status', `{"${name}":1}`), `${status} of a name that is given`);
});

void test('the fields and flags of 2.3 are joined by blanks before they are read, those of 2.4 are one name each', () => {
  const u = '"user":"a"';
  const expected = { field: ['messages', 'vsize', 'unseen'], 'mailbox-mask': ['A'] };
  for (const fields of [
    '"messages vsize unseen"',
    '["messages vsize","unseen"]',
    '["messages  vsize","","unseen"]',
  ]) {
    const json = `{${u},"field":${fields},"mailboxMask":"A"}`;
    assert.deepEqual(values('2.3', 'mailbox status', json), expected, json);
    assert.equal(values('2.4', 'mailbox status', json), 'ambiguous-argument', json);
  }
  const flags = (list: string): unknown => values('2.3', 'flags add', `{${u},"flag":${list},"query":"all"}`);
  assert.deepEqual(flags('["work x","\\\\Seen"]'), { flag: ['work', 'x', '\\Seen'], query: ['all'] });
  assert.equal(flags('["work  x"]'), 'ambiguous-argument');
});

void test('a mask of users is for a line that only reads', () => {
  const maskOf = (name: string, json: string): string | undefined => {
    const read = readNamedCommand({ name, parameters: parameters(json) });
    return read.kind === 'line' ? userMaskOf(read.line) : undefined;
  };
  assert.equal(maskOf('mailbox list', '{"user":"A*@Example.org"}'), 'a*@example.org');
  assert.equal(maskOf('mailboxList', '{"user":"a?"}'), 'a?');
  assert.equal(maskOf('mailbox list', '{"user":"a*","allUsers":false}'), 'a*');
  for (const json of ['{"user":"*"}', '{"user":"a"}', '{"user":"a*","allUsers":true}', '{}'])
    assert.equal(maskOf('mailbox list', json), undefined, json);
  assert.equal(maskOf('who', '{"mask":"a*"}'), undefined);
});

void test('auth cache flush takes both names of its users on every series', () => {
  for (const name of ['user', 'userMask']) {
    assert.deepEqual(values('2.3', 'auth cache flush', `{"${name}":["a"]}`), { user: ['a'] });
    assert.deepEqual(values('2.4', 'auth cache flush', `{"${name}":"a"}`), { 'user-mask': ['a'] });
  }
});

void test('the source user of copy and move, and a query that would be taken for one', () => {
  const rest = '"user":"a","destinationMailbox":"B","query":["mailbox","A","all"]';
  for (const name of ['copy', 'move']) {
    const expected = { 'destination-mailbox': ['B'], 'source-user': ['c'], query: ['mailbox', 'A', 'all'] };
    assert.deepEqual(values('2.3', name, `{${rest},"sourceType":"user","sourceUser":"c"}`), expected);
    assert.deepEqual(values('2.3', name, `{${rest},"sourceUser":"c"}`), expected);
    assert.deepEqual(values('2.4', name, `{${rest},"sourceUser":"c"}`), expected);
    assert.equal(values('2.4', name, `{${rest},"sourceType":"user","sourceUser":"c"}`), 'unknown-option');
    assert.equal(values('2.3', name, `{${rest},"sourceType":"user"}`), 'ambiguous-argument');
    assert.equal(values('2.3', name, `{${rest},"sourceType":"x","sourceUser":"c"}`), 'ambiguous-argument');
    for (const series of allSeries)
      for (const word of ['user', 'USER', 'source-user'])
        assert.equal(
          values(
            series,
            name,
            `{"user":"a","destinationMailbox":"B","query":["${word}","c","mailbox","A","all"]}`,
          ),
          'query-invalid',
        );
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
    '{}',
    '{"a":"b"}',
    '{"a":1}',
    '{"a":2}',
    '{"a":"1"}',
    '{"a":["1"]}',
    '{"a":["1","2"]}',
    '{"a":[],"1":[]}',
    '{"a":true}',
    '{"a":"true"}',
    '{"a":null}',
    '{"a":[1]}',
    '{"a":{}}',
    '{"a":"","b":""}',
    '{"b":"","a":""}',
  ];
  const keys = all.map((json) => keyOfNamed(parameters(json)));
  assert.equal(new Set(keys).size, all.length);
});

// bounds.jsonValues, bounds.jsonTextChars
void test('a command has so many values, and so much text, and no more', () => {
  const query = (count: number, length: number): string =>
    JSON.stringify({ user: 'bob', query: Array.from({ length: count }, () => 'a'.repeat(length)) });
  assert.notEqual(values('2.4', 'search', query(bounds.jsonValues - 1, 1)), 'too-many');
  assert.equal(values('2.4', 'search', query(bounds.jsonValues, 1)), 'too-many');
  const long = bounds.jsonTextChars / 256;
  assert.notEqual(values('2.4', 'search', query(255, long)), 'too-long');
  assert.equal(values('2.4', 'search', query(256, long)), 'too-long');
});

void test('the text of a parameter file is the input of a command that takes one', () => {
  const file: NamedParameter = { name: 'file', value: { kind: 'span', from: 1, to: 5 } };
  const inputOf = (name: string): unknown => {
    const read = readNamedCommand({ name, parameters: [file] });
    return read.kind === 'line' ? read.input : read.kind;
  };
  assert.deepEqual([inputOf('save'), inputOf('mailbox list')], [file.value, undefined]);
  assert.deepEqual([hasFile([file]), hasFile(parameters('{"mailbox":"x"}'))], [true, false]);
});

void test('what cannot be said in JSON is refused in these words', () => {
  const messageOf = (name: string, json: string): string => {
    const read = parseNamed('2.4', commandNamed('2.4', name) ?? assert.fail(), parameters(json));
    return read.kind === 'parsed' ? read.kind : read.message;
  };
  assert.equal(
    messageOf('dsync-server', '{"user":"a"}'),
    '"dsync-server" speaks both ways, which JSON cannot',
  );
  assert.equal(
    messageOf('mailbox create', '{"user":"a*","mailbox":"A"}'),
    '"mailbox create" changes something, and names a mask of users',
  );
});
