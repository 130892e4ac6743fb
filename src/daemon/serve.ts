// `dovegate serve`: the daemon from its settings to its end, and the only place where implementations meet their ports. Each phase gives
// its resources to `Opened` at once, so that they are closed whichever phase fails.

import { ourselves } from '../adapters/host/accounts.js';
import { systemClock } from '../adapters/host/clock.js';
import { loadNative } from '../adapters/host/native.js';
import { packaged } from '../adapters/host/packaged.js';
import {
  nameProcess,
  onSignal,
  programVersion,
  standardShipDoor,
  watchOrphans,
} from '../adapters/host/process.js';
import { readRegularFile, replaceFile } from '../adapters/host/regular-file.js';
import { isJournalEvent } from '../adapters/journal/journal.js';
import { createConnect } from '../adapters/net/dial.js';
import { ListenFault } from '../adapters/net/listen.js';
import { prepareOffer } from '../adapters/net/tls-accept.js';
import { createLog, type Log } from '../adapters/telemetry/log.js';
import { watchLoopLag } from '../adapters/telemetry/loop-lag.js';
import { bounds } from '../bounds/bounds.js';
import { pause } from '../concurrency/waiting.js';
import { whyDown } from '../domain/admin/now/problems.js';
import { whyNotReady } from '../domain/admin/now/running.js';
import { keptName, type LastChange, lastChangeIn, withChange } from '../domain/config/kept-files.js';
import { policyListOf } from '../domain/config/policy-list.js';
import type { Settings } from '../domain/config/settings.js';
import { noHuman } from '../domain/people/identity/human.js';
import { formatTime, type LockRecord } from '../domain/records/audit/record.js';
import { createLoginGuard } from '../gateway/login/logins.js';
import { isEngineEvent, type Observe } from '../gateway/outcome/events.js';
import { createService } from '../gateway/session/service.js';
import { JournalFault, messageOf } from '../ports/faults.js';
import { exitCodes } from '../ports/machine.js';
import { adminName, createCertificates, tlsFilesOf } from '../setup/certificates.js';
import { loadConfiguration } from '../setup/configuration.js';
import { isReading, loadBeside, readingEnded } from '../setup/configuration-beside.js';
import { type LoadedConfiguration, summarise } from '../setup/inspect.js';
import {
  type FatalErrors,
  Opened,
  type Own,
  openProcess,
  UncaughtError,
  watchFatalErrors,
} from '../setup/life.js';
import { namesIn } from '../setup/peers.js';
import { PassedSockets } from '../setup/sockets.js';
import type { Refusal } from './closed.js';
import type { OpenDoor } from './door.js';
import { doorPlace } from './door-server.js';
import { accessRightsOf, createExchangeContext, createLastingParts } from './engine-parts.js';
import { keepLocks } from './kept-locks.js';
import { watchKeys } from './keys.js';
import { KnownUsers } from './known-users.js';
import { drain, Lifecycle } from './lifecycle.js';
import { createListeners } from './listeners.js';
import { followNames, whyNobodyOperates, whyNotShown, withLocks, wordsOfTarget } from './lock-actions.js';
import { createLossLog, openAudit, openRedactor, openSignKey, rebuildLimits } from './open-audit.js';
import { Acknowledged, createAct, DrainedBackends } from './operator.js';
import { createOutages } from './outages.js';
import { Pools } from './pools.js';
import { filesChanged, keepPolicies, Reloader } from './reload.js';
import { faultNow, type Gate, type GateStart, lookAt } from './running.js';
import { createDoors, createServed, Switch, sessionsWithin } from './served.js';
import { type OpenShipDoor, openShipDoor } from './ship-door.js';
import { Shipped } from './shipped.js';

/** Time for the end besides the drain: for telling and cutting remaining sessions, and for a journal with a slow disk. */
const endMs = 15_000;
/** The last lines of the log wait at most this long for a reader of stdout. */
const flushMsMax = 1_000;
const threadMsMax = 1_000;

interface End {
  code: number;
  /** A thread hangs on a disk that does not answer; an orderly exit of the process would wait for it. */
  isHanging: boolean;
  failedStart?: string;
}

export interface ServeOptions {
  readonly config: string;
  /** While the file has problems, what was served last is served. */
  readonly last: boolean;
}

