// Lines of locks that keys of the fleet signed, as `dovegate ship` or root hands them over at `audit.door`. Either may have been taken
// over, so a line counts by its signature under a key of `fleet_keys`, by a host of this configuration, and by its number: nobody but
// the key invents, lifts or repeats a lock. Without a line everything stays as it is, and a lock ends by its time.

import type { Log } from '../adapters/telemetry/log.js';
import { bounds } from '../bounds/bounds.js';
import { plural } from '../domain/language/words/words.js';
import { isOfFleet, type LockEntry } from '../domain/records/audit/lock-book.js';
import { parseTime } from '../domain/records/audit/record.js';
import {
  judgeLockLine,
  type LockLine,
  lockIdOf,
  markOf,
  type SignedLock,
} from '../domain/records/fleet/lock-line.js';
import type { Clock } from '../ports/machine.js';
import { fleetHostsOf } from '../setup/nats-target.js';
import { type LockParts, readTarget, whyNever } from './lock-actions.js';

export interface FleetLockParts extends Pick<LockParts, 'access' | 'served' | 'names' | 'service'> {
  readonly clock: Pick<Clock, 'wallMs' | 'now'>;
  readonly log: Pick<Log, 'report'>;
}

/** `refused`: it will never count here as things are; `later`: it may, if it comes again. */
export type FleetLockAnswer =
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused' | 'later'; readonly text: string };

/** Whoever asks at the door makes so many lines of the log: one a minute. */
const refusalMs = 60_000;

export class FleetLocks {
  readonly #parts: FleetLockParts;
  /** Lines are carried out one after the other. */
  #running: Promise<unknown> = Promise.resolve();
  #pending = 0;
  #refusedMs = -Infinity;

  constructor(parts: FleetLockParts) {
    this.#parts = parts;
  }

