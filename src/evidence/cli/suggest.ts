// `dovegate suggest`: a policy that allows the commands a listener has run, according to the audit journal.

import { systemClock } from '../../host/machine/clock.js';
import { CommandFault, stderr, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import {
  type ListenerChoice,
  namedPolicy,
  openListener,
  openSettings,
  principalAt,
} from '../../rules/cli/named-listener.js';
import type { Settings } from '../../rules/config/settings.js';
import type { Policy } from '../../rules/policy/policy.js';
import { Sightings } from '../review/sightings.js';
import { type Suggestion, suggest as suggestPolicy } from '../review/suggest.js';
import { readRows } from './journal-rows.js';

/** Whose records, and since when in Unix milliseconds: of the named principals, for their policy; otherwise of everybody. */
export type SuggestOptions = { readonly sinceMs: number } & (
  | ListenerChoice
  /** All commands that this policy decided, of every requester. */
  | { readonly config: string; readonly policy: string }
  /** Every policy of the file, in one text. */
  | { readonly config: string; readonly isForAll: true }
);

/** Exit code 0; 1: there is nothing to suggest; 64: no such listener or policy; 78: configuration, or no journal. */
export async function suggest(options: SuggestOptions): Promise<number> {
  const { sinceMs } = options;
  if ('isForAll' in options) return suggestAll(options);
  const whose = openWhose(options);
  const suggestion = await suggestFor(whose, sinceMs);
  if (suggestion === undefined) throw new CommandFault(exitCodes.failed, noneOf(whose));
  stdout(suggestion.text.trimEnd());
  return suggestion.rules === 0 ? exitCodes.failed : exitCodes.ok;
}

/** Policies without records are printed unchanged, so that the text can replace all policies. */
async function suggestAll({ config, sinceMs }: { config: string; sinceMs: number }): Promise<number> {
  const settings = openSettings(config);
  const texts: string[] = [];
  let rules = 0;
  for (const [name, policy] of settings.policies) {
    const whose = { settings, policy, of: { policy: name }, what: `policy ${name}` };
    const suggestion = await suggestFor(whose, sinceMs, true);
    rules += suggestion?.rules ?? 0;
    texts.push(suggestion?.text.replace(/^policies:\n/m, texts.length === 0 ? '$&' : '') ?? '');
  }
  stdout(texts.join('\n').trimEnd());
  return rules === 0 ? exitCodes.failed : exitCodes.ok;
}

const noneOf = ({ settings, what }: Whose): string =>
  `${settings.audit.directory} holds no command of ${what} in that time`;

/** Undefined: there are no records, and `isKept` is not set. */
async function suggestFor(
  whoseRecords: Whose,
  sinceMs: number,
  isKept = false,
): Promise<Suggestion | undefined> {
  const { settings, policy, of } = whoseRecords;
  const nowMs = systemClock.wallMs();
  const { listener, principal: whose } = of;
  const sightings = new Sightings({ ...of, added: policy.added });
  const unseen = await readRows(settings.audit.directory, (row) => sightings.take(row), { ...of, sinceMs });
  if (sightings.lines.length === 0) {
    if (!isKept) return undefined;
    stderr(`dovegate: ${noneOf(whoseRecords)}: it is printed as it stands`);
  }
  return suggestPolicy(sightings, { settings, policy, listener, nowMs, unseen, whose });
}

interface Whose {
  readonly settings: Settings;
  readonly policy: Policy;
  readonly of: { readonly listener?: string; readonly policy?: string; readonly principal?: string };
  readonly what: string;
}

/** Whose records are read. Throws a CommandFault. */
function openWhose(options: Exclude<SuggestOptions, { readonly isForAll: true }>): Whose {
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
