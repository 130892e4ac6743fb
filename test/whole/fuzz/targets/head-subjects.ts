// Requests of HTTP for fuzzing: how they are made, and a strict reader of them that shares nothing with the program.

import type { HttpRequest } from '../../../../src/host/ports/transport.js';
import { pick, type Random, randomInteger } from '../../../kit/plain/chunkings.js';
import { listed } from '../../../kit/plain/listed.js';

const starts = [
  'POST /doveadm/v1 HTTP/1.1',
  'POST /doveadm/v1 HTTP/1.0',
  'GET /dovegate/v1/can HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'HEAD /?a=b%00 HTTP/1.1',
];
const oddStarts = listed(
  'POST  /doveadm/v1 HTTP/1.1|POST /doveadm/v1  HTTP/1.1|POST /doveadm/v1 HTTP/1.1 ',
  'POST /doveadm/v1\tHTTP/1.1|POST /dove adm HTTP/1.1|POST http://other/doveadm/v1 HTTP/1.1',
  'post /doveadm/v1 HTTP/1.1|POST /doveadm/v1 HTTP/2.0|POST /doveadm/v1 HTTP/1.10',
  'POST /doveadm/v1 HTTP/01.1|POST /doveadm/v1 http/1.1|POST /doveadm/v1|GET /|GET * HTTP/1.1',
  'CONNECT other:443 HTTP/1.1|PRI * HTTP/2.0|SOURCE / HTTP/1.1|TRACE / HTTP/1.1|',
  '\u0016\u0003\u0001',
);
const fields = [
  ...listed(
    'Connection: keep-alive|Connection: close|Accept: */*|Authorization: X-Dovecot-API a2V5',
    'Dovegate-Reason: \xc3\xa9\xff|X-Empty:|X-Blank:  \t a \t ',
  ),
  "x!#$%&'*+-.^_`|~9: y",
];
const oddFields = [
  ...listed(
    'Host: other|host:gate|Authorization: Basic Og==|Content-Length: 0|Content-Length: 5',
    'Content-Length: +5|Content-Length: 5, 5|Content-Length: 0x5|Content-Length: 5 5',
    'Content-Length: |Content-Length: 18446744073709551621|Content-Length : 5',
    'Transfer-Encoding: chunked|Transfer-Encoding: Chunked|Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunked, identity|Transfer-Encoding: identity|Transfer-Encoding:\tchunked',
    'Transfer-Encoding: \x0bchunked|Transfer-Encoding\n: chunked|Content-Length: 3\r\n 4',
    'Content-Length:\r\n 5|X: a\r\n\tb|X: a\rb|X: a\nContent-Length: 5|X: a\x00b|X: \x7f\x01|X a: b',
    ': b|X|\xa0X: b|Expect: 100-continue|Expect: x|Upgrade: h2c\r\nConnection: Upgrade|Trailer: x',
    'Keep-Alive: timeout=0',
  ),
  `Y: ${'y'.repeat(17_000)}`,
];
const bodies = ['', 'hello', '[["a",{},"t"]]', 'GET / HTTP/1.1\r\nHost: inner\r\n\r\n', '0\r\n\r\n'];
const ends = ['\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\r\n', ' \r\n'];

function chunked(random: Random, body: string): string {
  let text = '';
  for (let at = 0; at < body.length; ) {
    const size = randomInteger(random, 1, body.length - at);
    const shown = pick(random, [size.toString(16), size.toString(16).toUpperCase(), `0${size.toString(16)}`]);
    const odd =
      randomInteger(random, 1, 12) === 1
        ? pick(random, [';a=b', ' ', ';', '\t', 'g', '\n', ';a="\r\n"'])
        : '';
    text += `${shown}${odd}\r\n${body.slice(at, at + size)}${randomInteger(random, 1, 20) === 1 ? '\n' : '\r\n'}`;
    at += size;
  }
  return `${text}${pick(random, ['0', '0', '0', '00', '-0', '0;x'])}\r\n${randomInteger(random, 1, 12) === 1 ? 'T: x\r\n' : ''}\r\n`;
}

/** A request that is nearly, or wholly, one of HTTP. */
export function makeRequest(random: Random): string {
  const isOdd = (): boolean => randomInteger(random, 1, 6) === 1;
  const lines = [isOdd() ? pick(random, oddStarts) : pick(random, starts)];
  if (randomInteger(random, 1, 12) > 1) lines.push('Host: gate');
  for (let more = randomInteger(random, 0, 3); more > 0; more -= 1) lines.push(pick(random, fields));
  const body = pick(random, bodies);
  const framing = randomInteger(random, 1, 4);
  let sent = body;
  if (framing === 1) sent = '';
  else if (framing === 2) {
    lines.push('Transfer-Encoding: chunked');
    sent = chunked(random, body);
  } else lines.push(`Content-Length: ${body.length}`);
  while (isOdd()) lines.splice(randomInteger(random, 1, lines.length), 0, pick(random, oddFields));
  const end = (): string => (randomInteger(random, 1, 40) === 1 ? pick(random, ends) : '\r\n');
  let head = '';
  for (const line of lines) head += `${line}${end()}`;
  return `${head}${end()}${sent}`;
}

