// Overdue commands: changes that got no answer within their deadline. The client has its answer (`reply-timeout`), and Dovecot goes on. The
// upstream is held, in addition to the `connections` of its backend, until the reply comes, an operator ends it, or an hour is over, so
// that the completion can say how the command ended. While it is overdue, no client's command with the same canonical line and text for the
// same user is sent. If its upstream cannot be held, only commands of its own origin are refused, for ten minutes. All other commands run.

import { bounds } from '../../host/bounds/bounds.js';
import type { Clock, Timer } from '../../host/ports/machine.js';
import type { LockEntry } from '../../journal/records/lock-book.js';
import type { Persons } from '../../rules/identity/person.js';
import type { Judged } from '../../rules/policy/judge.js';
import { type Lockable, stopOn } from '../access/lock.js';
import type { ExchangeNames } from '../outcome/events.js';
import type { Ending } from '../outcome/outcome.js';
import type { Upstream } from '../pool/upstream.js';
import type { HeldOverdue } from '../relay/relay.js';

export interface RunningExchange extends ExchangeNames {
  readonly isWaiting: boolean;
  /** Its client has been answered, and its backend has not replied yet. */
  readonly isOverdue: boolean;
  readonly backend: string | undefined;
  readonly durationMs: number;
  /** How long an upstream has waited for the client to read or send; 0: not at all. */
  readonly clientMs: number;
  /** When it times out, or is given up if overdue, counted as `durationMs`; undefined: its reply has begun, or it is not known yet. */
  readonly deadlineMs: number | undefined;
  /** An operator ended it, and it waits for its client. */
  readonly isKilled: boolean;
}

export interface Meant {
  readonly judgement: Pick<Judged, 'attempt' | 'user' | 'args'>;
  /** Digest of its text; undefined: it has none, or its end has not come yet. Then any text counts as the same. */
  readonly text: string | undefined;
}

export interface OverdueCommand extends Meant {
  readonly names: ExchangeNames;
  readonly origin: string;
  readonly lockable: Lockable;
  /** When it began to wait for its upstream. */
  readonly sinceMs: number;
  readonly upstream: Pick<Upstream, 'backend' | 'close'>;
}

interface Compared {
  readonly line: string;
  readonly text: string | undefined;
}

interface Held extends Compared {
  readonly command: OverdueCommand;
  readonly giveUpMs: number;
  readonly timer: Timer;
  end: 'killed' | 'draining' | undefined;
}

/** An overdue command whose upstream was closed. */
interface Lost extends Compared {
  readonly names: ExchangeNames;
  readonly backend: string;
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** All overdue commands; outlives a reload. */
export class OverdueCommands {
  readonly #clock: Clock;
  readonly #digest: (text: string) => string;
  readonly #held = new Set<Held>();
  /** By origin, the oldest first. */
  readonly #lost = new Map<string, readonly Lost[]>();

  /** `digest`: equal for equal texts only, so that lines with secrets are not kept. */
  constructor(clock: Clock, digest: (text: string) => string) {
    this.#clock = clock;
    this.#digest = digest;
  }

