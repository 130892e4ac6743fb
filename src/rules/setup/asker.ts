// Which policy a person has at a listener, for commands that answer from files.

import { meantBy } from '../config/problem.js';
import { type ListenerSettings, loginsOf, type PeersSettings } from '../config/settings.js';
import { policyOfAnybody } from '../identity/principal.js';

/** The identity of an asker at a listener; without `uid` and `account` it is anybody. */
export interface Asker {
  readonly uid?: number | undefined;
  readonly account?: string | undefined;
}

/** The name of a policy; or why there is none: the question is invalid (`wrong`), or this identity is not let in (`refused`). */
type PolicyFor = { readonly policy: string } | { readonly wrong: string } | { readonly refused: string };

/** The policy for an asker. `byUid`: the listener's present choice for that uid. */
export function policyFor(
  listener: ListenerSettings,
  { uid, account }: Asker,
  byUid: (uid: number) => string | undefined,
): PolicyFor {
  const { name, policies } = listener;
  const logins = loginsOf(listener);
  const wrong = (text: string): PolicyFor => ({ wrong: `listener ${name} ${text}` });
  if (logins.length > 0) {
    const names = logins.map((each) => each.name);
    if (account === undefined)
      return wrong(`has ${loginWords(listener)} (${names.join(', ')}); say who asks with --account`);
    const policy = logins.find((each) => each.name === account)?.policy;
    if (policy !== undefined) return { policy };
    const others = `; there are: ${names.join(', ')}`;
    return wrong(`has no ${loginWord(listener)} "${account}"${meantBy(account, names, others)}`);
  }
  if (account !== undefined)
    return wrong('has no accounts: the kernel says who asks there; say it with --uid');
  const chosen = uid === undefined ? policyOfAnybody(listener) : byUid(uid);
  if (chosen !== undefined) return { policy: chosen };
  if (uid !== undefined) return { refused: `listener ${name} does not let uid ${uid} in` };
  const choices = policies.map(({ peers, policy }) => `${policy} for${formatPeers(peers)}`);
  return wrong(`has a policy for some only: ${choices.join('; ')}; say who asks with --uid`);
}

/** ` users alice 1001 groups support`; empty if everybody is let in. */
export function formatPeers(peers: PeersSettings | undefined): string {
  const { users = [], groups = [] } = peers ?? {};
  const named = (what: string, names: readonly string[]): string =>
    names.length === 0 ? '' : ` ${what} ${names.join(' ')}`;
  return `${named('users', users)}${named('groups', groups)}`;
}

/** The possible logins at a listener: its accounts, or its keys, which `--account` also accepts. */
function loginWord({ accounts, keys }: ListenerSettings): string {
  return keys.length === 0 ? 'account' : accounts.length === 0 ? 'key' : 'account or key';
}

function loginWords({ accounts, keys }: ListenerSettings): string {
  return keys.length === 0 ? 'accounts' : accounts.length === 0 ? 'keys' : 'accounts and keys';
}
