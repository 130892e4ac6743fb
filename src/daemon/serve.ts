// `dovegate serve`: the daemon from its settings to its end, in phases: open, serve, drain, close. The only place where implementations
// meet their ports. The rule: what a phase opens it gives to `Opened` at once, so that it is closed whichever phase fails.

import { lookUpNumbers } from '../adapters/host/accounts.js';
import { systemClock } from '../adapters/host/clock.js';
import { createFindPeer } from '../adapters/host/find-peer.js';
import { loadNative } from '../adapters/host/native.js';
import { programVersion } from '../adapters/host/program.js';
import { holdProcess, onSignal, watchOrphans } from '../adapters/host/signals.js';
import { createServiceManager, takeServiceEnvironment } from '../adapters/host/systemd.js';
import { createConnect } from '../adapters/net/dial.js';
import { ListenFault } from '../adapters/net/listen.js';
import { prepareOffer } from '../adapters/net/tls-accept.js';
import { createLog, type Log } from '../adapters/telemetry/log.js';
import { watchLoopLag } from '../adapters/telemetry/loop-lag.js';
import type { Settings } from '../domain/config/settings.js';
import { createLoginGuard } from '../gateway/login/logins.js';
import type { Observe } from '../gateway/outcome/events.js';
import type { Journal } from '../gateway/outcome/journal.js';
import { createService } from '../gateway/session/service.js';
import { JournalFault } from '../ports/faults.js';
import { exitCodes, type Native } from '../ports/machine.js';
import { createCertificates, tlsFilesOf } from '../setup/certificates.js';
import {
  isReading,
  type LoadedConfiguration,
  loadBeside,
  loadConfiguration,
  summarise,
} from '../setup/configuration.js';
import { namesIn } from '../setup/peers.js';
import { createAdminParts } from './admin-parts.js';
import { serveClosed } from './closed.js';
import { createExchangeContext, createLastingParts } from './engine-parts.js';
import {
  createLifecycle,
  createOpened,
  createStopRequests,
  drain,
  type FatalErrors,
  type Opened,
  UncaughtError,
  watchFatalErrors,
} from './lifecycle.js';
import { createListeners, createPassedSockets } from './listeners.js';
import {
  createLossLog,
  openAudit,
  openRedactor,
  openShipping,
  openSignKey,
  rebuildLimits,
} from './open-audit.js';
import { createAct, openDrainedBackends } from './operator.js';
import { createPools } from './pools.js';
import { createReloader, keepPolicies } from './reload.js';
import { createDoors, createServed, createSwitch, sessionsWithin } from './served.js';

/** What an end takes besides the drain: telling and cutting what did not end, and closing a journal whose disk is slow. */
const endMs = 15_000;
/** How long the last lines of the log wait for somebody who reads them. */
const flushMsMax = 1_000;

/** Runs until a signal ends it; resolves to the exit code. */
export async function serve({ config }: { readonly config: string }): Promise<number> {
  const log = createLog('info', process.stdout.isTTY);
  // First of all: an error that nobody caught ends every phase in order.
  const fatal = watchFatalErrors(log);
  const opened = createOpened(log);
  let end: End;
  try {
    const own = await fatal.race(openProcess(log, opened));
    end = await live(loadConfiguration(config), config, { ...own, log, fatal });
  } catch (fault) {
    end = endOf(fault, log);
  }
  const isClosed = await closeWithin(opened, fatal);
  await Promise.race([log.flush(), later(flushMsMax)]);
  // It may have happened within the last close.
  if (fatal.hasHappened) await Promise.race([log.flush(), later(flushMsMax)]);
  const code = fatal.hasHappened ? exitCodes.bug : end.code;
  if (end.isHanging || !isClosed || isReading()) (await loadNative()).leave(code);
  return code;
}

/** What the process has before its configuration is good. */
type Own = Awaited<ReturnType<typeof openProcess>> & { readonly log: Log; readonly fatal: FatalErrors };