  /** Returns undefined if all places are taken; then the caller closes the upstream. */
  hold(command: OverdueCommand): HeldOverdue | undefined {
    const { upstream, origin } = command;
    const compared = this.#compared(command);
    const all = [...this.#held].map((each) => each.command);
    const ofBackend = all.filter((each) => each.upstream.backend === upstream.backend).length;
    const ofOrigin = all.filter((each) => each.origin === origin).length;
    if (ofBackend >= bounds.overduePerBackend || ofOrigin >= bounds.overduePerOrigin) {
      this.#lose(command, compared);
      return undefined;
    }
    const giveUpMs = this.#clock.now() + bounds.overdueMs;
    const timer = this.#clock.setTimer(bounds.overdueMs, () => upstream.close('reply-timeout', true));
    const held: Held = { ...compared, command, giveUpMs, timer, end: undefined };
    this.#held.add(held);
    return {
      cutOff() {
        if (held.end === undefined) return undefined;
        return { kind: 'cut-off', isSent: true, ...(held.end === 'killed' && { by: 'operator' }) };
      },
      ended: () => {
        timer.cancel();
        this.#held.delete(held);
      },
    };
  }

  /** The ending of a command that must not be sent, since the same one may still run; undefined if it may be sent. */
  refusal(meant: Meant, origin: string, id: string): Ending | undefined {
    if ((this.#held.size === 0 && this.#lost.size === 0) || meant.judgement.attempt.effect === 'read')
      return undefined;
    const compared = this.#compared(meant);
    for (const held of this.#held) {
      const { names, upstream } = held.command;
      // A command for several backends may be overdue at one of them.
      if (isSame(held, compared) && names.id !== id)
        return { kind: 'still-running', first: names.id, backend: upstream.backend };
    }
    const nowMs = this.#clock.now();
    const lost = this.#lost
      .get(origin)
      ?.find((each) => isSame(each, compared) && each.names.id !== id && each.untilMs > nowMs);
    return lost && { kind: 'still-running', first: lost.names.id, backend: lost.backend };
  }

  describe(): readonly RunningExchange[] {
    return [...this.#held].map(({ command: { names, upstream, sinceMs }, giveUpMs, end }) =>
      this.#described({ names, backend: upstream.backend, sinceMs }, giveUpMs, end !== undefined),
    );
  }

  find(id: string): RunningExchange | undefined {
    const held = this.describe().find((each) => each.id === id);
    const lost = [...this.#lost.values()].flat().find((each) => each.names.id === id);
    return held ?? (lost && this.#described(lost, lost.untilMs, false));
  }

  #described(
    { names, backend, sinceMs }: Pick<Lost, 'names' | 'backend' | 'sinceMs'>,
    giveUpMs: number,
    isKilled: boolean,
  ): RunningExchange {
    return {
      ...names,
      isWaiting: false,
      isOverdue: true,
      backend,
      durationMs: this.#clock.now() - sinceMs,
      clientMs: 0,
      deadlineMs: giveUpMs - sinceMs,
      isKilled,
    };
  }

  /** Its line may be sent again from here on. Returns false if there is no command of that id. */
  kill(id: string): boolean {
    const isKnown = this.find(id) !== undefined;
    for (const each of this.#held) if (each.command.names.id === id) this.#end(each, 'killed');
    for (const [origin, commands] of this.#lost)
      this.#lost.set(
        origin,
        commands.filter(({ names }) => names.id !== id),
      );
    return isKnown;
  }

  /** The ids of those that a lock stops. */
  boundBy(lock: LockEntry, persons: Pick<Persons, 'sharesHuman'>): readonly string[] {
    return [...this.#held].flatMap(({ command: { names, lockable } }) =>
      stopOn([lock], lockable, persons) === undefined ? [] : [names.id],
    );
  }

  /** Called at the end of the daemon. The outcomes of these commands stay unknown. */
  abort(): void {
    for (const each of this.#held) this.#end(each, 'draining');
  }

  #end(held: Held, why: 'killed' | 'draining'): void {
    held.end ??= why;
    held.command.upstream.close('aborted', true);
  }

  #lose({ names, origin, sinceMs, upstream: { backend } }: OverdueCommand, compared: Compared): void {
    const nowMs = this.#clock.now();
    for (const [owner, commands] of this.#lost) {
      const live = commands.filter(({ untilMs }) => untilMs > nowMs);
      if (live.length === 0) this.#lost.delete(owner);
      else this.#lost.set(owner, live);
    }
    const others = (this.#lost.get(origin) ?? []).filter((each) => !isSame(each, compared));
    const lost: Lost = { ...compared, names, backend, sinceMs, untilMs: nowMs + bounds.overdueRefusedMs };
    // Moves the origin to the end, as the newest.
    this.#lost.delete(origin);
    this.#lost.set(origin, [...others, lost].slice(-bounds.overdueLinesPerOrigin));
    for (const oldest of this.#lost.keys()) {
      if (this.#lost.size <= bounds.overdueOrigins) return;
      this.#lost.delete(oldest);
    }
  }

  /** A server command ignores the user of its line. */
  #compared({ judgement: { attempt, user, args }, text }: Meant): Compared {
    const { command } = attempt;
    const words = [command.scope === 'server' ? '' : user, command.name, ...args.map((word) => word.text)];
    return { line: this.#digest(words.join('\0')), text };
  }
}

function isSame(one: Compared, other: Compared): boolean {
  if (one.line !== other.line) return false;
  return one.text === undefined || other.text === undefined || one.text === other.text;
}
