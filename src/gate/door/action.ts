// What an operator may do on the page: the shape of each action, as the page sends it and the daemon carries it out.

import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { count, text } from '../../host/values/shape.js';
import { argument } from './decision.js';

const nameText = text(bounds.doorNameChars);

const flagged = z.boolean({ error: 'must be true or false' });
/** Stops a person, `key:NAME`, `listener:NAME`, `backend:NAME` or `user:NAME` at once. */
export const lockAction = z.object({
  kind: z.literal('lock'),
  target: nameText.min(1, { error: 'must be what is locked' }),
  reason: argument('reason').unwrap(),
  /** Undefined: no end, which only a hold may have. */
  forMs: count.optional(),
  /** Running commands are ended, too. */
  kills: flagged,
  /** A hold on a mail user: refuses only what could change that mail, and two persons must lift it. */
  isHold: flagged,
});
/** By the id of a lock or hold, or all of a target. */
export const unlockAction = lockAction
  .pick({ target: true, reason: true })
  .extend({ kind: z.literal('unlock') });

export const doorAction = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('kill'), id: nameText }),
  z.object({ kind: z.literal('drain'), backend: nameText, reason: argument('reason') }),
  z.object({ kind: z.literal('enable'), backend: nameText }),
  /** Acknowledges a problem that degrades nothing, by its key. */
  z.object({ kind: z.literal('acknowledge'), text: nameText, hours: z.number().int().min(1).max(720) }),
  lockAction,
  unlockAction,
]);
export type DoorAction = Readonly<z.infer<typeof doorAction>>;