/** Runs until a signal ends it; resolves to the exit code. */
export async function serve({ config, last }: ServeOptions): Promise<number> {
  nameProcess('serve');
  const why = ourselves().isRoot ? (await import('../setup/unit.js')).whyNotAsRoot(config) : undefined;
  if (why !== undefined) {
    process.stderr.write(`${why}\n`);
    return exitCodes.notPermitted;
  }
  const log = await createLog('info', process.stdout.isTTY, systemClock);
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
  // One that has just been ended needs a moment.
  await Promise.race([readingEnded(), pause(systemClock, threadMsMax)]);
  if (end.isHanging || !isClosed || isReading()) (await loadNative()).leave(code);
  return code;
}

/** The file, or what was served last where that has problems. */
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

/** All phases. Without a gate behind them, the clients of systemd's sockets are refused. Rejects with an UncaughtError. */
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
  log.setLevel(settings.log.level);
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

/** Else clients would wait in the queues of the sockets until the next attempt. What it needs is loaded in no daemon that serves. */
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
    const daemon = await fatal.race(open(settings, loaded, config, own, lifecycle, opened, end));
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

/** After an uncaught error, a close may wait forever. False: it was abandoned. */
function closeWithin(opened: Opened, fatal: FatalErrors): Promise<boolean> {
  const late = `not within ${endMs / 1000} s after the error`;
  return opened.close(fatal.happened.then(() => pause(systemClock, endMs)).then(() => late));
}

