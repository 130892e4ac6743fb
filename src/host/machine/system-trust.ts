// The system's list of certificate authorities, used where a configuration names none. Node has a list of its own and never reads the
// system's, so authorities that the system's owner adds or removes would have no effect. The file is read again when it changes. Without a
// file nothing is trusted, and the fault says so.

import { hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import { messageOf, UpstreamFault } from '../ports/faults.js';

/** Debian, Arch and Alpine; Fedora and RHEL; SUSE; RHEL 7; Alpine without the package, and BSD. */
const usualFiles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** A real list has some 200 KiB. */
const listBytesMax = 8 * 1024 ** 2;

/** Contexts that are kept: one without a client certificate, and one for each of the last client certificates. Each has 1 MiB. */
const contextsMax = 4;

export const noSystemList = `this system has no list of authorities (${usualFiles[0]} or the like; SSL_CERT_FILE names another): install the package ca-certificates, or set \`ca\``;

/** The file with the system's list: SSL_CERT_FILE, as OpenSSL reads it, else the first of the usual ones that exists. */
export function systemListFile(): string | undefined {
  const named = process.env['SSL_CERT_FILE'];
  if (named !== undefined && named !== '') return named;
  return usualFiles.find((file) => statSync(file, { throwIfNoEntry: false }) !== undefined);
}

/** A client's certificate: PEM with its chain, and its key. */
interface ClientCertificate {
  readonly chain: string;
  readonly key: string;
}

let known: { readonly stamp: string; readonly contexts: Map<string, SecureContext> } | undefined;

/** Shared by all connections: parsing the list takes 50 ms and 1 MiB. Throws an UpstreamFault `tls-failed`, or Node's error. */
export function systemContext(certificate?: ClientCertificate): SecureContext {
  const file = systemListFile();
  if (file === undefined) throw new UpstreamFault('tls-failed', `TLS failed: ${noSystemList}`);
  const stamp = stampOf(file);
  if (known?.stamp !== stamp) known = { stamp, contexts: new Map() };
  const { contexts } = known;
  const name =
    certificate === undefined ? '' : hash('sha256', `${certificate.chain}\0${certificate.key}`, 'hex');
  const found = contexts.get(name);
  if (found !== undefined) return found;
  const made = createSecureContext({
    ca: readList(file),
    minVersion: 'TLSv1.2',
    ...(certificate !== undefined && { cert: certificate.chain, key: certificate.key }),
  });
  if (contexts.size >= contextsMax) contexts.clear();
  contexts.set(name, made);
  return made;
}

function stampOf(file: string): string {
  try {
    const found = statSync(file, { bigint: true });
    const { dev, ino, size, mtimeNs, ctimeNs } = found;
    if (!found.isFile()) throw new Error('it is not a regular file');
    if (size > listBytesMax) throw new Error(`it has more than ${listBytesMax} bytes`);
    return [file, dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function readList(file: string): string {
  try {
    const text = readFileSync(file, 'latin1');
    if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new Error('it holds no certificate');
    return text;
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function unreadable(file: string, cause: unknown): UpstreamFault {
  const text = `TLS failed: the system's list of authorities ${file} cannot be read: ${messageOf(cause)}`;
  return new UpstreamFault('tls-failed', text, cause);
}
