// One connection to Dovecot's auth service, from its dial to its end: a machine. Many questions are in flight at once, and replies are
// matched by id. An id is not used again while its reply may still come. A canceled question does not close the connection (2.4.1 crashes
// when a client leaves while it delays a failure, measured). Anything unexpected ends it.

import assert from 'node:assert';
import { TransportFault, UpstreamFault, WireFault } from '../../host/ports/faults.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import type { Address, CloseReason, Connect, Transport } from '../../host/ports/transport.js';

import {
  type AuthAnswer,
  AuthDialogue,
  type AuthEvent,
  type AuthLimits,
  type AuthReply,
  answerOf,
  encodeQuestion,
  type QuestionKind,
  questionIdMax,
  versionLine,
} from './auth-protocol.js';

export type LinkFailure =
  | 'dial-refused'
  | 'dial-timeout' // no transport, or no greeting, in time
  | 'wrong-socket' // a listener of another type than userdb
  | 'version-unsupported' // no auth service, or one of another major version
  | 'wire-fault' // what came is not of the protocol
  | 'closed-early';

export interface LinkQuestion {
  readonly kind: QuestionKind;
  /** Must pass `isAskable`. */
  readonly user: string;
}

export interface LinkLimits extends AuthLimits {
  /** From the dial to the second line of the greeting. The wrong type of listener may say nothing at all. */
  readonly greetingTimeoutMs: number;
  /** How long a connection stays open, and is read, for replies that no caller awaits. */
  readonly lingerMs: number;
  /** Missing replies that no caller awaits; at this number the link takes no more questions. */
  readonly lateMax: number;
}

/** An idle connection is closed after this time: an open one keeps a stopped service alive, which answers with outdated data. */
const idleTimeoutMs = 60_000;

/** The opener of the link. Called at any time between the calls of the link's methods, and never before its constructor returned. */
export interface LinkOwner<Q extends LinkQuestion> {
  greeted(link: AuthLink<Q>): void;
  answered(link: AuthLink<Q>, question: Q, answer: AuthAnswer): void;
  /** Called once, as the last call. Undefined: our side closed it. `unanswered`: the questions that were in flight. */
  ended(link: AuthLink<Q>, failure: LinkFailure | undefined, unanswered: readonly Q[]): void;
}

/** `idle` runs while nothing is in flight, `linger` while only late replies are missing. */
type LinkState =
  | { readonly at: 'dialing' | 'greeting'; readonly timer: Timer }
  | { readonly at: 'open'; readonly idle: Timer | undefined }
  | { readonly at: 'retired'; readonly reason: CloseReason; readonly linger: Timer | undefined }
  | { readonly at: 'closed' };

interface Asked<Q> {
  readonly question: Q;
  readonly sinceMs: number;
}

/** Dials at once. Its opener owns it and retires it. */
export class AuthLink<Q extends LinkQuestion> {
  readonly openedMs: number;
  wasGreeted = false;
  answers = 0;
  readonly #clock: Clock;
  readonly #limits: LinkLimits;
  readonly #owner: LinkOwner<Q>;
  readonly #controller = new AbortController();
  readonly #asked = new Map<number, Asked<Q>>();
  readonly #late = new Set<number>();
  #state: LinkState;
  #transport: Transport | undefined;
  #heardMs = 0;
  #lastId = 0;

