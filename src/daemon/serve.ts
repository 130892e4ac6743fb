// `dovegate serve`: the daemon from its settings to its end. The only place where implementations meet their ports.
// The states: starting, serving, draining, stopped; nothing leaves draining but stopped, and "started" is never said
// after "stopping".

import { lookUpNumbers } from '../adapters/host/accounts.js';
import { systemClock } from '../adapters/host/clock.js';
import { createFindPeer } from '../adapters/host/find-peer.js';
import { loadNative } from '../adapters/host/native.js';
import { watchOrphans } from '../adapters/host/orphans.js';
import { programVersion } from '../adapters/host/program.js';
import { holdProcess, onFatalError, onSignal } from '../adapters/host/signals.js';
import { createServiceManager, takeServiceEnvironment } from '../adapters/host/systemd.js';
import { createConnect } from '../adapters/net/dial.js';
import { ListenFault } from '../adapters/net/listen.js';
import { prepareOffer } from '../adapters/net/tls-accept.js';
import { createLog, type Log } from '../adapters/telemetry/log.js';
import { watchLoopLag } from '../adapters/telemetry/loop-lag.js';
import { stderr } from '../cli/output/output.js';
import type { Settings } from '../domain/config/settings.js';
import { createLoginGuard } from '../gateway/login/logins.js';
import { exitCodes } from '../gateway/outcome/exit-codes.js';
import type { Observe } from '../gateway/outcome/ports.js';
import { createService } from '../gateway/session/service.js';
import type { Native } from '../ports/native.js';
import { type CertificateEvent, createCertificates } from '../setup/certificates.js';
import {
  type LoadedConfiguration,
  loadBeside,
  loadConfiguration,
  summarise,
} from '../setup/configuration.js';
import { tlsFilesOf } from '../setup/inspect-certificates.js';
import { namesIn } from '../setup/peers.js';
import { createAdminParts } from './admin-parts.js';
import { closeJournal, type End, endBy, endWith } from './close-journal.js';
import { serveClosed } from './closed.js';
import { createStopRequests, drain } from './drain.js';
import { createExchangeContext, createLastingParts } from './engine-parts.js';
import { createLifecycle } from './lifecycle.js';
import { createListeners } from './listeners.js';
import { createLossLog, openAudit, openRedactor } from './open-audit.js';
import { openShipping } from './open-shipping.js';
import { createAct, openDrainedBackends } from './operator.js';
import { createPassedSockets } from './passed-sockets.js';
import { createPools } from './pools.js';
import { rebuildLimits } from './rebuild-limits.js';
import { createReloader } from './reload.js';
import { createDoors, createServed, createSwitch, sessionsWithin } from './served.js';
import { openSignKey } from './sign-key.js';

/** What an end takes besides the drain: telling and cutting what did not end, and closing a journal whose disk is slow. */
const endMs = 15_000;
/** How long the last lines of the log wait for somebody who reads them. */
const flushMsMax = 1_000;

/** Runs until a signal ends it; resolves to the exit code. */
export async function serve(options: { readonly config: string }): Promise<number> {
  const { config } = options;
  const loaded = loadConfiguration(config);
  const log = createLog(loaded.settings?.log.level ?? 'info', process.stdout.isTTY);
  const end = await start(loaded, config, log).catch((fault: unknown) => {
    const text = fault instanceof Error ? fault.message : String(fault);
    log.report({ event: 'start-failed', level: 'error', text });
    return endBy(fault, exitCodes.configuration);
  });
  const late = new Promise<void>((resolve) => {
    systemClock.setTimer(flushMsMax, resolve);
  });
  await Promise.race([log.flush(), late]);
  if (end.isHanging) (await loadNative()).leave(end.code);
  return end.code;
}

/** What the process has before its configuration is good. */
type Process = Awaited<ReturnType<typeof openProcess>>;

