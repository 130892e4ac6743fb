// A fair queue of questions to the user directory: one in flight for each origin, round-robin among origins, with a limit on those in
// flight and on those started in a second. So somebody with thousands of uids delays the names of others by one question. Questions that
// got no answer before (mute ones) queue apart, for few places. A `turn` is the key of a queue: an origin, or an origin's mute questions.

import type { Clock, Timer } from '../ports/machine.js';

export interface TurnLimits {
  readonly atOnce: number;
  readonly atOnceOfMute: number;
  readonly perSecond: number;
  readonly waiting: number;
  readonly waitingOfTurn: number;
  /** The longest wait for turn and answer; absent: as long as it takes. */
  readonly waitMs?: number;
}

interface Question {
  readonly run: () => Promise<unknown>;
  readonly end: () => void;
}

/** First part of a turn of mute questions. */
const muteMark = 'mute ';

export class NameTurns {
  readonly #clock: Clock;
  readonly #limits: TurnLimits;
  readonly #waiting = new Map<string, Question[]>();
  readonly #inFlight = new Set<string>();
  #startedMs: number[] = [];
  #size = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, limits: TurnLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** The answer of `ask`; undefined: there was no place, or no answer in time. `ask` must not reject. */
  take<Answer>(of: string, ask: () => Promise<Answer>, isMute = false): Promise<Answer | undefined> {
    const turn = isMute ? `${muteMark}${of}` : of;
    const { waiting, waitingOfTurn, waitMs } = this.#limits;
    const others = this.#waiting.get(turn) ?? [];
    if (this.#size >= waiting || others.length >= waitingOfTurn) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const giveUp = (): void => {
        this.#leave(turn, question);
        resolve(undefined);
      };
      const timer = waitMs === undefined ? undefined : this.#clock.setTimer(waitMs, giveUp);
      const question: Question = { run: () => ask().then(resolve), end: () => timer?.cancel() };
      others.push(question);
      this.#waiting.set(turn, others);
      this.#size += 1;
      this.#startWhatMay();
    });
  }

  #startWhatMay(): void {
    const { atOnce, perSecond } = this.#limits;
    while (this.#inFlight.size < atOnce) {
      const nowMs = this.#clock.now();
      this.#startedMs = this.#startedMs.filter((startMs) => nowMs - startMs < 1000);
      const [oldestMs] = this.#startedMs;
      const turn = this.#nextTurn();
      if (turn === undefined) return;
      if (oldestMs !== undefined && this.#startedMs.length >= perSecond) {
        this.#timer?.cancel();
        this.#timer = this.#clock.setTimer(1000 - (nowMs - oldestMs), () => this.#startWhatMay());
        return;
      }
      this.#start(turn);
      this.#startedMs.push(nowMs);
    }
  }

  #start(turn: string): void {
    const questions = this.#waiting.get(turn) ?? [];
    const [question] = questions;
    if (question === undefined) return;
    this.#leave(turn, question);
    // Puts the turn at the end of the order.
    if (this.#waiting.delete(turn)) this.#waiting.set(turn, questions);
    this.#inFlight.add(turn);
    void question.run().then(() => {
      question.end();
      this.#inFlight.delete(turn);
      this.#startWhatMay();
    });
  }

  #nextTurn(): string | undefined {
    const mute = [...this.#inFlight].filter((turn) => turn.startsWith(muteMark)).length;
    const isFull = mute >= this.#limits.atOnceOfMute;
    for (const turn of this.#waiting.keys())
      if (!this.#inFlight.has(turn) && !(isFull && turn.startsWith(muteMark))) return turn;
    return undefined;
  }

  /** Does nothing to a question that has been started. */
  #leave(turn: string, question: Question): void {
    const questions = this.#waiting.get(turn);
    const index = questions?.indexOf(question) ?? -1;
    if (questions === undefined || index < 0) return;
    questions.splice(index, 1);
    this.#size -= 1;
    if (questions.length === 0) this.#waiting.delete(turn);
  }
}