  /** Rejects for a bug only. */
  async take(text: string): Promise<FleetLockAnswer> {
    if (this.#pending > 0) return { kind: 'later', text: 'another line is under way' };
    const answer = await this.#alone(() => this.#take(text));
    const { clock, log } = this.#parts;
    if (answer.kind === 'refused' && clock.now() - this.#refusedMs >= refusalMs) {
      this.#refusedMs = clock.now();
      log.report({ event: 'fleet-lock-refused', level: 'warn', text: `a line of locks: ${answer.text}` });
    }
    return answer;
  }

  /** After a start or a reload: ends the locks of keys that are not listed any more. Their last line counts again once they are. */
  review(): Promise<void> {
    return this.#alone(async () => {
      const { access, served, log } = this.#parts;
      const { locks } = access;
      const marks = new Set([...served.now.settings.fleetKeys.values()].map(markOf));
      const gone = locks.entries.filter((lock) => isOfFleet(lock) && !marks.has(keyMarkOf(lock)));
      if (gone.length === 0) return;
      const reason = 'fleet_keys does not list its key any more';
      for (const lock of gone) {
        const fault = await locks.lift(lock, { by: 'fleet_keys', reason });
        if (fault !== undefined)
          return this.#say('error', `${lock.id} stays, as its end cannot be recorded: ${fault}`);
      }
      for (const mark of new Set(gone.map(keyMarkOf)))
        await locks.take(mark, (locks.numbers.get(mark) ?? 1) - 1, { by: 'fleet_keys', reason });
      log.report({
        event: 'fleet-lock',
        level: 'warn',
        text: `${plural(gone.length, 'lock')} ended: ${reason}`,
      });
    });
  }

  #say(level: 'info' | 'warn' | 'error', text: string): void {
    this.#parts.log.report({ event: 'fleet-lock', level, text });
  }

  async #alone<Result>(run: () => Promise<Result>): Promise<Result> {
    this.#pending += 1;
    const running = this.#running.then(run).finally(() => {
      this.#pending -= 1;
    });
    this.#running = running.catch(() => undefined);
    return running;
  }

  async #take(text: string): Promise<FleetLockAnswer> {
    const { access, served, clock } = this.#parts;
    const { locks } = access;
    const { fleetKeys: keys, audit } = served.now.settings;
    const judged = judgeLockLine(text, {
      keys,
      hosts: fleetHostsOf(audit.ship),
      nowMs: clock.wallMs(),
      lastOf: (mark) => locks.numbers.get(mark),
    });
    switch (judged.kind) {
      case 'known':
        return { kind: 'taken' };
      case 'early':
        return { kind: 'later', text: judged.why };
      case 'refused':
        return { kind: 'refused', text: judged.why };
      case 'counts':
        return this.#carryOut(judged.line, judged.name, judged.mark);
      default:
        return judged satisfies never;
    }
  }

  /** What fails on the way is done again when the line comes again: it is taken once all of it is on disk. */
  async #carryOut(line: LockLine, name: string, mark: string): Promise<FleetLockAnswer> {
    const { locks } = this.#parts.access;
    const by = `fleet:${name}`;
    locks.raise(mark, line.number - 1);
    // New ones first: a lock that replaces another leaves no gap.
    let fault: string | undefined;
    let made = 0;
    const never: string[] = [];
    for (const wish of line.locks) {
      const result = await this.#lock(wish, lockIdOf(mark, wish), by);
      if (result.kind === 'made') made += 1;
      if (result.kind === 'open') fault ??= result.text;
      if (result.kind === 'never') never.push(`${wish.target}: ${result.text}`);
    }
    const wanted = new Set(line.locks.map((wish) => lockIdOf(mark, wish)));
    const over = locks.entries.filter((lock) => keyMarkOf(lock) === mark && !wanted.has(lock.id));
    const about = { by, args: [`signer=${line.by}`], reason: line.reason };
    for (const lock of over) fault = (await locks.lift(lock, about)) ?? fault;
    if (fault !== undefined) return { kind: 'later', text: `not all of it is done: ${fault}` };
    const texts = [`line ${line.number}: ${made} locked, ${over.length} lifted`, ...never];
    const unrecorded = await locks.take(mark, line.number, { ...about, text: texts.join('; ') });
    this.#say(never.length === 0 ? 'info' : 'warn', `${by}: ${texts.join('; not locked: ')}`);
    // It is tried again by itself.
    return unrecorded === undefined ? { kind: 'taken' } : { kind: 'later', text: unrecorded };
  }

  async #lock(
    { target, until, reason, by: signer, kill }: SignedLock,
    id: string,
    by: string,
  ): Promise<
    { readonly kind: 'made' | 'there' } | { readonly kind: 'open' | 'never'; readonly text: string }
  > {
    const { access, service, clock } = this.#parts;
    const { locks } = access;
    if (locks.has(id)) return { kind: 'there' };
    const found = await readTarget(this.#parts, target, true);
    if (typeof found === 'string') return { kind: 'never', text: found };
    const { doubt: _, ...of } = found;
    const why = whyNever(this.#parts, of);
    if (why !== undefined) return { kind: 'never', text: why };
    const forMs = Math.min((parseTime(until) ?? 0) - clock.wallMs(), bounds.lockMs);
    if (forMs <= 0) return { kind: 'there' };
    const wish = { ...of, id, by, args: [`signer=${signer}`], reason, forMs };
    const made = locks.lock(wish, bounds.fleetLocks, (lock) =>
      kill === true ? service.killBound(lock, locks.persons) : undefined,
    );
    if (made === undefined)
      return { kind: 'open', text: `the fleet locks ${bounds.fleetLocks} here already` };
    const fault = await made.recorded;
    return fault === undefined ? { kind: 'made' } : { kind: 'open', text: fault };
  }
}

function keyMarkOf({ id }: Pick<LockEntry, 'id'>): string {
  return isOfFleet({ id }) ? (id.split(':', 1)[0] ?? '') : '';
}
