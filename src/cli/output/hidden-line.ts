// A line that is typed and not shown: what the keys of a terminal in raw mode make of it. A decoder. It does not know what the line is for.
// The rule: what was typed stays in these buffers, and is overwritten when it was handed on.

/** What came of some keys: not yet a line; a line, and what was typed behind it; or no line, since somebody gave up. */
export type HiddenLineStep =
  | { readonly kind: 'more' }
  | { readonly kind: 'line'; readonly bytes: Buffer; readonly rest: Buffer }
  | { readonly kind: 'given-up' };

/** One line. */
export interface HiddenLine {
  /** Bytes as the terminal gives them; overwritten. After the line was told there is nothing more to push. */
  push(chunk: Buffer): HiddenLineStep;
}

const key = {
  interrupt: 0x03,
  end: 0x04,
  backspace: 0x08,
  lineFeed: 0x0a,
  enter: 0x0d,
  kill: 0x15,
  delete: 0x7f,
} as const;

/** An empty line; beyond `bytesMax` keys are ignored. */
export function createHiddenLine(bytesMax: number): HiddenLine {
  const typed = Buffer.alloc(bytesMax);
  let length = 0;

  /** Takes the last character away: in UTF-8 all bytes from its first one on. */
  function takeBack(): void {
    while (length > 0 && isInner(typed[length - 1])) length -= 1;
    length = Math.max(0, length - 1);
  }

  function take(byte: number): 'more' | 'line' | 'given-up' {
    switch (byte) {
      case key.enter:
      case key.lineFeed:
        return 'line';
      case key.interrupt:
        return 'given-up';
      case key.end:
        return length === 0 ? 'given-up' : 'line';
      case key.backspace:
      case key.delete:
        takeBack();
        return 'more';
      case key.kill:
        length = 0;
        return 'more';
      default:
        if (length < bytesMax) typed[length] = byte;
        length = Math.min(bytesMax, length + 1);
        return 'more';
    }
  }

  return {
    push(chunk) {
      for (const [at, byte] of chunk.entries()) {
        const kind = take(byte);
        if (kind === 'more') continue;
        const bytes = Buffer.from(typed.subarray(0, length));
        const rest = Buffer.from(chunk.subarray(at + 1));
        typed.fill(0);
        chunk.fill(0);
        return kind === 'line' ? { kind, bytes, rest } : { kind };
      }
      chunk.fill(0);
      return { kind: 'more' };
    },
  };
}

/** Whether a byte goes on a character of UTF-8 that began before. */
function isInner(byte = 0): boolean {
  return (byte & 0xc0) === 0x80;
}
