// What the encoder, the readers of lines and the chain answer, each as a whole: answers.txt, which a person approved.

import { test } from 'node:test';
import { isObject, parseLine, parseRequest } from '../../../src/host/values/values.js';
import { formatTime } from '../../../src/host/words/instants.js';
import {
  formatJson,
  formatWords,
  harmlessJson,
  printable,
  quote,
  quoteUnlessPlain,
} from '../../../src/host/words/text.js';
import { createArgumentsCheck } from '../../../src/journal/records/arguments-check.js';
import { encodeBody, encodeRecord } from '../../../src/journal/records/encode.js';
import { recordKeys, rowOf } from '../../../src/journal/records/keys.js';
import {
  genesisHash,
  journalFormat,
  Ledger,
  namesOfOpen,
  noteExchange,
  type OpenExchanges,
  readBody,
  readClaim,
  readLink,
  sealLine,
  unsignedLine,
} from '../../../src/journal/records/ledger.js';
import {
  type AuditRecord,
  eventPlace,
  isOpening,
  isOwnRecord,
  type JournalRecord,
  type RecordRoom,
  readHead,
  readWord,
  timeBefore,
} from '../../../src/journal/records/record.js';
import { joinArguments } from '../../../src/journal/records/stored.js';
import { recordedBytesMax } from '../../../src/rules/config/parse-sections.js';
import { parsePublicKey, parseSignKey, publicKeyDer } from '../../../src/rules/keys/sign-key.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';

const time = Date.UTC(2026, 10, 20, 8, 22, 34, 123);
/** For records with keys and values that no type allows. */
const blank = (): JournalRecord => ({ time, event: 'admission' });
const texts = [
  ...'|a b|a"b|a\\b|~!#[]|\n\r\t\0\x7f|\x9b\xff|größe|\u202e\ufeff|\u001b[2J\u0007\u2066\u200b\u2028'.split(
    '|',
  ),
  ...'x\u00ad\u3164\u115f\uffa0|ticket\u{e0041}\u{e007f}|\u00a0\u3000\u2009\u202f\u1680'.split('|'),
  ...'\u2800\ufffc\u{1d159}|\u0085漢字|x\ud800y|\ud83d\ude00'.split('|'),
];
const sized = (bytes: number): AuditRecord => ({ time, event: 'log', text: 'x'.repeat(bytes) });
const words = (count: number, length: number): string[] =>
  Array.from({ length: count }, (_, at) => `${at}`.padEnd(length, 'w'));
const body = (what: string, record: Omit<AuditRecord, 'time' | 'event'> | object, isBrief = false): Asked => [
  `body: ${what}`,
  () => {
    const text = encodeBody(Object.assign(blank(), record), isBrief);
    return `${Buffer.byteLength(text)} bytes: ${text.slice(53)}`;
  },
];
const hmac = { hmac: 'ab'.repeat(32) };
const long = 'y'.repeat(9000);
const allLong = (...keys: readonly string[]) => Object.fromEntries(keys.map((key) => [key, long]));
const mail2 = { backend: 'mail2', upstream: 'u', status: '+', outcome: 'ok', sent: true };
const oddPeer = { uid: 0, gid: 1.5, user: 'bob', exe: '/x', other: 'o', login_uid: NaN };
const ownKeys = { journal: 'j', key: 'k', torn: { file: 'f', bytes: 1, sha256: 's' } };
const numbers =
  '0 -0 1 -1 1.5 0.0004 0.0005 0.9996 12.3456 999999999.5 1000000000 1000000000.25 -0.25 1e+21 NaN Infinity';
const textKeys = recordKeys.filter((key) => rowOf(key).isWord === true || rowOf(key).of === undefined);

