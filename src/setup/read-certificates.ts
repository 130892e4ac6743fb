// The files of a listener's TLS, read and looked at: does the key belong to the certificate, until when does it hold, who else can
// read the key.
// The rule: what is returned can be used; what cannot is a fault that names the file and the key of the configuration.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { parseInstant } from '../domain/policy/policy.js';
import type { TlsOffer } from '../ports/transport.js';

/** Paths. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa: string | undefined;
}

/** A key of `tls` in the configuration. */
export type TlsFileKey = 'certificate' | 'key' | 'client_ca';

/** Files that cannot be used. The message is a sentence that names the file, and never holds what is in it. */
export class CertificateFault extends Error {
  readonly key: TlsFileKey;
  constructor(key: TlsFileKey, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'CertificateFault';
    this.key = key;
  }
}

/** What the files say. */
export interface ReadTls {
  readonly offer: TlsOffer;
  /** Unix milliseconds: the certificate, and the first of the clients' authorities that ends. */
  readonly notAfterMs: number;
  readonly clientCaNotAfterMs: number | undefined;
  /** What is weak and works all the same. */
  readonly concerns: readonly { readonly key: TlsFileKey; readonly text: string }[];
}

/** Offered to clients; what other protocols' clients offer is refused. */
const protocols = ['doveadm'] as const;
/** Much longer files are not what the setting meant. */
const fileBytesMax = 1024 ** 2;
const rsaBitsMin = 2048;

/** Reads the files. `prepare` builds what is shown to clients, and throws where OpenSSL refuses. Throws a CertificateFault. */
export function readTls(files: TlsFiles, prepare: (offer: TlsOffer) => unknown): ReadTls {
  const { text: chain } = readPem('certificate', files.certificate);
  const { text: keyText, mode } = readPem('key', files.key);
  const [{ parsed: leaf }] = certificatesIn('certificate', files.certificate, chain);
  const key = parseKey(files.key, keyText);
  if (!leaf.checkPrivateKey(key)) {
    throw new CertificateFault(
      'key',
      `${files.key} is not the key of the certificate in ${files.certificate}`,
    );
  }
  const authorities =
    files.clientCa === undefined
      ? undefined
      : certificatesIn('client_ca', files.clientCa, readPem('client_ca', files.clientCa).text);
  // Not the file as it stands: what is trusted is what sessions are compared by, to the last certificate.
  const clientCa = authorities?.map(({ pem }) => pem);
  const offer: TlsOffer = { certificate: { chain, key: keyText }, clientCa, protocols };
  try {
    prepare(offer);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new CertificateFault('certificate', `${files.certificate} cannot be used: ${text}`, cause);
  }
  return {
    offer,
    notAfterMs: parseEnd(leaf.validTo),
    clientCaNotAfterMs: authorities && Math.min(...authorities.map(({ parsed }) => parseEnd(parsed.validTo))),
    concerns: [
      ...(leaf.subjectAltName === undefined
        ? [concern('certificate', `${files.certificate} has no subjectAltName, which most clients want`)]
        : []),
      ...concernsOfKey(files.key, mode, key),
    ],
  };
}

function concern(key: TlsFileKey, text: string): ReadTls['concerns'][number] {
  return { key, text };
}

function concernsOfKey(path: string, mode: number, key: KeyObject): ReadTls['concerns'] {
  const bits = key.asymmetricKeyType === 'rsa' ? key.asymmetricKeyDetails?.modulusLength : undefined;
  return [
    ...((mode & 0o004) === 0 ? [] : [concern('key', `${path} can be read by every user of this machine`)]),
    ...(bits === undefined || bits >= rsaBitsMin
      ? []
      : [concern('key', `${path} is an RSA key of ${bits} bits; ${rsaBitsMin} are the least today`)]),
  ];
}

const whyUnreadable: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['EACCES', 'permission denied'],
  ['EISDIR', 'it is a directory'],
]);

/** Looks at a path once only: files are replaced while they are read, and one that is away then is a fault like any other. */
function readPem(key: TlsFileKey, path: string): { readonly text: string; readonly mode: number } {
  try {
    const { size, mode } = statSync(path);
    if (size > fileBytesMax) {
      throw new CertificateFault(key, `${path} has more than ${fileBytesMax} bytes`);
    }
    return { text: readFileSync(path, 'utf8'), mode };
  } catch (cause) {
    if (cause instanceof CertificateFault) throw cause;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const why = whyUnreadable.get(code) ?? (code === '' ? 'it failed' : code);
    throw new CertificateFault(key, `${path} cannot be read: ${why}`, cause);
  }
}

interface ReadCertificate {
  /** As in the file, with plain line ends. */
  readonly pem: string;
  readonly parsed: X509Certificate;
}

/** All headings that OpenSSL takes for a certificate. */
const pemBlocks =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/** Every certificate of a file, the first one first. */
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
  if (first === undefined) throw new CertificateFault(key, `${path} holds no certificate (PEM)`);
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

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `Nov 20 09:05:00 2026 GMT`, as OpenSSL prints it, in Unix milliseconds. */
export function parseEnd(validTo: string): number {
  const [, name = '', day = '', time = '', year = ''] =
    /^([A-Z][a-z]{2}) +(\d{1,2}) ([\d:]{8}) (\d{4,5}) GMT$/.exec(validTo) ?? [];
  const month = String(months.indexOf(name) + 1).padStart(2, '0');
  // A year of five digits is beyond all that matters here.
  const text = `${year.slice(0, 4)}-${month}-${day.padStart(2, '0')}T${time}Z`;
  return parseInstant(text) ?? Number.POSITIVE_INFINITY;
}
