// `dovegate suggest`: a policy that allows the commands a listener has run, according to the audit journal.

import { systemClock } from '../../adapters/host/clock.js';
import { Sightings } from '../../domain/judging/review/recorded.js';
import { suggest as suggestPolicy } from '../../domain/judging/review/suggest.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault, stdout } from '../output/output.js';
import { readRows } from './journal-rows.js';
import { type ListenerChoice, openListener, principalAt } from './named-listener.js';

/** Whose records, and since when in Unix milliseconds: of the named principals, for their policy; otherwise of everybody. */
export interface SuggestOptions extends ListenerChoice {
  readonly sinceMs: number;
}

/** Exit code 0; 1: there is nothing to suggest; 64: no such listener; 78: configuration, or no journal. */
export async function suggest(options: SuggestOptions): Promise<number> {
  const { settings, listener, policy } = openListener(options);
  const nowMs = systemClock.wallMs();
  const sightings = new Sightings({ listener: listener.name, added: policy.added });
  const { directory } = settings.audit;
  const isNamed = options.uid !== undefined || options.account !== undefined;
  const principal = isNamed ? principalAt(listener.name, options).text : undefined;
  const filter = { listener: listener.name, principal, sinceMs: options.sinceMs };
  const unseen = await readRows(directory, (row) => sightings.take(row), filter);
  if (sightings.lines.length === 0) {
    const text = `${directory} holds no command of listener ${listener.name} in that time`;
    throw new CommandFault(exitCodes.failed, text);
  }
  const suggestion = suggestPolicy(sightings, {
    settings,
    policy,
    listener: listener.name,
    nowMs,
    unseen,
    whose: principal,
  });
  stdout(suggestion.text.trimEnd());
  return suggestion.rules === 0 ? exitCodes.failed : exitCodes.ok;
}
