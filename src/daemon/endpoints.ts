// The metrics and admin endpoints of the daemon. Counters start with the daemon and are served while a socket is open.

import type { Act, Door, Operator } from '../adapters/admin/access.js';
import { type Admin, type AdminConnection, type AdminDoor, openAdmin } from '../adapters/admin/admin.js';
import { type BackendSnapshot, type DaemonSnapshot, judgeReadiness } from '../adapters/admin/pages.js';
import { readSecretFile } from '../adapters/host/files.js';
import type { FindPeer } from '../adapters/host/find-peer.js';
import { processUsage, programVersion } from '../adapters/host/process.js';
import type { OpenJournal } from '../adapters/journal/journal.js';
import { bindTcp, bindUnix, ListenFault } from '../adapters/net/listen.js';
import { descriptorOf } from '../adapters/net/transport.js';
import type { Log } from '../adapters/telemetry/log.js';
import { createMetrics, type MetricsSnapshot } from '../adapters/telemetry/metrics.js';
import { bounds } from '../bounds/bounds.js';
import { findProblems } from '../domain/admin/now/problems.js';
import { type AdminSettings, type BackendAddress, formatListenerSocket } from '../domain/config/settings.js';
import { reachable } from '../domain/judging/policy/policy.js';
import { commandNames, ownCommands } from '../domain/language/commands/catalog.js';
import { Secret } from '../domain/people/identity/credentials.js';
import { isOfThisMachine } from '../domain/people/identity/peer.js';
import { formatTime } from '../domain/records/audit/record.js';
import { messageOf } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';
import { adminName } from '../setup/certificates.js';
import { acceptWith, type OfferOf } from '../setup/sockets.js';
import { NowWatch } from './now-watch.js';
import type { DrainedBackends } from './operator.js';
import { expiriesNow, gatherFacts, type LookedAt, lookAtPools, type Running, untold } from './running.js';

export type Shown = Omit<DaemonSnapshot, 'version' | 'started' | 'uptimeMs'> &
  Pick<MetricsSnapshot, 'isReloadSuccess' | 'certificates'>;

/** Its parts, each made when it is read first: one that cannot be made takes no other with it. */
export type PartsOf<T> = { readonly [Key in keyof T]: () => T[Key] };

export function lazily<T extends object>(parts: PartsOf<T>): T {
  const made: T = Object.create(null);
  for (const [key, make] of Object.entries<() => unknown>(parts))
    Object.defineProperty(made, key, {
      configurable: true,
      enumerable: true,
      get() {
        const value = make();
        Object.defineProperty(made, key, { value });
        return value;
      },
    });
  return made;
}

/** Starts counting. `isAdded`: whether the configuration has a command of that name besides those of the catalog. */
export function createEndpoints(
  clock: Clock,
  log: Log,
  findPeer: FindPeer,
  isAdded: (name: string) => boolean = () => false,
) {
  const known = new Set([...ownCommands.map(({ name }) => name), ...commandNames()]);
  const startedMs = clock.now();
  const started = formatTime(clock.wallMs());
  let admin: Admin | undefined;
  let flushed = (): Promise<void> => Promise.resolve();
  let showNow = (): PartsOf<Shown> => {
    throw new Error('the admin endpoints were asked before they were opened');
  };
  const metrics = createMetrics({
    version: programVersion,
    runtime: process.version,
    commands: { has: (name) => known.has(name) || isAdded(name) },
    clock,
    usage: processUsage,
    snapshot: () => {
      const parts = showNow();
      const now = lazily<Shown>(parts);
      return lazily<MetricsSnapshot>({
        ...parts,
        isReady: () => judgeReadiness(now).isReady,
        logDropped: () => log.dropped,
        logSuppressed: () => log.suppressed,
      });
    },
    onError: (text) => onError(text),
  });
  const watch = new NowWatch(clock);
  const snapshot = (): DaemonSnapshot =>
    lazily<DaemonSnapshot>({
      version: () => programVersion,
      started: () => started,
      uptimeMs: () => clock.now() - startedMs,
      ...showNow(),
    });
  const onRefused = (address: string): void => {
    const text = `no token, or a wrong one, at admin.tcp, from ${address}`;
    log.report({ event: 'login-failed', level: 'warn', listener: adminName, address, type: 'token', text });
  };
  const onError = (text: string): void => log.report({ event: 'admin-failed', level: 'error', text });

  async function shut(): Promise<void> {
    const open = admin;
    admin = undefined;
    await open?.close();
  }

  return {
    metrics,
    watch,
    started,
    /** Serves on the sockets that the settings name, and closes all others. Rejects with a ListenFault. */
    async open(
      settings: AdminSettings,
      show: () => PartsOf<Shown>,
      act: Act,
      offer: OfferOf,
      journal?: Pick<OpenJournal, 'flushed'>,
    ): Promise<void> {
      await shut();
      showNow = show;
      flushed = journal?.flushed ?? flushed;
      admin = await openAdmin({
        clock,
        snapshot,
        metrics: () => metrics.render(),
        flushed,
        act,
        onError,
        onRefused,
        doors: await doorsOf(settings, offer, onError),
        whoIs: (socket, door) => whoIs(socket, door, findPeer),
      });
    },
    shut,
    async close(): Promise<void> {
      await shut();
      metrics.close();
      watch.end();
    },
  };
}

