// A fleet as the commands of `audit` read it: fleet.yaml, and the mirror that `fleet verify` and `fleet watch` write, which has a
// directory for each journal of each host.

import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gidsOf, ourselves } from '../../adapters/host/accounts.js';
import {
  isMissing,
  ownerOf,
  readText,
  type Trusted,
  trustedByUs,
  whyUnreadable,
  whyUnsafe,
} from '../../adapters/host/files.js';
import { fileName, listSegments, readIn } from '../../adapters/journal/segments.js';
import {
  type CellSettings,
  type CellsSettings,
  isOfCells,
  parseCells,
} from '../../domain/config/parse-cells.js';
import {
  type FleetFiles,
  type FleetReader,
  type FleetSettings,
  parseFleetSettings,
} from '../../domain/config/parse-fleet.js';
import { formatProblem, type Problem } from '../../domain/config/problem.js';
import { parsePublicKey } from '../../domain/records/audit/ledger.js';
import { verifierKeysIn } from '../../domain/records/fleet/checkpoint.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault } from '../output/output.js';
import type { Screen } from '../output/screen.js';

/** Warns on stderr. `reader`: as in `parseFleetSettings`. Throws a CommandFault with all problems. */
export function readFleetSettings(
  path: string,
  screen: Pick<Screen, 'complain'>,
  reader?: FleetReader,
): FleetSettings {
  const content = readAsked(path);
  const us = trustedByUs();
  const filesFor = (trusted: Trusted): FleetFiles => ({
    readText,
    whyUnreadable,
    isMissing,
    whyUnsafe: (file, isSecret) => whyUnsafe(file, isSecret, file === path ? us : trusted),
  });
  const filesOf = (state: string): FleetFiles => filesFor(trustedWith(state));
  return settingsOf(parseFleetSettings(path, content, filesFor(us), reader, filesOf), content, screen);
}

/** Warns on stderr. Throws a CommandFault with all problems. */
export function readCells(path: string, screen: Pick<Screen, 'complain'>): CellsSettings {
  const content = readAsked(path);
  const us = trustedByUs();
  const files = { readText, whyUnreadable, isMissing, whyUnsafe: whyUnsafeFor(us) };
  return settingsOf(parseCells(path, content, files), content, screen);
}

const whyUnsafeFor =
  (trusted: Trusted) =>
  (file: string, isSecret: boolean): ReturnType<typeof whyUnsafe> =>
    whyUnsafe(file, isSecret, trusted);

function settingsOf<Settings>(
  { settings, problems }: { readonly settings: Settings | undefined; readonly problems: readonly Problem[] },
  content: string,
  screen: Pick<Screen, 'complain'>,
): Settings {
  const lines = problems.map((problem) => formatProblem(problem, content));
  if (settings === undefined) throw new CommandFault(exitCodes.configuration, lines.join('\n'));
  for (const line of lines) screen.complain(line);
  return settings;
}

/** The text of a file from the command line. Throws a CommandFault. */
export function readAsked(path: string): string {
  try {
    return readText(path);
  } catch (cause) {
    throw new CommandFault(exitCodes.configuration, `${path} cannot be read`, cause);
  }
}

/** Root reads the files of the verifier's user, who owns the state. */
function trustedWith(state: string): Trusted {
  const uid = ourselves().isRoot ? ownerOf(state) : undefined;
  return trustedByUs(uid === undefined ? [] : [{ uid, gids: gidsOf(uid) }]);
}

const folderName = 'journals';
const hostWord = /^[A-Za-z0-9_-]{1,63}$/;
const journalName = /^[0-9a-f]{32}$/;

export function mirrorIn(state: string): string {
  return join(state, folderName);
}

/** The folder of the copies of a host's time stamps. */
export function stampsIn(mirror: string, host: string): string {
  return join(mirror, host, 'stamps');
}

/** The directories of a mirror, by host, and each host's in the order of their last segments. Throws the system's error. */
export function mirroredJournals(
  mirror: string,
): readonly { readonly host: string; readonly journal: string; readonly path: string }[] {
  const hosts = foldersIn(mirror).filter((name) => hostWord.test(name));
  return hosts.flatMap((host) => {
    const journals = foldersIn(join(mirror, host)).filter((name) => journalName.test(name));
    return journals
      .map((journal) => ({ host, journal, path: join(mirror, host, journal) }))
      .toSorted((one, other) => writtenMs(one.path) - writtenMs(other.path));
  });
}

