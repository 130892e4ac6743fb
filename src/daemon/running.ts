// The parts of a serving daemon, and a snapshot of them for the search for problems: numbers, codes and names of the configuration. The
// texts of faults are left out: they may quote a backend.

import { judgeReadiness } from '../adapters/admin/pages.js';
import type { OpenJournal } from '../adapters/journal/journal.js';
import type { Shipping } from '../adapters/shipping/shipping.js';
import {
  errorCodes,
  foundCodes,
  journalCodes,
  lookupCodes,
  meaningIn,
  noticeCodes,
  shipCodes,
} from '../adapters/telemetry/codes.js';
import type { Log } from '../adapters/telemetry/log.js';
import type { DoorPage } from '../domain/admin/door/parse.js';
import type { DownFacts, NowFacts } from '../domain/admin/now/problems.js';
import type { ReceiverNow } from '../domain/admin/page/api.js';
import type { BackendSettings, Settings } from '../domain/config/settings.js';
import { reachable } from '../domain/judging/policy/policy.js';
import type { Series } from '../domain/language/commands/catalog.js';
import { isOfThisMachine } from '../domain/people/identity/peer.js';
import type { AccessDesk } from '../gateway/access/desk.js';
import type { PoolSnapshot } from '../gateway/pool/pool.js';
import type { Service } from '../gateway/session/service.js';
import type { UpstreamFault } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';
import {
  type CertificateExpiry,
  type Certificates,
  pageName,
  pageTlsFilesOf,
  receiverCertificatesOf,
  tlsFilesOf,
} from '../setup/certificates.js';
import type { KeyWatch } from './keys.js';
import type { KnownUsers } from './known-users.js';
import type { Lifecycle } from './lifecycle.js';
import type { NowWatch } from './now-watch.js';
import type { DrainedBackends } from './operator.js';
import type { Pools } from './pools.js';
import type { Reloader } from './reload.js';
import type { Switch } from './served.js';

export interface LookedAt {
  readonly backend: BackendSettings;
  readonly pool: PoolSnapshot;
  readonly series: Series | undefined;
}

export interface PageTold extends DoorPage {
  readonly ageMs: number;
}

export interface Running {
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
  readonly access: AccessDesk;
  readonly users: KnownUsers;
  readonly reloader: Reloader;
  readonly shipping: Shipping;
  readonly certificates: Certificates;
  readonly keys: KeyWatch;
  readonly watch: NowWatch | undefined;
  readonly page: () => PageTold | undefined;
}

export function lookAtPools({ served, pools }: Running): readonly LookedAt[] {
  return served.now.settings.backends.flatMap((backend) => {
    const pool = pools.byName.get(backend.name);
    return pool === undefined ? [] : [{ backend, pool: pool.snapshot(), series: pool.series }];
  });
}

/** The receivers for the page: their texts stay in the log. */
export function receiversOf({ sinks }: Pick<Shipping, 'sinks'>): readonly ReceiverNow[] {
  return sinks.map(({ name, state, lagRecords, safeSeq }) => {
    const text =
      state.at === 'away'
        ? meaningIn(shipCodes, state.code)[0]
        : state.at === 'forked'
          ? meaningIn(foundCodes, 'audit-forked')[0]
          : undefined;
    return { name, state: state.at, ...(text !== undefined && { text }), lagRecords, safeSeq };
  });
}

/** The reasons in `/readyz`; empty: it is ready. */
export function whyNotReady(running: Running): readonly string[] {
  const { state, space, fault } = running.journal;
  const { reasons } = judgeReadiness({
    state: 'serving',
    journal: { state, space, fault: fault && { code: fault.code, text: fault.message } },
    backends: lookAtPools(running).map(({ backend: { name }, pool: { text } }) => ({
      name,
      isUp: text === undefined,
      text,
    })),
    routes: [],
  });
  return reasons.map(({ text }) => text);
}

