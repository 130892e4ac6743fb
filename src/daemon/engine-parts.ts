// Makes the engine's parts from settings: pools, routes, what exchanges share. It does not know signals or listeners.

import type { Redactor } from '../audit/redact.js';
import { createUlidSource } from '../audit/ulid.js';
import type { DialTarget } from '../backend/greet.js';
import { createPoisonTable, poisonLimits } from '../backend/poison.js';
import { createPool } from '../backend/pool.js';
import type { Pool, PoolLimits } from '../backend/pool-options.js';
import type { BackendSettings, Settings } from '../config/settings.js';
import { createRouter, type Destination } from '../destination/router.js';
import { createUserLock } from '../destination/user-lock.js';
import { createBuffered } from '../engine/buffered.js';
import { createFloodWatch } from '../engine/flood-watch.js';
import type { Connect, Journal, Observe } from '../engine/ports.js';
import { createTurns } from '../engine/turns.js';
import type { ExchangeContext } from '../exchange/exchange-context.js';
import type { SessionLimits } from '../frontend/session.js';
import { randomBytes, randomFraction } from '../host/chance.js';
import { readSecretFile, readText } from '../host/files.js';
import { Secret } from '../identity/secret.js';
import { createUserNames } from '../identity/user-name.js';
import { createLookup, lookupLimits } from '../lookup/lookup.js';
import type { Lookup, LookupLimits } from '../lookup/lookup-options.js';
import { createUserResolver, type UserResolver } from '../lookup/resolve-user.js';
import { createDecisionCache } from '../policy/cache.js';
import { createLimiter } from '../policy/limits.js';
import type { Clock } from '../ports/clock.js';

/** What the adapters give to the engine. */
export interface Adapters {
  readonly clock: Clock;
  readonly connect: Connect;
  readonly journal: Journal;
  readonly observe: Observe;
  readonly redactor: Redactor;
}

/** A status line has a code, or the host of a referral. */
const statusBytesMax = 4096;
/** Real servers send frames of up to 16 KiB; a length of gigabytes is an attack on our memory. */
const frameBytesMax = 16 * 1024 * 1024;
const logLineBytesMax = 16 * 1024;
/** Pauses after failed dials: a backend that is back is found within the longest of them and a dial that hangs (12 s). */
const redialMs = 250;
const redialMaxMs = 6_000;
/** With a dial that fails after `connect_timeout` a fault of a backend that nobody asks shows within 10 s. */
const lookEveryMs = 4_000;
/** Fields of one command line: each costs memory of ours. */
const fieldsMax = 4096;
/** Counters of limits and their members, over all principals. */
const limiterEntriesMax = 100_000;
/** Judgements that are remembered: some 2 KiB each. */
const judgementsMax = 4096;
/** L lines of one exchange that get a record of their own. */
const logRecordsMax = 64;

function targetOf(backend: BackendSettings): DialTarget {
  const { address, caFile } = backend;
  return {
    name: backend.name,
    address,
    tls: backend.tls,
    demand: {
      serverName: backend.serverName,
      ca: caFile === undefined ? undefined : readText(caFile),
      keyPins: backend.keyPins,
      protocols: ['doveadm'],
    },
    username: backend.username,
    passwords: () =>
      Promise.all(backend.passwordFiles.map(async (path) => new Secret(await readSecretFile(path)))),
    // The configuration permits `off` only for UNIX sockets, loopback, and where `allow_plaintext` says so.
    mayAuthenticateInClear: backend.tls === 'off',
    connectTimeoutMs: backend.connectTimeoutMs,
    greetingTimeoutMs: backend.greetingTimeoutMs,
  };
}

/** One pool a backend, by name; none is started. Throws where a certificate file cannot be read. */
export function createPools(settings: Settings, adapters: Adapters): ReadonlyMap<string, Pool> {
  const { connect, clock, observe } = adapters;
  const pools = new Map<string, Pool>();
  for (const backend of settings.backends) {
    const limits: PoolLimits = {
      connections: backend.connections,
      idle: backend.idle,
      queue: settings.limits.queue,
      queueTimeoutMs: settings.limits.queueTimeoutMs,
      idleTimeoutMs: backend.idleTimeoutMs,
      maxLifetimeMs: backend.maxLifetimeMs,
      redialMs,
      redialMaxMs,
      lookEveryMs,
      statusBytesMax,
      frameBytesMax,
      logLineBytesMax,
    };
    const target = targetOf(backend);
    const ports = { connect, clock, observe, chance: randomFraction };
    const pool = createPool({ target, series: backend.series, limits, ...ports });
    pool.setDrained(backend.drained);
    pools.set(backend.name, pool);
  }
  return pools;
}

