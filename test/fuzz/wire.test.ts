// The promise of src/protocol to everybody above it: any bytes, cut anywhere, give events or a WireFault and nothing else;
// what is held stays within the limits that were passed in; and the answer does not depend on the cuts.
//
// Inputs are captured sessions with bytes changed, and soups of what the protocol is made of. DOVEGATE_ROUNDS multiplies
// their number; DOVEGATE_SEED repeats a run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WireFault } from '../../src/ports/faults.js';
import { parseCommandLine } from '../../src/protocol/command.js';
import { HandshakeAccept } from '../../src/protocol/handshake/accept.js';
import { HandshakeDial } from '../../src/protocol/handshake/dial.js';
import { readPlain, readVersion } from '../../src/protocol/handshake/greeting.js';
import { escapeText, LineSplitter, unescapeLenient, unescapeText } from '../../src/protocol/lines.js';
import type { Framing } from '../../src/protocol/minors.js';
import { createMultiplexDecoder, outputChannel } from '../../src/protocol/reply/multiplex.js';
import {
  countCells,
  formatStatus,
  LogDecoder,
  parseStatus,
  ReplyDecoder,
} from '../../src/protocol/reply/reply.js';
import { DotDecoder } from '../../src/protocol/text.js';
import { cutAtRandom, type Random, randomInteger, seededRandom } from '../kit/chunkings.js';
import { hearServer, serveClient } from '../kit/replay.js';
import { connectionsOf, segmentsOf, vectorsOf } from '../kit/vectors.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 20_260_101);
const inputsForEach = Math.ceil(24_000 * rounds);
const inputBytesMax = 1024;

/** Small, so that short inputs reach them. */
const limits = {
  lineBytesMax: 96,
  fieldsMax: 12,
  statusBytesMax: 24,
  frameBytesMax: 300,
  inputBytesMax: 200,
};

/** Eats the chunks and returns its answer as text; throws WireFault. `held` is asked for after each chunk. */
type Subject = (
  chunks: readonly Buffer[],
  random: Random,
  hold: (held: number, heldMax: number) => void,
) => string;

const text = (bytes: Buffer): string => bytes.toString('latin1');

/** A function of whole bytes, which has no cuts to depend on. */
function whole(run: (bytes: Buffer) => unknown): Subject {
  return (chunks) => JSON.stringify(run(Buffer.concat(chunks))) ?? '';
}

