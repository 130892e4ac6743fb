// The private authority of a fleet: it issues the certificates of its server, its gates and its verifier. Each certificate has
// one purpose, so that a gate's key cannot be used for the server.

import { X509Certificate } from 'node:crypto';
import { makeKeys, readKeys, writeCertificate } from './certificate-writer.js';

export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

const dayMs = 86_400_000;
const authorityDays = 3650;
/** The longest validity of a server's certificate that browsers accept. */
const certificateDays = 825;
const authorityName = 'dovegate fleet';

/** Clocks of the machines may differ, so a certificate is valid from a day before. */
export function makeFleetAuthority(nowMs: number): KeyPair {
  const keys = makeKeys();
  const certificate = writeCertificate({
    subject: authorityName,
    keys,
    issuer: { name: authorityName, keys },
    notBeforeMs: nowMs - dayMs,
    notAfterMs: nowMs + authorityDays * dayMs,
    purpose: 'authority',
    names: [],
  });
  return { certificate, key: keys.keyPem };
}

/** `names`: DNS names and addresses, at least one. Throws OpenSSL's error for an unreadable key. */
export function issueCertificate(
  authority: KeyPair,
  { names, purpose }: { readonly names: readonly string[]; readonly purpose: 'server' | 'client' },
  nowMs: number,
): KeyPair {
  const keys = makeKeys();
  const certificate = writeCertificate({
    subject: names[0] ?? '',
    keys,
    issuer: { name: authorityName, keys: readKeys(authority.key) },
    notBeforeMs: nowMs - dayMs,
    notAfterMs: Math.min(
      nowMs + certificateDays * dayMs,
      Date.parse(new X509Certificate(authority.certificate).validTo),
    ),
    purpose,
    names,
  });
  return { certificate, key: keys.keyPem };
}

/** Why a key pair does not match, or is not from this authority; undefined: it can be used. */
export function whyNotOfAuthority(authority: string, pair: KeyPair): string | undefined {
  try {
    const certificate = new X509Certificate(pair.certificate);
    if (!certificate.verify(new X509Certificate(authority).publicKey))
      return 'the certificate is of another authority';
    return certificate.checkPrivateKey(readKeys(pair.key).privateKey)
      ? undefined
      : 'the key is not that of the certificate';
  } catch {
    return 'the authority, the certificate or the key cannot be read';
  }
}
