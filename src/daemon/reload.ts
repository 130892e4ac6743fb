// A reload: the configuration is read again and replaces the one that is served, whole, or not at all. A script; one runs, and one waits.
// The rules: a file with problems changes nothing and is told everywhere; everything that can fail is done before anything comes
// into force; sessions and running commands stay, counters go on.

import { lookUpNumbers, lookUpUser, type NameNumbers, ourselves } from '../adapters/host/accounts.js';
import type { OpenJournal } from '../adapters/journal/journal.js';
import type { Shipping } from '../adapters/shipping/shipping.js';
import type { LogCode } from '../adapters/telemetry/codes.js';
import type { Log } from '../adapters/telemetry/log.js';
import { formatProblem, type Problem } from '../domain/config/problem.js';
import type { Settings } from '../domain/config/settings.js';
import type { Service } from '../gateway/session/service.js';
import { messageOf } from '../ports/faults.js';
import type { Clock } from '../ports/machine.js';
import { type Certificates, receiverCertificatesOf, tlsFilesOf } from '../setup/certificates.js';
import type { LoadedConfiguration } from '../setup/configuration.js';
import { inspectAccounts, inspectReaders, namesIn } from '../setup/peers.js';
import type { ConfiguredContext } from './engine-parts.js';
import type { Lifecycle } from './lifecycle.js';
import type { Listeners } from './listeners.js';
import { sinksOf } from './open-audit.js';
import type { Pools } from './pools.js';
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
  /** Steps that failed after the new configuration came into force. */
  readonly unfinished?: readonly string[];
  /** What is served as before, until a restart. */
  readonly restart: readonly string[];
}

/** What a reload works on. */
export interface ReloadParts {
  /** Reads the file. */
  readonly load: () => LoadedConfiguration | Promise<LoadedConfiguration>;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Pick<Log, 'report' | 'setLevel'>;
  readonly journal: Pick<OpenJournal, 'keepPolicy' | 'append'>;
  readonly lifecycle: Lifecycle;
  readonly served: Pick<Switch, 'now' | 'turnTo'>;
  readonly pools: Pick<Pools, 'prepare'>;
  readonly listeners: Pick<Listeners, 'prepare'>;
  readonly certificates: Pick<Certificates, 'prepare'>;
  readonly service: Pick<Service, 'reviewRights'>;
  readonly shipping: Pick<Shipping, 'replace'>;
  /** Told before anything is read. */
  readonly onReloading: () => void;
  /** Told of each that had begun, after everything else. */
  readonly onReloaded: (reloaded: Reloaded) => void;
  /** Everything that exchanges share, with counters that go on. */
  readonly contextOf: (settings: Settings, pools: Pools['byName']) => ConfiguredContext;
  /** What peers meet at the listeners; who waits or failed there is not forgotten. */
  readonly doorsOf: (settings: Settings) => Served['doors'];
}

/** What is read once, at the start: the sections, and for some of them the keys that are not. */
const onlyAtStart = ['audit', 'admin', 'state'] as const;

/** At most one reload runs, and at most one waits: all requests that come while one runs share the next, which reads the files after them. */
export class Reloader {
  readonly #parts: ReloadParts;
  #running: Promise<Reloaded> | undefined;
  #next: Promise<Reloaded> | undefined;
  #begun = 0;
  /** The last reload; undefined: there was none. */
  last: Reloaded | undefined;

  constructor(parts: ReloadParts) {
    this.#parts = parts;
  }

  /** Reloads that have begun to read files so far. */
  get begun(): number {
    return this.#begun;
  }

