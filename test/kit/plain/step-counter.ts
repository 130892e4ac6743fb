// Counts the work of the code below src/ in steps, so that a test can hold a bound that does not depend on the machine.
//
// V8 counts how often each block of a script runs (precise coverage, which is what coverage tools use), so the code under test
// carries no counter and pays nothing outside of tests. Work inside of built-in functions is not seen by V8: the ones below are
// wrapped while it counts, and each call costs the length of what it reads. The same input gives the same number on every machine
// with the same release of Node.
import assert from 'node:assert/strict';
import { Session } from 'node:inspector';
import { setFlagsFromString } from 'node:v8';

export interface StepCounter {
  /** Steps that `run` takes, including those of promises that it waits for. One at a time. */
  count(run: () => void | Promise<void>): Promise<number>;
  close(): void;
}

type Cost = (self: unknown, args: unknown[], result: unknown) => number;

type Native = (this: unknown, ...args: unknown[]) => unknown;

/** Built-ins that read all of their text or list; characters or members that one step stands for, roughly as fast as a block of code. */
const wrapped: readonly (readonly [prototype: object, perStep: number, names: readonly string[]])[] = [
  [String.prototype, 16, ['includes', 'indexOf', 'lastIndexOf', 'toLowerCase', 'toUpperCase', 'trim']],
  [String.prototype, 4, ['normalize', 'replaceAll']],
  [
    Array.prototype,
    4,
    ['includes', 'indexOf', 'join', 'concat', 'slice', 'splice', 'flat', 'toSorted', 'sort'],
  ],
  [Buffer.prototype, 16, ['toString', 'includes', 'indexOf']],
];

function ignore(): void {}

/** Starts to count. Scripts that were loaded before are counted too. */
export function openStepCounter(): StepCounter {
  // Optimized code does not count the calls that it inlines, and when V8 optimizes is not the same twice.
  setFlagsFromString('--no-opt');
  setFlagsFromString('--no-maglev');
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  let natives = 0;
  const restore: (() => void)[] = [];
  const wrap = (
    prototype: object,
    name: string | symbol,
    cost: Cost,
    enter: (on: boolean) => void = ignore,
  ): (() => void) => {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
    const original: Native | undefined = descriptor?.value;
    assert.ok(original !== undefined && descriptor !== undefined, String(name));
    const counting: Native = function counting(this: unknown, ...args) {
      enter(true);
      const result = original.apply(this, args);
      enter(false);
      natives += cost(this, args, result);
      return result;
    };
    Object.defineProperty(prototype, name, { ...descriptor, value: counting });
    return () => Object.defineProperty(prototype, name, descriptor);
  };
  const wrapAll = (): void => {
    for (const [prototype, perStep, names] of wrapped) {
      for (const name of names) {
        restore.push(wrap(prototype, name, (self, args, result) => read(name, self, args, result) / perStep));
      }
    }
    // A regular expression that does not backtrack reads its text once; those of src/ are held to that by review. The others call
    // `exec`, for each match again.
    let isInside = false;
    for (const name of ['test', Symbol.replace, Symbol.split, Symbol.search, Symbol.match] as const) {
      const undo = wrap(
        RegExp.prototype,
        name,
        (_self, [text]) => lengthOf(text) / 4,
        (on) => {
          isInside = on;
        },
      );
      restore.push(undo);
    }
    restore.push(wrap(RegExp.prototype, 'exec', (_self, [text]) => (isInside ? 0 : lengthOf(text) / 4)));
  };
  return {
    async count(run) {
      natives = 0;
      wrapAll();
      try {
        takeBlocks(session);
        await run();
      } finally {
        for (const undo of restore.splice(0)) undo();
      }
      return Math.round(takeBlocks(session) + natives);
    },
    close: () => session.disconnect(),
  };
}

/** How much of itself a text or list reads for this call. */
function read(name: string, self: unknown, args: unknown[], result: unknown): number {
  if (name === 'slice' || name === 'splice' || name === 'concat') return lengthOf(result);
  if (name !== 'indexOf') return lengthOf(self);
  const from = typeof args[1] === 'number' ? args[1] : 0;
  const end = typeof result === 'number' && result >= 0 ? result : lengthOf(self);
  return Math.max(0, end - from);
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  return Array.isArray(value) || Buffer.isBuffer(value) ? value.length : 0;
}

/** Blocks of src/ that ran since it was asked last. Commands of the profiler answer before `post` returns. */
function takeBlocks(session: Session): number {
  let blocks = 0;
  session.post('Profiler.takePreciseCoverage', (error, { result }) => {
    if (error !== null) throw error;
    for (const { url, functions } of result) {
      if (!url.includes('/build/src/')) continue;
      for (const { ranges } of functions) for (const { count } of ranges) blocks += count;
    }
  });
  return blocks;
}
