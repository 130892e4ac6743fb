// The first step of the subcommands about policies: read the configuration, one listener with its policy, and the client's
// identity. The files that settings name are not read, so rules can be tried on a machine without the passwords.

import { gidsOf, userNameOf } from '../../host/machine/accounts.js';
import { CommandFault, formatPlace, wrongUsage } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import type { AnswerRow } from '../answers/rights.js';
import { checkBeside } from '../config/check-beside.js';
import { meantBy, type Places, placeIn } from '../config/problem.js';
import type { ListenerSettings, Settings } from '../config/settings.js';
import { type Principal, principalOf } from '../identity/principal.js';
import type { Policy } from '../policy/policy.js';
import { type Asker, policyFor } from '../setup/asker.js';
import { loadConfiguration } from '../setup/configuration.js';
import { summarise } from '../setup/inspect.js';
import { createPolicyChooser } from '../setup/peers.js';

export interface ListenerChoice extends Asker {
  readonly config: string;
  readonly listener: string;
}

/** Asks a daemon (socket or HTTP) for the rows of one of dovegate's own commands. Provided by the client. Rejects with a CommandFault. */
export type AskDaemon = <Answer>(
  place: DaemonPlace,
  name: string,
  args: readonly string[],
  read: (rows: readonly AnswerRow[]) => Answer | undefined,
) => Promise<Answer>;

type DaemonPlace =
  | string
  | { readonly http: string; readonly keyFile: string | undefined; readonly ca: string | undefined };

/** The settings of a file without errors. Throws a CommandFault with all problems. */
export function openSettings(config: string): Settings {
  const loaded = loadConfiguration(config, { asksForFiles: false, checkBeside });
  if (loaded.settings !== undefined) return loaded.settings;
  const lines = [...loaded.problems, summarise(config, loaded)];
  throw new CommandFault(exitCodes.configuration, lines.join('\n'));
}

/** Throws a CommandFault. */
export function namedPolicy(
  { policies }: Settings,
  name: string,
  exitCode: number = exitCodes.usage,
): Policy {
  const policy = policies.get(name);
  if (policy !== undefined) return policy;
  const names = [...policies.keys()];
  const meant = meantBy(name, names, `; there are: ${names.join(', ')}`);
  throw new CommandFault(exitCode, `the configuration has no policy "${name}"${meant}`);
}

/** The listener of that name, with the policy for this client (for everybody if none is named). Throws a CommandFault. */
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
    throw wrongUsage(
      `${config} has no listener "${name}"${meantBy(name, names, `; there are: ${names.join(', ')}`)}`,
    );
  }
  const chosen = policyNameFor(listener, settings.places, choice);
  const policy = settings.policies.get(chosen);
  if (policy === undefined) throw new Error(`listener ${listener.name}: no policy ${chosen}`);
  return { settings, listener, policy };
}

/** The name of the policy for this client. Throws a CommandFault. */
function policyNameFor(listener: ListenerSettings, places: Places, asker: Asker): string {
  // As the daemon would choose it, with the present groups of this user.
  const found = policyFor(listener, asker, (uid) =>
    createPolicyChooser(listener)({ listener: listener.name, uid, groups: gidsOf(uid) }),
  );
  if ('policy' in found) return found.policy;
  if ('wrong' in found) throw wrongUsage(found.wrong);
  const place = placeIn(places, `listeners.${listener.name}`);
  throw new CommandFault(exitCodes.notPermitted, `${found.refused} (${formatPlace(place)})`);
}

/** The principal of a client; `-` if none is named. */
export function principalAt(listener: string, { uid, account }: Asker): Principal {
  if (uid === undefined) return principalOf({ listener }, account);
  const user = userNameOf(uid);
  return principalOf({ listener, uid, ...(user === undefined ? {} : { user }) });
}
