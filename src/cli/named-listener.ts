// What subcommands about policies begin with: the configuration, one listener of it with its policy, and who asks there.
// It does not judge. Files that settings name are not looked at: rules can be tried where no password lies.

import type { BackendSettings, ListenerSettings, Settings } from '../config/settings.js';
import { isServerCommand } from '../exchange/judge.js';
import { userNameOf } from '../host/accounts.js';
import { systemClock } from '../host/clock.js';
import { type Principal, principalOf } from '../identity/principal.js';
import { createUserNames } from '../identity/user-name.js';
import type { Policy } from '../policy/rule.js';
import { nearestName } from '../source/problem.js';
import { exitCodes } from '../terminal/exit-codes.js';
import { plain, stderr } from '../terminal/output.js';
import type { CommandLine } from '../wire/command.js';
import { loadConfiguration, summarise } from './configuration.js';

/** A listener and what it is judged by. */
export interface NamedListener {
  readonly settings: Settings;
  readonly listener: ListenerSettings;
  readonly policy: Policy;
}

/** The settings of a file without errors; else an exit code, when everything that is wrong was printed. */
export function openSettings(config: string): Settings | number {
  const loaded = loadConfiguration(config, { asksForFiles: false });
  if (loaded.settings !== undefined) return loaded.settings;
  for (const problem of loaded.problems) stderr(problem);
  stderr(summarise(config, loaded));
  return exitCodes.configuration;
}

/** The listener of that name in the configuration; else an exit code, and why was printed. */
export function openListener(config: string, name: string): NamedListener | number {
  const settings = openSettings(config);
  if (typeof settings === 'number') return settings;
  const listener = settings.listeners.find((each) => each.name === name);
  if (listener === undefined) {
    const names = settings.listeners.map((each) => each.name);
    const nearest = nearestName(name, names);
    const hint = nearest === undefined ? `there are: ${names.join(', ')}` : `did you mean ${nearest}?`;
    stderr(`${config} has no listener "${plain(name)}"; ${hint}`);
    return exitCodes.usage;
  }
  const policy = settings.policies.get(listener.policy);
  if (policy === undefined) throw new Error(`listener ${listener.name}: no policy ${listener.policy}`);
  return { settings, listener, policy };
}

/** Who asks at a listener. */
export interface Asker {
  readonly uid?: number | undefined;
  readonly account?: string | undefined;
}

/** The principal under which somebody is judged; `-` where nobody in particular is named. */
export function principalAt(listener: string, { uid, account }: Asker): Principal {
  if (uid === undefined) return principalOf({ listener }, account);
  const user = userNameOf(uid, systemClock.wallMs());
  return principalOf({ listener, uid, ...(user === undefined ? {} : { user }) });
}

/** Where a command would go; `why` there is no backend. */
export type CommandRoute =
  | { readonly backend: BackendSettings; readonly why?: undefined }
  | { readonly backend?: undefined; readonly why: string };

/** By the user of a mail command; what names no mailbox user goes to the only backend there is. */
export function routeOf(settings: Settings, line: CommandLine): CommandRoute {
  if (isServerCommand(line)) {
    const [only, ...more] = settings.backends;
    if (only !== undefined && more.length === 0) return { backend: only };
    return { why: 'it names no mailbox user, and there is more than one backend' };
  }
  const user = createUserNames(settings.mailUsers).normalise(line.user);
  if (user.kind === 'refused') return { why: user.message };
  const route = settings.routes.find((each) => each.users.matches(user.name));
  const backend = settings.backends.find((each) => each.name === route?.backend);
  return backend === undefined ? { why: 'no route matches this user' } : { backend };
}
