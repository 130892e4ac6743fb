// The sentences about a period of policies: how it began, and what ran under it, compared with the policies before.

import { plural, timesWords } from '../../host/words/words.js';
import { numberIn } from '../../journal/records/stored.js';
import type { PolicyPeriod } from './policy-periods.js';

/**
 * `began`: `reload by root (uid 0, login uid 1000)`. `counts`: `3 commands of all policies ran then`, and what the policies before would
 * have done. `newly`: the kinds of commands that they would have denied.
 */
export function periodWords(period: PolicyPeriod) {
  const { event, commands, newly, isOlder, was } = period;
  return {
    began: isOlder
      ? 'in force before the first record that is left'
      : `${event}${event === 'reload' ? ` by ${whoOf(period)}` : ''}`,
    notes: was === undefined && !isOlder ? ['these are the first policies of this journal'] : [],
    counts: [
      `${plural(commands, 'command')} of all policies ran then`,
      ...(was === undefined || isOlder ? [] : [beforeWords(period)]),
    ],
    newly: [...newly.values()].map(
      ({ command, principal, count, reason }) =>
        `${command} by ${principal}, ${timesWords(count)}: ${reason}`,
    ),
  };
}

function beforeWords({ denied, redacted, unjudged, unlisted }: PolicyPeriod): string {
  const not = redacted + unjudged + unlisted;
  const why = [
    ...(redacted > 0 ? [`${redacted} with words that are not recorded`] : []),
    ...(unjudged > 0 ? [`${unjudged} whose judgement depends on what is not recorded`] : []),
    ...(unlisted > 0 ? [`${unlisted} of a policy that its list does not name`] : []),
  ];
  const open = not === 0 ? '' : `; ${not} could not: ${why.join(', ')}`;
  if (denied > 0)
    return `${denied} used what is new: the policies before would have denied ${denied === 1 ? 'it' : 'them'}${open}`;
  if (not === 0) return 'nobody used what is new: the policies before would have denied none of them';
  return `of those that could be judged, the policies before would have denied none${open}`;
}

function whoOf({ by = 'somebody unknown', peer = {} }: PolicyPeriod): string {
  const ids = (['uid', 'login_uid'] as const).flatMap((key) => {
    const id = numberIn(peer, key);
    return id === undefined ? [] : [`${key.replace('_', ' ')} ${id}`];
  });
  return ids.length === 0 ? by : `${by} (${ids.join(', ')})`;
}
