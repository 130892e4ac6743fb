// Limits the lines of the log: a number each second for each code and each listener, backend or receiver, then one line with the number of
// the others. Every suppressed line is counted. The table holds names of the configuration only, and is bounded.

import { bounds } from '../../host/bounds/bounds.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import type { LogLevel } from '../outcome/outcome.js';
import type { LogCode } from './log-codes.js';

const windowMs = 1_000;
/** Pairs of codes and sources; beyond the limit all sources of a code count together. */
const windowsMax = 1024;

/** The origin of a line: at most one of these, by its name in the configuration. */
export interface LineSource {
  readonly listener?: string | undefined;
  readonly backend?: string | undefined;
  readonly sink?: string | undefined;
}

export interface SuppressedLines {
  readonly code: LogCode;
  readonly source: LineSource;
  readonly level: LogLevel;
  readonly count: number;
}

interface Window {
  readonly code: LogCode;
  readonly source: LineSource;
  startedMs: number;
  written: number;
  level: LogLevel;
  suppressed: number;
}

export class LineLimit {
  readonly suppressed = new Map<LogCode, number>();
  readonly #clock: Clock;
  readonly #tell: (lines: SuppressedLines) => void;
  readonly #windows = new Map<string, Window>();
  #timer: Timer | undefined;

  /** `tell`: called at the end of a second with suppressed lines. */
  constructor(clock: Clock, tell: (lines: SuppressedLines) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** False: this line is only counted. */
  admit(code: LogCode, level: LogLevel, keys: LineSource): boolean {
    const nowMs = this.#clock.now();
    const window = this.#windowOf(code, level, sourceOf(keys), nowMs);
    if (nowMs - window.startedMs >= windowMs) {
      this.#end(window);
      window.startedMs = nowMs;
      window.written = 0;
    }
    if (window.written < (level === 'debug' ? 1000 : bounds.codeLines)) {
      window.written += 1;
      return true;
    }
    window.level = level;
    window.suppressed += 1;
    this.suppressed.set(code, (this.suppressed.get(code) ?? 0) + 1);
    return false;
  }

  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const window of this.#windows.values()) this.#end(window);
    this.#windows.clear();
  }

  #windowOf(code: LogCode, level: LogLevel, source: LineSource, nowMs: number): Window {
    const kind = `${code} ${level === 'debug' ? 'debug' : ''}`;
    const [name = ''] = Object.entries(source).map(([key, value]) => `${key} ${value}`);
    const known = this.#windows.get(`${kind} ${name}`);
    if (known !== undefined) return known;
    const isFull = this.#windows.size >= windowsMax;
    const key = `${kind} ${isFull ? '' : name}`;
    const found = isFull ? this.#windows.get(key) : undefined;
    if (found !== undefined) return found;
    const made = { code, source: isFull ? {} : source, startedMs: nowMs, written: 0, level, suppressed: 0 };
    this.#windows.set(key, made);
    this.#timer ??= this.#clock.setTimer(windowMs, () => this.#onTimer());
    return made;
  }

  #onTimer(): void {
    const nowMs = this.#clock.now();
    for (const [key, window] of this.#windows) {
      if (nowMs - window.startedMs < windowMs) continue;
      this.#end(window);
      this.#windows.delete(key);
    }
    this.#timer =
      this.#windows.size === 0 ? undefined : this.#clock.setTimer(windowMs, () => this.#onTimer());
  }

  #end(window: Window): void {
    const { code, source, level, suppressed: count } = window;
    window.suppressed = 0;
    if (count > 0) this.#tell({ code, source, level, count });
  }
}

function sourceOf({ listener, backend, sink }: LineSource): LineSource {
  if (listener !== undefined) return { listener };
  if (backend !== undefined) return { backend };
  return sink === undefined ? {} : { sink };
}
