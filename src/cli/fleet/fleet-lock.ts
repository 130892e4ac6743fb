// `dovegate audit fleet lock`, `unlock` and `locks`: signs lines of locks, and publishes them for their hosts. Each line has the whole set
// of its key for these hosts, so the state beside the key knows the set; where the stream has a newer line of the key, the state is older
// than what was signed, and takes that line first: else a restored copy would lift what it does not know.
//
//   fleet-lock.key (0600)   fleet-lock.pub   fleet-lock.json

import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { ourselves, userNameOf } from '../../adapters/host/accounts.js';
import { systemClock } from '../../adapters/host/clock.js';
import { readIfThere, readText, trustedByUs, whyUnsafe, writeAtomically } from '../../adapters/host/files.js';
import { loadNative } from '../../adapters/host/native.js';
import { isTaken } from '../../adapters/host/new-files.js';
import { type NatsLink, useNats } from '../../adapters/nats/link.js';
import { bounds } from '../../bounds/bounds.js';
import type { FleetSettings } from '../../domain/config/parse-fleet.js';
import { count, fit, text as textOf } from '../../domain/language/seams/shape.js';
import { durationWords, plural } from '../../domain/language/words/words.js';
import { makeSignKey, parseSignKey } from '../../domain/records/audit/ledger.js';
import { formatTime, parseLine, parseTime } from '../../domain/records/audit/record.js';
import { administratorName, toHostSubject } from '../../domain/records/fleet/block.js';
import {
  linesOfMessage,
  messageWith,
  readLockLine,
  type SignedLock,
  signLockLine,
  whyNoTarget,
} from '../../domain/records/fleet/lock-line.js';
import { messageOf } from '../../ports/faults.js';
import { exitCodes } from '../../ports/machine.js';
import { readFleetSettings } from '../audit/fleet-places.js';
import { CommandFault, plain } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { asUser } from './administration.js';
import { natsOf, placesOf } from './open-settings.js';

interface KeyFlags {
  /** Default: beside the administrator's files. */
  readonly key?: string;
}

export interface LockFlags extends KeyFlags {
  readonly for?: number;
  readonly reason?: string;
  /** With commas; default: all of fleet.yaml. */
  readonly hosts?: string;
  readonly kill: boolean;
  readonly print: boolean;
  readonly newKey: boolean;
}

export interface UnlockFlags extends KeyFlags {
  readonly reason: string;
  readonly hosts?: string;
  readonly print: boolean;
}

export interface LocksFlags extends KeyFlags {
  readonly send: boolean;
  readonly print: boolean;
}

interface Held extends SignedLock {
  readonly hosts: readonly string[];
}

const word = textOf(bounds.fleetLockBytes);
const stateShape = z.object({
  /** Of the last line that was signed. */
  number: count,
  locks: z.array(
    z.object({
      id: word,
      target: word,
      until: word,
      reason: word,
      by: word,
      kill: z.literal(true).optional(),
      hosts: z.array(word),
    }),
  ),
});

type State = Readonly<Omit<z.infer<typeof stateShape>, 'locks'>> & { readonly locks: readonly Held[] };

/** Of the administrator, beside the other files. */
export const lockKeyFileOf = (admin: string): string => join(admin, 'fleet-lock.key');
const usage = (text: string): CommandFault => new CommandFault(exitCodes.usage, text);
const stateOf = (keyFile: string): string => `${keyFile.replace(/\.key$/, '')}.json`;
export const publicOf = (keyFile: string): string => `${keyFile.replace(/\.key$/, '')}.pub`;
const keyFileOf = (config: string, { key }: KeyFlags): string => key ?? lockKeyFileOf(placesOf(config).admin);

/** Exit code 0; 75: published for some hosts only. Throws a CommandFault or a NatsFault. */
export async function fleetLock(
  screen: Screen,
  config: string,
  target: string | undefined,
  flags: LockFlags,
): Promise<number> {
  const keyFile = keyFileOf(config, flags);
  if (flags.newKey) return makeKey(screen, keyFile, target);
  const { for: forMs, reason, kill } = flags;
  if (target === undefined || forMs === undefined || reason === undefined)
    throw usage('name who is locked, with --for and --reason; or make a key with --new-key');
  if (forMs <= 0 || forMs > bounds.lockMs)
    throw usage(`a lock is for more than nothing and at most ${durationWords(bounds.lockMs)}`);
  const never = whyNoTarget(target);
  if (never !== undefined) throw usage(`the gates would not take that: ${never}`);
  const settings = readFleetSettings(config, screen, 'state');
  const hosts = hostsOf(settings, flags.hosts);
  return withSet(keyFile, async (set) => {
    const until = formatTime(set.nowMs + forMs);
    const lock = { id: set.number.toString(36), target, until, reason, by: set.by };
    return sendFor(screen, config, settings, set, { hosts, reason, isPrinted: flags.print }, (held) => [
      // Locked again: with the new end.
      ...without(held, (each) => each.target === target, hosts),
      { ...lock, ...(kill && { kill: true as const }), hosts },
    ]);
  });
}

