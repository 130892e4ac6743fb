// Reads single keys of a line without parsing it: journals are read by the million lines. It knows where keys stand
// (encode.ts writes them in one order) and that no string of JSON can hold an unescaped quote, so that `,"id":"` is
// found nowhere but before the value of a key of that name.

/** What stands at the start of every line. */
export interface LineHead {
  /** RFC 3339 text of 24 characters. */
  readonly time: string;
  readonly event: string;
}

/** Time and event of a line given as latin1 text; undefined: not a line of ours. */
export function readHead(line: string): LineHead | undefined {
  const at = line.indexOf(timeText);
  if (at < 0 || at > seqEndMax) return undefined;
  const eventAt = at + timeText.length + 24 + eventText.length;
  if (!line.startsWith(eventText, eventAt - eventText.length)) return undefined;
  const end = line.indexOf('"', eventAt);
  if (end < 0) return undefined;
  return {
    time: line.slice(at + timeText.length, at + timeText.length + 24),
    event: line.slice(eventAt, end),
  };
}

const timeText = ',"time":"';
const eventText = '","event":"';
const seqEndMax = 24;

/** The text of a key whose value is a string without escapes (ids, hashes, words of closed lists). */
export function readWord(line: string, key: string): string | undefined {
  const open = `,"${key}":"`;
  const at = line.indexOf(open);
  if (at < 0) return undefined;
  const end = line.indexOf('"', at + open.length);
  return end < 0 ? undefined : line.slice(at + open.length, end);
}

/** The whole line as an object; undefined: it is not one. */
export function parseLine(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a parsed value is an object with keys. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
