// Throw-away certificates for tests and the demo, made with node:crypto and a small DER writer (ITU-T X.690): no openssl program is needed.
// Keys are EC P-256, signatures ECDSA with SHA-256. The extensions are those that a strict verifier (OpenSSL 3, X509_V_FLAG_X509_STRICT) asks for.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate and its private key, both PEM; the key is PKCS#8. */
export interface KeyPairPem {
  certificatePem: string;
  keyPem: string;
}

/** An issued certificate. */
export interface Issued extends KeyPairPem {
  /** SHA-256 over the DER SubjectPublicKeyInfo, lower-case hex: what a key pin names. */
  spkiSha256Hex: string;
}

/** What to issue. */
export interface IssueOptions {
  /** DNS names, IP addresses and URIs (`spiffe:x`), all put into subjectAltName; the first is the subject's common name too. */
  names: readonly string[];
  /** Without subjectAltName: the common name is all there is. */
  isBare?: boolean;
  /** Default: one day before `notAfter` or before now, whichever is earlier. */
  notBefore?: Date;
  /** Default: 30 days from now. A time that has passed makes an expired certificate. */
  notAfter?: Date;
  /** true: for TLS clients (extendedKeyUsage clientAuth); default: for TLS servers. */
  client?: boolean;
}

/** A self-signed authority that issues end-entity certificates. Each has a key of its own. */
export interface Authority extends KeyPairPem {
  issue(options: IssueOptions): Issued;
}

const day = 24 * 60 * 60 * 1000;
const ecdsaWithSha256 = sequence(objectIdentifier('1.2.840.10045.4.3.2'));
const extensionIds = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
};
const serverAuth = '1.3.6.1.5.5.7.3.1';
const clientAuth = '1.3.6.1.5.5.7.3.2';

/** Makes an authority, valid from ten years ago to ten years from now, so that expired certificates fail for their own sake. */
export function makeAuthority({ name }: { name: string }): Authority {
  const keys = newKeys();
  const issuer = { name, keys };
  const certificatePem = certificate({
    subject: name,
    keys,
    issuer,
    notBefore: new Date(Date.now() - 3650 * day),
    notAfter: new Date(Date.now() + 3650 * day),
    extensions: [
      extension('basicConstraints', true, sequence(boolean(true), integer(Buffer.from([0])))),
      extension('keyUsage', true, namedBits(5, 6)),
    ],
  });
  return {
    certificatePem,
    keyPem: keys.keyPem,
    issue: (options) => issue(issuer, options),
  };
}

interface Keys {
  privateKey: KeyObject;
  keyPem: string;
  spki: Buffer;
  /** SHA-1 over the spki, as RFC 5280 section 4.2.1.2 proposes; only an identifier. */
  identifier: Buffer;
}

interface Issuer {
  name: string;
  keys: Keys;
}

interface Plan {
  subject: string;
  keys: Keys;
  issuer: Issuer;
  notBefore: Date;
  notAfter: Date;
  extensions: readonly Buffer[];
}

function issue(issuer: Issuer, options: IssueOptions): Issued {
  const [first] = options.names;
  if (first === undefined) throw new TypeError('a certificate needs a name');
  const keys = newKeys();
  const notAfter = options.notAfter ?? new Date(Date.now() + 30 * day);
  const notBefore = options.notBefore ?? new Date(Math.min(notAfter.getTime(), Date.now()) - day);
  const purpose = options.client === true ? clientAuth : serverAuth;
  const certificatePem = certificate({
    subject: first,
    keys,
    issuer,
    notBefore,
    notAfter,
    extensions: [
      extension('basicConstraints', true, sequence()),
      extension('keyUsage', true, namedBits(0)),
      extension('extendedKeyUsage', false, sequence(objectIdentifier(purpose))),
      ...(options.isBare === true
        ? []
        : [extension('subjectAltName', false, sequence(...options.names.map(generalName)))]),
    ],
  });
  const spkiSha256Hex = createHash('sha256').update(keys.spki).digest('hex');
  return { certificatePem, keyPem: keys.keyPem, spkiSha256Hex };
}

function newKeys(): Keys {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { privateKey, keyPem, spki, identifier: createHash('sha1').update(spki).digest() };
}

function certificate(plan: Plan): string {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // positive, and always 16 bytes long
  const version3 = explicit(0, integer(Buffer.from([2])));
  const tbs = sequence(
    version3,
    integer(serial),
    ecdsaWithSha256,
    commonName(plan.issuer.name),
    sequence(time(plan.notBefore), time(plan.notAfter)),
    commonName(plan.subject),
    plan.keys.spki,
    explicit(
      3,
      sequence(
        ...plan.extensions,
        extension('subjectKeyIdentifier', false, octetString(plan.keys.identifier)),
        extension('authorityKeyIdentifier', false, sequence(implicit(0, plan.issuer.keys.identifier))),
      ),
    ),
  );
  const signature = sign('sha256', tbs, plan.issuer.keys.privateKey);
  return pem('CERTIFICATE', sequence(tbs, ecdsaWithSha256, bitString(signature)));
}

function extension(name: keyof typeof extensionIds, isCritical: boolean, value: Buffer): Buffer {
  const id = objectIdentifier(extensionIds[name]);
  // DER leaves out what is the default, and not critical is the default.
  return isCritical ? sequence(id, boolean(true), octetString(value)) : sequence(id, octetString(value));
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

// DER: every value is a Buffer with one whole element: tag, length, contents.

/** One element: the tag byte, the definite length, the contents in order. */
function element(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body]);
}

function sequence(...contents: readonly Buffer[]): Buffer {
  return element(0x30, ...contents);
}

function setOf(...contents: readonly Buffer[]): Buffer {
  return element(0x31, ...contents);
}

function utf8String(text: string): Buffer {
  return element(0x0c, Buffer.from(text));
}

function octetString(bytes: Buffer): Buffer {
  return element(0x04, bytes);
}

function boolean(value: boolean): Buffer {
  return element(0x01, Buffer.from([value ? 0xff : 0]));
}

/** Constructed, context-specific `[number]`, as in EXPLICIT tagging. */
function explicit(number: number, ...contents: readonly Buffer[]): Buffer {
  return element(0xa0 | number, ...contents);
}

/** Primitive, context-specific `[number]`, as in IMPLICIT tagging of a string. */
function implicit(number: number, bytes: Buffer): Buffer {
  return element(0x80 | number, bytes);
}

/** A non-negative INTEGER from big-endian bytes, in as few bytes as DER demands. */
function integer(bytes: Buffer): Buffer {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from += 1;
  const rest = bytes.subarray(from);
  const isNegative = ((rest[0] ?? 0) & 0x80) !== 0;
  return element(0x02, isNegative ? Buffer.concat([Buffer.from([0]), rest]) : rest);
}

/** OBJECT IDENTIFIER from its dotted form. */
function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** BIT STRING of whole bytes. */
function bitString(bytes: Buffer): Buffer {
  return element(0x03, Buffer.from([0]), bytes);
}

/** BIT STRING of named bits, trailing zero bits cut off; bit 0 is the first (highest). Only the first eight are supported. */
function namedBits(...bits: readonly number[]): Buffer {
  const byte = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  return element(0x03, Buffer.from([7 - Math.max(...bits), byte]));
}

/** UTCTime up to 2049 and GeneralizedTime from 2050 on, as RFC 5280 section 4.1.2.5 demands; whole seconds. */
function time(date: Date): Buffer {
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
