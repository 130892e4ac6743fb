// What the decoders and encoders of the protocol answer, each as a whole, and how many bytes they hold meanwhile: answers/*.txt, which a
// person approved.
import { test } from 'node:test';
import { createCommandSpotter } from '../../src/domain/commands/catalog.js';
import {
  type CommandToSend,
  encodeCommandLine,
  encodeOption,
  parseCommandLine,
} from '../../src/protocol/command.js';
import { escapeText, Gather, LineSplitter, unescapeLenient, unescapeText } from '../../src/protocol/lines.js';
import type { Framing } from '../../src/protocol/minors.js';
import { createMultiplexDecoder, joinPacket, MultiplexEncoder } from '../../src/protocol/reply/multiplex.js';
import {
  countCells,
  encodeLogLine,
  exitCodeOf,
  formatStatus,
  LogDecoder,
  type LogType,
  parseStatus,
  ReplyDecoder,
  wordOfExitCode,
} from '../../src/protocol/reply/reply.js';
import { DotDecoder, DotEncoder, slicesOfLine } from '../../src/protocol/text.js';
import { type Asked, compareAnswers } from '../kit/approved.js';
import { cut, outcome, plain, steps } from '../kit/decoded.js';

const file = (name: string): string => `test/protocol/answers/${name}.txt`;
const json = JSON.stringify;

void test('command lines', () => {
  const parsed = [
    '',
    '\t',
    '\tu',
    '\tu\tc',
    'D\tu\tc',
    'v\tu\tc',
    'vD\t\tc\t',
    'q\tu\tc',
    'x\tproxy-ttl=5\tu',
    'x\t\tu\tc',
    'xx\t\tu\tc',
    'x\tproxy-ttl=0\tu\tc',
    'x\tproxy-ttl=4294967295\tu\tc',
    'x\tproxy-ttl=4294967296\tu\tc',
    'x\tproxy-ttl=\tu\tc',
    'x\tproxy-ttl=1a\tu\tc',
    'x\tproxy-ttl=a1\tu\tc',
    'x\tproxy-ttl=1\x01tproxy-ttl=1\tu\tc',
    'x\txproxy-ttl=1\x01tforward=2\tu\tc',
    'x\ta\x01tb\x01tc\x01td\x01te\x01tf\tu\tc',
    'x\ta\x01tb\x01tc\x01td\x01te\x01tf\x01tg\tu\tc',
    '\tu\tc\t1\t2\t3',
    '\tu\tc\t1\t2\t3\t4',
    '\tu\0\tc',
    '\tu\tc\x010',
    '\tu\tc\x01',
    '\tu\tc\x01x',
    '\tu\xff\tc',
    '\tu\t\xc3\xa9',
    '\tu\tOPTION',
    'Dx\t\tu\tOPTION\ta\x01tb\tc',
    '\tu\tOPTION \ta',
  ];
  const sent: readonly (readonly [string, CommandToSend])[] = [
    ['plain', { user: 'u', name: 'a b', args: ['\t', ''] }],
    ['debug', { user: 'u', name: 'c', args: [], debug: true, verbose: true }],
    ['verbose', { user: 'u', name: 'c', args: [], debug: false, verbose: true }],
    ['proxy-ttl', { user: '', name: 'c', args: ['\r\n\x01'], proxyTtl: 0 }],
    ['the largest proxy-ttl', { user: 'u', name: 'c', args: [], verbose: true, proxyTtl: 4294967295 }],
    ['a larger one', { user: 'u', name: 'c', args: [], proxyTtl: 4294967296 }],
    ['a negative one', { user: 'u', name: 'c', args: [], proxyTtl: -1 }],
    ['half a one', { user: 'u', name: 'c', args: [], proxyTtl: 0.5 }],
    ['a NUL', { user: 'u\0', name: 'c', args: [] }],
    ['half a pair', { user: 'u', name: 'c', args: ['\udfff'] }],
    ['a pair', { user: 'u', name: 'c', args: ['\u{1f600}'] }],
    ['OPTION', { user: 'u', name: 'OPTION', args: [] }],
    ['OPTION as a user and an argument', { user: 'OPTION', name: 'c', args: ['OPTION'] }],
  ];
  compareAnswers(file('commands'), [
    ...parsed.map(
      (line): Asked => [
        `read ${json(line)}`,
        () => outcome(() => parseCommandLine(Buffer.from(line, 'latin1'), 6)),
      ],
    ),
    ...sent.map(
      ([what, command]): Asked => [`write ${what}`, () => outcome(() => encodeCommandLine(command))],
    ),
    ...['x', 'a\tb', '\0'].map(
      (name): Asked => [`option ${json(name)}`, () => outcome(() => encodeOption(name))],
    ),
    ...['a', '\0\x01\t\r\n', '\x01\x01', '\x01\t', '\x0210trn'].map(
      (text): Asked => [
        `escape ${json(text)}`,
        () => plain([escapeText(text), unescapeText(escapeText(text))]),
      ],
    ),
    ...['a\x01tb\x01rc\x01n\x011\x010d', '\x01', '\x01\x01', '\x01x', 'a\x01', '\x01t', '\xe9\x01t\xff'].map(
      (text): Asked => [
        `unescape ${json(text)}`,
        () =>
          `strict ${outcome(() => unescapeText(text))}\nlenient ${outcome(() => unescapeLenient(Buffer.from(text, 'latin1')))}`,
      ],
    ),
  ]);
});

