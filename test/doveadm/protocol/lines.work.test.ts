// Nothing on the wire costs more than a constant for each byte, however the bytes are cut and whatever they are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HandshakeAccept } from '../../../src/doveadm/handshake/accept.js';
import { HandshakeDial } from '../../../src/doveadm/handshake/dial.js';
import { parseCommandLine } from '../../../src/doveadm/protocol/command.js';
import {
  escapeText,
  LineSplitter,
  unescapeLenient,
  unescapeText,
} from '../../../src/doveadm/protocol/lines.js';
import { DotDecoder, DotEncoder } from '../../../src/doveadm/protocol/text.js';
import { createMultiplexDecoder, MultiplexEncoder } from '../../../src/doveadm/reply/multiplex.js';
import { countCells, LogDecoder, ReplyDecoder } from '../../../src/doveadm/reply/reply.js';
import { WireFault } from '../../../src/host/ports/faults.js';
import { cutEvery } from '../../kit/plain/chunkings.js';
import { countWork } from '../../kit/plain/work.js';

const small = 1 << 13;
const large = 1 << 17;
const limit = 1 << 30;
/** Work for a byte; the most is needed for lines of two bytes in chunks of one. Quadratic work would be thousands. */
const workPerByteMax = 32;

/** What eats chunks; it may refuse them with a WireFault. */
type Eater = () => { push: (chunk: Buffer) => unknown };

const streamHeader = Buffer.from('ffffffffff000203fe', 'hex');

const eaters: Record<string, Eater> = {
  lines: () => {
    const lines = new LineSplitter({ lineBytesMax: limit });
    return {
      push(chunk) {
        lines.push(chunk);
        while (lines.next() !== undefined);
      },
    };
  },
  'lines that nobody reads, then the rest': () => {
    const lines = new LineSplitter({ lineBytesMax: limit });
    let pushed = 0;
    return {
      push(chunk) {
        lines.push(chunk);
        pushed += chunk.length;
        if (pushed === small || pushed === large) lines.takeRest();
      },
    };
  },
  reply: () => new ReplyDecoder({ statusBytesMax: limit }),
  log: () => new LogDecoder({ lineBytesMax: limit }),
  'log, cut': () => new LogDecoder({ lineBytesMax: 100 }),
  dot: () => new DotDecoder({ inputBytesMax: limit }),
  'dot, written': () => new DotEncoder(undefined),
  packet: () => createMultiplexDecoder('packet', { frameBytesMax: 0xffff_ffff }),
  stream: () => {
    const decoder = createMultiplexDecoder('stream', { frameBytesMax: limit });
    decoder.push(streamHeader);
    return decoder;
  },
  'stream, written': () => {
    const encoder = new MultiplexEncoder('stream');
    return { push: (chunk) => encoder.frame(0, [chunk]) };
  },
  cells: () => ({ push: (chunk) => countCells(chunk) }),
  accept: () =>
    new HandshakeAccept({
      minor: 3,
      preauthenticated: false,
      tls: 'starttls',
      plainAllowed: true,
      lineBytesMax: limit,
    }),
  dial: () => {
    const dial = new HandshakeDial({
      minor: 2,
      tls: 'none',
      credentials: undefined,
      mayAuthenticateInClear: false,
      lineBytesMax: limit,
    });
    dial.start();
    return dial;
  },
};

/** One character each, or a pattern that is bad for somebody. */
const patterns: Record<string, string> = {
  text: 'x',
  LF: '\n',
  CR: '\r',
  TAB: '\t',
  SOH: '\x01',
  dots: '\n.',
  'dots and CR': '\n.\r',
  'dots, CR and text': '.\r\n.x\r',
  '03': '\x03',
  '03 FE 01': '\x03\xfe\x01',
  '03 FE 00': '\x03\xfe\x00\x00',
  'tiny replies': '\n+\n',
  'tiny frames': '\0\0\0\0\x01x',
  'empty frames': '\0\0\0\0\0',
  'tiny log lines': '\x04x\n',
  'cells that end where the counter stops looking': `${'x'.repeat(24)}\t`,
};

function workOf(eater: Eater, pattern: string, length: number, chunkBytes: number): number {
  const bytes = Buffer.alloc(length, pattern, 'latin1');
  const chunks = chunkBytes >= length ? [bytes] : cutEvery(bytes, chunkBytes);
  return countWork(() => {
    const decoder = eater();
    try {
      for (const chunk of chunks) decoder.push(chunk);
    } catch (error) {
      if (!(error instanceof WireFault)) throw error;
    }
  });
}

for (const [name, eater] of Object.entries(eaters)) {
  void test(`${name}: work grows as the bytes do`, () => {
    for (const [patternName, pattern] of Object.entries(patterns)) {
      for (const chunkBytes of [1, 7, 4096, Number.POSITIVE_INFINITY]) {
        const work = workOf(eater, pattern, small, chunkBytes);
        const label = `${patternName}, chunks of ${chunkBytes}: ${work}`;
        assert.ok(work <= workPerByteMax * small, label);
      }
    }
  });
}

void test('a line, a reply, a log line and a text of 128 KiB in chunks of one byte', () => {
  for (const name of [
    'lines',
    'lines that nobody reads, then the rest',
    'reply',
    'log',
    'dot',
    'accept',
  ] as const) {
    const eater = eaters[name];
    assert.ok(eater !== undefined);
    const work = workOf(eater, 'x', large, 1);
    assert.ok(work <= workPerByteMax * large, `${name}: ${work}`);
  }
});

void test('a whole chunk of a reply is searched once and not copied', () => {
  const decoder = new ReplyDecoder({ statusBytesMax: 100 });
  const chunk = Buffer.alloc(large, 'a cell of some length\t');
  const work = countWork(() => decoder.push(chunk));
  assert.ok(work >= large && work <= large + 100, String(work));
});

void test('fields, cells and escapes', () => {
  const cases: Record<string, (bytes: Buffer) => unknown> = {
    escapeText: (bytes) => escapeText(bytes.toString('latin1')),
    unescapeText: (bytes) => unescapeText(bytes.toString('latin1')),
    unescapeLenient,
    parseCommandLine: (bytes) => parseCommandLine(bytes, limit),
  };
  for (const [name, run] of Object.entries(cases)) {
    for (const [patternName, pattern] of Object.entries({
      ...patterns,
      escapes: '\x01t',
      doubled: '\x011',
    })) {
      const bytes = Buffer.alloc(small, pattern, 'latin1');
      const work = countWork(() => {
        try {
          run(bytes);
        } catch (error) {
          if (!(error instanceof WireFault)) throw error;
        }
      });
      assert.ok(work <= workPerByteMax * small, `${name}, ${patternName}: ${work}`);
    }
  }
});
