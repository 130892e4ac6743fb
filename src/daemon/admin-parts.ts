// Metrics and admin endpoints of the daemon: what they are fed with, the snapshots that they ask for, their sockets. Without
// settings for it, nothing is counted and nothing listens.

import type { Act, Door, Operator } from '../adapters/admin/access.js';
import {
  type Admin,
  type AdminConnection,
  type AdminDoor,
  type AdminSettings,
  openAdmin,
} from '../adapters/admin/admin.js';
import type { BackendSnapshot, DaemonSnapshot } from '../adapters/admin/snapshot.js';
import { readSecretFile } from '../adapters/host/files.js';
import type { FindPeer } from '../adapters/host/find-peer.js';
import { programVersion } from '../adapters/host/program.js';
import type { JournalEvent, OpenJournal } from '../adapters/journal/journal.js';
import { bindTcp, bindUnix, descriptorOf, ListenFault } from '../adapters/net/listen.js';
import type { Shipping } from '../adapters/shipping/shipping.js';
import type { Log } from '../adapters/telemetry/log.js';
import { createMetrics } from '../adapters/telemetry/metrics.js';
import { formatTime } from '../domain/audit/record.js';
import { allSeries, commandsOf, ownCommands } from '../domain/commands/catalog.js';
import { type BackendAddress, formatListenerSocket, type Settings } from '../domain/config/settings.js';
import { Secret } from '../domain/identity/credentials.js';
import { reachable } from '../domain/policy/route.js';
import type { Observe } from '../gateway/outcome/events.js';
import type { Pool } from '../gateway/pool/pool.js';
import type { Service } from '../gateway/session/service.js';
import type { Clock } from '../ports/machine.js';
import type { Certificates } from '../setup/certificates.js';
import type { Drained, DrainedBackends } from './operator.js';
import type { Pools } from './pools.js';
import type { Reloader } from './reload.js';
import type { Switch } from './served.js';

/** The settings, with those of the admin endpoints if there are any. */
export type WatchedSettings = Settings & { readonly admin?: AdminSettings };

/** What there is to watch, once it is there. */
export interface Watched {
  readonly journal: OpenJournal;
  readonly pools: Pools;
  readonly service: Service;
  readonly served: Switch;
  readonly drained: DrainedBackends;
  readonly reloader: Reloader;
  readonly act: Act;
  readonly findPeer: FindPeer;
  readonly shipping: Shipping;
  readonly certificates: Certificates;
}

/** The daemon's metrics and admin endpoints. */
export interface AdminParts {
  /** An observer for the engine. */
  readonly observe: Observe;
  /** An observer for the journal. */
  readonly observeJournal: (event: JournalEvent) => void;
  /** Serves. Rejects with a ListenFault where a socket cannot be made or the token cannot be read. */
  open(watched: Watched): Promise<void>;
  /** From now on the daemon is told not to be ready. */
  draining(): void;
  /** Ends the endpoints and the timers; also when nothing was opened. */
  close(): Promise<void>;
}

const nothing: AdminParts = {
  observe: () => undefined,
  observeJournal: () => undefined,
  open: () => Promise.resolve(),
  draining: () => undefined,
  close: () => Promise.resolve(),
};

