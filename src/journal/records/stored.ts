// Reading records as they were parsed from lines: a key may be absent, cut, or of another type, since journals can be damaged or forged.
// Also for the browser, so nothing of Node is used.

import {
  asList,
  asNumber,
  asObject,
  asText,
  isObject,
  isText,
  type StoredRecord,
} from '../../host/values/values.js';

/** Between the approvers in `by` of an approval. */
export const approverSeparator = ', ';

/** The beginning of a text that was too long for its record. */
export function asCut(value: unknown): string | undefined {
  return asText(asObject(value)?.['cut']);
}

/** A text as it is recorded; '': absent, cut, or no text. */
export function textIn(record: StoredRecord | undefined, key: string): string {
  return asText(record?.[key]) ?? '';
}

export function numberIn(record: StoredRecord | undefined, key: string): number | undefined {
  return asNumber(record?.[key]);
}

/** A value of a record as people read it: a list, a cut one, a hidden one. */
export function valueText(value: unknown): string {
  if (value === undefined || value === null) return '';
  const list = asList(value);
  if (list !== undefined) return list.map(valueText).join(' ');
  if (!isObject(value)) return isText(value) ? value : JSON.stringify(value);
  const { hmac, more, cut, end, bytes, ...rest } = value;
  if (isText(hmac)) return `hmac:${hmac}`;
  if (asNumber(more) !== undefined) return `(${Number(more).toLocaleString('en-US')} more, not recorded)`;
  if (isText(cut)) return `${cut}(cut: ${valueText(bytes)} bytes)${valueText(end)}`;
  const all = bytes === undefined ? rest : { bytes, ...rest };
  return Object.entries(all)
    .map(([key, part]) => `${key}=${quotedPart(valueText(part))}`)
    .join(' ');
}

/** A value must not look like another key: a program can be called `/tmp/a uid=0`. */
function quotedPart(text: string): string {
  return /[\s"]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : text;
}

export function argumentCount(admission: StoredRecord): number {
  const count = numberIn(admission, 'argument_records') ?? 0;
  return Number.isSafeInteger(count) && count >= 0 ? count : 0;
}

/** The admission with all its arguments and users. Undefined: these are not exactly its records. */
export function joinArguments(
  admission: StoredRecord,
  records: readonly StoredRecord[],
): StoredRecord | undefined {
  if (argumentCount(admission) !== records.length) return undefined;
  const args = joinList(records, 'args');
  const users = joinList(records, 'users');
  if (args === undefined || users === undefined) return undefined;
  return {
    ...admission,
    ...(admission['args'] === undefined ? {} : { args }),
    ...(admission['users'] === undefined ? {} : { users }),
  };
}

function joinList(records: readonly StoredRecord[], key: 'args' | 'users'): unknown[] | undefined {
  const joined: unknown[] = [];
  let pieces: string[] = [];
  let digest: unknown;
  for (const item of records.flatMap((record) => asList(record[key]) ?? [])) {
    if (!isObject(item)) {
      if (pieces.length > 0) return undefined;
      joined.push(item);
      continue;
    }
    const { part, rest, hmac } = item;
    if (isText(part)) pieces.push(part);
    else if (isText(rest)) {
      joined.push([...pieces, rest].join(''));
      pieces = [];
    } else {
      digest = hmac === 'same' ? digest : item;
      joined.push(digest);
    }
  }
  return pieces.length === 0 ? joined : undefined;
}

/** Prefix of the name of a command, in `args` of a record that counts commands. */
export const countedCommand = 'command=';

/** Prefix of the name of a person of the page. */
export const pagePrefix = 'page:';
