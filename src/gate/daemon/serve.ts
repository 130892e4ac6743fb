// `dovegate serve`: the process around a gate (`open-gate.ts`), from its settings to its exit code: signals, systemd, reloads by SIGHUP,
// the drain, and the close of everything that was opened, whichever phase fails.

import { pause } from '../../host/concurrency/waiting.js';
import { ourselves } from '../../host/machine/accounts.js';
import { systemClock } from '../../host/machine/clock.js';
import { loadNative } from '../../host/machine/native.js';
import { nameProcess, onSignal, readerOfStdout } from '../../host/machine/process.js';
import { ListenFault } from '../../host/net/listen.js';
import { JournalFault, messageOf } from '../../host/ports/faults.js';
import { exitCodes } from '../../host/ports/machine.js';
import type { Settings } from '../../rules/config/settings.js';
import { noHuman } from '../../rules/identity/human.js';
import { loadConfiguration } from '../../rules/setup/configuration.js';
import { isReading, readingEnded } from '../../rules/setup/configuration-beside.js';
import { type LoadedConfiguration, summarise } from '../../rules/setup/inspect.js';
import { whyNotReady } from '../now/running.js';
import { createLog, type Log } from '../telemetry/log.js';
import type { Refusal } from './closed.js';
import { type FatalErrors, Opened, type Own, openProcess, UncaughtError, watchFatalErrors } from './life.js';
import { drain, Lifecycle } from './lifecycle.js';
import { hangs, type JournalEnd, type OpenGate, openGate } from './open-gate.js';
import { lookAt } from './running.js';

/** Time for the end besides the drain: for notifying and cutting remaining sessions, and for a journal with a slow disk. */
const endMs = 15_000;
/** The last lines of the log wait at most this long for a reader of stdout. */
const flushMsMax = 1_000;
const threadMsMax = 1_000;

interface End extends JournalEnd {
  failedStart?: string;
}

export interface ServeOptions {
  readonly config: string;
  /** While the file has problems, the configuration that was served last is served. */
  readonly last: boolean;
}

/** Runs until a signal ends it; resolves to the exit code. */
export async function serve({ config, last }: ServeOptions): Promise<number> {
  nameProcess('serve');
  const why = ourselves().isRoot
    ? (await import('../../rules/setup/unit.js')).whyNotAsRoot(config)
    : undefined;
  if (why !== undefined) {
    process.stderr.write(`${why}\n`);
    return exitCodes.notPermitted;
  }
  const log = createLog('info', readerOfStdout(), systemClock);
  // Before everything else: an uncaught error ends every phase in order.
  const fatal = watchFatalErrors(log);
  const opened = new Opened(log);
  let end: End;
  try {
    const own = await fatal.race(openProcess(log, fatal, opened));
    // Nobody is served yet, so nobody waits for the parser. A thread for it would cost a tenth of the start.
    end = await live(await loadFirst(config, last, log), config, own);
  } catch (fault) {
    end = endOf(fault, log);
  }
  const isClosed = await closeWithin(opened, fatal);
  await Promise.race([log.flush(), pause(systemClock, flushMsMax)]);
  // An error may have happened during the last close.
  if (fatal.hasHappened) await Promise.race([log.flush(), pause(systemClock, flushMsMax)]);
  const code = fatal.hasHappened ? exitCodes.bug : end.code;
  // A reading thread that has just been ended needs a moment.
  await Promise.race([readingEnded(), pause(systemClock, threadMsMax)]);
  if (end.isHanging || !isClosed || isReading()) (await loadNative()).leave(code);
  return code;
}

/** Loads the file, or the configuration that was served last if the file has problems. */
async function loadFirst(config: string, mayBeLast: boolean, log: Log): Promise<LoadedConfiguration> {
  const loaded = loadConfiguration(config);
  if (loaded.settings !== undefined || !mayBeLast) return loaded;
  const last = (await import('./last.js')).loadLast(config, loaded);
  if (last === undefined) return loaded;
  if (typeof last !== 'string') return last;
  const text = `the configuration that was served last is not served in place of the file: ${last}`;
  log.report({ event: 'not-configured', level: 'error', text, config });
  return loaded;
}

/** Runs all phases. Without a gate, the clients of systemd's sockets are refused. Rejects with an UncaughtError. */
async function live(loaded: LoadedConfiguration, config: string, own: Own): Promise<End> {
  const { log, passed } = own;
  const { settings } = loaded;
  if (settings === undefined) {
    for (const line of [...loaded.problems, summarise(config, loaded)]) process.stderr.write(`${line}\n`);
    const end = { code: exitCodes.configuration, isHanging: false };
    if (passed.length === 0) return end;
    const place = firstPlace(config, loaded);
    return refuse(end, own, {
      status: `closed: ${place}`,
      text: `dovegate is not configured: ${place.replace(/^.*\//, '')}`,
    });
  }
  log.configure(settings.log);
  for (const text of loaded.problems) log.report({ event: 'configuration-warning', level: 'warn', text });
  const end = await liveWith(settings, loaded, config, own);
  const { failedStart } = end;
  if (failedStart === undefined || passed.length === 0) return end;
  const text = 'dovegate could not start; its log says why';
  return refuse(end, own, { status: `closed: ${failedStart}`, text });
}

/** `FILE:LINE` of the first error. */
function firstPlace(config: string, { found }: LoadedConfiguration): string {
  const problem = found.find(({ severity }) => severity === 'error');
  return `${problem?.file ?? config}:${problem?.line ?? 1}`;
}

