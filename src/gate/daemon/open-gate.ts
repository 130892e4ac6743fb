// Opens a gate from its settings to its sockets, in phases: watchers, journal, engine, rights, listeners, operators. Each phase registers
// what it opened in `Opened`, which closes the newest first. Signals, systemd and stdout belong to `serve`, so a program or a test can open
// its own gate.

import { bounds } from '../../host/bounds/bounds.js';
import { packaged } from '../../host/machine/packaged.js';
import { programVersion, standardShipDoor, watchOrphans } from '../../host/machine/process.js';
import { readRegularFile, replaceFile } from '../../host/machine/regular-file.js';
import { createConnect } from '../../host/net/dial.js';
import { prepareOffer } from '../../host/net/tls-accept.js';
import { JournalFault, messageOf } from '../../host/ports/faults.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatTime } from '../../host/words/instants.js';
import { isJournalEvent, type OpenJournal } from '../../journal/files/journal.js';
import type { LockRecord } from '../../journal/records/record.js';
import { keptName, type LastChange, lastChangeIn, withChange } from '../../rules/config/kept-files.js';
import { policyListOf } from '../../rules/config/policy-list.js';
import type { Settings } from '../../rules/config/settings.js';
import { adminName, createCertificates, tlsFilesOf } from '../../rules/setup/certificates.js';
import { loadBeside } from '../../rules/setup/configuration-beside.js';
import type { LoadedConfiguration } from '../../rules/setup/inspect.js';
import { namesIn } from '../../rules/setup/peers.js';
import { PassedSockets } from '../../rules/setup/sockets.js';
import type { Act } from '../admin/access.js';
import { createLoginGuard, type LoginGuard } from '../login/logins.js';
import { whyDown } from '../now/problems.js';
import { isEngineEvent, type Observe } from '../outcome/events.js';
import { createService } from '../session/service.js';
import type { Log } from '../telemetry/log.js';
import { watchLoopLag } from '../telemetry/loop-lag.js';
import type { OpenDoor } from './door.js';
import { doorPlace } from './door-server.js';
import { type Adapters, accessRightsOf, createExchangeContext, createLastingParts } from './engine-parts.js';
import { keepLocks } from './kept-locks.js';
import { watchKeys } from './keys.js';
import { KnownUsers } from './known-users.js';
import type { Opened, Own } from './life.js';
import type { Lifecycle } from './lifecycle.js';
import { createListeners, type Listeners } from './listeners.js';
import { followNames, whyNobodyOperates, whyNotShown, withLocks, wordsOfTarget } from './lock-actions.js';
import { createLossLog, openAudit, openRedactor, openSignKey, rebuildLimits } from './open-audit.js';
import { Acknowledged, createAct, DrainedBackends } from './operator.js';
import { createOutages } from './outages.js';
import { Pools } from './pools.js';
import { filesChanged, keepPolicies, Reloader } from './reload.js';
import { faultNow, type Gate, type GateStart, lookAt } from './running.js';
import { SeenPolicies } from './seen-policies.js';
import { createDoors, createServed, Switch, sessionsWithin } from './served.js';
import { type OpenShipDoor, openShipDoor } from './ship-door.js';
import { Shipped } from './shipped.js';

export type Machine = Pick<Own, 'log' | 'clock' | 'native' | 'passed' | 'names' | 'findPeer'>;

export interface JournalEnd {
  code: number;
  /** A thread hangs on a disk that does not answer; an orderly exit of the process would wait for it. */
  isHanging: boolean;
}

export interface OpenGate extends Gate {
  readonly listeners: Listeners;
  readonly act: Act;
}

/** A configuration without problems, and the file that reloads read. */
export interface GateConfiguration extends Pick<LoadedConfiguration, 'kept' | 'last'> {
  readonly settings: Settings;
  readonly file: string;
}

export function hangs(fault: unknown): boolean {
  return fault instanceof JournalFault && fault.code === 'deadline';
}

