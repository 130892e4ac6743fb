// A reload: the configuration is read again and replaces the one in force as a whole, or not at all. Everything that can fail is done
// before the switch; sessions, running commands and counters stay.

import { type NameNumbers, ourselves } from '../../host/machine/accounts.js';
import { statOf } from '../../host/machine/files.js';
import type { NameService } from '../../host/machine/name-service.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { formatTime } from '../../host/words/instants.js';
import { plural } from '../../host/words/words.js';
import type { OpenJournal } from '../../journal/files/journal.js';
import type { AuditRecord } from '../../journal/records/record.js';
import { changedFiles, type LastChange, lastChangeIn, withChange } from '../../rules/config/kept-files.js';
import { policyListOf } from '../../rules/config/policy-list.js';
import { type Finding, formatProblem, placeIn } from '../../rules/config/problem.js';
import { configurationSchema } from '../../rules/config/schema.js';
import { changedAtStart } from '../../rules/config/schema-parts.js';
import type { Settings } from '../../rules/config/settings.js';
import { type Certificates, tlsFilesOf } from '../../rules/setup/certificates.js';
import type { LoadedConfiguration } from '../../rules/setup/inspect.js';
import { inspectAccounts, inspectReaders, namesIn } from '../../rules/setup/peers.js';
import type { AccessDesk } from '../access/desk.js';
import type { Loaded } from '../now/operator.js';
import type { Running } from '../now/running.js';
import type { Service } from '../session/service.js';
import type { Log } from '../telemetry/log.js';
import type { LogCode } from '../telemetry/log-codes.js';
import { accessRightsOf, type ConfiguredContext } from './engine-parts.js';
import type { KnownUsers } from './known-users.js';
import type { Lifecycle } from './lifecycle.js';
import type { Listeners } from './listeners.js';
import { catalogOf } from './open-audit.js';
import type { Pools } from './pools.js';
import { createServed, type Served, type Switch } from './served.js';
import type { Shipped } from './shipped.js';

export interface Reloaded extends NonNullable<Running['reload']> {
  readonly hash: string;
  /** The files that had changed. */
  readonly files?: readonly string[];
  /** If none had changed: the change before. */
  readonly lastChange?: LastChange;
  readonly unfinished?: readonly string[];
}

export interface ReloadParts {
  readonly load: () => LoadedConfiguration | Promise<LoadedConfiguration>;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Pick<Log, 'report' | 'configure'>;
  readonly journal: Pick<OpenJournal, 'keepPolicy' | 'append' | 'checkpoint'>;
  /** Replaces the copy of the files that a start serves when they have problems. */
  readonly keep: (kept: string) => Promise<void>;
  /** The copy of the files that are served now; undefined: there is none. */
  readonly copyBefore: () => Promise<string | undefined>;
  readonly lifecycle: Lifecycle;
  readonly served: Pick<Switch, 'now' | 'turnTo'>;
  readonly pools: Pick<Pools, 'prepare'>;
  readonly listeners: Pick<Listeners, 'prepare'>;
  readonly certificates: Pick<Certificates, 'prepare'>;
  readonly service: Pick<Service, 'reviewRights'>;
  readonly shipping: Pick<Shipped, 'replace'>;
  readonly access: Pick<AccessDesk, 'turnTo'>;
  readonly whyNobodyOperates: (settings: Settings) => string | undefined;
  readonly users: Pick<KnownUsers, 'prepare'>;
  readonly names: Pick<NameService, 'numbersOf' | 'loginOf' | 'hasUser' | 'hasDirectory'>;
  readonly contextOf: (settings: Settings, pools: Pools['byName']) => ConfiguredContext;
  readonly doorsOf: (settings: Settings) => Served['doors'];
}

/** Followers are called for each reload in the order in which they were added. */
export interface ReloadFollower {
  readonly begun?: () => void;
  /** Not called while the daemon drains. */
  readonly done: (reloaded: Reloaded) => void;
}

