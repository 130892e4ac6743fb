// One input against one target: whole and cut, the answers must be equal, and nothing but a declared fault may be thrown.

import assert from 'node:assert/strict';
import { cutAtRandom, cutEvery, randomInteger, seededRandom } from '../../../kit/plain/chunkings.js';
import type { Hold, Target } from './target.js';

/** `throw`: something undeclared was thrown, or a promise is broken. `cut`: the answer depends on the cuts. */
export type Broken = { readonly kind: 'throw' | 'cut' | 'loop' | 'memory' | 'steps'; readonly text: string };

export type Checked = { readonly answer: string } | Broken;

export interface Input {
  readonly bytes: Buffer;
  /** Where it is cut. */
  readonly cutSeed: number;
}

const hold: Hold = (held, heldMax) => {
  assert.ok(held <= heldMax, `holds ${held} bytes, may hold ${heldMax}`);
};

/** Memory of its own: a decoder must not lean on what stands next to a slice. */
function wholeOf(bytes: Buffer): Buffer[] {
  return bytes.length === 0 ? [] : [Buffer.from(bytes)];
}

const singleBytesMax = 256;

/** Every eighth is cut into single bytes, a long one in one place of it. */
function cutsOf(bytes: Buffer, cutSeed: number): Buffer[] {
  const random = seededRandom(cutSeed);
  if (cutSeed % 8 !== 0) return cutAtRandom(bytes, random);
  const from = randomInteger(random, 0, Math.max(0, bytes.length - singleBytesMax));
  const until = from + singleBytesMax;
  return [
    ...wholeOf(bytes.subarray(0, from)),
    ...cutEvery(bytes.subarray(from, until), 1),
    ...wholeOf(bytes.subarray(until)),
  ];
}

export async function check(target: Target, { bytes, cutSeed }: Input): Promise<Checked> {
  const options = target.hasOptions === true ? (bytes[0] ?? 0) : 0;
  const read = target.hasOptions === true ? bytes.subarray(1) : bytes;
  try {
    const one = target.run(wholeOf(read), seededRandom(options), hold);
    const whole = typeof one === 'string' ? one : await one;
    if (read.length < 2 || target.isWhole === true) return { answer: whole };
    const other = target.run(cutsOf(read, cutSeed), seededRandom(options), hold);
    const cut = typeof other === 'string' ? other : await other;
    if (cut === whole) return { answer: whole };
    return { kind: 'cut', text: `whole: ${shown(whole)}\ncut:   ${shown(cut)}` };
  } catch (error) {
    return { kind: 'throw', text: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

function shown(answer: string): string {
  return JSON.stringify(answer.length > 500 ? `${answer.slice(0, 500)}...` : answer);
}

/** The same for findings with one cause: what was thrown, and where. */
export function causeOf({ kind, text }: Broken): string {
  if (kind !== 'throw') return kind;
  const [first = ''] = text.split('\n');
  const place = /\n\s+at .*?([\w./-]*\/build\/(?:src|test)\/[^\s)]*:\d+)/.exec(text)?.[1] ?? '';
  return `${/^\w+/.exec(first)?.[0] ?? ''} ${place}`;
}

/** Leaves out what the finding does not need; at most so many tries. */
export async function smaller(target: Target, input: Input, cause: string, tries = 400): Promise<Input> {
  let best = input;
  let left = tries;
  const untilMs = performance.now() + 2_000;
  for (let size = Math.ceil(best.bytes.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.bytes.length; ) {
      if (left <= 0 || performance.now() > untilMs) return best;
      left -= 1;
      const bytes = Buffer.concat([best.bytes.subarray(0, at), best.bytes.subarray(at + size)]);
      const next = { ...best, bytes };
      const checked = await check(target, next);
      if (!('answer' in checked) && causeOf(checked) === cause) best = next;
      else at += size;
    }
  }
  return best;
}
