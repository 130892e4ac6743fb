// What we say of a command line before any server has seen it: refused, and why; or which command, for whom, and the line that we
// would send instead. Puts together what the catalog offers, as a gate that allows whatever it can say.
import { type Command, resolveCommand, type Series } from '../../../src/doveadm/commands/catalog.js';
import { type ExpectedInput, inputOf, parseArguments } from '../../../src/doveadm/commands/parse.js';
import { canonicalArguments } from '../../../src/doveadm/meaning/canonical.js';
import { type ReplyRows, replyRows } from '../../../src/doveadm/meaning/columns.js';
import {
  reconcileUserOptions,
  sharedReach,
  type TouchedUsers,
  touchedUsers,
} from '../../../src/doveadm/meaning/reach.js';
import { createUserNames, defaultCharacters } from '../../../src/doveadm/names/user-name.js';
import {
  type CommandLine,
  encodeCommandLine,
  parseCommandLine,
} from '../../../src/doveadm/protocol/command.js';
import { WireFault } from '../../../src/host/ports/faults.js';

export interface Refused {
  readonly kind: 'refused';
  readonly code: string;
  /** When the name could be read. */
  readonly command: Command | undefined;
}

export interface Accepted {
  readonly kind: 'accepted';
  readonly command: Command;
  /** In normal form. */
  readonly user: string;
  readonly touched: TouchedUsers;
  /** The names of all users that it may touch; undefined: anybody's. */
  readonly users: ReadonlySet<string> | undefined;
  /** What we would send, without LF. */
  readonly line: Buffer;
  readonly args: readonly string[];
  readonly input: ExpectedInput;
  /** The rows for the client begin with the user's name, which the server of the canonical line does not send. */
  readonly wantsUsernameCell: boolean;
  /** The rows without that name. */
  readonly rows: ReplyRows | undefined;
}

/** The rows, each with the user's name in front, if the client wants it there. */
export function withUsername(
  { wantsUsernameCell, rows, user }: Accepted,
  cells: readonly string[],
): readonly string[] {
  if (!wantsUsernameCell || cells.length === 0) return cells;
  const width = rows?.shapeFrom(cells.slice(0, rows.decidedBy))?.columns.length ?? 0;
  if (width === 0) return cells;
  const named: string[] = [];
  for (let at = 0; at < cells.length; at += width) named.push(user, ...cells.slice(at, at + width));
  return named;
}

export type Claim = Refused | Accepted;

const userNames = createUserNames({ characters: defaultCharacters });

/** Prefixes of the shared namespaces of the twin worlds. */
const sharedPrefixes = ['shared/'];

/** @param clientMinor what the client announced: 2 is a client of 2.3 */
export function claimOf(series: Series, serverMinor: number, clientMinor: number, line: Buffer): Claim {
  const unreadable = (code: string): Refused => ({ kind: 'refused', code, command: undefined });
  let read: CommandLine;
  try {
    const found = parseCommandLine(line.at(-1) === 0x0d ? line.subarray(0, -1) : line);
    if (found.kind === 'option') return unreadable('option');
    read = found.command;
  } catch (error) {
    if (error instanceof WireFault) return unreadable(error.code);
    throw error;
  }
  if (read.fault !== undefined) return unreadable('not-utf8');
  const resolved = resolveCommand(series, read.words);
  if (resolved === undefined) return unreadable('command-unknown');
  const { command } = resolved;
  const refused = (code: string): Refused => ({ kind: 'refused', code, command });
  const named = userNames.normalise(read.user);
  if (named.kind === 'refused') return refused(`user-${named.code}`);
  const user = named.name;
  const parsed = parseArguments(series, command, resolved.args);
  if (parsed.kind === 'unparsable') return refused(parsed.code);
  const forbidden = command.params.find((one) => parsed.values.has(one.name) && one.caution === 'never');
  if (forbidden !== undefined) return refused(`never ${forbidden.name}`);
  const normal = (text: string): string => {
    const result = userNames.normalise(text);
    return result.kind === 'name' ? result.name : text;
  };
  const settled = reconcileUserOptions(parsed, user, clientMinor, normal);
  if (settled.kind === 'unparsable') return refused(settled.code);
  const touched = touchedUsers(settled.parsed, user);
  if (touched.kind === 'unknown') return refused('touched-unknown');
  const rows = replyRows(settled.parsed);
  if (settled.wantsUsernameCell && rows === undefined) return refused('row-unknown');
  const isWide =
    touched.masks.length > 0 ||
    touched.kind === 'all' ||
    sharedReach(settled.parsed, sharedPrefixes) !== undefined;
  const args = canonicalArguments(settled.parsed);
  const encoded = encodeCommandLine({
    debug: read.debug,
    verbose: read.verbose,
    proxyTtl: serverMinor >= 3 ? read.proxyTtl : undefined,
    user,
    name: command.name,
    args,
  });
  return {
    kind: 'accepted',
    command,
    user,
    touched,
    users: isWide
      ? undefined
      : new Set([
          ...(command.scope === 'user' ? [user] : []),
          ...touched.users.map(({ value }) => normal(value)),
        ]),
    line: encoded.subarray(0, -1),
    args,
    input: inputOf(command, settled.parsed),
    wantsUsernameCell: settled.wantsUsernameCell,
    rows,
  };
}
