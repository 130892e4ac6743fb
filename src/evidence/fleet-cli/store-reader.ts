// Reads the store of a fleet in looks, and keeps in the state what was read of each journal. A look lists the versions of the last names
// that were read, and of later ones, so that late, forked and hidden objects near the end show at once; a whole look lists all names, also
// those of hosts and journals. If the lines of an object do not join under its name, its older versions are searched. Lists are not
// trusted: names that are not ours are findings, and each host has a limit of time and of such names in a look.
//
// Anybody with the credential of a host can chain lines after its last ones: the hashes have no key. So for a host with a listed key, a
// block is taken only up to its last signed checkpoint, with the blocks before it that lead there: the first line of a block names the hash
// of the record before it, and the name of the block with this record ends with that hash. Other blocks are held: they are not proved yet.

import { join } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { systemClock } from '../../host/machine/clock.js';
import {
  type ListOptions,
  type ObjectStore,
  type ObjectVersion,
  StoreFault,
} from '../../host/ports/store.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import { printable } from '../../host/words/text.js';
import { bytesWords } from '../../host/words/words.js';
import { mirrorIn } from '../cli/fleet-places.js';
import { type ReadCheckpoint, readCheckpoint } from '../fleet/checkpoint.js';
import { noHost } from '../fleet/findings.js';
import type { Fleet } from '../fleet/fleet.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import type { ExpectedHead } from '../fleet/saved.js';
import type { FleetFinding, FleetFindingKind, StoredBlock } from '../fleet/shapes.js';
import { findRecord } from '../reading/held-record.js';
import { firstClaim, fitsName, textOfBlock, upTo } from '../store/block.js';
import {
  type BlockName,
  type ForkedName,
  isBlockName,
  isForkedName,
  isVerifierName,
  journalFolder,
  type ObjectName,
  parseBlockName,
  parseName,
  shardFolder,
  type VerifierName,
  verifiersFolder,
} from '../store/names.js';
import type { Mirror } from './mirror.js';
import type { SavedJournal, SavedState, StateFolder } from './state-folder.js';

/** Names of a journal that a look lists again. */
const namesMax = 50;
/** Block times that are kept of a journal: they tell whether removed records were old enough. */
const timesMax = 8;
/** The part of `keepMs` after which the store may have dropped a record: its clock and the verifier's may differ. */
const agePart = 0.9;
const objectsPerSave = 1_000;
const dayMs = 86_400_000;
/** A gate has its daily credit twice, usual and urgent, and may use both this often: restarts give it some more. */
const creditTimes = 3;
/** Limits of the lines of a verifier that a new reader takes, and of verifiers. */
const linesMax = 64;
const verifiersMax = 2 * bounds.fleetVerifiers;
const hostsAtOnce = 8;
/** Limits of a look at one host: its time, the time after which no further object is begun, and its wrong names. */
const hostMs = 60_000;
const openMs = 10_000;
const strangeMax = 1_000;
/** Unproved blocks of a journal that are remembered: as many as its credit permits in so many days. Others are read again in each look. */
const heldDays = 14;
/** Limit of the journals of a host that are read. If it has more, a signature is searched in so many objects of each. */
const journalsMax = 2 * bounds.fleetChains;
const probesMax = 8;
/** Limit of folders of a host, and of lines of a verifier, that are listed. */
const foundMax = 20_000;
/** Names of hosts and lines of verifiers are listed again after `levelMs`, the journals of a host after `journalsMs`. */
const levelMs = 600_000;
const journalsMs = 300_000;
/**
 * Pauses between two looks at a host: at least `least`, or `ofHost` per host; at most `most` if nothing came, `expected` if the next object
 * is expected; `unseen` if none was ever seen.
 */
const pauseMs = { least: 5_000, ofHost: 10, most: 60_000, expected: 300_000, unseen: 15_000 } as const;
/** Longest time without a request to the store. */
const quietMs = 15_000;

type Take = (findings: readonly FleetFinding[]) => void;
export type StoreReader = ReturnType<typeof createStoreReader>;

/** A block of which not all records are proved. */
interface Held extends Listed {
  readonly of: BlockName;
  readonly storedMs: number;
  /** Of its first line. Undefined: the object is not what its name says. */
  readonly prev: string | undefined;
  /** It was compared with the proved records up to that one. */
  readonly seenSeq: number;
}

type Cursor = { -readonly [Key in Exclude<keyof SavedJournal, 'folder'>]: SavedJournal[Key] } & {
  /** Read in this run. */
  held: Held[];
};

/** What a reader knows of a host in this run. */
interface HostLook {
  journals: readonly string[];
  /** Milliseconds of the monotonic clock. */
  listedMs: number;
  nextMs: number;
  /** All its names are to be compared. */
  isWhole: boolean;
  /** How long the last look took. */
  tookMs: number;
  storedMs: number;
  gapMs: number;
  objects: number;
  /** Everything that was stored before this time (milliseconds since 1970) was read. */
  knownMs: number;
}

interface Content {
  readonly text: Buffer | undefined;
  readonly storedMs: number;
  readonly bytes: number;
}

interface Listed {
  readonly name: string;
  readonly versions: readonly ObjectVersion[];
  /** Those of the same block under its other name. */
  readonly copies?: readonly ObjectVersion[];
}