const subjects: Record<string, Subject> = {
  escape: whole((bytes) => {
    const field = bytes.toString();
    assert.equal(unescapeText(escapeText(field)), field);
    const plain = unescapeText(field);
    assert.equal(unescapeLenient(Buffer.from(field)).toString(), plain);
    assert.ok(plain.length <= field.length);
    return plain;
  }),
  version: whole((bytes) => readVersion(bytes, 'doveadm-server')),
  plain: whole((bytes) => {
    const plain = readPlain(bytes);
    return plain && [plain.authzid, plain.user, text(plain.password)];
  }),
  status: whole((bytes) => {
    const status = parseStatus(bytes);
    assert.equal(status.kind === 'ok', bytes[0] === 0x2b);
    assert.equal(parseStatus(formatStatus(status.code).subarray(0, -1)).code, status.code);
    return status.code;
  }),
  command: whole((bytes) => {
    const line = parseCommandLine(bytes, limits);
    if (line.kind === 'option') return line;
    const { user, words } = line.command;
    assert.ok(words.length > 0 && words.length <= limits.fieldsMax);
    assert.ok(![user, ...words].some((word) => word.includes('\0')));
    return line;
  }),
  cells: whole((bytes) => {
    const cells = countCells(bytes);
    assert.equal(cells, text(bytes).split('\t').length - 1);
    return cells;
  }),

  lines: (chunks, _random, hold) => {
    const lines = new LineSplitter(limits);
    const read: string[] = [];
    for (const chunk of chunks) {
      lines.push(chunk);
      for (let line = lines.next(); line !== undefined; line = lines.next()) read.push(text(line));
      hold(lines.pendingBytes, limits.lineBytesMax);
    }
    return `${read.join('|')} ${lines.pendingBytes}`;
  },
  reply: (chunks, _random, hold) => {
    const decoder = new ReplyDecoder(limits);
    let read = '';
    for (const chunk of chunks) {
      let bytesOfEvents = 0;
      for (const event of decoder.push(chunk)) {
        if (event.kind === 'body') {
          assert.ok(event.bytes.length > 0 && event.bytes.buffer === chunk.buffer);
          bytesOfEvents += event.bytes.length;
          read += text(event.bytes);
        } else {
          read += `|${text(event.status.raw)}|`;
        }
      }
      assert.ok(bytesOfEvents <= chunk.length);
      hold(decoder.pendingBytes, limits.statusBytesMax);
    }
    return `${read} ${decoder.isStarted}`;
  },
  'framing none': framed('none'),
  'framing packet': framed('packet'),
  'framing stream': framed('stream'),
  log: (chunks, _random, hold) => {
    const decoder = new LogDecoder(limits);
    const read = chunks.flatMap((chunk) => {
      const lines = decoder.push(chunk);
      hold(decoder.pendingBytes, limits.lineBytesMax);
      return lines;
    });
    const lines = [...read, ...decoder.end()];
    assert.ok(lines.every((line) => line.text.length <= limits.lineBytesMax));
    return JSON.stringify(lines);
  },
  dot: (chunks, _random, hold) => {
    const decoder = new DotDecoder(limits);
    let read = '';
    let rest = '';
    for (const chunk of chunks) {
      const progress = decoder.push(chunk);
      for (const part of progress.parts) {
        assert.ok(part.length > 0);
        read += text(part);
      }
      rest += text(progress.rest);
      assert.ok(read.length <= limits.inputBytesMax);
      hold(decoder.pendingBytes, 4);
    }
    return `${read}|${rest}`;
  },
  accept: (chunks, random, hold) => {
    const accept = new HandshakeAccept({
      minor: randomInteger(random, 0, 4),
      preauthenticated: random() < 0.3,
      tls: pick(random, ['none', 'starttls', 'done'] as const),
      plainAllowed: random() < 0.7,
      lineBytesMax: limits.lineBytesMax,
    });
    const isRight = random() < 0.7;
    const read: string[] = [];
    let isOver = false;
    /** Takes steps and all that they lead to; what TLS would take is read as if it had come through TLS. */
    const take = (steps: ReturnType<typeof accept.push>): void => {
      for (const step of steps) {
        assert.ok(!isOver, 'no step after the last one');
        read.push(step.do);
        if (step.do === 'start-tls') {
          take(accept.tlsStarted());
          take(accept.push(step.rest));
        } else if (step.do === 'verify') {
          take(accept.verified(isRight));
        } else if (step.do === 'ready' || step.do === 'close') {
          isOver = true;
          read.push(step.do === 'ready' ? `${step.minor} of ${step.clientMinor}` : step.why);
        }
      }
    };
    for (const chunk of chunks) {
      take(accept.push(chunk));
      hold(accept.pendingBytes, limits.lineBytesMax);
    }
    take(accept.end());
    hold(accept.pendingBytes, 0);
    return read.join();
  },
  dial: (chunks, random, hold) => {
    const options = {
      minor: randomInteger(random, 0, 4),
      tls: pick(random, ['none', 'starttls', 'done'] as const),
      credentials: random() < 0.8 ? { user: 'doveadm', password: Buffer.from('secret') } : undefined,
      mayAuthenticateInClear: random() < 0.7,
      lineBytesMax: limits.lineBytesMax,
    };
    const dial = new HandshakeDial(options);
    const read: string[] = [];
    let isOver = false;
    const take = (steps: ReturnType<typeof dial.push>): void => {
      for (const step of steps) {
        assert.ok(!isOver, 'no step after the last one');
        read.push(step.do);
        if (step.do === 'start-tls') {
          take(dial.tlsStarted());
        } else if (step.do === 'ready' || step.do === 'fail') {
          isOver = true;
          read.push(step.do === 'ready' ? `${step.minor}` : step.code);
        }
      }
    };
    take(dial.start());
    for (const chunk of chunks) {
      take(dial.push(chunk));
      hold(dial.pendingBytes, limits.lineBytesMax);
    }
    take(dial.end());
    hold(dial.pendingBytes, 0);
    assert.ok(isOver);
    // What stands behind the go-ahead in the same chunk matters to the handshake: injected text, a late VERSION line.
    return options.tls !== 'starttls' && (options.minor === 0 || startsWithVersion(chunks))
      ? read.join()
      : '';
  },
  'a whole upstream': (chunks, random) => {
    const minor = randomInteger(random, 0, 4);
    const heard = hearServer([chunks], { minor, tls: 'none', hasEnded: true, isDuplex: false });
    // A VERSION line behind the go-ahead is waited for only if it has come; and a chunk is taken apart frame by frame
    // before its replies are read, so of two faults the cuts decide which comes first.
    return minor === 0 || startsWithVersion(chunks) ? String(heard.fault === undefined) : '';
  },
  'a whole session': (chunks, random) => {
    const served = serveClient([chunks], {
      minor: randomInteger(random, 0, 4),
      preauthenticated: random() < 0.6,
      tls: 'none',
      hasEnded: true,
      isPasswordRight: true,
      takesInput: ([name]) => name === 'save',
    });
    return JSON.stringify([served.handshake, served.items, served.fault]);
  },
};