/** Opens everything, and serves; rejects with the first failure. `end` is written when the journal has closed. */
export async function openGate(
  configuration: GateConfiguration,
  machine: Machine,
  lifecycle: Lifecycle,
  opened: Opened,
  end: JournalEnd,
): Promise<OpenGate> {
  const { settings, kept, file } = configuration;
  const { clock, log, native } = machine;
  const served = new Switch();
  const copy = copyIn(settings);
  const before = await copy.read();
  const files = kept === undefined ? undefined : filesChanged(before, kept);
  const start: GateStart = {
    started: formatTime(clock.wallMs()),
    startedMs: clock.now(),
    files: before === undefined ? undefined : files?.changed,
    before: lastChangeIn(before),
  };
  const sight = await openSight(settings, machine, served, opened);
  const sockets = new PassedSockets(machine.passed, native);
  const trail = await openTrail(configuration, files, machine, served, sight, opened, end);
  const engine = openEngine(settings, machine, sight, trail.journal, opened);
  await keepPolicies(settings, trail.journal);
  await keepPolicyList(settings, trail.journal, log);
  const rights = await openRights(settings, machine, trail.journal, engine, opened);
  const listening = await openListening(settings, machine, sockets, served, sight, engine, rights, opened);
  const phases = { sight, trail, engine, rights, listening };
  const begun = { lifecycle, start, served, copy };
  const operation = openOperation(configuration, machine, begun, phases, opened);
  await (await listening.listeners.prepare(settings.listeners, listening.numbers)).commit();
  await openDoors(settings, machine, operation, phases, opened);
  engine.first.commit();
  lifecycle.become('serving');
  if (kept !== undefined)
    await copy.keep(withChange(kept, before, changeOfStart(start))).catch((fault: unknown) => {
      const why = `a start with a file that has problems will not serve this configuration: ${messageOf(fault)}`;
      log.report({ event: 'configuration-warning', level: 'warn', text: why });
    });
  tellStarted(settings, file, sockets, log);
  // The start leaves garbage. It is collected later, so that nobody who waits for the start waits for that, too.
  const collection = clock.setTimer(collectMs, () => native.releaseMemory());
  opened.add('the collection behind the start', () => collection.cancel());
  return { ...operation.gate, listeners: listening.listeners, act: operation.act };
}

/** The copy of the served files. A start serves it if the files have problems. */
function copyIn({ state }: Pick<Settings, 'state'>) {
  const path = `${state}/${keptName}`;
  return {
    /** Undefined also if it cannot be read: then all files count as changed. */
    read: (): Promise<string | undefined> =>
      readRegularFile(path, bounds.configurationFileBytes).then(String, () => undefined),
    keep: (text: string): Promise<void> => replaceFile(path, text),
  };
}

type Sight = Awaited<ReturnType<typeof openSight>>;

/** Opens the watchers: metrics, the log, the event loop, outages. A watcher never affects what it watches. */
async function openSight(settings: Settings, machine: Machine, served: Switch, opened: Opened) {
  const { clock, log, native, names, findPeer } = machine;
  // Without `admin` nothing is counted or listens, so the module is not loaded; likewise the door of the page.
  const admin = settings.admin && (await import('./endpoints.js'));
  const endpoints = admin?.createEndpoints(
    clock,
    log,
    findPeer,
    names.hasDirectory,
    (name) => served.now.settings.catalog?.added.has(name) === true,
  );
  opened.add('the admin endpoints', () => endpoints?.close());
  const losses = createLossLog(log, clock);
  const loop = watchLoopLag(clock, (lagMs) => {
    endpoints?.metrics.lagged(lagMs);
    if (lagMs < stallMs) return;
    const duration_ms = Math.round(lagMs);
    const text = `nothing was served for ${duration_ms} ms: the machine is overloaded, or the process was stopped`;
    log.report({ event: 'loop-stalled', level: 'warn', text, duration_ms });
    endpoints?.watch.stalled(lagMs);
  });
  opened.add('the watch of the event loop', () => loop.end());
  const outages = createOutages(clock);
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
  return { endpoints, losses, outages, guard, observe };
}

type Trail = Awaited<ReturnType<typeof openTrail>>;

/** Opens the journal and the state of its receivers. */
async function openTrail(
  { settings, last }: GateConfiguration,
  files: ReturnType<typeof filesChanged> | undefined,
  machine: Machine,
  served: Switch,
  { endpoints, losses, outages }: Sight,
  opened: Opened,
  end: JournalEnd,
) {
  const { clock, log, native } = machine;
  const { directory } = settings.audit;
  const shipping = new Shipped({ clock, log, stateDirectory: settings.state });
  shipping.replace(settings);
  await shipping.open(directory);
  opened.add('what was shipped', () => shipping.close());
  const signKey = openSignKey(settings);
  const shipDoors = createShipDoors(machine, served, shipping, signKey.key);
  // Closed after the journal, so that its stop record is reported like any other.
  opened.add('the door of dovegate ship', () => shipDoors.close());
  let freeBytes: number | undefined;
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
      shipping.note();
      shipDoors.nudge();
    },
  );
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
  shipping.start({ id: journal.found.journal, directory, seq: () => journal.seq });
  return { journal, shipping, shipDoors, signKey, freeBytes: () => freeBytes };
}

