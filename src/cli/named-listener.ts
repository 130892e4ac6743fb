// What subcommands about policies begin with: the configuration, one listener of it with its policy, and the client's identity. Files that
// settings name are not looked at: rules can be tried on a machine without the passwords.

import { gidsOf, userNameOf } from '../adapters/host/accounts.js';
import { meantBy } from '../domain/config/problem.js';
import { type ListenerSettings, loginsOf, type Settings } from '../domain/config/settings.js';
import { type Principal, policyOfAnybody, principalOf } from '../domain/identity/peer.js';
import type { Policy } from '../domain/policy/policy.js';
import { exitCodes } from '../ports/machine.js';
import { loadConfiguration, summarise } from '../setup/configuration.js';
import { createPolicyChooser } from '../setup/peers.js';
import { peersOf } from './check.js';
import { CommandFault, formatPlace } from './output/output.js';

/** The client of a listener; without `uid` and `account` nobody in particular. */
interface Asker {
  readonly uid?: number | undefined;
  readonly account?: string | undefined;
}

export interface ListenerChoice extends Asker {
  readonly config: string;
  readonly listener: string;
}

/** The settings of a file without errors. Throws a CommandFault with all problems. */
export function openSettings(config: string): Settings {
  const loaded = loadConfiguration(config, { asksForFiles: false });
  if (loaded.settings !== undefined) return loaded.settings;
  const lines = [...loaded.problems, summarise(config, loaded)];
  throw new CommandFault(exitCodes.configuration, lines.join('\n'));
}

/** The listener of that name, with the policy for this client (for everybody where none is named). Throws a CommandFault. */
export function openListener(choice: ListenerChoice): {
  readonly settings: Settings;
  readonly listener: ListenerSettings;
  readonly policy: Policy;
} {
  const { config, listener: name } = choice;
  const settings = openSettings(config);
  const listener = settings.listeners.find((each) => each.name === name);
  if (listener === undefined) {
    const names = settings.listeners.map((each) => each.name);
    throw new CommandFault(exitCodes.usage, `${config} has no listener "${name}"${hintOf(name, names)}`);
  }
  const chosen = policyNameFor(listener, choice);
  const policy = settings.policies.get(chosen);
  if (policy === undefined) throw new Error(`listener ${listener.name}: no policy ${chosen}`);
  return { settings, listener, policy };
}

/** The name of the policy for this client. Throws a CommandFault. */
function policyNameFor(listener: ListenerSettings, { uid, account }: Asker): string {
  const { name, policies } = listener;
  const accounts = loginsOf(listener);
  const wrong = (text: string): CommandFault => new CommandFault(exitCodes.usage, `listener ${name} ${text}`);
  if (accounts.length > 0) {
    const names = accounts.map((each) => each.name);
    if (account === undefined)
      throw wrong(`has ${wordsOf(listener)} (${names.join(', ')}); say who asks with --account`);
    const policy = accounts.find((each) => each.name === account)?.policy;
    if (policy === undefined) throw wrong(`has no ${wordOf(listener)} "${account}"${hintOf(account, names)}`);
    return policy;
  }
  if (account !== undefined)
    throw wrong('has no accounts: the kernel says who asks there; say it with --uid');
  // As the daemon would choose it, with the groups that this user has now.
  const chosen =
    uid === undefined
      ? policyOfAnybody(listener)
      : createPolicyChooser(listener)({ listener: name, uid, groups: gidsOf(uid) });
  if (chosen !== undefined) return chosen;
  if (uid !== undefined) {
    const text = `listener ${name} does not let uid ${uid} in (${formatPlace(listener.place)})`;
    throw new CommandFault(exitCodes.notPermitted, text);
  }
  const choices = policies.map(({ peers, policy }) => `${policy} for${peersOf(peers)}`);
  throw wrong(`has a policy for some only: ${choices.join('; ')}; say who asks with --uid`);
}

/** Those that a client may log in as here: an account, or a key, which `--account` names as well. */
function wordOf({ accounts, keys }: ListenerSettings): string {
  return keys.length === 0 ? 'account' : accounts.length === 0 ? 'key' : 'account or key';
}

function wordsOf({ accounts, keys }: ListenerSettings): string {
  return keys.length === 0 ? 'accounts' : accounts.length === 0 ? 'keys' : 'accounts and keys';
}

function hintOf(name: string, names: readonly string[]): string {
  return meantBy(name, names, `; there are: ${names.join(', ')}`);
}

/** The principal of a client; `-` where none is named. */
export function principalAt(listener: string, { uid, account }: Asker): Principal {
  if (uid === undefined) return principalOf({ listener }, account);
  const user = userNameOf(uid);
  return principalOf({ listener, uid, ...(user === undefined ? {} : { user }) });
}
