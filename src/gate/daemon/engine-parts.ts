// Builds the engine's parts from the settings: routes, and the parts that exchanges share.

import { GlobList } from '../../doveadm/names/glob.js';
import { createUserNames } from '../../doveadm/names/user-name.js';
import { bounds } from '../../host/bounds/bounds.js';
import { ByteBudget, KeyedSemaphore, TokenBuckets, UserLock } from '../../host/concurrency/limits.js';
import { localUserName } from '../../host/machine/accounts.js';
import { randomBytes } from '../../host/machine/clock.js';
import type { Clock } from '../../host/ports/machine.js';
import { createGate } from '../../host/ports/peer.js';
import type { Connect } from '../../host/ports/transport.js';
import type { Journal } from '../../journal/records/appending.js';
import type { AuditRecord } from '../../journal/records/record.js';
import type { Redactor } from '../../journal/records/redact.js';
import { isSocket, loginsOf, mailboxNamesOf, type Settings } from '../../rules/config/settings.js';
import type { Persons } from '../../rules/identity/person.js';
import { canBeProcess } from '../../rules/identity/principal.js';
import { KeyRing, keyBytes, makeKey, reportTokenPrefix } from '../../rules/keys/key.js';
import { AnswerCache, type Judged, judgedBytes } from '../../rules/policy/judge.js';
import { isRouteTarget } from '../../rules/policy/policy.js';
import { Limiter } from '../../rules/policy/terms.js';
import { AccessDesk, type AccessRights } from '../access/desk.js';
import { createRouter, Destination, type KnownLine, knownLineBytes } from '../command/assessment.js';
import type { ExchangeContext } from '../command/context.js';
import { OverdueCommands } from '../command/overdue.js';
import { Lookup, type LookupLimits, lookupLimits } from '../lookup/lookup.js';
import { createUserResolver } from '../lookup/resolve-user.js';
import type { Observe } from '../outcome/events.js';
import { createFloodWatch } from '../outcome/journal.js';
import type { Pool } from '../pool/pool.js';
import { createUlidSource } from './ulid.js';

export interface Adapters {
  readonly clock: Clock;
  readonly connect: Connect;
  readonly journal: Journal;
  readonly observe: Observe;
  readonly redactor: Redactor;
  readonly access: readonly AuditRecord[];
}

/**
 * Of remembered judgements, and of remembered lines: about 2 KiB each, up to 30 KiB. With `bounds.lookupBytes`, all caches together take at
 * most 32 MiB. The rest is for small ones: logins, words of records.
 */
const cacheBounds = { entriesMax: 4096, bytesMax: 12 * 1024 ** 2 };
/** Questions of one principal (`dovegate can`, `explain`, `requests`), and its steps of access: 20 at once and 60 a minute of each. */
const questionRate = { burst: bounds.questions, refillMs: 1_000, sourcesMax: bounds.questionSources };

function destinationsOf(settings: Settings, pools: ReadonlyMap<string, Pool>): readonly Destination[] {
  return settings.backends.flatMap((backend) => {
    const pool = pools.get(backend.name);
    if (pool === undefined) return [];
    const { address, sharedNamespaces, newer } = backend;
    return [new Destination(pool, address, sharedNamespaces, mailboxNamesOf(backend), newer)];
  });
}

/** Users that a passdb did not find are asked for again sooner than found ones. */
const notFoundShare = 6;

/** An auth service that does not answer: since when, by the wall clock, and the code of its last failure. */
export interface FailingService {
  readonly sinceMs: number;
  readonly code: string;
}

function createLookups(settings: Settings, { connect, clock, observe }: Adapters) {
  const lookups = new Map<string, Lookup>();
  /** By socket. Entries of earlier configurations stay until that service answers or fails again. */
  const failing = new Map<string, FailingService>();
  // One lookup for each passdb of the routes, and one for user names; they share the memory for answers.
  const passdbs = settings.routes.flatMap(({ target }) =>
    isRouteTarget(target, 'passdb') ? [`${target.cacheTtlMs} ${target.socket}`] : [],
  );
  const rememberedBytesMax = Math.floor(bounds.lookupBytes / (new Set(passdbs).size + 1));
  return {
    of(socket: string, limits: LookupLimits): Lookup {
      const key = `${limits.foundTtlMs} ${limits.notFoundTtlMs} ${socket}`;
      const known = lookups.get(key);
      if (known !== undefined) return known;
      const made = new Lookup({
        address: { kind: 'unix', path: socket },
        connect,
        clock,
        limits: { ...limits, rememberedBytesMax },
        tell: (code) => {
          const before = failing.get(socket);
          if (code === before?.code) return;
          if (code === undefined) failing.delete(socket);
          else failing.set(socket, { sinceMs: before?.sinceMs ?? clock.wallMs(), code });
          const service = `the auth service at ${socket}`;
          if (code === undefined)
            return observe({ kind: 'lookup-working', level: 'info', text: `${service} answers` });
          const text = `${service} does not answer (${code}); commands that need it are refused`;
          observe({ kind: 'lookup-failing', level: 'error', text, type: code });
        },
      });
      lookups.set(key, made);
      return made;
    },
    failing,
    /** Another configuration is in force: no transport stays open for later questions. */
    retire(): void {
      for (const lookup of lookups.values()) lookup.retire();
    },
  };
}

/** Parts that all exchanges share across configurations: a reload neither resets a count nor frees a place. */
export type LastingParts = ReturnType<typeof createLastingParts>;