/** Throws the system's error. */
export function foldersIn(path: string): readonly string[] {
  const entries = readdirSync(path, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
}

function writtenMs(path: string): number {
  const last = listSegments(path).at(-1);
  return last === undefined
    ? 0
    : (statSync(join(path, fileName(last)), { throwIfNoEntry: false })?.mtimeMs ?? 0);
}

/** How far a mirrored journal goes: its segments are cut and numbered as those of the gate. */
function reachOf(path: string): number {
  const last = listSegments(path).at(-1);
  if (last === undefined) return 0;
  const bytes = statSync(join(path, fileName(last)), { throwIfNoEntry: false })?.size ?? 0;
  // Closed ones are compressed.
  return last.number + (last.isCompressed ? 1 : bytes / (bytes + 1)) / 2;
}

/** Who made the digests of a mirror. */
export interface MirrorVerifier {
  /** Public keys in base64; digests of others do not count. */
  readonly keys: readonly string[];
  /** The keys of hosts are listed: a digest was made with these. */
  readonly isListed: boolean;
}

export interface MirroredHost {
  /** Of several cells: `CELL/HOST`. */
  readonly host: string;
  /** Its listed key in base64; undefined: none is. */
  readonly key: string | undefined;
  /** The directories of its journals, the one that is written last. */
  readonly paths: readonly string[];
  /** The folder of the copies of its time stamps, and the journals beside it, also those that go on in another cell. */
  readonly stamps: string;
  readonly journals: ReadonlySet<string>;
  readonly verifier?: MirrorVerifier | undefined;
  /** The directories where other cells have the same journals, by that of the cell where it goes on. */
  readonly elsewhere?: ReadonlyMap<string, readonly string[]>;
}

/**
 * Listed hosts, also without a journal, and others in the mirror. `place`: fleet.yaml, the directory of its mirror, cells.yaml, or a
 * directory with a copy of the state of each cell. `stamps`: of fleet.yaml. Throws a CommandFault.
 */
export function mirroredHosts(
  screen: Pick<Screen, 'complain'>,
  place: string,
): { readonly hosts: readonly MirroredHost[]; readonly stamps?: FleetSettings['stamps'] } {
  if (statSync(place, { throwIfNoEntry: false })?.isDirectory() === true) {
    const cells = cellsIn(place);
    const hosts =
      cells.length === 0
        ? hostsIn(place, new Map(), { keys: lastKeyIn(dirname(place)), isListed: false })
        : joinCells(cells.map((cell) => ofCell(screen, cell)));
    return { hosts };
  }
  if (isOfCells(place, readAsked(place)))
    return { hosts: joinCells(readCells(place, screen).cells.map((cell) => ofCell(screen, cell))) };
  const { state, hosts, stamps, verifiers } = readFleetSettings(place, screen, 'journals');
  const listed = new Map([...hosts].map(([host, { key }]) => [host, key]));
  // The state names a key, too, but whoever can write to it chose that one.
  const known = [...verifiers.values()].flatMap((keys) => keys.slice(-1));
  const keys = known.length > 0 ? known : lastKeyIn(state);
  return { hosts: hostsIn(mirrorIn(state), listed, { keys, isListed: true }), stamps };
}

/** The key with which the verifier of a state signs now. */
function lastKeyIn(state: string): readonly string[] {
  return verifierKeysIn(readIn(state, 'checkpoint.pub') ?? '')?.slice(-1) ?? [];
}

/** `keys`: of its verifier; undefined: nobody listed them, nor those of the hosts. */
type CellPlace = Pick<CellSettings, 'name' | 'directory' | 'hosts'> & Partial<Pick<CellSettings, 'keys'>>;

/** Directories below one, each with a mirror in it. */
function cellsIn(place: string): readonly CellPlace[] {
  const names = foldersIn(place).filter((name) => isThere(mirrorIn(join(place, name))));
  return names.map((name) => ({ name, directory: join(place, name), hosts: undefined }));
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** `listed`: their keys. */
function hostsIn(
  mirror: string,
  listed: ReadonlyMap<string, string | undefined>,
  verifier: MirrorVerifier,
): readonly MirroredHost[] {
  let journals: ReturnType<typeof mirroredJournals>;
  try {
    journals = mirroredJournals(mirror);
  } catch (cause) {
    const text = `${mirror}, the mirror of the fleet, cannot be read: "dovegate audit fleet verify" makes it, as its user`;
    throw new CommandFault(exitCodes.configuration, text, cause);
  }
  const hosts = [...new Set([...listed.keys(), ...journals.map(({ host }) => host)])];
  return hosts.toSorted().map((host) => {
    const own = journals.filter((one) => one.host === host);
    const key = listed.get(host);
    return {
      host,
      key: key === undefined ? undefined : parsePublicKey(key),
      paths: own.map(({ path }) => path),
      stamps: stampsIn(mirror, host),
      journals: new Set(own.map(({ journal }) => journal)),
      verifier,
    };
  });
}

interface Cell {
  readonly name: string;
  readonly hosts: readonly MirroredHost[];
}

function ofCell(
  screen: Pick<Screen, 'complain'>,
  { name, directory, hosts = new Map(), keys }: CellPlace,
): Cell {
  const mirror = mirrorIn(directory);
  const verifier = { keys: keys ?? lastKeyIn(directory), isListed: keys !== undefined };
  if (isThere(mirror)) return { name, hosts: hostsIn(mirror, hosts, verifier) };
  screen.complain(`dovegate: there is no copy of the mirror of cell ${name} in ${directory}`);
  return {
    name,
    hosts: [...hosts.keys()].map((host) => ({
      host,
      key: undefined,
      paths: [],
      stamps: stampsIn(mirror, host),
      journals: new Set<string>(),
    })),
  };
}

/** A host of two cells is one where its journals are: at the cell that has the newest lines, with what the others have of it. */
function joinCells(cells: readonly Cell[]): readonly MirroredHost[] {
  const places = new Map<string, string[]>();
  for (const { host, paths } of cells.flatMap(({ hosts }) => hosts))
    for (const path of paths) {
      const key = `${host} ${basename(path)}`;
      places.set(key, [...(places.get(key) ?? []), path]);
    }
  for (const [key, paths] of places)
    places.set(
      key,
      paths.toSorted((one, other) => reachOf(other) - reachOf(one)),
    );
  const placesOf = (host: string, path: string): readonly string[] =>
    places.get(`${host} ${basename(path)}`) ?? [];
  return cells.flatMap(({ name, hosts }) =>
    hosts.flatMap(({ host, key, paths, ...beside }) => {
      const own = paths.filter((path) => placesOf(host, path)[0] === path);
      // All of it goes on in another cell.
      if (paths.length > 0 && own.length === 0) return [];
      const elsewhere = new Map(own.map((path) => [path, placesOf(host, path).slice(1)]));
      return [{ host: cells.length > 1 ? `${name}/${host}` : host, key, paths: own, elsewhere, ...beside }];
    }),
  );
}