function framed(framing: Framing): Subject {
  return (chunks, _random, hold) => {
    const decoder = createMultiplexDecoder(framing, limits);
    let read = '';
    let current = -1;
    for (const chunk of chunks) {
      let bytesOfEvents = 0;
      for (const { channel, bytes } of decoder.push(chunk)) {
        assert.ok(bytes.length > 0 && channel >= 0 && channel <= 255);
        bytesOfEvents += bytes.length;
        read += channel === current ? text(bytes) : `|${channel}:${text(bytes)}`;
        current = channel;
      }
      // A byte 03 may have been held from the chunk before.
      assert.ok(bytesOfEvents <= chunk.length + 1);
      hold(decoder.pendingBytes, 8);
    }
    return `${read} ${decoder.isMidFrame}`;
  };
}

function startsWithVersion(chunks: readonly Buffer[]): boolean {
  return Buffer.concat(chunks).subarray(0, 8).toString() === 'VERSION\t';
}

function pick<T>(random: Random, choices: readonly [T, ...T[]]): T {
  return choices[Math.floor(random() * choices.length)] ?? choices[0];
}

/** All that was captured in one direction, a piece for each side of a TLS handshake. */
function capturedOf(dir: 'c2s' | 's2c'): Buffer[] {
  return (['server', 'client'] as const).flatMap((role) =>
    vectorsOf(role).flatMap((vector) =>
      connectionsOf(vector).flatMap((steps) =>
        segmentsOf(steps, dir)
          .map(({ bytes }) => bytes.subarray(0, inputBytesMax))
          .filter((bytes) => bytes.length > 0),
      ),
    ),
  );
}

const asked = capturedOf('c2s');
const answered = capturedOf('s2c');

/** What stands behind the handshake, by its framing; output and log of it, taken apart. */
const behindGreeting: Record<Framing | 'output' | 'log', Buffer[]> = {
  none: [],
  packet: [],
  stream: [],
  output: [],
  log: [],
};
for (const bytes of answered) {
  const greeting = /^(VERSION[^\n]*\n)?(-\n)?\+\n/.exec(text(bytes))?.[0] ?? '';
  const behind = bytes.subarray(greeting.length);
  if (greeting === '' || behind.length === 0) continue;
  const framing = behind[0] === 0xff ? 'stream' : behind[0] === 0 || behind[0] === 0x4c ? 'packet' : 'none';
  behindGreeting[framing].push(behind);
  for (const frame of createMultiplexDecoder(framing, { frameBytesMax: 100_000 }).push(behind)) {
    behindGreeting[frame.channel === outputChannel ? 'output' : 'log'].push(frame.bytes);
  }
}

/** The lines of all that was asked. */
const askedLines = asked.flatMap((bytes) =>
  text(bytes)
    .split('\n')
    .map((line) => Buffer.from(line, 'latin1')),
);
const startingWith = (prefix: string): Buffer[] => askedLines.filter((line) => text(line).startsWith(prefix));

/** Where the inputs of a subject come from, so that many of them get through its first checks. */
const corpora: Record<string, Buffer[]> = {
  version: startingWith('VERSION'),
  plain: startingWith('PLAIN'),
  status: answered
    .flatMap((bytes) => text(bytes).match(/^[+-].*$/gm) ?? [])
    .map((line) => Buffer.from(line, 'latin1')),
  command: askedLines.filter((line) => line.includes('\t') && !text(line).startsWith('VERSION')),
  cells: behindGreeting.output,
  lines: asked,
  reply: behindGreeting.output,
  'framing none': behindGreeting.none,
  'framing packet': behindGreeting.packet,
  'framing stream': behindGreeting.stream,
  log: behindGreeting.log,
  dot: asked
    .flatMap((bytes) => text(bytes).match(/(?<=\t(save|sieve put)\t.*\n)[^]*/) ?? [])
    .map((found) => Buffer.from(found, 'latin1')),
  accept: asked,
  dial: answered,
  'a whole upstream': answered,
  'a whole session': asked,
};