/** A reload does not change `bufferedBytesMax`. */
export function createLastingParts(settings: Settings, adapters: Adapters) {
  const { clock, journal, observe } = adapters;
  const nextUlid = createUlidSource();
  const newId = (): string => nextUlid(clock.wallMs(), randomBytes(10));
  return {
    newId,
    limiter: new Limiter(bounds.limiterEntries),
    candidateLimiter: new Limiter(bounds.candidateLimiterEntries),
    turns: new KeyedSemaphore(),
    overdue: new OverdueCommands(clock, (text) => adapters.redactor.redact(text).hmac),
    floods: createFloodWatch({ clock, journal, observe }),
    questions: new TokenBuckets(questionRate),
    steps: new TokenBuckets(questionRate),
    access: new AccessDesk(
      {
        clock,
        journal,
        newId,
        digest: (text) => adapters.redactor.redact(text).hmac,
        newToken: () => makeKey(randomBytes(keyBytes), reportTokenPrefix),
      },
      adapters.access,
    ),
    userLock: new UserLock(),
    buffered: new ByteBudget(settings.limits.bufferedBytesMax),
  };
}

/** What access on request needs of a configuration. `isUser`: whether this machine has that user; undefined if unknown. */
export function accessRightsOf(
  { policies, listeners, admin }: Settings,
  persons: Persons,
  isUser: (name: string) => Promise<boolean | undefined>,
  hasDirectory: () => boolean = () => false,
): AccessRights {
  const reportKeys = new Map(
    listeners.map(({ name, keys, from }) => [
      name,
      {
        ring: new KeyRing(keys.filter(({ ownerReports }) => ownerReports === true)),
        mayConnect: createGate(from),
      },
    ]),
  );
  return {
    persons,
    hasDirectory,
    policies,
    approvesOnPage: (name, users) => {
      const person = admin?.page?.people.find((each) => each.name === name);
      // All members of a group share its entry, so it does not name one person.
      if (admin?.page?.approve !== true || person?.roles.includes('approve') !== true) return false;
      const seen = new GlobList(person.users ?? ['*']);
      return person.oidc?.group === undefined && users.every((user) => seen.matches(user));
    },
    policiesAt: (name) => {
      const listener = listeners.find((each) => each.name === name);
      const named = [
        ...(listener?.policies ?? []).map(({ policy }) => policy),
        ...(listener?.accounts ?? []).map(({ policy }) => policy),
        ...(listener?.keys ?? []).map(({ policy }) => policy),
      ];
      return [...new Set(named)];
    },
    isNamedAt: async (name, principal) => {
      const listener = listeners.find((each) => each.name === name);
      if (listener === undefined) return false;
      const logins = loginsOf(listener);
      if (logins.length > 0) return logins.some((each) => each.name === principal);
      // Without accounts and keys, names are those of system users, and a number is a uid without a name.
      if (isSocket(listener.socket, 'tcp') || !canBeProcess(principal, localUserName)) return false;
      return /^\d+$/.test(principal) || (await isUser(principal)) !== false;
    },
    reportPolicyOf: ({ listener, name, stamp, address }, nowMs) => {
      const { ring, mayConnect } = reportKeys.get(listener) ?? {};
      if (mayConnect?.(address) !== true) return undefined;
      const key = ring?.stillRight(name, stamp, address, nowMs);
      return key && policies.get(key.policy);
    },
  };
}

export interface ConfiguredContext extends ExchangeContext {
  readonly failingServices: ReadonlyMap<string, FailingService>;
  noteFailing(socket: string, failure: FailingService): void;
  /** A reload has replaced this context by `next`: running exchanges use it to their end, and then it is released. */
  retire(next: Pick<ConfiguredContext, 'noteFailing'>): void;
}

export function createExchangeContext(
  settings: Settings,
  pools: ReadonlyMap<string, Pool>,
  adapters: Adapters,
  lasting: LastingParts = createLastingParts(settings, adapters),
): ConfiguredContext {
  const { clock, journal, observe } = adapters;
  const lookups = createLookups(settings, adapters);
  const { resolve } = settings.mailUsers;
  const userNames = createUserNames(settings.mailUsers);
  const judgements = new AnswerCache<Judged>({ ...cacheBounds, bytesOf: judgedBytes });
  const knownLines = new AnswerCache<KnownLine>({ ...cacheBounds, bytesOf: knownLineBytes });
  return {
    ...lasting,
    clock,
    journal,
    observe,
    router: createRouter({
      routes: settings.routes,
      serverCommands: settings.serverCommands,
      backends: destinationsOf(settings, pools),
      lookup: (socket, foundTtlMs) =>
        lookups.of(socket, {
          ...lookupLimits,
          foundTtlMs,
          notFoundTtlMs: Math.ceil(foundTtlMs / notFoundShare),
        }),
      resolver:
        resolve === undefined ? undefined : createUserResolver(lookups.of(resolve, lookupLimits), userNames),
      userNames,
      remembered: judgements,
    }),
    knownLines,
    redact: (value) => adapters.redactor.redact(value),
    meterInput: () => adapters.redactor.meterInput(),
    strict: settings.audit.strict,
    limits: { ...settings.limits, logRecordsMax: bounds.logRecords },
    failingServices: lookups.failing,
    noteFailing(socket, failure) {
      const isAsked = settings.routes.some(
        ({ target }) => isRouteTarget(target, 'passdb') && target.socket === socket,
      );
      if (isAsked || resolve === socket) lookups.failing.set(socket, failure);
    },
    retire: (next) => {
      lookups.retire();
      for (const [socket, failure] of lookups.failing) next.noteFailing(socket, failure);
      // The next configuration has its own caches; an exchange that still uses this one evaluates again.
      judgements.clear();
      knownLines.clear();
    },
  };
}
