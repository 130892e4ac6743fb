// What subcommands about policies begin with: the configuration, one listener of it with its policy, and the client's identity. Files that
// settings name are not looked at: rules can be tried on a machine without the passwords.

import { gidsOf, userNameOf } from '../adapters/host/accounts.js';
import { meantBy } from '../domain/config/problem.js';
import type { ListenerSettings, Settings } from '../domain/config/settings.js';
import { type Principal, policyOfAnybody, principalOf } from '../domain/identity/peer.js';
import type { Policy } from '../domain/policy/policy.js';
import { exitCodes } from '../ports/machine.js';
import { loadConfiguration, summarise } from '../setup/configuration.js';
import { createPolicyChooser } from '../setup/peers.js';
import { peersOf } from './check.js';
import { formatPlace, plain, stderr } from './output/output.js';

/** The client of a listener; without `uid` and `account` nobody in particular. */
interface Asker {
  readonly uid?: number | undefined;
  readonly account?: string | undefined;
}

export interface ListenerChoice extends Asker {
  readonly config: string;
  readonly listener: string;
}

/** The settings of a file without errors; else an exit code, with all problems printed. */
export function openSettings(config: string): Settings | number {
  const loaded = loadConfiguration(config, { asksForFiles: false });
  if (loaded.settings !== undefined) return loaded.settings;
  for (const problem of loaded.problems) stderr(problem);
  stderr(summarise(config, loaded));
  return exitCodes.configuration;
}

/** The listener of that name, with the policy for this client (for everybody where none is named). Else an exit code, with the reason printed. */
export function openListener(
  choice: ListenerChoice,
): { settings: Settings; listener: ListenerSettings; policy: Policy } | number {
  const { config, listener: name } = choice;
  const settings = openSettings(config);
  if (typeof settings === 'number') return settings;
  const listener = settings.listeners.find((each) => each.name === name);
  if (listener === undefined) {
    const names = settings.listeners.map((each) => each.name);
    stderr(`${config} has no listener "${plain(name)}"${hintOf(name, names)}`);
    return exitCodes.usage;
  }
  const chosen = policyNameFor(listener, choice);
  if (typeof chosen === 'number') return chosen;
  const policy = settings.policies.get(chosen);
  if (policy === undefined) throw new Error(`listener ${listener.name}: no policy ${chosen}`);
  return { settings, listener, policy };
}

/** The name of the policy for this client; else an exit code, with the reason printed. */
function policyNameFor(listener: ListenerSettings, { uid, account }: Asker): string | number {
  const { name, accounts, policies } = listener;
  const refuse = (text: string): number => {
    stderr(text);
    return exitCodes.usage;
  };
  if (accounts.length > 0) {
    const names = accounts.map((each) => each.name);
    if (account === undefined) {
      return refuse(
        `listener ${name} has accounts (${plain(names.join(', '))}); say who asks with --account`,
      );
    }
    const policy = accounts.find((each) => each.name === account)?.policy;
    return (
      policy ?? refuse(`listener ${name} has no account "${plain(account)}"${plain(hintOf(account, names))}`)
    );
  }
  if (account !== undefined) {
    return refuse(`listener ${name} has no accounts: the kernel says who asks there; say it with --uid`);
  }
  // As the daemon would choose it, with the groups that this user has now.
  const chosen =
    uid === undefined
      ? policyOfAnybody(listener)
      : createPolicyChooser(listener)({ listener: name, uid, groups: gidsOf(uid) });
  if (chosen !== undefined) return chosen;
  if (uid !== undefined) {
    stderr(`listener ${name} does not let uid ${uid} in (${formatPlace(listener.place)})`);
    return exitCodes.notPermitted;
  }
  const choices = policies.map(({ peers, policy }) => `${policy} for${peersOf(peers)}`);
  return refuse(
    `listener ${name} has a policy for some only: ${plain(choices.join('; '))}; say who asks with --uid`,
  );
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