void test('lines and the text of an input', () => {
  /** All lines that are complete after each chunk, the bytes held, and then the rest. */
  const split = (text: string, lineBytesMax = 4): string => {
    const lines = new LineSplitter({ lineBytesMax });
    const push = (chunk: Buffer): Buffer[] => {
      lines.push(chunk);
      const read: Buffer[] = [];
      for (let line = lines.next(); line !== undefined; line = lines.next()) read.push(line);
      return read;
    };
    const decoder = {
      push,
      get pendingBytes() {
        return lines.pendingBytes;
      },
    };
    return steps(decoder, text, () => lines.takeRest());
  };
  const splits = [
    '',
    'a\nb',
    'a|b|\n|c',
    'abcd\nabcd',
    'abcd|\n',
    'abcde',
    'abcd|e\n|a\n',
    'abc\r\n',
    'a\r|\n\r\r\n\n',
    '|\n||a|b',
  ];
  const unread = (): string => {
    const lines = new LineSplitter({ lineBytesMax: 9 });
    for (const chunk of cut('a\nb|c|d\ne|f')) lines.push(chunk);
    return plain([
      lines.pendingBytes,
      lines.next(),
      lines.pendingBytes,
      lines.next(),
      lines.pendingBytes,
      lines.takeRest(),
      lines.pendingBytes,
      lines.takeRest(),
    ]);
  };
  /** A reader that stays 100 chunks behind. */
  const behind = (): string => {
    const lines = new LineSplitter({ lineBytesMax: 9 });
    const read: (string | undefined)[] = [];
    for (let count = 0; count < 300; count += 1) {
      lines.push(Buffer.from(`${count}\n`));
      if (count >= 100) read.push(lines.next()?.toString());
    }
    return plain([
      read.every((line, at) => line === String(at)),
      lines.pendingBytes,
      lines.takeRest().length,
    ]);
  };
  const gathered = (): string => {
    const gather = new Gather(20);
    const lengths = [3, 0, 14, 3, 5].map((bytes) => {
      gather.append(Buffer.alloc(bytes, 'g'));
      return gather.length;
    });
    return plain([lengths, gather.take(), gather.length, gather.take()]);
  };
  const inputs = [
    '.\nrest',
    '.|\r|\nrest|more',
    'a\n.\n',
    'a\r\n.\r\n',
    'a\n..\n.b\n.\n',
    'a|\n|.|\n|rest',
    'a|\r|\n|.|\r|\n|rest',
    'a\n.\rb\n.\n',
    'a|\n|.|\r|b\n.\n',
    'a\r|b|\r|\r|\n|b',
    'a\n|b',
    'a\n.|.b',
    '\r|\n.|\n',
    '.|b',
    'abcdefgh',
    'abcdefghi',
    'abcdefgh\n|.\n',
    'abcdefgh|\n|b',
    'a\r',
    'a\r|.',
  ];
  const pieces = (text: string, bytesMax?: number, isSpotted = false): string => {
    const encoder = new DotEncoder(isSpotted ? createCommandSpotter() : undefined, bytesMax);
    const told = cut(text).map((chunk) => outcome(() => encoder.push(chunk)));
    return [...told, `end: ${outcome(() => encoder.end())}`].join('\n');
  };
  const texts: readonly (readonly [text: string, bytesMax: number])[] = [
    ['', 8],
    ['a', 8],
    ['a\nb\n', 8],
    ['a|b|c\nd', 8],
    ['abcdef\nabcdefg\nabcdefgh\n', 8],
    ['.\n..\n\r\n\n', 8],
    ['abcdefg\tDvx', 8],
    ['abcdefgD\tx', 8],
    ['abcdefgDvxDvxDvxDvx|Dvxa\n', 8],
    ['abcdefgDvxDvxDvxDvx|Dvx\n\t', 8],
    ['abcdefgDvxDvxDvxDvx|Dvx\ta', 8],
    ['DvxDvxDvxDvx\x01', 8],
    ['\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t', 8],
    ['\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01', 8],
    ['abc|defg', 8],
    ['abc|defgh', 8],
    ['abc|\n', 8],
    ['\n|\r|a', 8],
  ];
  compareAnswers(file('texts'), [
    ...splits.map((text): Asked => [`lines of 4 ${json(text)}`, () => split(text)]),
    ['lines that nobody read yet', unread],
    ['a reader that stays behind', behind],
    ['a gather', gathered],
    ...inputs.map(
      (text): Asked => [`input of 8 ${json(text)}`, () => steps(new DotDecoder({ inputBytesMax: 8 }), text)],
    ),
    ...texts.map(([text, max]): Asked => [`pieces of ${max} ${json(text)}`, () => pieces(text, max)]),
    ...['a\tbob\tkick\n', '\tbob\tkick', '\tbob\tkicks\n', 'a|\tbob\t|kick|\n', 'D\tbob\tkick\t\n'].map(
      (text): Asked => [`spotted ${json(text)}`, () => pieces(text, undefined, true)],
    ),
    [
      'a long line in whole pieces',
      () => new DotEncoder(undefined).push(Buffer.alloc(40_000, 'l')).map((piece) => piece.length),
    ],
    ...[0, 1, 16_384, 16_385, 40_000].map(
      (bytes): Asked => [
        `slices of ${bytes}`,
        () => slicesOfLine(Buffer.alloc(bytes)).map(({ length }) => length),
      ],
    ),
  ]);
});

