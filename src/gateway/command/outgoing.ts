// What a judged command becomes on its way to a backend: the line that is sent, and how its reply's rows are counted. Pure.
// The rule: what was judged is what is sent; of the client's line only its wishes (log lines, debug, proxy-ttl) count beside it.

import { replyCells } from '../../domain/commands/columns.js';
import type { Judged } from '../../domain/policy/judge.js';
import type { CommandLine } from '../../protocol/command.js';
import { encodeOutgoing, type OutgoingCommand } from '../relay/converse.js';

/** The command for upstreams of that minor, from what was judged and what the line asked besides. */
export function outgoingCommand(
  judgement: Judged,
  line: CommandLine,
  mayDebug: boolean,
  rowCells: number,
  serverMinor: number,
): OutgoingCommand {
  const { command, effect } = judgement.attempt;
  const fields = {
    user: judgement.user,
    name: command.name,
    args: judgement.args.map((word) => word.text),
    debug: line.debug && mayDebug,
    verbose: line.verbose,
    isLast: command.scope === 'server',
    usernameEvery: rowCells,
    // Never 0, which is an error to a server that looks at it; the backend may go no further at 1 anyhow.
    proxyTtl: line.proxyTtl === undefined ? undefined : Math.max(1, line.proxyTtl - 1),
    isReading: effect === 'read',
  };
  return encodeOutgoing(fields, serverMinor);
}

/** Why a reply cannot get the column. */
export const rowsUnknown = 'nobody knows how many cells a row of this reply has';

/** After how many cells the user's name goes in; 0: the client wants none. Undefined: nobody knows. */
export function usernameEvery(judgement: Judged, serverMinor: number): number | undefined {
  return judgement.wantsUsernameCell ? replyCells(judgement.attempt.parsed, serverMinor) : 0;
}
