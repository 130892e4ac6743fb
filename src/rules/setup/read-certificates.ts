// Reads and checks the TLS files of a listener: the key belongs to the certificate, how long it is valid, who else can read the
// key. A fault names the file and the key of the configuration.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { bounds } from '../../host/bounds/bounds.js';
import { whyFailed } from '../../host/machine/files.js';
import type { TlsOffer } from '../../host/ports/transport.js';

export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa: string | undefined;
  /** The ALPN protocol, `doveadm` when absent; clients that offer only others are refused. */
  readonly alpn?: 'http/1.1';
}

export type TlsFileKey = 'certificate' | 'key' | 'client_ca';

/** Unusable files. The message is a sentence that names the file, and never contains its content. */
export class CertificateFault extends Error {
  readonly key: TlsFileKey;
  constructor(key: TlsFileKey, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'CertificateFault';
    this.key = key;
  }
}

export interface ReadTls {
  readonly offer: TlsOffer;
  /** Unix milliseconds: the end of the certificate, and of the first client authority to end. */
  readonly notAfterMs: number;
  readonly clientCaNotAfterMs: number | undefined;
  /** Weak but usable. */
  readonly concerns: readonly { readonly key: TlsFileKey; readonly text: string }[];
}

/** Much longer files are not what the setting meant. */
const fileBytesMax = bounds.certificateFileBytes;
const rsaBitsMin = 2048;

/** Reads the files. `prepare` builds the offer for clients, and throws if OpenSSL refuses. Throws a CertificateFault. */
export function readTls(files: TlsFiles, prepare: (offer: TlsOffer) => unknown): ReadTls {
  const { text: chain } = readPem('certificate', files.certificate);
  const { text: keyText, mode } = readPem('key', files.key);
  const [{ parsed: leaf }] = certificatesIn('certificate', files.certificate, chain);
  const key = parseKey(files.key, keyText);
  if (!leaf.checkPrivateKey(key)) {
    throw new CertificateFault(
      'key',
      `${files.key} is not the key of the certificate in ${files.certificate}: put both files of one certificate there`,
    );
  }
  const authorities =
    files.clientCa === undefined
      ? undefined
      : certificatesIn('client_ca', files.clientCa, readPem('client_ca', files.clientCa).text);
  // Only the certificates, not the whole text: sessions are compared by the trusted certificates.
  const clientCa = authorities?.map(({ pem }) => pem);
  const offer: TlsOffer = {
    certificate: { chain, key: keyText },
    clientCa,
    protocols: [files.alpn ?? 'doveadm'],
  };
  try {
    prepare(offer);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new CertificateFault('certificate', `${files.certificate} cannot be used: ${text}`, cause);
  }
  const concerns: { key: TlsFileKey; text: string }[] = [];
  if (leaf.subjectAltName === undefined) {
    const text = `${files.certificate} has no subjectAltName, which most clients want`;
    concerns.push({ key: 'certificate', text });
  }
  if ((mode & 0o004) !== 0)
    concerns.push({ key: 'key', text: `${files.key} can be read by every user of this machine` });
  const bits = key.asymmetricKeyType === 'rsa' ? key.asymmetricKeyDetails?.modulusLength : undefined;
  if (bits !== undefined && bits < rsaBitsMin) {
    const text = `${files.key} is an RSA key of ${bits} bits; ${rsaBitsMin} are the least today`;
    concerns.push({ key: 'key', text });
  }
  return {
    offer,
    notAfterMs: parseEnd(leaf.validTo),
    clientCaNotAfterMs: authorities && Math.min(...authorities.map(({ parsed }) => parseEnd(parsed.validTo))),
    concerns,
  };
}

/** The end of the first certificate of a file, in Unix milliseconds. Throws a CertificateFault. */
export function readEndOf(path: string): number {
  const [{ parsed }] = certificatesIn('certificate', path, readPem('certificate', path).text);
  return parseEnd(parsed.validTo);
}

/** Reads a path once: files may be replaced meanwhile, and a missing one is a fault like any other. */
function readPem(key: TlsFileKey, path: string): { readonly text: string; readonly mode: number } {
  try {
    const { size, mode } = statSync(path);
    if (size > fileBytesMax) {
      throw new CertificateFault(key, `${path} has more than ${fileBytesMax} bytes`);
    }
    return { text: readFileSync(path, 'utf8'), mode };
  } catch (cause) {
    if (cause instanceof CertificateFault) throw cause;
    throw new CertificateFault(key, `${path} cannot be read: ${whyFailed(cause)}`, cause);
  }
}

interface ReadCertificate {
  /** As in the file, with LF line ends. */
  readonly pem: string;
  readonly parsed: X509Certificate;
}

/** All headings that OpenSSL accepts for a certificate. */
const pemBlocks =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

function certificatesIn(
  key: TlsFileKey,
  path: string,
  text: string,
): [ReadCertificate, ...ReadCertificate[]] {
  const blocks = text.replaceAll('\r', '').match(pemBlocks);
  const [first, ...more] = (blocks ?? []).map((pem, index) => {
    try {
      return { pem, parsed: new X509Certificate(pem) };
    } catch (cause) {
      throw new CertificateFault(key, `${path}: certificate ${index + 1} is damaged`, cause);
    }
  });
  if (first === undefined)
    throw new CertificateFault(
      key,
      `${path} holds no certificate: PEM begins with -----BEGIN CERTIFICATE-----`,
    );
  return [first, ...more];
}

function parseKey(path: string, text: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(text)) {
    throw new CertificateFault('key', `${path} is encrypted; a key without a passphrase is needed`);
  }
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw new CertificateFault('key', `${path} holds no private key (PEM)`, cause);
  }
}

/** `Nov 20 09:05:00 2026 GMT`, as OpenSSL prints it, in Unix milliseconds; any other form counts as never. */
export function parseEnd(validTo: string): number {
  const endMs = validTo.endsWith(' GMT') ? Date.parse(validTo) : Number.NaN;
  return Number.isNaN(endMs) ? Number.POSITIVE_INFINITY : endMs;
}