async function openProcess(log: Log) {
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
  const environment = takeServiceEnvironment(process.env, process.pid);
  const native = await loadNative();
  harden(native, log);
  const manager = createServiceManager(environment, native, clock);
  const findPeer = createFindPeer(native, clock);
  return { clock, stop, takeReloads, passed: environment.sockets, native, manager, findPeer };
}

/** Rejects with what cannot be made. */
async function start(first: LoadedConfiguration, config: string, log: Log): Promise<End> {
  const own = await openProcess(log);
  if (first.settings === undefined && own.passed.length === 0) {
    for (const problem of first.problems) stderr(problem);
    stderr(summarise(config, first));
    return endWith(exitCodes.configuration);
  }
  const loaded =
    first.settings === undefined
      ? await serveClosed(first, { ...own, config, log, stop: own.stop.first })
      : first;
  if (loaded?.settings === undefined) {
    own.manager.close();
    return endWith(exitCodes.ok);
  }
  log.setLevel(loaded.settings.log.level);
  for (const text of loaded.problems) log.report({ event: 'configuration-warning', level: 'warn', text });
  const end = await run(loaded.settings, config, log, own).catch((fault: unknown): End => {
    const text = fault instanceof Error ? fault.message : String(fault);
    log.report({ event: 'start-failed', level: 'error', text });
    return { ...endBy(fault, exitCodes.configuration), failedStart: text };
  });
  if (end.failedStart === undefined || own.passed.length === 0) return end;
  // Otherwise clients would wait in the queues of the sockets from one attempt to the next.
  const parts = { ...own, config, log, stop: own.stop.first, failedStart: end.failedStart };
  const isRetry = (await serveClosed(loaded, parts)) !== undefined;
  own.manager.close();
  return isRetry ? end : endWith(exitCodes.ok);
}

