// Owns the cutting of a byte stream into lines.
//
//     VERSION TAB doveadm-server TAB 1 TAB 2 LF   TAB alice TAB quota get CR LF
//
// Does not know what a line says. Pull-shaped, because any line can change what the bytes behind it are: a ClientHello
// behind STARTTLS, a mail behind `save`, multiplexing behind `+`. Who asks for the next line decides that they are lines.
// The rule: no byte is looked at twice, however small the chunks are.
import { createGather } from './gather.js';
import { WireFault } from './wire-fault.js';

/** Bytes go in by push, lines come out by next, and the rest can be taken at any time. */
export interface LineSplitter {
  /** Adds bytes. The memory stays in use until it was read, and lines are slices of it where that is possible. */
  push(chunk: Buffer): void;
  /**
   * The next line without its LF and without one CR before it, or undefined until more bytes come.
   * Throws WireFault line-too-long, and throws it again whenever it is asked after that.
   */
  next(): Buffer | undefined;
  /** All bytes that were not read as lines. The splitter is empty afterwards. */
  takeRest(): Buffer;
  /** Bytes held: pushed, and neither read as lines nor taken. */
  readonly pendingBytes: number;
  /** To be called at the end of the input. Throws WireFault truncated when the last line has no LF. */
  end(): void;
}

/** What a LineSplitter takes at most. */
export interface LineLimits {
  /** Bytes of a line before its LF, the CR counted. Stops a peer that never sends an LF. */
  lineBytesMax: number;
}

const LF = 0x0a;
const CR = 0x0d;
const nothing = Buffer.alloc(0);

/** An empty splitter. Between two calls of push and next it holds at most lineBytesMax and what was not asked for. */
export function createLineSplitter(limits: LineLimits): LineSplitter {
  const { lineBytesMax } = limits;
  /** The searched beginning of a line, which has no LF. */
  const partial = createGather(lineBytesMax);
  /** What was not searched yet: queue[head] from `from` on, and all behind it. */
  let queue: Buffer[] = [];
  let head = 0;
  let from = 0;
  let queuedBytes = 0;
  let isTooLong = false;

  function clearQueue(): void {
    queue = [];
    head = 0;
    from = 0;
    queuedBytes = 0;
  }

  /** Moves on by `count` bytes of the first chunk and returns them. */
  function eat(chunk: Buffer, count: number): Buffer {
    const eaten = from === 0 && count === chunk.length ? chunk : chunk.subarray(from, from + count);
    from += count;
    queuedBytes -= count;
    if (queuedBytes === 0) {
      clearQueue();
    } else if (from === chunk.length) {
      queue[head] = nothing;
      head += 1;
      from = 0;
      // A peer that always sends ahead of the reader must not grow the list for ever.
      if (head >= 64 && head * 2 > queue.length) {
        queue = queue.slice(head);
        head = 0;
      }
    }
    return eaten;
  }

  function refuse(): never {
    isTooLong = true;
    partial.take();
    clearQueue();
    throw new WireFault('line-too-long', `a line has more than ${lineBytesMax} bytes`);
  }

  return {
    get pendingBytes() {
      return partial.length + queuedBytes;
    },
    push(chunk) {
      if (chunk.length === 0 || isTooLong) return;
      queue.push(chunk);
      queuedBytes += chunk.length;
    },
    next() {
      if (isTooLong) refuse();
      for (;;) {
        const chunk = queue[head];
        if (chunk === undefined) return undefined;
        const lf = chunk.indexOf(LF, from);
        const count = (lf < 0 ? chunk.length : lf) - from;
        if (partial.length + count > lineBytesMax) refuse();
        if (lf < 0) {
          partial.append(eat(chunk, count));
          continue;
        }
        const piece = eat(chunk, count + 1).subarray(0, count);
        if (partial.length === 0) return withoutCr(piece);
        partial.append(piece);
        return withoutCr(partial.take());
      }
    },
    takeRest() {
      const pieces = partial.length === 0 ? [] : [partial.take()];
      for (let chunk = queue[head]; chunk !== undefined; chunk = queue[head]) {
        pieces.push(eat(chunk, chunk.length - from));
      }
      const [first] = pieces;
      return first === undefined ? nothing : pieces.length === 1 ? first : Buffer.concat(pieces);
    },
    end() {
      const last = queue.at(-1);
      if (last === undefined ? partial.length > 0 : last[last.length - 1] !== LF) {
        throw new WireFault('truncated', 'the input ended inside a line');
      }
    },
  };
}

function withoutCr(line: Buffer): Buffer {
  return line[line.length - 1] === CR ? line.subarray(0, -1) : line;
}
