// Ids of exchanges and sessions: ULIDs, 26 characters of Crockford's base 32, 48 bits of time and 80 random bits. Ids of one source are
// strictly increasing, also within a millisecond and when the clock goes back.

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const timeMsMax = 2 ** 48 - 1;

const chanceBytes = 10;

/** Every pair of digits, by its ten bits: every command has an id, and single digits would take a microsecond more. */
const digitPairs: readonly string[] = Array.from(
  { length: 1024 },
  (_, bits) => alphabet.charAt(bits >> 5) + alphabet.charAt(bits & 31),
);

/** Returns a function that makes the next id from the wall clock's milliseconds and ten random bytes. */
export function createUlidSource() {
  let lastMs = -1;
  let time = '';
  const last = new Uint8Array(chanceBytes);
  return (wallMs: number, chance: Uint8Array): string => {
    const ms = Math.min(Math.max(Math.floor(wallMs), 0), timeMsMax);
    if (ms > lastMs) {
      lastMs = ms;
      time = formatTime(lastMs);
      for (let at = 0; at < chanceBytes; at += 1) last[at] = chance[at] ?? 0;
    } else if (!increment(last)) {
      // All 80 bits are used up within one millisecond: the next one begins early.
      lastMs += 1;
      time = formatTime(lastMs);
      last.fill(0);
    }
    return time + formatFive(last, 0) + formatFive(last, 5);
  };
}

function increment(bytes: Uint8Array): boolean {
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    const value = ((bytes[at] ?? 0) + 1) & 255;
    bytes[at] = value;
    if (value !== 0) return true;
  }
  return false;
}

function formatTime(ms: number): string {
  let text = '';
  let rest = ms;
  for (let pair = 0; pair < 5; pair += 1) {
    text = (digitPairs[rest % 1024] ?? '') + text;
    rest = Math.floor(rest / 1024);
  }
  return text;
}

/** Five bytes are eight digits. */
function formatFive(bytes: Uint8Array, from: number): string {
  const [a, b] = [bytes[from] ?? 0, bytes[from + 1] ?? 0];
  const [c, d, e] = [bytes[from + 2] ?? 0, bytes[from + 3] ?? 0, bytes[from + 4] ?? 0];
  const first = (digitPairs[(a << 2) | (b >> 6)] ?? '') + (digitPairs[((b & 63) << 4) | (c >> 4)] ?? '');
  return first + (digitPairs[((c & 15) << 6) | (d >> 2)] ?? '') + (digitPairs[((d & 3) << 8) | e] ?? '');
}
