// Our own log: events of the engine and of the daemon on stdout. For programs, JSON lines: `time level event ...`. For people, a sentence a
// line, in the journal of systemd and on a terminal; `log.format` decides elsewhere. Writing never blocks and never fails the daemon
// (unwritable lines are dropped and counted). Every line passes the limit of its code. Text of clients and backends is one JSON string,
// never a key, and can neither end a line nor begin one. No secret gets here.

import { destination, pino, stdTimeFunctions } from 'pino';
import { bounds } from '../../host/bounds/bounds.js';
import type { Clock } from '../../host/ports/machine.js';
import { harmlessJson, printable, withoutKeys } from '../../host/words/text.js';
import { valueText } from '../../journal/records/stored.js';
import type { Settings } from '../../rules/config/settings.js';
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

export type Log = ReturnType<typeof createLog>;

/** No method of it waits or throws: unwritable lines are dropped. */
export function createLog(level: ConfiguredLevel, reader: 'terminal' | 'journal' | 'program', clock: Clock) {
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
  let isText = reader !== 'program';
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'text',
      errorKey: 'err',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: {
        streamWrite: (line) => (isText ? sentence(line, reader === 'journal') : harmlessLine(line)),
      },
    },
    file,
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
    /** Without a format, it is that of where stdout leads. */
    configure({ level: next, format }: Settings['log']): void {
      logger.level = next;
      isText = format === undefined ? reader !== 'program' : format === 'text';
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
      if (isBroken) return Promise.resolve();
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

/** As the journal of systemd reads them at the beginning of a line. */
const priorities: Readonly<Record<string, number>> = {
  fatal: 2,
  error: 3,
  warn: 4,
  info: 6,
  debug: 7,
  trace: 7,
};
/** What a sentence does not say of itself. */
const namesShown = [
  'principal',
  'command',
  'user',
  'backend',
  'upstream',
  'listener',
  'address',
  'id',
] as const;

/** A log line for people: `denied: why (principal support@helpdesk, id 01J...)`, behind its level and, outside of the journal, its time. */
function sentence(written: string, isJournal: boolean): string {
  const line: Readonly<Record<string, unknown>> = Object(JSON.parse(withoutKeys(written)));
  const word = (key: string): string => printable(valueText(line[key]));
  const isOurs = ofSeveralLines.has(line['event']);
  const text = isOurs
    ? String(line['text'])
        .split('\n')
        .map((part) => printable(part.trim()))
        .filter((part) => part !== '^')
        .join('; ')
    : line['event'] === 'audit-checkpoint'
      ? 'the records so far are signed'
      : word('text') || word('reason') || word('outcome');
  const names = namesShown.filter((key) => word(key) !== '').map((key) => `${key} ${word(key)}`);
  const start = isJournal ? `<${priorities[word('level')] ?? 6}>` : `${word('time')} ${word('level')} `;
  return `${start}${word('event')}: ${text}${names.length === 0 ? '' : ` (${names.join(', ')})`}\n`;
}

/** Events with lines of our own; in all others a LF is foreign, and could forge a line. */
const ofSeveralLines: ReadonlySet<unknown> = new Set<LogCode>([
  'configuration-warning',
  'reload-failed',
  'start-failed',
  'internal-error',
]);

/** A JSON line with terminal controls made visible: the value stays equal, for people who print the log with `cat` or `journalctl`. */
function harmlessLine(line: string): string {
  return `${withoutKeys(harmlessJson(line.trimEnd()))}\n`;
}
