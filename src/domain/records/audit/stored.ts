// Reading records as they were parsed from lines: a key may be absent, cut, or of another type, since journals can be damaged or forged.
// Also for the browser, so nothing of Node is used.

/** Between the approvers in `by` of an approval. */
export const approverSeparator = ', ';

export type StoredRecord = Readonly<Record<string, unknown>>;

/** A text as it is recorded; '': absent, cut, or no text. */
export function textIn(record: StoredRecord | undefined, key: string): string {
  const value = record?.[key];
  return typeof value === 'string' ? value : '';
}

export function numberIn(record: StoredRecord | undefined, key: string): number | undefined {
  const value = record?.[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

export function objectIn(record: StoredRecord | undefined, key: string): StoredRecord {
  const value = record?.[key];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** Undefined: it is no list. */
export function listIn(record: StoredRecord | undefined, key: string): readonly unknown[] | undefined {
  const value = record?.[key];
  return Array.isArray(value) ? value : undefined;
}

/** The texts of a list; values that were cut are left out. */
export function textsIn(record: StoredRecord | undefined, key: string): readonly string[] {
  return (listIn(record, key) ?? []).filter((each) => typeof each === 'string');
}

/** A value of a record as people read it: a list, a cut one, a hidden one. */
export function valueText(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return value.map(valueText).join(' ');
  const { hmac, more, cut, end, bytes, ...rest }: StoredRecord = { ...value };
  if (typeof hmac === 'string') return `hmac:${hmac}`;
  if (typeof more === 'number') return `(${more.toLocaleString('en-US')} more, not recorded)`;
  if (typeof cut === 'string') return `${cut}(cut: ${valueText(bytes)} bytes)${valueText(end)}`;
  const all = bytes === undefined ? rest : { bytes, ...rest };
  return Object.entries(all)
    .map(([key, part]) => `${key}=${quotedPart(valueText(part))}`)
    .join(' ');
}

/** Who chooses a value may not add another key: a program can be called `/tmp/a uid=0`. */
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
  for (const item of records.flatMap((record) => listIn(record, key) ?? [])) {
    if (typeof item !== 'object' || item === null) {
      if (pieces.length > 0) return undefined;
      joined.push(item);
      continue;
    }
    const { part, rest, hmac }: StoredRecord = { ...item };
    if (typeof part === 'string') pieces.push(part);
    else if (typeof rest === 'string') {
      joined.push([...pieces, rest].join(''));
      pieces = [];
    } else {
      digest = hmac === 'same' ? digest : item;
      joined.push(digest);
    }
  }
  return pieces.length === 0 ? joined : undefined;
}
