// Our own log: events of the engine and of the daemon as JSON lines on stdout, `time level event ...`; pretty on a terminal. Writing never
// blocks and never fails the daemon (unwritable lines are dropped and counted). Every line passes the limit of its code. Text of clients
// and backends is one JSON string, never a key. No secret gets here.

import { type DestinationStream, destination, pino, stdTimeFunctions } from 'pino';
import { bounds } from '../../bounds/bounds.js';
import type { KeyRefusal } from '../../domain/people/keys/key.js';
import { harmlessJson, printable } from '../../domain/records/audit/encode.js';
import { withoutKeys } from '../../domain/records/audit/record.js';
import type { EngineEvent, ExchangeEnded, LoginResult } from '../../gateway/outcome/events.js';
import type { LogLevel } from '../../gateway/outcome/outcome.js';
import type { Clock } from '../../ports/machine.js';
import { type LogCode, logCodes } from './codes.js';
import { LineLimit, type LineSource } from './line-limit.js';

export type ConfiguredLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** An event of the daemon itself. `event` is a code that is never renamed. */
export interface DaemonEvent {
  readonly event: LogCode;
  readonly level: LogLevel;
  readonly text: string;
  readonly [key: string]: string | number | boolean | undefined;
}

/** No method waits or throws: unwritable lines are dropped. */
export interface Log {
  observe(event: EngineEvent): void;
  report(event: DaemonEvent): void;
  setLevel(level: ConfiguredLevel): void;
  readonly dropped: number;
  /** Lines above the limit of their code, by code. */
  readonly suppressed: ReadonlyMap<LogCode, number>;
  /** Writes the counts of suppressed lines, and resolves when every line so far is out or dropped, which may be never. */
  flush(): Promise<void>;
}

/** Bytes that may wait for a stdout that is not read. */
const waitingBytesMax = bounds.logWaitingBytes;

