// Questions about users to Dovecot's auth service, with a short cache of the answers: a machine over the links that it opens. Every
// question is answered in time, if need be by a failure. A failure never becomes an answer. Answers are cut to the fields that route users
// before they get here, so that no password is kept or shown. A question may crash the service (an entry with `proxy` and an empty `host=`
// crashes every release, measured), and then all questions in flight are lost. So these are sent again once, one at a time; a question that
// crashes the service again is not sent for a while.

import { LRUCache } from 'lru-cache';
import { bounds } from '../../host/bounds/bounds.js';
import { backOffMs } from '../../host/concurrency/back-off.js';
import { type Queueing, whoGiveWay } from '../../host/concurrency/limits.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import type { Address, Connect } from '../../host/ports/transport.js';
import { AuthLink, type LinkFailure, type LinkLimits, type LinkOwner } from './auth-link.js';
import { type AnswerFailure, type AuthAnswer, isAskable, type QuestionKind } from './auth-protocol.js';

/** Why there is no answer. Records and logs contain these words: none is ever renamed or reused. */
export type LookupFailure =
  | LinkFailure
  | AnswerFailure
  | 'name-unaskable' // empty, too long, or with a character that would make it another name
  | 'reply-timeout'
  | 'queue-full'
  | 'closed';

export type LookupAnswer =
  | Exclude<AuthAnswer, { kind: 'failed' }>
  | { readonly kind: 'failed'; readonly code: LookupFailure };

export interface LookupLimits extends LinkLimits {
  /** From the question to its answer, including the time in the queue and a second try. */
  readonly questionTimeoutMs: number;
  readonly queueMax: number;
  readonly inFlightMax: number;
  /** How long an answer is cached; 0: not at all. */
  readonly foundTtlMs: number;
  readonly notFoundTtlMs: number;
  readonly rememberedMax: number;
  /** For all cached answers together. */
  readonly rememberedBytesMax: number;
}

export interface LookupOptions {
  readonly address: Address;
  readonly connect: Connect;
  readonly clock: Clock;
  readonly limits: LookupLimits;
  /** Called with each failure of the service; undefined: it has answered. Never throws. */
  readonly tell: (failure: LinkFailure | undefined) => void;
}

export const lookupLimits: LookupLimits = {
  lineBytesMax: bounds.lookupLineBytes,
  fieldsMax: 256,
  greetingTimeoutMs: bounds.lookupGreetingMs,
  lingerMs: 5_000,
  lateMax: 64,
  questionTimeoutMs: bounds.lookupMs,
  queueMax: bounds.lookupQueue,
  inFlightMax: 64,
  foundTtlMs: 10_000,
  notFoundTtlMs: 2_000,
  rememberedMax: 10_000,
  rememberedBytesMax: bounds.lookupBytes,
};

/** After this time new questions get a new link: the old one may lead to a service that was reloaded or stopped. */
const maxLifetimeMs = 180_000;
/** Pause between two dials after a failure: the first, and the longest. */
const redialMs = 100;
const redialMaxMs = 1_000;
/** How long a question that crashed the service is not sent. */
const poisonTtlMs = 30_000;

const nobody: Queueing = { principal: '', origin: '' };

/** A question and its first asker. It is in one place at a time: waiting, suspect, or in flight on a link. */
interface Asking extends Queueing {
  readonly key: string;
  readonly kind: QuestionKind;
  readonly user: string;
  readonly answer: Promise<LookupAnswer>;
  readonly resolve: (answer: LookupAnswer) => void;
  readonly timer: Timer;
  link: AuthLink<Asking> | undefined;
}

/** The users of one auth service: dials at the first question. Its promises never reject. */
export class Lookup implements LinkOwner<Asking> {
  readonly #options: LookupOptions;
  readonly #remembered: LRUCache<string, { readonly answer: LookupAnswer; readonly untilMs: number }>;
  readonly #asking = new Map<string, Asking>();
  readonly #waiting = new Set<Asking>();
  /** In flight when a link died; waiting for their second try. */
  readonly #suspects = new Set<Asking>();
  /** The suspect that is in flight, alone. */
  #trial: Asking | undefined;
  readonly #links = new Set<AuthLink<Asking>>();
  #current: AuthLink<Asking> | undefined;
  #redial: Timer | undefined;
  #failures = 0;
  #redialAtMs = 0;
  #whenClosed: (() => void) | undefined;
  #phase: 'open' | 'retired' | 'closed' = 'open';

