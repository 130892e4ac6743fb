// The arguments of access on request in JSON bodies, and the ones that a person adds to a step on the page.

import * as z from 'zod';
import {
  type AccessArgument,
  type AccessStep,
  type AccessValues,
  type ValuesOf,
  wantedOf,
} from '../../doveadm/verbs/verbs.js';

/** What a person adds to a step: the arguments of all steps, without the id. */
export const decision = z.object({
  forMs: argument('forMs'),
  uses: argument('uses'),
  reason: argument('reason'),
} satisfies Readonly<Record<Exclude<keyof ValuesOf<AccessStep>, 'id'>, z.ZodType>>);

export function argument<Name extends AccessArgument>(name: Name) {
  const error = ({ input }: { readonly input?: unknown }): string => `must be ${wantedOf(name, input) ?? ''}`;
  return z
    .custom<Exclude<AccessValues[Name], undefined>>((value) => wantedOf(name, value) === undefined, { error })
    .optional();
}
