// `dovegate suggest`: a policy that allows the commands a listener has run, according to the audit journal.

import { systemClock } from '../../adapters/host/clock.js';
import type { Settings } from '../../domain/config/settings.js';
import type { Policy } from '../../domain/judging/policy/policy.js';
import { Sightings } from '../../domain/judging/review/recorded.js';
import { suggest as suggestPolicy } from '../../domain/judging/review/suggest.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault, stdout } from '../output/output.js';
import { readRows } from './journal-rows.js';
import {
  type ListenerChoice,
  namedPolicy,
  openListener,
  openSettings,
  principalAt,
} from './named-listener.js';

/** Whose records, and since when in Unix milliseconds: of the named principals, for their policy; otherwise of everybody. */
export type SuggestOptions = { readonly sinceMs: number } & (
  | ListenerChoice
  /** All commands that this policy decided, of every requester. */
  | { readonly config: string; readonly policy: string }
);

/** Exit code 0; 1: there is nothing to suggest; 64: no such listener or policy; 78: configuration, or no journal. */
export async function suggest(options: SuggestOptions): Promise<number> {
  const { settings, policy, of, what } = openWhose(options);
  const nowMs = systemClock.wallMs();
  const { listener, principal: whose } = of;
  const sightings = new Sightings({ ...of, added: policy.added });
  const { directory } = settings.audit;
  const filter = { ...of, sinceMs: options.sinceMs };
  const unseen = await readRows(directory, (row) => sightings.take(row), filter);
  if (sightings.lines.length === 0)
    throw new CommandFault(exitCodes.failed, `${directory} holds no command of ${what} in that time`);
  const suggestion = suggestPolicy(sightings, { settings, policy, listener, nowMs, unseen, whose });
  stdout(suggestion.text.trimEnd());
  return suggestion.rules === 0 ? exitCodes.failed : exitCodes.ok;
}

/** Whose records are read. Throws a CommandFault. */
function openWhose(options: SuggestOptions): {
  readonly settings: Settings;
  readonly policy: Policy;
  readonly of: { readonly listener?: string; readonly policy?: string; readonly principal?: string };
  readonly what: string;
} {
  if ('policy' in options) {
    const settings = openSettings(options.config);
    const { policy } = options;
    return { settings, policy: namedPolicy(settings, policy), of: { policy }, what: `policy ${policy}` };
  }
  const { settings, listener, policy } = openListener(options);
  const { name } = listener;
  const isNamed = options.uid !== undefined || options.account !== undefined;
  const whose = isNamed ? { principal: principalAt(name, options).text } : {};
  return { settings, policy, of: { listener: name, ...whose }, what: `listener ${name}` };
}
