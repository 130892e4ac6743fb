// Writes X.509 certificates, which node:crypto can read but not issue, so that no openssl program is needed. The extensions
// are those that a strict verifier (OpenSSL 3, X509_V_FLAG_X509_STRICT) demands. Values are DER (ITU-T X.690): each is a Buffer with one
// whole element: tag, length, contents.

import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { isIP } from 'node:net';

/** A key pair (EC P-256). */
interface Keys {
  readonly privateKey: KeyObject;
  /** PKCS#8. */
  readonly keyPem: string;
  readonly spki: Buffer;
  /** SHA-1 over the spki, as RFC 5280 section 4.2.1.2 proposes; only an identifier. */
  readonly identifier: Buffer;
}

export interface Issuer {
  /** Common name. */
  readonly name: string;
  readonly keys: Keys;
}

interface CertificatePlan {
  /** Common name. */
  readonly subject: string;
  readonly keys: Keys;
  /** The issuer; an authority is its own. */
  readonly issuer: Issuer;
  /** Unix milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly purpose: 'authority' | 'server' | 'client';
  /** DNS names, IP addresses and URIs (`spiffe:x`) of subjectAltName. */
  readonly names: readonly string[];
}

function element(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body]);
}

const sequence = (...contents: readonly Buffer[]): Buffer => element(0x30, ...contents);
const setOf = (...contents: readonly Buffer[]): Buffer => element(0x31, ...contents);
const utf8String = (text: string): Buffer => element(0x0c, Buffer.from(text));
const octetString = (bytes: Buffer): Buffer => element(0x04, bytes);
const isTrue = element(0x01, Buffer.from([0xff]));
/** Of whole bytes. */
const bitString = (bytes: Buffer): Buffer => element(0x03, Buffer.from([0]), bytes);
/** Not negative: the first byte is below 0x80. */
const integer = (bytes: Buffer): Buffer => element(0x02, bytes);
/** Constructed, context-specific `[number]`. */
const explicit = (number: number, content: Buffer): Buffer => element(0xa0 | number, content);
/** Primitive, context-specific `[number]`. */
const implicit = (number: number, bytes: Buffer): Buffer => element(0x80 | number, bytes);

/** Named bits of the first eight, trailing zero bits cut off; bit 0 is the highest. */
function namedBits(...bits: readonly number[]): Buffer {
  const byte = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  return element(0x03, Buffer.from([7 - Math.max(...bits), byte]));
}

function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** UTCTime up to 2049 and GeneralizedTime from 2050 on, as RFC 5280 section 4.1.2.5 demands; whole seconds. */
function time(ms: number): Buffer {
  const date = new Date(ms);
  const digits = date.toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return date.getUTCFullYear() < 2050
    ? element(0x17, Buffer.from(digits.slice(2)))
    : element(0x18, Buffer.from(digits));
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

function base128(value: number): number[] {
  const bytes = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.unshift((rest % 128) | 0x80);
  }
  return bytes;
}

const ecdsaWithSha256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'));
const extensionIds = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
};
const purposeIds = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' };

export function makeKeys(): Keys {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { privateKey, keyPem, spki, identifier: createHash('sha1').update(spki).digest() };
}

/** The certificate in PEM. */
export function writeCertificate(plan: CertificatePlan): string {
  const { subject, keys, issuer, names } = plan;
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and always 16 bytes long
  const version3 = explicit(0, integer(Buffer.from([2])));
  const tbs = sequence(
    version3,
    integer(serial),
    ecdsaWithSha256,
    commonName(issuer.name),
    sequence(time(plan.notBeforeMs), time(plan.notAfterMs)),
    commonName(subject),
    keys.spki,
    explicit(
      3,
      sequence(
        ...usageOf(plan.purpose),
        ...(names.length === 0
          ? []
          : [extension('subjectAltName', false, sequence(...names.map(generalName)))]),
        extension('subjectKeyIdentifier', false, octetString(keys.identifier)),
        extension('authorityKeyIdentifier', false, sequence(implicit(0, issuer.keys.identifier))),
      ),
    ),
  );
  return pem(
    'CERTIFICATE',
    sequence(tbs, ecdsaWithSha256, bitString(sign('sha256', tbs, issuer.keys.privateKey))),
  );
}

/** An authority issues end-entity certificates only (path length 0). */
function usageOf(purpose: CertificatePlan['purpose']): readonly Buffer[] {
  if (purpose === 'authority')
    return [
      extension('basicConstraints', true, sequence(isTrue, integer(Buffer.from([0])))),
      extension('keyUsage', true, namedBits(5, 6)),
    ];
  return [
    extension('basicConstraints', true, sequence()),
    extension('keyUsage', true, namedBits(0)),
    extension('extendedKeyUsage', false, sequence(objectIdentifier(purposeIds[purpose]))),
  ];
}

function extension(name: keyof typeof extensionIds, isCritical: boolean, value: Buffer): Buffer {
  const id = objectIdentifier(extensionIds[name]);
  // DER leaves out default values, and not critical is the default.
  return isCritical ? sequence(id, isTrue, octetString(value)) : sequence(id, octetString(value));
}

function commonName(text: string): Buffer {
  return sequence(setOf(sequence(objectIdentifier('2.5.4.3'), utf8String(text))));
}

function generalName(name: string): Buffer {
  const family = isIP(name);
  if (family === 4) return implicit(7, Buffer.from(name.split('.').map(Number)));
  if (family === 6) return implicit(7, addressOfSix(name));
  if (/^[a-z]+:/.test(name)) return implicit(6, Buffer.from(name));
  return implicit(2, Buffer.from(name));
}

/** The 16 bytes of an IPv6 address in text without a dotted tail and without a zone. */
function addressOfSix(text: string): Buffer {
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const middle = Array.from({ length: 8 - front.length - back.length }, () => 0);
  return Buffer.from([...front, ...middle, ...back].flatMap((group) => [group >> 8, group & 0xff]));
}

function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