/** What a request says, as both readers tell it. */
export interface Told {
  readonly head: string;
  readonly body: string;
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Several blanks between the parts make no second reading: the line is the same. */
const startLine = /^([A-Z-]+) +([!-~\x80-\xff]+) +HTTP\/(1\.[01])$/;

/**
 * Reads as strictly as RFC 9112 lets one read, byte by byte, apart from anything that the program uses. Stops where it would refuse. What
 * comes of a body that is not whole is told too, as `cut`.
 */
export function readStrictly(bytes: Buffer): {
  readonly whole: readonly Told[];
  readonly cut: Told | undefined;
} {
  const text = bytes.toString('latin1');
  const whole: Told[] = [];
  let at = 0;
  for (;;) {
    // Empty lines in front of a request are to be skipped (RFC 9112, 2.2); Node skips each of their bytes.
    while (text[at] === '\r' || text[at] === '\n') at += 1;
    const end = text.indexOf('\r\n\r\n', at);
    if (end < 0) return { whole, cut: undefined };
    const [start = '', ...lines] = text.slice(at, end).split('\r\n');
    const match = startLine.exec(start);
    if (match === null) return { whole, cut: undefined };
    const [, method = '', target = '', version = ''] = match;
    const told: string[] = [`${method} ${target} ${version}`];
    const values = new Map<string, string[]>();
    for (const line of lines) {
      const colon = line.indexOf(':');
      const name = line.slice(0, Math.max(colon, 0));
      const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '');
      // Controls other than a TAB are no part of a value.
      if (!token.test(name) || /[^\t -~\x80-\xff]/.test(value)) return { whole, cut: undefined };
      told.push(`${name.toLowerCase()}: ${value}`);
      values.set(name.toLowerCase(), [...(values.get(name.toLowerCase()) ?? []), value]);
    }
    const head = withAuthority(told).join('\n');
    const lengths = values.get('content-length') ?? [];
    const codings = values.get('transfer-encoding') ?? [];
    if (lengths.length + codings.length > 1) return { whole, cut: undefined };
    at = end + 4;
    const [length] = lengths;
    const [coding] = codings;
    if (coding !== undefined) {
      if (coding.toLowerCase() !== 'chunked' || version !== '1.1') return { whole, cut: undefined };
      const read = readChunks(text, at);
      if (read.end === undefined) return { whole, cut: { head, body: read.body } };
      whole.push({ head, body: read.body });
      at = read.end;
      continue;
    }
    if (length !== undefined && !isLength(length)) return { whole, cut: undefined };
    const body = text.slice(at, at + Number(length ?? 0));
    if (body.length < Number(length ?? 0)) return { whole, cut: { head, body } };
    whole.push({ head, body });
    at += body.length;
  }
}

/** RFC 9112, 3.2.2: the authority of an absolute target stands in the place of Host. */
function withAuthority([start = '', ...given]: readonly string[]): readonly string[] {
  const [method = '', target = '', version = ''] = start.split(' ');
  const scheme = ['http://', 'https://'].find((each) => target.toLowerCase().startsWith(each));
  if (scheme === undefined) return [start, ...given];
  const rest = target.slice(scheme.length);
  const end = rest.search(/[/?]/);
  const [authority, path] = end < 0 ? [rest, ''] : [rest.slice(0, end), rest.slice(end)];
  const others = given.filter((field) => !field.startsWith('host: '));
  return [`${method} ${path.startsWith('/') ? '' : '/'}${path} ${version}`, `host: ${authority}`, ...others];
}

/** Digits, and no more than 64 bits hold. */
function isLength(text: string): boolean {
  return /^\d{1,20}$/.test(text) && BigInt(text) < 2n ** 64n;
}

/** `end`: undefined where the chunks stop before theirs. */
function readChunks(text: string, from: number): { readonly body: string; readonly end: number | undefined } {
  let body = '';
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    // A chunk may have a name and a value that mean nothing (RFC 9112, 7.1.1).
    const size = /^(0*[0-9A-Fa-f]{1,16})(?:[ \t]*;[^\r\n]*)?$/.exec(
      lineEnd < 0 ? '' : text.slice(at, lineEnd),
    );
    if (size === null) return { body: body + text.slice(at), end: undefined };
    const length = Number.parseInt(size[1] ?? '', 16);
    at = lineEnd + 2;
    if (length === 0) {
      for (;;) {
        const next = text.indexOf('\r\n', at);
        if (next < 0) return { body, end: undefined };
        const line = text.slice(at, next);
        at = next + 2;
        if (line === '') return { body, end: at };
        if (!token.test(line.slice(0, Math.max(line.indexOf(':'), 0)))) return { body, end: undefined };
      }
    }
    const piece = text.slice(at, at + length);
    body += piece;
    if (piece.length < length || !text.startsWith('\r\n', at + length)) return { body, end: undefined };
    at += length + 2;
  }
}

export async function tell(request: HttpRequest): Promise<Told & { readonly isWhole: boolean }> {
  const { method, target, version, headers } = request;
  const head = [`${method} ${target} ${version}`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  const chunks: Buffer[] = [];
  let isWhole = true;
  try {
    for (let chunk = await request.read(); chunk !== null; chunk = await request.read()) chunks.push(chunk);
  } catch {
    isWhole = false;
  }
  return { head: head.join('\n'), body: Buffer.concat(chunks).toString('latin1'), isWhole };
}
