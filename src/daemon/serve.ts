// `dovegate serve`: the daemon from its settings to its end. The only place where implementations meet their ports.
// The states: starting, serving, draining, stopped; nothing leaves draining but stopped, and "started" is never said
// after "stopping".

import { loadConfiguration, summarise } from '../cli/configuration.js';
import type { Settings } from '../config/settings.js';
import type { Observe } from '../engine/ports.js';
import { createService, type ServedListener } from '../frontend/service.js';
import { systemClock } from '../host/clock.js';
import { loadNative } from '../host/native.js';
import { watchOrphans } from '../host/orphans.js';
import { programVersion } from '../host/program.js';
import { holdProcess, onFatalError, onSignal } from '../host/signals.js';
import { createServiceManager, type ServiceManager, takeServiceEnvironment } from '../host/systemd.js';
import { createConnect } from '../net/dial.js';
import { type BoundListener, ListenFault } from '../net/listen.js';
import { createLog, type Log } from '../observe/log.js';
import { exitCodes } from '../terminal/exit-codes.js';
import { stderr } from '../terminal/output.js';
import { createAdminParts } from './admin-parts.js';
import { bindListener } from './bind-listener.js';
import { closeJournal, type End, endBy } from './close-journal.js';
import { createStopRequests, drain } from './drain.js';
import { createExchangeContext, createPools, sessionLimitsOf } from './engine-parts.js';
import { openAudit, openRedactor } from './open-audit.js';
import { openShipping } from './open-shipping.js';
import { createPassedSockets } from './passed-sockets.js';
import { rebuildLimits } from './rebuild-limits.js';

/** What an end takes besides the drain: telling and cutting what did not end, and closing a journal whose disk is slow. */
const endMs = 15_000;

/** Runs until a signal ends it; resolves to the exit code. */
export async function serve(options: { readonly config: string }): Promise<number> {
  const loaded = loadConfiguration(options.config);
  if (loaded.settings === undefined) {
    for (const problem of loaded.problems) stderr(problem);
    stderr(summarise(options.config, loaded));
    return exitCodes.configuration;
  }
  const { settings } = loaded;
  const log = createLog(settings.log.level, process.stdout.isTTY);
  for (const text of loaded.problems) log.report({ event: 'configuration-warning', level: 'warn', text });
  const end = await run(settings, options.config, log).catch((fault: unknown) => {
    const text = fault instanceof Error ? fault.message : String(fault);
    log.report({ event: 'start-failed', level: 'error', text });
    return endBy(fault, exitCodes.configuration);
  });
  log.flush();
  if (end.isHanging) (await loadNative()).leave(end.code);
  return end.code;
}

async function run(settings: Settings, config: string, log: Log): Promise<End> {
  const clock = systemClock;
  // From now on: the first process of a container has no other answer to SIGTERM, and a stop that comes during the start would
  // be lost.
  const stop = createStopRequests();
  const admin = createAdminParts(settings, clock, log);
  const observe: Observe = (event) => {
    log.observe(event);
    admin.observe(event);
  };
  const environment = takeServiceEnvironment(process.env, process.pid);
  const native = await loadNative();
  const manager = createServiceManager(environment, native, clock);
  const sockets = createPassedSockets(environment.sockets, native);
  const orphans = watchOrphans(native, clock);
  const connect = createConnect(clock);
  const shipping = await openShipping(settings, clock, connect, observe);
  const shippedSeq = (): number | undefined => shipping.shippedSeq;
  const journal = await openAudit(settings.audit, native, clock, log, shippedSeq, (event) => {
    admin.observeJournal(event);
    shipping.nudge();
  });
  shipping.start({ id: journal.found.journal, seq: () => journal.seq });
  // Records name policies by the hash of their text; the text must be there before the first of them.
  for (const { version, effectiveText, shadow } of settings.policies.values()) {
    await journal.keepPolicy(version, effectiveText);
    if (shadow !== undefined) await journal.keepPolicy(shadow.version, shadow.effectiveText);
  }
  const redactor = openRedactor(settings.audit);
  const adapters = { clock, connect, journal, observe, redactor };
  const pools = createPools(settings, adapters);
  const exchanges = createExchangeContext(settings, pools, adapters);
  await rebuildLimits(settings, journal, exchanges.limiter, clock, log);
  const sessionLimits = sessionLimitsOf(settings);
  const service = createService();

  const release = holdProcess();
  const fatal = fatalError(log);

  const bound: BoundListener[] = [];
  try {
    for (const listener of settings.listeners) {
      const policy = settings.policies.get(listener.policy);
      if (policy === undefined) throw new Error(`listener ${listener.name}: no policy ${listener.policy}`);
      const served: ServedListener = {
        name: listener.name,
        sessionsMax: listener.sessions,
        context: { exchanges: () => exchanges, policy: () => policy, limits: () => sessionLimits },
      };
      bound.push(await bindListener(listener, served, { service, native, sockets, log }));
    }
    await admin.open({ journal, pools, service, shipping });
    for (const pool of pools.values()) pool.start();
  } catch (fault) {
    await Promise.all(bound.map((listener) => listener.close()));
    const end = await closeJournal(journal, log, exitCodes.configuration);
    await shipping.end();
    if (!(fault instanceof ListenFault)) throw fault;
    log.report({ event: 'listen-failed', level: 'error', text: fault.message });
    return end;
  }
  const listeners = settings.listeners.map((listener) => listener.name).join(' ');
  const text = `dovegate ${programVersion} serves ${bound.length} listeners`;
  log.report({ event: 'started', level: 'info', text, config, hash: settings.hash, listeners });
  for (const name of sockets.unused()) {
    log.report({
      event: 'socket-unused',
      level: 'warn',
      text: `no listener takes the socket ${name} of systemd`,
    });
  }
  const status = `serves ${listeners}, configuration ${settings.hash.slice(0, 16)}`;
  manager.ready(status);
  // A disk that takes no records is nothing that a new process would do better at; a writer that cannot be begun is.
  manager.watch(() => journal.fault?.code !== 'writer-died');

  refuseReload(log, manager, status);
  if ((await Promise.race([stop.first, fatal])) === 'fatal') {
    service.abort();
    exchanges.floods.tell();
    const end = await closeJournal(journal, log, exitCodes.bug);
    await shipping.end();
    return end;
  }
  admin.draining();
  const { drainMs } = settings.limits;
  log.report({ event: 'stopping', level: 'info', text: `at most ${drainMs} ms for what runs` });
  manager.stopping(`finishes what runs, within ${drainMs / 1000} s`, drainMs + endMs);
  await Promise.all(bound.map((listener) => listener.close()));
  await drain(service, [...pools.values()], drainMs, clock, stop.second);
  for (const pool of pools.values()) pool.drain();
  exchanges.floods.tell();
  const end = await closeJournal(journal, log, exitCodes.ok);
  // The stop record goes out like any other.
  await Promise.race([shipping.end(), stop.second]);
  await admin.close();
  manager.close();
  orphans.end();
  release();
  log.report({ event: 'stopped', level: 'info', text: 'all sessions ended' });
  return end;
}

/** SIGHUP is told, and does nothing in this version. */
function refuseReload(log: Log, manager: ServiceManager, status: string): void {
  onSignal(['SIGHUP'], () => {
    const text = 'this version reads its configuration only at start; restart it';
    manager.reloading();
    log.report({ event: 'reload-refused', level: 'warn', text });
    manager.ready(`${status}; reload refused: ${text}`);
  });
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