const ofBodies: readonly Asked[] = [
  ...[125, 126, 127, 128, 129, 4093, 4094, 4095, 9000].map((bytes) =>
    body(`a text of ${bytes}`, sized(bytes)),
  ),
  ...[63, 64, 65].map((count) => body(`${count} letters of two bytes`, { text: 'ä'.repeat(count) })),
  ...[1, 2, 3, 4, 5, 6, 8, 12, 16, 24].map((count) =>
    body(`${count} long texts`, allLong(...textKeys.slice(0, count))),
  ),
  body('controls at a cut', { text: '\u0001'.repeat(4000) }),
  body('letters of four bytes at a cut', { text: `x${'\ud83d\ude00'.repeat(3000)}y` }),
  body('the same, and an even start', { text: `${'\ud83d\ude00'.repeat(3000)}yy` }),
  body('a key before a cut', { text: `dvg_AbCdEfGh_0123456789abcdef${long}dvg_AbCdEfGh_0123456789abcdef` }),
  ...[1, 59, 60, 61, 62, 63, 200].map((count) =>
    body(`${count} arguments of 100`, { args: words(count, 100) }),
  ),
  body('a list of digests', { args: Array.from({ length: 200 }, () => hmac) }),
  // bounds.recordBytes, bounds.recordUsersBytes
  body('users and arguments, both long', { args: words(200, 100), users: words(200, 40) }),
  ...[1, 2, 3].map((count) => body(`${count} long users`, { users: words(count, 5000) })),
  ...[49, 50, 51, 52].map((count) => body(`${count} users of 38`, { users: words(count, 38) })),
  body('a long argument', { args: ['--', long, 'end'] }),
  body('brief: short', { args: ['--', 'INBOX'], user: 'alice' }, true),
  // bounds.refusedRecordBytes
  body(
    'brief: a question',
    { args: ['-u', 'bob', '--', 'fetch', long], principal: 'bob@support', peer: { exe: long } },
    true,
  ),
  ...[700, 766, 767, 768, 1000, 3000].map((bytes) =>
    body(`brief: an argument of ${bytes}`, { args: ['--', 'z'.repeat(bytes)] }, true),
  ),
  ...[1, 2, 4, 8].map((count) =>
    body(`brief: ${count} long texts`, allLong(...textKeys.slice(0, count)), true),
  ),
  body('brief: many arguments', { args: words(100, 30) }, true),
  ...numbers.split(' ').map((value) => body(`number ${value}`, { duration_ms: Number(value) })),
  body('flags', { sent: true, matches: 3 }),
  body('a value that is none', { sent: null, text: {}, user: [], args: [] }),
  body('parts', { backends: ['mail1', { ...mail2, cells: 2, bytes_in: 3.5, error: 'e', other: 1 }] }),
  body('a peer', { peer: { ...oddPeer, address: undefined, unit: true } }),
  // bounds.recordPeerBytes
  ...[253, 254, 255, 256, 257].map((bytes) =>
    body(`a peer's path of ${bytes}`, { peer: { exe: 'p'.repeat(bytes) } }),
  ),
  body('a peer beside long texts', {
    peer: { exe: 'q'.repeat(600), unit: 'q'.repeat(300) },
    ...allLong('text', 'reason', 'error', 'tag', 'user'),
  }),
  body('logs, input', { logs: { debug: 1, panic: 2, odd: 3 }, input: { bytes: 5, hmac: 'cd', odd: 1 } }),
  body('own keys in a record of others', ownKeys),
  body('own keys', { event: 'checkpoint', ...ownKeys, appended: ownKeys.torn, argument_records: 4 }),
];

const named = { session: 'S', id: 'E', principal: 'bob@support', command: 'mailbox delete' };
const bodiesOf = (record: Omit<AuditRecord, 'time' | 'event'>, room?: RecordRoom): unknown => {
  const asked = { time, event: 'admission', ...named, decision: 'allow', effect: 'destroy' } as const;
  const made = encodeRecord({ ...asked, ...record }, room);
  return made.length === 1
    ? `one: ${(made[0] ?? '').slice(53)}`
    : made.map((each) => `${Buffer.byteLength(each)}: ${each.slice(30)}`).join('\n');
};
const group: readonly (readonly [string, Omit<AuditRecord, 'time' | 'event'>, RecordRoom?])[] = [
  ['what fits', { args: ['--', 'a'] }],
  ['a long word', { args: ['--', 'x'.repeat(15_000), 'end'] }],
  ['a read', { args: ['--', 'x'.repeat(15_000)], effect: 'read' }],
  ['a refusal', { args: ['--', 'x'.repeat(15_000)], decision: 'deny' }],
  ['a read, whole', { args: ['--', 'x'.repeat(15_000)], effect: 'read' }, 'whole'],
  ['a refusal, whole', { args: ['--', 'x'.repeat(15_000)], decision: 'deny' }, 'whole'],
  ['a brief one', { args: ['--', 'x'.repeat(15_000)] }, 'brief'],
  ['a long text that is no argument', { args: ['--'], reason: 'x'.repeat(15_000) }],
  ['many words', { args: words(130, 100) }],
  ['long users', { args: ['--'], users: words(200, 60) }],
  ['words, then users', { args: words(70, 100), users: words(40, 60) }],
  ['digests', { args: [...Array.from({ length: 300 }, () => hmac), 'a', hmac, { hmac: 'cd' }, hmac] }],
  ['a key in a word', { args: ['x'.repeat(9000), `dvg_AbCdEfGh_${'0123456789'.repeat(3)}`] }],
  ['letters of four bytes', { args: [`x${'\ud83d\ude00'.repeat(3000)}`] }],
  ['controls', { args: ['\u0001'.repeat(2500)] }],
  ['a long principal', { args: ['x'.repeat(9000)], principal: 'p'.repeat(300), command: 'k'.repeat(257) }],
];
const twoWords: readonly (readonly [what: string, first: number, second: number])[] = [
  ...[6580, 6620, 6640, 6660, 6680].map((bytes) => [`a word of ${bytes} after another`, 300, bytes] as const),
  ...[6000, 6200, 6300].map((bytes) => [`a word that goes over two after ${bytes}`, bytes, 7000] as const),
];

