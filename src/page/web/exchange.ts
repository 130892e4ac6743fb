// One command as its story tells it: what a screen makes of it beside showing it.

import type { TrailEnd } from '../../evidence/views/trail.js';
import { asObject, asText, asTexts, type StoredRecord } from '../../host/values/values.js';
import { numberIn, textIn, valueText } from '../../journal/records/stored.js';
import { formatCommand } from './words.js';

export type CommandStory = NonNullable<TrailEnd['story']>;
export type Fact = CommandStory['who'][number];

export interface Argument {
  /** Empty for a value that is not recorded. */
  readonly text: string;
  /** The digest of a value that is not recorded. */
  readonly hmac?: string;
}

export function argumentsOf({ asked: { args = [] } }: CommandStory): Argument[] {
  return args.map((arg: unknown): Argument => {
    const hmac = asText(asObject(arg)?.['hmac']);
    return hmac !== undefined ? { text: '', hmac } : { text: valueText(arg) };
  });
}

/** Where its records stand in the chain; a limited view has no hashes. */
export function chainOf(
  all: readonly StoredRecord[],
): readonly { readonly seq: number; readonly event: string; readonly hash: string }[] {
  return all.flatMap((record) => {
    const [seq, hash] = [numberIn(record, 'seq'), asText(record['hash'])];
    return seq === undefined || hash === undefined ? [] : [{ seq, event: textIn(record, 'event'), hash }];
  });
}

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
