// What JSON, requests and rows are read as, and the bytes held meanwhile: answers/*.txt, which a person approved.
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import {
  type AnswerErrorType,
  answersBegin,
  answersBetween,
  answersEnd,
  encodeError,
  responseBegin,
  responseEnd,
} from '../../../src/protocol/http-api/answer.js';
import { JsonReader, type JsonSink } from '../../../src/protocol/http-api/json.js';
import {
  hexDigit,
  isHighSurrogate,
  named,
  StringReader,
} from '../../../src/protocol/http-api/json-string.js';
import { RequestDecoder, SpanReader } from '../../../src/protocol/http-api/request.js';
import {
  type AnswerEncoder,
  createJsonEncoder,
  createRowsEncoder,
  createUserFilter,
  quote,
  usernameColumn,
} from '../../../src/protocol/http-api/rows.js';
import { type Asked, compareAnswers } from '../../kit/approved.js';
import { cut, outcome, plain, steps } from '../../kit/decoded.js';

const file = (name: string): string => `test/protocol/http-api/answers/${name}.txt`;
const json = JSON.stringify;

void test('JSON, its strings, and requests', () => {
  const read = (text: string, refused = '', isPlace = false): string => {
    const events: unknown[] = [];
    const note = (...event: readonly (string | number)[]): string | undefined => {
      events.push(event);
      return event[0] === refused ? `no ${refused}` : undefined;
    };
    const sink: JsonSink = {
      open: (kind, depth) => note('open', kind, depth),
      close: (depth) => note('close', depth),
      member: (name) => note('member', name),
      string: (value) => note('string', value),
      place: (from, to) => note('place', from, to),
      number: (value) => note('number', value),
      literal: (word) => note('literal', word),
      takesPlace: () => isPlace,
    };
    const reader = new JsonReader(sink, { depthMax: 3, stringBytesMax: 8 });
    return `${steps(reader, text, () => reader.end())}\n${json(events)}`;
  };
  const texts = [
    ' [ 1 , {"a":"b"} ,\ttrue,\r\nfalse,null ] ',
    '[1|2|,|-|0.5e+1|0]',
    '"ab|c|d"',
    '{"ab|c":"d|e"}|x',
    '12',
    '1|2',
    '1 ',
    '-',
    '-x',
    '-01',
    '00',
    '0.',
    '0.x',
    '0.1.',
    '1e',
    '1e5e',
    '1E-5',
    '1e+',
    '1e+x',
    '1.5E5.',
    '1x',
    '.5',
    '+1',
    '[]',
    '{}',
    '{"a":1,"b":2}',
    '{"a":1,}',
    '{"a":1]',
    '[1}',
    '[1,]',
    '{1}',
    '{"a"}',
    '{"a":}',
    '[{"a":[1]},2]',
    '[[[]]]',
    '[[[[',
    '[[[{',
    'true|x',
    't|r|u|e',
    'tru',
    'fals[',
    'nul\xff',
    'tx',
    '[',
    '[1',
    '["a',
    '{',
    '{"a',
    '{"a":',
    '{"a":1',
    '{"a":[1',
    '{"a":1,',
    '[1,',
    '[t',
    '[]]',
    '[] []',
    '',
    ' ',
    '"12345678"',
    '"123456789"',
    '{"123456789":1}',
    `[${'1'.repeat(bounds.jsonNumberBytes)}]`,
    `[${'1'.repeat(bounds.jsonNumberBytes + 1)}]`,
    `[-${'1'.repeat(bounds.jsonNumberBytes)}|]`,
    '\xef\xbb\xbf[]',
    '[\x7f]',
    '[\x1f]',
    '[\x0b]',
    '[\0]',
    '[a]',
  ];
  const refusals: readonly (readonly [string, string])[] = [
    ['open', '[1]'],
    ['close', '[1]'],
    ['close', '[1,x'],
    ['member', '{"a":x'],
    ['string', '["a" x'],
    ['number', '[1x'],
    ['number', '1'],
    ['literal', '[true x'],
  ];
  const strings = (text: string, isKept = true, bytesMax = 8): string => {
    const reader = new StringReader(bytesMax);
    reader.begin(isKept);
    const told = cut(text).map(
      (chunk) => `${reader.read(chunk, 0)} ${json(reader.error) ?? 'well'} ${reader.pendingBytes}`,
    );
    return [...told, json(reader.take())].join('\n');
  };
  const insides = [
    'ab"',
    'a|b|"c',
    '12345678"',
    '12345678|9',
    '1234567\\n"',
    '12345678\\n',
    '1234567\\u00e9',
    '123456\\u00e9"',
    '12345\\ud83d\\ude00',
    '1234\\ud83d\\ude00"',
    '\\"\\\\\\/\\b\\f\\n\\r\\t"',
    '\\|u|0|0|4|1|"',
    '\\u00E9\\u007f\\u0080"',
    '\\u0000',
    '\\u00g0',
    '\\u00\xff',
    '\\x',
    '\\\t',
    '\\\x7f',
    '\\\xff',
    '\\ud800"',
    '\\udbff|x',
    '\\ud800\\n',
    '\\ud800\\u0041',
    '\\ud800\\ud800',
    '\\ud800\n',
    '\\ud800\xc3\xa9',
    '\\udc00',
    '\\udfff',
    '\\ue000\\ud7ff"',
    '\\uDBFF\\uDFFF"',
    '\x1f',
    '\x20\x7f"',
    '\r',
    '\t',
    '\0',
    '\xc3\xa9"',
    '\xc3|\xa9"',
    '\xc3"',
    '\xc3\\',
    '\xc3\x7f',
    '\xc3\xc0',
    '\xc1',
    '\xc2\x80"',
    '\xe0\x9f',
    '\xe0\xa0\x80"',
    '\xe0\xbf\xbf\xe1\x80\x80"',
    '\xed\x9f\xbf"',
    '\xed\xa0',
    '\xef\xbf\xbf"',
    '\xf0\x8f',
    '\xf0\x90\x80\x80"',
    '\xf4\x8f\xbf\xbf"',
    '\xf4\x90',
    '\xf5',
    '\xe2\x82"',
    '\xf0\x9f\x98|\x80"',
    '1234567\xc3\xa9"',
    '12345678\xc3',
    '1234567|\xff',
  ];
  const decode = (text: string, commandsMax = 2): string => {
    const decoder = new RequestDecoder({ commandsMax });
    return steps(decoder, text, () => decoder.end());
  };
  const requests = [
    '[]',
    '[["a",{},""]]',
    '[["a",{"u":"x","n":1.50,"t":true,"f":false,"z":null},"t"],["b",{},"s"]]',
    '[["a",{},"1"],["a",{},"2"],["a",{},"3"]]',
    '[["a",{"l":["x","y"],"e":[],"m":["x",1],"n":[1,"x"],"o":{"file":"x"},"p":{},"q":[null]},"t"]]',
    '[["a",{"l":["x",1],"k":["y"],"o":{"a":1},"j":["z"]},"t"]]',
    '[["a",{"fi|le":"ab\\nc|d","file":["x"],"file":1,"files":"y"},"t"]]',
    '[["file",{"x":"y"},"file"]]',
    '[["a",{"file":{"file":"x"}},"t"]]',
    '[["a",{"u":"\xc3\xa9"},"t"]]',
    '[["a|bc",{"d|":"e|f"},"g|"]]',
    '{}',
    '"a"',
    '1|',
    'true',
    '[1,',
    '["a"',
    '[{',
    '[null',
    '[[]',
    '[["a"]',
    '[["a",{}]',
    '[["a",{},"t"|]',
    '[[{',
    '[[[',
    '[[1,',
    '[["a","b"',
    '[["a",[',
    '[["a",1,',
    '[["a",{},{',
    '[["a",{},[',
    '[["a",{},1,',
    '[["a",{},"t","u"',
    '[["a",{},"t",1,',
    '[["a",{},"t",{',
    '[["a",{},"t",[',
    '[["a",{"l":[[',
    '[["a",{"l":[{',
  ];
  const spans = [
    'plain',
    'a\\nb',
    'a|\\|n|b',
    '\\u00|e9',
    '\\ud83d|\\ude00x',
    '\\x',
    '\\u00g0',
    '\\',
    '\\u00',
    '\\ud83d',
    '\\ud83d\\n',
    '\\"\\\\\\/',
    '|a',
    '\\n|\xc3|\xa9',
  ];
  const span = (text: string): string => {
    const reader = new SpanReader();
    const told = cut(text).map((chunk) => outcome(() => reader.push(chunk)));
    return [...told, `end: ${outcome(() => reader.end())}`].join('\n');
  };
  compareAnswers(file('requests'), [
    ...texts.map((text): Asked => [`JSON ${json(text)}`, () => read(text)]),
    ...['["ab|c","",{"a|b":"c|d"}]', '"a\\u00e9b"', '"a|\xff"'].map(
      (text): Asked => [`JSON with places ${json(text)}`, () => read(text, '', true)],
    ),
    ...refusals.map(([word, text]): Asked => [`JSON, no ${word} ${json(text)}`, () => read(text, word)]),
    ['JSON, no place', () => read('["a"', 'place', true)],
    ...insides.map((text): Asked => [`string of 8 ${json(text)}`, () => strings(text)]),
    ...['123456789"', '\\u00e9123456789\\n"', '12345678|9\xff', '12345678\\ud800"'].map(
      (text): Asked => [`string, only checked ${json(text)}`, () => strings(text, false)],
    ),
    ['hexadecimal digits', () => Array.from('/09:@AFG`afg').map((one) => hexDigit(one.charCodeAt(0)))],
    ['high surrogates', () => [0xd7ff, 0xd800, 0xdbff, 0xdc00].map(isHighSurrogate)],
    ['names of bytes', () => [0, 8, 9, 10, 13, 31, 32, 126, 127, 128].map(named)],
    ...requests.map((text): Asked => [`request ${json(text)}`, () => decode(text)]),
    ...spans.map((text): Asked => [`span ${json(text)}`, () => span(text)]),
  ]);
});