/** `saved`: the state of `fleet`. `told`: earlier reports, kept with it. `take` gets the findings of each object that is read. */
export function createStoreReader(
  fleet: Fleet,
  settings: Pick<FleetSettings, 'hosts' | 'keepMs' | 'state' | 'objectsPerDay' | 'bytesPerDay'>,
  store: ObjectStore,
  saved: SavedState | undefined,
  folder: Pick<StateFolder, 'save'>,
  mirror: Mirror,
  { told, take }: { readonly told: () => readonly string[]; readonly take: Take },
) {
  const { hosts, keepMs, state, bytesPerDay } = settings;
  const objectsMax = 2 * creditTimes * settings.objectsPerDay;
  const heldMax = heldDays * settings.objectsPerDay;
  const leastMs = Math.max(pauseMs.least, hosts.size * pauseMs.ofHost);
  const cursors = new Map<string, Cursor>(
    (saved?.journals ?? []).map(({ folder: of, ...rest }) => [of, { ...rest, held: [] }]),
  );
  /** By the folder of a verifier: the last line that was read. `isWanted`: it and all after it must be found again. */
  const lines = new Map<string, { readonly name: string; readonly isWanted?: boolean }>(
    saved?.lines.map(([below, name]) => [below, { name }]),
  );
  const behindMs = new Map<string, number>(saved?.behindMs);
  const looks = new Map<string, HostLook>();
  /** By host: since when (milliseconds since 1970), and why. */
  const unread = new Map<string, readonly [sinceMs: number, why: string]>();
  /** Hosts of which the last look has seen a part, and nothing new. */
  const unfinished = new Set<string>();
  let levelsMs = -Infinity;
  let lookedMs = -Infinity;
  let storedMs = 0;
  let objects = 0;
  let hasVersions = true;

  // A mirror that somebody removed, or of a host that was not listed, begins with what the store still has.
  const lacksRecords = fleet
    .heads()
    .some(
      ({ host, journal, seq }) =>
        hosts.has(host) && !mirror.isFull(host) && mirror.endOf(host, journal) < seq,
    );
  const reader = {
    fleet,
    /** When the last block was stored, by the store's clock; 0: none in this run. */
    get storedMs(): number {
      return storedMs;
    },
    /** Blocks that were read and are what they should be. */
    get objects(): number {
      return objects;
    },
    /** False: this credential may not list versions, so what is hidden or overwritten is not seen. */
    get hasVersions(): boolean {
      return hasVersions;
    },
    /** What a host had stored before that time (milliseconds since 1970) was read; 0: not in this run. */
    knownMs: (host: string): number => looks.get(host)?.knownMs ?? 0,
    /**
     * Adds the hosts that could not be read in their last look, although the store answers for others: each is `silent`, with the reason.
     * Of a host that was read before it has the time of the first such look; it takes the place of `never-seen`.
     */
    withUnread(findings: readonly FleetFinding[]): readonly FleetFinding[] {
      const neverSeen = new Set(findings.flatMap(({ kind, host }) => (kind === 'never-seen' ? host : [])));
      return [
        ...findings.filter(({ kind, host }) => kind !== 'never-seen' || !unread.has(host)),
        ...[...unread].map(([host, [sinceMs, why]]): FleetFinding => {
          const text = `the store gives nothing of it: ${why}; look what is different about its objects`;
          const time = neverSeen.has(host) ? {} : { time: formatTime(sinceMs) };
          return { kind: 'silent', host, ...time, text };
        }),
      ];
    },
    /** A finding for each host of which not all objects were read. It cannot be accepted. */
    unfinished(): readonly FleetFinding[] {
      const text = 'not all of its objects were read in this run: the next one goes on from there';
      return [...unfinished].map((host) => ({ kind: 'too-much', host, text }));
    },
    /** By host: when the first block that is not in the mirror was stored. Absent: all that were read are there. */
    get behindMs(): ReadonlyMap<string, number> {
      return behindMs;
    },
    /**
     * `isWhole`: looks at all names of all hosts; otherwise at hosts whose next object is due, and with `isUrgent` at unfinished ones.
     * False: a host has more than a look may take. Rejects with a StoreFault, or with the reason of the signal; what was read before
     * counts.
     */
    async look(signal: AbortSignal, isWhole: boolean, isUrgent = false): Promise<boolean> {
      if (isWhole || systemClock.now() - levelsMs >= levelMs) {
        await readLevels(signal);
        levelsMs = systemClock.now();
      }
      const nowMs = systemClock.now();
      const isDue = (host: string): boolean => isUrgent && unfinished.has(host);
      let due = [...looks].filter(([host, { nextMs }]) => isWhole || nextMs <= nowMs || isDue(host));
      // One look shows whether the store can be reached.
      if (due.length === 0 && nowMs - lookedMs >= quietMs)
        due = [...looks].toSorted(([, one], [, other]) => one.nextMs - other.nextMs).slice(0, 1);
      if (due.length > 0) lookedMs = nowMs;
      return lookAtAll(due, signal, isWhole);
    },
    /** As {@link Fleet.rewind}. */
    rewind(expected: readonly ExpectedHead[], kept?: ReadCheckpoint): void {
      fleet.rewind(expected, kept);
      cursors.clear();
      for (const [below, { name }] of lines) {
        const line = parseName(name);
        const from = isVerifierName(line) && kept !== undefined && kept.seq < line.seq;
        lines.set(below, {
          name: from ? `${below}${String(kept.seq).padStart(16, '0')}` : name,
          isWanted: true,
        });
      }
      levelsMs = -Infinity;
      for (const look of looks.values()) look.nextMs = 0;
    },
    /** On disk when it returns. */
    save(): void {
      mirror.save();
      const journals = [...cursors].map(([of, cursor]): SavedJournal => {
        const { held: _, ...rest } = cursor;
        return { folder: of, ...rest };
      });
      folder.save({
        journals,
        lines: [...lines].map(([below, { name }]) => [below, name] as const),
        behindMs: [...behindMs],
        fleet: fleet.save(),
        told: told(),
      });
    },
  };
  if (lacksRecords) reader.rewind([]);
  return reader;

  /** The listed key of the host of a name. */
  function keyOf(name: string): string | undefined {
    return hosts.get(name.slice(0, name.indexOf('/')))?.key;
  }

  /** The last record that was taken. */
  function endOf({ host, journal }: Pick<BlockName, 'host' | 'journal'>): number {
    return fleet.endOf(host, journal)?.seq ?? 0;
  }

  /** Reads the lines of all verifiers, and lists the hosts of the store. */
  async function readLevels(signal: AbortSignal): Promise<void> {
    await readLines(signal);
    const newestMs = new Map<string, number>();
    for (const { host, storedMs: ms } of fleet.heads())
      newestMs.set(host, Math.max(ms, newestMs.get(host) ?? 0));
    for (const host of hosts.keys()) addHost(host, newestMs);
    let strangers = 0;
    let strange = 0;
    for await (const page of versionsBelow('', { isLevel: true, signal })) {
      for (const { name } of page) {
        const host = name.slice(0, -1);
        if (name === verifiersFolder || hosts.has(host)) continue;
        if (!name.endsWith('/') || parseName(`${name}${anyBlock}`) === undefined) {
          strange += 1;
          if (strange <= bounds.fleetFindings)
            note('malformed', noHost, `${shown(name)} is no folder of a host`);
          continue;
        }
        strangers += 1;
        if (strangers <= bounds.fleetStrangers) addHost(host, newestMs);
      }
      if (strange > strangeMax) break;
    }
  }

  function addHost(host: string, newestMs: ReadonlyMap<string, number>): void {
    if (looks.has(host)) return;
    const none = { journals: [], listedMs: -Infinity, nextMs: 0, isWhole: false, tookMs: 0, gapMs: 0 };
    looks.set(host, { ...none, objects: 0, knownMs: 0, storedMs: newestMs.get(host) ?? 0 });
  }

  /** Reads the last lines of each verifier, or all after the last one that was read. */
  async function readLines(signal: AbortSignal): Promise<void> {
    const folders = new Set(lines.keys());
    let isRead = await apart(noHost, signal, async () => {
      for await (const page of versionsBelow(verifiersFolder, { isLevel: true, signal })) {
        for (const { name } of page) if (name.endsWith('/')) folders.add(name);
        if (folders.size >= verifiersMax) break;
      }
    });
    for (const below of [...folders].slice(0, verifiersMax))
      isRead = (await apart(noHost, signal, () => readLinesOf(below, signal))) && isRead;
    if (isRead) unread.delete(noHost);
  }

  async function readLinesOf(below: string, signal: AbortSignal): Promise<void> {
    const { name: read = '', isWanted = false } = lines.get(below) ?? {};
    let listed: Listed[] = [];
    let isFound = false;
    for await (const page of entriesOf(below, read === '' ? undefined : justBefore(read), signal)) {
      isFound ||= page.some(({ name }) => name === read);
      listed.push(...page);
      if (read === '') listed = listed.slice(-linesMax);
      else if (listed.length > (isWanted ? foundMax : strangeMax)) break;
    }
    const last = parseName(read);
    const signedAt = timeOfLast(read);
    if (!isFound && isVerifierName(last) && signedAt !== undefined && !isOld(parseTime(signedAt) ?? 0)) {
      const text = `line ${last.seq} of verifier "${last.verifier}", signed at ${signedAt}, was there before, and the store does not have it any more; look who may delete there`;
      note('cut-in-store', noHost, text, last.verifier, last.seq);
    }
    for (const entry of listed) {
      const name = parseName(entry.name);
      // An object with another name, such as one with "..", is never read.
      const line = isVerifierName(name) ? await lineOf(entry, name, signal) : undefined;
      if (line !== undefined) take(fleet.takeLine(line.read, line.storedMs));
      else {
        const text = `${shown(entry.name)} is no line of a verifier`;
        note('malformed', noHost, text, undefined, undefined, putMs(entry));
      }
      // Junk after the last line of a verifier must not hide its later lines.
      const isLast = timeOfLast(entry.name) !== undefined;
      if (isLast || timeOfLast(lines.get(below)?.name) === undefined) lines.set(below, { name: entry.name });
    }
  }

  /** When a line was signed, if it is the last one of a verifier that was taken. */
  function timeOfLast(listed = ''): string | undefined {
    const name = parseName(listed);
    return isVerifierName(name) ? fleet.log.timeOfLast(name.hash) : undefined;
  }

  /** Runs a part for one host, or the verifiers. If it fails although the store answers, the fault is theirs alone. False: it failed. */
  async function apart(host: string, signal: AbortSignal, run: () => Promise<void>): Promise<boolean> {
    try {
      await run();
      return true;
    } catch (fault) {
      if (!(fault instanceof StoreFault) || signal.aborted || !(await isThere(signal))) throw fault;
      if (fault.code === 'away' || fault.code === 'refused')
        unread.set(host, [unread.get(host)?.[0] ?? systemClock.wallMs(), fault.message]);
      else note('malformed', host, `its names cannot be listed: ${fault.message}`);
      return false;
    }
  }

  /** The newest version whose content fits the name; undefined: there is none. */
  async function lineOf({ name, versions }: Listed, { hash }: VerifierName, signal: AbortSignal) {
    for (const { version, isMarker } of versions) {
      const object = isMarker ? undefined : await bytesOf(name, version, bounds.fleetCheckpointBytes, signal);
      const read = object && readCheckpoint(object.bytes);
      if (object === undefined || read?.hash !== hash) continue;
      const { storedMs: atMs } = object;
      if (version !== versions[0]?.version && !isOld(atMs)) {
        const text = `the object ${shown(name)} was overwritten or hidden, and an older version of it has the line; look who did that`;
        note('changed', noHost, text, undefined, read.seq, versions[0]?.storedMs);
      }
      return { read, storedMs: atMs };
    }
    return undefined;
  }

  /** False: a host has more than a look may take. */
  async function lookAtAll(
    due: readonly (readonly [string, HostLook])[],
    signal: AbortSignal,
    isWhole: boolean,
  ): Promise<boolean> {
    // Not AbortSignal.any: Node 20 keeps something of each in a signal that lives for months.
    const stop = new AbortController();
    const onAbort = (): void => stop.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    let isDone = true;
    // Hosts that took long in their last look come last, so that the others need not wait.
    const waiting = due.toSorted(([, one], [, other]) => one.tookMs - other.tookMs).values();
    const faults: unknown[] = [];
    const lookAtEach = async (): Promise<void> => {
      for (const [host, look] of waiting) {
        if (stop.signal.aborted) return;
        const wallMs = systemClock.wallMs();
        const startMs = systemClock.now();
        try {
          const isRead = await apart(host, stop.signal, async () => {
            if (!(await inTime(stop.signal, (own) => lookAtHost(host, look, own, isWhole)))) isDone = false;
            unread.delete(host);
          });
          look.tookMs = systemClock.now() - startMs;
          if (isRead) continue;
          // The host counts as looked at: one of which nothing can be read is silent.
          look.knownMs = wallMs;
          look.nextMs = systemClock.now() + pauseMs.most;
        } catch (fault) {
          faults.push(fault);
          stop.abort(fault);
        }
      }
    };
    await Promise.all(Array.from({ length: hostsAtOnce }, lookAtEach));
    signal.removeEventListener('abort', onAbort);
    signal.throwIfAborted();
    if (faults.length > 0) throw faults[0];
    return isDone;
  }

  /** Whether the store answers at all. */
  async function isThere(signal: AbortSignal): Promise<boolean> {
    try {
      for await (const _ of store.list('', { isLevel: true, signal })) break;
      return true;
    } catch {
      return false;
    }
  }

  /** `own` aborts with `signal`, or after the time limit for one host. */
  async function inTime<Value>(
    signal: AbortSignal,
    run: (own: AbortSignal) => Promise<Value>,
  ): Promise<Value> {
    const own = new AbortController();
    const onAbort = (): void => own.abort(signal.reason);
    const late = `it was not read within ${hostMs / 1000} s`;
    const timer = systemClock.setTimer(hostMs, () => own.abort(new StoreFault('away', late)));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await run(own.signal);
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
    }
  }

  async function lookAtHost(
    host: string,
    look: HostLook,
    signal: AbortSignal,
    isWhole: boolean,
  ): Promise<boolean> {
    look.isWhole ||= isWhole;
    const startMs = systemClock.now();
    const isOver = (): boolean => systemClock.now() - startMs > openMs;
    if (isWhole || look.journals.length === 0 || startMs - look.listedMs >= journalsMs) {
      look.journals = await journalsOf(host, signal, isOver);
      look.listedMs = startMs;
    }
    const wallMs = systemClock.wallMs();
    const { storedMs: seen, objects: before } = look;
    let isDone = true;
    for (const journal of look.journals) {
      const below = journalFolder(host, journal);
      const none: Cursor = { names: [], waiting: [], held: [], from: '', times: [], day: [0, 0, 0] };
      const cursor = cursors.get(below) ?? none;
      cursors.set(below, cursor);
      const looking = { host, journal, cursor, signal, isOver, look, wrong: 0 };
      isDone = (await lookAtJournal(looking)) && isDone;
      if (looking.wrong > strangeMax)
        tellTooMuch(host, journal, undefined, `more than ${strangeMax} of its names and objects are none`);
    }
    const isNew = look.objects > before;
    if (isNew && seen > 0) look.gapMs = look.storedMs - seen;
    if (isDone) Object.assign(look, { knownMs: wallMs, isWhole: false });
    if (isDone || isNew) unfinished.delete(host);
    else unfinished.add(host);
    look.nextMs = systemClock.now() + (isDone ? pauseOf(host, look, isNew) : isNew ? 0 : leastMs);
    return isDone;
  }

  /** Milliseconds until the next object is expected, but not beyond the moment from which the host counts as silent. */
  function pauseOf(host: string, { storedMs: newestMs, gapMs }: HostLook, isNew: boolean): number {
    if (newestMs === 0) return pauseMs.unseen;
    const ageMs = systemClock.wallMs() - newestMs;
    const [dueMs, mostMs] = isNew ? [gapMs - ageMs, pauseMs.expected] : [ageMs / 8, pauseMs.most];
    const silentMs = (hosts.get(host)?.silentMs ?? Infinity) - ageMs;
    const leftMs = silentMs > 0 ? silentMs : pauseMs.unseen;
    return Math.min(Math.max(dueMs, leastMs), mostMs, leftMs + 1);
  }

  async function journalsOf(
    host: string,
    signal: AbortSignal,
    isOver: () => boolean,
  ): Promise<readonly string[]> {
    const found: string[] = [];
    let strange = 0;
    for await (const page of versionsBelow(`${host}/`, { isLevel: true, signal })) {
      for (const { name } of page) {
        if (name.endsWith('/') && parseName(`${name}${anyOfJournal}`) !== undefined) found.push(name);
        else if ((strange += 1) <= bounds.fleetFindings)
          note('malformed', host, `${shown(name)} is no folder of a journal`);
      }
      if (strange > strangeMax || found.length > foundMax) break;
    }
    // Also known journals of which the store has nothing any more.
    const known = [...cursors.keys()].filter((name) => name.startsWith(`${host}/`));
    const others = found.filter((name) => !cursors.has(name));
    let all: readonly string[] = [...known, ...others];
    const vouched = new Set<string>();
    if (all.length > journalsMax) {
      // Anybody with its credential can make any number of others.
      for (const journal of fleet.vouchedOf(host)) vouched.add(journalFolder(host, journal));
      for (const name of all) {
        if (vouched.size >= journalsMax || isOver()) break;
        if (!vouched.has(name) && (await isSigned(name, signal))) vouched.add(name);
      }
      all = [...new Set([...vouched, ...all])];
    }
    const isFlooded = all.length > journalsMax;
    // No record of the others could be taken.
    const chosen = isFlooded && keyOf(`${host}/`) !== undefined ? [...vouched] : all.slice(0, journalsMax);
    if (isFlooded)
      note('malformed', host, `it has more than ${journalsMax} journals, of which the signed ones are read`);
    const began = new Map<string, number>();
    if (chosen.length > 1) for (const name of chosen) began.set(name, await beganMs(name, signal));
    const order = (name: string): number => began.get(name) ?? 0;
    return chosen
      .toSorted(
        (one, other) => Number(vouched.has(other)) - Number(vouched.has(one)) || order(one) - order(other),
      )
      .map((name) => name.slice(host.length + 1, -1));
  }

  /** Whether one of its first objects joins, and has a signature of the host's key. */
  async function isSigned(below: string, signal: AbortSignal): Promise<boolean> {
    let [seen, probes] = [0, 0];
    for await (const page of entriesOf(below, undefined, signal))
      for (const entry of page) {
        const name = parseBlockName(entry.name);
        if ((seen += 1) > strangeMax || (name && (probes += 1) > probesMax)) return false;
        const text = name && (await firstOf(entry, signal))?.text;
        if (name && text !== undefined && fitsName(text, name) && fleet.lastSigned(name, text)) return true;
      }
    return false;
  }

  /** When the first block of a journal was stored: of two journals the one that began later is the new one. */
  async function beganMs(below: string, signal: AbortSignal): Promise<number> {
    for await (const page of entriesOf(below, undefined, signal))
      for (const entry of page)
        if (parseBlockName(entry.name) !== undefined) return (await firstOf(entry, signal))?.storedMs ?? 0;
    return 0;
  }

  /** Its oldest version that is not hidden. */
  async function firstOf({ name, versions }: Listed, signal: AbortSignal) {
    return readOne(name, versions.findLast(({ isMarker }) => !isMarker)?.version, signal);
  }

  interface Looking {
    readonly host: string;
    readonly journal: string;
    readonly cursor: Cursor;
    readonly signal: AbortSignal;
    readonly isOver: () => boolean;
    readonly look: HostLook;
    /** The last block that was read: the next one may prove the rest of it. */
    last?: readonly [name: string, content: Content];
    /** Names and objects of this journal that are not what they should be. */
    wrong: number;
  }

  /** False: there is more, and the next look goes on there. Many wrong names and objects end a look: a stranger may have stored them. */
  async function lookAtJournal(looking: Looking): Promise<boolean> {
    const { host, journal, cursor, signal, look } = looking;
    const below = journalFolder(host, journal);
    const isFirst = cursor.names.length === 0;
    const held = cursor.held.map(({ name }) => name);
    const known = new Set([...cursor.names, ...held]);
    const next = endOf({ host, journal }) + 1;
    // Junk with high numbers must not hide the next true block.
    const ahead = `${shardFolder(host, journal, next)}${String(next).padStart(16, '0')}`;
    const oldest = cursor.names.length < namesMax ? undefined : cursor.names[0];
    const near = oldest === undefined || oldest < ahead ? oldest : ahead;
    const after = cursor.from === '' ? near : justBefore(cursor.from);
    cursor.from = '';
    // It was no block when it was read, and may be one now.
    const isBlockNow = async ({ name: listed, versions }: Listed, name: ObjectName): Promise<boolean> => {
      if (!look.isWhole || !isBlockName(name) || !fleet.lacks(name)) return false;
      const version = versions.find(({ isMarker }) => !isMarker)?.version;
      const { text } = (!cursor.waiting.includes(listed) && (await readOne(listed, version, signal))) || {};
      return text !== undefined && fitsName(text, name);
    };
    const unseen = new Set([...known].filter((name) => name > (after ?? '')));
    let fresh: Listed[] = [];
    for await (const page of entriesOf(below, after, signal)) {
      for (const entry of page) {
        const name = parseName(entry.name);
        unseen.delete(entry.name);
        if (name === undefined) {
          looking.wrong += 1;
          const text = `${shown(entry.name)} is no name of an object`;
          note('malformed', host, text, journal, undefined, putMs(entry));
        } else if (!known.has(entry.name) || (await isBlockNow(entry, name))) fresh.push(entry);
        else if (entry.versions[0]?.isMarker === true && isBlockName(name))
          await contentOf(entry, name, looking);
      }
      if (looking.wrong > strangeMax) {
        cursor.from = page.at(-1)?.name ?? '';
        break;
      }
      if (fresh.length < objectsPerSave) continue;
      if (!(await takeAll(fresh, looking))) return false;
      fresh = [];
    }
    const isTaken = await takeAll(fresh, looking);
    noteUnproved(host, journal, cursor);
    if (!isTaken || cursor.from !== '') return false;
    for (const gone of unseen) {
      const name = parseName(gone);
      // Nothing is lost if the records are not those of the mirror.
      if (held.includes(gone) || !isBlockName(name)) continue;
      const has = await mirrored(name);
      if (has !== 'other' && has !== 'absent') tellCut(looking, name.first, name.last);
    }
    cursor.names = cursor.names.filter((name) => !unseen.has(name));
    cursor.held = cursor.held.filter(({ name }) => !unseen.has(name));
    if (cursor.names.length + cursor.held.length === 0) cursors.delete(below);
    if (look.isWhole && !isFirst) await compareNames(looking);
    return true;
  }

  /** Each name with its versions, the newest first, and with those of its copy, which sorts right before it. */
  async function* entriesOf(
    below: string,
    after: string | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<readonly Listed[]> {
    let last: Listed | undefined;
    for await (const page of versionsBelow(below, { signal, ...(after !== undefined && { after }) })) {
      const whole: Listed[] = [];
      for (const entry of page) {
        const isCopied = last?.name === copyNameOf(entry.name);
        whole.push(isCopied ? { ...entry, copies: last?.versions ?? [] } : entry);
        last = entry;
      }
      yield whole;
    }
  }

  async function* versionsBelow(below: string, options: ListOptions): AsyncGenerator<readonly Listed[]> {
    if (hasVersions) {
      try {
        let open: { readonly name: string; readonly versions: ObjectVersion[] } | undefined;
        for await (const page of store.versions(below, options)) {
          const whole: Listed[] = [];
          for (const version of page) {
            if (open?.name === version.name) {
              // The newest version and the oldest ones are kept: junk that is put later does not hide the true one.
              if (open.versions.length >= namesMax) open.versions.splice(1, 1);
              open.versions.push(version);
              continue;
            }
            if (open !== undefined) whole.push(open);
            open = { name: version.name, versions: [version] };
          }
          if (whole.length > 0) yield whole;
        }
        if (open !== undefined) yield [open];
        return;
      } catch (fault) {
        if (!(fault instanceof StoreFault) || fault.code !== 'refused') throw fault;
      }
    }
    // Only if names can be listed: otherwise nothing is known of versions.
    for await (const page of store.list(below, options)) {
      hasVersions = false;
      yield page.map((name) => ({ name, versions: [{ name, version: '', isMarker: false }] }));
    }
  }

  /** Takes blocks in order, except those that end where a hole ends: they come first, and fill it from its end. False: some are left. */
  async function takeAll(fresh: readonly Listed[], looking: Looking): Promise<boolean> {
    const { cursor, host, journal } = looking;
    const all = fresh.map((entry) => ({ entry, name: parseName(entry.name) }));
    const rest = new Set(all.flatMap(({ entry, name }) => (isBlockName(name) ? [{ entry, name }] : [])));
    const byEnd = new Map([...rest].map((one) => [`${one.name.last} ${one.name.hash}`, one]));
    const wrongMax = looking.wrong + strangeMax;
    for (let [first] = rest; first !== undefined; [first] = rest) {
      looking.signal.throwIfAborted();
      if (looking.isOver() || looking.wrong > wrongMax) {
        cursor.from = first.entry.name;
        break;
      }
      const end = fleet.holeEnds(host, journal).find((each) => byEnd.has(each)) ?? '';
      const one = byEnd.get(end) ?? first;
      byEnd.delete(end);
      rest.delete(one);
      await (keyOf(one.entry.name) === undefined ? takeBlock : takeProved)(one.entry, one.name, looking);
    }
    if (rest.size === 0 && !(await compareHeld(looking))) return false;
    let marks = 0;
    for (const { entry, name } of all) {
      // Only marks before the name where the look ended.
      if (!isForkedName(name) || (rest.size > 0 && entry.name > cursor.from)) continue;
      marks += 1;
      take(fleet.takeMark(name, marks <= bounds.fleetFindings && (await hasMarked(name))));
      index(cursor, entry.name);
    }
    return rest.size === 0;
  }

  async function takeBlock(entry: Listed, name: BlockName, looking: Looking): Promise<void> {
    const { cursor } = looking;
    const end = endOf(name);
    const isFarBehind = name.last <= end - bounds.fleetRecent && !fleet.lacks(name);
    if (isFarBehind) {
      await compareBlock(entry, name, end, looking);
      return index(cursor, entry.name);
    }
    const content = await newContentOf(entry, name, looking);
    index(cursor, entry.name);
    await takeLines(entry.name, { ...content, name }, looking);
  }

  /** Takes a block up to its last signature, with the blocks before it that lead there, and holds what no signature covers. */
  async function takeProved(entry: Listed, of: BlockName, looking: Looking): Promise<void> {
    const { cursor } = looking;
    const end = endOf(of);
    if (of.last <= end) return takeBlock(entry, of, looking);
    const content = await newContentOf(entry, of, looking);
    const { text, storedMs: atMs } = content;
    const [signedSeq, findings] = fleet.readSignatures({ ...content, name: of });
    take(findings);
    const prev = text && firstClaim(text)?.prev;
    const own: Held = { ...entry, of, storedMs: atMs, prev, seenSeq: signedSeq };
    const path: Held[] = [];
    for (let at = signedSeq > end ? own : undefined; at !== undefined; ) {
      const next: Held = at;
      path.unshift(next);
      at = next.of.first <= end + 1 ? undefined : await findBefore(next, looking);
    }
    // The blocks between are searched again in the next look: without them these records would come after a hole.
    if (looking.isOver() && (path[0]?.of.first ?? 0) > end + 1) return;
    cursor.held = cursor.held.filter((one) => !path.includes(one));
    for (const each of path) {
      const { name: listed, of: block } = each;
      const read = listed === entry.name ? content : await contentOf(each, block, looking);
      const part = read.text && upTo(block, read.text, Math.min(block.last, signedSeq));
      if (block.last <= signedSeq) index(cursor, listed);
      await takeLines(listed, { ...read, name: block, ...part }, looking);
    }
    looking.last = [entry.name, content];
    if (signedSeq < of.last && (path.length > 0 || cursor.held.length < heldMax)) cursor.held.push(own);
  }

  /** The block before a block: a held one, or one found by its name, since the number of held ones is limited. */
  async function findBefore(next: Held, looking: Looking): Promise<Held | undefined> {
    const { signal, cursor } = looking;
    const known = cursor.held.find((one) => isBefore(one, next));
    if (known !== undefined) return known;
    const { host, journal, first } = next.of;
    const after = shardFolder(host, journal, endOf(next.of));
    for await (const page of entriesOf(journalFolder(host, journal), after, signal)) {
      if (looking.isOver()) return undefined;
      for (const entry of page) {
        const of = parseBlockName(entry.name);
        if (of?.last !== first - 1 || of.hash !== next.prev) continue;
        const { text, storedMs: atMs } = await contentOf(entry, of, looking);
        const prev = text && firstClaim(text)?.prev;
        if (prev !== undefined) return { ...entry, of, storedMs: atMs, prev, seenSeq: 0 };
      }
      if (page.some(({ name }) => (parseBlockName(name)?.first ?? 0) >= first)) return undefined;
    }
    return undefined;
  }

  /** Compares held blocks that begin before the last proved record with the proved ones. False: not all were compared. */
  async function compareHeld(looking: Looking): Promise<boolean> {
    const { cursor } = looking;
    const isDue = ({ of, seenSeq }: Held): boolean => of.first <= endOf(of) && seenSeq < endOf(of);
    for (const one of cursor.held.filter(isDue)) {
      const { name, of, prev } = one;
      const end = endOf(of);
      looking.signal.throwIfAborted();
      if (looking.isOver()) return false;
      cursor.held.splice(cursor.held.indexOf(one), 1);
      // One that was wrong is read once more in the next look.
      if (prev === undefined) continue;
      if (of.last <= end) await takeBlock(one, of, looking);
      else {
        const content = await contentOf(one, of, looking);
        const part = content.text && upTo(of, content.text, end);
        const isSame = await takeLines(name, { ...content, name: of, ...part }, looking);
        if (isSame) cursor.held.push({ ...one, seenSeq: end });
        else index(cursor, name);
      }
    }
    return true;
  }

  /** Notes what is held, for the status and the findings. */
  function noteUnproved(host: string, journal: string, { held }: Cursor): void {
    const blocks = held.filter(({ prev }) => prev !== undefined);
    let seq = endOf({ host, journal });
    for (const { of } of blocks.toSorted((one, other) => one.of.first - other.of.first))
      if (of.first <= seq + 1) seq = Math.max(seq, of.last);
    const times = blocks.map(({ storedMs: ms }) => ms);
    const unproved = { seq, sinceMs: Math.min(...times), storedMs: Math.max(...times) };
    fleet.noteUnproved(host, journal, blocks.length === 0 ? undefined : unproved);
    if (blocks.length > 0 && !behindMs.has(host)) behindMs.set(host, unproved.sinceMs);
  }

  /** The content of a new block, which counts for the look and for the credit of the day. */
  async function newContentOf(entry: Listed, name: BlockName, looking: Looking): Promise<Content> {
    const { cursor, wrong, look } = looking;
    const content = await contentOf(entry, name, looking);
    const { text, storedMs: atMs, bytes } = content;
    countOfDay(cursor, name, [Math.floor(atMs / dayMs), text?.length ?? 0, bytes]);
    storedMs = Math.max(storedMs, atMs);
    look.storedMs = Math.max(look.storedMs, atMs);
    if (looking.wrong !== wrong) return content;
    objects += 1;
    look.objects += 1;
    if (objects % objectsPerSave === 0) reader.save();
    return content;
  }

  /** `listed`: the object that has them. False: something is wrong with them. */
  async function takeLines(listed: string, block: StoredBlock, looking: Looking): Promise<boolean> {
    const { cursor } = looking;
    const { name, text, storedMs: atMs } = block;
    if (text === undefined && keyOf(listed) !== undefined) return false;
    const end = endOf(name);
    const { faults } = fleet;
    const findings = fleet.take(block);
    const isClean = fleet.faults === faults;
    const isMirroredNow = mirror.take(block, isClean, fleet.late);
    if (hosts.has(name.host)) {
      if (isMirroredNow) behindMs.delete(name.host);
      else if (!behindMs.has(name.host)) behindMs.set(name.host, atMs);
    }
    const lastMs = cursor.times.at(-1)?.[1] ?? -Infinity;
    if (name.last > end && atMs - lastMs >= keepMs / timesMax)
      cursor.times = [...cursor.times, [name.last, atMs] as const].slice(-timesMax);
    take(findings);
    if (text !== undefined && fleet.lacks(name) && fitsName(text, name))
      cursor.waiting = [...cursor.waiting, listed].slice(-namesMax);
    if (fleet.late === undefined || cursor.waiting.length === 0) return isClean;
    const { waiting } = cursor;
    cursor.waiting = [];
    for (const each of waiting.toReversed()) {
      const again = parseName(each);
      if (isBlockName(again) && each !== listed)
        await takeBlock(await listedOf(each, looking.signal), again, looking);
    }
    return isClean;
  }

  /** A full block needs no credit. */
  function countOfDay(
    cursor: Cursor,
    { host, journal, first }: BlockName,
    [day, length, size]: readonly [number, number, number],
  ): void {
    const [before, ...known] = cursor.day;
    if (day < before) return;
    const [had, hadBytes] = day === before ? known : [0, 0];
    const [many, bytes] = [had + (length < bounds.storeBlockBytes / 2 ? 1 : 0), hadBytes + size];
    cursor.day = [day, many, bytes];
    const isMany = had <= objectsMax && many > objectsMax;
    if (!isMany && !(hadBytes <= bytesPerDay && bytes > bytesPerDay)) return;
    const what = isMany
      ? `more than ${objectsMax} objects (objects_per_day)`
      : `more than ${bytesWords(bytesPerDay)} (bytes_per_day)`;
    tellTooMuch(host, journal, first, `it has put ${what} on ${formatTime(day * dayMs).slice(0, 10)}`);
  }

  function tellTooMuch(host: string, journal: string, seq: number | undefined, what: string): void {
    const text = `${what}: somebody fills the store with its credential, or it needs more; look what its gate sends, and end the credential if that is less`;
    note('too-much', host, text, journal, seq);
  }

  /** The lines of an object: of its newest version if they join under its name, otherwise of the oldest version whose lines do. */
  async function contentOf(
    { name: listed, versions, copies = [] }: Listed,
    name: BlockName,
    looking: Looking,
  ): Promise<Content> {
    const { signal, last } = looking;
    if (last?.[0] === listed) return last[1];
    const isHidden = versions[0]?.isMarker === true;
    const newest = isHidden ? undefined : await readOne(listed, undefined, signal);
    if (newest?.text !== undefined && fitsName(newest.text, name)) return newest;
    for (const { name: of, version, isMarker } of [...versions.toReversed(), ...copies.toReversed()]) {
      // Without versions, this object was read already.
      if (isMarker || (version === '' && of === listed)) continue;
      const one = await readOne(of, version, signal);
      if (one?.text === undefined || !fitsName(one.text, name)) continue;
      // A lifecycle rule hides what is old enough before it removes it.
      if (isHidden && isOld(one.storedMs)) return one;
      const atMs = newest?.storedMs ?? versions[0]?.storedMs ?? one.storedMs;
      const how = isHidden ? 'was hidden by a delete marker' : 'was overwritten';
      const what = of === listed ? 'an older version of it' : `its copy ${of}`;
      const text = `the object ${listed} ${how}, and ${what} has the records; look who did that`;
      note('changed', name.host, text, name.journal, name.first, atMs);
      return one;
    }
    looking.wrong += 1;
    const wrong = newest ?? { text: undefined, storedMs: systemClock.wallMs(), bytes: 0 };
    if (keyOf(listed) === undefined) return wrong;
    // No signature covers lines that do not join.
    const what = `the object ${listed} is no block of records: it was changed, or somebody else put it there; look who may write there`;
    note('changed', name.host, what, name.journal, name.first, newest?.storedMs);
    return { ...wrong, text: undefined };
  }

  async function listedOf(name: string, signal: AbortSignal): Promise<Listed> {
    const below = name.slice(0, name.lastIndexOf('/') + 1);
    for await (const page of entriesOf(below, justBefore(copyNameOf(name)), signal))
      for (const entry of page)
        if (entry.name >= name) return entry.name === name ? entry : { name, versions: [] };
    return { name, versions: [] };
  }

  /** Undefined: there is none. */
  async function readOne(name: string, version: string | undefined, signal: AbortSignal) {
    const read = await bytesOf(name, version, bounds.storeBlockBytes, signal);
    return read && { text: await textOfBlock(read.bytes), storedMs: read.storedMs, bytes: read.bytes.length };
  }

  async function bytesOf(name: string, version: string | undefined, bytesMax: number, signal: AbortSignal) {
    try {
      const of = version === undefined || version === '' ? {} : { version };
      const { bytes, storedMs: atMs } = await store.read(name, { bytesMax, signal, ...of });
      // A time in the future would hide the silence of a host.
      return { bytes, storedMs: Math.min(atMs, systemClock.wallMs()) };
    } catch (fault) {
      if (isStoreAway(fault)) throw fault;
      return undefined;
    }
  }

  /** What the mirror has under the last number of a block. Undefined: it cannot say that. */
  async function mirrored(
    of: Pick<BlockName, 'host' | 'journal' | 'last' | 'hash'>,
  ): Promise<'same' | 'other' | 'absent' | undefined> {
    const { host, journal, last, hash } = of;
    const held = await findRecord(join(mirrorIn(state), host, journal), last);
    if (typeof held !== 'string') return held.hash === hash ? 'same' : 'other';
    return held === 'absent' && hosts.has(host) && !mirror.isFull(host) ? held : undefined;
  }

  async function hasMarked(mark: ForkedName): Promise<boolean> {
    return (await mirrored({ ...mark, last: mark.seq })) === 'same';
  }

  function index(cursor: Cursor, name: string): void {
    if (cursor.names.includes(name)) return;
    cursor.names = [...cursor.names, name].toSorted().slice(-namesMax);
  }

  function tellCut({ host, journal, cursor }: Looking, first: number, last: number): void {
    const storedAt = cursor.times.findLast(([seq]) => seq <= last)?.[1] ?? cursor.times[0]?.[1];
    if (isOld(storedAt ?? 0)) return;
    const kept = keepMs > 0 ? ', before their age ("keep")' : '';
    const text = `records ${first} to ${last} were read, and the store does not have them any more${kept}; look who may delete there, and whether a lifecycle rule does: the mirror has them`;
    note('cut-in-store', host, text, journal, first);
  }

  /** Whether the names of a journal still have every record that was read, and have no different ones. */
  async function compareNames(looking: Looking): Promise<void> {
    const { host, journal, signal } = looking;
    const { seq: end = 0, from = 1 } = fleet.endOf(host, journal) ?? {};
    let next = from;
    let [checked, strange, again, isPast] = [0, 0, 0, false];
    const marks: ForkedName[] = [];
    for await (const page of entriesOf(journalFolder(host, journal), undefined, signal)) {
      for (const entry of page) {
        const name = parseName(entry.name);
        if (name === undefined) strange += 1;
        if (isForkedName(name) && marks.push(name) > bounds.fleetFindings) marks.shift();
        if (!isBlockName(name)) continue;
        // Names are in the order of their first records.
        isPast = name.first > end;
        if (isPast) break;
        const { first, last } = name;
        const isDoubtful = entry.versions.length > 1 || first < next;
        // A lifecycle rule hides what is old.
        if (entry.versions[0]?.isMarker !== true) again += entry.versions.length - (first < next ? 0 : 1);
        if (first > next && !fleet.lacks({ ...name, first: next, last: first - 1 }))
          tellCut(looking, next, first - 1);
        if (isDoubtful && !fleet.lacks(name) && (checked += 1) <= strangeMax)
          await compareBlock(entry, name, end, looking);
        next = Math.max(next, last + 1);
      }
      if (isPast || strange > strangeMax) break;
    }
    // Marks of a gate whose disk was restored from a copy may be far from the end.
    for (const mark of marks) take(fleet.takeMark(mark, await hasMarked(mark)));
    if (again > objectsMax)
      tellTooMuch(host, journal, from, `${again} objects and versions have what is there already`);
    if (next <= end && strange <= strangeMax && !fleet.lacks({ host, journal, first: next, last: end }))
      tellCut(looking, next, end);
  }

  async function compareBlock(entry: Listed, name: BlockName, end: number, looking: Looking): Promise<void> {
    const content = await contentOf(entry, name, looking);
    const { text } = content;
    // Late records are not in the segments of the mirror yet.
    if (text === undefined || !fitsName(text, name) || name.last > end || (await mirrored(name)) !== 'other')
      return;
    const signed = fleet.lastSigned(name, text);
    const isProved = signed && (await mirrored({ ...name, last: signed.seq, hash: signed.hash })) === 'other';
    take(fleet.takeFork({ ...content, name }, isProved === true));
  }

  /** Whether the store's retention may have removed it. */
  function isOld(atMs: number): boolean {
    return keepMs > 0 && systemClock.wallMs() - atMs >= agePart * keepMs;
  }

  /** `atMs`: when the object that shows it was stored. */
  function note(
    kind: FleetFindingKind,
    host: string,
    text: string,
    journal?: string,
    seq?: number,
    atMs?: number,
  ): void {
    const time = formatTime(systemClock.wallMs());
    const finding: FleetFinding = { kind, host, journal, seq, time, text };
    if (fleet.note(finding, atMs)) take([finding]);
  }
}

