// Owns where a command goes that names no mailbox user: to one backend, to all with their rows joined, or where the users in its
// arguments live. Pure. It does not know which backends live.
// The rules: only what reads may go to all by default, a change needs a line of its own; a command about users by name goes to
// the one backend that has them all, and a mask goes nowhere unless a line names the backend.
import type { Effect } from '../commands/catalog.js';

/** What a line of `server_commands` says. */
export type ServerTarget =
  | { readonly kind: 'all' }
  | { readonly kind: 'by-user' }
  | { readonly kind: 'backend'; readonly backend: string };

/** Words of the configuration that are no names of backends. */
export const serverTargetWords: readonly string[] = ['all', 'by_user'];

/** The lines. */
export interface ServerCommandRules {
  /** For commands that only read and have no line of their own. */
  readonly default: ServerTarget;
  /** By full name of the command. */
  readonly byCommand: ReadonlyMap<string, ServerTarget>;
}

/** What counts of the command: an attempt of policy has it. */
export interface ServerCommand {
  readonly command: { readonly name: string };
  readonly effect: Effect;
  /** Users that it names one by one, in normal form. */
  readonly users: readonly string[];
  readonly masks: readonly unknown[];
  readonly everybody: 'none' | 'option' | 'listing' | 'unknown';
}

/** Why a command of the server goes nowhere; never renamed. */
export type UnroutableCode = 'no-server-route' | 'no-single-user';

/** Where it goes. */
export type ServerRoute =
  | { readonly kind: 'backend'; readonly backend: string }
  | { readonly kind: 'all' }
  /** Where these users live, who must all live on one backend. */
  | { readonly kind: 'users'; readonly users: readonly string[] }
  | { readonly kind: 'refused'; readonly code: UnroutableCode; readonly message: string };

/** What `user` does where no line says otherwise: it asks about users, and their rows cannot be joined. */
const own: ReadonlyMap<string, ServerTarget> = new Map([['user', { kind: 'by-user' }]]);

/** With a single backend, everything goes there whatever the lines say. */
export function routeServerCommand(
  rules: ServerCommandRules,
  backends: readonly string[],
  asked: ServerCommand,
): ServerRoute {
  const [only, ...more] = backends;
  if (only !== undefined && more.length === 0) return { kind: 'backend', backend: only };
  const { name } = asked.command;
  const line = rules.byCommand.get(name) ?? own.get(name);
  const target = line ?? (asked.effect === 'read' ? rules.default : undefined);
  switch (target?.kind) {
    case undefined:
      return refused(
        'no-server-route',
        `"${name}" changes something and there is more than one backend`,
        name,
      );
    case 'all':
      return { kind: 'all' };
    case 'backend':
      return target;
    case 'by-user': {
      if (asked.users.length > 0 && asked.masks.length === 0 && asked.everybody === 'none') {
        return { kind: 'users', users: asked.users };
      }
      return refused(
        'no-single-user',
        `"${name}" goes where its users live, and this one names no user`,
        name,
      );
    }
    default:
      return target satisfies never;
  }
}

/** The message names the missing key. */
function refused(code: UnroutableCode, why: string, name: string): ServerRoute {
  return { kind: 'refused', code, message: `${why}; server_commands has no line "${name}: BACKEND"` };
}
