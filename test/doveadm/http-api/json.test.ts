// The JSON reader agrees with JSON.parse about what is JSON, except where it is stricter on purpose; and no cut of the bytes matters.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { JsonReader, type JsonSink } from '../../../src/doveadm/http-api/json.js';
import { chunkings } from '../../kit/plain/chunkings.js';
import { isJson } from '../../kit/plain/json-form.js';

type Event = readonly (string | number)[];

interface Reading {
  readonly events: readonly Event[];
  readonly error: string | undefined;
}

const limits = { depthMax: 4, stringBytesMax: 40 };

function readOfJson(
  chunks: readonly Buffer[],
  { depthMax, stringBytesMax } = limits,
  asPlaces = false,
): Reading {
  const events: Event[] = [];
  const note = (...event: Event): undefined => {
    events.push(event);
  };
  const sink: JsonSink = {
    open: (kind, depth) => note('open', kind, depth),
    close: (depth) => note('close', depth),
    member: (name) => note('member', name),
    string: (text) => note('string', text),
    place: (from, to) => note('place', from, to),
    number: (text) => note('number', text),
    literal: (word) => note('literal', word),
    takesPlace: () => asPlaces,
  };
  const reader = new JsonReader(sink, { depthMax, stringBytesMax });
  for (const chunk of chunks) if (reader.push(chunk) !== undefined) break;
  return { events, error: reader.end() };
}

const errors: readonly (readonly [text: string | Buffer, error: string])[] = [
  ['', 'JSON text has no value'],
  [' \n', 'JSON text has no value'],
  ['[', 'Encountered end of input inside array'],
  ['[1,', 'Encountered end of input inside array'],
  ['{', 'Encountered end of input inside object'],
  ['{"a"', 'Encountered end of input inside object'],
  ['["a', 'Encountered end of input inside string'],
  ['["\\', 'Encountered end of input inside string'],
  ['-', 'Encountered end of input inside number'],
  ['[1.', 'Encountered end of input inside number'],
  ['[] x', 'Spurious data at end of JSON text'],
  ['[][]', 'Spurious data at end of JSON text'],
  ['[1 2]', "Expected ',' or ']', but encountered '2'"],
  ['{"a":1]', "Expected ',' or '}', but encountered ']'"],
  ['{"a" 1}', "Expected ':', but encountered '1'"],
  ['{a:1}', "Expected string, but encountered 'a'"],
  ['{"a":1,}', "Expected string, but encountered '}'"],
  ['[1,]', "Expected value, but encountered ']'"],
  ['[,1]', "Expected value, but encountered ','"],
  ['[+1]', "Expected value, but encountered '+'"],
  ...['1-2', '1+2', '0-1', '1.5-1', '1e5-1', '1e5+1'].map(
    (two) => [`[${two}]`, `Expected ',' or ']', but encountered '${two.at(-2)}'`] as const,
  ),
  ['[1e5e1]', "Expected ',' or ']', but encountered 'e'"],
  ['[1.5.1]', "Expected ',' or ']', but encountered '.'"],
  ['[1e5.1]', "Expected ',' or ']', but encountered '.'"],
  ...['1.-', '1..', '1e.', '1ee', '1e+-', '1e-.', '--', '-.', '-e'].map(
    (part) => [`[${part}1]`, `Expected digit, but encountered '${part.at(-1)}'`] as const,
  ),
  ['[01]', 'Numbers cannot have leading zeros'],
  ['[1.e]', "Expected digit, but encountered 'e'"],
  ['[-a]', "Expected digit, but encountered 'a'"],
  ['[trux]', "Expected value 'true', but encountered 'tru' + 'x'"],
  ['["\\x"]', "Invalid escape sequence '\\' + 'x'"],
  ...['g', 'G', '@', '`', ':', '/'].map(
    (digit) => [`["\\u00${digit}0"]`, `Invalid digit '${digit}' in Unicode escape sequence`] as const,
  ),
  ['["\\u0000"]', 'String contains escaped NUL character'],
  ['["\0"]', 'String contains invalid character <NUL>'],
  ['["a\nb"]', 'String contains invalid character <LF>'],
  ['["\t"]', 'String contains invalid character <TAB>'],
  ['["\r"]', 'String contains invalid character <CR>'],
  ['["\b"]', 'String contains invalid character U+0008'],
  ['[\x7f]', 'Expected value, but encountered U+007F'],
  ['[~]', "Expected value, but encountered '~'"],
  ['["\x1f"]', 'String contains invalid character U+001F'],
  ['["\\ud800"]', "String contains lonely Unicode high surrogate '\\uD800'"],
  ['["\\ud800x"]', "String contains lonely Unicode high surrogate '\\uD800'"],
  ['["\\ud800\u00e9"]', "String contains lonely Unicode high surrogate '\\uD800'"],
  ['["\\ud800\\n"]', "String contains lonely Unicode high surrogate '\\uD800'"],
  ['["\\ud800\\ud800"]', "String contains lonely Unicode high surrogate '\\uD800'"],
  ['["\\udc00"]', "String contains lonely Unicode low surrogate '\\uDC00'"],
  ['[[[[[]]]]]', 'Data is nested too deep (max 4 levels)'],
  [`["${'x'.repeat(41)}"]`, 'Excessive string size (> 40)'],
  [`["${'\\u00e9'.repeat(21)}"]`, 'Excessive string size (> 40)'],
  [`{"${'x'.repeat(41)}":1}`, 'Excessive string size (> 40)'],
  [`[${'1'.repeat(257)}]`, 'Excessive number string size'],
  [Buffer.of(0xef, 0xbb, 0xbf, 0x5b, 0x5d), 'Expected value, but encountered a character that is not ASCII'],
  ...[
    [0x80],
    [0xc0, 0x80],
    [0xc1, 0xbf],
    [0xe0, 0x9f, 0xbf],
    [0xed, 0xa0, 0x80],
    [0xf0, 0x8f, 0xbf, 0xbf],
  ].map((bytes) => [inString(bytes), 'Invalid UTF-8 character'] as const),
  ...[[0xf4, 0x90, 0x80, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xff], [0xc3], [0xe2, 0x82], [0xc3, 0xc3]].map(
    (bytes) => [inString(bytes), 'Invalid UTF-8 character'] as const,
  ),
];

