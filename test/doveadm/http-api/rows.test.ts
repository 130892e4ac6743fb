// Rows: byte for byte as Dovecot prints them, in every cut of the reply; and what was not whole is never made whole.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  type AnswerErrorType,
  answersBegin,
  answersBetween,
  answersEnd,
  encodeError,
  responseBegin,
  responseEnd,
} from '../../../src/doveadm/http-api/answer.js';
import {
  type AnswerColumn,
  type AnswerEncoder,
  createJsonEncoder,
  createObjectsEncoder,
  createRowsEncoder,
  createUserFilter,
  quote,
  usernameColumn,
} from '../../../src/doveadm/http-api/rows.js';
import { escapeText } from '../../../src/doveadm/protocol/lines.js';
import { chunkings, cutEvery } from '../../kit/plain/chunkings.js';

function columns(...keys: readonly string[]): AnswerColumn[] {
  return keys.map((key) => ({ key: key.replace('#', ''), isNumber: key.endsWith('#') }));
}

/** What is no UTF-8 throws. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Undefined: not whole. */
function encode(encoder: AnswerEncoder, chunks: readonly Buffer[]): string | undefined {
  const pieces = chunks.map((chunk) => encoder.push(chunk));
  const rest = encoder.end();
  return rest === undefined ? undefined : utf8.decode(Buffer.concat(pieces)) + rest;
}

/** Byte for byte, whether a row is incomplete: `s` within a row, `-` between rows. */
function withinRow(encoder: AnswerEncoder, body: string): string {
  return cutEvery(Buffer.from(body), 1).reduce((seen, byte) => {
    encoder.push(byte);
    return seen + (encoder.isWithinRow ? 's' : '-');
  }, '');
}

/** The same in every cut. */
function rows(keys: readonly AnswerColumn[], body: string | Buffer): string | undefined {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const whole = encode(createRowsEncoder(keys), [bytes]);
  for (const { name, chunks } of chunkings(bytes))
    assert.equal(encode(createRowsEncoder(keys), chunks), whole, name);
  return whole;
}

void test('rows as Dovecot prints them', () => {
  assert.equal(
    rows(columns('mailbox', 'messages', 'vsize'), 'Archive\t0\t0\tINBOX\t4\t73164\t'),
    '[{"mailbox":"Archive","messages":"0","vsize":"0"},{"mailbox":"INBOX","messages":"4","vsize":"73164"}]',
  );
  assert.equal(
    rows(columns('uid', 'flags', 'hdr.subject', 'size.physical'), '2\t\\Recent\tgr\u00fc\u00dfe\t260\t'),
    '[{"uid":"2","flags":"\\\\Recent","hdr.subject":"gr\u00fc\u00dfe","size.physical":"260"}]',
  );
  const script = '[{"sieve script":"require [\\"fileinto\\"];\\nfileinto \\"Archive\\";\\n"}]';
  assert.equal(rows(columns('sieve script'), 'require ["fileinto"];\x01nfileinto "Archive";\x01n\t'), script);
  const withUser = '[{"username":"alice@example.org","mailbox":"INBOX"}]';
  assert.equal(rows([usernameColumn, ...columns('mailbox')], 'alice@example.org\tINBOX\t'), withUser);
  assert.equal(rows(columns('mailbox'), ''), '[]');
  assert.equal(rows([], ''), '[]');
});

void test('of the rows of all users those that pass, in every cut', () => {
  const keys = [usernameColumn, ...columns('mailbox', 'messages#')];
  const filtered = (): AnswerEncoder =>
    createUserFilter(createRowsEncoder(keys), keys.length, (name) => name.startsWith('a'));
  assert.equal(withinRow(filtered(), 'a\tb\t1\tb\t\t\ta'), 'sssss-sss-s');
  const body = Buffer.from('alice\tINBOX\t1\tbob\talice\t2\talice\tSent\x01t\t3\tcarol\t\t0\t');
  const expected =
    '[{"username":"alice","mailbox":"INBOX","messages":1},{"username":"alice","mailbox":"Sent\\t","messages":3}]';
  for (const { name, chunks } of chunkings(body)) assert.equal(encode(filtered(), chunks), expected, name);
  assert.equal(encode(filtered(), [Buffer.from('bob\tINBOX\t1\t')]), '[]');
  assert.equal(encode(filtered(), []), '[]');
  for (const cut of ['bob', 'bob\t', 'bob\tINBOX\t', 'alice\tINBOX\t'])
    assert.equal(encode(filtered(), [Buffer.from(cut)]), undefined, cut);
  const most = 'a'.repeat(1 * 1024 - 1);
  for (const [name, isKept] of [
    [most, true],
    [`${most}a`, false],
    ['a'.repeat(1_000_000), false],
  ] as const) {
    const chunks = [name.slice(0, 7), name.slice(7), '\tINBOX\t1\t'].map((text) => Buffer.from(text));
    assert.equal(encode(filtered(), chunks) !== '[]', isKept, `${name.length}`);
  }
});

