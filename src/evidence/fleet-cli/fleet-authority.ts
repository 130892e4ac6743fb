// The private authority of a fleet: it issues the certificate of its server. Gates and verifiers are known by JWTs (fleet-trust).

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

/** Of a server. `names`: DNS names and addresses, at least one. Throws OpenSSL's error for an unreadable key. */
export function issueCertificate(authority: KeyPair, names: readonly string[], nowMs: number): KeyPair {
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
    purpose: 'server',
    names,
  });
  return { certificate, key: keys.keyPem };
}