/** `target`: as it was locked, or the id of a lock. */
export async function fleetUnlock(
  screen: Screen,
  config: string,
  target: string,
  flags: UnlockFlags,
): Promise<number> {
  const settings = readFleetSettings(config, screen, 'state');
  return withSet(keyFileOf(config, flags), async (set) => {
    const isIt = (each: Held): boolean => [each.id, each.target].includes(target);
    const locked = [...new Set(set.locks.filter(isIt).flatMap((each) => each.hosts))];
    const hosts = flags.hosts === undefined ? locked : hostsOf(settings, flags.hosts);
    if (!locked.some((host) => hosts.includes(host)))
      throw new CommandFault(
        exitCodes.notCarriedOut,
        locked.length === 0
          ? `this key has no lock of "${plain(target)}"; "dovegate audit fleet locks" lists those that it has`
          : `this key locks ${plain(target)} on ${locked.join(', ')}, and not on ${hosts.join(', ')}`,
      );
    const about = { hosts, reason: flags.reason, isPrinted: flags.print };
    return sendFor(screen, config, settings, set, about, (held) => without(held, isIt, hosts));
  });
}

/** What the key locks, where the state is lost by the streams; `send`: signed again for all hosts of fleet.yaml. */
export async function fleetLocks(screen: Screen, config: string, flags: LocksFlags): Promise<number> {
  return withSet(keyFileOf(config, flags), async (set) => {
    const settings = readFleetSettings(config, screen, 'state');
    const hosts = [...new Set([...settings.hosts.keys(), ...set.locks.flatMap((each) => each.hosts)])];
    if (flags.send || flags.print) {
      const about = { hosts, reason: 'sent again', isPrinted: flags.print };
      return sendFor(screen, config, settings, set, about, (held) => held);
    }
    let { locks } = set;
    if (set.isLost) {
      screen.complain(`dovegate: ${plain(set.stateFile)} is missing: this is what the streams say`);
      locks = await useStreams(settings, config, async (link) => {
        const before = await lastTo(link, settings, hosts);
        return adopt(set, hosts, (host) => before.get(host)?.bytes).locks;
      });
    }
    await printLocks(screen, locks);
    if (locks.length > 0) await screen.print(plain(howToSee(config)));
    await screen.flush();
    return exitCodes.ok;
  });
}

async function printLocks(screen: Screen, locks: readonly Held[]): Promise<void> {
  for (const { id, target, until, by, reason, hosts } of locks)
    await screen.print(
      plain(`${id}  ${target} until ${until} by ${by}: ${reason}; signed for ${hosts.join(', ')}`),
    );
  if (locks.length === 0) await screen.print('this key locks nobody');
}

/** No gate answers: its journal says what it has taken. */
function howToSee(config: string): string {
  return `which gates have taken it: dovegate audit search --fleet ${config} --kind operator`;
}

async function makeKey(screen: Screen, keyFile: string, target: string | undefined): Promise<number> {
  if (target !== undefined) throw usage('--new-key locks nobody: leave the name out');
  for (const path of [keyFile, publicOf(keyFile), stateOf(keyFile)])
    if (isTaken(path))
      throw new CommandFault(exitCodes.configuration, `${path} is there; name another file with --key`);
  const { secretPem, key } = makeSignKey();
  try {
    writeAtomically(keyFile, secretPem);
    writeAtomically(publicOf(keyFile), `${key}\n`, 0o644);
    writeState(stateOf(keyFile), { number: 0, locks: [] });
  } catch (cause) {
    throw new CommandFault(exitCodes.configuration, `the key cannot be written: ${messageOf(cause)}`);
  }
  await screen.print(
    [
      `made: ${plain(keyFile)}, which signs, and stays on this machine; ${plain(publicOf(keyFile))}`,
      'next: in the configuration of each gate, and "dovegate reload" there:',
      'fleet_keys:',
      `  security: ${key}`,
    ].join('\n'),
  );
  await screen.flush();
  return exitCodes.ok;
}

/** What the key locks now, and how its next line is signed. */
interface LockSet {
  readonly secretPem: string;
  readonly stateFile: string;
  /** What it locked before is not known here. */
  readonly isLost: boolean;
  /** Of the last line by the state, and of the next one. */
  readonly last: number;
  readonly number: number;
  readonly nowMs: number;
  readonly by: string;
  readonly locks: readonly Held[];
}