const line = sealLine(
  9,
  encodeBody({ time, event: 'completion', session: 'S', id: 'E', outcome: 'unknown' }),
  genesisHash,
).line.trimEnd();
const secret = `-----BEGIN PRIVATE KEY-----\n${Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 7)]).toString('base64')}\n-----END PRIVATE KEY-----\n`;
const signer = parseSignKey(secret);
const signed = new Ledger('p', secret, 'j');
const signedLine = signed.sealSigned(signed.checkpoint(time)).trimEnd();
const { signature = '' } = JSON.parse(signedLine);
const fleetLine = `{"seq":1,"key":"k","signature":"${signature}","prev":"${'0'.repeat(64)}","hash":"${'1'.repeat(64)}"}`;

const shownAs: readonly ((text: string) => unknown)[] = [
  quote,
  quoteUnlessPlain,
  (text) => formatJson({ [text]: text }),
  printable,
  (text) => formatWords([text, 'a']),
];

const joins = [
  [1, [{ args: ['a', { part: 'b' }, { rest: 'c' }, { hmac: 'h' }, { hmac: 'same' }], users: ['u'] }]],
  [1, []],
  [0, []],
  [
    2,
    [{ args: ['a', { part: 'b' }] }, { args: [{ part: 'c' }, { rest: 'd' }, 'e'], users: [{ rest: 'f' }] }],
  ],
  [1, [{ args: ['a', { part: 'b' }, 'c'] }]],
  [1, [{ args: ['a', { part: 'b' }] }]],
  [1, [{ users: ['a', { part: 'b' }] }]],
  [1, [{ args: 'no list', users: [1, null] }]],
] as const;
const written = (event: string): readonly unknown[] => [
  isOpening(event, line),
  isOpening(event, line.replace('unknown', 'ok')),
  isOwnRecord(Object.assign(blank(), { event })),
];

const ofReaders: readonly Asked[] = [
  ...texts.map((text): Asked => [`quote ${JSON.stringify(text)}`, () => shownAs.map((show) => show(text))]),
  ['harmlessJson', () => [harmlessJson('{"a":"\u202e"}'), harmlessJson('plain')]],
  ['formatWords', () => formatWords(['a@b%+=:,./-c_9', "it's", 'x*', '\n'])],
  ['recordedBytesMax', () => [0, 1, 1000].map(recordedBytesMax)],
  ...[
    line,
    line.slice(1),
    `${'1'.repeat(24)},"time":"${formatTime(0)}","event":"e"`,
    `${'1'.repeat(25)},"time":"${formatTime(0)}","event":"e"`,
    `,"time":"${formatTime(0)}","event":"`,
    `,"time":"${formatTime(0)}","even":"e"`,
  ].map((text, at): Asked => [`head ${at}`, () => [readHead(text), eventPlace(Buffer.from(text), 0)]]),
  ...[1, 7, 16, 17, 18, 19, 40].map(
    (digits): Asked => [
      `place of an event after ${digits} digits`,
      () => String(eventPlace(Buffer.from(`xx{"seq":${'1'.repeat(digits)},"time"`), 2)),
    ],
  ),
  ['time before an event', () => timeBefore(Buffer.from(line), eventPlace(Buffer.from(line), 0))],
  [
    'words of a line',
    () => 'id session outcome none prev'.split(' ').map((key) => readWord(line, key) ?? 'none'),
  ],
  ['a word without end', () => readWord(',"id":"E', 'id')],
  ...['checkpoint', 'clock', 'start', 'stop', 'completion', 'admission', 'retire'].map(
    (event): Asked => [`written first: ${event}`, () => written(event)],
  ),
  ...['{"a":1}', '[]', 'null', '1', '"a"', '{', ''].map(
    (text): Asked => [`request ${text}`, () => [parseRequest(text), parseLine(text) ?? 'none']],
  ),
  ['objects', () => [{}, [], null, undefined, 1, 'a'].map(isObject)],
  ...joins.map(
    ([count, records]): Asked => [
      `joined ${JSON.stringify([count, records])}`,
      () => joinArguments({ argument_records: count, args: [], users: [] }, records) ?? 'none',
    ],
  ),
  [
    'joined to an admission without lists',
    () => joinArguments({ argument_records: 1, id: 'E' }, [{ args: ['a'], users: ['u'] }]),
  ],
];

