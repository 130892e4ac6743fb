// Reads parsed JSON: a value of another type counts as missing. Also for the browser, so nothing of Node is used.

export type StoredRecord = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is StoredRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

export function asText(value: unknown): string | undefined {
  return isText(value) ? value : undefined;
}

export function asNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

export function asObject(value: unknown): StoredRecord | undefined {
  return isObject(value) ? value : undefined;
}

export function asList(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

/** The texts of a list; values that were cut are left out. */
export function asTexts(value: unknown): readonly string[] {
  return asList(value)?.filter(isText) ?? [];
}

export function parseLine(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The body of a request as an object; a text: why it is invalid. */
export function parseRequest(body: string): Readonly<Record<string, unknown>> | string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return 'the request is not JSON';
  }
  return isObject(value) ? value : 'the request is not a JSON object';
}

export function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

export function asCount(value: unknown): number | undefined {
  return isCount(value) ? value : undefined;
}
