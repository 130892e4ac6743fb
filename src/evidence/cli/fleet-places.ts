// A fleet as the commands of `audit` read it: fleet.yaml, and the mirror that `fleet verify` and `fleet watch` write, which has a
// directory for each journal of each host.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gidsOf, ourselves } from '../../host/machine/accounts.js';
import {
  isMissing,
  readUnpiped,
  statOf,
  type Trusted,
  trustedByUs,
  whyUnreadable,
  whyUnsafe,
} from '../../host/machine/files.js';
import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { fileName, listSegments } from '../../journal/files/segments.js';
import { isHostWord } from '../../rules/config/fleet-names.js';
import { formatProblem } from '../../rules/config/problem.js';
import { parsePublicKey } from '../../rules/keys/sign-key.js';
import {
  type FleetFiles,
  type FleetReader,
  type FleetSettings,
  parseFleetSettings,
} from '../fleet/parse-fleet.js';

/** Warns on stderr. `reader`: as in `parseFleetSettings`. Throws a CommandFault with all problems. */
export function readFleetSettings(
  path: string,
  screen: Pick<Screen, 'complain'>,
  reader?: FleetReader,
): FleetSettings {
  const content = readAsked(path);
  const us = trustedByUs();
  const filesFor = (trusted: Trusted): FleetFiles => ({
    readText: readUnpiped,
    whyUnreadable,
    isMissing,
    whyUnsafe: (file, isSecret) => whyUnsafe(file, isSecret, file === path ? us : trusted),
  });
  const filesOf = (state: string): FleetFiles => filesFor(trustedWith(state));
  const { settings, problems } = parseFleetSettings(path, content, filesFor(us), reader, filesOf);
  const lines = problems.map((problem) => formatProblem(problem, content));
  if (settings === undefined) throw new CommandFault(exitCodes.configuration, lines.join('\n'));
  for (const line of lines) screen.complain(line);
  return settings;
}

/** The text of a file from the command line. Throws a CommandFault. */
export function readAsked(path: string): string {
  try {
    return readUnpiped(path);
  } catch (cause) {
    throw new CommandFault(exitCodes.configuration, `${path} cannot be read`, cause);
  }
}

/** Root reads the files of the verifier's user, who owns the state. */
function trustedWith(state: string): Trusted {
  const uid = ourselves().isRoot ? statOf(state)?.uid : undefined;
  return trustedByUs(uid === undefined ? [] : [{ uid, gids: gidsOf(uid) }]);
}

const folderName = 'journals';
const journalName = /^[0-9a-f]{32}$/;

export function mirrorIn(state: string): string {
  return join(state, folderName);
}

/** The directories of a mirror, by host, and each host's in the order of their last segments. Throws the system's error. */
export function mirroredJournals(
  mirror: string,
): readonly { readonly host: string; readonly journal: string; readonly path: string }[] {
  const hosts = foldersIn(mirror).filter(isHostWord);
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

export interface MirroredHost {
  readonly host: string;
  /** Its listed key in base64. Undefined: none is listed. */
  readonly key: string | undefined;
  /** The directories of its journals, the most recently written one last. */
  readonly paths: readonly string[];
}

/** Listed hosts, also without a journal, and others in the mirror. `place`: fleet.yaml, or a mirror's directory. Throws a CommandFault. */
export function mirroredHosts(screen: Pick<Screen, 'complain'>, place: string): readonly MirroredHost[] {
  if (statSync(place, { throwIfNoEntry: false })?.isDirectory() === true) return hostsIn(place, new Map());
  const { state, hosts } = readFleetSettings(place, screen, 'journals');
  return hostsIn(mirrorIn(state), new Map([...hosts].map(([host, { key }]) => [host, key])));
}

/** `listed`: the hosts of fleet.yaml, with their keys. */
function hostsIn(mirror: string, listed: ReadonlyMap<string, string | undefined>): readonly MirroredHost[] {
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
    };
  });
}
