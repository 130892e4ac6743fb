// The event stream of `/api/now`: a snapshot, then what differs, made once for all watchers and written once for each distinct view.
// The rules: nothing is made while nobody watches; a watcher is sent what differs from what it has, so one that reads slowly skips states and
// nothing is kept for it; a mail user is named only where the view covers it, and a narrowed view has nothing that was left out for it.

import { bounds } from '../bounds/bounds.js';
import type { Now, RunningCommand, Trouble } from '../domain/page/api.js';
import type { Clock, Timer } from '../ports/machine.js';

/** What is shown, without mail users, and whom the rows named: one for each, `''` for nobody. */
export interface MadeNow {
  readonly now: Now;
  readonly runningUsers: readonly string[];
  readonly troubleUsers: readonly string[];
}

/** Whose names may be shown: all, or those that it says; undefined: nobody's. */
export type Covers = 'all' | ((user: string) => boolean) | undefined;

/** All of what is shown, with the names that are covered; or only what is left of it for somebody who may see no exchange. */
export type Sight = Covers | { readonly narrow: (now: Now) => Now };

export interface NowStreamParts {
  readonly clock: Pick<Clock, 'now' | 'setTimer'>;
  readonly make: () => MadeNow;
  /** Whether something has happened since the last call. */
  readonly takeChanged: () => boolean;
  /** Told that a state could not be made. */
  readonly onFailed: (fault: unknown) => void;
  /** Told when the first watcher comes and when the last one leaves. */
  readonly onWatched?: (isWatched: boolean) => void;
}

/** Between two states: 5 a second at most. */
export const paceMs = bounds.statePaceMs;
/** A state is told after this time at the latest, also when nothing happened: a page greys out after 5 s without one. */
const beatMs = 800;
/** Making a state takes at most one in so many parts of the time. */
const dutyMin = 20;

/** Each part stands for itself in a change. */
const commonParts = ['head', 'tiles', 'runningCount', 'waitingCount', 'backends'] as const;
const rowParts = ['running', 'troubles'] as const;

interface Part {
  readonly name: Exclude<keyof Now, 'at'>;
  text: string;
  /** The state in which it became this. */
  state: number;
}

interface View {
  readonly sight: Sight;
  watchers: number;
  /** Of this view alone: the rows, and of a narrowed one everything. */
  readonly own: readonly Part[];
  /** All that it has. */
  readonly parts: readonly Part[];
  /** The last change that was put together, which nearly every watcher of the view gets. */
  change: { readonly from: number; readonly to: number; readonly text: string } | undefined;
}

export class NowStream {
  readonly #parts: NowStreamParts;
  readonly #views = new Map<string, View>();
  readonly #common = commonParts.map(newPart);
  readonly #wakes = new Set<() => void>();
  #made: MadeNow | undefined;
  /** Counts up with each state that is made. */
  #state = 0;
  #madeMs = Number.NEGATIVE_INFINITY;
  #costMs = 0;
  #timer: Timer | undefined;

  constructor(parts: NowStreamParts) {
    this.#parts = parts;
  }

  get watchers(): number {
    let count = 0;
    for (const view of this.#views.values()) count += view.watchers;
    return count;
  }

  /**
   * What one watcher is sent, up to the abort or until `isStill` says no. `key` names the view: with the same key comes the same `sight`.
   * Counted from this call on, until `onLeft` is called: after the abort, or the end of the pieces.
   */
  watch(
    key: string,
    sight: Sight,
    signal: AbortSignal,
    isStill: () => boolean,
    onLeft: () => void,
  ): AsyncIterable<string> {
    const view = this.#views.get(key) ?? this.#newView(sight);
    this.#views.set(key, view);
    view.watchers += 1;
    let hasLeft = false;
    const leave = (): void => {
      if (hasLeft) return;
      hasLeft = true;
      signal.removeEventListener('abort', leave);
      view.watchers -= 1;
      if (view.watchers === 0) this.#views.delete(key);
      if (this.#views.size === 0) this.#rest();
      onLeft();
    };
    signal.addEventListener('abort', leave, { once: true });
    try {
      if (signal.aborted) leave();
      else this.#begin(view);
    } catch (fault) {
      leave();
      throw fault;
    }
    return this.#pieces(view, signal, isStill, leave);
  }

  /** Something got better or worse: it is told now, or as soon as the pace allows. */
  hurry(): void {
    if (this.#timer !== undefined)
      this.#later(Math.max(0, this.#madeMs + this.#pauseMs - this.#parts.clock.now()));
  }

  async *#pieces(
    view: View,
    signal: AbortSignal,
    isStill: () => boolean,
    leave: () => void,
  ): AsyncGenerator<string> {
    let seen = 0;
    try {
      while (!signal.aborted && isStill()) {
        const from = seen;
        seen = this.#state;
        yield from === 0 ? this.#snapshot(view) : this.#change(view, from);
        while (seen === this.#state && !signal.aborted) await this.#next(signal);
      }
    } finally {
      leave();
    }
  }

  /** Resolves with the next state, or the abort. */
  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wakes.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#wakes.add(wake);
      signal.addEventListener('abort', wake, { once: true });
      if (signal.aborted) wake();
    });
  }

