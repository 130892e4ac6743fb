// Takes a stamp a day, over the newest line that is to be stamped: the signed checkpoint of a journal, or the last line of a verifier. An
// attempt that fails is made again with growing pauses. Each answer is checked as `audit verify` will check it, before it counts.

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { bounds } from '../../bounds/bounds.js';
import { backOffMs } from '../../concurrency/back-off.js';
import { pause } from '../../concurrency/waiting.js';
import { parseLine, parseTime } from '../../domain/records/audit/record.js';
import { asText } from '../../domain/records/audit/stored.js';
import { readAuthority } from '../../domain/records/stamps/certificate.js';
import { StampFault, type StampFaultCode } from '../../domain/records/stamps/fault.js';
import { checkStamp, makeStampRequest, stampDay, whyOddTime } from '../../domain/records/stamps/stamp.js';
import type { Clock } from '../../ports/machine.js';
import { readRegularFile } from '../host/regular-file.js';
import { createLookup } from '../notices/connection.js';
import { askAuthority, type StampAuthority } from './ask-authority.js';
import { stampDays, storeStamp } from './stamp-folder.js';

export interface StampSettings extends StampAuthority {
  /** Certificates in PEM that stamps must chain to. */
  readonly authorityFile: string;
}

export interface StamperParts {
  readonly clock: Clock;
  /** From 0 to below 1: when in the first hour of a day, and how much shorter a pause is. */
  readonly chance: () => number;
  readonly settings: StampSettings;
  readonly folder: string;
  /** The newest line, with its LF and a `time`. Rejects with a StampFault. */
  readonly newest: () => Promise<Buffer>;
  readonly onStamped: (day: string) => void;
  readonly onFault: (fault: StampFault) => void;
}

export interface StamperState {
  /** The day of the last stamp, at its beginning; undefined: there is none. */
  readonly lastMs: number | undefined;
  readonly failed: number;
  /** Of the last attempt, and for how long attempts have failed; undefined: the last one was good, or there was none. */
  readonly fault: { readonly code: StampFaultCode; readonly forMs: number } | undefined;
}

export interface Stamper {
  readonly state: StamperState;
  close(): Promise<void>;
}

const firstRetryMs = 10_000;
/** Whether a stamp is due is asked so often, since the wall clock may leap. */
const lookMs = 60_000;
/** Beyond it no answer may come from the day before. */
const leastSpreadMs = bounds.stampSkewMs;

export function startStamper(parts: StamperParts): Stamper {
  const { clock, settings, folder } = parts;
  const ended = new AbortController();
  const { signal } = ended;
  const lookup = createLookup();
  // Many hosts share an authority.
  const spreadMs = leastSpreadMs + parts.chance() * (bounds.stampSpreadMs - leastSpreadMs);
  let lastDay: string | undefined;
  let failed = 0;
  let fault: { readonly code: StampFaultCode; readonly sinceMs: number } | undefined;
  const running = run();

  return {
    get state() {
      return {
        lastMs: lastDay === undefined ? undefined : Date.parse(lastDay),
        failed,
        fault: fault && { code: fault.code, forMs: clock.now() - fault.sinceMs },
      };
    },
    close() {
      ended.abort(new Error('it is stopping'));
      return running;
    },
  };

  /** Never rejects. */
  async function run(): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        if (await isDue()) await take();
        failures = 0;
        fault = undefined;
        await pause(clock, lookMs, signal);
      } catch (cause) {
        if (signal.aborted) return;
        failures += 1;
        failWith(cause instanceof StampFault ? cause : new StampFault('internal', '', cause));
        await pause(clock, backOffMs(failures, firstRetryMs, bounds.stampRetryMaxMs, parts.chance()), signal);
      }
    }
  }

  async function isDue(): Promise<boolean> {
    lastDay = (await ofState(stampDays(folder))).at(-1);
    return lastDay === undefined || lastDay < stampDay(clock.wallMs() - spreadMs);
  }

  async function take(): Promise<void> {
    const authority = readAuthority(await readText(settings.authorityFile));
    if (authority.length === 0) throw new StampFault('authority-file');
    const line = await parts.newest();
    const nonce = randomBytes(8);
    const answer = await askAuthority(settings, makeStampRequest(line, nonce), { clock, lookup }, signal);
    const stamp = checkStamp(answer, line, authority, nonce);
    const lineMs = parseTime(asText(parseLine(line.toString('utf8'))?.['time']) ?? '') ?? 0;
    const odd = whyOddTime(stamp, lineMs, undefined);
    if (odd !== undefined) throw new StampFault(odd);
    if (Math.abs(stamp.timeMs - clock.wallMs()) > bounds.stampSkewMs + bounds.stampMs)
      throw new StampFault('clocks-apart');
    const day = stampDay(stamp.timeMs);
    await ofState(storeStamp(folder, { day, line, answer }));
    lastDay = day;
    parts.onStamped(day);
  }

  function failWith(found: StampFault): void {
    failed += 1;
    const isKnown = fault?.code === found.code;
    fault = { code: found.code, sinceMs: fault?.sinceMs ?? clock.now() };
    if (!isKnown) parts.onFault(found);
  }
}

async function readText(path: string): Promise<string> {
  try {
    return (await readRegularFile(path, bounds.certificateFileBytes)).toString('utf8');
  } catch (cause) {
    throw new StampFault('authority-file', '', cause);
  }
}

async function ofState<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new StampFault('state-file', '', cause);
  }
}

/** Where ship, and the verifier of a fleet, keep theirs. */
export function stampFolderOf(state: string): string {
  return join(state, 'stamps');
}