  constructor(address: Address, connect: Connect, clock: Clock, limits: LinkLimits, owner: LinkOwner<Q>) {
    this.#clock = clock;
    this.#limits = limits;
    this.#owner = owner;
    this.openedMs = clock.now();
    const timer = clock.setTimer(limits.greetingTimeoutMs, () => this.#end('dial-timeout', 'dial-failed'));
    this.#state = { at: 'dialing', timer };
    void this.#run(connect, address);
  }

  get takesQuestions(): boolean {
    return this.#state.at === 'open';
  }

  get isReplaced(): boolean {
    return this.#transport?.isReplaced === true;
  }

  get isUsable(): boolean {
    return this.#state.at !== 'retired' && this.#state.at !== 'closed';
  }

  get inFlight(): number {
    return this.#asked.size;
  }

  ask(question: Q): void {
    assert(this.#state.at === 'open', 'a question to a link that takes none');
    this.#state.idle?.cancel();
    this.#state = { at: 'open', idle: undefined };
    const id = this.#freeId();
    this.#asked.set(id, { question, sinceMs: this.#clock.now() });
    this.#write(encodeQuestion(question.kind, id, question.user));
  }

  /** The answer is not awaited any more. A link that has been silent since the question takes no more questions. */
  abandon(question: Q): void {
    for (const [id, asked] of this.#asked) {
      if (asked.question !== question) continue;
      this.#asked.delete(id);
      this.#late.add(id);
      const isSilent = this.#heardMs <= asked.sinceMs;
      if (isSilent || this.#late.size >= this.#limits.lateMax) this.retire('reply-timeout');
      else this.#rest();
      return;
    }
  }

  /** Takes no more questions, and closes once no reply is missing. */
  retire(reason: CloseReason): void {
    switch (this.#state.at) {
      case 'dialing':
      case 'greeting':
        return this.#end(undefined, reason);
      case 'open':
        this.#state.idle?.cancel();
        this.#state = { at: 'retired', reason, linger: undefined };
        return this.#rest();
      case 'retired':
        return this.#rest();
      case 'closed':
        return;
      default:
        return this.#state satisfies never;
    }
  }

  async #run(connect: Connect, address: Address): Promise<void> {
    try {
      const transport = await connect(address, this.#controller.signal);
      this.#transport = transport;
      if (this.#state.at !== 'dialing') return transport.close('dial-failed', true);
      this.#state = { at: 'greeting', timer: this.#state.timer };
      // A 2.4 listener of the wrong type shows it only after this line.
      this.#write(Buffer.from(versionLine));
      const dialogue = new AuthDialogue(this.#limits);
      for (;;) {
        const chunk = await transport.read();
        if (chunk === null) return this.#end('closed-early', 'peer-ended');
        this.#heardMs = this.#clock.now();
        for (const event of dialogue.push(chunk)) this.#take(event);
      }
    } catch (fault) {
      this.#fail(fault);
    }
  }

  /** Not awaited: the questions in flight bound the unsent bytes. */
  #write(bytes: Buffer): void {
    this.#transport?.write([bytes])?.catch((fault: unknown) => this.#fail(fault));
  }

  #take(event: AuthEvent): void {
    if (this.#state.at === 'closed') return;
    switch (event.kind) {
      case 'greeted':
        assert(this.#state.at === 'greeting', 'greeted twice');
        this.#state.timer.cancel();
        this.#state = { at: 'open', idle: undefined };
        this.wasGreeted = true;
        this.#owner.greeted(this);
        return this.#rest();
      case 'wrong-type':
        return this.#end('wrong-socket', 'wire-fault');
      case 'reply':
        return this.#match(event.reply);
      default:
        return event satisfies never;
    }
  }

  #match(reply: AuthReply): void {
    if (this.#late.delete(reply.id)) return this.#rest();
    const question = this.#asked.get(reply.id)?.question;
    const answer = question === undefined ? undefined : answerOf(question.kind, reply);
    if (question === undefined || answer === undefined) {
      throw new WireFault('unexpected-input', 'a reply belongs to no question');
    }
    this.#asked.delete(reply.id);
    this.answers += 1;
    this.#owner.answered(this, question, answer);
    this.#rest();
  }

  /** With nothing in flight, an open link waits for a question; a retired link waits a short time for late replies. */
  #rest(): void {
    if (this.#asked.size > 0) return;
    const { lingerMs } = this.#limits;
    if (this.#state.at === 'open' && this.#state.idle === undefined) {
      const idle = this.#clock.setTimer(idleTimeoutMs, () => this.#end(undefined, 'idle-timeout'));
      this.#state = { at: 'open', idle };
    } else if (this.#state.at === 'retired') {
      const { reason } = this.#state;
      if (this.#late.size === 0) return this.#end(undefined, reason);
      const linger = this.#state.linger ?? this.#clock.setTimer(lingerMs, () => this.#end(undefined, reason));
      this.#state = { at: 'retired', reason, linger };
    }
  }

  #fail(fault: unknown): void {
    if (this.#state.at === 'closed') return;
    if (fault instanceof WireFault) {
      const isNoGreeting = this.#state.at === 'greeting' && fault.code === 'bad-version';
      return this.#end(isNoGreeting ? 'version-unsupported' : 'wire-fault', 'wire-fault');
    }
    if (fault instanceof TransportFault) return this.#end('closed-early', 'peer-gone');
    this.#end('dial-refused', 'dial-failed');
    // Anything else is a bug, not a failure of the service.
    if (!(fault instanceof UpstreamFault)) throw fault;
  }

  #end(failure: LinkFailure | undefined, reason: CloseReason): void {
    const state = this.#state;
    switch (state.at) {
      case 'dialing':
      case 'greeting':
        state.timer.cancel();
        break;
      case 'open':
        state.idle?.cancel();
        break;
      case 'retired':
        state.linger?.cancel();
        break;
      case 'closed':
        return;
      default:
        return state satisfies never;
    }
    this.#state = { at: 'closed' };
    this.#controller.abort(new UpstreamFault('dial-timeout', 'the dial was given up'));
    this.#transport?.close(reason, true);
    const unanswered = [...this.#asked.values()].map(({ question }) => question);
    this.#asked.clear();
    this.#owner.ended(this, failure, unanswered);
  }

  #freeId(): number {
    do {
      this.#lastId = this.#lastId === questionIdMax ? 1 : this.#lastId + 1;
    } while (this.#asked.has(this.#lastId) || this.#late.has(this.#lastId));
    return this.#lastId;
  }
}
