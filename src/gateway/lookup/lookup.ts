// Questions about users to Dovecot's auth service, with their answers remembered for a short time: a machine over the links that it
// opens. It does not know what an answer is used for.
// The rules: every question is answered within its time, by a failure if by nothing else; no answer is made of a failure; an
// answer is cut to the fields that route users before it comes here, so that no password is kept or shown.
//
// The service may die of a question (an entry with `proxy` and an empty `host=` kills every release, measured), and then all that
// is in flight is lost. So what was in flight is asked again once, one by one: who is alone when it dies a second time is not asked for a while.

import { LRUCache } from 'lru-cache';
import type { Timer } from '../../ports/clock.js';
import type { AuthAnswer } from './answer.js';
import { type AuthLink, type LinkFailure, type LinkOwner, openAuthLink } from './auth-link.js';
import type { Lookup, LookupAnswer, LookupFailure, LookupLimits, LookupOptions } from './lookup-options.js';
import { type QuestionKind, whyUnaskable } from './question.js';

/** What holds where nobody says otherwise. */
export const lookupLimits: LookupLimits = {
  lineBytesMax: 64 * 1024,
  fieldsMax: 256,
  greetingTimeoutMs: 5_000,
  idleTimeoutMs: 60_000,
  lingerMs: 5_000,
  lateMax: 64,
  questionTimeoutMs: 10_000,
  queueMax: 256,
  inFlightMax: 64,
  maxLifetimeMs: 180_000,
  redialMs: 100,
  redialMaxMs: 5_000,
  foundTtlMs: 10_000,
  notFoundTtlMs: 2_000,
  rememberedMax: 10_000,
  rememberedBytesMax: 6 * 1024 ** 2,
  poisonTtlMs: 30_000,
};

/** Nothing is dialled before the first question. */
export function createLookup(options: LookupOptions): Lookup {
  return new LiveLookup(options);
}

/** In one place at a time: among the waiting, among the suspects, or in flight on a link. */
interface Asking {
  readonly key: string;
  readonly kind: QuestionKind;
  readonly user: string;
  readonly answer: Promise<LookupAnswer>;
  readonly resolve: (answer: LookupAnswer) => void;
  readonly timer: Timer;
  link: AuthLink<Asking> | undefined;
}

class LiveLookup implements Lookup, LinkOwner<Asking> {
  readonly #options: LookupOptions;
  readonly #remembered: LRUCache<string, { readonly answer: LookupAnswer; readonly untilMs: number }>;
  /** All that have no answer yet. */
  readonly #asking = new Map<string, Asking>();
  readonly #waiting = new Set<Asking>();
  /** Were in flight when a link died, and wait for their second try. */
  readonly #suspects = new Set<Asking>();
  /** The suspect that is asked alone. */
  #trial: Asking | undefined;
  readonly #links = new Set<AuthLink<Asking>>();
  #current: AuthLink<Asking> | undefined;
  #redial: Timer | undefined;
  #redialMs = 0;
  #redialAtMs = 0;
  #failure: LinkFailure | undefined;
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

  user(name: string): Promise<LookupAnswer> {
    return this.#ask('user', name);
  }

  pass(name: string): Promise<LookupAnswer> {
    return this.#ask('pass', name);
  }

