// What is wrong and lasts: outages, drains, and times in which the journal took no records, with their costs, folded from their records.
// Each head of a segment carries the open ones (`carried`), so that a reader that begins there comes to the same.

import { asTexts, type StoredRecord } from '../../host/values/values.js';
import { formatTime } from '../../host/words/instants.js';
import type { AuditRecord } from './record.js';
import { numberIn, textIn } from './stored.js';

/** The `reason` of a record that a backend is down or stuck: no connection to it was opened in this run. */
export const notUpBefore = 'not up since the start';

/** The `reason` of a record that ends an outage. */
export const takenOut = 'a reload took it out of the configuration';

const requestersNamed = 20;

/** The requesters with the most failed commands of an outage or a drain, as words for `args`. */
export function requesterWords(by: ReadonlyMap<string, number>): readonly string[] {
  return mostOf(by).map(([name, count]) => `requester=${name} ${count}`);
}

export function mostOf(by: ReadonlyMap<string, number>): readonly (readonly [name: string, count: number])[] {
  return [...by].toSorted(([, one], [, other]) => other - one).slice(0, requestersNamed);
}

export interface Cost {
  readonly count: number;
  readonly requesters: number;
  /** Failed commands by requester, for those with the most. */
  readonly by: ReadonlyMap<string, number>;
  /** The cost is of several runs, which may share requesters: there are at least `requesters`. */
  readonly isLeast?: true;
}

/** An outage, a drain or a fault of the journal, open or over. Times are RFC 3339. */
export interface OpenTurn {
  readonly kind: 'down' | 'stuck' | 'drained' | 'reserve' | 'blind';
  readonly backend?: string;
  /** Absent: before the records that were read. */
  readonly since?: string | undefined;
  /** Absent: no record says that it ended. */
  readonly until?: string;
  readonly by?: string;
  readonly reason?: string;
  readonly why?: string;
  /** In earlier runs. */
  readonly cost?: Cost | undefined;
  /** In this run, as far as it is recorded. */
  readonly paid?: Cost | undefined;
  /** `paidAt`: the time of the record of `paid`. `lostFrom`: for an end without a stop, the time after which nothing is counted. */
  readonly paidAt?: string | undefined;
  readonly lostFrom?: string | undefined;
  /** No record says that the run was stopped, so its cost is known only in part. */
  readonly isLost?: true;
  /** For a backend: commands that were there when dovegate ended without a stop. */
  readonly hung?: number;
  /** Ended with a run, not by itself; `went on`: and not over by it, since the next run found it so at its first attempt. */
  readonly restart?: 'cut' | 'went on' | 'over';
}

/** The most that a head carries: the newest. */
const carriedMax = 1_000;
const ofDrain = 'backend-drained';
/** Instead of a code: the run was stopped in order. */
const ofStop = 'stopped';

type Turns = Map<string, OpenTurn>;

export class OpenTurns {
  /** When the run was stopped in order; undefined: it goes on, or no record says so. */
  stopped: string | undefined;
  readonly #down: Turns = new Map();
  readonly #drained: Turns = new Map();
  /** Faults of the journal, by their codes. */
  readonly #untold: Turns = new Map();
  /** Down at the last start: the run finds out which still are. */
  readonly #cut: Turns = new Map();

