// Whether a checkpoint or retire record is signed by a valid key of its host.

import { bounds } from '../../host/bounds/bounds.js';
import { isText, type StoredRecord } from '../../host/values/values.js';
import { printable } from '../../host/words/text.js';
import { isSignedBy, unsignedLine } from '../../journal/records/ledger.js';
import { parsePublicKey } from '../../rules/keys/sign-key.js';

/** Valid keys of a host: the listed one, and all keys named by valid ones. */
export interface HostKeys {
  /** Undefined: signatures are only checked against the key that they name. */
  readonly listed: string | undefined;
  readonly named: string[];
}

export type Signature =
  | { readonly kind: 'vouches' }
  | { readonly kind: 'none' }
  | { readonly kind: 'bad-signature' | 'untrusted'; readonly text: string };

export const wordCharsMax = 200;

export function shown(text: string): string {
  return printable(text.slice(0, wordCharsMax));
}

/** `text`: the record as a line without LF; the second argument: the same, parsed. A key that a valid one names is added to `named`. */
export function judgeSignature(
  text: string,
  { key, next_key: nextKey }: StoredRecord,
  { listed, named }: HostKeys,
): Signature {
  const signed = unsignedLine(text);
  if (!isText(key) || signed === undefined) {
    return listed === undefined ? { kind: 'none' } : { kind: 'untrusted', text: 'this record is not signed' };
  }
  if (!isSignedBy(key, signed.text, signed.signature)) {
    return { kind: 'bad-signature', text: `the signature of key ${shown(key)} is not right` };
  }
  if (listed !== undefined && key !== listed && !named.includes(key)) {
    const other = `key ${shown(key)} signed this record, and it is neither the listed one nor one that it named`;
    return { kind: 'untrusted', text: other };
  }
  if (isText(nextKey) && parsePublicKey(nextKey) === nextKey && !named.includes(nextKey)) {
    if (named.length >= bounds.fleetKeys) named.shift();
    named.push(nextKey);
  }
  return { kind: 'vouches' };
}
