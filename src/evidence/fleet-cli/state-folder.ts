// The state directory of a verifier: what was read of each journal, and the findings, the signed lines, the status for others. One
// process at a time uses it, by a kernel lock; after a power cut each file is either the new or the old one.
//
//   lock   state.json   status.json   checkpoints.jsonl   checkpoint.key (0600)   checkpoint.pub
//
// checkpoint.pub holds the public keys of all that signed, oldest first, a line each. While the key is replaced, the new one lies in
// checkpoint.key.next until a line of the old one names it; a start that finds both puts it into its place.

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { ourselves, userNameOf } from '../../host/machine/accounts.js';
import {
  makeFolder,
  readIfThere,
  readOrMakeFile,
  statOf,
  writeAtomically,
} from '../../host/machine/files.js';
import { lockHolder } from '../../host/machine/find-peer.js';
import { loadNative } from '../../host/machine/native.js';
import { CommandFault } from '../../host/output/output.js';
import { messageOf } from '../../host/ports/faults.js';
import { exitCodes } from '../../host/ports/machine.js';
import { count, distanceMs, text as textOf } from '../../host/values/shape.js';
import { parseLine } from '../../host/values/values.js';
import { makeSignKey, parsePublicKey, parseSignKey } from '../../rules/keys/sign-key.js';
import { readCheckpoint } from '../fleet/checkpoint.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import type { FleetStatus } from '../fleet/shapes.js';
import { nameOfStore } from './open-settings.js';

const word = textOf(bounds.fleetLineBytes);
const savedJournal = z
  .strictObject({
    /** `HOST/JOURNAL/`. */
    folder: word,
    /** The last objects that were read, in the order of the store. */
    names: z.array(word).readonly(),
    /** Objects for a hole whose end is missing, too. */
    waiting: z.array(word).readonly(),
    /** Where the last look ended, if it did not see all names; else empty. */
    from: word,
    /** Some records, and when each was stored (milliseconds since 1970): they tell how old removed records were. */
    times: z.array(z.tuple([count, distanceMs]).readonly()).readonly(),
    /** The day since 1970, and the objects and bytes that were stored on it. */
    day: z.tuple([count, count, count]).readonly(),
  })
  .readonly();
export type SavedJournal = z.infer<typeof savedJournal>;

const savedState = z
  .strictObject({
    journals: z.array(savedJournal).readonly(),
    /** By the folder of a verifier, the last of its lines that was read. */
    lines: z.array(z.tuple([word, word]).readonly()).readonly(),
    /** By host, when the first block that is not in the mirror was stored. Absent: all that were read are there. */
    behindMs: z.array(z.tuple([word, distanceMs]).readonly()).readonly(),
    fleet: z.unknown(),
    /** Findings that `watch` reported and that have not ended, by name. */
    told: z.array(word).readonly(),
  })
  .readonly();
export type SavedState = z.infer<typeof savedState>;

/** Lines of checkpoints.jsonl that are compared with the store's, or sent. */
const recentMax = 64;
const stateFormat = 3;
const statusName = 'status.json';
/** The private key of checkpoints if the settings name none. */
export const ownKeyName = 'checkpoint.key';
export const linesName = 'checkpoints.jsonl';

export type StateFolder = Awaited<ReturnType<typeof openStateFolder>>;

