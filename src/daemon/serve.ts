// `dovegate serve`: the daemon from its settings to its end. The only place where implementations meet their ports.
// The states: starting, serving, draining, stopped; nothing leaves draining but stopped, and "started" is never said
// after "stopping".

import { loadConfiguration, summarise } from '../cli/configuration.js';
import type { Settings } from '../config/settings.js';
import type { Observe } from '../engine/ports.js';
import { createService, type ServedListener, type Service } from '../frontend/service.js';
import { gidOf, uidOf, userNameOf } from '../host/accounts.js';
import { systemClock } from '../host/clock.js';
import { loadNative } from '../host/native.js';
import { programVersion } from '../host/program.js';
import { holdProcess, onFatalError, onSignal } from '../host/signals.js';
import type { Peer } from '../identity/peer.js';
import { createConnect } from '../net/dial.js';
import { type BoundListener, ListenFault, listenUnix } from '../net/listen.js';
import { createLog, type Log } from '../observe/log.js';
import type { Native } from '../ports/native.js';
import { exitCodes } from '../terminal/exit-codes.js';
import { stderr } from '../terminal/output.js';
import { createAdminParts } from './admin-parts.js';
import { closeJournal, type End, endBy } from './close-journal.js';
import { createStopRequests, drain } from './drain.js';
import { createExchangeContext, createPools, sessionLimitsOf } from './engine-parts.js';
import { openAudit, openRedactor } from './open-audit.js';
import { openShipping } from './open-shipping.js';
import { rebuildLimits } from './rebuild-limits.js';

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
  const admin = createAdminParts(settings, clock, log);
  const observe: Observe = (event) => {
    log.observe(event);
    admin.observe(event);
  };
  const native = await loadNative();
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
      bound.push(await bind(listener, served, service, log, native));
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

  refuseReload(log);
  const stop = createStopRequests();
  if ((await Promise.race([stop.first, fatal])) === 'fatal') {
    service.abort();
    exchanges.floods.tell();
    const end = await closeJournal(journal, log, exitCodes.bug);
    await shipping.end();
    return end;
  }
  admin.draining();
  log.report({
    event: 'stopping',
    level: 'info',
    text: `at most ${settings.limits.drainMs} ms for what runs`,
  });
  await Promise.all(bound.map((listener) => listener.close()));
  await drain(service, [...pools.values()], settings.limits.drainMs, clock, stop.second);
  for (const pool of pools.values()) pool.drain();
  exchanges.floods.tell();
  const end = await closeJournal(journal, log, exitCodes.ok);
  // The stop record goes out like any other.
  await Promise.race([shipping.end(), stop.second]);
  await admin.close();
  release();
  log.report({ event: 'stopped', level: 'info', text: 'all sessions ended' });
  return end;
}

/** What the kernel says of who connected. */
function peerAt(listener: string, descriptor: number | undefined, native: Native): Peer {
  const credentials = descriptor === undefined ? undefined : native.peerCredentials(descriptor);
  if (credentials === undefined) return { listener };
  const user = userNameOf(credentials.uid, systemClock.now());
  return { listener, ...credentials, ...(user === undefined ? {} : { user }) };
}

async function bind(
  listener: Settings['listeners'][number],
  served: ServedListener,
  service: Service,
  log: Log,
  native: Native,
): Promise<BoundListener> {
  const uid = listener.owner === undefined ? undefined : uidOf(listener.owner);
  const gid = listener.group === undefined ? undefined : gidOf(listener.group);
  if (listener.owner !== undefined && uid === undefined) {
    throw new ListenFault(`listener ${listener.name}: the system has no user ${listener.owner}`);
  }
  if (listener.group !== undefined && gid === undefined) {
    throw new ListenFault(`listener ${listener.name}: the system has no group ${listener.group}`);
  }
  const place = { path: listener.unix, mode: listener.mode, uid, gid };
  return listenUnix(
    place,
    systemClock,
    (transport, descriptor) => service.serve(served, transport, peerAt(listener.name, descriptor, native)),
    (text) => log.report({ event: 'accept-failed', level: 'error', listener: listener.name, text }),
  );
}

/** SIGHUP is told, and does nothing in this version. */
function refuseReload(log: Log): void {
  onSignal(['SIGHUP'], () => {
    const text = 'this version reads its configuration only at start; restart it';
    log.report({ event: 'reload-refused', level: 'warn', text });
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