// Millions of bytes: apart from the others, so that these stay quick.
void test('requests at their limit', () => {
  /** A request of just the limit, and one with so many characters more: each text counts twice its length and 64. */
  const large = (more: number): string => {
    const decoder = new RequestDecoder({ commandsMax: 1 });
    const each = 65_536;
    const full = Math.floor((bounds.jsonHeldBytes - 130) / (130 + 2 * each));
    const rest = bounds.jsonHeldBytes - 130 - full * (130 + 2 * each);
    decoder.push(Buffer.from('[["a",{'));
    for (let count = 0; count < full; count += 1) decoder.push(Buffer.from(`"b":"${'x'.repeat(each)}",`));
    const told = decoder.push(Buffer.from(`"b":"${'x'.repeat((rest - 130) / 2 + more)}"},""]]`));
    return plain([told, decoder.pendingBytes, decoder.end().kind]);
  };
  compareAnswers(file('limits'), [
    ['a request of just the limit', () => large(0)],
    ['a request of one character more', () => large(1)],
  ]);
});

void test('answers over HTTP', () => {
  const columns = (...keys: readonly string[]) =>
    keys.map((key) => ({ key: key.replace('#', ''), isNumber: key.endsWith('#') }));
  const encode = (encoder: AnswerEncoder, text: string): string => {
    const told = cut(text).map((chunk) => `${plain(encoder.push(chunk))} ${encoder.isWithinRow}`);
    return [...told, `end: ${plain(encoder.end())}`].join('\n');
  };
  const rows: readonly (readonly [string, string])[] = [
    ['a', ''],
    ['a', 'x\ty\t'],
    ['a b#', 'x\t1\ty|\t|-\t'],
    ['a# b', '1|2|\tx\t'],
    ['a# b#', '1\t2|\t'],
    ['a# b#', 'x\t\ty'],
    ['a#', '-|x\t'],
    ['a#', '1|\xff|\t'],
    ['a#', '\x01t\t'],
    ['a#', `${'1'.repeat(bounds.replyNumberBytes - 1)}|1\t`],
    ['a#', `${'1'.repeat(bounds.replyNumberBytes)}|1\t`],
    ['a#', `${'1'.repeat(bounds.replyNumberBytes + 1)}|1\t`],
    ['a#', '0\t-0\t01\t1.\t1.5\t.5\t1e5\t1E+5\t1e-05\t1e\t-\t--1\t 1\t1 \t'],
    ['a', 'x|\x01|n|\x01|\t'],
    ['a', '\x01\x01\x010\x011\x01t\x01r\x01n\x01x\t'],
    ['a', '"\\\b\f\n\r/\x1f\x7f\t'],
    ['a', '\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\xe2\x81\xa8\t'],
    ['a', '\xe2|\x80|\xa8\t'],
    ['a', '\xe2\x80|\t'],
    ['a', '\xc1\xc2\x80\xdf\xbf\xe0\x9f\xbf\xe0\xa0\x80\t'],
    ['a', '\xed\x9f\xbf\xed\xa0\x80\xef\xbf\xbf\t'],
    ['a', '\xf0\x8f\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xf4\x90\x80\x80\xf5\t'],
    ['a', '\xf0\x9f\x98\x80\xf0\x9f\x98x\xc3\xc3\xa9\t'],
    ['a', '\x01\xc3\xa9\x01\xff\t'],
    ['a', 'x\t\xc3'],
    ['a b', 'x\t'],
    ['"\u2028 c', 'x\ty\t'],
  ];
  const filtered = (text: string): string =>
    encode(
      createUserFilter(createRowsEncoder([usernameColumn, ...columns('b')]), 2, (name) =>
        name.startsWith('a'),
      ),
      text,
    );
  /** A cell longer than the buffer, with characters that become longer. */
  const long = (text: string): string => {
    const whole = createRowsEncoder(columns('a'))
      .push(Buffer.from(`${text}\t`, 'latin1'))
      .toString();
    const value: unknown = JSON.parse(`${whole}]`);
    return plain([whole.length, value]);
  };
  const types: AnswerErrorType[] = [
    'unknownMethod',
    'unAuthorized',
    'invalidRequest',
    'exitCode',
    'internalError',
  ];
  const none = { exitCode: 1, code: 'c', message: undefined, id: undefined };
  compareAnswers(file('http'), [
    ...rows.map(
      ([keys, text]): Asked => [
        `rows of ${json(keys)} ${json(text)}`,
        () => encode(createRowsEncoder(columns(...keys.split(' '))), text),
      ],
    ),
    ...['', '|', 'x', '\t'].map(
      (text): Asked => [`rows without columns ${json(text)}`, () => encode(createRowsEncoder([]), text)],
    ),
    ...['ann\tx\tbob\ty\ta\t\t', 'a|nn|\t|x|y|\t|b|ob\t|z', 'bob\t', 'a', 'a\t', 'a\tx\tb'].map(
      (text): Asked => [`rows of users with a ${json(text)}`, () => filtered(text)],
    ),
    ['a name of just the limit', () => filtered(`${'a'.repeat(bounds.replyUserBytes - 1)}\tx\t`)],
    ['a longer one', () => filtered(`${'a'.repeat(bounds.replyUserBytes)}\tx\t`)],
    ['a much longer one', () => filtered(`${'a'.repeat(bounds.replyUserBytes)}|a|\tx\t`)],
    ['a long cell', () => long('x'.repeat(70_000))],
    ['a long cell of signs that become six', () => long('\x02'.repeat(70_000).replaceAll('\x02', '\x1f'))],
    ['a long cell of characters', () => long('\xc3\xa9'.repeat(70_000))],
    ...[
      '{"a":1}',
      '{"a|":"\xc3|\xa9\xff"}',
      '\xff',
      '{"a":"\xe2\x82',
      '{"a":"\xe2\x82x\xf0\x9f"}',
      '{}x|y',
      '{}\xc3',
      '[1|,2] ',
      '1',
    ].map((text): Asked => [`JSON of user ${json(text)}`, () => encode(createJsonEncoder(), text)]),
    ...['', 'a"\\', '\0\x1f\x20\x7f', '\u2027\u2028\u2029\u202a', '\u{1f600}\ud800'].map(
      (text): Asked => [`quote ${json(text)}`, () => plain(quote(text))],
    ),
    ...types.map((type): Asked => [`error ${type}`, () => encodeError({ ...none, type }, 't')]),
    [
      'error with all',
      () =>
        encodeError(
          { type: 'exitCode', exitCode: 75, code: 'busy', message: 'a "b"', retryAfterS: 0, id: 'I"' },
          '"',
        ),
    ],
    [
      'around answers',
      () => plain([answersBegin, answersBetween, answersEnd, responseBegin, responseEnd('t"')]),
    ],
  ]);
});