export async function createLog(level: ConfiguredLevel, isTerminal: boolean, clock: Clock): Promise<Log> {
  const file = destination({ dest: 1, sync: false, minLength: 0, maxLength: waitingBytesMax });
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
  const isEnabled = (at: LogLevel): boolean => logger.isLevelEnabled(at);
  const write: Write = (at, keys, text) => {
    if (isEnabled(at) && limit.admit(keys.event, at, keys)) logger[at](keys, text);
  };
  return {
    observe: (event) => logEvent(write, isEnabled, event),
    report({ text, level: at, ...keys }) {
      write(at, keys, text);
    },
    setLevel(next) {
      logger.level = next;
    },
    get dropped() {
      return dropped;
    },
    get suppressed() {
      return limit.suppressed;
    },
    flush() {
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

const levelOfType = {
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  error: 'error',
  fatal: 'error',
  panic: 'error',
} as const;

/** The log's codes for exchanges: a refusal has the name of its outcome. `failed` without an error is the backend's own status. */
const codeOf: Readonly<Record<ExchangeEnded['outcome'], LogCode>> = {
  ok: 'exchange',
  denied: 'denied',
  unparsable: 'unparsable',
  limited: 'limited',
  failed: 'exchange-failed',
  partly: 'exchange-failed',
  unknown: 'exchange-failed',
  timeout: 'exchange-failed',
  aborted: 'exchange-aborted',
};

/** It is deliberately unknown here whether the name or the password was wrong. */
const whyNoLogin: Readonly<Record<LoginResult, string>> = {
  ok: 'a login',
  remembered: 'a login',
  certificate: 'a login',
  failed: 'wrong name, password or key',
  crowded: 'too many login attempts at once, so this one was not checked',
  gone: 'login attempt canceled by the client',
  malformed: 'a login that is malformed, or that this listener does not permit',
  ambiguous: 'a certificate that fits several accounts, so it proves none',
  'tls-failed': 'no TLS',
};

/** For a key of the listener. */
const whyRefused: Readonly<Record<KeyRefusal, string>> = {
  expired: 'has expired',
  replaced: 'was replaced: the time of this hash is over (until)',
  address: 'was used from outside of its networks',
  name: 'was used with the name of another key',
};

/** Writes a line, unless its level is off or its code is over its limit. */
type Write = (level: LogLevel, keys: LineKeys, text?: string) => void;

interface LineKeys extends LineSource {
  readonly event: LogCode;
  readonly [key: string]: string | number | boolean | undefined;
}

function logEvent(write: Write, isEnabled: (level: LogLevel) => boolean, event: EngineEvent): void {
  switch (event.kind) {
    case 'backend-log': {
      const { backend, upstream, exchange, type, text, isUsersFault } = event;
      const level = isUsersFault === true ? 'info' : levelOfType[type];
      return write(level, { event: 'backend-log', ...exchange, backend, upstream, type }, text);
    }
    case 'exchange-ended': {
      const { exchange, backend, upstream, decision, outcome, status, error, level } = event;
      // Most commands succeed, and most logs do not show these: then no line is made.
      if (!event.isTold || !isEnabled(level)) return;
      const isReplied = (outcome === 'failed' || outcome === 'partly') && error === undefined;
      const code = isReplied ? 'exchange' : codeOf[outcome];
      const named = { event: code, ...exchange, backend, upstream, decision, outcome, status, error };
      const keys = { ...named, bytes: event.bytesOut, duration_ms: toMicroseconds(event.durationMs) };
      return write(level, keys, event.text);
    }
    case 'session-closed': {
      const { listener, session, reason, exchanges, text, isTold } = event;
      const isNormal = !isTold || reason === 'peer-ended' || reason === 'peer-gone' || reason === 'draining';
      const keys = { event: 'session-closed' as const, listener, session, reason, exchanges };
      return write(isNormal ? 'debug' : 'warn', keys, text);
    }
    case 'session-refused': {
      const { listener, principal } = event;
      return write('warn', { event: 'session-refused', listener, principal }, event.text);
    }
    case 'login': {
      const { listener, result: type, address, account, keyRefusal, isTold } = event;
      if (!isTold) return;
      const who = account === undefined ? '' : ` as ${account}`;
      const more = event.text === undefined ? '' : `: ${event.text}`;
      const why =
        keyRefusal === undefined
          ? `${whyNoLogin[type]}${who}`
          : `key ${account ?? '-'} ${whyRefused[keyRefusal]}`;
      const text = `${why}, from ${address ?? 'an unknown address'}${more}`;
      return write('warn', { event: 'login-failed', listener, address, account, type }, text);
    }
    case 'http-request':
      // Only counted: the lines of its exchanges describe the request.
      return undefined;
    case 'upstream-opened': {
      const { backend, upstream, serverMinor: minor, durationMs } = event;
      const { series } = event.server;
      const duration_ms = toMicroseconds(durationMs);
      return write('info', { event: 'upstream-opened', backend, upstream, series, minor, duration_ms });
    }
    case 'dial-failed': {
      // A backend that is down is dialed again and again; only the first failure and the recovery are reported.
      const { backend, code: type, text, isFirst } = event;
      const keys = { event: 'dial-failed' as const, backend, type };
      return write(isFirst ? 'error' : 'debug', keys, `backend ${backend}: ${text}`);
    }
    case 'backend-down': {
      const { backend, code: type, text } = event;
      return write('error', { event: 'backend-down', backend, type }, `backend ${backend} is down: ${text}`);
    }
    case 'backend-up': {
      const { backend, downMs } = event;
      const keys = { event: 'backend-up' as const, backend, duration_ms: Math.round(downMs) };
      return write('warn', keys, `backend ${backend} is back`);
    }
    case 'audit-failed':
      return write('error', { event: 'audit-failed' }, event.text);
    case 'flood': {
      const { action: type, count, principal, listener, address } = event;
      // Scripts often make many short sessions; they are counted only for the journal.
      const level = type === 'session' ? 'debug' : 'warn';
      const keys = { event: 'flood' as const, principal, listener, address, type, count };
      return write(level, keys, `${count} more in a second`);
    }
    case 'lookup-failing': {
      const { socket, code: type } = event;
      const text = `the auth service at ${socket} does not answer (${type}); commands that need it are refused`;
      return write('error', { event: 'lookup-failing', type }, text);
    }
    case 'lookup-working':
      return write('info', { event: 'lookup-working' }, `the auth service at ${event.socket} answers`);
    case 'ship-connected': {
      const { kind, sink, lagRecords: lag } = event;
      return write('info', { event: kind, sink, lag }, `records go to ${sink}; ${lag} were not sent yet`);
    }
    case 'ship-away': {
      const { kind, sink, code: type, lagRecords: lag, text } = event;
      return write('error', { event: kind, sink, type, lag }, `no records go to ${sink}: ${text}`);
    }
    case 'ship-missing': {
      const { kind, sink, from, to } = event;
      const why = 'they were removed before, or are damaged';
      return write(
        'error',
        { event: kind, sink, from, to },
        `${sink} will never get the records ${from} to ${to}: ${why}`,
      );
    }
    case 'ship-damaged': {
      const { kind, sink, text } = event;
      return write('error', { event: kind, sink }, `not sent to ${sink}: ${text}`);
    }
    case 'ship-restarted': {
      const { kind, sink, text } = event;
      return write('error', { event: kind, sink }, `${sink} gets records again: ${text}`);
    }
    case 'audit-forked': {
      const { kind, sink, text } = event;
      const todo =
        'find out who else writes this journal (a copied machine, a disk that was put back), then begin a new one: stop dovegate, move audit.directory away, start';
      return write('error', { event: kind, sink }, `${sink} gets no more of this journal: ${text}; ${todo}`);
    }
    case 'ship-position-failed': {
      const { kind, sink, text } = event;
      return write('error', { event: kind, sink }, `the position of ${sink} is not on disk: ${text}`);
    }
    case 'note': {
      const { kind: _, code, ...keys } = event;
      return write(logCodes[code][0][0], { event: code, ...keys });
    }
    default:
      return event satisfies never;
  }
}

function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
