// A reload: the configuration is read again and replaces the one that is served, whole, or not at all. A script, one at a
// time. It does not know who asks for it.
// The rules: a file with problems changes nothing and is told everywhere; everything that can fail is done before anything
// comes into force; sessions and running commands stay, counters go on.

import { lookUpNumbers, ourselves } from '../adapters/host/accounts.js';
import type { OpenJournal } from '../adapters/journal/journal.js';
import type { Shipping } from '../adapters/shipping/shipping.js';
import type { Log } from '../adapters/telemetry/log.js';
import { formatProblem } from '../domain/config/problem.js';
import type { Settings } from '../domain/config/settings.js';
import type { Service } from '../gateway/session/service.js';
import type { Clock } from '../ports/clock.js';
import type { Certificates } from '../setup/certificates.js';
import { loadBeside } from '../setup/configuration.js';
import { tlsFilesOf } from '../setup/inspect-certificates.js';
import { inspectAccounts, namesIn } from '../setup/peers.js';
import type { ConfiguredContext } from './engine-parts.js';
import type { Lifecycle } from './lifecycle.js';
import type { Listeners } from './listeners.js';
import { sinksOf } from './open-shipping.js';
import type { Pools, PreparedPools } from './pools.js';
import { createServed, type Served, type Switch } from './served.js';

/** How a reload came out. */
export interface Reloaded {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly isSuccess: boolean;
  /** Of the configuration that is served now. */
  readonly hash: string;
  /** Why the old one was kept; warnings where it was not. */
  readonly problems: readonly string[];
  /** What is served as before, until a restart. */
  readonly restart: readonly string[];
}

/** Who reloads. */
export interface Reloader {
  /** Waits for the one that runs. Never rejects. */
  reload(): Promise<Reloaded>;
  /** The last one; undefined: there was none. */
  readonly last: Reloaded | undefined;
}

/** What a reload works on. */
export interface ReloadParts {
  /** The file. */
  readonly config: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly journal: OpenJournal;
  readonly lifecycle: Lifecycle;
  readonly served: Switch;
  readonly pools: Pools;
  readonly listeners: Listeners;
  readonly certificates: Certificates;
  readonly service: Service;
  readonly shipping: Shipping;
  /** Told of each that had begun, after everything else. */
  readonly onReloaded: (reloaded: Reloaded) => void;
  /** Everything that exchanges share, with counters that go on. */
  readonly contextOf: (settings: Settings, pools: PreparedPools['byName']) => ConfiguredContext;
  /** What peers meet at the listeners; who waits or failed there is not forgotten. */
  readonly doorsOf: (settings: Settings) => Served['doors'];
}

/** What is read once, at the start: the sections, and for some of them the keys that are not. */
const onlyAtStart = ['audit', 'admin', 'state'] as const;

/** Has not reloaded yet. */
export function createReloader(parts: ReloadParts): Reloader {
  let last: Reloaded | undefined;
  let running: Promise<unknown> = Promise.resolve();
  return {
    get last() {
      return last;
    },
    reload() {
      const reloaded = running.then(async () => {
        last = await reloadOnce(parts);
        tell(parts, last);
        if (parts.lifecycle.at === 'serving') parts.onReloaded(last);
        return last;
      });
      running = reloaded;
      return reloaded;
    },
  };
}

async function reloadOnce(parts: ReloadParts): Promise<Reloaded> {
  const { lifecycle, clock, served } = parts;
  const kept = (problems: readonly string[]): Reloaded => {
    const { hash } = served.now.settings;
    return { atMs: clock.wallMs(), isSuccess: false, hash, problems, restart: [] };
  };
  if (!lifecycle.may('reloading')) return kept([`dovegate is ${lifecycle.at}`]);
  lifecycle.become('reloading');
  try {
    return await replace(parts, kept);
  } catch (fault) {
    return kept([fault instanceof Error ? fault.message : String(fault)]);
  } finally {
    if (lifecycle.at === 'reloading') lifecycle.become('serving');
  }
}

