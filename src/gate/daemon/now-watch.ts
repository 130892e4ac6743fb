// What the daemon remembers of the last minutes for the page and for status: how many commands ended and how, the last refusals and
// failures, failed logins, stalls. `observe` runs for every command and allocates nothing for one that succeeds. Its memory is bounded. It
// reports codes, dovegate's own sentences and names of the configuration, never the text of a client or a backend.

import type { Clock, Timer } from '../../host/ports/machine.js';
import { networkOf } from '../../host/ports/peer.js';
import { formatTime } from '../../host/words/instants.js';
import { keyRefusals } from '../../rules/keys/key.js';
import { countedAs, History } from '../now/history.js';
import type { TroubleFacts } from '../now/now.js';
import { Standing } from '../now/problems.js';
import { RefusedLogins } from '../now/refused-logins.js';
import type { Running } from '../now/running.js';
import { givenOf } from '../outcome/class.js';
import {
  type EngineEvent,
  type ExchangeEnded,
  isEngineEvent,
  type LoginFailed,
  loginFailures,
  type SessionRefused,
} from '../outcome/events.js';
import { ownerOf } from '../outcome/owner.js';

type Troubling = ExchangeEnded | LoginFailed | SessionRefused;

export interface TroubleRow {
  readonly row: TroubleFacts;
  readonly user: string;
}

/** Equal events as one row: the newest one, if possible with a record; the times of the first and the last, and their number. */
interface Kept {
  readonly event: Troubling;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly count: number;
  /** How many of them have a record of their own. */
  readonly recorded: number;
}

/** One outage affects many requesters and commands. */
const troublesMax = 60;
const stallShownMs = 60_000;
/** Changes within this time cause one call of `onTurn`: several come at once when a host goes down. */
const changedMs = 50;
const turns: ReadonlySet<EngineEvent['kind']> = new Set([
  'lookup-failing',
  'lookup-working',
  'backend-down',
  'backend-up',
  'backend-removed',
  'audit-failed',
]);

export class NowWatch {
  readonly history: History;
  readonly standing: Standing;
  readonly #clock: Clock;
  readonly #logins = new RefusedLogins();
  /** By policy: the number of commands that would have ended differently under its candidate. */
  readonly #differing = new Map<string, number>();
  /** By `keyOf`, the oldest first. */
  readonly #troubles = new Map<string, Kept>();
  #troublesSinceMs: number;
  #stall: { readonly atMs: number; readonly durationMs: number } | undefined;
  #timer: Timer | undefined;
  /** Called soon after the daemon got better or worse. */
  onTurn: () => void = () => undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.history = new History(clock.now());
    this.standing = new Standing(clock.wallMs());
    this.#troublesSinceMs = clock.wallMs();
  }

  observe(event: EngineEvent): void {
    if (isEngineEvent(event, 'exchange-ended')) {
      const as = countedAs(event.outcome);
      this.history.ended(this.#clock.now(), as);
      if (as !== 'other') this.#add(event);
      const { policy, shadow } = event;
      if (shadow !== undefined) this.#differing.set(policy, (this.#differing.get(policy) ?? 0) + 1);
    } else if (isEngineEvent(event, 'login-failed')) {
      if (event.type === 'gone') return;
      this.#loginFailed(event);
      this.#add(event);
    } else if (isEngineEvent(event, 'session-refused')) this.#add(event);
    else if (turns.has(event.kind)) this.#turned();
  }

  stalled(durationMs: number): void {
    const atMs = this.#clock.wallMs();
    const isOver = this.#stall === undefined || atMs - this.#stall.atMs > stallShownMs;
    if (isOver || durationMs >= (this.#stall?.durationMs ?? 0)) this.#stall = { atMs, durationMs };
    this.#turned();
  }

  /** Troubles are complete since this time: the start, or the last time of the newest row that was dropped for lack of room. */
  get troublesSince(): string {
    return formatTime(this.#troublesSinceMs);
  }

  /** Commands of that policy that would have ended differently under a candidate for it, since the start. */
  differing(policy: string): number {
    return this.#differing.get(policy) ?? 0;
  }

  /** Newest first. */
  troubles(): readonly TroubleRow[] {
    const rows: TroubleRow[] = [];
    for (const { event, lastMs, firstMs, count, recorded } of this.#troubles.values()) {
      const { row, user } = rowOf(event, lastMs);
      const several = { count, since: formatTime(firstMs), ...(recorded < count && { recorded }) };
      rows.push({ row: count === 1 ? row : { ...row, ...several }, user });
    }
    return rows.toReversed();
  }

  facts(): Pick<Running, 'refusedKeys' | 'failedLogins' | 'stall'> {
    const nowMs = this.#clock.now();
    const wallMs = this.#clock.wallMs();
    const atWall = (ms: number): number => Math.round(wallMs - (nowMs - ms));
    const isStallShown = this.#stall !== undefined && wallMs - this.#stall.atMs <= stallShownMs;
    return {
      refusedKeys: this.#logins
        .keys(nowMs)
        .map((key) => ({ ...key, firstMs: atWall(key.firstMs), lastMs: atWall(key.lastMs) })),
      failedLogins: this.#logins.logins(nowMs),
      stall: isStallShown ? this.#stall : undefined,
    };
  }

  end(): void {
    this.#timer?.cancel();
  }

  #add(event: Troubling): void {
    const kept = this.#troubles;
    const nowMs = this.#clock.wallMs();
    const key = keyOf(event);
    const same = kept.get(key);
    const [oldest] = kept;
    if (same === undefined && kept.size === troublesMax && oldest !== undefined) {
      this.#troublesSinceMs = oldest[1].lastMs;
      kept.delete(oldest[0]);
    }
    // Moves the row to the end: it is the newest now.
    kept.delete(key);
    kept.set(key, {
      event: same === undefined || isRecorded(event) || !isRecorded(same.event) ? event : same.event,
      firstMs: same?.firstMs ?? nowMs,
      lastMs: nowMs,
      count: (same?.count ?? 0) + 1,
      recorded: (same?.recorded ?? 0) + recordsOf(event),
    });
  }

  #loginFailed({ listener, address, account, why }: LoginFailed): void {
    const nowMs = this.#clock.now();
    const network = networkOf(address ?? '-');
    this.#logins.failed(nowMs, listener, network);
    // Only with `why` is the account a name of the configuration and not text of a client.
    if (why !== undefined && account !== undefined)
      this.#logins.refused(nowMs, listener, account, why, network);
  }

  #turned(): void {
    this.#timer ??= this.#clock.setTimer(changedMs, () => {
      this.#timer = undefined;
      this.onTurn();
    });
  }
}