void test('escapes of cells and of JSON', () => {
  assert.equal(
    rows(columns('a'), 'x\x010\x01t\x01r\x01n\x011\b\f"\\/\x1f\x7f\u2028\u2029\x01z\u{1f600}\t'),
    '[{"a":"x\\u0000\\t\\r\\n\\u0001\\b\\f\\"\\\\/\\u001F\x7f\\u2028\\u2029z\u{1f600}"}]',
  );
  // A SOH at the end of a cell is nothing; SOH SOH is a SOH.
  assert.equal(rows(columns('a'), 'x\x01\t\x01\x01\t'), '[{"a":"x"},{"a":"\\u0001"}]');
  assert.equal(rows(columns('"\n'), '\t'), '[{"\\"\\n":""}]');
});

void test('each byte that is no UTF-8 becomes U+FFFD', () => {
  const cases: readonly (readonly [bytes: readonly number[], text: string])[] = [
    [[0xff], '\ufffd'],
    [[0xc3], '\ufffd'],
    [[0xe2, 0x82], '\ufffd\ufffd'],
    [[0xe2, 0x82, 0xac], '\u20ac'],
    [[0xf0, 0x9f, 0x98, 0x41], '\ufffd\ufffd\ufffdA'],
    [[0xed, 0xa0, 0x80], '\ufffd\ufffd\ufffd'],
    [[0xe0, 0x9f, 0xbf], '\ufffd\ufffd\ufffd'],
    [[0xf0, 0x8f, 0xbf, 0xbf], '\ufffd\ufffd\ufffd\ufffd'],
    [[0xe0, 0xa0, 0x80], '\u0800'],
    [[0xf0, 0x90, 0x80, 0x80], '\u{10000}'],
    [[0xc0, 0x80], '\ufffd\ufffd'],
    [[0xf4, 0x90, 0x80, 0x80], '\ufffd\ufffd\ufffd\ufffd'],
    [[0xef, 0xbf, 0xbd], '\ufffd'],
    [[0xef, 0xbb, 0xbf], '\ufeff'],
  ];
  for (const [bytes, text] of cases)
    assert.equal(rows(columns('a', 'b'), Buffer.from([...bytes, 9, 0x41, 9])), `[{"a":"${text}","b":"A"}]`);
});

void test('a reply that ends within a cell or a row is not whole', () => {
  for (const body of ['x', 'x\t', 'x\ty', 'x\ty\tx', 'x\ty\tx\t', '\x01', 'x\ty\t\x01', '\xc3'])
    assert.equal(rows(columns('a', 'b'), Buffer.from(body, 'latin1')), undefined, JSON.stringify(body));
  assert.equal(rows([], '\t'), undefined);
  assert.equal(withinRow(createRowsEncoder(columns('a', 'b#')), 'x\t1\t\t\xc3\t'), 'sss-sss-');
  assert.equal(withinRow(createJsonEncoder(), '{}'), '--');
});

void test('of answers of the gate the objects, as a list or the only one', () => {
  for (const [isList, body, json] of [
    [true, '', '[]'],
    [true, 'a\t{"b":1}\t', '[{"b":1}]'],
    [true, 'a\t{"b":"\x01t"}\tc\t{}\td\t{}\t', '[{"b":"\t"},{},{}]'],
    [false, 'a\t{"b":1}\t', '{"b":1}'],
    [false, '', undefined],
    [false, 'a\t{}\tb\t{}\t', undefined],
    ...['a', 'a\t', 'a\t{}', 'a\t{}\tb'].flatMap((cut) =>
      [true, false].map((each) => [each, cut, undefined] as const),
    ),
  ] as const)
    for (const { name, chunks } of chunkings(Buffer.from(body)))
      assert.equal(encode(createObjectsEncoder(isList), chunks), json, `${body} ${name}`);
  assert.equal(withinRow(createObjectsEncoder(true), 'a\t{}\t\tb\t'), 'ssss-ss-');
});

