// Our own log: events of the engine and of the daemon as JSON lines on stdout, `time level event ...`; pretty on a terminal. Writing never
// blocks and never fails the daemon (unwritable lines are dropped and counted). Every line passes the limit of its code. Text of clients
// and backends is one JSON string, never a key. No secret gets here.

import { type DestinationStream, destination, pino, stdTimeFunctions } from 'pino';
import { bounds } from '../../host/bounds/bounds.js';
import type { Clock } from '../../host/ports/machine.js';
import { harmlessJson, printable, withoutKeys } from '../../host/words/text.js';
import { type EngineEvent, exchangeLine, isEngineEvent } from '../outcome/events.js';
import type { LogLevel } from '../outcome/outcome.js';
import { LineLimit, type LineSource } from './line-limit.js';
import type { LogCode } from './log-codes.js';

export type ConfiguredLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** An event of the daemon itself. `event` is a code that is never renamed. */
export interface DaemonEvent {
  readonly event: LogCode;
  readonly level: LogLevel;
  readonly text: string;
  readonly [key: string]: string | number | boolean | undefined;
}

export type Log = Awaited<ReturnType<typeof createLog>>;

/** No method of it waits or throws: unwritable lines are dropped. */
export async function createLog(level: ConfiguredLevel, isTerminal: boolean, clock: Clock) {
  const file = destination({ dest: 1, sync: false, minLength: 0, maxLength: bounds.logWaitingBytes });
  let dropped = 0;
  file.on('drop', () => {
    dropped += 1;
  });
  // A closed stdout must not end the daemon. After a broken pipe no line is tried any more.
  let isBroken = false;
  file.on('error', () => {
    dropped += 1;
    isBroken = true;
  });
  const stream: DestinationStream = isTerminal ? await openPretty() : file;
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'text',
      errorKey: 'err',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: isTerminal ? showOnTerminal : harmlessLine },
    },
    stream,
  );
  const limit = new LineLimit(clock, ({ code: type, source, level: at, count }) => {
    const text = `${count} more lines "${type}" within a second were not written`;
    logger[at]({ event: 'suppressed', ...source, type, count }, text);
  });
  const write = (
    code: LogCode,
    at: LogLevel | undefined,
    text: string | undefined,
    keys: LineSource & Readonly<Record<string, unknown>>,
  ): void => {
    if (at !== undefined && logger.isLevelEnabled(at) && limit.admit(code, at, keys))
      logger[at]({ event: code, ...keys }, text);
  };
  return {
    observe(event: EngineEvent): void {
      // Most commands succeed, and most logs do not show these: then no line is made.
      if (event.level === undefined || !logger.isLevelEnabled(event.level)) return;
      const line = isEngineEvent(event, 'exchange-ended') ? exchangeLine(event) : event;
      const { kind, level: at, text, ...keys } = line;
      write(kind, at, text, keys);
    },
    report({ event, level: at, text, ...keys }: DaemonEvent): void {
      write(event, at, text, keys);
    },
    setLevel(next: ConfiguredLevel): void {
      logger.level = next;
    },
    get dropped(): number {
      return dropped;
    },
    /** Lines above the limit of their code, by code. */
    get suppressed(): ReadonlyMap<LogCode, number> {
      return limit.suppressed;
    },
    /** Writes the counts of suppressed lines, and resolves when every line so far is out or dropped, which may be never. */
    flush(): Promise<void> {
      limit.flush();
      if (isTerminal || isBroken) return Promise.resolve();
      // A line that libuv's pool is writing is in no buffer of this thread, and an exit would lose it: the callback of an empty write after
      // it shows when it is out.
      return new Promise((resolve) => {
        file.once('drain', resolve);
        file.once('error', () => resolve());
        file.write('');
      });
    },
  };
}

/** Loaded for a terminal only: a service never needs it. */
async function openPretty(): Promise<DestinationStream> {
  const { default: pretty } = await import('pino-pretty');
  return pretty({
    destination: 1,
    messageKey: 'text',
    ignore: 'event',
    messageFormat: '{event}: {text}',
    sync: true,
  });
}

/** Events with lines of our own; in all others a LF is foreign, and could forge a line. */
const ofSeveralLines: ReadonlySet<unknown> = new Set<LogCode>([
  'reload-failed',
  'start-failed',
  'internal-error',
]);

/** A log line before pretty-printing, with terminal controls made visible. */
function showOnTerminal(written: string): string {
  const line = withoutKeys(written);
  const keepsLines = ofSeveralLines.has(Reflect.get(Object(JSON.parse(line)), 'event'));
  const shown: unknown = JSON.parse(line, (key, value: unknown) => {
    if (typeof value !== 'string') return value;
    const lines = keepsLines && key === 'text' ? value.split('\n') : [value];
    return lines.map(printable).join('\n    ');
  });
  return `${JSON.stringify(shown)}\n`;
}

/** The same for a JSON line: the value stays equal, for people who print the log with `cat` or `journalctl`. */
function harmlessLine(line: string): string {
  return `${withoutKeys(harmlessJson(line.trimEnd()))}\n`;
}