/** Where this is the unit's process: what it writes and the unit forbids, as the end of a sentence; mostly empty. */
async function whatUnitDenies(config: string, settings: Settings): Promise<string> {
  const { inspectUnit, unitAround } = await import('../setup/unit.js');
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

function hangs(fault: unknown): boolean {
  return fault instanceof JournalFault && fault.code === 'deadline';
}

type Daemon = Awaited<ReturnType<typeof open>>;

/** Opens everything; rejects with the first failure. `end` is called when the journal has closed. */
async function open(
  settings: Settings,
  { kept, last }: LoadedConfiguration,
  config: string,
  own: Own,
  lifecycle: Lifecycle,
  opened: Opened,
  end: End,
) {
  const { clock, native, manager, names, findPeer, log } = own;
  // Without these settings, nothing is counted and nothing listens; and what counts is not loaded, as the door below.
  const admin = settings.admin && (await import('./endpoints.js'));
  const endpoints = admin?.createEndpoints(
    clock,
    log,
    findPeer,
    names.hasDirectory,
    (name) => served.now.settings.catalog?.added.has(name) === true,
  );
  opened.add('the admin endpoints', () => endpoints?.close());
  /** Undefined also if it cannot be read: then all files count as changed. */
  const copyBefore = (): Promise<string | undefined> =>
    readRegularFile(`${settings.state}/${keptName}`, bounds.configurationFileBytes).then(
      String,
      () => undefined,
    );
  const before = await copyBefore();
  const files = kept === undefined ? undefined : filesChanged(before, kept);
  const started = { started: formatTime(clock.wallMs()), startedMs: clock.now() };
  const changed = before === undefined ? undefined : files?.changed;
  const start: GateStart = { ...started, files: changed, before: lastChangeIn(before) };
  const losses = createLossLog(log, clock);
  const loop = watchLoopLag(clock, (lagMs) => {
    if (lagMs < stallMs) return;
    reportStall(log, lagMs);
    endpoints?.watch.stalled(lagMs);
  });
  opened.add('the watch of the event loop', () => loop.end());
  const outages = createOutages(
    clock,
    (name) => {
      // Commands come, and a backend may be found down, before the start is through.
      const fault = faultNow((pools.byName.get(name) ?? first.byName.get(name))?.snapshot().fault);
      return fault && whyDown(fault);
    },
    () => service.running(),
  );
  const guard = createLoginGuard(clock);
  const observe: Observe = (event) => {
    loop.noted();
    if (isEngineEvent(event, 'audit-failed')) losses.failed(event.text);
    else log.observe(event);
    endpoints?.metrics.observe(event);
    endpoints?.watch.observe(event);
    outages.observe(event);
    if (isEngineEvent(event, 'exchange-ended')) guard.keyUses.ran(event.exchange.principal, clock.wallMs());
  };
  const orphans = watchOrphans(native, clock);
  opened.add('the watch of orphans', () => orphans.end());
  const sockets = new PassedSockets(own.passed, native);
  const connect = createConnect(clock);
  const shipping = new Shipped({ clock, log, stateDirectory: settings.state });
  shipping.replace(settings);
  await shipping.open(settings.audit.directory);
  let shipDoor: OpenShipDoor | undefined;
  let shipDoors: Promise<void> = Promise.resolve();
  opened.add('what was shipped', () => shipping.close());
  // After the journal: its stop record is told like any other.
  opened.add('the door of dovegate ship', () => shipDoor?.close());
  let freeBytes: number | undefined;
  const signKey = openSignKey(settings);
  const journal = await openAudit(
    settings,
    files,
    last?.problems[0]?.split('\n', 1).join(''),
    signKey,
    native,
    clock,
    log,
    losses,
    () => shipping.shippedSeq,
    (event) => {
      if (isJournalEvent(event, 'synced')) endpoints?.metrics.recordsSynced(event.records, event.durationMs);
      else if (isJournalEvent(event, 'tended')) ({ freeBytes } = event.tended);
      outages.observeJournal(event);
      shipDoor?.nudge();
    },
  );
  outages.recordIn(journal);
  opened.add('the journal', async () => {
    try {
      end.isHanging = false;
      await journal.close();
    } catch (fault) {
      const text = `the journal has no stop record: ${messageOf(fault)}`;
      log.report({ event: 'audit-failed', level: 'error', text });
      end.code ||= exitCodes.failed;
      end.isHanging = hangs(fault);
    }
    losses.flush();
  });
  opened.add('what outages have cost', () => outages.end());
  const { directory } = settings.audit;
  shipping.start({ id: journal.found.journal, directory, seq: () => journal.seq });
  await keepPolicies(settings, journal);
  const list = policyListOf(settings);
  await journal.keepPolicy(list.hash, list.text).catch((fault: unknown) => {
    const text = `the list of policies is not kept, so audit policies has no words for this change: ${messageOf(fault)}`;
    log.report({ event: 'configuration-warning', level: 'warn', text });
  });
  const adapters = {
    clock,
    connect,
    journal,
    observe,
    redactor: openRedactor(settings.audit, settings.state),
    access: journal.found.access.records,
  };
  const drained = new DrainedBackends(settings.state);
  const lasting = createLastingParts(settings, adapters);
  opened.add('counts of floods', () => lasting.floods.tell());
  const service = createService({
    sessionsMax: sessionsWithin(settings, log),
    clock,
    overdue: lasting.overdue,
  });
  opened.add('sessions', async () => {
    service.abort();
    // Aborted exchanges append their completions before the journal closes.
    await clock.nextTurn();
    service.cut();
  });
  const certificates = createCertificates({
    clock,
    prepareOffer,
    report: (event) => log.report({ ...event }),
    // The authorities of clients may differ. This can happen during the start, so the service exists already.
    onReplaced: () => service.reviewRights(),
  });
  opened.add('certificates', () => certificates.close());
  certificates.prepare(tlsFilesOf(settings), []).commit();
  const pools = new Pools(
    adapters,
    (name) => drained.find(name) !== undefined,
    (backend, validTo) => certificates.saw(backend, validTo),
  );
  opened.add('backends', () => {
    for (const pool of pools.byName.values()) pool.drain();
  });
  const first = pools.prepare(settings);
  const exchanges = createExchangeContext(settings, first.byName, adapters, lasting);
  const users = new KnownUsers({
    clock,
    log,
    stateDirectory: settings.state,
    uidOf: names.uidOf,
  });
  opened.add('users of persons', () => users.close());
  const known = await users.prepare(settings);
  known.commit();
  const { damage, isGap, journal: id } = journal.found;
  const { damaged, unproven } = journal.found.access;
  const lacking = damaged.flatMap((each) => (each.isDropped ? [each.id] : []));
  const lost = {
    journal: id,
    lacking,
    unproven,
    isMissing: journal.missing !== undefined || isGap || damage !== undefined,
  };
  const { locks } = lasting.access;
  const ofNow = { served: { now: { settings, persons: known.persons, exchanges } }, names };
  const ofTarget = (locked: LockRecord) => wordsOfTarget(ofNow, locked);
  const keptLocks = await keepLocks({
    stateDirectory: settings.state,
    log,
    locks,
    ...lost,
    wordsOfTarget: ofTarget,
  });
  opened.add('locks beside the journal', () => keptLocks.saved());
  const rights = accessRightsOf(settings, known.persons, names.hasUser, names.hasDirectory);
  const stay = lasting.access.turnTo(rights);
  for (const text of [...stay, whyNobodyOperates(settings, locks) ?? []].flat())
    log.report({ event: 'configuration-warning', level: 'warn', text });
  opened.add('access on request', () => lasting.access.close());
  await rebuildLimits(settings, journal, lasting.limiter, clock, log);
  const doorsOf = (now: Settings) =>
    createDoors(now.listeners, guard, (listener) => certificates.offerOf(listener));
  const numbers = await names.numbersOf(namesIn(settings));
  const served = new Switch(createServed(settings, exchanges, numbers, doorsOf(settings), known.persons));
  const keys = watchKeys({
    clock,
    report: (event) => log.report(event),
    listeners: () => served.now.settings.listeners,
    uses: guard.keyUses,
  });
  opened.add('the watch of keys', () => keys.end());
  const listeners = createListeners(
    clock,
    native,
    sockets,
    (name, transport, descriptor, address) => {
      const listener = served.listener(name);
      if (listener === undefined) return transport.close('draining');
      const { peer, describe } = findPeer(name, descriptor, address);
      service.serve(listener, transport, peer, describe);
    },
    (name, address) => {
      const listener = served.listener(name);
      return listener && service.turnOf(listener, address);
    },
    (name, text) => log.report({ event: 'accept-failed', level: 'error', listener: name, text }),
  );
  opened.add('listeners', () => listeners.close());
  const parts = {
    lifecycle,
    clock,
    log,
    journal,
    service,
    pools,
    served,
    shipping,
    certificates,
    keys,
    names,
  };
  let door: OpenDoor | undefined;
  const keep = (text: string): Promise<void> => replaceFile(`${settings.state}/${keptName}`, text);
  const reloader = new Reloader({
    ...parts,
    load: () => loadBeside(config, clock, { asksForAccounts: false }),
    keep,
    copyBefore,
    listeners,
    onReloading: () => manager.reloading(),
    onReloaded: (reloaded) => {
      door?.review();
      void openShip();
      manager.ready(statusLine(gate, reloaded));
    },
    doorsOf,
    contextOf: (next, found) => createExchangeContext(next, found, adapters, lasting),
    access: lasting.access,
    whyNobodyOperates: (next) => whyNobodyOperates(next, locks),
    users,
  });
  const { memoryFile } = settings.audit;
  const { watch } = endpoints ?? {};
  const gate: Gate = {
    acknowledged: new Acknowledged(),
    outages,
    ...parts,
    start,
    drained,
    users,
    access: lasting.access,
    reloader,
    freeBytes: () => freeBytes,
    memoryFile,
    watch,
    page: () => door?.told(),
  };
  const act = withLocks(createAct(gate), gate);
  opened.add('the names of who is locked', followNames(gate, clock));
  if (last !== undefined) reloader.keepLast(last);
  await (await listeners.prepare(settings.listeners, numbers)).commit();
  if (settings.admin !== undefined && admin !== undefined && endpoints !== undefined) {
    const offer = () => certificates.offerOf(adminName);
    await endpoints.open(settings.admin, () => lookAt(gate), act, offer, journal, whyNotShown(gate));
    const { page, door: path } = settings.admin;
    if (page !== undefined) {
      const { openDoor } = await import('./door.js');
      const { watch: watched, metrics } = endpoints;
      const { floods } = lasting;
      const signing = { ownKey: signKey.key, sign: signKey.sign };
      const place = await doorPlace({ setting: 'admin.door', path, user: packaged.pageUser }, names);
      const about = { gate, watch: watched, floods, findPeer, act, directory };
      const counted = { exchanges: metrics.exchanges, access: lasting.access };
      door = await openDoor({ clock, log, journal, place, ...counted, ...about, ...signing });
      opened.add('the door of the page', () => door?.close());
    }
  }
  await openShip();
  first.commit();
  lifecycle.become('serving');
  const listening = settings.listeners.map((listener) => listener.name).join(' ');
  if (kept !== undefined)
    await keep(withChange(kept, before, changeOfStart(start))).catch((fault: unknown) => {
      const why = `a start with a file that has problems will not serve this configuration: ${messageOf(fault)}`;
      log.report({ event: 'configuration-warning', level: 'warn', text: why });
    });
  const text = `dovegate ${programVersion} serves ${settings.listeners.length} listeners`;
  log.report({ event: 'started', level: 'info', text, config, hash: settings.hash, listeners: listening });
  for (const name of sockets.unused()) {
    const unused = `no listener takes the socket ${name} of systemd`;
    log.report({ event: 'socket-unused', level: 'warn', text: unused });
  }
  // The start leaves garbage behind. It is collected a little later: whoever waited for the start would wait for that, too.
  const collection = clock.setTimer(collectMs, () => native.releaseMemory());
  opened.add('the collection behind the start', () => collection.cancel());
  return { ...gate, listeners, act };

  /** Its door is there as long as there is a receiver. Where it cannot be, commands are served even so. Never rejects. */
  function openShip(): Promise<void> {
    shipDoors = shipDoors.then(openShipNow).catch((fault: unknown) => {
      log.report({ event: 'listen-failed', level: 'error', text: messageOf(fault) });
    });
    return shipDoors;
  }

  async function openShipNow(): Promise<void> {
    if (!shipping.isNeeded) {
      const retired = shipDoor;
      shipDoor = undefined;
      return retired?.retire();
    }
    if (shipDoor !== undefined) return shipDoor.review();
    const path = served.now.settings.audit.door ?? standardShipDoor;
    const place = await doorPlace({ setting: 'audit.door', path, user: packaged.shipUser }, names);
    const about = { shipped: shipping, settings: () => served.now.settings };
    shipDoor = await openShipDoor({ clock, log, place, findPeer, journal, ...about });
  }
}

async function serveUntilStopped(daemon: Daemon, own: Own): Promise<void> {
  const { journal, reloader, act } = daemon;
  const { manager, log, stop } = own;
  manager.ready(statusLine(daemon));
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

async function drainSessions(daemon: Daemon, { manager, log, clock, stop }: Own): Promise<void> {
  const { lifecycle, served, service, pools, listeners } = daemon;
  lifecycle.become('draining');
  const { drainMs } = served.now.settings.limits;
  log.report({ event: 'stopping', level: 'info', text: `at most ${drainMs} ms for what runs` });
  manager.stopping(`finishes what runs, within ${drainMs / 1000} s`, drainMs + endMs);
  await listeners.close();
  await drain(service, [...pools.byName.values()], drainMs, clock, stop.second);
}

/** The text for the service manager; reasons for not serving come first. */
/** Undefined: it changed nothing. */
function changeOfStart({ started, files }: GateStart): LastChange | undefined {
  if (files === undefined) return { since: started };
  return files.length === 0 ? undefined : { since: started, files: [...files] };
}

function statusLine(gate: Gate, reloaded = gate.reloader.last): string {
  const { listeners, hash } = gate.served.now.settings;
  const reasons = whyNotReady(lookAt(gate))
    .map(({ text }) => text)
    .join('; ');
  const serving = `serves ${listeners.map(({ name }) => name).join(' ')}, configuration ${hash.slice(0, 16)}`;
  const ready = reasons === '' ? '' : `NOT READY: ${reasons}; `;
  if (reloaded?.isSuccess !== false) return `${ready}${serving}`;
  return reloaded.lastMs === undefined
    ? `${ready}${serving}; the last reload failed`
    : `${ready}NOT THE FILE, but what was served before: ${reloaded.problems[0]?.split('\n', 1).join('') ?? ''}; ${serving}`;
}

/** From the start to the collection of its garbage, which holds the main thread for some 40 ms. */
const collectMs = 1000;

const stallMs = 500;

function reportStall(log: Log, lagMs: number): void {
  const text = `nothing was served for ${Math.round(lagMs)} ms: the machine is overloaded, or the process was stopped`;
  log.report({ event: 'loop-stalled', level: 'warn', text, duration_ms: Math.round(lagMs) });
}