void test('whatever a server sends, what is whole is JSON with the rows that were sent', () => {
  const odd = fc.constantFrom('1', '-', '', '\0', '\x01', '\u2028', '"');
  const cell = fc.oneof(fc.string({ unit: 'binary' }), odd);
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 4 }), (sent) => {
      const body = sent.map((row) => row.map((each) => `${escapeText(each)}\t`).join('')).join('');
      const json = encode(createRowsEncoder(columns('a', 'b#')), [Buffer.from(body)]);
      const plain = (text: string): string => Buffer.from(text).toString();
      const valueOf = (text: string) => (/^(?:0|[1-9]\d*)$/.test(text) ? Number(text) : plain(text));
      const expected = sent.map(([a, b]) => ({ a: plain(a), b: valueOf(b) }));
      assert.deepEqual(JSON.parse(json ?? ''), expected);
    }),
  );
});

void test('the JSON of user goes through as it is, and only whole', () => {
  const whole = '{"alice@example.org":{"uid":"5000","home":"/srv/m\u00fc\\n"}}';
  for (const { name, chunks } of chunkings(Buffer.from(whole)))
    assert.equal(encode(createJsonEncoder(), chunks), whole, name);
  assert.equal(encode(createJsonEncoder(), [Buffer.from('{"userList":["a"]}')]), '{"userList":["a"]}');
  assert.equal(encode(createJsonEncoder(), [Buffer.from('{"a":"\xff"}', 'latin1')]), '{"a":"\ufffd"}');
  for (const broken of ' { {"a": {"a":{"b":"c"} {}{} {"a":"\n"} x {"a":"\xc3 cell\t'.split(' '))
    assert.equal(encode(createJsonEncoder(), [Buffer.from(broken, 'latin1')]), undefined, broken);
});

void test('a text as a string of JSON', () => {
  const quoted = '"a\\"\\\\\\n\\u001F\x7f\\u2028\\u2029\u00fc\u{1f600}\\\\u001f"';
  assert.equal(quote('a"\\\n\x1f\x7f\u2028\u2029\u00fc\u{1f600}\\u001f'), quoted);
});

void test('the JSON of user is nested so deep, and has names so long, and no more', () => {
  const deep = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
  const named = (length: number): string => `{"${'n'.repeat(length)}":1}`;
  const whole = (text: string): string | undefined => encode(createJsonEncoder(), [Buffer.from(text)]);
  for (const text of [deep(32), named(64 * 1024)]) assert.equal(whole(text), text);
  for (const text of [deep(32 + 1), named(64 * 1024 + 1)]) assert.equal(whole(text), undefined);
});

// What stands around the rows of an answer, and an answer that is an error: byte for byte, since programs read it.

const none = { exitCode: 1, code: 'c', message: undefined, id: undefined };

test('two answers, one of them an error', () => {
  const error = encodeError({ ...none, type: 'exitCode' }, 't2');
  assert.equal(
    `${answersBegin}${responseBegin}[]${responseEnd('t"1')}${answersBetween}${error}${answersEnd}`,
    '[["doveadmResponse",[],"t\\"1"],["error",{"type":"exitCode","exitCode":1,"code":"c"},"t2"]]',
  );
});

test('an error has what is known of it, in this order', () => {
  const all = { exitCode: 75, code: 'busy', message: 'a "b"', retryAfterS: 0, id: 'I"' };
  assert.equal(
    encodeError({ ...all, type: 'internalError' }, '"'),
    '["error",{"type":"internalError","exitCode":75,"code":"busy","message":"a \\"b\\"","retryAfter":0,"id":"I\\""},"\\""]',
  );
  const types: AnswerErrorType[] = ['unknownMethod', 'unAuthorized', 'invalidRequest'];
  for (const type of types) assert.ok(encodeError({ ...none, type }, 't').includes(`{"type":"${type}",`));
});
