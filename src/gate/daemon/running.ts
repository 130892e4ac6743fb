// The parts of a serving gate, and the one snapshot of it (`gate/now/running`): numbers, codes and names of the configuration. The text of
// a fault may quote a backend, so the meaning of its code stands beside it.

import { bounds } from '../../host/bounds/bounds.js';
import type { NameService } from '../../host/machine/name-service.js';
import { processUsage, programVersion } from '../../host/machine/process.js';
import { journalCodes, type UpstreamFault } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { isOfThisMachine } from '../../host/ports/peer.js';
import { formatHostPort } from '../../host/words/host-port.js';
import type { OpenJournal } from '../../journal/files/journal.js';
import { type BackendSettings, formatListenerSocket } from '../../rules/config/settings.js';
import { reachable } from '../../rules/policy/policy.js';
import {
  type Certificates,
  pageName,
  pageTlsFilesOf,
  receiverCertificatesOf,
  tlsFilesOf,
} from '../../rules/setup/certificates.js';
import type { AccessDesk } from '../access/desk.js';
import type { DoorPage } from '../door/calls.js';
import type { Loaded } from '../now/operator.js';
import {
  type Fault,
  forkedMeans,
  type PageTold,
  type Running,
  type RunningBackend,
  type RunningCertificate,
} from '../now/running.js';
import type { Service } from '../session/service.js';
import { errorCodes, lookupCodes, meaningIn, noticeCodes, shipCodes } from '../telemetry/codes.js';
import type { Log } from '../telemetry/log.js';
import type { KeyWatch } from './keys.js';
import type { KnownUsers } from './known-users.js';
import type { Lifecycle } from './lifecycle.js';
import type { NowWatch } from './now-watch.js';
import type { Acknowledged, DrainedBackends } from './operator.js';
import type { Outages } from './outages.js';
import type { Pools } from './pools.js';
import type { Reloader } from './reload.js';
import type { SeenPolicies } from './seen-policies.js';
import type { Switch } from './served.js';
import type { Shipped } from './shipped.js';

export interface Gate {
  readonly lifecycle: Lifecycle;
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: OpenJournal;
  readonly freeBytes: () => number | undefined;
  /** `audit.memory` as it was at the start. */
  readonly memoryFile: string | undefined;
  readonly pools: Pools;
  readonly service: Service;
  readonly served: Switch;
  readonly drained: DrainedBackends;
  readonly acknowledged: Acknowledged;
  readonly seenPolicies: SeenPolicies;
  readonly outages: Pick<Outages, 'refused' | 'lost' | 'refusedPerSecond' | 'turned'>;
  readonly access: AccessDesk;
  readonly users: KnownUsers;
  readonly names: Pick<NameService, 'uidOf' | 'hasUser' | 'ownersOf' | 'userOf'>;
  readonly reloader: Reloader;
  readonly shipping: Shipped;
  readonly certificates: Certificates;
  readonly keys: KeyWatch;
  /** Undefined without `admin`. */
  readonly watch: NowWatch | undefined;
  readonly start: GateStart;
  readonly page: () => (DoorPage & Pick<PageTold, 'ageMs'>) | undefined;
}

/** `started` is RFC 3339, `startedMs` is on the monotonic clock. */
export interface GateStart {
  /** The files of the configuration that had changed since the run before; undefined if unknown. */
  readonly files?: readonly string[] | undefined;
  /** The last change of the configuration before this start. */
  readonly before?: Loaded['before'];
  readonly started: string;
  readonly startedMs: number;
}

