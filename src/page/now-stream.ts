// The event stream of `/api/now`: a snapshot, then what differs, written once for each distinct view. While the daemon does not answer, `away`
// with a sentence.
// The rules: the daemon is asked only while somebody watches; a watcher is sent what differs from what it has, so one that reads slowly skips
// states and nothing is kept for it; a mail user is named only where the view covers it, and a narrowed view has nothing that was left out for it.

import { pause, Wakes } from '../concurrency/waiting.js';
import type { MadeNow } from '../domain/door/door.js';
import type { Away, Now, RunningCommand, Trouble } from '../domain/page/api.js';
import { messageOf } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';

/** Whose names may be shown: all, or those that it says; undefined: nobody's. */
export type Covers = 'all' | ((user: string) => boolean) | undefined;

/** All of what is shown, with the names that are covered; or only what is left of it for somebody who may see no exchange. */
export type Sight = Covers | { readonly narrow: (now: Now) => Now };

export interface NowStreamParts {
  readonly clock: Pick<Clock, 'setTimer'>;
  /** The daemon's states, up to the abort. Rejects while it does not answer. */
  readonly states: (signal: AbortSignal) => AsyncIterable<MadeNow>;
}

/** Between two attempts to reach the daemon. */
const retryMs = 500;

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
  readonly #wakes = new Wakes();
  #made: MadeNow | undefined;
  /** Counts up with each state that is made. */
  #state = 0;
  /** Why nothing comes from the daemon; undefined: it does, or was not asked yet. */
  #away: string | undefined;
  /** Ends the asking, while somebody watches. */
  #asking: AbortController | undefined;

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

  async *#pieces(
    view: View,
    signal: AbortSignal,
    isStill: () => boolean,
    leave: () => void,
  ): AsyncGenerator<string> {
    let seen = this.#made === undefined && this.#away === undefined ? this.#state : -1;
    let hasSnapshot = false;
    try {
      while (!signal.aborted && isStill()) {
        while (seen === this.#state && !signal.aborted) await this.#wakes.next(signal);
        if (signal.aborted || !isStill()) return;
        const from = seen;
        seen = this.#state;
        if (this.#away !== undefined) yield awayEvent(this.#away);
        else {
          yield hasSnapshot ? this.#change(view, from) : this.#snapshot(view);
          hasSnapshot = true;
        }
      }
    } finally {
      leave();
    }
  }

  #begin(view: View): void {
    if (this.#made !== undefined) this.#write(view, this.#made);
    if (this.#asking !== undefined) return;
    const asking = new AbortController();
    this.#asking = asking;
    void this.#follow(asking.signal);
  }

  /** Nobody watches: what was made is old when somebody does again. */
  #rest(): void {
    this.#asking?.abort(new Error('nobody watches'));
    this.#asking = undefined;
    this.#made = undefined;
    this.#away = undefined;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const made of this.#parts.states(signal)) this.#take(made);
      } catch (fault) {
        if (signal.aborted) return;
        this.#away = messageOf(fault);
        this.#turn();
      }
      await pause(this.#parts.clock, retryMs, signal);
    }
  }

  #take(made: MadeNow): void {
    this.#made = made;
    this.#away = undefined;
    const state = this.#state + 1;
    for (const part of this.#common) set(part, JSON.stringify(made.now[part.name]), state);
    for (const view of this.#views.values()) this.#write(view, made, state);
    this.#turn();
  }

  #turn(): void {
    this.#state += 1;
    this.#wakes.wake();
  }

  #newView(sight: Sight): View {
    const rows = rowParts.map(newPart);
    const common = isNarrowed(sight) ? commonParts.map(newPart) : this.#common;
    const parts = [...common, ...rows];
    return { sight, watchers: 0, own: isNarrowed(sight) ? parts : rows, parts, change: undefined };
  }

  #write({ sight, own }: View, { now, runningUsers, troubleUsers }: MadeNow, state = this.#state): void {
    if (isNarrowed(sight)) {
      const left = sight.narrow(now);
      for (const part of own) set(part, JSON.stringify(left[part.name]), state);
      return;
    }
    for (const part of own) {
      const isRunning = part.name === 'running';
      const text = isRunning
        ? rowsOf(now.running, runningUsers, sight)
        : rowsOf(now.troubles, troubleUsers, sight);
      set(part, text, state);
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

function awayEvent(text: string): string {
  return `event: away\ndata: ${JSON.stringify({ text } satisfies Away)}\n\n`;
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
