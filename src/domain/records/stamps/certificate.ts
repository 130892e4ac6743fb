// Certificates of a time stamp: what node:crypto does not tell of one, and whether one chains to those that a person trusts. Revocation is
// not looked at.

import { X509Certificate } from 'node:crypto';
import { bounds } from '../../../bounds/bounds.js';
import {
  constructed,
  DerFault,
  DerReader,
  identifierOf,
  numberOf,
  readWhole,
  tags,
} from '../../language/der/read.js';

export interface Certificate {
  readonly x509: X509Certificate;
  /** As they stand in it: of its issuer the whole name, of its number the bytes. */
  readonly issuer: Buffer;
  readonly serial: Buffer;
  readonly signatureId: string;
  readonly extensions: ReadonlyMap<string, { readonly isCritical: boolean; readonly value: Buffer }>;
}

const extensionIds = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  policies: '2.5.29.32',
  extendedKeyUsage: '2.5.29.37',
};
const timeStamping = '1.3.6.1.5.5.7.3.8';

/** Of the certificates between an authority and the signer: what this module, or node:crypto, looks at. */
const understood: ReadonlySet<string> = new Set(Object.values(extensionIds));

/** MD5 and SHA-1, with RSA and ECDSA: others can make a second certificate with the same signature. */
const weakSignatures: ReadonlySet<string> = new Set([
  '1.2.840.113549.1.1.4',
  '1.2.840.113549.1.1.5',
  '1.2.840.10045.4.1',
]);
const rsaBitsMin = 2048;
const depthMax = 8;

/** Undefined: it is none. */
export function readCertificate(der: Buffer): Certificate | undefined {
  try {
    const x509 = new X509Certificate(der);
    const whole = readWhole(der, tags.sequence);
    const plan = whole.into(tags.sequence);
    plan.maybe(constructed(0));
    const serial = plan.take(tags.integer).content;
    const signatureId = identifierOf(plan.into(tags.sequence).next());
    const issuer = plan.take(tags.sequence).bytes;
    const found = plan.rest().find(({ tag }) => tag === constructed(3));
    const all = found === undefined ? [] : new DerReader(found.content).into(tags.sequence).rest();
    const extensions = new Map<string, { isCritical: boolean; value: Buffer }>();
    for (const { content } of all) {
      const each = new DerReader(content);
      const id = identifierOf(each.take(tags.objectIdentifier));
      const isCritical = each.maybe(tags.boolean)?.content[0] === 0xff;
      extensions.set(id, { isCritical, value: each.take(tags.octetString).content });
    }
    return { x509, issuer, serial, signatureId, extensions };
  } catch {
    return undefined;
  }
}

/** All of a PEM text. */
export function readAuthority(pem: string): Certificate[] {
  const parts = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return parts.slice(0, bounds.stampCertificates).flatMap((part) => {
    const der = Buffer.from(part.replaceAll(/-----[A-Z ]+-----/g, ''), 'base64');
    return readCertificate(der) ?? [];
  });
}

export function keyIdentifierOf({ extensions }: Certificate): Buffer | undefined {
  const found = extensions.get(extensionIds.subjectKeyIdentifier);
  return found && readOne(found.value, tags.octetString);
}

/** RFC 3161, section 2.3: its extended key usage is critical, and names this purpose alone; and its key may sign. */
export function isForStampsAlone({ extensions }: Certificate): boolean {
  const usage = extensions.get(extensionIds.keyUsage);
  const purposes = extensions.get(extensionIds.extendedKeyUsage);
  if (purposes?.isCritical !== true) return false;
  const [only, ...others] = readWhole(purposes.value, tags.sequence).rest();
  if (only === undefined || others.length > 0 || identifierOf(only) !== timeStamping) return false;
  // The bits digitalSignature and nonRepudiation; the first byte counts unused bits.
  return usage === undefined || ((readOne(usage.value, tags.bitString)[1] ?? 0) & 0xc0) !== 0;
}

export function isWeak({ x509 }: Certificate): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = x509.publicKey;
  return type?.startsWith('rsa') === true && (details?.modulusLength ?? 0) < rsaBitsMin;
}

/**
 * Whether a certificate is one of `authority`, or was issued by one of them, directly or by some of `others`, all of them valid at a time
 * (undefined: at any). The nearest way counts.
 */
export function isChained(
  leaf: Certificate,
  authority: readonly Certificate[],
  others: readonly Certificate[],
  timeMs: number | undefined,
): boolean {
  const trusted = new Set(authority.map(({ x509 }) => x509.fingerprint256));
  const seen = new Set<string>();
  let level = [leaf].filter((each) => isValidAt(each, timeMs));
  for (let depth = 0; depth <= depthMax && level.length > 0; depth += 1) {
    if (level.some(({ x509 }) => trusted.has(x509.fingerprint256))) return true;
    const sound = level.filter((each) => isSound(each));
    level = [...authority, ...others].filter((issuer) => {
      const { fingerprint256: print } = issuer.x509;
      if (seen.has(print) || !isValidAt(issuer, timeMs)) return false;
      if (!sound.some((each) => hasIssued(issuer, each, depth))) return false;
      seen.add(print);
      return true;
    });
  }
  return false;
}

function isValidAt({ x509 }: Certificate, timeMs: number | undefined): boolean {
  return timeMs === undefined || (Date.parse(x509.validFrom) <= timeMs && timeMs <= Date.parse(x509.validTo));
}

/** Nothing in it limits what it may be used for in a way that is not looked at. */
function isSound({ extensions, signatureId }: Certificate): boolean {
  const isKnown = [...extensions].every(([id, { isCritical }]) => !isCritical || understood.has(id));
  return isKnown && !weakSignatures.has(signatureId);
}

/** `below`: how many authorities are between the two. */
function hasIssued(issuer: Certificate, { x509 }: Certificate, below: number): boolean {
  try {
    const { value } = issuer.extensions.get(extensionIds.basicConstraints) ?? {};
    if (value === undefined || !issuer.x509.ca || isWeak(issuer)) return false;
    const constraints = readWhole(value, tags.sequence);
    constraints.maybe(tags.boolean);
    const most = constraints.maybe(tags.integer);
    if (most !== undefined && numberOf(most) < below) return false;
    // The names, the identifiers of keys, and that the issuer's key may sign certificates.
    return x509.checkIssued(issuer.x509) && x509.verify(issuer.x509.publicKey);
  } catch {
    return false;
  }
}

function readOne(bytes: Buffer, tag: number): Buffer {
  const reader = new DerReader(bytes);
  const found = reader.take(tag);
  if (!reader.isAtEnd) throw new DerFault('more stands behind it');
  return found.content;
}
