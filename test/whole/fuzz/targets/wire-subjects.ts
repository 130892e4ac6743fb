// The decoders of the doveadm protocol as subjects of fuzzing: each eats chunks within small limits, and says what it read of them.

import assert from 'node:assert/strict';
import { HandshakeAccept } from '../../../../src/doveadm/handshake/accept.js';
import { HandshakeDial } from '../../../../src/doveadm/handshake/dial.js';
import {
  formatPlain,
  formatVersion,
  readPlain,
  readVersion,
} from '../../../../src/doveadm/handshake/greeting.js';
import { encodeCommandLine, parseCommandLine } from '../../../../src/doveadm/protocol/command.js';
import {
  escapeText,
  LineSplitter,
  unescapeLenient,
  unescapeText,
} from '../../../../src/doveadm/protocol/lines.js';
import type { Framing } from '../../../../src/doveadm/protocol/minors.js';
import { DotDecoder, DotEncoder } from '../../../../src/doveadm/protocol/text.js';
import {
  createMultiplexDecoder,
  MultiplexEncoder,
  outputChannel,
} from '../../../../src/doveadm/reply/multiplex.js';
import {
  countCells,
  formatStatus,
  LogDecoder,
  parseStatus,
  ReplyDecoder,
} from '../../../../src/doveadm/reply/reply.js';
import { pick, type Random, randomInteger } from '../../../kit/plain/chunkings.js';
import { listed } from '../../../kit/plain/listed.js';
import { hearServer, serveClient } from '../../../kit/plain/replay.js';
import { connectionsOf, segmentsOf, vectorsOf } from '../../../kit/plain/vectors.js';

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
export type Subject = (
  chunks: readonly Buffer[],
  random: Random,
  hold: (held: number, heldMax: number) => void,
) => string;

const text = (bytes: Buffer): string => bytes.toString('latin1');

/** A function of whole bytes, which has no cuts to depend on. */
function whole(run: (bytes: Buffer) => unknown): Subject {
  return (chunks) => JSON.stringify(run(Buffer.concat(chunks))) ?? '';
}

export const subjects: Record<string, Subject> = {
  escape: whole((bytes) => {
    const field = bytes.toString();
    assert.equal(unescapeText(escapeText(field)), field);
    const plain = unescapeText(field);
    assert.equal(unescapeLenient(Buffer.from(field)).toString(), plain);
    assert.ok(plain.length <= field.length);
    return plain;
  }),
  version: whole((bytes) => {
    const version = readVersion(bytes, 'doveadm-server');
    if (version?.major === 1) {
      const encoded = formatVersion('doveadm-server', version.minor).subarray(0, -1);
      assert.deepEqual(readVersion(encoded, 'doveadm-server'), version);
    }
    return version;
  }),
  plain: whole((bytes) => {
    const plain = readPlain(bytes);
    const encoded = plain && formatPlain(plain.user, plain.password);
    if (encoded !== undefined)
      assert.deepEqual(readPlain(encoded.subarray(0, -1)), { ...plain, authzid: '' });
    return plain && [plain.authzid, plain.user, text(plain.password)];
  }),
  status: whole((bytes) => {
    const status = parseStatus(bytes);
    assert.equal(status.kind === 'ok', bytes[0] === 0x2b);
    assert.equal(parseStatus(formatStatus(status.code).subarray(0, -1)).code, status.code);
    return status.code;
  }),
  command: whole((bytes) => {
    const line = parseCommandLine(bytes, limits.fieldsMax);
    if (line.kind === 'option') return line;
    const { user, words } = line.command;
    assert.ok(words.length > 0 && words.length <= limits.fieldsMax);
    assert.ok(![user, ...words].some((word) => word.includes('\0')));
    const [name = '', ...args] = words;
    const { proxyTtl, debug, verbose } = line.command;
    const encoded = encodeCommandLine({ debug, verbose, proxyTtl, user, name, args });
    const again = parseCommandLine(encoded.subarray(0, -1), limits.fieldsMax);
    assert.ok(again.kind === 'command');
    assert.deepEqual(
      [again.command.user, again.command.words, again.command.proxyTtl],
      [user, words, proxyTtl],
    );
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
    let isDone = false;
    for (const chunk of chunks) {
      const progress = decoder.push(chunk);
      for (const part of progress.parts) {
        assert.ok(part.length > 0);
        read += text(part);
      }
      rest += text(progress.rest);
      isDone = progress.isDone;
      assert.ok(read.length <= limits.inputBytesMax);
      hold(decoder.pendingBytes, 4);
    }
    if (isDone) {
      const encoder = new DotEncoder(undefined);
      const encoded = Buffer.concat([...encoder.push(Buffer.from(read, 'latin1')), ...encoder.end()]);
      assert.equal(text(Buffer.concat(new DotDecoder(limits).push(encoded).parts)), read);
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
    const encoder = new MultiplexEncoder(framing);
    const encoded: Buffer[] = [];
    let read = '';
    let current = -1;
    for (const chunk of chunks) {
      let bytesOfEvents = 0;
      for (const { channel, bytes } of decoder.push(chunk)) {
        assert.ok(bytes.length > 0 && channel >= 0 && channel <= 255);
        bytesOfEvents += bytes.length;
        read += channel === current ? text(bytes) : `|${channel}:${text(bytes)}`;
        current = channel;
        encoded.push(...encoder.frame(channel, [bytes]));
      }
      // A byte 03 may have been held from the chunk before.
      assert.ok(bytesOfEvents <= chunk.length + 1);
      hold(decoder.pendingBytes, 8);
    }
    assert.equal(readFrames(framing, encoded), read);
    return `${read} ${decoder.isMidFrame}`;
  };
}

function readFrames(framing: Framing, chunks: readonly Buffer[]): string {
  const decoder = createMultiplexDecoder(framing, limits);
  let read = '';
  let current = -1;
  for (const { channel, bytes } of chunks.flatMap((chunk) => decoder.push(chunk))) {
    read += channel === current ? text(bytes) : `|${channel}:${text(bytes)}`;
    current = channel;
  }
  return read;
}

function startsWithVersion(chunks: readonly Buffer[]): boolean {
  return Buffer.concat(chunks).subarray(0, 8).toString() === 'VERSION\t';
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

export const asked = capturedOf('c2s');
export const answered = capturedOf('s2c');

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
export const corpora: Record<string, Buffer[]> = {
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
export const tokens = listed(
  'VERSION\tdoveadm-server\t1\t2\n|VERSION\tdoveadm-client\t1\t4\n|VERSION\tdoveadm-server\t1\t',
  'VERSION\t|STARTTLS\n|PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n|PLAIN\t|AGRvdmVhZG0Ac2VjcmV0|+\n|-\n|\n+\n',
  '\n-NOUSER\n|-REFERRAL a@b@c|+|-|\t|\n|\r|\r\n|\0|\x01|\x010|\x01t|\x01n|.|..|\n.|\n.\n',
  '\r\n.\r\n|\n.\r|\x03|\xfe|\x03\xfe|\x03\xfe\0|\x03\xfe\x01|\xff\xff\xff\xff\xff\0\x02\x03\xfe',
  '\0\0\0\0\x03\n+\n|\0\0\0\0\x01x|L\0\0\0\x03\x04e\n|L|\x04|\x04error\n|x\tproxy-ttl=5\t|xx|D|v',
  'alice@example.org\t|quota get|\tuser\tsave\n|\t\tOPTION\tlog-passthrough\n|{"x":1}|é|\xc3|=',
).map((token) => Buffer.from(token, 'latin1'));