  constructor(options: LookupOptions) {
    this.#options = options;
    this.#remembered = new LRUCache({
      max: options.limits.rememberedMax,
      maxSize: options.limits.rememberedBytesMax,
      sizeCalculation: ({ answer }, key) => rememberedBytes(key, answer),
    });
  }

  /** Asks the userdb: who is this here. `user` of the answer is as the database wrote it, not normalized. */
  user(name: string, asker: Queueing = nobody): Promise<LookupAnswer> {
    return this.#ask('user', name, asker);
  }

  /** Asks the passdb: where is this user served. */
  pass(name: string, asker: Queueing = nobody): Promise<LookupAnswer> {
    return this.#ask('pass', name, asker);
  }

  /**
   * After a reload: pending questions are still answered, but no connection stays open for new ones, and the lookup ends once all are
   * answered.
   */
  retire(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'retired';
    // A session that stays idle over a reload still refers to this object; its cache would stay in memory.
    this.#remembered.clear();
    this.#match();
  }

  /** Fails all questions. Resolves when the last connection is closed, after the linger time at most. */
  close(): Promise<void> {
    this.#phase = 'closed';
    this.#redial?.cancel();
    for (const asking of this.#asking.values()) this.#giveUp(asking, 'closed');
    for (const link of this.#links) link.retire('draining');
    if (this.#links.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const before = this.#whenClosed;
      this.#whenClosed = () => {
        before?.();
        resolve();
      };
    });
  }

  greeted(): void {
    this.#match();
  }

  answered(_link: AuthLink<Asking>, asking: Asking, answer: AuthAnswer): void {
    this.#failures = 0;
    this.#redialAtMs = 0;
    this.#options.tell(undefined);
    this.#settle(asking, answer);
    this.#match();
  }

  ended(link: AuthLink<Asking>, failure: LinkFailure | undefined, unanswered: readonly Asking[]): void {
    this.#links.delete(link);
    if (this.#links.size === 0) this.#whenClosed?.();
    if (failure !== undefined) this.#failed(link, failure, unanswered);
    this.#match();
  }

  #ask(kind: QuestionKind, user: string, asker: Queueing): Promise<LookupAnswer> {
    const { clock, limits } = this.#options;
    if (this.#phase === 'closed') return Promise.resolve(failed('closed'));
    if (!isAskable(user)) return Promise.resolve(failed('name-unaskable'));
    const key = `${kind} ${user}`;
    const remembered = this.#remembered.get(key);
    if (remembered !== undefined && clock.now() < remembered.untilMs)
      return Promise.resolve(remembered.answer);
    const same = this.#asking.get(key);
    if (same !== undefined) return same.answer;
    if (this.#waiting.size + this.#suspects.size >= limits.queueMax) {
      const last = whoGiveWay(this.#waiting, asker)?.at(-1);
      if (last === undefined) return Promise.resolve(failed('queue-full'));
      this.#settle(last, failed('queue-full'));
    }
    let resolve: (answer: LookupAnswer) => void = () => undefined;
    const answer = new Promise<LookupAnswer>((take) => {
      resolve = take;
    });
    const timer = clock.setTimer(limits.questionTimeoutMs, () => {
      this.#giveUp(asking, 'reply-timeout');
      this.#match();
    });
    const { principal, origin } = asker;
    const asking: Asking = { key, kind, user, principal, origin, answer, resolve, timer, link: undefined };
    this.#asking.set(key, asking);
    this.#waiting.add(asking);
    this.#match();
    return answer;
  }

  /** Joins questions and the link; opens a link if there is none. Called after every change. */
  #match(): void {
    if (this.#phase === 'closed') return;
    if (this.#waiting.size + this.#suspects.size === 0) return this.#rest();
    const { clock, limits } = this.#options;
    const isOld = this.#current !== undefined && clock.now() - this.#current.openedMs >= maxLifetimeMs;
    const isUsable = this.#current?.isUsable === true && !this.#current.isReplaced;
    const link = isOld || !isUsable ? this.#replace() : this.#current;
    if (link?.takesQuestions !== true || this.#trial !== undefined) return;
    const [suspect] = this.#suspects;
    if (suspect !== undefined) {
      if (link.inFlight > 0) return;
      this.#suspects.delete(suspect);
      this.#trial = suspect;
      suspect.link = link;
      return link.ask(suspect);
    }
    for (const asking of this.#waiting) {
      if (link.inFlight >= limits.inFlightMax) return;
      this.#waiting.delete(asking);
      asking.link = link;
      link.ask(asking);
    }
  }

  /** No question waits. A retired lookup closes its link after the last answer. */
  #rest(): void {
    if (this.#phase !== 'retired' || this.#asking.size > 0) return;
    const last = this.#current;
    this.#current = undefined;
    last?.retire('draining');
  }

  /** A new link in place of the current one; undefined while it is too early for a dial. */
  #replace(): AuthLink<Asking> | undefined {
    const { address, connect, clock, limits } = this.#options;
    const old = this.#current;
    this.#current = undefined;
    const leftMs = this.#redialAtMs - clock.now();
    if (leftMs > 0) {
      this.#redial ??= clock.setTimer(leftMs, () => {
        this.#redial = undefined;
        this.#match();
      });
    } else {
      this.#current = new AuthLink<Asking>(address, connect, clock, limits, this);
      this.#links.add(this.#current);
    }
    // Called last: it may call back at once, for another link.
    old?.retire('lifetime');
    return this.#current;
  }

  /** A link ended that was not closed by us. */
  #failed(link: AuthLink<Asking>, failure: LinkFailure, unanswered: readonly Asking[]): void {
    if (failure === 'closed-early' && link.wasGreeted) {
      for (const asking of unanswered) this.#suspect(asking);
      // A service that ends while it has no question was reloaded; one that never answered has failed.
      if (link.answers > 0 || unanswered.length === 0) return;
    } else {
      for (const asking of [...unanswered, ...this.#suspects, ...this.#waiting]) {
        this.#settle(asking, failed(failure));
      }
    }
    this.#failures += 1;
    this.#redialAtMs = this.#options.clock.now() + backOffMs(this.#failures, redialMs, redialMaxMs);
    this.#options.tell(failure);
  }

  /** A question in flight when its link ended is sent again once, alone; if the link ends again, the question is the cause. */
  #suspect(asking: Asking): void {
    asking.link = undefined;
    if (asking !== this.#trial) {
      this.#suspects.add(asking);
      return;
    }
    const answer = failed('closed-early');
    this.#remember(asking.key, answer, poisonTtlMs);
    this.#settle(asking, answer);
  }

  #giveUp(asking: Asking, code: LookupFailure): void {
    const { link } = asking;
    this.#settle(asking, failed(code));
    link?.abandon(asking);
  }

  #settle(asking: Asking, answer: LookupAnswer): void {
    const { limits } = this.#options;
    asking.timer.cancel();
    asking.link = undefined;
    this.#asking.delete(asking.key);
    this.#waiting.delete(asking);
    this.#suspects.delete(asking);
    if (this.#trial === asking) this.#trial = undefined;
    if (answer.kind === 'found') this.#remember(asking.key, answer, limits.foundTtlMs);
    else if (answer.kind === 'not-found') this.#remember(asking.key, answer, limits.notFoundTtlMs);
    asking.resolve(answer);
  }

  #remember(key: string, answer: LookupAnswer, ttlMs: number): void {
    if (ttlMs > 0) this.#remembered.set(key, { answer, untilMs: this.#options.clock.now() + ttlMs });
  }
}

function rememberedBytes(key: string, answer: LookupAnswer): number {
  let bytes = 500 + key.length * 4;
  if (answer.kind === 'found') {
    for (const [name, value] of answer.fields) bytes += 150 + (name.length + value.length) * 2;
  }
  return bytes;
}

function failed(code: LookupFailure): LookupAnswer {
  return { kind: 'failed', code };
}