/** Who asked for a reload. The record of the reload has these keys of the operator's record. */
export type Asker = Pick<AuditRecord, 'by' | 'peer' | 'deed'>;

interface Asked {
  readonly asker: Asker;
  readonly count: number;
}

function byOf(asked: Asked | undefined): string {
  return asked?.asker.by ?? 'somebody unknown';
}

/** At most one reload runs, and at most one waits: all requests during a run share the next one, which reads the files after them. */
export class Reloader {
  readonly #parts: ReloadParts;
  readonly #followers: ReloadFollower[] = [];
  #running: Promise<Reloaded> | undefined;
  #next: Promise<Reloaded> | undefined;
  /** The first request for the reload that begins next, and how many there are. */
  #asked: Asked | undefined;
  #begun = 0;
  last: Reloaded | undefined;
  /** The last reload that succeeded; undefined: the configuration of the start is served. */
  loaded: Loaded | undefined;

  constructor(parts: ReloadParts) {
    this.#parts = parts;
  }

  get begun(): number {
    return this.#begun;
  }

  follow(follower: ReloadFollower): void {
    this.#followers.push(follower);
  }

  /** Resolves to the result of the first reload that begins after the call. Rejects only because of a bug; later reloads run even so. */
  reload(asker: Asker): Promise<Reloaded> {
    this.#asked = { asker: this.#asked?.asker ?? asker, count: (this.#asked?.count ?? 0) + 1 };
    if (this.#running === undefined) return this.#begin();
    const begin = (): Promise<Reloaded> => this.#begin();
    this.#next ??= this.#running.then(begin, begin);
    return this.#next;
  }

  #begin(): Promise<Reloaded> {
    this.#next = undefined;
    this.#begun += 1;
    const asked = this.#asked;
    this.#asked = undefined;
    this.#running = this.#run(asked).finally(() => {
      // A waiting reload begins now and takes its place.
      if (this.#next === undefined) this.#running = undefined;
    });
    return this.#running;
  }

  async #run(asked: Asked | undefined): Promise<Reloaded> {
    const begin = (): void => {
      for (const { begun } of this.#followers) begun?.();
    };
    const reloaded = await reloadOnce(this.#parts, asked, this.last?.lastReadMs, begin);
    this.last = reportResult(this.#parts, reloaded, this.#followers);
    const { isSuccess, atMs, files, lastChange } = this.last;
    if (isSuccess) this.loaded = { since: formatTime(atMs), by: byOf(asked), files, before: lastChange };
    return this.last;
  }

  /** A start that found problems in the file is a reload that failed. */
  keepLast({ problems, readMs }: NonNullable<LoadedConfiguration['last']>): void {
    const { clock, served, log } = this.#parts;
    const { hash } = served.now.settings;
    const text = `the file has problems, so this start serves the configuration that was served before, as it was read at ${formatTime(readMs)}. What the file denies since then may still be allowed. Repair it, then: dovegate reload\n${problems.join('\n')}`;
    log.report({ event: 'last-served', level: 'error', text, hash });
    this.last = { atMs: clock.wallMs(), isSuccess: false, hash, problems, restart: [], lastReadMs: readMs };
  }
}

async function reloadOnce(
  parts: ReloadParts,
  asked: Asked | undefined,
  lastReadMs: number | undefined,
  begin: () => void,
): Promise<Reloaded> {
  const { lifecycle, clock, served } = parts;
  const kept = (problems: readonly string[]): Reloaded => {
    const { hash } = served.now.settings;
    // Errors come first: warnings did not prevent the reload.
    const isWarning = (text: string): number => Number(/^[^\n]*: warning: /.test(text));
    const causes = problems.toSorted((one, other) => isWarning(one) - isWarning(other));
    return { atMs: clock.wallMs(), isSuccess: false, hash, problems: causes, restart: [], lastReadMs };
  };
  if (!lifecycle.may('reloading')) return kept([`dovegate is ${lifecycle.at}`]);
  lifecycle.become('reloading');
  try {
    begin();
    return await replaceAll(parts, asked, kept);
  } catch (fault) {
    return kept([messageOf(fault)]);
  } finally {
    if (lifecycle.at === 'reloading') lifecycle.become('serving');
  }
}

/**
 * Does everything that can fail first, then the switch with its record, then the rest. A step that fails after the switch is a warning,
 * because the new configuration is in force. Rejects only if nothing has changed.
 */
async function replaceAll(
  parts: ReloadParts,
  asked: Asked | undefined,
  kept: (problems: readonly string[]) => Reloaded,
): Promise<Reloaded> {
  const { clock, log, journal, lifecycle, served, service, shipping } = parts;
  const { settings, problems: found, kept: copy } = await parts.load();
  if (settings === undefined) return kept(found);
  const numbers = await parts.names.numbersOf(namesIn(settings));
  const accounts = inspectAccounts(settings, { ...ourselves(), isRunning: true }, numbers);
  const readers = await findReaders(settings, numbers, parts.names);
  const users = await parts.users.prepare(settings);
  const problems = [
    ...found,
    ...[...accounts, ...readers].map((each) =>
      formatProblem({ ...each, ...placeIn(settings.places, each.path) }),
    ),
  ];
  if (accounts.some(({ severity }) => severity === 'error')) return kept(problems);
  await keepPolicies(settings, journal);
  const pools = parts.pools.prepare(settings);
  const context = parts.contextOf(settings, pools.byName);
  const next = createServed(settings, context, numbers, parts.doorsOf(settings), users.persons);
  const certificates = parts.certificates.prepare(
    tlsFilesOf(settings),
    settings.backends.map(({ name }) => name),
  );
  const sockets = await parts.listeners.prepare(settings.listeners, numbers);
  const unfinished: string[] = [];
  const stay: string[] = [];
  const step = async (what: string, run: () => unknown): Promise<void> => {
    try {
      await run();
    } catch (fault) {
      unfinished.push(`${what}: ${messageOf(fault)}`);
    }
  };
  const list = policyListOf(settings);
  // If the text cannot be stored, its hash in the record still identifies the policies in force.
  await step('the list of policies', () => journal.keepPolicy(list.hash, list.text));
  const was = policyListOf(served.now.settings).hash;
  let files: readonly string[] = [];
  let copied: string | undefined;
  await step('the changed files', async () => {
    if (copy === undefined) return;
    copied = await parts.copyBefore();
    const { changed, all } = filesChanged(copied, copy);
    // A reload that failed may have replaced the copy already: then no file differs from it, although the policies do.
    files = changed.length === 0 && list.hash !== was ? all : changed;
  });
  // Before the journal names the new configuration: wherever the process ends, the journal names no copy of an older policy.
  const change = { since: formatTime(clock.wallMs()), by: byOf(asked), files: [...files] };
  if (copy !== undefined)
    await step('the copy of the configuration', () =>
      parts.keep(withChange(copy, copied, files.length === 0 ? undefined : change)),
    );
  // No wait between this check and the last commit: a draining daemon is never switched, and no other task sees half of a configuration.
  if (lifecycle.at !== 'reloading') {
    await sockets.cancel();
    return kept([`dovegate is ${lifecycle.at}`]);
  }
  const before = served.now;
  try {
    served.turnTo(next);
  } catch (fault) {
    await sockets.cancel();
    throw fault;
  }
  const { hash } = settings;
  // The journal counts and logs its own losses.
  const record = {
    time: clock.wallMs(),
    event: 'reload',
    version: hash,
    catalog: catalogOf(settings.catalog),
    policies: list.hash,
    was,
    ...asked?.asker,
    ...(asked !== undefined && asked.count > 1 && { count: asked.count }),
    ...(files.length > 0 && { args: files }),
  } as const;
  journal.append(record);
  await Promise.all([
    step('backends', () => pools.commit()),
    step('certificates', () => certificates.commit()),
    step('the old configuration', () => before.exchanges.retire(context)),
    step('listeners', () => sockets.commit()),
    step('access on request', () => {
      users.commit();
      const { hasUser, hasDirectory } = parts.names;
      stay.push(...parts.access.turnTo(accessRightsOf(settings, users.persons, hasUser, hasDirectory)));
      const nobody = parts.whyNobodyOperates(settings);
      if (nobody !== undefined) stay.push(nobody);
    }),
    step('sessions', () => service.reviewRights()),
    step('receivers', () => shipping.replace(settings)),
    step('log', () => log.configure(settings.log)),
    step('the checkpoint', () => journal.checkpoint()),
  ]);
  const restart = needsRestart(before.settings, settings);
  const lastChange = files.length === 0 ? lastChangeIn(copied) : undefined;
  return {
    atMs: clock.wallMs(),
    isSuccess: true,
    hash,
    problems: [...problems, ...stay],
    files,
    ...(lastChange && { lastChange }),
    unfinished,
    restart,
  };
}

const filesNamedMax = 8;

/** All files and the changed ones, with owner and time of the last change. The kernel does not record who wrote a file. */
export function filesChanged(
  before: string | undefined,
  now: string,
): { readonly changed: readonly string[]; readonly all: readonly string[] } {
  const { changed, all } = changedFiles(before, now);
  return { changed: named(changed), all: named(all) };
}

function named(paths: readonly string[]): readonly string[] {
  const texts = paths.slice(0, filesNamedMax).map((path) => {
    const found = statOf(path);
    const what =
      found === undefined
        ? 'not there'
        : `of uid ${found.uid}, changed ${formatTime(Math.floor(found.ctimeMs))}`;
    return path.startsWith('presets/') ? `${path}: shipped` : `${path}: ${what}`;
  });
  const more = paths.length - texts.length;
  return more > 0 ? [...texts, `and ${plural(more, 'more file')}`] : texts;
}

/** The groups of people who may see a part of the journal, looked up while everything else continues. */
async function findReaders(
  settings: Settings,
  numbers: NameNumbers,
  names: Pick<NameService, 'loginOf'>,
): Promise<readonly Finding[]> {
  const gids = new Map<number, readonly number[]>();
  for (const { user, users } of settings.admin?.page?.people ?? []) {
    const uid = user === undefined || users === undefined ? undefined : numbers.uidOf(user);
    if (uid !== undefined) gids.set(uid, (await names.loginOf(uid)).gids);
  }
  const facts = { gidsOf: (uid: number) => gids.get(uid) ?? [], daemonUid: ourselves().uid };
  return inspectReaders(settings, 'warning', facts, numbers);
}

/** Records name policies and files of added commands by the hash of their text; the text must be stored before the first of them. */
export async function keepPolicies(
  settings: Settings,
  journal: Pick<OpenJournal, 'keepPolicy'>,
): Promise<void> {
  for (const { hash, text } of settings.catalog?.files ?? []) await journal.keepPolicy(hash, text);
  for (const policy of settings.policies.values()) {
    for (const one of [policy, policy.shadow]) {
      if (one !== undefined) await journal.keepPolicy(one.version, one.effectiveText);
    }
  }
}

function needsRestart(before: Settings, now: Settings): readonly string[] {
  const changed = changedAtStart(configurationSchema, [before, now]);
  // `audit.memory` is sized at a start for the records of the longest line: until then longer lines are refused.
  const isLonger = now.limits.lineBytesMax > before.limits.lineBytesMax;
  if (isLonger && now.audit.memoryBytes > before.audit.memoryBytes) changed.push('limits.line');
  // Other changes of `admin.page` reach the page's process without a restart.
  if ((before.admin?.page === undefined) !== (now.admin?.page === undefined)) changed.push('admin.page');
  return changed;
}

/** Never throws: callers get the result, and the next reload runs, even if the log or the service manager fails. */
function reportResult(
  parts: ReloadParts,
  reloaded: Reloaded,
  followers: readonly ReloadFollower[],
): Reloaded {
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
  if (lifecycle.at === 'serving')
    for (const { done } of followers) attempt('after the reload', () => done(reloaded));
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
