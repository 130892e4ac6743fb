// Leads from the story of a command to the playground.

import type { TrailEnd } from '../../evidence/views/trail.js';
import { asTexts } from '../../host/values/values.js';
import { formatCommand } from './words.js';

export type CommandStory = NonNullable<TrailEnd['story']>;

/** The address of the playground with this command; undefined: a part of the command is not recorded. */
export function tryPath({ asked, uid }: CommandStory): string | undefined {
  const { command, args, listener, principal, user, reason } = asked;
  const words = asTexts(args);
  if (command === '' || args === undefined || words.length !== args.length) return undefined;
  const name = principal.endsWith(`@${listener}`) ? principal.slice(0, -listener.length - 1) : principal;
  const query = new URLSearchParams({ listener, as: uid === undefined ? name : String(uid) });
  if (user !== '') query.set('user', user);
  if (reason !== '') query.set('reason', reason);
  query.set('line', formatCommand([command, ...words]));
  return `/access?${query.toString()}`;
}
