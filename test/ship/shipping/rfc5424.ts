// A reader of syslog over TLS written from the grammars of RFC 5424 (section 6) and RFC 5425 (section 4.3), and from nothing of
// ours. Throws at the first byte that the grammar does not permit.
import assert from 'node:assert/strict';

export interface Message {
  readonly facility: number;
  readonly severity: number;
  readonly timestamp: string;
  readonly hostName: string;
  readonly appName: string;
  readonly processId: string;
  readonly messageId: string;
  /** Unescaped, by the id of the element and the name. */
  readonly data: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly text: Buffer;
  readonly bytes: number;
}

/** MSG-LEN SP SYSLOG-MSG, again and again; what is not whole is left over. */
export function readFrames(bytes: Buffer): { readonly messages: readonly Message[]; readonly rest: Buffer } {
  const messages: Message[] = [];
  for (let at = 0; ; ) {
    const space = bytes.indexOf(0x20, at);
    if (space < 0) return { messages, rest: bytes.subarray(at) };
    const digits = bytes.toString('latin1', at, space);
    assert.match(digits, /^[1-9]\d*$/, 'MSG-LEN');
    const end = space + 1 + Number(digits);
    if (end > bytes.length) return { messages, rest: bytes.subarray(at) };
    messages.push(readMessage(bytes.subarray(space + 1, end)));
    at = end;
  }
}

const header =
  /^<(0|[1-9]\d{0,2})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) /;

export function readMessage(bytes: Buffer): Message {
  const match = header.exec(bytes.toString('latin1'));
  assert.ok(match, `HEADER of ${bytes.toString()}`);
  const [head, priority, timestamp = '', hostName = '', appName = '', processId = '', messageId = ''] = match;
  assert.ok(Number(priority) <= 191, 'PRIVAL');
  const { data, end } = readData(bytes, head.length);
  assert.ok(end === bytes.length || bytes[end] === 0x20, 'SP before MSG');
  const text = bytes.subarray(end + 1);
  const names = { hostName, appName, processId, messageId };
  const value = Number(priority);
  return { facility: value >> 3, severity: value & 7, timestamp, ...names, data, text, bytes: bytes.length };
}

const element = /^\[([!#-<>-\\^-~]{1,32})/;
const parameter = /^ ([!#-<>-\\^-~]{1,32})="/;

function readData(bytes: Buffer, from: number): { readonly data: Message['data']; readonly end: number } {
  const data = new Map<string, Map<string, string>>();
  let at = from;
  if (bytes[at] === 0x2d) return { data, end: at + 1 };
  do {
    const [opening, id = ''] = element.exec(bytes.toString('latin1', at)) ?? assert.fail('SD-ELEMENT');
    assert.ok(!data.has(id), 'an SD-ID once');
    const parameters = new Map<string, string>();
    data.set(id, parameters);
    at += opening.length;
    while (bytes[at] === 0x20) {
      const [begin, name = ''] = parameter.exec(bytes.toString('latin1', at)) ?? assert.fail('SD-PARAM');
      at += begin.length;
      const value: number[] = [];
      for (; bytes[at] !== 0x22; at += 1) {
        assert.ok(at < bytes.length && bytes[at] !== 0x5d, 'a closing quote before a bracket');
        if (bytes[at] === 0x5c && [0x22, 0x5c, 0x5d].includes(bytes[at + 1] ?? 0)) at += 1;
        else assert.notEqual(bytes[at], 0x5c, 'a backslash alone');
        value.push(bytes[at] ?? 0);
      }
      at += 1;
      parameters.set(name, new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(value)));
    }
    assert.equal(bytes[at], 0x5d, 'the end of an SD-ELEMENT');
    at += 1;
  } while (bytes[at] === 0x5b);
  return { data, end: at };
}