async function openProcess(log: Log, opened: Opened) {
  const clock = systemClock;
  // From now on: the first process of a container has no other answer to SIGTERM, and a stop that comes during the start would
  // be lost.
  const stop = createStopRequests();
  // A request to reload that comes during the start must not end the process either.
  let isReloadAsked = false;
  const offSignal = onSignal(['SIGHUP'], () => {
    isReloadAsked = true;
  });
  const takeReloads = (): boolean => {
    offSignal();
    return isReloadAsked;
  };
  opened.add('the process', holdProcess());
  const environment = takeServiceEnvironment(process.env, process.pid);
  const native = await loadNative();
  harden(native, log);
  const manager = createServiceManager(environment, native, clock);
  opened.add('the service manager', () => manager.close());
  const findPeer = createFindPeer(native, clock);
  return { clock, stop, takeReloads, passed: environment.sockets, native, manager, findPeer };
}

/** All phases, and what comes before and after them where systemd has handed sockets over. Rejects with an UncaughtError. */
async function live(first: LoadedConfiguration, config: string, own: Own): Promise<End> {
  const { log, passed, fatal } = own;
  const parts = { ...own, config, stop: own.stop.first };
  if (first.settings === undefined && passed.length === 0) {
    for (const line of [...first.problems, summarise(config, first)]) process.stderr.write(`${line}\n`);
    return endWith(exitCodes.configuration);
  }
  const loaded = first.settings === undefined ? await fatal.race(serveClosed(first, parts)) : first;
  if (loaded?.settings === undefined) return endWith(exitCodes.ok);
  log.setLevel(loaded.settings.log.level);
  for (const text of loaded.problems) log.report({ event: 'configuration-warning', level: 'warn', text });
  const end = await liveWith(loaded.settings, config, own);
  if (end.failedStart === undefined || passed.length === 0) return end;
  // Otherwise clients would wait in the queues of the sockets from one attempt to the next.
  const retry = await fatal.race(serveClosed(loaded, { ...parts, failedStart: end.failedStart }));
  return retry === undefined ? endWith(exitCodes.ok) : end;
}

async function liveWith(settings: Settings, config: string, own: Own): Promise<End> {
  const { log, fatal } = own;
  const opened = createOpened(log);
  const lifecycle = createLifecycle();
  let isDrained = false;
  let end = endWith(exitCodes.ok);
  const onJournalClosed = (now: End): void => {
    end = { ...end, code: end.code === exitCodes.ok ? now.code : end.code, isHanging: now.isHanging };
  };
  try {
    const daemon = await fatal.race(open(settings, config, own, lifecycle, opened, onJournalClosed));
    await fatal.race(serveUntilStopped(daemon, own));
    await fatal.race(drainSessions(daemon, own));
    isDrained = true;
  } catch (fault) {
    end = endOf(fault, log, lifecycle.at !== 'starting');
    if (lifecycle.at === 'starting' && !fatal.hasHappened) end = { ...end, failedStart: textOf(fault) };
  }
  lifecycle.become('stopped');
  if (!(await closeWithin(opened, fatal))) end = { ...end, isHanging: true };
  if (fatal.hasHappened) return { ...end, code: exitCodes.bug };
  if (isDrained) log.report({ event: 'stopped', level: 'info', text: 'all sessions ended' });
  return end;
}

/** After an error that nobody caught, a close may wait for something that never comes. False: it was given up. */
function closeWithin(opened: Opened, fatal: FatalErrors): Promise<boolean> {
  const late = `not within ${endMs / 1000} s after the error`;
  return opened.close(fatal.happened.then(() => later(endMs)).then(() => late));
}

function endOf(fault: unknown, log: Log, hasStarted = false): End {
  if (fault instanceof UncaughtError) return endWith(exitCodes.bug);
  if (hasStarted) {
    log.report({ event: 'internal-error', level: 'error', text: textOf(fault) });
    return endWith(exitCodes.bug);
  }
  const event = fault instanceof ListenFault ? 'listen-failed' : 'start-failed';
  log.report({ event, level: 'error', text: textOf(fault) });
  return endBy(fault, exitCodes.configuration);
}

type Daemon = Awaited<ReturnType<typeof open>>;

