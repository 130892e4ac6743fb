// The doveadm protocol 1.0 to 1.4 as the runner reads and writes it: framing, replies, log lines, command lines, dot-streams.
// Nothing here does input or output. PROTOCOL.md beside this file says what is what.

const output = 0;
const log = 0x4c;
const streamHeader = Buffer.from('ffffffffff000203fe', 'hex');
const logTypes = ['', 'debug', 'info', 'warning', 'error', 'fatal', 'panic'];
/** More bytes of one session than this are a fault of the peer. */
export const bytesMax = 64 * 1024 * 1024;

/** What stays on the wire for min(M, N): none, packet or stream. `undefined`: a side that sent no VERSION line. */
export function framingOf(clientMinor, serverMinor) {
  const minor = Math.min(clientMinor, serverMinor ?? 0);
  return minor < 1 ? 'none' : minor < 4 ? 'packet' : 'stream';
}

/** Bytes of a framing to pieces `{ channel, bytes }`; state is kept between calls. */
function createDemux(framing) {
  let rest = Buffer.alloc(0);
  let channel = output;
  let isBegun = false;
  const packets = () => {
    const pieces = [];
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const length = rest.readUInt32BE(1);
      pieces.push({ channel: rest[0], bytes: rest.subarray(5, 5 + length) });
      rest = rest.subarray(5 + length);
    }
    return pieces;
  };
  const stream = () => {
    if (!isBegun) {
      const begin = rest.subarray(0, streamHeader.length);
      if (!begin.equals(streamHeader.subarray(0, begin.length))) throw new Error('no STREAM header');
      if (begin.length < streamHeader.length) return [];
      rest = rest.subarray(streamHeader.length);
      isBegun = true;
    }
    const pieces = [];
    const add = (bytes) => bytes.length > 0 && pieces.push({ channel, bytes });
    for (;;) {
      const at = rest.indexOf(0x03);
      if (at === -1 || at + 1 >= rest.length) {
        // A 03 at the end may begin an escape.
        add(at === -1 ? rest : rest.subarray(0, at));
        rest = at === -1 ? Buffer.alloc(0) : rest.subarray(at);
        return pieces;
      }
      if (rest[at + 1] !== 0xfe) {
        add(rest.subarray(0, at + 1));
        rest = rest.subarray(at + 1);
        continue;
      }
      add(rest.subarray(0, at));
      rest = rest.subarray(at);
      if (rest.length < 3) return pieces;
      if (rest[2] === 0x01) {
        add(Buffer.from([0x03]));
        rest = rest.subarray(3);
      } else if (rest[2] === 0x00) {
        if (rest.length < 4) return pieces;
        channel = rest[3];
        rest = rest.subarray(4);
      } else throw new Error(`unknown STREAM escape ${rest[2]}`);
    }
  };
  return {
    push(bytes) {
      if (framing === 'none') return [{ channel: output, bytes }];
      rest = Buffer.concat([rest, bytes]);
      return framing === 'packet' ? packets() : stream();
    },
  };
}

/** Pieces to bytes of a framing; what has no channel for it is left out. State is kept between calls. */
export function createMux(framing) {
  let channel = output;
  let isBegun = false;
  return (pieces) =>
    Buffer.concat(
      pieces.map((piece) => {
        if (framing === 'none') return piece.channel === output ? piece.bytes : Buffer.alloc(0);
        if (framing === 'packet') {
          const head = Buffer.from([piece.channel, 0, 0, 0, 0]);
          head.writeUInt32BE(piece.bytes.length, 1);
          return Buffer.concat([head, piece.bytes]);
        }
        const parts = isBegun ? [] : [streamHeader];
        isBegun = true;
        if (piece.channel !== channel) parts.push(Buffer.from([0x03, 0xfe, 0x00, piece.channel]));
        channel = piece.channel;
        const data = piece.bytes.toString('latin1').replaceAll('\x03\xfe', '\x03\xfe\x01\xfe');
        parts.push(Buffer.from(data.replace(/\x03$/, '\x03\xfe\x01'), 'latin1'));
        return Buffer.concat(parts);
      }),
    );
}

const escapes = { 0: '\0', 1: '\x01', t: '\t', r: '\r', n: '\n' };

export function unescape(text) {
  return text.replaceAll(/\x01([01trn])/g, (_, letter) => escapes[letter]);
}

/** Bytes (latin1) as JSON has them: a text, or `{ hex }` for what is no printable UTF-8. */
export function shown(latin1) {
  const bytes = Buffer.from(latin1, 'latin1');
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) && !/[\0-\x08\x0b-\x1f\x7f]/.test(text)
    ? text
    : { hex: bytes.toString('hex') };
}

/** What a body is: cells that each end in TAB, or a text. */
function bodyOf(body) {
  if (body === '') return { cells: [] };
  if (!body.endsWith('\t')) return { text: body };
  return { cells: body.slice(0, -1).split('\t').map(unescape) };
}

/**
 * Reads what a server sends to a client that announced `minor` (null: no VERSION line). All texts in it are latin1. `pieces` holds
 * what was demultiplexed by the last push.
 */
