// Owns the escaping of fields and cells: SOH (01) and one of 0 1 t r n stands for NUL SOH TAB CR LF.
//
//     a TAB b  ->  a SOH t b
//
// Does not know what the fields mean. Defined by Dovecot in src/lib/strescape.c (str_tabescape).
// The rule: what a peer sends us as a command is read strictly. Dovecot takes SOH X for X and drops a SOH at the end, so
// one field has many spellings there; a gate that accepts them all would have to judge them all.
import { WireFault } from './wire-fault.js';

const TAB = 0x09;
const SOH = 0x01;
const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;

const escapedText = /[\0\x01\t\r\n]/;
/** Without SOH itself. */
const pairs = [
  ['\0', '\x010'],
  ['\t', '\x01t'],
  ['\r', '\x01r'],
  ['\n', '\x01n'],
] as const;
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Escapes a text; the result has no NUL, TAB, CR or LF. */
export function escapeText(text: string): string {
  if (!escapedText.test(text)) return text;
  // SOH first, since the others make more of them. A text of 64 KiB may hold nothing else, and a call for each costs ten times as much.
  let escaped = text.replaceAll('\x01', '\x011');
  for (const [plain, pair] of pairs) escaped = escaped.replaceAll(plain, pair);
  return escaped;
}

/** Escapes one field. A buffer without anything to escape is returned as it is, not copied. */
export function escapeField(value: string | Buffer): Buffer {
  if (typeof value === 'string') return Buffer.from(escapeText(value));
  if (!needsEscape(value)) return value;
  let extra = 0;
  for (const byte of value) if (letterFor(byte) !== 0) extra += 1;
  const escaped = Buffer.allocUnsafe(value.length + extra);
  let to = 0;
  for (const byte of value) {
    const letter = letterFor(byte);
    if (letter === 0) {
      escaped[to++] = byte;
    } else {
      escaped[to++] = SOH;
      escaped[to++] = letter;
    }
  }
  return escaped;
}

/**
 * Undoes escapeField. A field without SOH is returned as it is (a slice of the line).
 * Throws WireFault bad-escape for SOH at the end, and for SOH before anything but 0 1 t r n.
 */
export function unescapeField(field: Buffer): Buffer {
  return unescape(field, true);
}

/**
 * As unescapeField, for text. Escapes are ASCII, so it makes no difference whether bytes are decoded before or after.
 * Throws WireFault bad-escape.
 */
export function unescapeText(field: string): string {
  if (!field.includes('\x01')) return field;
  // In place, byte by byte: a field of 64 KiB can be nothing but escapes, and one call for each costs ten times as much.
  const bytes = Buffer.from(field);
  let to = 0;
  for (let from = 0; from < bytes.length; from += 1) {
    const byte = bytes[from] ?? 0;
    if (byte === SOH) from += 1;
    bytes[to++] = byte === SOH ? strictByteFor(bytes[from] ?? Number.NaN) : byte;
  }
  return bytes.toString('utf8', 0, to);
}

/** Undoes escaping as Dovecot does it, for cells that a server sent: SOH X is X, a SOH at the end is nothing. */
export function unescapeLenient(field: Buffer): Buffer {
  return unescape(field, false);
}

/**
 * Splits at TAB and unescapes each field strictly (WireFault bad-escape). An empty line is one empty field. As many fields
 * as the line has TABs, and one more: each costs memory, so the line must have had a limit.
 */
export function splitFields(line: Buffer): Buffer[] {
  return splitRaw(line).map(unescapeField);
}

/** Splits at TAB, unescaping nothing; slices of the line. */
export function splitRaw(line: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  let from = 0;
  for (;;) {
    const tab = line.indexOf(TAB, from);
    if (tab < 0) break;
    fields.push(line.subarray(from, tab));
    from = tab + 1;
  }
  fields.push(line.subarray(from));
  return fields;
}

/** The bytes as text, or undefined when they are not UTF-8. A byte order mark is a character like any other. */
export function decodeUtf8(bytes: Buffer): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function needsEscape(value: Buffer): boolean {
  return (
    value.includes(TAB) ||
    value.includes(LF) ||
    value.includes(CR) ||
    value.includes(SOH) ||
    value.includes(NUL)
  );
}

/** The letter that stands for a byte after SOH, or 0 for a byte that stands for itself. */
function letterFor(byte: number): number {
  switch (byte) {
    case NUL:
      return 0x30;
    case SOH:
      return 0x31;
    case TAB:
      return 0x74;
    case CR:
      return 0x72;
    case LF:
      return 0x6e;
    default:
      return 0;
  }
}

function byteFor(letter: number): number {
  switch (letter) {
    case 0x30:
      return NUL;
    case 0x31:
      return SOH;
    case 0x74:
      return TAB;
    case 0x72:
      return CR;
    case 0x6e:
      return LF;
    default:
      return -1;
  }
}

/** Takes NaN for a letter that is not there. */
function strictByteFor(letter: number): number {
  const byte = byteFor(letter);
  if (byte < 0) throw new WireFault('bad-escape', 'a field has an escape sequence that is none');
  return byte;
}

function unescape(field: Buffer, isStrict: boolean): Buffer {
  let soh = field.indexOf(SOH);
  if (soh < 0) return field;
  const plain = Buffer.allocUnsafe(field.length);
  let to = 0;
  let from = 0;
  while (soh >= 0) {
    to += field.copy(plain, to, from, soh);
    const letter = field[soh + 1];
    from = soh + 2;
    if (isStrict) {
      plain[to++] = strictByteFor(letter ?? Number.NaN);
    } else if (letter !== undefined) {
      const byte = byteFor(letter);
      plain[to++] = byte < 0 ? letter : byte;
    }
    soh = field.indexOf(SOH, from);
  }
  if (from < field.length) to += field.copy(plain, to, from);
  return plain.subarray(0, to);
}
