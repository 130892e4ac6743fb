// Proofs of identity: secrets that cannot be printed, keyed digests, and the password hashes and client certificates of accounts.
//
//     scrypt$32768$8$1$c2l4dGVlbiBieXRlcyEh$GJv...        scrypt, N, r, p, salt and hash in base64 with its padding
//
// A password is bytes without a NUL (scrypt computes the same hash with and without NULs at the end) and is compared whole. The cost of a
// hash is bounded: dovegate pays it for every guess.

import { createHmac, randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { sha256, sha256Hex } from '../../host/values/digest.js';
import { foldAscii } from '../../host/words/text.js';

const shown = '[secret]';

/**
 * Passwords, keys, tokens: bytes that no log, template string, JSON or inspector can print: each of them shows `[secret]`. The bytes live
 * in a private field, so copying the object's properties does not carry them along either. The caller of `reveal` passes the bytes to the
 * wire or to a hash and keeps no copy.
 */
export class Secret {
  readonly #bytes: Buffer;

  /** Takes a copy of the bytes; a string is taken as UTF-8. */
  constructor(bytes: Buffer | string) {
    this.#bytes = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : Buffer.from(bytes);
  }

  /** A fresh copy of the bytes; the caller may overwrite it when it is done. */
  reveal(): Buffer {
    return Buffer.from(this.#bytes);
  }

  get isEmpty(): boolean {
    return this.#bytes.length === 0;
  }

  /** Whether the bytes are equal, in constant time (both sides are hashed first, so that not even the length shows). */
  equals(other: Buffer): boolean {
    return timingSafeEqual(sha256(this.#bytes), sha256(other));
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [Symbol.toPrimitive](): string {
    return shown;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return shown;
  }
}

/** One text for equal lists of parts, 32 base64 digits; different lists have different texts. */
export type KeyedDigest = (parts: readonly (string | Buffer)[]) => string;

/** Digests under a key of this process: a dump of a table with such keys reveals nothing, and collisions cannot be chosen. */
export function createKeyedDigest(): KeyedDigest {
  const key = randomBytes(32);
  return (parts) => {
    const hmac = createHmac('sha256', key);
    for (const part of parts) {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(part));
      hmac.update(length).update(part);
    }
    return hmac.digest('base64').slice(0, 32);
  };
}

/** A parsed hash, with the parameters to compute it again. */
export interface PasswordHash {
  /** As written; equal texts are equal hashes. */
  readonly text: string;
  readonly cost: ScryptCost;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** The numbers of scrypt: `n` is a power of two; memory is 128 * n * r bytes, time goes with n * r * p. */
export interface ScryptCost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** An account of a listener, with a password hash, a certificate name or both. */
export interface Account {
  readonly name: string;
  readonly policy: string;
  readonly passwordHash: PasswordHash | undefined;
  readonly certificateName: string | undefined;
}

export interface Login {
  /** Name of the account or of the key. */
  readonly account: string;
  /** Stamp of the account ({@link stampOf}) or of the key at the login; if it differs now, the login is not valid any more. */
  readonly stamp: string;
  /** The stamp with the fingerprint of the client's certificate, for {@link Proof}; undefined: no certificate was shown. */
  readonly shown?: string;
  /** The authorities that its client certificate was verified under, PEM of each; undefined: another proof was used. */
  readonly authorities: readonly string[] | undefined;
  readonly isKey?: true;
}

/** 2^15: 32 MiB and some 0.1 s on present machines. */
export const costDefault = 15;
/** Lowest cost of `hash-password`: below it a guess is too cheap. */
export const costMin = 14;
/** Highest cost of `hash-password`: above it a login is too slow. */
export const costMax = 17;

/** Most memory of one hash: one is computed at a time. */
const memoryBytesMax = 128 * 1024 ** 2;
/** Most work of one hash, in units of the default one: all logins wait for it. */
const workMax = 8;
const nMin = 2 ** 10;
const saltBytes = 16;
const hashBytes = 32;

/** Parses a hash; a string is the error (and contains nothing of the hash). */
export function parsePasswordHash(text: string): PasswordHash | string {
  const parts = text.split('$');
  if (parts[0] !== 'scrypt' || parts.length !== 6) {
    return 'must be scrypt$N$r$p$SALT$HASH, as dovegate hash-password prints it';
  }
  const [n, r, p] = parts.slice(1, 4).map((part) => (/^[1-9]\d{0,9}$/.test(part) ? Number(part) : 0));
  if (!n || !r || !p || n < nMin || 2 ** Math.round(Math.log2(n)) !== n) {
    return `must have a power of two from ${nMin} on as N, and r and p above 0`;
  }
  if (128 * n * r > memoryBytesMax)
    return `must not need more than ${memoryBytesMax / 1024 ** 2} MiB (128 * N * r)`;
  if (n * r * p > workMax * 2 ** costDefault * 8) {
    return `must not take more than ${workMax} times the time of scrypt$${2 ** costDefault}$8$1 (N * r * p)`;
  }
  const [salt, hash] = parts.slice(4).map(parseBase64);
  if (salt === undefined || salt.length < 8 || salt.length > 64)
    return 'must have a salt of 8 to 64 bytes, in base64';
  if (hash === undefined || hash.length < 16 || hash.length > 64)
    return 'must have a hash of 16 to 64 bytes, in base64';
  return { text, cost: { n, r, p }, salt, hash };
}

/** The text for a configuration: a new hash, with a new salt, of N = 2 to the power of `cost`. Rejects a password with a NUL. */
export async function hashPassword(password: Buffer, cost: number = costDefault): Promise<string> {
  if (password.includes(0)) throw new RangeError('a password with a NUL');
  const salt = randomBytes(saltBytes);
  const hash = await derive(password, salt, { n: 2 ** cost, r: 8, p: 1 }, hashBytes);
  return `scrypt$${2 ** cost}$8$1$${salt.toString('base64')}$${hash.toString('base64')}`;
}

/** Whether the hash is of this password. Computed on another thread, in constant time. */
export async function verifyPassword(expected: PasswordHash, password: Buffer): Promise<boolean> {
  const { salt, cost, hash } = expected;
  const isSame = timingSafeEqual(await derive(password, salt, cost, hash.length), hash);
  return isSame && !password.includes(0);
}

/** A random hash of the same cost, for names without an account: the time of an answer must not reveal which names exist. */
export function decoyOf({ cost, salt, hash }: PasswordHash): PasswordHash {
  return { text: '', cost, salt: randomBytes(salt.length), hash: randomBytes(hash.length) };
}

export function stampOf({ name, policy, passwordHash, certificateName }: Account): string {
  return sha256Hex(JSON.stringify([name, policy, passwordHash?.text ?? '', certificateName ?? '']));
}

/**
 * Whether a login by certificate is valid with these authorities for client certificates. A certificate that verified under some of them
 * verifies under a larger set, so it is not checked again while all of them are there. It is unknown which of them its chain led to: only
 * OpenSSL follows a chain (intermediates, purposes, lengths), and only in handshakes.
 */
export function isTrustedBy({ authorities }: Login, now: readonly string[] | undefined): boolean {
  // Called for each command: usually it is the same list.
  if (authorities === undefined || authorities === now) return true;
  return now !== undefined && authorities.every((each) => now.includes(each));
}

export function isCertificateOf(
  { certificateName }: Account,
  certificate: { readonly names: readonly string[] },
): boolean {
  if (certificateName === undefined) return false;
  const wanted = foldAscii(certificateName);
  return certificate.names.some((name) => foldAscii(name) === wanted);
}

function parseBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  // Node skips characters outside of base64; only encoding again shows that none was skipped.
  return bytes.toString('base64') === text ? bytes : undefined;
}

function derive(password: Buffer, salt: Buffer, { n, r, p }: ScryptCost, length: number): Promise<Buffer> {
  // Beside its main table scrypt needs far less memory than a second such table.
  const options: ScryptOptions = { N: n, r, p, maxmem: 2 * 128 * n * r + 1024 ** 2 };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, options, (fault, key) => {
      if (fault === null) resolve(key);
      else reject(fault);
    });
  });
}
