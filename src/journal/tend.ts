// Tending the journal while it is open: retention, compression, the reserve. Asks the writer what is to be done and has
// the keeper's thread do what is slow. It owns that thread, which lives only while it has work.
// The rule: one round at a time, so that nothing is compressed while it is being retired; nothing here fails the journal.

import type { Clock, Timer } from '../ports/clock.js';
import type { Driver } from './drive.js';
import type { JournalEvent, JournalSpace } from './journal.js';
import type { KeeperOrder, RetentionLimits } from './messages.js';
import { type KeeperThread, openKeeperThread } from './thread.js';

export interface TendOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly driver: Driver;
  readonly tendIntervalMs: number;
  readonly limits: () => RetentionLimits;
  readonly reserveBytes: number;
  readonly enter: (space: JournalSpace) => void;
  readonly noteClockStep: () => void;
  readonly observe: (event: JournalEvent) => void;
}

export interface Tending {
  /** The disk is full: look again soon whether somebody made room. */
  hurry(): void;
  end(): void;
}

/** While the disk is full: how soon somebody who made room is noticed. */
const fullIntervalMs = 3000;

export function startTending(options: TendOptions): Tending {
  const { clock, driver, observe } = options;
  let keeper: KeeperThread | undefined;
  let isEnded = false;
  let isUnderWay = false;
  let timer: Timer = clock.setTimer(0, again);

  return {
    hurry() {
      if (isEnded || isUnderWay) return;
      timer.cancel();
      timer = clock.setTimer(Math.min(options.tendIntervalMs, fullIntervalMs), again);
    },
    end() {
      isEnded = true;
      timer.cancel();
      keeper?.end();
    },
  };

  function again(): void {
    isUnderWay = true;
    void round().then((isFull) => {
      isUnderWay = false;
      keeper?.end();
      keeper = undefined;
      if (isEnded) return;
      const intervalMs = Math.min(options.tendIntervalMs, isFull ? fullIntervalMs : Infinity);
      timer = clock.setTimer(intervalMs, again);
    });
  }

  /** True: the reserve could not be filled. */
  async function round(): Promise<boolean> {
    options.noteClockStep();
    const report = await driver.run((wallMs) => ({ do: 'tend', limits: options.limits(), wallMs }));
    if (report.kind !== 'tended' || isEnded) return false;
    const { tended } = report;
    observe({ kind: 'tended', tended });
    for (const name of tended.compressible) await keep({ do: 'compress', name });
    if (!tended.isReserveShort) return false;
    const isFilled = await keep({ do: 'fill-reserve', bytes: options.reserveBytes });
    if (!isEnded) options.enter(isFilled ? 'normal' : 'reserve');
    return !isFilled;
  }

  async function keep(order: KeeperOrder): Promise<boolean> {
    if (isEnded) return false;
    keeper ??= openKeeperThread(options.directory);
    const report = await keeper.ask(order);
    if (report.kind === 'failed' && !isEnded) observe({ kind: 'not-tended', text: report.message });
    return report.kind === 'done';
  }
}
