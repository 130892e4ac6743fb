// Owns what policy sees of a command: who, from where, which command, whose mailboxes, which values by name.
// It does not know how the command was spelled: spelling ends with the catalog's parser.
// The rule: an attempt is built from a complete parse only; what could not be parsed is refused before policy is asked.
import type { Command, Effect } from '../catalog/catalog.js';
import type { ParsedArguments } from '../catalog/parse.js';
import type { Series } from '../catalog/series.js';

/** One command that somebody wants to run. */
export interface Attempt {
  readonly listener: string;
  /** `NAME@LISTENER`. */
  readonly principal: string;
  readonly series: Series;
  readonly command: Command;
  /** Highest of the command's and its present parameters'. */
  readonly effect: Effect;
  /** The wire user in normal form; undefined when the line names none. */
  readonly user: string | undefined;
  /** By the parameter's long name, those that are given; what repeats the wire user has been taken out. */
  readonly values: ReadonlyMap<string, readonly string[]>;
}

/** The attempt that a parsed command is. `user` is in normal form; see identity/user-name. */
export function attemptOf(
  who: { readonly listener: string; readonly principal: string },
  user: string | undefined,
  parsed: ParsedArguments,
): Attempt {
  return {
    listener: who.listener,
    principal: who.principal,
    series: parsed.series,
    command: parsed.command,
    effect: parsed.command.effect,
    user,
    values: parsed.values,
  };
}
