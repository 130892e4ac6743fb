// What a target of the campaign is: one decoder of bytes from outside, and what must be true of it for any bytes.

import type { Random } from '../../../kit/plain/chunkings.js';

/** What a decoder may tell of itself while it runs. Throws if it holds more than it may. */
export type Hold = (held: number, heldMax: number) => void;

export interface Target {
  readonly name: string;
  /** For `--list`: whose bytes, read by what. */
  readonly what: string;
  /** Longer inputs are cut to this. */
  readonly bytesMax: number;
  /** Inputs that get far, from which others are made. */
  readonly seeds: () => readonly Buffer[];
  /** What its inputs are made of. */
  readonly tokens: readonly Buffer[];
  /** Makes an input from nothing. */
  readonly make?: (random: Random) => Buffer;
  /** The first byte of an input is no part of it, but chooses the options: `random` is seeded with it. */
  readonly hasOptions?: boolean;
  /** It takes texts as a whole: nothing depends on cuts, and none are made. */
  readonly isWhole?: boolean;
  /** Less than a thousand inputs in a second: the stage of tests gives it fewer. */
  readonly isSlow?: boolean;
  /**
   * Reads the chunks of an input; returns what was understood, which must not depend on the cuts. Declared faults are answers too. Throws
   * only where a promise is broken. Chunks are empty, one or more, and none of them is empty.
   */
  readonly run: (chunks: readonly Buffer[], random: Random, hold: Hold) => string | Promise<string>;
  /** The kind of an answer: an input with a new one is kept. */
  readonly kind?: (answer: string) => string;
}

export function bytesOf(tokens: readonly string[]): Buffer[] {
  return tokens.map((token) => Buffer.from(token, 'latin1'));
}

/** Runs and catches the declared fault. */
export function faultOr(isDeclared: (error: unknown) => string | undefined, run: () => string): string {
  try {
    return `answer ${run()}`;
  } catch (error) {
    const code = isDeclared(error);
    if (code === undefined) throw error;
    return `fault ${code}`;
  }
}