void test('replies, statuses and log lines', () => {
  const replies = [
    '\n+\n',
    'a\t|b|\n|+|\n',
    'a\t\n-NOUSER\n\n-\n',
    '\n-A|B\n',
    '\n-1234\n',
    '\n-12345\n',
    '\n-123|4\n',
    '\n-123|45',
    '\n+|x\n',
    '\n+x\n\n',
    '\nx\n',
    '\n\n',
    'a|\n-',
  ];
  const isStarted = (text: string): string => {
    const decoder = new ReplyDecoder({ statusBytesMax: 5 });
    return cut(text)
      .map((chunk) => {
        decoder.push(chunk);
        return decoder.isStarted;
      })
      .join(' ');
  };
  const logs = [
    '\x01d\n\x02i\n\x03w\n\x04e\n\x05f\n\x06p\n',
    '\x07x\n\0y\n\n',
    '\x04ab|cd\n',
    '\x04abcd|\n|\x03a\n',
    '\x04abcd|e\n',
    '\x04abcd|e',
    '\x04abcde\n|\x04a',
    '\x04\n',
    '\x04',
    '\xff\n',
  ];
  const types: LogType[] = ['debug', 'info', 'warning', 'error', 'fatal', 'panic'];
  const statuses = [
    '+',
    '+OK',
    '-',
    '- ',
    '-NOUSER',
    '-NOUSER\r',
    '-\r',
    '-NO USER',
    '-\xc3\xa9',
    '-a\x7fb',
    '-\x1f',
    '-REFERRAL',
    '-REFERRAL a',
    '-REFERRAL a@b',
    '-REFERRAL a@b@c:1\r',
    '-REFERRAL @b',
    '-REFERRAL a@',
    '-REFERRAL  a@b',
    '',
    'x+',
    '\r',
  ];
  const words = [
    '',
    'NOUSER',
    'NOTFOUND',
    'USAGE',
    'DATAERR',
    'NOPERM',
    'TEMPFAIL',
    'PROTOCOL',
    'CHANGED',
    'EXPIRED',
    'CANTCREAT',
    'REFERRAL',
    'UNKNOWN',
    'toString',
    '75',
  ];
  compareAnswers(file('replies'), [
    ...replies.map(
      (text): Asked => [`reply ${json(text)}`, () => steps(new ReplyDecoder({ statusBytesMax: 5 }), text)],
    ),
    ['started a|\\t|\\n|+|\\n|\\n|+\\n|\\n+\\n|{', () => isStarted('a|\t|\n|+|\n|\n|+\n|\n+\n|{')],
    ...statuses.map(
      (line): Asked => [
        `status ${json(line)}`,
        () => outcome(() => parseStatus(Buffer.from(line, 'latin1'))),
      ],
    ),
    ...['', 'NOPERM', 'a b~', 'a\n', '\x7f', '\xe9'].map(
      (code): Asked => [`write status ${json(code)}`, () => outcome(() => formatStatus(code))],
    ),
    ...words.map((word): Asked => [`exit code of ${json(word)}`, () => exitCodeOf(word)]),
    ...[0, 1, 2, 64, 65, 67, 68, 73, 75, 76, 77, 1003, -1, '75', undefined].map(
      (code): Asked => [`word of ${json(code) ?? 'nothing'}`, () => plain(wordOfExitCode(code))],
    ),
    ...[
      '',
      'a',
      '\t',
      'a\tb\t',
      '\t\t\t',
      'x'.repeat(23),
      `${'x'.repeat(23)}\t`,
      `${'x'.repeat(24)}\t`,
      `${'x'.repeat(25)}\t\ty`,
      `${'x'.repeat(60)}\t${'y'.repeat(60)}`,
    ].map((body): Asked => [`cells of ${json(body)}`, () => countCells(Buffer.from(body))]),
    ...logs.map((text): Asked => {
      const decoder = new LogDecoder({ lineBytesMax: 5 });
      return [`log ${json(text)}`, () => steps(decoder, text, () => decoder.end())];
    }),
    ...types.map((type): Asked => [`write log ${type}`, () => plain(encodeLogLine(type, 'one\n\ntwo'))]),
  ]);
});