const claims = [
  line,
  line.replace('"seq":9', '"seq":'),
  line.replace('"seq":9', '"seq":9x'),
  line.replace('"seq":9', `"seq":${'1'.repeat(15)}`),
  line.replace('"seq":9', `"seq":${'1'.repeat(16)}`),
  line.replace('"seq":9', `"seq":${'1'.repeat(17)}`),
  line.replace('"seq":9', '"seq":0'),
  line.replace('"seq"', '"sep"'),
  line.replace('{"', '["'),
  line.replace(',"prev"', ',"prew"'),
  line.replace(',"hash"', ';"hash"'),
  `${line.slice(0, -1)}]`,
  line.slice(0, 8) + line.slice(-149),
  line.slice(0, 7) + line.slice(-149),
  '{}',
  'x'.repeat(400),
  `{"seq":x${' '.repeat(400)}`,
  '\0'.repeat(500),
];

/** With the names that the completion of a start has. */
function shownOpen(open: OpenExchanges): unknown {
  return [...open].map(([id, exchange]) => [id, { seq: exchange.seq, ...namesOfOpen(exchange) }]);
}

function chain(): Ledger {
  const ledger = new Ledger('p', undefined, 'j');
  const steps = [
    { event: 'clock', step_ms: -7 },
    { event: 'clock', step_ms: 2 },
  ];
  const rest = [{ event: 'completion', id: 'none' }, { event: 'log', id: 'b' }, { event: 'admission' }];
  const begun = [
    { event: 'admission', session: 'S', id: 'a' },
    { event: 'admission', id: 'b' },
  ];
  const records = [...begun, { event: 'completion', session: 'S', id: 'a' }, ...steps, ...rest];
  for (const [at, record] of records.entries())
    ledger.seal(encodeBody(Object.assign(blank(), { time: time - at }, record)));
  return ledger;
}
const stateOf = (ledger: Ledger) => {
  const { journal, seq, hash, stepsMs, open, oldestSeq, timeMs, openSeq } = ledger;
  return { journal, seq, hash, stepsMs, open: shownOpen(open), oldestSeq, timeMs, openSeq };
};

/** Faults of records: `A` an admission with two argument records, `1` and `2` these; `B` another one; else an event. */
function faultsOf(story: string): string {
  const asked = { time, event: 'admission', id: 'E', decision: 'allow', effect: 'write' } as const;
  const [a = '', one = '', two = ''] = encodeRecord({ ...asked, args: ['x'.repeat(9000)] });
  const bodies: Readonly<Record<string, string>> = {
    A: a,
    1: one,
    2: two,
    B: a.replace('"id":"E"', '"id":"F"'),
    x: one.replace('"id":"E"', '"id":"F"'),
    c: one.replace('xxx', 'xxy'),
    Z: a.replace('"argument_records":2', '"argument_records":0'),
  };
  const check = createArgumentsCheck();
  return story
    .split(' ')
    .flatMap((event, at) => {
      if (event === 'forget') {
        check.forget();
        return [];
      }
      const text = bodies[event] ?? encodeBody(Object.assign(blank(), { event, id: 'E' }));
      const bytes = Buffer.from(sealLine(at + 1, text, genesisHash).line.trimEnd());
      const link = readLink(bytes) ?? { seq: 0, prev: '', hash: '' };
      const found = check.take(readHead(bytes.toString('latin1'))?.event ?? '', bytes, link);
      return found === undefined ? [] : [`${found.seq}: ${found.text}`];
    })
    .join('\n');
}

const badPem = '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n';
const stories =
  'A 1 2|A checkpoint 1 retire 2|A 1|A 1 log|A log 1 2|A 1 completion start|A 1 completion log|' +
  'A 1 clock checkpoint completion stop|A 1 completion 2|A 1 start log|A A 1 2|A 1 B|A x 1 2|A 2 1|A c 2|1 2|' +
  'checkpoint 1 2|log 1|log forget 1 2|A forget 1|A completion forget A 1 2|A 1 2 2|Z log|A start A 1 2|' +
  'A 1 completion A 1 2';