async function run(settings: Settings, config: string, log: Log, own: Process): Promise<End> {
  const { clock, stop, native, manager, findPeer } = own;
  const admin = createAdminParts(settings, clock, log);
  const losses = createLossLog(log, clock);
  const observe: Observe = (event) => {
    if (event.kind === 'audit-failed') losses.failed(event.text);
    else log.observe(event);
    admin.observe(event);
  };
  const loop = watchLoopLag(clock, (lagMs) => {
    if (lagMs >= stallMs) tellStall(log, lagMs);
  });
  const sockets = createPassedSockets(own.passed, native);
  const orphans = watchOrphans(native, clock);
  const lifecycle = createLifecycle();
  const connect = createConnect(clock);
  const shipping = await openShipping(settings, clock, connect, observe);
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
  shipping.start({ id: journal.found.journal, seq: () => journal.seq });
  // Records name policies by the hash of their text; the text must be there before the first of them.
  for (const { version, effectiveText, shadow } of settings.policies.values()) {
    await journal.keepPolicy(version, effectiveText);
    if (shadow !== undefined) await journal.keepPolicy(shadow.version, shadow.effectiveText);
  }
  const redactor = openRedactor(settings.audit);
  const adapters = { clock, connect, journal, observe, redactor };
  const drained = openDrainedBackends(settings.state);
  const report = (event: CertificateEvent): void => log.report({ ...event });
  const certificates = createCertificates({
    clock,
    prepareOffer,
    report,
    // The authorities of clients may be others.
    onReplaced: () => service.reviewRights(),
  });
  certificates.prepare(tlsFilesOf(settings.listeners), []).commit();
  const pools = createPools(
    adapters,
    (name) => drained.find(name) !== undefined,
    (backend, validTo) => certificates.saw(backend, validTo),
  );
  const lasting = createLastingParts(settings, adapters);
  const first = pools.prepare(settings);
  const exchanges = createExchangeContext(settings, first.byName, adapters, lasting);
  await rebuildLimits(settings, journal, lasting.limiter, clock, log);
  const guard = createLoginGuard(clock);
  const doorsOf = (now: Settings) =>
    createDoors(now.listeners, guard, (listener) => certificates.offerOf(listener));
  const numbers = await lookUpNumbers(namesIn(settings));
  const served = createSwitch(createServed(settings, exchanges, numbers, doorsOf(settings)));
  const service = createService({ sessionsMax: sessionsWithin(settings, log), clock });
  const release = holdProcess();
  const fatal = fatalError(log);

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
  const act = createAct({
    ...running,
    drained,
    reloader,
    isDrainedByFile: (name) =>
      served.now.settings.backends.some((each) => each.name === name && each.drained),
  });
  try {
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
  } catch (fault) {
    await listeners.close();
    const end = await closeJournal(journal, log, exitCodes.configuration);
    losses.flush();
    await shipping.end();
    if (!(fault instanceof ListenFault)) throw fault;
    log.report({ event: 'listen-failed', level: 'error', text: fault.message });
    return { ...end, failedStart: fault.message };
  }
  lifecycle.become('serving');
  const names = settings.listeners.map((listener) => listener.name).join(' ');
  const text = `dovegate ${programVersion} serves ${settings.listeners.length} listeners`;
  log.report({ event: 'started', level: 'info', text, config, hash: settings.hash, listeners: names });
  for (const name of sockets.unused()) {
    log.report({
      event: 'socket-unused',
      level: 'warn',
      text: `no listener takes the socket ${name} of systemd`,
    });
  }
  manager.ready(statusOf(served.now.settings));
  // A disk that takes no records is nothing that a new process would do better at; a writer that cannot be begun is.
  manager.watch(() => journal.fault?.code !== 'writer-died');

  const reload = (): void =>
    void act({ kind: 'reload' }, { by: 'SIGHUP' }).catch((fault: unknown) => tellUndone(log, fault));
  onSignal(['SIGHUP'], reload);
  if (own.takeReloads()) reload();
  if ((await Promise.race([stop.first, fatal])) === 'fatal') {
    lifecycle.become('stopped');
    service.abort();
    lasting.floods.tell();
    const end = await closeJournal(journal, log, exitCodes.bug);
    losses.flush();
    await shipping.end();
    return end;
  }
  lifecycle.become('draining');
  admin.draining();
  const { drainMs } = served.now.settings.limits;
  log.report({ event: 'stopping', level: 'info', text: `at most ${drainMs} ms for what runs` });
  manager.stopping(`finishes what runs, within ${drainMs / 1000} s`, drainMs + endMs);
  await listeners.close();
  await drain(service, [...pools.byName.values()], drainMs, clock, stop.second);
  for (const pool of pools.byName.values()) pool.drain();
  lasting.floods.tell();
  const end = await closeJournal(journal, log, exitCodes.ok);
  losses.flush();
  // The stop record goes out like any other.
  await Promise.race([shipping.end(), stop.second]);
  await admin.close();
  certificates.close();
  manager.close();
  orphans.end();
  loop.end();
  release();
  lifecycle.become('stopped');
  log.report({ event: 'stopped', level: 'info', text: 'all sessions ended' });
  return end;
}

/** What the service manager shows. */
function statusOf({ listeners, hash }: Settings): string {
  return `serves ${listeners.map(({ name }) => name).join(' ')}, configuration ${hash.slice(0, 16)}`;
}

/** A stall that clients notice: every one of them waits as long. */
const stallMs = 500;

function tellStall(log: Log, lagMs: number): void {
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
    const text = `core dumps are not forbidden: ${fault instanceof Error ? fault.message : String(fault)}`;
    log.report({ event: 'not-hardened', level: 'warn', text });
  }
}

/** No record, no action: a signal has nobody who could be answered, so the log is. */
function tellUndone(log: Log, fault: unknown): void {
  const text = fault instanceof Error ? fault.message : String(fault);
  log.report({ event: 'reload-failed', level: 'error', text: `not reloaded: ${text}` });
}

/** Resolves at an error that nobody caught: the process is not in a state to go on. */
function fatalError(log: Log): Promise<'fatal'> {
  return new Promise((resolve) => {
    onFatalError((fault) => {
      const text = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
      log.report({ event: 'internal-error', level: 'error', text });
      resolve('fatal');
    });
  });
}