/** Opens everything. Rejects with what cannot be opened. */
async function open(
  settings: Settings,
  config: string,
  own: Own,
  lifecycle: ReturnType<typeof createLifecycle>,
  opened: Opened,
  onJournalClosed: (end: End) => void,
) {
  const { clock, stop, native, manager, findPeer, log } = own;
  const admin = createAdminParts(settings, clock, log);
  opened.add('the admin endpoints', () => admin.close());
  const losses = createLossLog(log, clock);
  const observe: Observe = (event) => {
    if (event.kind === 'audit-failed') losses.failed(event.text);
    else log.observe(event);
    admin.observe(event);
  };
  const loop = watchLoopLag(clock, (lagMs) => {
    if (lagMs >= stallMs) reportStall(log, lagMs);
  });
  opened.add('the watch of the event loop', () => loop.end());
  const orphans = watchOrphans(native, clock);
  opened.add('the watch of orphans', () => orphans.end());
  const sockets = createPassedSockets(own.passed, native);
  const connect = createConnect(clock);
  const shipping = await openShipping(settings, clock, connect, observe);
  // After the journal: its stop record goes out like any other.
  opened.add('shipping', () => Promise.race([shipping.end(), stop.second]));
  const shippedSeq = (): number | undefined => shipping.shippedSeq;
  const signKey = openSignKey(settings);
  const journal = await openAudit(
    settings.audit,
    signKey,
    native,
    clock,
    log,
    losses,
    shippedSeq,
    (event) => {
      admin.observeJournal(event);
      shipping.nudge();
    },
  );
  opened.add('the journal', async () => {
    onJournalClosed(await closeJournal(journal, log, exitCodes.ok));
    losses.flush();
  });
  shipping.start({ id: journal.found.journal, seq: () => journal.seq });
  await keepPolicies(settings, journal);
  const redactor = openRedactor(settings.audit);
  const adapters = { clock, connect, journal, observe, redactor };
  const drained = openDrainedBackends(settings.state);
  const lasting = createLastingParts(settings, adapters);
  opened.add('counts of floods', () => lasting.floods.tell());
  const service = createService({ sessionsMax: sessionsWithin(settings, log), clock });
  opened.add('sessions', async () => {
    service.abort();
    // Exchanges that are given up append their completions before the journal closes.
    await clock.nextTurn();
    service.cut();
  });
  const certificates = createCertificates({
    clock,
    prepareOffer,
    report: (event) => log.report({ ...event }),
    // The authorities of clients may be others. It may happen while the start goes on, so the service is there already.
    onReplaced: () => service.reviewRights(),
  });
  opened.add('certificates', () => certificates.close());
  certificates.prepare(tlsFilesOf(settings.listeners), []).commit();
  const pools = createPools(
    adapters,
    (name) => drained.find(name) !== undefined,
    (backend, validTo) => certificates.saw(backend, validTo),
  );
  opened.add('backends', () => {
    for (const pool of pools.byName.values()) pool.drain();
  });
  const first = pools.prepare(settings);
  const exchanges = createExchangeContext(settings, first.byName, adapters, lasting);
  await rebuildLimits(settings, journal, lasting.limiter, clock, log);
  const guard = createLoginGuard(clock);
  const doorsOf = (now: Settings) =>
    createDoors(now.listeners, guard, (listener) => certificates.offerOf(listener));
  const numbers = await lookUpNumbers(namesIn(settings));
  const served = createSwitch(createServed(settings, exchanges, numbers, doorsOf(settings)));
  const listeners = createListeners(
    { clock, native, sockets },
    (name, transport, descriptor, address) => {
      const listener = served.listener(name);
      if (listener === undefined) return transport.close('draining');
      const { peer, describe } = findPeer(name, descriptor, address);
      service.serve(listener, transport, peer, describe);
    },
    (name, text) => log.report({ event: 'accept-failed', level: 'error', listener: name, text }),
  );
  opened.add('listeners', () => listeners.close());
  const running = { clock, log, journal, service, pools };
  const reloader = createReloader({
    ...running,
    load: () => loadBeside(config, clock, { asksForAccounts: false }),
    lifecycle,
    served,
    listeners,
    certificates,
    shipping,
    onReloading: () => manager.reloading(),
    onReloaded: ({ isSuccess }) =>
      manager.ready(`${statusOf(served.now.settings)}${isSuccess ? '' : '; the last reload failed'}`),
    doorsOf,
    contextOf: (next, found) => createExchangeContext(next, found, adapters, lasting),
  });
  const isDrainedByFile = (name: string): boolean =>
    served.now.settings.backends.some((each) => each.name === name && each.drained);
  const act = createAct({ ...running, drained, reloader, isDrainedByFile });
  await (await listeners.prepare(settings.listeners, numbers)).commit();
  await admin.open({
    journal,
    pools,
    service,
    shipping,
    served,
    drained,
    reloader,
    act,
    findPeer,
    certificates,
  });
  first.commit();
  lifecycle.become('serving');
  const names = settings.listeners.map((listener) => listener.name).join(' ');
  const text = `dovegate ${programVersion} serves ${settings.listeners.length} listeners`;
  log.report({ event: 'started', level: 'info', text, config, hash: settings.hash, listeners: names });
  for (const name of sockets.unused()) {
    const unused = `no listener takes the socket ${name} of systemd`;
    log.report({ event: 'socket-unused', level: 'warn', text: unused });
  }
  return { lifecycle, admin, journal, pools, service, served, listeners, act };
}