  retire(): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'retired';
    this.#match();
  }

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
    this.#redialMs = 0;
    this.#redialAtMs = 0;
    this.#tell(undefined);
    this.#settle(asking, answer);
    this.#match();
  }

  ended(link: AuthLink<Asking>, failure: LinkFailure | undefined, unanswered: readonly Asking[]): void {
    this.#links.delete(link);
    if (this.#links.size === 0) this.#whenClosed?.();
    if (failure !== undefined) this.#failed(link, failure, unanswered);
    this.#match();
  }

  #ask(kind: QuestionKind, user: string): Promise<LookupAnswer> {
    const { clock, limits } = this.#options;
    if (this.#phase === 'closed') return Promise.resolve(failed('closed'));
    if (whyUnaskable(user) !== undefined) return Promise.resolve(failed('name-unaskable'));
    const key = `${kind} ${user}`;
    const remembered = this.#remembered.get(key);
    if (remembered !== undefined && clock.now() < remembered.untilMs)
      return Promise.resolve(remembered.answer);
    const same = this.#asking.get(key);
    if (same !== undefined) return same.answer;
    if (this.#waiting.size + this.#suspects.size >= limits.queueMax) {
      return Promise.resolve(failed('queue-full'));
    }
    let resolve: (answer: LookupAnswer) => void = () => undefined;
    const answer = new Promise<LookupAnswer>((take) => {
      resolve = take;
    });
    const timer = clock.setTimer(limits.questionTimeoutMs, () => {
      this.#giveUp(asking, 'reply-timeout');
      this.#match();
    });
    const asking: Asking = { key, kind, user, answer, resolve, timer, link: undefined };
    this.#asking.set(key, asking);
    this.#waiting.add(asking);
    this.#match();
    return answer;
  }

  /** Joins questions and the link; opens one where there is none. Called after every change. */
  #match(): void {
    if (this.#phase === 'closed') return;
    if (this.#waiting.size + this.#suspects.size === 0) return this.#rest();
    const { clock, limits } = this.#options;
    const isOld = this.#current !== undefined && clock.now() - this.#current.openedMs >= limits.maxLifetimeMs;
    const link = isOld || this.#current?.isUsable !== true ? this.#replace() : this.#current;
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

  /** Nothing waits. What is in flight is waited for; after that, who is retired keeps no link. */
  #rest(): void {
    if (this.#phase !== 'retired' || this.#asking.size > 0) return;
    const last = this.#current;
    this.#current = undefined;
    last?.retire('draining');
  }

  /** A new link instead of the current one, or none while it is too early for a dial. */
  #replace(): AuthLink<Asking> | undefined {
    const { address, connect, clock, limits } = this.#options;
    const old = this.#current;
    this.#current = undefined;
    old?.retire('lifetime');
    const leftMs = this.#redialAtMs - clock.now();
    if (leftMs > 0) {
      this.#redial ??= clock.setTimer(leftMs, () => {
        this.#redial = undefined;
        this.#match();
      });
      return undefined;
    }
    this.#current = openAuthLink(address, connect, clock, limits, this);
    this.#links.add(this.#current);
    return this.#current;
  }

  /** A link ended that we did not close. */
  #failed(link: AuthLink<Asking>, failure: LinkFailure, unanswered: readonly Asking[]): void {
    const { clock, limits } = this.#options;
    if (failure === 'closed-early' && link.wasGreeted) {
      for (const asking of unanswered) this.#suspect(asking);
      // A service that ends while nothing is asked has been reloaded; one that never answered fails.
      if (link.answers > 0 || unanswered.length === 0) return;
    } else {
      for (const asking of [...unanswered, ...this.#suspects, ...this.#waiting]) {
        this.#settle(asking, failed(failure));
      }
    }
    this.#redialMs = Math.min(limits.redialMaxMs, Math.max(limits.redialMs, this.#redialMs * 2));
    this.#redialAtMs = clock.now() + this.#redialMs;
    this.#tell(failure);
  }

  /** It was in flight when a link died: the first time it is asked again, the second time it was alone. */
  #suspect(asking: Asking): void {
    asking.link = undefined;
    if (asking !== this.#trial) {
      this.#suspects.add(asking);
      return;
    }
    const answer = failed('closed-early');
    this.#remember(asking.key, answer, this.#options.limits.poisonTtlMs);
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

  #tell(failure: LinkFailure | undefined): void {
    if (this.#failure === failure) return;
    this.#failure = failure;
    this.#options.tell(failure);
  }
}

/** What a remembered answer takes, in bytes. */
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
