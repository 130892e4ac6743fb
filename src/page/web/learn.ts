// The text of a policy, put together from the groups that were ticked.

import { countWords } from '../../host/words/words.js';
import type { Suggested, SuggestedGroup } from '../answers/api.js';

/** The file, with what is allowed already; undefined: nothing is ticked. */
export function composePolicy(suggested: Suggested, ticked: ReadonlySet<number>): string | undefined {
  const chosen = suggested.groups.filter(
    (group, at) => isAllowed(group) || (mayTick(group) && ticked.has(at)),
  );
  if (chosen.every(isAllowed)) return undefined;
  return [
    ...suggested.before,
    '    allow:',
    ...chosen.flatMap(({ yaml }) => yaml.map((line) => `      ${line}`)),
    ...suggested.after,
    '',
  ].join('\n');
}

/** A rule of the policy allows it already: it stays, whatever is ticked. */
export function isAllowed({ allowedBy }: SuggestedGroup): boolean {
  return allowedBy !== undefined;
}

/** False for commands that amount to root or concern all users. */
export function mayTick(group: SuggestedGroup): boolean {
  return group.kind === 'rule' && !isAllowed(group);
}

export function withEffect({ groups }: Suggested, effect: string): number[] {
  return groups.flatMap((group, at) => (mayTick(group) && group.effect === effect ? [at] : []));
}

export function byWords({ byWhom, byCount }: SuggestedGroup): string {
  const [only = 'nobody'] = byWhom;
  return byCount <= 1 ? only : `${only} and ${countWords(byCount - 1)} more`;
}

export function fileNameOf(policy: string): string {
  return `${policy.replace(/[^A-Za-z0-9_-]+/g, '-').slice(0, 60) || 'policy'}.yaml`;
}