const ofChain: readonly Asked[] = [
  ...claims.map(
    (text, at): Asked => [
      `claim ${at}: ${text.slice(0, 32)}`,
      () => [
        text.length,
        readClaim(Buffer.from(text)) ?? 'none',
        readLink(Buffer.from(text))?.isIntact ?? 'none',
      ],
    ],
  ),
  ['body', () => readBody(Buffer.from(line), { seq: 9, prev: '', hash: '' }).toString()],
  ['body of nothing', () => readBody(Buffer.from('{"seq":9,'), { seq: 9, prev: '', hash: '' }).toString()],
  ['journalFormat', () => journalFormat],
  ['state at the beginning', () => stateOf(new Ledger('p', undefined, 'j'))],
  ['state', () => stateOf(chain())],
  ['open at', () => [0, 1, 2, 3, 9].map((seq) => shownOpen(chain().openAt(seq)))],
  [
    'open at, settled',
    () => {
      const ledger = chain();
      ledger.settle();
      return shownOpen(ledger.openAt(9));
    },
  ],
  [
    'open at, set back',
    () => {
      const ledger = chain();
      const at = { seq: 5, hash: 'h', stepsMs: 3, oldestSeq: 2, timeMs: 77 };
      ledger.resume({ journal: 'k', open: new Map(), ...at });
      const state = stateOf(ledger);
      return [state, shownOpen(ledger.openAt(9)), ledger.beginSegment('f'), ledger.beginSegment('g')];
    },
  ],
  [
    'segments',
    () => {
      const ledger = chain();
      const first = ledger.beginSegment('f');
      const second = ledger.beginSegment(undefined);
      ledger.seal(encodeBody({ time: time + 5, event: 'log' }));
      ledger.seal(encodeBody({ time: time + 6, event: 'log' }));
      return [first, second, ledger.beginSegment('h')];
    },
  ],
  [
    'noteExchange',
    () => {
      const open: OpenExchanges = new Map();
      const ended: OpenExchanges = new Map();
      const heads = [
        'admission","session":"S","id":"a"',
        'admission","x":1',
        'completion","id":"b"',
        'log","id":"c"',
        'admission","id":"d"',
        'completion","session":"S","id":"a"',
      ].map((text, at) => noteExchange(open, at, `,"time":"${formatTime(0)}","event":"${text}`, ended));
      return [heads, shownOpen(open), shownOpen(ended), noteExchange(open, 1, 'no line') ?? 'none'];
    },
  ],
  ['checkpoint', () => signed.checkpoint(time)],
  ['a signed line', () => signedLine],
  ['its signed text', () => unsignedLine(signedLine)],
  [
    'a line of the fleet',
    () => [
      unsignedLine(fleetLine, 'fleet'),
      unsignedLine(fleetLine) ?? 'none',
      unsignedLine(signedLine, 'fleet') ?? 'none',
      unsignedLine(`${fleetLine} `, 'fleet') ?? 'none',
      unsignedLine(signedLine.replace(/,"hash".*/, '}')) ?? 'none',
    ],
  ],
  [
    'keys',
    () => [
      signer.key,
      signer.publicPem,
      publicKeyDer(signer.key).toString('hex'),
      ...[` ${signer.key}\n`, signer.publicPem, 'AAAA', `${signer.key}x`, secret, '', badPem].map(
        (text) => parsePublicKey(text) ?? 'none',
      ),
    ],
  ],
  ['no key', () => parseSignKey('-----BEGIN')],
  ...stories.split('|').map((story): Asked => [`faults of ${story}`, () => faultsOf(story)]),
];

void test('bodies', () => compareAnswers('test/journal/records/answers/bodies.txt', ofBodies));
void test('argument records', () =>
  compareAnswers('test/journal/records/answers/arguments.txt', [
    ...group.map(([what, record, room]): Asked => [what, () => bodiesOf(record, room)]),
    ...twoWords.map(
      ([what, first, second]): Asked => [
        what,
        () => bodiesOf({ args: ['w'.repeat(first), 'x'.repeat(second)] }),
      ],
    ),
  ]));
void test('readers of lines', () => compareAnswers('test/journal/records/answers/readers.txt', ofReaders));
void test('the chain', () => compareAnswers('test/journal/records/answers/chain.txt', ofChain));
