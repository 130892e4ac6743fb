// Argument records: all arguments and users of an allowed command that may change something or reads content, where its admission has no
// room for them. This file makes them; `joinArguments` (stored.ts) puts them together again, `createArgumentsCheck` (arguments-check.ts)
// checks them. They stand directly after their admission, in their order. Only records of the journal itself stand between. The ring takes
// them together with the admission or not at all. Values are redacted before they are split.
//
//   {"seq":17, ... "event":"admission", "args":["--","a1",{"more":58, ...},"z"], ... "argument_records":2,"argument_hash":"<64 hex>"}
//   {"seq":18,"time":"...","event":"arguments","session":"...","id":"...","principal":"...","command":"...",
//    "args":["--","a1",{"part":"b"}]}
//   {"seq":19, ... "event":"arguments", ... "args":[{"rest":"2"}, ... ,"z"],"users":["anna@example.com"]}
//
// `argument_hash` is SHA-256, hex, over the text of each of them between `{"seq":N,` and `,"prev":`, each with an LF. A value that goes on
// in the next record is `{"part":"..."}`, its last piece `{"rest":"..."}`. `{"hmac":"same"}` is the digest before it in the list.

import { formatTime } from '../../host/words/instants.js';
import { withoutKeys } from '../../host/words/text.js';
import type { RecordedArgument } from './keys.js';
import { type AuditRecord, eventOpening, timeOpening } from './record.js';

/** A value is not split if less than this is left in a record. */
const pieceBytesMin = 512;
/** For the principal and the command's name, which only show the origin of the arguments. */
const nameCharsMax = 256;
/** `"args":[],"users":[]` and the commas. */
const framingBytes = 32;
const pieceFraming = '{"part":""}'.length + 1;

/** `bodyBytesMax`: limit of each body. `quote`: makes harmless JSON of a string. */
export function argumentBodies(
  record: AuditRecord,
  bodyBytesMax: number,
  quote: (text: string) => string,
): string[] {
  let open = `${timeOpening.slice(1)}${formatTime(record.time)}${eventOpening}arguments"`;
  for (const key of ['session', 'id', 'principal', 'command'] as const) {
    const value = record[key];
    if (value !== undefined) open += `,"${key}":${quote(withoutKeys(value).slice(0, nameCharsMax))}`;
  }
  const room = bodyBytesMax - Buffer.byteLength(open) - framingBytes;
  const bodies: string[] = [];
  let lists = '';
  let left = room;
  const end = (): void => {
    if (lists !== '') bodies.push(`${open}${lists}]`);
    lists = '';
    left = room;
  };

  for (const key of ['args', 'users'] as const) {
    let isOpen = false;
    let digest: RecordedArgument | undefined;
    const add = (text: string, bytes: number): void => {
      if (!isOpen) lists += `${lists === '' ? '' : ']'},"${key}":[`;
      lists += isOpen ? `,${text}` : text;
      left -= bytes + 1;
      isOpen = true;
    };
    const next = (): void => {
      end();
      isOpen = false;
    };
    for (const value of record[key] ?? []) {
      if (typeof value !== 'string') {
        const text = value === digest ? sameDigest : `{"hmac":${quote(value.hmac)}}`;
        digest = value;
        if (text.length > left) next();
        add(text, text.length);
        continue;
      }
      const whole = withoutKeys(value);
      const text = whole.length <= room ? quote(whole) : undefined;
      const bytes = text === undefined ? Infinity : Buffer.byteLength(text);
      if (text !== undefined && bytes <= room) {
        if (bytes > left) next();
        add(text, bytes);
        continue;
      }
      for (let at = 0; at < whole.length; ) {
        if (left < pieceBytesMin) next();
        const piece = pieceOf(whole, at, left - pieceFraming, quote);
        at += piece.length;
        add(`{"${at < whole.length ? 'part' : 'rest'}":${piece.text}}`, piece.bytes + pieceFraming);
      }
    }
  }
  end();
  return bodies;
}

const sameDigest = '{"hmac":"same"}';

/** The text of a value from a position on, in whole characters, as long as possible within so many bytes. */
function pieceOf(
  value: string,
  at: number,
  bytesMax: number,
  quote: (text: string) => string,
): { readonly text: string; readonly length: number; readonly bytes: number } {
  for (let length = Math.min(value.length - at, bytesMax); ; ) {
    const isHalf = /[\ud800-\udbff]/.test(value.charAt(at + length - 1)) && at + length < value.length;
    const piece = value.slice(at, at + length - (isHalf && length > 1 ? 1 : 0));
    const text = quote(piece);
    const bytes = Buffer.byteLength(text);
    if (bytes <= bytesMax) return { text, length: piece.length, bytes };
    length = Math.max(2, Math.floor((length * bytesMax) / bytes));
  }
}
