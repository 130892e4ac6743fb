// Records as syslog messages (RFC 5424) in the frames of its TLS transport (RFC 5425). MSG is the record exactly as it lies in the journal,
// so that stored messages can be verified. The structured data in front repeats its main keys for filters, and may be cut.
//
//   412 <110>1 2026-11-20T08:22:34.123Z gate1 dovegate 812 admission [dovegate@32473 seq="17" event="admission" ...] {"seq":17, ... }
//
// No byte order mark stands before MSG: it is MSG-ANY of the grammar, and the JSON text stays JSON where it is stored alone.

import { type Severity, severityOf } from '../../evidence/formats/severity.js';
import { asText, isCount, parseLine } from '../../host/values/values.js';
import { asTimeMs } from '../../journal/records/record.js';
import { asCut } from '../../journal/records/stored.js';

/** The sender's names, unchanged where the grammar permits. */
export interface Sender {
  readonly hostName: string;
  readonly processId: number;
}

/** The longest message, the default of rsyslog. (RFC 5425, 4.3.1: receivers should take 8192.) */
export const messageBytesMax = 8096;

/** 13: "log audit". */
const facility = 13;
const appName = 'dovegate';
/** 32473 is the number for examples (RFC 5612): the project has none of its own, and the form of the name requires one. */
const structuredId = 'dovegate@32473';
/** The repeated keys, and the escaped bytes of each: with these no message exceeds its limit, however long the record is. */
const shownKeys = Object.entries({
  event: 16,
  id: 40,
  principal: 128,
  command: 128,
  user: 128,
  decision: 8,
  outcome: 16,
});

const severities: Readonly<Record<Severity, number>> = {
  critical: 2,
  error: 3,
  warning: 4,
  notice: 5,
  informational: 6,
};

/** The frames of several records. `bytes`: a line of the journal without LF. */
export function encodeFrames(lines: readonly { readonly bytes: Buffer }[], sender: Sender): Buffer {
  const parts: Buffer[] = [];
  for (const { bytes } of lines) {
    const head = formatHead(bytes, sender);
    const length = Buffer.byteLength(head) + bytes.length;
    parts.push(Buffer.from(`${length} ${head}`), bytes);
  }
  return Buffer.concat(parts);
}

/** Everything of a message up to MSG, with the space before it. An invalid line still makes a message. */
export function formatHead(line: Buffer, { hostName, processId }: Sender): string {
  const record = parseLine(line.toString('utf8')) ?? {};
  const { seq, time, event } = record;
  const priority = facility * 8 + severities[severityOf(record)];
  const timestamp = asTimeMs(time) === undefined ? '-' : String(time);
  const data = [`seq="${isCount(seq) ? seq : ''}"`];
  for (const [key, bytesMax] of shownKeys) {
    const value = textOf(record[key]);
    if (value !== undefined) data.push(`${key}="${formatValue(value, bytesMax)}"`);
  }
  const names = `${printableName(hostName, 255)} ${appName} ${processId} ${printableName(textOf(event) ?? '', 32)}`;
  return `<${priority}>1 ${timestamp} ${names} [${structuredId} ${data.join(' ')}] `;
}

/** The text of a value; of a value that the journal cut, its beginning. */
function textOf(value: unknown): string | undefined {
  const cut = asCut(value);
  return cut === undefined ? asText(value) : `${cut}...`;
}

/** PRINTUSASCII for the header's fields, or the value for "none". */
function printableName(text: string, lengthMax: number): string {
  return /^[!-~]+$/.test(text) && text.length <= lengthMax ? text : '-';
}

/** A PARAM-VALUE: escaped, without terminal controls, cut at a character. */
function formatValue(value: string, bytesMax: number): string {
  if (value.length <= bytesMax && plainValue.test(value)) return value;
  let text = '';
  let bytes = 0;
  for (const character of value) {
    const shown = unprintable.test(character) ? '\ufffd' : character;
    const escaped = shown === '"' || shown === '\\' || shown === ']' ? `\\${shown}` : shown;
    bytes += Buffer.byteLength(escaped);
    if (bytes > bytesMax - cutMark.length) return `${text}${cutMark}`;
    text += escaped;
  }
  return text;
}

const cutMark = '...';
const plainValue = /^[ !#-[^-~]*$/;
// Controls, unpaired surrogates, and characters that change how others are shown.
const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