  copy(): OpenTurns {
    const other = new OpenTurns();
    other.stopped = this.stopped;
    for (const [from, to] of [
      [this.#down, other.#down],
      [this.#drained, other.#drained],
      [this.#untold, other.#untold],
      [this.#cut, other.#cut],
    ] as const)
      for (const [key, turn] of from) to.set(key, turn);
    return other;
  }

  /** `cut`: those that were down at the last start; they are over unless the run finds them so. */
  get all(): { readonly open: readonly OpenTurn[]; readonly cut: readonly OpenTurn[] } {
    const open = [this.#down, this.#drained, this.#untold].flatMap((map) => [...map.values()]);
    return { open, cut: [...this.#cut.values()] };
  }

  /** Returns those that the record ends. `left`: of a start, the commands that the run before left open. */
  follow(record: StoredRecord, left: readonly Named[] = []): readonly OpenTurn[] {
    const [time, backend, error] = [
      textIn(record, 'time'),
      textIn(record, 'backend'),
      textIn(record, 'error'),
    ];
    const [event, action] = [textIn(record, 'event'), textIn(record, 'action')];
    if (record['carried'] === true) this.#followCopy(record);
    else if (event === 'backend')
      return this.#followBackend(record, error === ofDrain ? this.#drained : this.#down);
    else if (event === 'journal') return this.#followJournal(record);
    else if (event === 'operator' && action === 'drain' && record['outcome'] === 'ok')
      this.#drained.set(backend, { ...aboutIn(record), since: time });
    else if (event === 'operator' && action === 'enable' && record['outcome'] === 'ok')
      return end(this.#drained, backend, time, costIn(record));
    else if (event === 'stop') this.stopped = time;
    else if (event === 'start') {
      const over = numberIn(record, 'last_seq') === undefined ? [] : this.#start(time, left);
      this.stopped = undefined;
      return over;
    }
    return [];
  }

  /** The records from which another object becomes equal. */
  carried(nowMs: number): AuditRecord[] {
    const all = [this.#cut, this.#down, this.#drained, this.#untold].flatMap((map) => [...map]);
    const { stopped: at } = this;
    const stop = { time: nowMs, event: 'journal', action: 'stop', carried: true, error: ofStop, at } as const;
    return [
      ...all.slice(-carriedMax).flatMap(([key, turn]) => copiesOf(key, turn, nowMs)),
      ...(at === undefined ? [] : [stop]),
    ];
  }

  #followBackend(record: StoredRecord, from: Turns): readonly OpenTurn[] {
    const [time, backend] = [textIn(record, 'time'), textIn(record, 'backend')];
    const paid = costIn(record);
    const turn = from.get(backend);
    switch (textIn(record, 'action')) {
      case 'stuck':
      case 'down': {
        if (textIn(record, 'reason') === notUpBefore) this.#goOn(backend);
        // A stuck backend that goes down stays one outage, from its beginning on.
        const before = { since: sinceIn(record), ...this.#down.get(backend) };
        this.#down.set(backend, { ...before, ...aboutIn(record) });
        return [];
      }
      case 'up':
        if (!this.#down.has(backend)) this.#down.set(backend, { kind: 'down', backend });
        return end(this.#down, backend, time, paid);
      case 'stop': {
        const reason = textIn(record, 'reason');
        if (reason !== '') return end(from, backend, time, paid, { reason });
        if (turn !== undefined) from.set(backend, { ...turn, ...costAfter(turn, paid) });
        return [];
      }
      case 'cost':
        if (turn !== undefined) from.set(backend, { ...turn, paid, paidAt: time });
        return [];
      default:
        return [];
    }
  }

  /** The record of the beginning may be missing, for want of room. */
  #followJournal(record: StoredRecord): readonly OpenTurn[] {
    const [time, error] = [textIn(record, 'time'), textIn(record, 'error')];
    const { kind } = aboutIn(record);
    const turn = this.#untold.get(error);
    switch (textIn(record, 'action')) {
      case 'down':
        this.#untold.set(error, { ...aboutIn(record), since: time });
        return [];
      case 'up':
        if (turn === undefined) this.#untold.set(error, { kind, since: sinceIn(record) });
        return end(this.#untold, error, time, costIn(record));
      case 'cost':
        this.#untold.set(error, { ...turn, kind, paid: costIn(record), paidAt: time });
        return [];
      case 'stop':
        this.#untold.set(error, { ...turn, kind, cost: costIn(record), paid: undefined });
        return [];
      default:
        return [];
    }
  }

  #goOn(backend: string): void {
    const { until: _, ...turn } = this.#cut.get(backend) ?? { kind: 'down' };
    if (this.#cut.delete(backend)) this.#down.set(backend, { ...turn, restart: 'went on' });
  }

  #start(time: string, left: readonly Named[]): readonly OpenTurn[] {
    const lostOf = ({ paidAt: lostFrom }: OpenTurn) =>
      this.stopped === undefined ? { isLost: true as const, lostFrom } : {};
    const over = [...this.#cut.values()];
    this.#cut.clear();
    for (const [backend, turn] of this.#down) {
      const hung = (turn.hung ?? 0) + left.filter((each) => each.backend === backend).length;
      const ended = { until: time, restart: 'cut' as const, hung, ...lostOf(turn) };
      this.#cut.set(backend, { ...turn, ...ended, ...costAfter(turn, turn.paid) });
    }
    this.#down.clear();
    for (const [code, turn] of this.#untold) {
      const lost = turn.cost === undefined ? lostOf(turn) : {};
      over.push(...end(this.#untold, code, time, turn.paid, { restart: 'over', ...lost }));
    }
    for (const [backend, turn] of this.#drained)
      this.#drained.set(backend, { ...turn, ...lostOf(turn), ...costAfter(turn, turn.paid) });
    return over;
  }

  /** A copy says nothing new about a known one, except perhaps when it began. */
  #followCopy(record: StoredRecord): void {
    const [event, action, error] = [
      textIn(record, 'event'),
      textIn(record, 'action'),
      textIn(record, 'error'),
    ];
    const [at, until] = [textIn(record, 'at') || undefined, textIn(record, 'until')];
    if (event !== 'backend' && event !== 'journal' && action !== 'drain') return;
    if (error === ofStop) this.stopped ??= at;
    if (error === ofStop) return;
    const key = textIn(record, event === 'journal' ? 'error' : 'backend');
    const isDrain = event === 'operator' || error === ofDrain;
    const map =
      event === 'journal' ? this.#untold : isDrain ? this.#drained : until !== '' ? this.#cut : this.#down;
    const turn = map.get(key);
    if (action !== 'stop' && action !== 'cost') {
      const restart = until === '' ? ('went on' as const) : ('cut' as const);
      const isOver = textIn(record, 'reason') === notUpBefore || until !== '';
      const began = { ...aboutIn(record), ...(isOver && { restart }), ...(until !== '' && { until }) };
      map.set(key, { ...(turn ?? began), since: turn?.since ?? at });
    } else if (action === 'cost' && turn !== undefined && turn.paid === undefined)
      map.set(key, { ...turn, paid: costIn(record), paidAt: at });
    else if (
      action === 'stop' &&
      turn !== undefined &&
      turn.cost === undefined &&
      turn.isLost === undefined
    ) {
      const cost = record['count'] === undefined ? undefined : { ...costIn(record), isLeast: true as const };
      map.set(key, { ...turn, cost, ...(record['outcome'] === 'unknown' && { isLost: true, lostFrom: at }) });
    }
  }
}

interface Named {
  readonly backend?: string | undefined;
}

function end(
  from: Turns,
  key: string,
  until: string,
  paid: Cost | undefined,
  more: Partial<OpenTurn> = {},
): readonly OpenTurn[] {
  const turn = from.get(key);
  from.delete(key);
  return turn === undefined ? [] : [{ ...turn, until, ...more, ...costAfter(turn, paid) }];
}

/** What the record of a beginning says. */
function aboutIn(record: StoredRecord): OpenTurn {
  const [backend, reason] = [textIn(record, 'backend'), textIn(record, 'reason')];
  if (record['event'] === 'journal')
    return {
      kind: record['error'] === 'audit-reserve' ? 'reserve' : 'blind',
      ...(reason !== '' && { why: reason }),
    };
  if (record['event'] === 'operator') return { kind: 'drained', backend, by: textIn(record, 'by'), reason };
  return { kind: record['action'] === 'stuck' ? 'stuck' : 'down', backend, why: textIn(record, 'text') };
}

function copiesOf(key: string, turn: OpenTurn, time: number): AuditRecord[] {
  const { kind, backend, since, until, by, reason, why, cost, paid, paidAt, isLost, lostFrom, restart } =
    turn;
  const copy = { time, carried: true } as const;
  const isJournal = kind === 'reserve' || kind === 'blind';
  const began = { ...copy, backend, at: since } as const;
  const error = isJournal ? key : kind === 'drained' ? ofDrain : undefined;
  const event = isJournal ? 'journal' : 'backend';
  const said = restart === 'went on' ? notUpBefore : undefined;
  return [
    kind === 'drained'
      ? { ...began, event: 'operator', action: 'drain', outcome: 'ok', by, reason }
      : isJournal
        ? { ...began, event, action: 'down', error, reason: why }
        : { ...began, event, action: kind, text: why, reason: said, until },
    ...(cost === undefined && isLost !== true
      ? []
      : [
          {
            ...copy,
            event,
            action: 'stop',
            backend,
            error,
            at: lostFrom,
            until,
            ...(isLost && { outcome: 'unknown' as const }),
            ...wordsOf(cost),
          } as const,
        ]),
    ...(paid === undefined
      ? []
      : [{ ...copy, event, action: 'cost', backend, error, at: paidAt, ...wordsOf(paid) } as const]),
  ];
}

function wordsOf(cost: Cost | undefined): Partial<AuditRecord> {
  if (cost === undefined) return {};
  const { count, requesters, by } = cost;
  return { count, requesters, ...(by.size > 0 && { args: requesterWords(by) }) };
}

export function sinceIn(record: StoredRecord): string {
  return formatTime(Date.parse(textIn(record, 'time')) - (numberIn(record, 'duration_ms') ?? 0));
}

function costIn(record: StoredRecord): Cost {
  const by = asTexts(record['args']).flatMap((text): [string, number][] => {
    const [, name, count] = /^requester=(.*) (\d{1,15})$/s.exec(text) ?? [];
    return name === undefined ? [] : [[name, Number(count)]];
  });
  const [count, requesters] = ['count', 'requesters'].map((key) => numberIn(record, key) ?? 0);
  return { count: count ?? 0, requesters: requesters ?? 0, by: new Map(by) };
}

/** The cost after a run: that of earlier runs, and its own. */
function costAfter(
  { cost }: Pick<OpenTurn, 'cost'>,
  paid: Cost | undefined,
): Pick<OpenTurn, 'cost' | 'paid'> {
  return { cost: sumOf(cost, paid), paid: undefined };
}

export function sumOf(cost: Cost | undefined, paid: Cost | undefined): Cost | undefined {
  if (cost === undefined || paid === undefined) return cost ?? paid;
  const requesters = Math.max(cost.requesters, paid.requesters);
  const by = new Map(cost.by);
  for (const [name, count] of paid.by) by.set(name, (by.get(name) ?? 0) + count);
  return { count: cost.count + paid.count, requesters, by, isLeast: true };
}