export function gatherFacts(running: Running, watch: NowWatch, pools: readonly LookedAt[]): NowFacts {
  const { clock, journal, served, service, shipping, keys, reloader } = running;
  const slow = service
    .running()
    .filter(({ clientMs }) => clientMs >= slowMsMin)
    .toSorted((one, other) => other.clientMs - one.clientMs);
  const { settings, exchanges } = served.now;
  const nowMs = clock.wallMs();
  const names = settings.backends.map(({ name }) => name);
  const { last } = reloader;
  return {
    nowMs,
    backends: pools.map((each) => ({
      ...backendFacts(each, settings),
      slowClients: slow.filter(({ backend }) => backend === each.backend.name),
    })),
    routes: settings.routes.map((route) => ({
      place: `${route.place.file}:${route.place.line}`,
      backends: reachable([route], names),
    })),
    journal: {
      failed: journal.state === 'failed' ? meaningIn(journalCodes, journal.fault?.code ?? '') : undefined,
      isDenied: journal.fault?.code === 'no-rights',
      isReserve: journal.space === 'reserve',
      unsyncedMs: journal.unsyncedMs,
      freeBytes: running.freeBytes(),
      lost: journal.lost,
      isDamaged: journal.found.damage !== undefined || journal.found.isGap,
      isAppended: journal.found.appended !== undefined && !journal.found.isGap,
      directory: settings.audit.directory,
      missing: journal.missing,
      filling: fillingOf(journal),
    },
    sinks: shipping.sinks.map(({ name, state, lagRecords }) => ({
      name,
      lagRecords,
      isForked: state.at === 'forked',
      away: state.at === 'away' ? meaningIn(shipCodes, state.code) : undefined,
    })),
    notices: noticeFaults(running),
    untold: untold(running),
    failedReload: last?.isSuccess === false ? { atMs: last.atMs, problems: last.problems } : undefined,
    certificates: expiriesOf(expiriesNow(running), settings),
    keys: keys.shown(),
    lookups: [...exchanges.failingServices].map(([socket, { sinceMs, code }]) => ({
      socket,
      sinceMs,
      why: meaningIn(lookupCodes, code),
    })),
    ...watch.facts(),
  };
}

/** A client that moves no byte for this time is slow. */
export const slowMsMin = 1_000;

function fillingOf({ filling }: Pick<OpenJournal, 'filling'>): NowFacts['journal']['filling'] {
  const { isFilling, youngBytes, bytesMax, largest } = filling;
  return isFilling ? { share: youngBytes / bytesMax, largest } : undefined;
}

function backendFacts({ backend, pool }: LookedAt, { limits }: Settings): NowFacts['backends'][number] {
  const { name, address, connections, passwordFiles, caFile } = backend;
  const { health, fault, waiters, oldestWaitMs, leased, isNewer } = pool;
  const isDrained = health === 'drained';
  return {
    name,
    host: address.kind === 'unix' || isOfThisMachine(address.host) ? undefined : address.host,
    isDrained,
    newer: isNewer ? backend.newer : undefined,
    down: fault === undefined || isDrained ? undefined : downFacts(fault, pool),
    waiting: waiters,
    oldestWaitMs,
    leased,
    connections,
    queue: limits.queue,
    passwordFiles,
    caFile,
  };
}

export function downFacts(
  fault: UpstreamFault,
  { changedMs: sinceMs, hasBeenUp }: Pick<PoolSnapshot, 'changedMs' | 'hasBeenUp'>,
): DownFacts {
  const { code, tlsCause } = fault;
  const why = meaningIn(errorCodes, code);
  return { code, system: systemCode(fault), tlsCause, sinceMs, mayBeLonger: !hasBeenUp, why };
}

function systemCode(fault: Error): string | undefined {
  let cause: unknown = fault;
  for (let depth = 0; depth < 4 && cause instanceof Error; depth += 1) {
    if ('code' in cause && typeof cause.code === 'string' && /^E[A-Z_]{2,20}$/.test(cause.code))
      return cause.code;
    cause = cause.cause;
  }
  return undefined;
}

function noticeFaults({ page, clock }: Running): NowFacts['notices'] {
  const { notices = [], ageMs = 0 } = page() ?? {};
  return notices.flatMap(({ name, fault }) => {
    if (fault === undefined) return [];
    const { code, status, forMs } = fault;
    const sinceMs = Math.round(clock.wallMs() - forMs - ageMs);
    return [{ name, sinceMs, why: meaningIn(noticeCodes, code), status }];
  });
}

/** Receivers that are told nothing, since the page's process is not there: their names in the configuration. */
export function untold({ page, served }: Running): readonly string[] {
  return page() === undefined ? (served.now.settings.notices ?? []).map(({ name }) => name) : [];
}

export function expiriesNow({ certificates, page }: Running): readonly CertificateExpiry[] {
  const told = (page()?.certificates ?? []).flatMap(({ role, leftMs }): CertificateExpiry[] =>
    role === 'listener' || role === 'client-ca' ? [{ role, name: pageName, leftMs }] : [],
  );
  return [...certificates.expiries(), ...told];
}

function expiriesOf(expiries: readonly CertificateExpiry[], settings: Settings): NowFacts['certificates'] {
  const files = [...tlsFilesOf(settings), ...pageTlsFilesOf(settings)];
  const shown = receiverCertificatesOf(settings).map((each) => ({ ...each, clientCa: undefined }));
  return expiries.map(({ role, name, leftMs }) => {
    const isOthers = role === 'backend' || role === 'receiver';
    const known = role === 'receiver-client' ? shown : files;
    const own = isOthers ? undefined : known.find((each) => each.name === name);
    return { role, name, leftMs, file: role === 'client-ca' ? own?.clientCa : own?.certificate };
  });
}