async function keepPolicyList(settings: Settings, journal: OpenJournal, log: Log): Promise<void> {
  const list = policyListOf(settings);
  await journal.keepPolicy(list.hash, list.text).catch((fault: unknown) => {
    const text = `the list of policies is not kept, so audit policies has no words for this change: ${messageOf(fault)}`;
    log.report({ event: 'configuration-warning', level: 'warn', text });
  });
}

type Engine = ReturnType<typeof openEngine>;

/** Sessions, backends and what exchanges share. Nothing is dialled before `first.commit()`. */
function openEngine(
  settings: Settings,
  { clock, log }: Machine,
  { observe, outages }: Sight,
  journal: OpenJournal,
  opened: Opened,
) {
  const adapters: Adapters = {
    clock,
    connect: createConnect(clock),
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
    // New files may name other authorities for client certificates.
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
  outages.recordIn(journal, {
    whyDown: (name) => {
      // A backend may be found down before the start is complete.
      const fault = faultNow((pools.byName.get(name) ?? first.byName.get(name))?.snapshot().fault);
      return fault && whyDown(fault);
    },
    running: () => service.running(),
  });
  const contextOf = (next: Settings, found: Pools['byName']) =>
    createExchangeContext(next, found, adapters, lasting);
  const exchanges = contextOf(settings, first.byName);
  return { drained, lasting, service, certificates, pools, first, exchanges, contextOf };
}

type Rights = Awaited<ReturnType<typeof openRights>>;

/** Opens users, locks and grants, and counts what recent commands used up of the limits. */
async function openRights(
  settings: Settings,
  { clock, log, names }: Machine,
  journal: OpenJournal,
  { lasting, exchanges }: Engine,
  opened: Opened,
) {
  const users = new KnownUsers({ clock, log, stateDirectory: settings.state, uidOf: names.uidOf });
  opened.add('users of persons', () => users.close());
  const known = await users.prepare(settings);
  known.commit();
  const { persons } = known;
  const { access, limiter } = lasting;
  const { locks } = access;
  const { damage, isGap, journal: id } = journal.found;
  const { damaged, unproven } = journal.found.access;
  const ofNow = { served: { now: { settings, persons, exchanges } }, names };
  const keptLocks = await keepLocks({
    stateDirectory: settings.state,
    log,
    locks,
    journal: id,
    lacking: damaged.flatMap((each) => (each.isDropped ? [each.id] : [])),
    unproven,
    isMissing: journal.missing !== undefined || isGap || damage !== undefined,
    wordsOfTarget: (locked: LockRecord) => wordsOfTarget(ofNow, locked),
  });
  opened.add('locks beside the journal', () => keptLocks.saved());
  const stay = access.turnTo(accessRightsOf(settings, persons, names.hasUser, names.hasDirectory));
  for (const text of [...stay, whyNobodyOperates(settings, locks) ?? []].flat())
    log.report({ event: 'configuration-warning', level: 'warn', text });
  opened.add('access on request', () => access.close());
  await rebuildLimits(settings, journal, limiter, clock, log);
  return { users, persons };
}

type Listening = Awaited<ReturnType<typeof openListening>>;

/** Puts the configuration into service. The listeners have no socket yet. */
async function openListening(
  settings: Settings,
  { clock, log, native, names, findPeer }: Machine,
  sockets: PassedSockets,
  served: Switch,
  { guard }: { readonly guard: LoginGuard },
  { service, certificates, exchanges }: Engine,
  { persons }: Rights,
  opened: Opened,
) {
  const doorsOf = (now: Settings) =>
    createDoors(now.listeners, guard, (listener) => certificates.offerOf(listener));
  const numbers = await names.numbersOf(namesIn(settings));
  served.turnTo(createServed(settings, exchanges, numbers, doorsOf(settings), persons));
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
  return { doorsOf, numbers, keys, listeners };
}

interface Begun {
  readonly lifecycle: Lifecycle;
  readonly start: GateStart;
  readonly served: Switch;
  readonly copy: ReturnType<typeof copyIn>;
}

interface Phases {
  readonly sight: Sight;
  readonly trail: Trail;
  readonly engine: Engine;
  readonly rights: Rights;
  readonly listening: Listening;
}

/** Reloads, and what operators do. */
function openOperation(
  { settings, last, file }: GateConfiguration,
  { clock, log, names }: Machine,
  { lifecycle, start, served, copy }: Begun,
  { sight, trail, engine, rights, listening }: Phases,
  opened: Opened,
) {
  const { journal, shipping } = trail;
  const { service, pools, certificates, lasting, contextOf } = engine;
  const { access } = lasting;
  const { users } = rights;
  const { keys, listeners, doorsOf } = listening;
  const parts = { lifecycle, clock, log, journal, service, pools, served, shipping, certificates, names };
  const reloader = new Reloader({
    ...parts,
    load: () => loadBeside(file, clock, { asksForAccounts: false }),
    keep: copy.keep,
    copyBefore: copy.read,
    listeners,
    doorsOf,
    contextOf,
    access,
    whyNobodyOperates: (next) => whyNobodyOperates(next, access.locks),
    users,
  });
  if (last !== undefined) reloader.keepLast(last);
  /** Opened last, or never. */
  const page: { door?: OpenDoor } = {};
  const gate: Gate = {
    ...parts,
    acknowledged: new Acknowledged(),
    seenPolicies: new SeenPolicies(settings.state, policyListOf(settings).hash),
    outages: sight.outages,
    keys,
    start,
    drained: engine.drained,
    users,
    access,
    reloader,
    freeBytes: trail.freeBytes,
    memoryFile: settings.audit.memoryFile,
    watch: sight.endpoints?.watch,
    page: () => page.door?.told(),
  };
  const act = withLocks(createAct(gate), gate);
  opened.add('the names of who is locked', followNames(gate, clock));
  return { gate, act, page };
}

/** Sockets of operators, of the page and of `ship`. */
async function openDoors(
  { admin, audit }: Settings,
  { clock, log, names, findPeer }: Machine,
  { gate, act, page }: ReturnType<typeof openOperation>,
  { sight: { endpoints }, trail, engine: { certificates, lasting } }: Phases,
  opened: Opened,
): Promise<void> {
  const { journal, shipDoors, signKey } = trail;
  if (admin !== undefined && endpoints !== undefined) {
    const offer = () => certificates.offerOf(adminName);
    await endpoints.open(admin, () => lookAt(gate), act, offer, journal, whyNotShown(gate));
    if (admin.page !== undefined) {
      const { openDoor } = await import('./door.js');
      page.door = await openDoor({
        gate,
        act,
        clock,
        log,
        journal,
        findPeer,
        place: await doorPlace({ setting: 'admin.door', path: admin.door, user: packaged.pageUser }, names),
        watch: endpoints.watch,
        exchanges: endpoints.metrics.exchanges,
        floods: lasting.floods,
        access: lasting.access,
        directory: audit.directory,
        ownKey: signKey.key,
        sign: signKey.sign,
      });
      opened.add('the door of the page', () => page.door?.close());
    }
  }
  await shipDoors.review(journal);
  gate.reloader.follow({
    done() {
      gate.seenPolicies.turnTo(policyListOf(gate.served.now.settings).hash);
      page.door?.review();
      void shipDoors.review(journal);
    },
  });
}

/** Keeps the door of `ship` open as long as there is a receiver. */
function createShipDoors(
  { clock, log, names, findPeer }: Machine,
  served: Switch,
  shipped: Shipped,
  key: string,
) {
  let door: OpenShipDoor | undefined;
  let reviewed: Promise<void> = Promise.resolve();

  async function review(journal: OpenJournal): Promise<void> {
    if (!shipped.isNeeded) {
      const retired = door;
      door = undefined;
      return retired?.retire();
    }
    if (door !== undefined) return door.review();
    const path = served.now.settings.audit.door ?? standardShipDoor;
    const place = await doorPlace({ setting: 'audit.door', path, user: packaged.shipUser }, names);
    const settings = () => served.now.settings;
    door = await openShipDoor({ clock, log, place, findPeer, journal, key, shipped, settings });
  }

  return {
    /** Commands are served even if the door cannot be opened. Never rejects. */
    review(journal: OpenJournal): Promise<void> {
      reviewed = reviewed
        .then(() => review(journal))
        .catch((fault: unknown) => {
          log.report({ event: 'listen-failed', level: 'error', text: messageOf(fault) });
        });
      return reviewed;
    },
    nudge: (): void => door?.nudge(),
    close: (): unknown => door?.close(),
  };
}

/** Undefined if no file had changed before this start. */
function changeOfStart({ started, files }: GateStart): LastChange | undefined {
  if (files === undefined) return { since: started };
  return files.length === 0 ? undefined : { since: started, files: [...files] };
}

function tellStarted({ listeners, hash }: Settings, config: string, sockets: PassedSockets, log: Log): void {
  const text = `dovegate ${programVersion} serves ${listeners.length} listeners`;
  const names = listeners.map(({ name }) => name).join(' ');
  log.report({ event: 'started', level: 'info', text, config, hash, listeners: names });
  for (const name of sockets.unused()) {
    const unused = `no listener takes the socket ${name} of systemd`;
    log.report({ event: 'socket-unused', level: 'warn', text: unused });
  }
}

/** Time from the start to the collection of its garbage, which blocks the main thread for about 40 ms. */
const collectMs = 1000;

const stallMs = 500;
