// The text of a policy, put together from the groups that were ticked.

import type { Suggested, SuggestedGroup } from '../domain/page/api.js';

/** The file; undefined: nothing is ticked. */
export function composePolicy(suggested: Suggested, ticked: ReadonlySet<number>): string | undefined {
  const chosen = suggested.groups.filter((group, at) => mayTick(group) && ticked.has(at));
  if (chosen.length === 0) return undefined;
  return [
    ...suggested.before,
    '    allow:',
    ...chosen.flatMap(({ yaml }) => yaml.map((line) => `      ${line}`)),
    ...suggested.after,
    '',
  ].join('\n');
}

/** What amounts to root, or concerns all users, is no matter of a tick. */
export function mayTick({ kind }: SuggestedGroup): boolean {
  return kind === 'rule';
}

/** The groups of that effect, as `read`. */
export function withEffect({ groups }: Suggested, effect: string): number[] {
  return groups.flatMap((group, at) => (mayTick(group) && group.effect === effect ? [at] : []));
}

/** By whom, in words: one name, or how many. */
export function byWords({ byWhom, byCount }: SuggestedGroup): string {
  const [only = 'nobody'] = byWhom;
  return byCount <= 1 ? only : `${only} and ${byCount - 1} more`;
}

/** A file name that a policy's name gives, whatever characters it has. */
export function fileNameOf(policy: string): string {
  return `${policy.replace(/[^A-Za-z0-9_-]+/g, '-').slice(0, 60) || 'policy'}.yaml`;
}