/** What the protocol is made of. */
const tokens = [
  'VERSION\tdoveadm-server\t1\t2\n',
  'VERSION\tdoveadm-client\t1\t4\n',
  'VERSION\tdoveadm-server\t1\t',
  'VERSION\t',

  'STARTTLS\n',
  'PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n',
  'PLAIN\t',
  'AGRvdmVhZG0Ac2VjcmV0',
  '+\n',
  '-\n',
  '\n+\n',
  '\n-NOUSER\n',

  '-REFERRAL a@b@c',
  '+',
  '-',
  '\t',
  '\n',
  '\r',
  '\r\n',
  '\0',
  '\x01',
  '\x010',
  '\x01t',
  '\x01n',
  '.',
  '..',
  '\n.',
  '\n.\n',

  '\r\n.\r\n',
  '\n.\r',
  '\x03',
  '\xfe',
  '\x03\xfe',
  '\x03\xfe\0',
  '\x03\xfe\x01',
  '\xff\xff\xff\xff\xff\0\x02\x03\xfe',

  '\0\0\0\0\x03\n+\n',
  '\0\0\0\0\x01x',
  'L\0\0\0\x03\x04e\n',
  'L',
  '\x04',
  '\x04error\n',
  'x\tproxy-ttl=5\t',
  'xx',
  'D',
  'v',

  'alice@example.org\t',
  'quota get',
  '\tuser\tsave\n',
  '\t\tOPTION\tlog-passthrough\n',
  '{"x":1}',
  'é',
  '\xc3',
  '=',
].map((token) => Buffer.from(token, 'latin1'));

function soup(random: Random): Buffer {
  const pieces = Array.from({ length: randomInteger(random, 0, 12) }, () =>
    random() < 0.85
      ? (tokens[randomInteger(random, 0, tokens.length - 1)] ?? Buffer.alloc(0))
      : Buffer.from(
          Array.from({ length: randomInteger(random, 1, 20) }, () => randomInteger(random, 0, 255)),
        ),
  );
  return Buffer.concat(pieces);
}

/** Something captured with some of its bytes changed, left out, doubled, or replaced by something from elsewhere. */
function mutated(corpus: readonly Buffer[], random: Random): Buffer {
  const any = (): Buffer => corpus[randomInteger(random, 0, corpus.length - 1)] ?? Buffer.alloc(0);
  let bytes = any();
  for (let count = randomInteger(random, 0, 3); count > 0; count -= 1) {
    const at = randomInteger(random, 0, bytes.length);
    const until = randomInteger(random, at, Math.min(bytes.length, at + 30));
    const [before, range, after] = [bytes.subarray(0, at), bytes.subarray(at, until), bytes.subarray(until)];
    const other = any();
    const inserted = pick(random, [
      () => [Buffer.of(randomInteger(random, 0, 255)), range.subarray(1)],
      () => [],
      () => [range, range],
      () => [tokens[randomInteger(random, 0, tokens.length - 1)] ?? range],
      () => [range, soup(random)],
      () => [other.subarray(0, randomInteger(random, 0, other.length))],
    ])();
    bytes = Buffer.concat([before, ...inserted, after]).subarray(0, 2 * inputBytesMax);
  }
  return bytes;
}

for (const [index, [name, subject]] of Object.entries(subjects).entries()) {
  void test(`${name}: events or a WireFault, within the limits, whatever the cuts`, (t) => {
    const random = seededRandom(seed + index);
    const corpus = corpora[name] ?? [...asked, ...answered];
    const seen = { answers: 0, faults: 0 };
    for (let count = 0; count < inputsForEach; count += 1) {
      const bytes = random() < 0.3 ? soup(random) : mutated(corpus, random);
      const optionSeed = randomInteger(random, 0, 0xffff_ffff);
      const run = (chunks: readonly Buffer[]): string => {
        try {
          const answer = subject(chunks, seededRandom(optionSeed), (held, heldMax) => {
            assert.ok(held <= heldMax, `holds ${held} bytes, may hold ${heldMax}`);
          });
          return `answer ${answer}`;
        } catch (error) {
          if (error instanceof WireFault) return `fault ${error.code}`;
          const input = bytes.toString('hex');
          throw new Error(`${name}, seed ${seed}, input ${count}: ${input}`, { cause: error });
        }
      };
      const answer = run(bytes.length === 0 ? [] : [Buffer.from(bytes)]);
      assert.equal(run(cutAtRandom(bytes, random)), answer, `input ${count}: ${bytes.toString('hex')}`);
      if (answer.startsWith('answer')) seen.answers += 1;
      else seen.faults += 1;
    }
    // Inputs that all end at the first check would prove nothing.
    assert.ok(seen.answers >= inputsForEach / 20, `${name}: only ${seen.answers} answers`);
    t.diagnostic(`${name}: ${inputsForEach} inputs, ${seen.answers} answers, ${seen.faults} faults`);
  });
}

void test('at least 100,000 inputs', (t) => {
  const inputs = Object.keys(subjects).length * inputsForEach;
  t.diagnostic(`${inputs} inputs, seed ${seed}`);
  assert.ok(inputs >= 100_000 * rounds);
});
