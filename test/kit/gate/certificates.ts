// Throw-away certificates for tests and the demo: no openssl program is needed.
import { createHash } from 'node:crypto';
import { type Issuer, makeKeys, writeCertificate } from '../plain/certificate-writer.js';

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
interface IssueOptions {
  /** DNS names, IP addresses and URIs (`spiffe:x`), all put into subjectAltName; the first is the subject's common name too. */
  names: readonly string[];
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

/** Makes an authority, valid from ten years ago to ten years from now, so that expired certificates fail for their own sake. */
export function makeAuthority({ name }: { name: string }): Authority {
  const keys = makeKeys();
  const issuer = { name, keys };
  const certificatePem = writeCertificate({
    subject: name,
    keys,
    issuer,
    notBeforeMs: Date.now() - 3650 * day,
    notAfterMs: Date.now() + 3650 * day,
    purpose: 'authority',
    names: [],
  });
  return {
    certificatePem,
    keyPem: keys.keyPem,
    issue: (options) => issue(issuer, options),
  };
}

function issue(issuer: Issuer, options: IssueOptions): Issued {
  const [first] = options.names;
  if (first === undefined) throw new TypeError('a certificate needs a name');
  const keys = makeKeys();
  const notAfterMs = options.notAfter?.getTime() ?? Date.now() + 30 * day;
  const certificatePem = writeCertificate({
    subject: first,
    keys,
    issuer,
    notBeforeMs: options.notBefore?.getTime() ?? Math.min(notAfterMs, Date.now()) - day,
    notAfterMs,
    purpose: options.client === true ? 'client' : 'server',
    names: options.names,
  });
  const spkiSha256Hex = createHash('sha256').update(keys.spki).digest('hex');
  return { certificatePem, keyPem: keys.keyPem, spkiSha256Hex };
}