/** Makes each part of a snapshot when it is first read: a part that cannot be made does not affect the others. */
export function lazily<T extends object>(parts: { readonly [Key in keyof T]: () => T[Key] }): T {
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

export function lookAt(gate: Gate): Running {
  const { clock, lifecycle, log, journal, service, shipping, reloader, start } = gate;
  const { settings, exchanges } = gate.served.now;
  const names = settings.backends.map(({ name }) => name);
  let watched: ReturnType<NowWatch['facts']> | undefined;
  const facts = () => (watched ??= gate.watch?.facts());
  return lazily<Running>({
    version: () => programVersion,
    runtime: () => process.version,
    usage: processUsage,
    atMs: () => clock.wallMs(),
    started: () => start.started,
    uptimeMs: () => clock.now() - start.startedMs,
    state: () => (lifecycle.at === 'draining' || lifecycle.at === 'stopped' ? 'draining' : 'serving'),
    configHash: () => settings.hash,
    loaded: () => reloader.loaded ?? { since: start.started, files: start.files, before: start.before },
    observing: () =>
      [...settings.policies.values()].filter(({ mode }) => mode === 'observe').map(({ name }) => name),
    candidates: () =>
      [...settings.policies.values()].flatMap(({ name, shadow }) =>
        shadow === undefined
          ? []
          : [
              {
                policy: name,
                place: `${shadow.place.file}:${shadow.place.line}`,
                differing: gate.watch?.differing(name) ?? 0,
              },
            ],
      ),
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
    backends: () => settings.backends.flatMap((backend) => backendNow(gate, backend)),
    routes: () =>
      settings.routes.map((route) => ({
        place: `${route.place.file}:${route.place.line}`,
        backends: reachable([route], names),
      })),
    journal() {
      const { state, space, fault, seq, lost, unsyncedMs, filling, missing, found } = journal;
      const { whyNotCrashProof: memoryFault } = journal;
      return {
        state,
        space,
        fault: fault && faultOf(journalCodes, fault.code, fault.message),
        directory: settings.audit.directory,
        seq,
        lost,
        unsyncedMs,
        freeBytes: gate.freeBytes(),
        filling,
        missing,
        isDamaged: found.damage !== undefined || found.isGap,
        isAppended: found.appended !== undefined && !found.isGap,
        memory: memoryFault === undefined ? gate.memoryFile : undefined,
        memoryFault,
      };
    },
    access: () => ({
      ...gate.access.counts,
      unknown_users: gate.users.unknown,
      moved_users: gate.users.moved,
      list: () => gate.access.all(bounds.accessShown),
    }),
    locks: () => gate.access.locks.entries.map((lock) => gate.access.locks.shown(lock)),
    sinks: () =>
      shipping.sinks.map(({ fault, ...sink }) => ({
        ...sink,
        fault: fault && {
          ...fault,
          why: sink.state === 'forked' ? forkedMeans : meaningIn(shipCodes, fault.code),
        },
      })),
    ship() {
      if (!shipping.isNeeded) return undefined;
      const { ageMs = 0, notices, problem } = shipping.told ?? {};
      return {
        isConnected: notices !== undefined,
        isAbsent: notices === undefined && shipping.isAbsent,
        ageMs,
        problem,
        names: [...settings.audit.ship, ...(settings.notices ?? [])].map(({ name }) => name),
        notices: (notices ?? []).map(({ fault, ...each }) => ({
          ...each,
          fault: fault && { ...fault, why: meaningIn(noticeCodes, fault.code) },
        })),
      };
    },
    certificates: () => certificatesOf(gate),
    keys: () => gate.keys.shown(),
    exchanges: () => service.running(),
    page: () => settings.admin?.page && { told: gate.page() },
    reload: () => reloader.last,
    lookups: () =>
      [...exchanges.failingServices].map(([socket, { sinceMs, code }]) => ({
        socket,
        sinceMs,
        why: meaningIn(lookupCodes, code),
      })),
    refusedKeys: () => facts()?.refusedKeys ?? [],
    failedLogins: () => facts()?.failedLogins ?? { count: 0, most: undefined },
    stall: () => facts()?.stall,
    policies: () => gate.seenPolicies.now,
    acknowledged: () => (key) => gate.acknowledged.find(key, clock.wallMs()),
    log: () => ({ dropped: log.dropped, suppressed: log.suppressed }),
  });
}

function faultOf(table: Parameters<typeof meaningIn>[0], code: string, text: string): Fault {
  return { code, text, why: meaningIn(table, code) };
}

function backendNow({ pools, drained, outages }: Gate, backend: BackendSettings): RunningBackend[] {
  const { name, address, connections, passwordFiles, caFile } = backend;
  const pool = pools.byName.get(name);
  if (pool === undefined) return [];
  const { isNewer, fault, ...now } = pool.snapshot();
  const by = drained.find(name);
  return [
    {
      ...now,
      name,
      address: formatAddress(address),
      host: address.kind === 'unix' || isOfThisMachine(address.host) ? undefined : address.host,
      newer: isNewer ? backend.newer : undefined,
      fault: faultNow(fault),
      drained: [...(backend.drained ? [{}] : []), ...(by === undefined ? [] : [by])],
      lost: outages.lost(name),
      refused: outages.refused(name).count,
      refusedPerSecond: outages.refusedPerSecond(name),
      connections,
      passwordFiles,
      caFile,
    },
  ];
}

export function faultNow(fault: UpstreamFault | undefined): RunningBackend['fault'] {
  return (
    fault && {
      ...faultOf(errorCodes, fault.code, fault.message),
      system: systemCode(fault),
      tlsCause: fault.tlsCause,
      isSilent: fault.code === 'dial-timeout' && fault.phase !== 'dial',
    }
  );
}

function formatAddress(address: BackendSettings['address']): string {
  return address.kind === 'unix' ? `unix:${address.path}` : formatHostPort(address);
}

function systemCode(fault: UpstreamFault): string | undefined {
  let cause: unknown = fault.cause;
  for (let depth = 0; depth < 3 && cause instanceof Error; depth += 1) {
    if ('code' in cause && typeof cause.code === 'string' && /^E[A-Z_]{2,20}$/.test(cause.code))
      return cause.code;
    cause = cause.cause;
  }
  return undefined;
}

function certificatesOf({ certificates, page, served, shipping }: Gate): RunningCertificate[] {
  const { settings } = served.now;
  const files = [...tlsFilesOf(settings), ...pageTlsFilesOf(settings)];
  const shown = receiverCertificatesOf(settings.audit.ship).map((each) => ({ ...each, clientCa: undefined }));
  const { certificates: ofReceivers = [], ageMs: shipAgeMs = 0 } = shipping.told ?? {};
  // Only receivers of the settings: else the process that ships could add rows without end.
  const known = new Set(settings.audit.ship.map(({ name }) => name));
  const receivers = new Map(
    ofReceivers
      .filter(({ name }) => known.has(name))
      .map((each) => [`${each.role} ${each.name}`, { ...each, leftMs: each.leftMs - shipAgeMs }]),
  );
  const { certificates: ofPage = [], ageMs = 0 } = page() ?? {};
  const told = ofPage.flatMap(({ role, leftMs }) =>
    role === 'listener' || role === 'client-ca'
      ? [{ role, name: pageName, leftMs: leftMs - ageMs } as const]
      : [],
  );
  return [...certificates.expiries(), ...told, ...receivers.values()].map(({ role, name, leftMs }) => {
    const isOthers = role === 'backend' || role === 'receiver';
    const own = isOthers
      ? undefined
      : (role === 'receiver-client' ? shown : files).find((each) => each.name === name);
    return { role, name, leftMs, file: role === 'client-ca' ? own?.clientCa : own?.certificate };
  });
}
