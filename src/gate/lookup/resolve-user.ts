// Resolves aliases: Dovecot's userdb may answer a name with another one, and the command then runs on that one's mailbox. Policy is
// evaluated for the names as given and for every alias. A look-up that fails is a failure, never "no alias". Otherwise `except` would stop
// working when the auth service does.

import type { UserNames } from '../../doveadm/names/user-name.js';
import { bounds } from '../../host/bounds/bounds.js';
import type { Queueing } from '../../host/concurrency/limits.js';
import type { Lookup, LookupFailure } from './lookup.js';

export type ResolveFailure =
  | LookupFailure
  | 'alias-unnamable' // the userdb's answer is no name by mail_users.characters
  | 'alias-chain' // an alias of an alias of an alias ...
  | 'users-many';

export type ResolvedUsers =
  /** In normal form, without duplicates and without the given names. */
  | { readonly kind: 'resolved'; readonly aliases: readonly string[] }
  | { readonly kind: 'failed'; readonly code: ResolveFailure };

/** Its promises never reject. */
export interface UserResolver {
  /** `users` in normal form, as the command would be sent with them. `asker`: the command's owner. */
  resolve(users: readonly string[], asker?: Queueing): Promise<ResolvedUsers>;
}

/** Uses the lookup for userdb questions; the caller still owns it. */
export function createUserResolver(lookup: Pick<Lookup, 'user'>, userNames: UserNames): UserResolver {
  return {
    async resolve(users, asker) {
      const given = new Set(users);
      if (given.size > bounds.aliasUsers) return { kind: 'failed', code: 'users-many' };
      const aliases = new Set<string>();
      for (const user of given) {
        const failure = await follow(user, given, aliases, asker);
        if (failure !== undefined) return { kind: 'failed', code: failure };
      }
      return { kind: 'resolved', aliases: [...aliases] };
    },
  };

  /** Adds every name that `user` resolves to, up to a known one or one that is not in the userdb. */
  async function follow(
    user: string,
    given: ReadonlySet<string>,
    aliases: Set<string>,
    asker: Queueing | undefined,
  ): Promise<ResolveFailure | undefined> {
    let name = user;
    // The service follows one step only, so an endless loop must be stopped here.
    for (let step = 0; step <= bounds.aliasSteps; step += 1) {
      const answer = await lookup.user(name, asker);
      if (answer.kind === 'failed') return answer.code;
      // Unknown here: evaluated as given. The backend reads the same database.
      if (answer.kind === 'not-found') return undefined;
      const next = userNames.normalise(answer.user);
      if (next.kind === 'refused') return 'alias-unnamable';
      if (next.name === name || given.has(next.name) || aliases.has(next.name)) return undefined;
      aliases.add(next.name);
      name = next.name;
    }
    return 'alias-chain';
  }
}