void test('frames of the channels', () => {
  const frames: readonly (readonly [Framing, string])[] = [
    ['none', 'a||\x03\xfe'],
    ['packet', '\0\0\0\0\x02ab\x4c\0\0\0\x01c|\0\0\0\0\0\0\0|\0\0\x01|a'],
    ['packet', '\0|\0\0|\0\x03|a|b|c|\x07\0\0\0'],
    ['packet', '\0\0\0\0\x05abcde'],
    ['packet', '\0\0\0\0\x06'],
    ['packet', '\0\0\0|\0\x06'],
    ['packet', '\0\x01\0\0\0'],
    ['stream', '\xff\xff\xff\xff\xff\0\x02\x03\xfea'],
    ['stream', '\xff|\xff\xff\xff\xff\0\x02\x03|\xfe|a\x03|b|\x03|\xfe|\x01|c'],
    ['stream', '\xff\xff\xff\xff\xff\0\x02\x03\xfea\x03\xfe\x01b\x03\xfe\0\x4cc\x03|\xfe|\0|\0|d\x03'],
    ['stream', '\xff\xff\xff\xff\xff\0\x02\x03\xfe\x03\xfe\x02'],
    ['stream', '\xff\xff\xff\xff\xff\0\x02\x03\xfe\x03|\x03|\xfe|\x02'],
    ['stream', '\xff\xff\xff\xff\xff\0\x02\x03\xff'],
    ['stream', 'a'],
  ];
  const decoded = (framing: Framing, text: string): string => {
    const decoder = createMultiplexDecoder(framing, { frameBytesMax: 5 });
    return cut(text)
      .map((chunk) => `${outcome(() => decoder.push(chunk))} ${decoder.pendingBytes} ${decoder.isMidFrame}`)
      .join('\n');
  };
  const writes: readonly (readonly [number, readonly string[]])[] = [
    [0, []],
    [0, ['', '']],
    [0x4c, ['a', '', 'bc']],
    [0x4c, ['d\x03']],
    [0, ['\x03\xfe\x03', '\xfe']],
    [0, ['x\x03\xfey']],
    [255, ['z']],
  ];
  const encoded = (framing: Framing): string => {
    const encoder = new MultiplexEncoder(framing);
    return writes
      .map(([channel, parts]) =>
        plain(
          encoder.frame(
            channel,
            parts.map((part) => Buffer.from(part, 'latin1')),
          ),
        ),
      )
      .join('\n');
  };
  const joined = (parts: readonly string[]): string =>
    plain(
      joinPacket(
        0x4c,
        parts.map((part) => Buffer.from(part)),
        parts.join('').length,
      ),
    );
  compareAnswers(file('frames'), [
    ...frames.map(
      ([framing, text]): Asked => [`read ${framing} ${json(text)}`, () => decoded(framing, text)],
    ),
    ...(['none', 'packet', 'stream'] as const).map(
      (framing): Asked => [`write ${framing} ${json(writes)}`, () => encoded(framing)],
    ),
    ...[[], ['a'], ['\n', '', '+\n'], ['12345678', '123456789', 'x']].map(
      (parts): Asked => [`join ${json(parts)}`, () => joined(parts)],
    ),
  ]);
});