/** One at a time: the key is locked. Throws a CommandFault. */
async function withSet(keyFile: string, run: (set: LockSet) => Promise<number>): Promise<number> {
  const unsafe = whyUnsafe(keyFile, true, trustedByUs());
  let descriptor: number | undefined;
  try {
    if (unsafe !== undefined) throw new Error(unsafe.text);
    descriptor = openSync(keyFile, constants.O_RDWR | constants.O_NOFOLLOW);
    if (!(await loadNative()).lockExclusive(descriptor))
      throw new CommandFault(exitCodes.notCarriedOut, `another command signs with ${keyFile} just now`);
    const secretPem = readText(keyFile);
    parseSignKey(secretPem);
    const stateFile = stateOf(keyFile);
    const kept = readIfThere(stateFile, bounds.besideFileBytes);
    const state = fit(stateShape, kept === undefined ? { number: 0, locks: [] } : parseLine(kept));
    if (typeof state === 'string') throw new Error(`${stateFile}: ${state}`);
    const nowMs = systemClock.wallMs();
    const by = process.env['SUDO_USER'] ?? userNameOf(ourselves().uid) ?? String(ourselves().uid);
    // Not below the time: a key whose state was lost goes on above what it has signed.
    const number = Math.max(state.number + 1, nowMs);
    const locks = state.locks.filter(({ until }) => (parseTime(until) ?? 0) > nowMs);
    return await run({
      secretPem,
      stateFile,
      isLost: kept === undefined,
      last: state.number,
      number,
      nowMs,
      by,
      locks,
    });
  } catch (cause) {
    if (cause instanceof CommandFault || (cause instanceof Error && cause.name === 'NatsFault')) throw cause;
    if (descriptor === undefined && !isTaken(keyFile))
      throw new CommandFault(
        exitCodes.configuration,
        `${keyFile} is not there: it may be kept elsewhere, with fleet-lock.json: bring both back; to make the first one: dovegate audit fleet lock --new-key`,
      );
    throw new CommandFault(exitCodes.configuration, `${keyFile}: ${messageOf(cause)}`);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function signedOf({ id, target, until, reason, by, kill }: Held): SignedLock {
  return { id, target, until, reason, by, ...(kill && { kill }) };
}

/** Without these locks on these hosts. */
function without(
  held: readonly Held[],
  isIt: (each: Held) => boolean,
  hosts: readonly string[],
): readonly Held[] {
  return held.flatMap((each) => {
    if (!isIt(each)) return [each];
    const left = each.hosts.filter((host) => !hosts.includes(host));
    return left.length === 0 ? [] : [{ ...each, hosts: left }];
  });
}

function hostsOf(settings: FleetSettings, written: string | undefined): readonly string[] {
  if (written === undefined) return [...settings.hosts.keys()];
  const hosts = [...new Set(written.split(',').map((each) => each.trim()))];
  const unknown = hosts.find((host) => !settings.hosts.has(host));
  if (unknown !== undefined) throw usage(`fleet.yaml lists no host ${unknown}`);
  return hosts;
}

interface Sending {
  readonly hosts: readonly string[];
  readonly reason: string;
  readonly isPrinted: boolean;
}

/** `change`: of what was locked before, also by lines that only the stream has. */
async function sendFor(
  screen: Screen,
  config: string,
  settings: FleetSettings,
  set: LockSet,
  { hosts, reason, isPrinted }: Sending,
  change: (held: readonly Held[]) => readonly Held[],
): Promise<number> {
  if (isPrinted) {
    if (set.isLost)
      screen.complain(
        `dovegate: ${plain(set.stateFile)} is missing: these lines lift all that this key locked before`,
      );
    screen.complain(
      'dovegate: no stream has these lines: an older copy of fleet-lock.json would lift what they lock; where a server is, "locks --send" sends them, too',
    );
    for (const { line } of signFor(set, hosts, reason, change(set.locks))) await screen.print(line);
    await screen.flush();
    return exitCodes.ok;
  }
  const { failed, held } = await useStreams(settings, config, async (link) => {
    const before = await lastTo(link, settings, hosts);
    const { number, locks } = adopt(set, hosts, (host) => before.get(host)?.bytes);
    const now = change(locks);
    const signed = signFor({ ...set, number }, hosts, reason, now);
    const lines = new Map(signed.flatMap((each) => each.hosts.map((host) => [host, each.line] as const)));
    const faults: string[] = [];
    await eachOf(hosts, async (host) => {
      const [last, line = ''] = [before.get(host), lines.get(host)];
      const bytes = messageWith(last?.bytes, line, set.nowMs);
      await link
        .publish(toHostSubject(host, 'lock'), [], bytes, last?.streamSeq ?? 0)
        .catch((fault: unknown) => faults.push(`${host}: ${messageOf(fault)}`));
    });
    return { failed: faults, held: now };
  });
  await printLocks(screen, held);
  for (const fault of failed) screen.complain(`dovegate: not sent to ${plain(fault)}`);
  const sent = plural(hosts.length - failed.length, 'host');
  await screen.print(
    `sent to the stream of ${sent}; no gate has confirmed it: one that lists this key in fleet_keys takes it in some seconds`,
  );
  await screen.print(plain(howToSee(config)));
  if (failed.length > 0) await screen.print('next: dovegate audit fleet locks --send');
  await screen.flush();
  return failed.length === 0 ? exitCodes.ok : exitCodes.notCarriedOut;
}

function useStreams<T>(
  settings: FleetSettings,
  config: string,
  run: (link: NatsLink) => Promise<T>,
): Promise<T> {
  const own = asUser(settings, config, administratorName) ?? settings;
  return useNats(natsOf(own, 'lock'), new AbortController().signal, run);
}

type LastTo = ReadonlyMap<string, Awaited<ReturnType<NatsLink['lastOf']>>>;

async function lastTo(link: NatsLink, { stream }: FleetSettings, hosts: readonly string[]): Promise<LastTo> {
  const last = new Map<string, Awaited<ReturnType<NatsLink['lastOf']>>>();
  await eachOf(hosts, async (host) => {
    last.set(host, await link.lastOf(stream, toHostSubject(host, 'lock')));
  });
  return last;
}

const atOnce = 32;

async function eachOf<T>(all: readonly T[], run: (each: T) => Promise<void>): Promise<void> {
  const left = all[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (const each of left) await run(each);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

/** What the stream's own lines of this key lock, where they are newer than the state. */
function adopt(
  { secretPem, last, nowMs, ...set }: LockSet,
  hosts: readonly string[],
  messageTo: (host: string) => Uint8Array | undefined,
): Pick<LockSet, 'number' | 'locks'> {
  const { key } = parseSignKey(secretPem);
  let { number, locks: held } = set;
  for (const host of hosts) {
    const lines = linesOfMessage(messageTo(host) ?? new Uint8Array()).map((line) =>
      readLockLine(line, (each) => each === key),
    );
    const own = lines.find((each) => typeof each === 'object');
    if (own === undefined || own.number <= last) continue;
    number = Math.max(number, own.number + 1);
    held = without(held, () => true, [host]);
    for (const lock of own.locks) {
      if ((parseTime(lock.until) ?? 0) <= nowMs) continue;
      const there = held.find(({ id }) => id === lock.id);
      const hostsNow = [...(there?.hosts ?? []), host];
      held = [...held.filter((each) => each !== there), { ...lock, hosts: hostsNow }];
    }
  }
  return { number, locks: held };
}

/** Hosts with the same set share lines. The state is on disk when it returns: no number is given twice. */
function signFor(
  { secretPem, stateFile, number, nowMs, by }: LockSet,
  hosts: readonly string[],
  reason: string,
  held: readonly Held[],
): readonly { readonly hosts: readonly string[]; readonly line: string }[] {
  const alike = new Map<string, { readonly locks: readonly SignedLock[]; readonly hosts: string[] }>();
  for (const host of hosts) {
    const locks = held.filter((each) => each.hosts.includes(host)).map(signedOf);
    const name = locks.map(({ id }) => id).join(' ');
    const group = alike.get(name) ?? { locks, hosts: [] };
    alike.set(name, group);
    group.hosts.push(host);
  }
  const groups = [...alike.values()].flatMap(({ locks, hosts: all }) =>
    Array.from({ length: Math.ceil(all.length / bounds.fleetLockHosts) }, (_, at) => ({
      locks: [...locks],
      hosts: all.slice(at * bounds.fleetLockHosts, (at + 1) * bounds.fleetLockHosts),
    })),
  );
  let signed: { readonly hosts: readonly string[]; readonly line: string }[];
  try {
    signed = groups.map((group, at) => ({
      hosts: group.hosts,
      line: signLockLine({ ...group, number: number + at, nowMs, by, reason }, secretPem),
    }));
  } catch (fault) {
    if (!(fault instanceof TypeError)) throw fault;
    throw usage(`the gates would not take that: ${fault.message}`);
  }
  writeState(stateFile, { number: number + groups.length - 1, locks: held });
  return signed;
}

function writeState(file: string, state: State): void {
  writeAtomically(file, `${JSON.stringify(state)}\n`);
}