/** Refuses clients, which would otherwise wait until the next start. Loaded on demand: a daemon that serves does not need it. */
async function refuse(end: End, own: Own, refusal: Refusal): Promise<End> {
  const { refuseClients } = await import('./closed.js');
  const over = await own.fatal.race(refuseClients(own, refusal));
  return over === 'stopped' ? { code: exitCodes.ok, isHanging: false } : end;
}

async function liveWith(
  settings: Settings,
  loaded: LoadedConfiguration,
  config: string,
  own: Own,
): Promise<End> {
  const { log, fatal } = own;
  const opened = new Opened(log);
  const lifecycle = new Lifecycle();
  let isDrained = false;
  const end: End = { code: exitCodes.ok, isHanging: false };
  try {
    const configuration = { settings, kept: loaded.kept, last: loaded.last, file: config };
    const daemon = await fatal.race(openGate(configuration, own, lifecycle, opened, end));
    await fatal.race(serveUntilStopped(daemon, own));
    await fatal.race(drainSessions(daemon, own));
    isDrained = true;
  } catch (fault) {
    const hasStarted = lifecycle.at !== 'starting';
    const denied = hasStarted ? '' : await whatUnitDenies(config, settings);
    Object.assign(end, endOf(fault, log, hasStarted, denied));
    if (lifecycle.at === 'starting' && !fatal.hasHappened) end.failedStart = `${messageOf(fault)}${denied}`;
  }
  lifecycle.become('stopped');
  if (!(await closeWithin(opened, fatal))) end.isHanging = true;
  if (fatal.hasHappened) return { ...end, code: exitCodes.bug };
  if (isDrained) log.report({ event: 'stopped', level: 'info', text: 'all sessions ended' });
  return end;
}

/** After an uncaught error, a close may wait forever. Resolves to false if it was abandoned. */
function closeWithin(opened: Opened, fatal: FatalErrors): Promise<boolean> {
  const late = `not within ${endMs / 1000} s after the error`;
  return opened.close(fatal.happened.then(() => pause(systemClock, endMs)).then(() => late));
}

/** If systemd's unit runs this process: the paths that it writes and the unit forbids, as the end of a sentence; mostly empty. */
async function whatUnitDenies(config: string, settings: Settings): Promise<string> {
  const { inspectUnit, unitAround } = await import('../../rules/setup/unit.js');
  const found = inspectUnit(settings, unitAround(config));
  return found.map(({ path, message }) => `; ${path}: ${message}`).join('');
}

function endOf(fault: unknown, log: Log, hasStarted = false, denied = ''): End {
  if (fault instanceof UncaughtError) return { code: exitCodes.bug, isHanging: false };
  if (hasStarted) {
    log.report({ event: 'internal-error', level: 'error', text: messageOf(fault) });
    return { code: exitCodes.bug, isHanging: false };
  }
  const event = fault instanceof ListenFault ? 'listen-failed' : 'start-failed';
  const type = fault instanceof JournalFault ? fault.code : undefined;
  log.report({ event, level: 'error', type, text: `${messageOf(fault)}${denied}` });
  return { code: exitCodes.configuration, isHanging: hangs(fault) };
}

async function serveUntilStopped(daemon: OpenGate, own: Own): Promise<void> {
  const { journal, reloader, act } = daemon;
  const { manager, log, stop } = own;
  manager.ready(statusLine(daemon));
  reloader.follow({
    begun: () => manager.reloading(),
    done: (reloaded) => manager.ready(statusLine(daemon, reloaded)),
  });
  manager.follow(() => statusLine(daemon));
  // A restart does not fix a full disk, so the watchdog keeps being fed; a writer thread that cannot start does need a restart.
  manager.watch(() => journal.fault?.code !== 'writer-died');
  /** The number of reloads that had begun at the last SIGHUP: signals during a reload share the next one. */
  let begunBefore: number | undefined;
  const reload = (): void => {
    if (begunBefore === reloader.begun) return;
    begunBefore = reloader.begun;
    void act({ kind: 'reload' }, { by: 'SIGHUP', human: noHuman }).catch((fault: unknown) => {
      begunBefore = undefined;
      // Without a record there is no action. A signal has no reply, so the log has the reason.
      log.report({ event: 'reload-failed', level: 'error', text: `not reloaded: ${messageOf(fault)}` });
    });
  };
  onSignal(['SIGHUP'], reload);
  if (own.takeReloads()) reload();
  await stop.first;
}

async function drainSessions(daemon: OpenGate, { manager, log, clock, stop }: Own): Promise<void> {
  const { lifecycle, served, service, pools, listeners } = daemon;
  lifecycle.become('draining');
  const { drainMs } = served.now.settings.limits;
  log.report({ event: 'stopping', level: 'info', text: `at most ${drainMs} ms for what runs` });
  manager.stopping(`finishes what runs, within ${drainMs / 1000} s`, drainMs + endMs);
  await listeners.close();
  await drain(service, [...pools.byName.values()], drainMs, clock, stop.second);
}

/** The text for the service manager; reasons for not serving come first. */
function statusLine(gate: OpenGate, reloaded = gate.reloader.last): string {
  const { listeners, hash } = gate.served.now.settings;
  const reasons = whyNotReady(lookAt(gate))
    .map(({ text }) => text)
    .join('; ');
  const serving = `serves ${listeners.map(({ name }) => name).join(' ')}, configuration ${hash.slice(0, 16)}`;
  const ready = reasons === '' ? '' : `NOT READY: ${reasons}; `;
  if (reloaded?.isSuccess !== false) return `${ready}${serving}`;
  return reloaded.lastReadMs === undefined
    ? `${ready}${serving}; the last reload failed`
    : `${ready}NOT THE FILE, but what was served before: ${reloaded.problems[0]?.split('\n', 1).join('') ?? ''}; ${serving}`;
}