/** Makes the directory if it is missing. Rejects with a CommandFault, also while another process uses it. */
export async function openStateFolder(settings: FleetSettings) {
  const { state: folder, checkpointKeyFile } = settings;
  const store = nameOfStore(settings);
  const at = (name: string): string => join(folder, name);
  const attempt = <Result>(what: string, run: () => Result): Result => {
    try {
      return run();
    } catch (cause) {
      if (cause instanceof CommandFault) throw cause;
      throw new CommandFault(exitCodes.configuration, `the state in ${folder}: ${what}: ${messageOf(cause)}`);
    }
  };
  const foreign = whyForeign(folder);
  if (foreign !== undefined) throw new CommandFault(exitCodes.notPermitted, foreign);
  const lock = attempt('it cannot be opened', () => {
    makeFolder(folder);
    return openSync(at('lock'), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  });
  const native = await loadNative();
  if (!attempt('it cannot be locked', () => native.lockExclusive(lock))) {
    const holder = lockHolder(lock);
    closeSync(lock);
    throw new CommandFault(
      exitCodes.notCarriedOut,
      `${holder}, a "fleet verify" or "fleet watch", has the state in ${folder}; ask it (fleet status), or name another "state"`,
    );
  }
  const keyPath = checkpointKeyFile ?? at(ownKeyName);
  /** The private key of checkpoints, in PEM; made if none is named and none exists. */
  const signKey = (): string =>
    attempt(`${keyPath}, the key of checkpoints`, () => {
      const pem = readOrMakeKey(checkpointKeyFile, keyPath, publicKeys().at(-1));
      parseSignKey(pem);
      return pem;
    });
  /** Of checkpoints.jsonl; undefined: there is none. */
  const lastLine = () => readCheckpoint(lastLinesOf(at(linesName)).at(-1) ?? '');
  const publicKeys = (): readonly string[] => readPublicKeys(folder);
  const notePublicKey = (key: string): void =>
    writeAtomically(at('checkpoint.pub'), `${[...publicKeys(), key].join('\n')}\n`, 0o644);
  /** After a line of the old key names the new one; also completes an interrupted replacement. */
  const finishReplacing = (): void => {
    const pem = checkpointKeyFile === undefined ? readIfThere(at('checkpoint.key.next')) : undefined;
    if (pem === undefined) return;
    const { key } = parseSignKey(pem);
    if (lastLine()?.nextKey === key) {
      if (!publicKeys().includes(key)) notePublicKey(key);
      writeAtomically(keyPath, pem);
    }
    unlinkSync(at('checkpoint.key.next'));
  };
  attempt('the new key of checkpoints cannot be put into its place', finishReplacing);
  return {
    /** Undefined: nothing was saved yet. Throws a CommandFault for a foreign file. */
    load: () => readSaved(folder, store),
    /** On disk when it returns. */
    save(state: SavedState): void {
      const text = `${JSON.stringify({ format: stateFormat, store, ...state })}\n`;
      attempt('state.json cannot be written', () => writeAtomically(at('state.json'), text));
    },
    writeStatus(status: FleetStatus): void {
      const text = `${JSON.stringify(status)}\n`;
      attempt(`${statusName} cannot be written`, () => writeAtomically(at(statusName), text, 0o640));
    },
    signKey,
    /** The public keys of checkpoints, oldest first; the last one signs. Throws a CommandFault if the present key was replaced. */
    publicKeys(): readonly string[] {
      const { key } = parseSignKey(signKey());
      return attempt('checkpoint.pub', () => {
        const known = publicKeys();
        const next = lastLine()?.nextKey;
        if ((next !== undefined && next !== key) || (known.includes(key) && known.at(-1) !== key)) {
          const by = next ?? known.at(-1) ?? '';
          const text = `${keyPath} was replaced by the key ${by}: put that one there, or name its file as checkpoint_key`;
          throw new CommandFault(exitCodes.configuration, text);
        }
        if (!known.includes(key)) notePublicKey(key);
        return publicKeys();
      });
    },
    /** Adds the old key's line that names the new one. `newPem` undefined: the settings will name its place. On disk when it returns. */
    replaceKey(line: string, newKey: string, newPem: string | undefined): void {
      attempt('the key of checkpoints cannot be replaced', () => {
        if (newPem !== undefined) writeAtomically(at('checkpoint.key.next'), newPem);
        this.addCheckpoint(line);
        if (newPem === undefined) notePublicKey(newKey);
        else finishReplacing();
      });
    },
    lastCheckpoint: () => attempt('checkpoints.jsonl cannot be read', lastLine),
    lastCheckpoints(): readonly string[] {
      return attempt('checkpoints.jsonl cannot be read', () => lastLinesOf(at(linesName)).slice(-recentMax));
    },
    /** Adds a line; on disk when it returns. */
    addCheckpoint(line: string): void {
      attempt('checkpoints.jsonl cannot be written', () => {
        const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
        const file = openSync(at(linesName), flags, 0o600);
        try {
          writeSync(file, `${isTorn(file) ? '\n' : ''}${line.trimEnd()}\n`);
          fsyncSync(file);
        } finally {
          closeSync(file);
        }
      });
    },
    close(): void {
      closeSync(lock);
    },
  };
}

/** Files that root writes would stop the verifier, which runs as the owner. Undefined: this process may write there. */
function whyForeign(folder: string): string | undefined {
  const owner = ourselves().isRoot ? statOf(folder)?.uid : undefined;
  if (owner === undefined || owner === 0) return undefined;
  const name = userNameOf(owner);
  const next =
    name === undefined
      ? 'run this command as that user'
      : `run this command as that user: runuser -u ${name} -- dovegate audit fleet ...`;
  return `the state in ${folder} belongs to ${name ?? `uid ${owner}`}, and the verifier cannot use files that root writes there; ${next}`;
}

/** The public keys that signed checkpoints, oldest first, as in the state. Throws the system's error. */
export function readPublicKeys(folder: string): readonly string[] {
  const text = readIfThere(join(folder, 'checkpoint.pub')) ?? '';
  return text.split('\n').filter((line) => parsePublicKey(line) === line);
}

/** The last saved state of a verifier. Undefined: nothing. Throws a CommandFault for a foreign file. */
function readSaved(folder: string, store: string): SavedState | undefined {
  const path = join(folder, 'state.json');
  let text: string | undefined;
  try {
    text = readIfThere(path);
  } catch (cause) {
    const why = `state.json cannot be read: ${messageOf(cause)}`;
    throw new CommandFault(exitCodes.configuration, `the state in ${folder}: ${why}`);
  }
  if (text === undefined) return undefined;
  const { format, store: savedOf, ...rest } = parseLine(text) ?? {};
  const saved = savedState.safeParse(rest).data;
  if (saved === undefined || format !== stateFormat || savedOf !== store)
    throw new CommandFault(
      exitCodes.configuration,
      `${path} is not a state of ${store}; name another "state", or put the file away and verify everything again`,
    );
  return saved;
}

const tailBytesMax = 8 << 20;

/** The last whole lines of a file, without LF, if they are short enough. */
function lastLinesOf(path: string): readonly string[] {
  const bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (bytes === 0) return [];
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const tail = Buffer.alloc(Math.min(bytes, tailBytesMax));
    readSync(file, tail, 0, tail.length, bytes - tail.length);
    // A line without LF did not reach the disk whole.
    const lines = tail.toString('utf8', 0, tail.lastIndexOf(0x0a) + 1).split('\n');
    return lines.slice(bytes > tail.length ? 1 : 0).filter((line) => line !== '');
  } finally {
    closeSync(file);
  }
}

/** Whether a file ends in a part of a line, as after a power cut. */
function isTorn(file: number): boolean {
  const { size } = fstatSync(file);
  const last = Buffer.alloc(1);
  return size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last[0] !== 0x0a;
}

/** `known`: the public key that signed last; undefined: none did. */
function readOrMakeKey(named: string | undefined, path: string, known: string | undefined): string {
  if (named === undefined && known !== undefined && readIfThere(path) === undefined)
    throw new Error(
      `it is missing, and checkpoint.pub says that ${known} signs here: bring it back from where you keep keys. If it is lost for good, move checkpoint.pub away: then another key is made, which "verifiers" of the others must list`,
    );
  if (named === undefined) return readOrMakeFile(path, () => makeSignKey().secretPem);
  const pem = readIfThere(path);
  if (pem === undefined) throw new Error('there is no such file');
  return pem;
}

/** The last status in a state directory; undefined: nothing yet. Throws a CommandFault. */
export function readStatus(folder: string): FleetStatus | undefined {
  const path = join(folder, statusName);
  try {
    const text = readIfThere(path);
    return text === undefined ? undefined : JSON.parse(text);
  } catch (cause) {
    throw new CommandFault(exitCodes.configuration, `${path} cannot be read`, cause);
  }
}
