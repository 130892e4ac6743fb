// Our own log: events of the engine and of the daemon as JSON lines on stdout, `time level event ...`; pretty on a terminal.
// The rules: writing never blocks and never fails the daemon (what cannot be written is dropped and counted); text of clients and
// backends is one JSON string, never a key; no secret comes here.

import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import pretty from 'pino-pretty';
import { harmlessJson, printable } from '../../domain/audit/export.js';
import type { EngineEvent, ExchangeEnded, LoginResult, ShipEvent } from '../../gateway/outcome/events.js';
import type { LogLevel } from '../../gateway/outcome/outcome.js';
import type { LogCode } from './codes.js';

/** What `log.level` may say. */
export type ConfiguredLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace';

/** What the daemon itself reports. `event` is a code that is never renamed. */
export interface DaemonEvent {
  readonly event: LogCode;
  readonly level: LogLevel;
  readonly text: string;
  readonly [key: string]: string | number | boolean | undefined;
}

/** The log of the process. No method waits or throws: what cannot be written is dropped. */
export interface Log {
  /** An observer for the engine. */
  observe(event: EngineEvent): void;
  report(event: DaemonEvent): void;
  /** From which level on lines are written, from now on. */
  setLevel(level: ConfiguredLevel): void;
  /** Lines that could not be written. */
  readonly dropped: number;
  /** Resolves when every line so far was written, or could not be; who ends the process waits for it, but not for ever. */
  flush(): Promise<void>;
}

/** How much may wait for a stdout that is not read. */
const waitingBytesMax = 4 * 1024 * 1024;

/** The log on stdout (file descriptor 1). */
export function createLog(level: ConfiguredLevel, isTerminal: boolean): Log {
  const file = destination({ dest: 1, sync: false, minLength: 0, maxLength: waitingBytesMax });
  let dropped = 0;
  file.on('drop', () => {
    dropped += 1;
  });
  // A closed stdout must not end the daemon; nobody is left who could be told. Behind a broken pipe no line is even tried.
  let isBroken = false;
  file.on('error', () => {
    dropped += 1;
    isBroken = true;
  });
  const stream: DestinationStream = isTerminal
    ? pretty({
        destination: 1,
        messageKey: 'text',
        ignore: 'event',
        messageFormat: '{event}: {text}',
        sync: true,
      })
    : file;
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
  return {
    observe: (event) => logEvent(logger, event),
    report(event) {
      const { text, level: at, ...keys } = event;
      logger[at](keys, text);
    },
    setLevel(next) {
      logger.level = next;
    },
    get dropped() {
      return dropped;
    },
    flush() {
      if (isTerminal || isBroken) return Promise.resolve();
      // A line that libuv's pool is writing just now is in no buffer that could be written from here, and an end of the process
      // would take it along: an empty one behind it tells when it is out.
      return new Promise((resolve) => {
        file.once('drain', resolve);
        file.once('error', () => resolve());
        file.write('');
      });
    },
  };
}

/** Events of which we write the lines ourselves; of all others a LF came from somebody else, who could forge a line with it. */
const ofSeveralLines: ReadonlySet<unknown> = new Set<LogCode>([
  'reload-failed',
  'start-failed',
  'internal-error',
]);

/** A line of the log with what a terminal would obey made visible, before it is made pretty. */
function showOnTerminal(line: string): string {
  const keepsLines = ofSeveralLines.has(Reflect.get(Object(JSON.parse(line)), 'event'));
  const shown: unknown = JSON.parse(line, (key, value: unknown) => {
    if (typeof value !== 'string') return value;
    const lines = keepsLines && key === 'text' ? value.split('\n') : [value];
    return lines.map(printable).join('\n    ');
  });
  return `${JSON.stringify(shown)}\n`;
}

/** The same for a line of JSON: the value stays what it was, for whoever prints the log with `cat` or `journalctl`. */
function harmlessLine(line: string): string {
  return `${harmlessJson(line.trimEnd())}\n`;
}

/** Levels of the log channel in words of our own log. */
const levelOfType = {
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  error: 'error',
  fatal: 'error',
  panic: 'error',
} as const;

/** Codes of the log for exchanges: a refusal has the name of its outcome. */
function codeOf(event: ExchangeEnded): LogCode {
  switch (event.outcome) {
    case 'ok':
      return 'exchange';
    case 'denied':
    case 'unparsable':
    case 'limited':
      return event.outcome;
    case 'failed':
      return event.error === undefined ? 'exchange' : 'exchange-failed';
    case 'unknown':
    case 'timeout':
      return 'exchange-failed';
    case 'aborted':
      return 'exchange-aborted';
    default:
      return event.outcome satisfies never;
  }
}