  /** Resolves to the result of the first reload that begins after the call. Rejects only by a bug of ours, which ends no later reload. */
  reload(): Promise<Reloaded> {
    if (this.#running === undefined) return this.#begin();
    const begin = (): Promise<Reloaded> => this.#begin();
    this.#next ??= this.#running.then(begin, begin);
    return this.#next;
  }

  #begin(): Promise<Reloaded> {
    this.#next = undefined;
    this.#begun += 1;
    this.#running = this.#run().finally(() => {
      // The one that waited has taken its place already, or nothing waits.
      if (this.#next === undefined) this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<Reloaded> {
    this.last = reportResult(this.#parts, await reloadOnce(this.#parts));
    return this.last;
  }
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
    parts.onReloading();
    return await replaceAll(parts, kept);
  } catch (fault) {
    return kept([messageOf(fault)]);
  } finally {
    if (lifecycle.at === 'reloading') lifecycle.become('serving');
  }
}

/**
 * Everything that can fail, then the switch with its record, then the rest: a step that fails after the switch is a warning, because the
 * new configuration is in force. Rejects only if nothing has changed.
 */
async function replaceAll(
  parts: ReloadParts,
  kept: (problems: readonly string[]) => Reloaded,
): Promise<Reloaded> {
  const { clock, log, journal, lifecycle, served, service, shipping } = parts;
  const { settings, problems: found } = await parts.load();
  if (settings === undefined) return kept(found);
  const numbers = await lookUpNumbers(namesIn(settings));
  const accounts = inspectAccounts(settings, { ...ourselves(), isRunning: true }, numbers);
  const readers = await findReaders(settings, numbers);
  const problems = [...found, ...[...accounts, ...readers].map((problem) => formatProblem(problem))];
  if (accounts.some(({ severity }) => severity === 'error')) return kept(problems);
  await keepPolicies(settings, journal);
  const pools = parts.pools.prepare(settings);
  const context = parts.contextOf(settings, pools.byName);
  const next = createServed(settings, context, numbers, parts.doorsOf(settings));
  const certificates = parts.certificates.prepare(
    tlsFilesOf(settings),
    settings.backends.map(({ name }) => name),
    receiverCertificatesOf(settings),
  );
  const sockets = await parts.listeners.prepare(settings.listeners, numbers);
  // No wait between this check and the last commit: a daemon that drains is never switched, and no other task sees half of it.
  if (lifecycle.at !== 'reloading') {
    await sockets.cancel();
    return kept([`dovegate is ${lifecycle.at}`]);
  }
  let before: Served;
  try {
    before = served.turnTo(next);
  } catch (fault) {
    await sockets.cancel();
    throw fault;
  }
  const unfinished: string[] = [];
  const step = async (what: string, run: () => unknown): Promise<void> => {
    try {
      await run();
    } catch (fault) {
      unfinished.push(`${what}: ${messageOf(fault)}`);
    }
  };
  const { hash } = settings;
  // What the journal loses it counts and logs itself.
  const record = { time: clock.wallMs(), event: 'reload', version: hash } as const;
  journal.append(record);
  await Promise.all([
    step('backends', () => pools.commit()),
    step('certificates', () => certificates.commit()),
    step('the old configuration', () => before.exchanges.retire(context)),
    step('listeners', () => sockets.commit()),
    step('sessions', () => service.reviewRights()),
    step('receivers', () => shipping.replace(sinksOf(settings))),
    step('log.level', () => log.setLevel(settings.log.level)),
  ]);
  const restart = needsRestart(before.settings, settings);
  return { atMs: clock.wallMs(), isSuccess: true, hash, problems, unfinished, restart };
}

/** Of people who may see a part of the journal; their groups are looked up beside everything else that runs. */
async function findReaders(settings: Settings, numbers: NameNumbers): Promise<readonly Problem[]> {
  const gids = new Map<number, readonly number[]>();
  for (const { user, users } of settings.admin?.page?.people ?? []) {
    const uid = user === undefined || users === undefined ? undefined : numbers.uidOf(user);
    if (uid !== undefined) gids.set(uid, (await lookUpUser(uid)).gids);
  }
  const facts = { gidsOf: (uid: number) => gids.get(uid) ?? [], daemonUid: ourselves().uid };
  return inspectReaders(settings, 'warning', facts, numbers);
}

/** Records name policies by the hash of their text; the text must be there before the first of them. */
export async function keepPolicies(
  settings: Settings,
  journal: Pick<OpenJournal, 'keepPolicy'>,
): Promise<void> {
  for (const policy of settings.policies.values()) {
    for (const one of [policy, policy.shadow]) {
      if (one !== undefined) await journal.keepPolicy(one.version, one.effectiveText);
    }
  }
}

/** Sections, and keys of them, that changed and are read only at the start. */
function needsRestart(before: Settings, now: Settings): readonly string[] {
  const changed: string[] = onlyAtStart.flatMap((section) => {
    if (section === 'state') return before.state === now.state ? [] : ['state'];
    const [old, fresh] = [before[section] ?? {}, now[section] ?? {}];
    const keys = new Set([...Object.keys(old), ...Object.keys(fresh)]);
    // What is waited for is asked at each command, and receivers come and go.
    for (const key of ['strict', 'ship', 'page']) keys.delete(key);
    return [...keys]
      .filter((key) => meaningOf(Reflect.get(old, key)) !== meaningOf(Reflect.get(fresh, key)))
      .map((key) => (key === 'memoryBytes' ? 'audit.memory_size' : `${section}.${key}`));
  });
  const { bufferedBytesMax, lineBytesMax } = before.limits;
  if (bufferedBytesMax !== now.limits.bufferedBytesMax) changed.push('limits.buffered');
  // `audit.memory` is made at a start, with room for the records of the longest line: until then longer lines are refused.
  if (now.audit.memoryBytes > before.audit.memoryBytes && now.limits.lineBytesMax > lineBytesMax)
    changed.push('limits.line');
  // The page's process follows the rest of it by itself.
  if ((before.admin?.page === undefined) !== (now.admin?.page === undefined)) changed.push('admin.page');
  return changed;
}

/** One text for equal values; places in the file are no part of what is meant. */
function meaningOf(value: unknown): string | undefined {
  return JSON.stringify(value, (key, each: unknown) => (key === 'place' ? undefined : each));
}

/** Never throws: the callers get the result, and the next reload runs, also where the log or the service manager fails. */
function reportResult(parts: ReloadParts, reloaded: Reloaded): Reloaded {
  const { log, lifecycle } = parts;
  const failed: string[] = [];
  const attempt = (what: string, run: () => void): void => {
    try {
      run();
    } catch (fault) {
      failed.push(`${what}: ${messageOf(fault)}`);
    }
  };
  attempt('the log', () => logResult(log, reloaded));
  if (lifecycle.at === 'serving') attempt('the service manager', () => parts.onReloaded(reloaded));
  for (const text of failed.slice())
    attempt('the log', () => log.report({ event: 'reload-unfinished', level: 'warn', text }));
  if (failed.length === 0) return reloaded;
  return { ...reloaded, unfinished: [...(reloaded.unfinished ?? []), ...failed] };
}

function logResult(log: ReloadParts['log'], reloaded: Reloaded): void {
  const { isSuccess, hash, problems, unfinished = [], restart } = reloaded;
  const warn = (event: LogCode, text: string): void => log.report({ event, level: 'warn', text });
  if (isSuccess) {
    for (const text of problems) warn('configuration-warning', text);
    for (const text of unfinished) warn('reload-unfinished', text);
    if (restart.length > 0) warn('restart-needed', `changed, and read only at a start: ${restart.join(' ')}`);
    log.report({ event: 'reloaded', level: 'info', text: 'the configuration is replaced', hash });
  } else {
    const text = `the configuration is not replaced: ${problems.join('\n')}`;
    log.report({ event: 'reload-failed', level: 'error', text, hash });
  }
}
