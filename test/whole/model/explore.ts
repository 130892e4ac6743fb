// Explores a small model of states breadth-first, so that the first trace which breaks an invariant is a shortest one; and drives real
// code through a model: at each point where several things may happen, a choice is made, in all ways or by chance.

import { hash } from 'node:crypto';
import type { Random } from '../../kit/plain/chunkings.js';

/** One step: its name, and the state after it. */
export type Step<S> = readonly [name: string, next: S];

export interface Model<S> {
  readonly initial: S;
  /** Everything that may happen next; no two steps have the same name. */
  readonly actions: (state: S) => readonly Step<S>[];
  /** By name; false: broken. */
  readonly invariants: Readonly<Record<string, (state: S) => boolean>>;
  /** Equal for states with the same future. */
  readonly keyOf: (state: S) => string;
}

export interface Explored {
  readonly states: number;
  readonly steps: number;
  /** All traces up to this length were followed. */
  readonly depth: number;
  /** The first broken invariant, with a shortest trace to it. */
  readonly broken: { readonly invariant: string; readonly trace: readonly string[] } | undefined;
}

/** `depth`: of the longest trace. */
export function explore<S>(model: Model<S>, depth: number): Explored {
  const seen = new Set<string>();
  const parents: number[] = [];
  const names: string[] = [];
  let steps = 0;
  let length = 0;
  const traceOf = (id: number): string[] => {
    const trace: string[] = [];
    for (let at = id; at > 0; at = parents[at] ?? 0) trace.unshift(names[at] ?? '');
    return trace;
  };
  const invariants = Object.entries(model.invariants);
  type Reached = readonly [id: number, state: S];
  const found: { broken?: Explored['broken'] } = {};
  const reach = (state: S, parent: number, name: string): Reached | undefined => {
    const key = hash('sha1', model.keyOf(state), 'base64');
    if (seen.has(key)) return undefined;
    seen.add(key);
    const id = parents.length;
    parents.push(parent);
    names.push(name);
    const invariant = invariants.find(([, holds]) => !holds(state))?.[0];
    if (invariant !== undefined) found.broken = { invariant, trace: traceOf(id) };
    return [id, state];
  };
  const first = reach(model.initial, 0, '');
  let edge: Reached[] = first === undefined ? [] : [first];
  while (found.broken === undefined && edge.length > 0 && length < depth) {
    const farther: Reached[] = [];
    for (const [id, state] of edge) {
      for (const [name, next] of model.actions(state)) {
        steps += 1;
        const reached = reach(next, id, name);
        if (reached !== undefined) farther.push(reached);
        if (found.broken !== undefined) break;
      }
      if (found.broken !== undefined) break;
    }
    edge = farther;
    if (found.broken === undefined) length += 1;
  }
  return { states: seen.size, steps, depth: length, broken: found.broken };
}

/** The same model, from the state after these steps on. */
export function after<S>(model: Model<S>, names: readonly string[]): Model<S> {
  const beside = new Beside(model);
  for (const name of names) beside.go(name);
  return { ...model, initial: beside.state };
}

/** The same decisions, after these. */
export function chooseAfter(names: readonly string[], choose: Choose): Choose {
  let count = 0;
  return (options) => (count < names.length ? names[count++] : choose(options));
}

/** Makes one decision after the other, each for one of some options; undefined: the run is long enough. */
export type Choose = (options: readonly string[]) => string | undefined;

/**
 * Calls `run` once for each sequence of `length` decisions, or shorter where a run ends by itself. A run must depend on its decisions
 * only. Returns the number of runs.
 */
export async function eachRun(length: number, run: (choose: Choose) => unknown): Promise<number> {
  let count = 0;
  /** The option taken at each decision, and how many there were. */
  let path: { readonly at: number; readonly of: number }[] = [];
  for (;;) {
    const taken: { readonly at: number; readonly of: number }[] = [];
    await run((options) => {
      if (taken.length === length || options.length === 0) return undefined;
      const at = path[taken.length]?.at ?? 0;
      taken.push({ at, of: options.length });
      return options[at];
    });
    count += 1;
    while (taken.length > 0 && (taken.at(-1)?.at ?? 0) + 1 >= (taken.at(-1)?.of ?? 0)) taken.pop();
    const last = taken.pop();
    if (last === undefined) return count;
    path = [...taken, { at: last.at + 1, of: last.of }];
  }
}

/** Steps after which little can happen: one decision in so many, so that some runs come far. */
const ends = /^(?:kill|power|stop|is drained)/;
const endsEach = 12;
/** Taken less than half of the times that they are drawn. */
const rare = / (?:ends|breaks|goes|fails)$/;

/** Decisions by chance. */
export function chooseBy(random: Random, length: number): Choose {
  let count = 0;
  return (options) => {
    count += 1;
    if (count > length) return undefined;
    const others = options.filter((name) => !ends.test(name));
    const isEnd = others.length === 0 || random() * endsEach < 1;
    const among =
      isEnd && others.length < options.length ? options.filter((name) => ends.test(name)) : others;
    for (;;) {
      const name = among[Math.floor(random() * among.length)] ?? '';
      if (!rare.test(name) || random() < 0.4) return name;
    }
  };
}

/** A model's present state beside real code: each step of the code must be one of the model's. */
export class Beside<S> {
  readonly trace: string[] = [];
  readonly #model: Model<S>;
  #state: S;
  #steps: readonly Step<S>[];

  constructor(model: Model<S>) {
    this.#model = model;
    this.#state = model.initial;
    this.#steps = model.actions(model.initial);
  }

  get state(): S {
    return this.#state;
  }

  /** Names of the steps that are possible now. */
  get options(): string[] {
    return this.#steps.map(([name]) => name);
  }

  /** Throws where the model has no such step. */
  go(name: string): void {
    const step = this.#steps.find(([known]) => known === name);
    this.trace.push(name);
    if (step === undefined)
      throw new Error(`the model has no "${name}" here, but ${this.options.join(', ')}`);
    [, this.#state] = step;
    this.#steps = this.#model.actions(this.#state);
  }

  /** Runs, and puts the trace before the message of whatever is thrown. */
  async told(run: () => unknown): Promise<void> {
    try {
      await run();
    } catch (cause) {
      const why = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
      throw new Error(`after ${this.trace.join('; ')}: ${why}`, { cause });
    }
  }
}
