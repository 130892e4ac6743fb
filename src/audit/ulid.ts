// Ids of exchanges and sessions: ULIDs, 26 characters of Crockford's base 32, 48 bits of time and 80 of chance.
// It knows neither clock nor chance: both come in. Ids of one source grow strictly, also within a millisecond and when
// the clock goes back, so that they sort in the order in which they were made.

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const timeMsMax = 2 ** 48 - 1;

/** Makes the next id from the wall clock's milliseconds and ten random bytes. */
export type UlidSource = (wallMs: number, chance: Uint8Array) => string;

/** A source whose ids grow strictly. */
export function createUlidSource(): UlidSource {
  let lastMs = -1;
  let last = new Uint8Array(10);
  return (wallMs, chance) => {
    const ms = Math.min(Math.max(Math.floor(wallMs), 0), timeMsMax);
    if (ms > lastMs) {
      lastMs = ms;
      last = Uint8Array.from({ length: 10 }, (_, at) => chance[at] ?? 0);
    } else if (!increment(last)) {
      // All 80 bits used up within one millisecond: the next one begins early.
      lastMs += 1;
      last = new Uint8Array(10);
    }
    return formatUlid(lastMs, last);
  };
}

/** Milliseconds since 1970 that an id was made at; undefined when the text is not a ULID. */
export function ulidTime(id: string): number | undefined {
  if (!/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(id)) return undefined;
  let ms = 0;
  for (const digit of id.slice(0, 10)) ms = ms * 32 + alphabet.indexOf(digit);
  return ms;
}

function increment(bytes: Uint8Array): boolean {
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    const value = ((bytes[at] ?? 0) + 1) & 255;
    bytes[at] = value;
    if (value !== 0) return true;
  }
  return false;
}

function formatUlid(ms: number, chance: Uint8Array): string {
  let text = '';
  let rest = ms;
  for (let digit = 0; digit < 10; digit += 1) {
    text = alphabet.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  let bits = 0;
  let held = 0;
  for (const byte of chance) {
    held = ((held << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet.charAt((held >> bits) & 31);
    }
  }
  return text;
}
