// The keys of HTTP listeners: their text, their hash, and which key of a listener a text is.
//
//     dvg_4kQx81Zp_<43 base62 digits: 256 random bits>_<6 base62 digits: CRC-32 of all characters before them>
//
// The 8 characters after the prefix name the key to people and are not secret. The configuration holds `sha256$` and the SHA-256 of the
// whole text in lower-case hex. The digits of base62 are 0-9, A-Z, a-z, the most significant first. The text is never kept, and shown once,
// when it is made. It is compared by its hash, in constant time, with every hash of the listener.

import { createHash, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { predicateOf } from '../../host/kinds/kinds.js';
import { createGate } from '../../host/ports/peer.js';
import { sha256Hex } from '../../host/values/digest.js';
import { daysWords } from '../../host/words/words.js';

/** The beginning of every key: secret scanners look for it. */
export const keyPrefix = 'dvg_';
/** The beginning of every token for the report of one mailbox, which has the form of a key otherwise. */
export const reportTokenPrefix = 'dvr_';

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const base = BigInt(digits.length);
const shownDigits = 8;
const secretDigits = 43;
const checkDigits = 6;
const shownBytes = 8;
const secretBytes = 32;
const form = /^dv[gr]_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/;

export const keyBytes = shownBytes + secretBytes;

/**
 * The text of a new key. `random`: {@link keyBytes} random bytes. The secret is their number in base62, so all 2^256 of them are equally
 * likely; only the 8 characters for people are a remainder.
 */
export function makeKey(random: Uint8Array, prefix: string = keyPrefix): string {
  if (random.length !== keyBytes) throw new RangeError(`a key takes ${keyBytes} random bytes`);
  const bytes = Buffer.from(random);
  const shown = bytes.readBigUInt64BE() % base ** BigInt(shownDigits);
  const secret = BigInt(`0x${bytes.toString('hex', shownBytes)}`);
  const body = `${prefix}${inBase62(shown, shownDigits)}_${inBase62(secret, secretDigits)}_`;
  return body + checksum(body);
}

/** Whether the text has the form of a key, checksum included. */
export function isKey(text: string, prefix: string = keyPrefix): boolean {
  if (!form.test(text) || !text.startsWith(prefix)) return false;
  const body = text.slice(0, -checkDigits);
  return text.slice(-checkDigits) === checksum(body);
}

/** The first two parts of a key, `dvg_4kQx81Zp`, which may be shown. */
export function shownPartOf(key: string): string {
  return key.slice(0, keyPrefix.length + shownDigits);
}

export function hashKey(text: string): string {
  return `sha256$${sha256Hex(text)}`;
}

/** The 64 hex digits of a hash in a configuration; a string is the error, and contains nothing of the hash. */
export function parseKeyHash(text: string): { readonly sha256: string } | string {
  const sha256 = /^sha256\$([0-9a-f]{64})$/.exec(text)?.[1];
  if (sha256 !== undefined) return { sha256 };
  if (text.startsWith(keyPrefix))
    return 'is a key itself, which must not stand here: revoke it, make another one (dovegate key new), and write its hash';
  return 'must be sha256$ and 64 lower-case hex digits, as dovegate key new prints it';
}

function inBase62(number: bigint, length: number): string {
  let text = '';
  for (let rest = number; text.length < length; rest /= base)
    text = (digits[Number(rest % base)] ?? '') + text;
  return text;
}

function checksum(body: string): string {
  return inBase62(BigInt(crc32(body)), checkDigits);
}

const dayMs = 86_400_000;
export const keyWarnMs = 14 * dayMs;

/** `expires in 13 days`, `has expired`: the end of a sentence about a key. */
export function describeEnd(leftMs: number): string {
  if (leftMs <= 0) return 'has expired';
  return `expires in ${daysWords(leftMs)}`;
}

export interface Key {
  readonly name: string;
  readonly policy: string;
  /** Two during a replacement. */
  readonly hashes: readonly KeyHash[];
  /** The key is refused from then on; undefined: never. */
  readonly expiresMs: number | undefined;
  /** Permitted networks; empty: those of the listener. */
  readonly from: readonly string[];
  /** It may ask for tokens with which owners of mailboxes read who looked. */
  readonly ownerReports?: true;
}

export interface KeyHash {
  /** Lower-case hex, of the whole text of the key. */
  readonly sha256: string;
  /** This text is refused from then on; undefined: for the life of the key. */
  readonly untilMs?: number | undefined;
}

/** Why a key is refused: a sentence that begins with its name. */
export const keyRefusals = {
  expired: 'has expired',
  replaced: 'was replaced: the time of this hash is over (until)',
  address: 'was used from outside of its networks',
  name: 'was used with the name of another key',
} as const;
export type KeyRefusal = keyof typeof keyRefusals;

/** `stamp` changes with everything that a reload may change of the key, except its times and networks, which are checked again. */
export type KeyAnswer =
  | { readonly kind: 'right'; readonly key: Key; readonly stamp: string }
  | { readonly kind: 'refused'; readonly key: Key; readonly why: KeyRefusal }
  | { readonly kind: 'unknown' };

export const isKeyAnswer = predicateOf<KeyAnswer>();

export interface KeyUse {
  readonly address: string | undefined;
  readonly nowMs: number;
  readonly name: string | undefined;
}

interface Entry {
  readonly key: Key;
  readonly digest: Buffer;
  readonly untilMs: number | undefined;
  readonly stamp: string;
  readonly isInside: (address: string | undefined) => boolean;
}

const unknown: KeyAnswer = { kind: 'unknown' };

/** The keys of one listener. Their names differ, and so do their hashes. */
export class KeyRing {
  readonly #entries: readonly Entry[];

  constructor(keys: readonly Key[]) {
    this.#entries = keys.flatMap((key) => {
      const isInside = createGate(key.from);
      return key.hashes.map(({ sha256, untilMs }) => ({
        key,
        digest: Buffer.from(sha256, 'hex'),
        untilMs,
        stamp: sha256Hex(JSON.stringify([key.name, key.policy, sha256])),
        isInside,
      }));
    });
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** The key with this text. All hashes are compared each time, so the time does not show which one matched. */
  find(text: string, use: KeyUse): KeyAnswer {
    const digest = createHash('sha256').update(text).digest();
    let found: Entry | undefined;
    for (const entry of this.#entries) if (timingSafeEqual(entry.digest, digest)) found = entry;
    if (found === undefined) return unknown;
    const { key, stamp } = found;
    const why =
      use.name !== undefined && use.name !== key.name ? 'name' : whyNot(found, use.address, use.nowMs);
    return why === undefined ? { kind: 'right', key, stamp } : { kind: 'refused', key, why };
  }

  /** The key with this stamp; undefined: it is gone, changed, or not valid from there any more. */
  stillRight(name: string, stamp: string, address: string | undefined, nowMs: number): Key | undefined {
    for (const entry of this.#entries) {
      if (entry.key.name !== name || entry.stamp !== stamp) continue;
      return whyNot(entry, address, nowMs) === undefined ? entry.key : undefined;
    }
    return undefined;
  }
}

function whyNot(
  { key, untilMs, isInside }: Entry,
  address: string | undefined,
  nowMs: number,
): KeyRefusal | undefined {
  if (key.expiresMs !== undefined && nowMs >= key.expiresMs) return 'expired';
  if (untilMs !== undefined && nowMs >= untilMs) return 'replaced';
  return isInside(address) ? undefined : 'address';
}