async function doorsOf(
  { unix, mode, tcp, tls, tokenFile }: AdminSettings,
  offer: OfferOf,
  onError: (text: string) => void,
): Promise<readonly AdminDoor[]> {
  const doors: AdminDoor[] = [];
  if (unix !== undefined) {
    const place = { path: unix, mode, uid: undefined, gid: undefined };
    doors.push({ door: { kind: 'unix' }, bind: (server) => bindUnix(server, place, onError) });
  }
  if (tcp !== undefined) {
    const isRemote = !isOfThisMachine(tcp.host);
    const token = tokenFile === undefined ? undefined : await readToken(tokenFile);
    if (isRemote && (token === undefined || tls === undefined))
      throw new ListenFault(`${tcp.host}: other machines need TLS and a token`);
    const door: Door = { kind: 'tcp', host: tcp.host, isRemote, hasTls: tls !== undefined, token };
    const secure = tls && { secure: acceptWith(offer) };
    doors.push({ door, bind: (server) => bindTcp(server, tcp, onError), ...secure });
  }
  return doors;
}

/** From the kernel on a UNIX socket. Over TCP the token proves an operator, of whom only the address is known. */
async function whoIs(socket: AdminConnection, door: Door, findPeer: FindPeer): Promise<Operator | undefined> {
  if (door.kind === 'tcp') return { by: 'token', address: socket.remoteAddress };
  const { uid, gid, pid, user, loginUid } = await findPeer('admin', descriptorOf(socket)).describe();
  return uid === undefined ? undefined : { by: user ?? String(uid), uid, gid, pid, user, loginUid };
}

async function readToken(path: string): Promise<Secret> {
  try {
    return new Secret(await readSecretFile(path));
  } catch (fault) {
    throw new ListenFault(`the token of the admin endpoints: ${messageOf(fault)}`, fault);
  }
}

/** What is shown of a serving daemon. `looked`: its pools, if they were read before. */
export function partsOfRunning(running: Running, looked?: readonly LookedAt[]): PartsOf<Shown> {
  const { lifecycle, journal, service, shipping, drained } = running;
  const { settings } = running.served.now;
  const { last: reload } = running.reloader;
  let pools = looked;
  const lookOnce = (): readonly LookedAt[] => {
    pools ??= lookAtPools(running);
    return pools;
  };
  return {
    state: () => (lifecycle.at === 'draining' || lifecycle.at === 'stopped' ? 'draining' : 'serving'),
    configHash: () => settings.hash,
    observing: () =>
      [...settings.policies.values()].filter(({ mode }) => mode === 'observe').map(({ name }) => name),
    listeners() {
      const sessions = service.sessionsByListener();
      return settings.listeners.map(({ name, socket, sessions: sessionsMax }) => ({
        name,
        address: formatListenerSocket(socket),
        sessions: sessions.get(name)?.known ?? 0,
        unauthenticated: sessions.get(name)?.unauthenticated ?? 0,
        sessionsMax,
      }));
    },
    found: () => running.watch && findProblems(gatherFacts(running, running.watch, lookOnce())),
    backends: () => lookOnce().map((each) => showBackend(each, drained)),
    routes() {
      const backendNames = settings.backends.map((backend) => backend.name);
      return settings.routes.map((route) => ({
        place: `${route.place.file}:${route.place.line}`,
        backends: reachable([route], backendNames),
      }));
    },
    journal() {
      const { state, fault, lost, space, unsyncedMs, whyNotCrashProof: whyNoMemory } = journal;
      return {
        state,
        space,
        fault: fault && { code: fault.code, text: fault.message },
        lost,
        unsyncedMs,
        freeBytes: running.freeBytes(),
        filling: journal.filling,
        missing: journal.missing,
        memory: whyNoMemory === undefined ? running.memoryFile : undefined,
        whyNoMemory,
      };
    },
    exchanges: () => service.running(),
    access: () => ({
      ...running.access.counts,
      unknown_users: running.users.unknown,
      moved_users: running.users.moved,
      list: () => running.access.all(bounds.accessShown),
    }),
    reload: () => reload && { ...reload, time: formatTime(reload.atMs) },
    isReloadSuccess: () => reload?.isSuccess ?? true,
    sinks: () =>
      shipping.sinks.map(({ state: now, ...sink }) => ({ ...sink, state: now.at, fault: faultOf(now) })),
    certificates: () => expiriesNow(running),
    keys: () => running.keys.shown(),
    page: () => settings.admin?.page && { told: running.page(), untold: untold(running) },
  };
}

export function showRunning(running: Running, looked?: readonly LookedAt[]): Shown {
  return lazily<Shown>(partsOfRunning(running, looked));
}

function faultOf(state: Running['shipping']['sinks'][number]['state']): Shown['sinks'][number]['fault'] {
  if (state.at === 'away') return { code: state.code, text: state.text };
  return state.at === 'forked' ? { code: 'audit-forked', text: state.text } : undefined;
}

function showBackend({ backend, pool, series }: LookedAt, byOperators: DrainedBackends): BackendSnapshot {
  const { name, address, connections } = backend;
  const byOperator = byOperators.find(name);
  const drained = [
    ...(backend.drained ? ['configuration'] : []),
    ...(byOperator === undefined ? [] : [`${byOperator.by}, ${byOperator.since}`]),
  ];
  const { text, health, fault, changedMs, isNewer, hasBeenUp: _, ...counts } = pool;
  const newer = isNewer ? backend.newer : undefined;
  const shown = { name, address: formatAddress(address), series, newer, connections, drained };
  const since = formatTime(changedMs);
  return { ...shown, isUp: text === undefined, health, text, since, code: fault?.code, ...counts };
}

function formatAddress(address: BackendAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}