/** The parts for these settings. */
export function createAdminParts({ admin }: WatchedSettings, clock: Clock, log: Log): AdminParts {
  if (admin === undefined) return nothing;
  const known = [...ownCommands, ...allSeries.flatMap(commandsOf)];
  const startedMs = clock.now();
  const started = formatTime(clock.wallMs());
  let endpoints: Admin | undefined;
  let watched: Watched | undefined;
  let state: DaemonSnapshot['state'] = 'serving';
  let freeBytes: number | undefined;

  const metrics = createMetrics({
    version: programVersion,
    runtime: process.version,
    commands: new Set(known.map((command) => command.name)),
    clock,
    snapshot() {
      const { configHash, backends, journal, listeners, sinks } = takeSnapshot();
      return {
        configHash,
        isReloadSuccess: watched?.reloader.last?.isSuccess ?? true,
        sessions: new Map(listeners.map(({ name, sessions }) => [name, sessions])),
        backends,
        journal: { isWritable: journal.state === 'writable', lost: journal.lost, freeBytes },
        shipLag: new Map(sinks.map(({ name, lagRecords }) => [name, lagRecords])),
        certificates: watched?.certificates.expiries() ?? [],
        logDropped: log.dropped,
      };
    },
  });

  function takeSnapshot(): DaemonSnapshot {
    if (watched === undefined) throw new Error('the admin endpoints were asked before they were opened');
    const { journal, pools, service, shipping, served, drained, reloader } = watched;
    const { settings } = served.now;
    const { fault, lost, space } = journal;
    const sessions = service.sessionsByListener();
    const backendNames = settings.backends.map((backend) => backend.name);
    return {
      version: programVersion,
      started,
      uptimeMs: clock.now() - startedMs,
      state,
      configHash: settings.hash,
      listeners: settings.listeners.map(({ name, socket, sessions: sessionsMax }) => ({
        name,
        address: formatListenerSocket(socket),
        sessions: sessions.get(name) ?? 0,
        sessionsMax,
      })),
      backends: settings.backends.flatMap((backend) => {
        const pool = pools.byName.get(backend.name);
        return pool === undefined ? [] : [backendSnapshot(backend, pool, drained.find(backend.name))];
      }),
      routes: settings.routes.map((route) => ({
        place: `${route.place.file}:${route.place.line}`,
        backends: reachable([route], backendNames),
      })),
      journal: {
        state: journal.state,
        space,
        fault: fault === undefined ? undefined : { code: fault.code, text: fault.message },
        lost,
        freeBytes,
      },
      exchanges: service.running(),
      reload: reloader.last && { ...reloader.last, time: formatTime(reloader.last.atMs) },
      sinks: shipping.sinks.map(({ state: now, ...sink }) => ({
        ...sink,
        state: now.at,
        fault: now.at === 'away' ? { code: now.code, text: now.text } : undefined,
      })),
    };
  }

  function backendSnapshot(
    backend: Settings['backends'][number],
    pool: Pool,
    byOperator: Drained | undefined,
  ): BackendSnapshot {
    const { name, address, connections } = backend;
    const drained = [
      ...(backend.drained ? ['configuration'] : []),
      ...(byOperator === undefined ? [] : [`${byOperator.by}, ${byOperator.since}`]),
    ];
    const { text, health, ...counts } = pool.snapshot();
    const shown = { name, address: formatAddress(address), series: pool.series, connections, drained };
    return { ...shown, isUp: text === undefined, health, text, ...counts };
  }

  return {
    observe(event) {
      metrics.observe(event);
    },
    observeJournal(event) {
      if (event.kind === 'synced') metrics.recordsSynced(event.records, event.durationMs);
      else if (event.kind === 'tended') freeBytes = event.tended.freeBytes;
    },
    async open(now) {
      watched = now;
      const sources = {
        clock,
        snapshot: takeSnapshot,
        metrics: () => metrics.render(),
        act: now.act,
        onError: (text: string) => log.report({ event: 'admin-failed', level: 'error', text }),
      };
      endpoints = await openEndpoints(admin, sources, now.findPeer);
    },
    draining() {
      state = 'draining';
    },
    async close() {
      await endpoints?.close();
      metrics.close();
    },
  };
}

type Sources = Omit<Parameters<typeof openAdmin>[0], 'doors' | 'whoIs'>;

/** Serves on the sockets that the settings name. Rejects with a ListenFault. */
export async function openEndpoints(
  settings: AdminSettings,
  sources: Sources,
  findPeer: FindPeer,
): Promise<Admin> {
  const { unix, mode, tcp, tokenFile } = settings;
  const { onError } = sources;
  const doors: AdminDoor[] = [];
  if (unix !== undefined) {
    const place = { path: unix, mode, uid: undefined, gid: undefined };
    doors.push({ door: { kind: 'unix' }, bind: (server) => bindUnix(server, place, onError) });
  }
  if (tcp !== undefined) {
    const token = tokenFile === undefined ? undefined : await readToken(tokenFile);
    doors.push({
      door: { kind: 'tcp', host: tcp.host, token },
      bind: (server) => bindTcp(server, tcp, onError),
    });
  }
  return openAdmin({ ...sources, doors, whoIs: (socket, door) => whoIs(socket, door, findPeer) });
}

/** By the word of the kernel; over TCP the token says that it is an operator, and the address is all that is known. */
async function whoIs(socket: AdminConnection, door: Door, findPeer: FindPeer): Promise<Operator | undefined> {
  if (door.kind === 'tcp') return { by: 'token', address: socket.remoteAddress };
  const { uid, gid, pid, user } = await findPeer('admin', descriptorOf(socket)).describe();
  return uid === undefined ? undefined : { by: user ?? String(uid), uid, gid, pid, user };
}

async function readToken(path: string): Promise<Secret> {
  try {
    return new Secret(await readSecretFile(path));
  } catch (fault) {
    const text = fault instanceof Error ? fault.message : String(fault);
    throw new ListenFault(`the token of the admin endpoints: ${text}`, fault);
  }
}

function formatAddress(address: BackendAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}