function inString(bytes: readonly number[]): Buffer {
  return Buffer.from([0x5b, 0x22, ...bytes, 0x22, 0x5d]);
}

// bounds.jsonNumberBytes
void test('what is no JSON has one error, whatever the cuts are', () => {
  for (const [text, error] of errors) {
    const bytes = Buffer.from(text);
    const whole = readOfJson([bytes]);
    assert.equal(whole.error, `JSON parse error: ${error}`, bytes.toString());
    // None of them has a whole string, and a name only where more follows.
    assert.ok(!whole.events.some(([kind]) => kind === 'string'), bytes.toString());
    assert.ok(
      !/character|surrogate|sequence|string size/.test(error) ||
        !whole.events.some(([kind]) => kind === 'member'),
    );
    for (const { name, chunks } of chunkings(bytes))
      assert.deepEqual(readOfJson(chunks), whole, `${bytes.toString()} ${name}`);
  }
});

void test('blanks, and every kind of character, escaped or not, is read as JSON.parse reads it', () => {
  const inside = '\\"\\\\\\/\\b\\f\\n\\r\\t \x7f\u00e9\ud7ff\ue000\uffff\u{1f600}\u{10ffff}';
  const escaped = '\\u0001\\u007f\\u00E9\\ud7ff\\ue000\\uFFFF\\ud800\\udc00\\udbff\\udfff';
  for (const text of [inside, escaped]) {
    const bytes = Buffer.from(` \t\r\n["${text}"] \t\r\n`);
    const [value]: string[] = JSON.parse(bytes.toString());
    const events = [
      ['open', 'list', 1],
      ['string', value],
      ['close', 1],
    ];
    const expected = { events, error: undefined };
    const sizes = { depthMax: 4, stringBytesMax: Buffer.byteLength(value ?? '') };
    for (const { name, chunks } of chunkings(bytes))
      assert.deepEqual(readOfJson(chunks, sizes), expected, name);
    const tight = { ...sizes, stringBytesMax: sizes.stringBytesMax - 1 };
    assert.match(readOfJson([bytes], tight).error ?? '', /Excessive string size/);
  }
});

void test('it agrees with JSON.parse, but for what it refuses on purpose', () => {
  const piece = fc.constantFrom(
    ...'[ ] { } : , " "a" 1 0 - . e true false null \\ \\u \\ud83d \\udc00 00e9 \u00e9 \n'.split(' '),
    '\n',
    '\t',
  );
  const soup = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
  const value = fc.json({ maxDepth: 6 });
  fc.assert(
    fc.property(fc.oneof(soup, value), (text) => {
      const { error } = readOfJson([Buffer.from(text)], { depthMax: 64, stringBytesMax: 65_536 });
      // An error that JSON.parse does not know may stand in front of one that it knows.
      if (!/NUL|lonely/.test(error ?? ''))
        assert.equal(error === undefined, isJson(text), `${text}: ${error}`);
    }),
    { numRuns: 3000 },
  );
});
