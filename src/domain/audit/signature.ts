// The two keys of a journal. Ed25519 signatures of checkpoint and retire records make a chain provable to a reader who does not
// trust the disk; keys come as PEM text (PKCS#8) or as the base64 of their 32 bytes, which is how records name them. HMAC-SHA256
// stands for values that a record must not hold and that can still be compared.
// The rule: a signature is over the exact text of the line without `,"signature":"..."` and without `,"hash":"..."`, so
// it holds for every key of the record and, by `prev`, for everything before it.

import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import type { RecordedInput, Redacted } from './record.js';

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

/** A new key, in the forms that people need. */
export interface SignKeyPair {
  /** PEM, PKCS#8: what `sign_key` names. */
  readonly secretPem: string;
  /** PEM, SubjectPublicKeyInfo. */
  readonly publicPem: string;
  /** What records call it, and what `--key` takes as well as the PEM. */
  readonly key: string;
}

/** The file in `state` with the key that signs the journal, where `sign_key` is absent. */
export const ownSignKeyName = 'audit-sign.key';

export function makeSignKey(): SignKeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    secretPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    key: formatKey(publicKey),
  };
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

/** Whether a signature is right for a text under a public key in base64; false also for what is no key or signature. */
export function isSignedBy(key: string, text: string, signature: string): boolean {
  const bytes = Buffer.from(key, 'base64');
  if (bytes.length !== 32) return false;
  const spki = Buffer.concat([publicKeyHead, bytes]);
  try {
    const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    return verify(null, Buffer.from(text), publicKey, Buffer.from(signature, 'base64'));
  } catch {
    return false;
  }
}

/** What the signature of a line (text without LF) is over; undefined: the line has no signature. */
export function unsignedLine(
  line: string,
): { readonly text: string; readonly signature: string } | undefined {
  const found = /,"signature":"([A-Za-z0-9+/=]+)"/.exec(line);
  const end = /,"hash":"[0-9a-f]{64}"}$/.exec(line);
  if (found?.[1] === undefined || end === null) return undefined;
  const text = `${line.slice(0, found.index)}${line.slice(found.index + found[0].length, end.index)}}`;
  return { text, signature: found[1] };
}

function formatKey(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).subarray(publicKeyHead.length).toString('base64');
}

/** Makes digests under one key. */
export interface Redactor {
  /** The HMAC over the UTF-8 text of a value, as `dovegate audit hmac` shows it. */
  redact(value: string): Redacted;
  /** For command input, which comes in pieces. */
  meterInput(): InputMeter;
}

/** Counts and digests one command's input. */
export interface InputMeter {
  take(bytes: Uint8Array): void;
  /** Once, at the end. */
  finish(): RecordedInput;
}

const keyBytesMin = 16;

/** `key`: the contents of the key file. Throws a RangeError when it is too short to keep anything secret. */
export function createRedactor(key: string | Uint8Array): Redactor {
  const bytes = Buffer.from(typeof key === 'string' ? key.replace(/\r?\n$/, '') : key);
  if (bytes.length < keyBytesMin) throw new RangeError(`an HMAC key has at least ${keyBytesMin} bytes`);
  return {
    redact: (value) => ({ hmac: createHmac('sha256', bytes).update(value, 'utf8').digest('hex') }),
    meterInput() {
      const hmac = createHmac('sha256', bytes);
      let count = 0;
      return {
        take(part) {
          count += part.length;
          hmac.update(part);
        },
        finish: () => ({ bytes: count, hmac: hmac.digest('hex') }),
      };
    },
  };
}

/** The contents of a new key file: 32 random bytes as hex, with LF. */
export function makeHmacKey(): string {
  return `${randomBytes(32).toString('hex')}\n`;
}
