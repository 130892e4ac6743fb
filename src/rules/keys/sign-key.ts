// Keys that sign the journal: their files, their public part.

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** A private key that does not leave this object. */
export interface Signer {
  /** Base64 of the public key's 32 bytes. */
  readonly key: string;
  /** The same as PEM, SubjectPublicKeyInfo. */
  readonly publicPem: string;
  /** Base64 signature of a line's text, made as `unsignedLine` gives it. */
  sign(text: string): string;
}

/** The DER of an Ed25519 SubjectPublicKeyInfo before its 32 bytes. */
const publicKeyHead = Buffer.from('302a300506032b6570032100', 'hex');

/** Throws a TypeError when the text is not an Ed25519 private key in PEM; the message holds nothing of the text. */
export function parseSignKey(pem: string): Signer {
  let secret: KeyObject;
  try {
    secret = createPrivateKey(pem);
  } catch {
    throw new TypeError('not a private key in PEM (PKCS#8)');
  }
  if (secret.asymmetricKeyType !== 'ed25519') throw new TypeError('not an Ed25519 key');
  const open = createPublicKey(secret);
  return {
    key: formatKey(open),
    publicPem: open.export({ type: 'spki', format: 'pem' }).toString(),
    sign: (text) => sign(null, Buffer.from(text), secret).toString('base64'),
  };
}

/** The file in `state` with the key that signs the journal, where `sign_key` is absent. */
export const ownSignKeyName = 'audit-sign.key';

/** A new key. `secretPem`: PKCS#8, for `sign_key`. `key`: as in records; `--key` takes it as well as the PEM. */
export function makeSignKey(): {
  readonly secretPem: string;
  readonly publicPem: string;
  readonly key: string;
} {
  const { privateKey } = generateKeyPairSync('ed25519');
  const secretPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const { publicPem, key } = parseSignKey(secretPem);
  return { secretPem, publicPem, key };
}

/** The public key of a PEM text (public or private) or of base64; undefined: it is none of these. */
export function parsePublicKey(text: string): string | undefined {
  const bytes = Buffer.from(text.trim(), 'base64');
  if (bytes.length === 32 && bytes.toString('base64') === text.trim()) return text.trim();
  try {
    const key = createPublicKey(text);
    return key.asymmetricKeyType === 'ed25519' ? formatKey(key) : undefined;
  } catch {
    return undefined;
  }
}

export function publicKeyDer(key: string): Buffer {
  return Buffer.concat([publicKeyHead, Buffer.from(key, 'base64')]);
}

function formatKey(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).subarray(publicKeyHead.length).toString('base64');
}

export const publicKeyName = 'key.pub';