/** Whether a fault concerns the store, and not only one object. */
function isStoreAway(fault: unknown): boolean {
  return !(fault instanceof StoreFault) || fault.code === 'away' || fault.code === 'refused';
}

export const unseenVersions =
  'this credential may not list versions (s3:ListBucketVersions), so what is hidden or overwritten is not seen';

const anyOfJournal = `${'0'.repeat(11)}/${'0'.repeat(15)}1-${'0'.repeat(15)}1-${'0'.repeat(64)}.jsonl.gz`;
const anyBlock = `${'0'.repeat(32)}/${anyOfJournal}`;

function shown(name: string): string {
  return printable(name.slice(0, 300));
}

/** Whether its last record is the one before the first line of `next`. */
function isBefore({ of, prev }: Held, next: Held): boolean {
  return prev !== undefined && of.last === next.of.first - 1 && of.hash === next.prev;
}

/** The name of a block's copy; any other name is returned unchanged. */
function copyNameOf(name: string): string {
  return name.replace(/\.jsonl\.gz$/, '.2.jsonl.gz');
}

/** When its newest version that is not hidden was stored. Undefined: the list does not say it. */
function putMs({ versions }: Listed): number | undefined {
  return versions.find(({ isMarker }) => !isMarker)?.storedMs;
}

/** A name that sorts before this one, and after all other names that do. */
function justBefore(name: string): string {
  const last = name.charCodeAt(name.length - 1);
  return `${name.slice(0, -1)}${String.fromCharCode(last - 1)}\u007E`;
}