export function createServerReader(minor) {
  /**
   * @type {{ serverMinor: number | undefined, handshake: string[], replies: object[], logs: object[], partial: string, eof: boolean,
   *   output: string, isReady: boolean, pieces: { channel: number, bytes: Buffer }[] }}
   */
  const heard = {
    serverMinor: undefined,
    /** `+` and `-` of the handshake, in order; another text ends it. */
    handshake: [],
    replies: [],
    logs: [],
    partial: '',
    eof: false,
    output: '',
    isReady: false,
    pieces: [],
  };
  let demux;
  let text = '';
  let logText = '';
  let bytesSeen = 0;

  const readReplies = () => {
    for (;;) {
      const end = text.indexOf('\n');
      const next = end === -1 ? -1 : text.indexOf('\n', end + 1);
      heard.partial = text;
      if (next === -1) return;
      heard.replies.push({ ...bodyOf(text.slice(0, end)), status: text.slice(end + 1, next) });
      text = text.slice(next + 1);
    }
  };

  const readFramed = (bytes) => {
    demux ??= createDemux(framingOf(minor ?? 0, heard.serverMinor));
    for (const piece of demux.push(bytes)) {
      heard.pieces.push(piece);
      if (piece.channel === output) {
        heard.output += piece.bytes.toString('latin1');
        text += piece.bytes.toString('latin1');
      }
      if (piece.channel === log) logText += piece.bytes.toString('latin1');
    }
    readReplies();
    for (let end = logText.indexOf('\n'); end !== -1; end = logText.indexOf('\n')) {
      const type = logTypes[logText.charCodeAt(0)] ?? 'unknown';
      heard.logs.push({ type, text: logText.slice(1, end) });
      logText = logText.slice(end + 1);
    }
  };

  return {
    heard,
    push(bytes) {
      bytesSeen += bytes.length;
      if (bytesSeen > bytesMax) throw new Error(`more than ${bytesMax} bytes`);
      heard.pieces = [];
      let rest = bytes;
      while (!heard.isReady && rest.length > 0) {
        const end = rest.indexOf(0x0a);
        if (end === -1) {
          text += rest.toString('latin1');
          return;
        }
        const line = text + rest.subarray(0, end).toString('latin1');
        text = '';
        rest = rest.subarray(end + 1);
        const version = /^VERSION\tdoveadm-client\t1\t(\d+)$/.exec(line);
        if (version !== null && heard.serverMinor === undefined && heard.handshake.length === 0) {
          heard.serverMinor = Number(version[1]);
          continue;
        }
        heard.handshake.push(line);
        heard.isReady = line === '+';
      }
      if (rest.length > 0) readFramed(rest);
    },
    end() {
      heard.eof = true;
    },
  };
}

/** How far an answer has come; none of the numbers gets smaller. */
export function progressOf({ serverMinor, handshake, replies, output: out }) {
  return [serverMinor === undefined ? 0 : 1, handshake.length, replies.length, Math.min(out.length, 1)];
}

/** A line of a client: `{ option }`, or a command with its words and what is left of `-u USER` and `--` taken out. */
export function readLine(latin1) {
  const line = latin1.replace(/\r$/, '');
  const fields = line.split('\t').map(unescape);
  const flags = fields.shift() ?? '';
  const extra = flags.includes('x') ? fields.shift() : undefined;
  const [user = '', name = '', ...args] = fields;
  if (name === 'OPTION') return { option: args[0] ?? '', flags };
  return { flags, extra, user, words: wordsOf([...name.split(' '), ...args]), fields: fields.length };
}

/** The words of a command in one form: options sorted, then the others, without `-u USER`, `--`, and with 2.4's `source-user` as `user`. */
export function wordsOf(all) {
  const options = [];
  const others = [];
  let isOver = false;
  for (let at = 0; at < all.length; at += 1) {
    const word = all[at];
    if (!isOver && word === '--') isOver = true;
    else if (!isOver && word === '-u') at += 1;
    else if (!isOver && /^-./.test(word)) options.push(word);
    else others.push(word === 'source-user' ? 'user' : word);
  }
  return [...options.toSorted((one, other) => (one < other ? -1 : 1)), ...others];
}

/** The text of a dot-stream (latin1) and what follows it; undefined: its final dot is not there yet. */
export function readDots(latin1) {
  const lines = [];
  let at = 0;
  for (;;) {
    const end = latin1.indexOf('\n', at);
    if (end === -1) return undefined;
    const line = latin1.slice(at, end).replace(/\r$/, '');
    at = end + 1;
    if (line === '.') return { text: lines.join('\n'), rest: latin1.slice(at) };
    lines.push(line.replace(/^\./, ''));
  }
}

/** Whether a text follows the command. */
export function takesText(words) {
  const [first, second, ...rest] = words.filter((word) => !/^-./.test(word));
  if (first === 'save') return second === undefined || words.includes('-m');
  return first === 'sieve' && second === 'put' && rest.length < 2;
}