async function serveUntilStopped({ served, journal, act }: Daemon, own: Own): Promise<void> {
  const { manager, log, stop } = own;
  manager.ready(statusOf(served.now.settings));
  // A restart does not fix a full disk, so the watchdog keeps being fed; a writer thread that cannot start does need a restart.
  manager.watch(() => journal.fault?.code !== 'writer-died');
  const reload = (): void =>
    void act({ kind: 'reload' }, { by: 'SIGHUP' }).catch((fault: unknown) => {
      // No record, no action: nobody could be answered, so it is logged.
      log.report({ event: 'reload-failed', level: 'error', text: `not reloaded: ${textOf(fault)}` });
    });
  onSignal(['SIGHUP'], reload);
  if (own.takeReloads()) reload();
  await stop.first;
}

async function drainSessions(daemon: Daemon, { manager, log, clock, stop }: Own): Promise<void> {
  const { lifecycle, admin, served, service, pools, listeners } = daemon;
  lifecycle.become('draining');
  admin.draining();
  const { drainMs } = served.now.settings.limits;
  log.report({ event: 'stopping', level: 'info', text: `at most ${drainMs} ms for what runs` });
  manager.stopping(`finishes what runs, within ${drainMs / 1000} s`, drainMs + endMs);
  await listeners.close();
  await drain(service, [...pools.byName.values()], drainMs, clock, stop.second);
}

/** What the service manager shows. */
function statusOf({ listeners, hash }: Settings): string {
  return `serves ${listeners.map(({ name }) => name).join(' ')}, configuration ${hash.slice(0, 16)}`;
}

/** A stall that clients notice: every one of them waits as long. */
const stallMs = 500;

function reportStall(log: Log, lagMs: number): void {
  const text = `nothing was served for ${Math.round(lagMs)} ms: the machine is overloaded, or the process was stopped`;
  log.report({ event: 'loop-stalled', level: 'warn', text, duration_ms: Math.round(lagMs) });
}

/** Group and mode of what we make are said where it is made; others never get anything by accident. */
const creationMask = 0o027;

/** Passwords are in our memory: no image of it is written, and nobody but root looks into it. */
function harden(native: Native, log: Log): void {
  process.umask(creationMask);
  try {
    native.forbidCoreDumps();
  } catch (fault) {
    log.report({
      event: 'not-hardened',
      level: 'warn',
      text: `core dumps are not forbidden: ${textOf(fault)}`,
    });
  }
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => {
    systemClock.setTimer(ms, resolve);
  });
}

function textOf(fault: unknown): string {
  return fault instanceof Error ? fault.message : String(fault);
}

/** With what the process ends. */
export interface End {
  readonly code: number;
  /** A thread of ours hangs on a disk that does not answer: an orderly exit of the process would wait for it. */
  readonly isHanging: boolean;
  /** It ended before anybody was served: why. */
  readonly failedStart?: string;
}

/** An end in order, with a code. */
export function endWith(code: number): End {
  return { code, isHanging: false };
}

/** The end after something was thrown that stops us from going on. */
export function endBy(fault: unknown, code: number): End {
  return { code, isHanging: fault instanceof JournalFault && fault.code === 'deadline' };
}

/** Closes the journal; a stop record that cannot be written is told, and makes another exit code of `ok`. Never rejects. */
export async function closeJournal(journal: Journal, log: Log, code: number): Promise<End> {
  try {
    await journal.close();
    return endWith(code);
  } catch (fault) {
    const why = fault instanceof Error ? fault.message : String(fault);
    log.report({ event: 'audit-failed', level: 'error', text: `the journal has no stop record: ${why}` });
    return endBy(fault, code === exitCodes.ok ? exitCodes.failed : code);
  }
}