  #begin(view: View): void {
    const isFirst = this.#timer === undefined;
    if (isFirst) this.#parts.onWatched?.(true);
    // Somebody who comes again and again gets no more states made than somebody who stays.
    if (this.#made === undefined || this.#parts.clock.now() - this.#madeMs >= this.#pauseMs) this.#makeNow();
    else this.#write(view, this.#made);
    if (isFirst) this.#later(this.#pauseMs);
  }

  #rest(): void {
    if (this.#timer === undefined) return;
    this.#timer.cancel();
    this.#timer = undefined;
    this.#parts.onWatched?.(false);
  }

  get #pauseMs(): number {
    return Math.max(paceMs, Math.min(beatMs, dutyMin * this.#costMs));
  }

  #later(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.setTimer(ms, () => {
      const isDue = this.#parts.clock.now() - this.#madeMs >= beatMs;
      try {
        if (isDue || this.#parts.takeChanged()) this.#makeNow();
      } catch (fault) {
        // A bug of ours: the watchers see that nothing comes any more, and commands go on.
        this.#parts.onFailed(fault);
        this.#madeMs = this.#parts.clock.now();
      }
      if (this.#timer !== undefined) this.#later(this.#pauseMs);
    });
  }

  #makeNow(): void {
    const { clock, make, takeChanged } = this.#parts;
    const startMs = clock.now();
    takeChanged();
    const made = make();
    this.#made = made;
    this.#state += 1;
    for (const part of this.#common) set(part, JSON.stringify(made.now[part.name]), this.#state);
    for (const view of this.#views.values()) this.#write(view, made);
    this.#madeMs = clock.now();
    this.#costMs = this.#madeMs - startMs;
    for (const wake of this.#wakes) wake();
  }

  #newView(sight: Sight): View {
    const rows = rowParts.map(newPart);
    const common = isNarrowed(sight) ? commonParts.map(newPart) : this.#common;
    const parts = [...common, ...rows];
    return { sight, watchers: 0, own: isNarrowed(sight) ? parts : rows, parts, change: undefined };
  }

  #write({ sight, own }: View, { now, runningUsers, troubleUsers }: MadeNow): void {
    if (isNarrowed(sight)) {
      const left = sight.narrow(now);
      for (const part of own) set(part, JSON.stringify(left[part.name]), this.#state);
      return;
    }
    for (const part of own) {
      const isRunning = part.name === 'running';
      const text = isRunning
        ? rowsOf(now.running, runningUsers, sight)
        : rowsOf(now.troubles, troubleUsers, sight);
      set(part, text, this.#state);
    }
  }

  #snapshot(view: View): string {
    return eventOf('snapshot', this.#membersSince(view, 0));
  }

  #change(view: View, from: number): string {
    const known = view.change;
    if (known !== undefined && known.from === from && known.to === this.#state) return known.text;
    const text = eventOf('change', this.#membersSince(view, from));
    view.change = { from, to: this.#state, text };
    return text;
  }

  /** The parts that became something else after that state. */
  #membersSince(view: View, state: number): string {
    let members = `"at":${JSON.stringify(this.#made?.now.at)}`;
    for (const part of view.parts) if (part.state > state) members += `,"${part.name}":${part.text}`;
    return members;
  }
}

function newPart(name: Part['name']): Part {
  return { name, text: '', state: 0 };
}

function isNarrowed(sight: Sight): sight is Exclude<Sight, Covers> {
  return typeof sight === 'object';
}

function set(part: Part, text: string, state: number): void {
  if (part.text === text) return;
  part.text = text;
  part.state = state;
}

/** JSON has no line end, so one line of `data` holds all of it. */
function eventOf(name: 'snapshot' | 'change', members: string): string {
  return `event: ${name}\ndata: {${members}}\n\n`;
}

function rowsOf(
  rows: readonly (RunningCommand | Trouble)[],
  users: readonly string[],
  covers: Covers,
): string {
  const texts = rows.map((row, at) => {
    const user = users[at] ?? '';
    const isShown = user !== '' && (covers === 'all' || covers?.(user) === true);
    return JSON.stringify(isShown ? { ...row, user } : row);
  });
  return `[${texts.join(',')}]`;
}