function destinationsOf(
  settings: Settings,
  pools: ReadonlyMap<string, Pool>,
): ReadonlyMap<string, Destination> {
  const destinations = new Map<string, Destination>();
  for (const { name, sharedNamespaces, address } of settings.backends) {
    const pool = pools.get(name);
    if (pool !== undefined) destinations.set(name, { pool, sharedNamespaces, address });
  }
  return destinations;
}

/** Who asks the userdb, where the settings say so. Its transport closes by itself when nothing is asked. */
function createResolver(settings: Settings, adapters: Adapters): UserResolver | undefined {
  const { mailUsers } = settings;
  const { resolve: path } = mailUsers;
  if (path === undefined) return undefined;
  return createUserResolver(openLookup(path, lookupLimits, adapters), createUserNames(mailUsers));
}

function openLookup(socket: string, limits: LookupLimits, { connect, clock, observe }: Adapters): Lookup {
  return createLookup({
    address: { kind: 'unix', path: socket },
    connect,
    clock,
    limits,
    tell: (failure) =>
      observe(
        failure === undefined
          ? { kind: 'lookup-working', socket }
          : { kind: 'lookup-failing', socket, code: failure },
      ),
  });
}

/** What a passdb did not know is asked again sooner than what it knew. */
const notFoundShare = 6;

/** The auth services that routes ask, each opened when it is first asked. */
function createLookups(adapters: Adapters): (socket: string, cacheTtlMs: number) => Lookup {
  const lookups = new Map<string, Lookup>();
  return (socket, cacheTtlMs) => {
    const key = `${cacheTtlMs} ${socket}`;
    const known = lookups.get(key);
    if (known !== undefined) return known;
    const limits = { foundTtlMs: cacheTtlMs, notFoundTtlMs: Math.ceil(cacheTtlMs / notFoundShare) };
    const made = openLookup(socket, { ...lookupLimits, ...limits }, adapters);
    lookups.set(key, made);
    return made;
  };
}

/** What all exchanges share. */
export function createExchangeContext(
  settings: Settings,
  pools: ReadonlyMap<string, Pool>,
  adapters: Adapters,
): ExchangeContext {
  const { clock, journal, observe } = adapters;
  const nextUlid = createUlidSource();
  const userNames = createUserNames(settings.mailUsers);
  const { replyIdleMs, clientStallMs, deadlineMs, bufferedBytesMax } = settings.limits;
  return {
    clock,
    journal,
    observe,
    newId: () => nextUlid(clock.wallMs(), randomBytes(10)),
    userNames,
    router: createRouter({
      routes: settings.routes,
      serverCommands: settings.serverCommands,
      destinations: destinationsOf(settings, pools),
      lookup: createLookups(adapters),
      userNames,
    }),
    userLock: createUserLock(),
    resolver: createResolver(settings, adapters),
    judgements: createDecisionCache({ entriesMax: judgementsMax }),
    limiter: createLimiter({ entriesMax: limiterEntriesMax }),
    turns: createTurns(),
    floods: createFloodWatch({ clock, journal, observe }),
    poison: createPoisonTable(poisonLimits),
    redact: (value) => adapters.redactor.redact(value),
    meterInput: () => adapters.redactor.meterInput(),
    buffered: createBuffered(bufferedBytesMax),
    strict: settings.audit.strict,
    limits: { replyIdleMs, clientStallMs, deadlineMs, logRecordsMax },
  };
}

/** The part of the settings that sessions are held to; bytes and milliseconds. */
export function sessionLimitsOf(settings: Settings): SessionLimits {
  const { lineBytesMax, handshakeMs, inputBytesMax, inputTimeMs } = settings.limits;
  return { lineBytesMax, fieldsMax, handshakeMs, inputBytesMax, inputTimeMs };
}
