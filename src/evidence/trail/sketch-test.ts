// Whether a search may find something in a part of a journal, by the sketch of that part.

import type { TrailFilter } from '../../gate/door/trail-filter.js';
import { foldAscii } from '../../host/words/text.js';
import { anyUser, counts, named, ofGrant, requester, type Sketch } from '../../journal/records/sketch.js';
import { isOfRequests } from '../story/row.js';

/** Whether a search may find a command that was admitted in a part. `isCounting`: also if the part may have counts of commands. */
export function createSketchTest(
  {
    user,
    principal,
    grant,
    kind = 'command',
    by,
    outcome,
    sinceMs = -Infinity,
    untilMs = Infinity,
  }: TrailFilter,
  isCounting = false,
): (sketch: Sketch) => boolean {
  const since = Math.floor(sinceMs);
  const names = user === undefined ? [undefined] : [user, foldAscii(user)].map(tokenOfPattern);
  const users = names.includes(undefined) ? undefined : [anyUser, ...names.flatMap((name) => name ?? [])];
  // Other records name the requester in other keys.
  const isOfCommands =
    kind === 'command' && by === undefined && grant === undefined && !isOfRequests(outcome);
  const others = [
    ...(principal === undefined || principal.includes('*') || !isOfCommands ? [] : [requester(principal)]),
    ...(grant === undefined ? [] : [ofGrant(grant)]),
  ];
  return ({ minMs, maxMs, mayHold }) =>
    maxMs >= since &&
    minMs < untilMs &&
    ((users?.some(mayHold) !== false && others.every(mayHold)) || (isCounting && mayHold(counts)));
}

/** Undefined: a sketch does not know whether names match the pattern. */
function tokenOfPattern(pattern: string): string | undefined {
  const isKnown = !pattern.includes('*') || /^(\*@[^@*]*|[^@*]*@\*)$/.test(pattern);
  return isKnown ? named(pattern.replace('*', '')) : undefined;
}