/** Most refusals of a flood are only counted and have no record. */
function isRecorded(event: Troubling): boolean {
  return event.level !== undefined;
}

/** Failed logins and refused sessions are counted together in records of their own. */
function recordsOf(event: Troubling): number {
  return isEngineEvent(event, 'exchange-ended') && !isRecorded(event) ? 0 : 1;
}

/** Events with the same key are one row. */
function keyOf(event: Troubling): string {
  if (isEngineEvent(event, 'exchange-ended')) {
    const { exchange, error, outcome, denial, lock, status, policy, rule } = event;
    const { principal, command, listener } = exchange;
    const ended = [error, outcome, denial, lock, status, policy, rule?.file, rule?.line];
    return JSON.stringify([principal, command, listener, ...ended, givenOf(event) > 0, placeOf(event)]);
  }
  const { kind, listener } = event;
  if (isEngineEvent(event, 'session-refused')) return JSON.stringify([kind, listener, event.principal]);
  const { type, why, account, address } = event;
  return JSON.stringify([kind, listener, type, why, why && account, networkOf(address ?? '-')]);
}

/** Undefined if the record could not be written: then nothing was sent to a backend. */
function placeOf({ backend, error }: ExchangeEnded): string | undefined {
  return error === 'audit-failed' || error === 'audit-reserve' || error === 'audit-share'
    ? undefined
    : backend;
}

function rowOf(event: Troubling, atMs: number): TroubleRow {
  const at = formatTime(atMs);
  const { listener } = isEngineEvent(event, 'exchange-ended') ? event.exchange : event;
  if (isEngineEvent(event, 'login-failed')) {
    const { account, address, why, type } = event;
    const isKey = why !== undefined && account !== undefined;
    const from = networkOf(address ?? '-');
    const text = isKey ? `the key ${keyRefusals[why]} (${from})` : loginFailures[type];
    const principal = isKey ? account : from;
    return { row: { at, kind: 'login', principal, listener, text, owner: 'requester' }, user: '' };
  }
  if (isEngineEvent(event, 'session-refused')) {
    const principal = event.principal ?? '-';
    const text = 'no session: not among its peers or networks, or a limit of sessions is reached';
    return { row: { at, kind: 'denied', principal, listener, text, owner: 'requester' }, user: '' };
  }
  const { exchange, outcome } = event;
  const backend = placeOf(event);
  const { id, principal, command, user } = exchange;
  const kind = countedAs(outcome) === 'denied' ? 'denied' : 'failed';
  const where = {
    listener,
    ...(command === undefined ? {} : { command }),
    ...(backend === undefined ? {} : { backend }),
  };
  const { denial, error, policy, rule, lock, text, isQuoting } = event;
  const found = isRecorded(event) ? { id } : {};
  const ended = {
    denial,
    error,
    said: isQuoting ? undefined : text,
    lock,
    policy,
    place: rule === undefined ? '' : `${rule.file}:${rule.line}`,
    givenBytes: givenOf(event),
  };
  return { row: { at, ...found, kind, principal, ...where, owner: ownerOf(event), ended }, user };
}