/** Rejects with what cannot be made; nothing has changed then. */
async function replace(
  parts: ReloadParts,
  kept: (problems: readonly string[]) => Reloaded,
): Promise<Reloaded> {
  const {
    config,
    clock,
    log,
    journal,
    lifecycle,
    served,
    pools,
    listeners,
    service,
    certificates,
    shipping,
    contextOf,
    doorsOf,
  } = parts;
  const loaded = await loadBeside(config, clock, { asksForAccounts: false });
  const { settings } = loaded;
  if (settings === undefined) return kept(loaded.problems);
  const before = served.now.settings;
  const numbers = await lookUpNumbers(namesIn(settings));
  const accounts = inspectAccounts(settings, ourselves(), numbers);
  const problems = [...loaded.problems, ...accounts.map((problem) => formatProblem(problem))];
  if (accounts.some(({ severity }) => severity === 'error')) return kept(problems);
  // Records name policies by the hash of their text; the text must be there before the first of them.
  for (const policy of settings.policies.values()) {
    for (const one of [policy, policy.shadow]) {
      if (one !== undefined) await journal.keepPolicy(one.version, one.effectiveText);
    }
  }
  const nextPools = pools.prepare(settings);
  const next = createServed(settings, contextOf(settings, nextPools.byName), numbers, doorsOf(settings));
  const nextCertificates = certificates.prepare(
    tlsFilesOf(settings.listeners),
    settings.backends.map(({ name }) => name),
  );
  const sockets = await listeners.prepare(settings.listeners, numbers);
  if (lifecycle.at !== 'reloading') {
    await sockets.cancel();
    return kept([`dovegate is ${lifecycle.at}`]);
  }
  // From here on nothing fails, and up to the first wait nobody else runs.
  nextPools.commit();
  nextCertificates.commit();
  served.turnTo(next);
  const closed = sockets.commit();
  service.reviewRights();
  shipping.replace(sinksOf(settings));
  log.setLevel(settings.log.level);
  await closed;
  return {
    atMs: clock.wallMs(),
    isSuccess: true,
    hash: settings.hash,
    problems,
    restart: needsRestart(before, settings),
  };
}

/** Sections, and keys of them, that changed and are read only at the start. */
function needsRestart(before: Settings, now: Settings): readonly string[] {
  const changed: string[] = onlyAtStart.flatMap((section) => {
    if (section === 'state') return before.state === now.state ? [] : ['state'];
    const [old, fresh] = [before[section] ?? {}, now[section] ?? {}];
    const keys = new Set([...Object.keys(old), ...Object.keys(fresh)]);
    // What is waited for is asked at each command, and receivers come and go.
    for (const key of ['strict', 'ship']) keys.delete(key);
    return [...keys]
      .filter((key) => textOf(Reflect.get(old, key)) !== textOf(Reflect.get(fresh, key)))
      .map((key) => `${section}.${key}`);
  });
  const { bufferedBytesMax: old } = before.limits;
  return old === now.limits.bufferedBytesMax ? changed : [...changed, 'limits.buffered'];
}

/** One text for equal values; places in the file are no part of what is meant. */
function textOf(value: unknown): string | undefined {
  return JSON.stringify(value, (key, each: unknown) => (key === 'place' ? undefined : each));
}

function tell({ log, journal, clock }: ReloadParts, reloaded: Reloaded): void {
  const { isSuccess, hash, problems, restart } = reloaded;
  if (!isSuccess) {
    const text = `the configuration is not replaced: ${problems.join('\n')}`;
    return log.report({ event: 'reload-failed', level: 'error', text, hash });
  }
  for (const text of problems) log.report({ event: 'configuration-warning', level: 'warn', text });
  if (restart.length > 0) {
    const text = `changed, and read only at a start: ${restart.join(' ')}`;
    log.report({ event: 'restart-needed', level: 'warn', text });
  }
  log.report({ event: 'reloaded', level: 'info', text: 'the configuration is replaced', hash });
  const record = { time: clock.wallMs(), event: 'reload', version: hash } as const;
  // What the journal loses it counts and tells itself.
  journal.append(record, { durable: false }).catch(() => undefined);
}