function logEvent(logger: Logger, event: EngineEvent): void {
  switch (event.kind) {
    case 'backend-log': {
      const { backend, upstream, exchange, type, text } = event;
      logger[levelOfType[type]]({ event: 'backend-log', ...exchange, backend, upstream, type }, text);
      return;
    }
    case 'exchange-ended': {
      const { exchange, backend, upstream, decision, outcome, status, error, bytesOut, level } = event;
      // Most commands go well, and most logs do not show these: nothing is made of them then.
      if (!event.isTold || !logger.isLevelEnabled(level)) return;
      const durationMs = Math.round(event.durationMs * 1000) / 1000;
      const keys = {
        backend,
        upstream,
        decision,
        outcome,
        status,
        error,
        bytes: bytesOut,
        duration_ms: durationMs,
      };
      logger[level]({ event: codeOf(event), ...exchange, ...keys }, event.text);
      return;
    }
    case 'session-opened': {
      const { listener, session, minor } = event;
      logger.debug({ event: 'session-opened', listener, session, minor });
      return;
    }
    case 'session-closed': {
      const { listener, session, reason, exchanges, text } = event;
      const isNormal =
        !event.isTold || reason === 'peer-ended' || reason === 'peer-gone' || reason === 'draining';
      logger[isNormal ? 'debug' : 'warn'](
        { event: 'session-closed', listener, session, reason, exchanges },
        text,
      );
      return;
    }
    case 'session-refused':
      logger.warn(
        { event: 'session-refused', listener: event.listener, principal: event.principal },
        event.text,
      );
      return;
    case 'login': {
      const { listener, result: type, address, account, isTold } = event;
      if (!isTold) return;
      const who = account === undefined ? '' : ` as ${account}`;
      const text = `${whyNoLogin(type)}${who}, from ${address ?? 'an unknown address'}`;
      const more = event.text === undefined ? '' : `: ${event.text}`;
      logger.warn({ event: 'login-failed', listener, address, account, type }, `${text}${more}`);
      return;
    }
    case 'upstream-opened': {
      const { backend, upstream, series, serverMinor, durationMs } = event;
      const duration_ms = Math.round(durationMs * 1000) / 1000;
      logger.info({ event: 'upstream-opened', backend, upstream, series, minor: serverMinor, duration_ms });
      return;
    }
    case 'upstream-closed': {
      const { backend, upstream, reason, exchanges } = event;
      logger.info({ event: 'upstream-closed', backend, upstream, reason, exchanges });
      return;
    }
    case 'dial-failed': {
      // A backend that is away is dialled again and again; that it is away is told once, and when it is back.
      const { backend, code, text, isFirst } = event;
      logger[isFirst ? 'error' : 'debug'](
        { event: 'dial-failed', backend, type: code },
        `backend ${backend}: ${text}`,
      );
      return;
    }
    case 'backend-down': {
      const { backend, code, text } = event;
      logger.error({ event: 'backend-down', backend, type: code }, `backend ${backend} is down: ${text}`);
      return;
    }
    case 'backend-up': {
      const { backend, downMs } = event;
      const duration_ms = Math.round(downMs);
      logger.warn({ event: 'backend-up', backend, duration_ms }, `backend ${backend} is back`);
      return;
    }
    case 'audit-failed':
      logger.error({ event: 'audit-failed' }, event.text);
      return;
    case 'flood': {
      const { action: type, count, principal, listener, address } = event;
      // Many short sessions are how scripts work; they are counted for the journal's sake.
      const level = type === 'session' ? 'debug' : 'warn';
      logger[level](
        { event: 'flood', principal, listener, address, type, count },
        `${count} more in a second`,
      );
      return;
    }
    case 'lookup-failing':
      logger.error(
        { event: 'lookup-failing', type: event.code },
        `the auth service at ${event.socket} does not answer (${event.code}); commands that need it are refused`,
      );
      return;
    case 'lookup-working':
      logger.info({ event: 'lookup-working' }, `the auth service at ${event.socket} answers`);
      return;
    case 'ship-connected':
    case 'ship-away':
    case 'ship-missing':
    case 'ship-damaged':
    case 'ship-restarted':
    case 'ship-position-failed':
      return logShipping(logger, event);
    default:
      return event satisfies never;
  }
}

/** One sentence for each; which of name and password was wrong is not known here, and better so. */
function whyNoLogin(result: LoginResult): string {
  switch (result) {
    case 'ok':
    case 'remembered':
    case 'certificate':
      return 'a login';
    case 'failed':
      return 'wrong name or password';
    case 'crowded':
      return 'too many tries at once: not judged';
    case 'gone':
      return 'a try that nobody waited for: not judged';
    case 'malformed':
      return 'no login that may be said here';
    case 'ambiguous':
      return 'a certificate that fits several accounts, so it proves none';
    case 'tls-failed':
      return 'no TLS';
    default:
      return result satisfies never;
  }
}

/** Writes the line of an event. */
export function logShipping(logger: Logger, event: ShipEvent): void {
  const { kind, sink } = event;
  switch (kind) {
    case 'ship-connected': {
      const text = `records go to ${sink}; ${event.lagRecords} were not sent yet`;
      return logger.info({ event: kind, sink, lag: event.lagRecords }, text);
    }
    case 'ship-away': {
      const keys = { event: kind, sink, type: event.code, lag: event.lagRecords };
      return logger.error(keys, `no records go to ${sink}: ${event.text}`);
    }
    case 'ship-missing': {
      const text = `${sink} will never get the records ${event.from} to ${event.to}: they were removed before, or are damaged`;
      return logger.error({ event: kind, sink, from: event.from, to: event.to }, text);
    }
    case 'ship-damaged':
      return logger.error({ event: kind, sink }, `not sent to ${sink}: ${event.text}`);
    case 'ship-restarted':
      return logger.error({ event: kind, sink }, `${sink} gets the whole journal again: ${event.text}`);
    case 'ship-position-failed':
      return logger.error({ event: kind, sink }, `how far ${sink} was served is not on disk: ${event.text}`);
    default:
      return event satisfies never;
  }
}
