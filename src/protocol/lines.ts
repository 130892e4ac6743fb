// Owns the cutting of a byte stream into lines.
//
//     VERSION TAB doveadm-server TAB 1 TAB 2 LF   TAB alice TAB quota get CR LF
//
// Does not know what a line says. Pull-shaped, because any line can change what the bytes behind it are: a ClientHello
// behind STARTTLS, a mail behind `save`, multiplexing behind `+`. Who asks for the next line decides that they are lines.
// The rule: no byte is looked at twice, however small the chunks are.
import { createGather, type Gather } from './gather.js';
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
  return new Splitter(limits.lineBytesMax);
}

class Splitter implements LineSplitter {
  readonly #lineBytesMax: number;
  /** The searched beginning of a line, which has no LF. */
  readonly #partial: Gather;
  /** What was not searched yet: queue[head] from `from` on, and all behind it. */
  #queue: Buffer[] = [];
  #head = 0;
  #from = 0;
  #queuedBytes = 0;
  #isTooLong = false;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
    this.#partial = createGather(lineBytesMax);
  }

  get pendingBytes(): number {
    return this.#partial.length + this.#queuedBytes;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0 || this.#isTooLong) return;
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
  }

  next(): Buffer | undefined {
    if (this.#isTooLong) this.#refuse();
    const partial = this.#partial;
    for (;;) {
      const chunk = this.#queue[this.#head];
      if (chunk === undefined) return undefined;
      const lf = chunk.indexOf(LF, this.#from);
      const count = (lf < 0 ? chunk.length : lf) - this.#from;
      if (partial.length + count > this.#lineBytesMax) this.#refuse();
      if (lf < 0) {
        partial.append(this.#eat(chunk, count));
        continue;
      }
      const piece = this.#eat(chunk, count + 1).subarray(0, count);
      if (partial.length === 0) return withoutCr(piece);
      partial.append(piece);
      return withoutCr(partial.take());
    }
  }

  takeRest(): Buffer {
    const pieces = this.#partial.length === 0 ? [] : [this.#partial.take()];
    for (let chunk = this.#queue[this.#head]; chunk !== undefined; chunk = this.#queue[this.#head]) {
      pieces.push(this.#eat(chunk, chunk.length - this.#from));
    }
    const [first] = pieces;
    return first === undefined ? nothing : pieces.length === 1 ? first : Buffer.concat(pieces);
  }

  end(): void {
    const last = this.#queue.at(-1);
    if (last === undefined ? this.#partial.length > 0 : last[last.length - 1] !== LF) {
      throw new WireFault('truncated', 'the input ended inside a line');
    }
  }

  #clearQueue(): void {
    this.#queue = [];
    this.#head = 0;
    this.#from = 0;
    this.#queuedBytes = 0;
  }

  /** Moves on by `count` bytes of the first chunk and returns them. */
  #eat(chunk: Buffer, count: number): Buffer {
    const from = this.#from;
    const eaten = from === 0 && count === chunk.length ? chunk : chunk.subarray(from, from + count);
    this.#from += count;
    this.#queuedBytes -= count;
    if (this.#queuedBytes === 0) {
      this.#clearQueue();
    } else if (this.#from === chunk.length) {
      this.#queue[this.#head] = nothing;
      this.#head += 1;
      this.#from = 0;
      // A peer that always sends ahead of the reader must not grow the list for ever.
      if (this.#head >= 64 && this.#head * 2 > this.#queue.length) {
        this.#queue = this.#queue.slice(this.#head);
        this.#head = 0;
      }
    }
    return eaten;
  }

  #refuse(): never {
    this.#isTooLong = true;
    this.#partial.take();
    this.#clearQueue();
    throw new WireFault('line-too-long', `a line has more than ${this.#lineBytesMax} bytes`);
  }
}

function withoutCr(line: Buffer): Buffer {
  return line[line.length - 1] === CR ? line.subarray(0, -1) : line;
}
