// Problems of the files that settings name: readable, protected from others, valid certificates, an unchanged signing key.
// `check`, `serve` and a reload call the same functions, so a start finds nothing that `check` could not report.

import { join } from 'node:path';
import type { PoorMemory, Unsafe } from '../../host/machine/files.js';
import { noSystemList, systemListFile } from '../../host/machine/system-trust.js';
import { prepareOffer } from '../../host/net/tls-accept.js';
import { isOfThisMachine } from '../../host/ports/peer.js';
import { type Finding, finding, type Severity } from '../config/problem.js';
import type { Asking } from '../config/read-files.js';
import type { Settings } from '../config/settings.js';
import { ownSignKeyName, parsePublicKey, parseSignKey, publicKeyName } from '../keys/sign-key.js';
import {
  adminName,
  expirySentence,
  type NamedTlsFiles,
  pageName,
  tlsFilesOf,
  warnMs,
} from './certificates.js';
import { CertificateFault, readTls } from './read-certificates.js';

/** Why a file is not readable; undefined: it is. */
export type WhyUnreadable = (path: string) => string | undefined;

/** Where systemd puts the credentials of running services. */
export const credentialsFolder = '/run/credentials/';

/** A file that settings name, and the key that names it. */
export interface NamedFile {
  /** Such as `backends.mail1.ca`. */
  readonly path: string;
  readonly file: string | undefined;
}

/**
 * For each file: the problem if it is not readable now. `credentials`: the folder of this service's credentials; undefined: a missing
 * credential is only a warning, because only its service sees it.
 */
export function* inspectFiles(
  files: readonly NamedFile[],
  whyUnreadable: WhyUnreadable,
  credentials: string | undefined,
): Generator<readonly Finding[]> {
  for (const { path, file } of files) {
    const why = file === undefined ? undefined : whyUnreadable(file);
    if (file === undefined || why === undefined) {
      yield [];
      continue;
    }
    const isLater = credentials === undefined && file.startsWith(credentialsFolder);
    const message = isLater
      ? `${file} is there only while its service runs, so it was not looked at`
      : `${file} cannot be read: ${why}`;
    yield [finding(isLater ? 'warning' : 'error', path, message, 'unreadable-file')];
  }
}

/** Every file that the daemon reads, without those of listeners' TLS. */
export function namedFiles({ backends, audit, admin }: Settings): readonly NamedFile[] {
  return [
    ...backends.flatMap(({ name, passwordFiles, caFile, tls }) => [
      ...passwordFiles.map((each, index) => {
        const item = passwordFiles.length === 1 ? '' : `[${index}]`;
        return { path: `backends.${name}.password_file${item}`, file: each };
      }),
      { path: `backends.${name}.ca`, file: caFile ?? (tls === 'off' ? undefined : systemListFile()) },
    ]),
    { path: 'audit.sign_key', file: audit.signKeyFile },
    { path: 'audit.hmac_key', file: audit.hmacKeyFile },
    { path: 'admin.token_file', file: admin?.tokenFile },
  ];
}

/** If the system has no list of authorities: a problem for each backend without an own one. */
export function inspectTrust(
  { backends }: Pick<Settings, 'backends'>,
  listFile: string | undefined,
): readonly Finding[] {
  if (listFile !== undefined) return [];
  return backends
    .filter(({ caFile, tls }) => caFile === undefined && tls !== 'off')
    .map(({ name }) => withoutTrust(`backends.${name}.ca`));
}

export function withoutTrust(path: string): Finding {
  return finding('error', path, noSystemList, 'unreadable-file');
}

/** Why a file is unsafe; undefined: it is safe. `isSecret`: others must not be able to read it either. */
export type WhyUnsafe = (path: string, isSecret: boolean) => Unsafe | undefined;

/** Settings whose files are secret; all others may be public. */
export const secretKeys =
  /\.(password_file|client_secret_file|key|sign_key|hmac_key|token_file|credentials|headers_file|secret_file)(\[\d+\])?$/;

/**
 * For each unsafe file, the problem: for `files`, which hold the configuration itself, and for those that `settings` name. It
 * points to the value that names the file; for the first file, to its own first line.
 */
export function* inspectModes(
  files: ReadonlyMap<string, Asking | undefined>,
  settings: Settings | undefined,
  whyUnsafe: WhyUnsafe,
): Generator<readonly Finding[]> {
  const named = settings === undefined ? [] : [...namedFiles(settings), ...filesOfTls(tlsFilesOf(settings))];
  for (const { path, file } of [...placesOf(files), ...named]) {
    const why = file === undefined ? undefined : whyUnsafe(file, secretKeys.test(path));
    yield why === undefined ? [] : [unsafeFile(path, why)];
  }
}

export function unsafeFile(path: string, { text: message, isDoubtful }: Unsafe): Finding {
  return finding(isDoubtful ? 'warning' : 'error', path, message, 'unsafe-file');
}

/**
 * For each file that this process can read: the problem if the user of the daemon cannot. `whyNot` answers for that user, with
 * the command that repairs it; undefined: it can read the file, or the file does not exist. Credentials are made for the
 * service only.
 */
export function inspectRights(
  files: ReadonlyMap<string, Asking | undefined>,
  settings: Settings,
  whyNot: (path: string) => string | undefined,
): readonly Finding[] {
  return [...placesOf(files), ...namedFiles(settings), ...filesOfTls(tlsFilesOf(settings))].flatMap(
    ({ path, file }): Finding[] => {
      if (file === undefined || file.startsWith(credentialsFolder)) return [];
      const message = whyNot(file);
      return message === undefined ? [] : [finding('error', path, message, 'unreadable-file')];
    },
  );
}

function placesOf(files: ReadonlyMap<string, Asking | undefined>): NamedFile[] {
  return [...files].map(([file, from]) => ({
    place: from?.place ?? { file, line: 1, column: 1 },
    path: from?.path ?? '',
    file,
  }));
}

/** The files of TLS; their rights and content are checked with the certificates. */
export function filesOfTls(all: readonly NamedTlsFiles[]): readonly NamedFile[] {
  return all.flatMap(({ name, certificate, key, clientCa }) => {
    const path = `${sectionOf(name)}.tls`;
    return [
      { path: `${path}.certificate`, file: certificate },
      { path: `${path}.key`, file: key },
      { path: `${path}.client_ca`, file: clientCa },
    ];
  });
}

function sectionOf(name: string): string {
  return sections.get(name) ?? `listeners.${name}`;
}

/** The text of a file; undefined: it does not exist. Throws other errors of the system. */
type ReadIfThere = (path: string) => string | undefined;

/** Bytes of a token that other machines may try: with the delay after failures it cannot be guessed. */
const tokenBytesMin = 16;

/** The problem if other machines could guess the token of the admin endpoints; none if it cannot be read. */
export function inspectToken({ admin }: Settings, read: ReadIfThere): readonly Finding[] {
  const { tcp, tokenFile } = admin ?? {};
  if (tcp === undefined || tokenFile === undefined || isOfThisMachine(tcp.host)) return [];
  let token: string | undefined;
  try {
    token = read(tokenFile)?.replace(/\r?\n$/, '');
  } catch {
    // An unreadable file is reported with the other files.
  }
  if (token === undefined || Buffer.byteLength(token) >= tokenBytesMin) return [];
  const message = `${tokenFile} has fewer than ${tokenBytesMin} bytes, and other machines can try it; make one with "openssl rand -hex 32"`;
  return [finding('error', 'admin.token_file', message, 'doubtful')];
}

/** A warning if the key is missing or another one; none if that cannot be checked. */
export function inspectSignKey(settings: Settings, read: ReadIfThere): readonly Finding[] {
  const { audit, state } = settings;
  const path = audit.signKeyFile ?? join(state, ownSignKeyName);
  let known: string | undefined;
  let now: string | undefined;
  try {
    known = parsePublicKey(read(join(audit.directory, publicKeyName)) ?? '');
    const text = read(path);
    now = text === undefined ? undefined : parseSignKey(text).key;
  } catch {
    // Unreadable, or not a key: whatever uses the key reports that.
    return [];
  }
  if (known === undefined || now === known) return [];
  if (now === undefined && audit.signKeyFile !== undefined) return [];
  const what =
    now === undefined
      ? `${path} is gone, the key ${known} that signed ${audit.directory}, so the next start makes another one`
      : `${path} is ${now}, and ${audit.directory} was signed by ${known}`;
  const message = `${what}; put the old key back, or "dovegate audit verify" fails until somebody accepts the new one (--accept-key)`;
  return [finding('warning', 'audit.sign_key', message, 'doubtful')];
}

/** A warning if the memory file cannot keep records over a crash, or may be slow; records are as safe as before. */
export function inspectMemory(
  { audit }: Settings,
  why: (path: string, bytes: number) => PoorMemory | undefined,
): readonly Finding[] {
  const { memoryFile, memoryBytes } = audit;
  const poor = memoryFile === undefined ? undefined : why(memoryFile, memoryBytes);
  if (poor === undefined) return [];
  const message = poor.isUsable
    ? poor.text
    : `${memoryFile} cannot be made: ${poor.text}; every command then waits until its record is on disk, as with "off"`;
  return [finding('warning', 'audit.memory', message, 'doubtful')];
}

const sections: ReadonlyMap<string, string> = new Map([
  [adminName, 'admin'],
  [pageName, 'admin.page'],
]);

/** `credentials`: as for inspectFiles. `advice`: text after the problem of a file, such as a command. */
export function* inspectCertificates(
  all: readonly NamedTlsFiles[],
  nowMs: number,
  credentials: string | undefined,
  advice: (path: string) => string = () => '',
): Generator<readonly Finding[]> {
  for (const files of all) yield inspectPair(files, nowMs, credentials, advice);
}

function inspectPair(
  files: NamedTlsFiles,
  nowMs: number,
  credentials: string | undefined,
  advice: (path: string) => string,
): readonly Finding[] {
  const problem = (key: string, message: string, severity: Severity): Finding =>
    finding(severity, `${sectionOf(files.name)}.tls.${key}`, message, 'bad-certificate');
  const later = [files.certificate, files.key, files.clientCa ?? ''].find(
    (path) => credentials === undefined && path.startsWith(credentialsFolder),
  );
  if (later !== undefined) {
    const message = `${later} is there only while its service runs, so it was not looked at`;
    return [problem('certificate', message, 'warning')];
  }
  try {
    const { concerns, notAfterMs, clientCaNotAfterMs } = readTls(files, prepareOffer);
    const problems = concerns.map(({ key, text }) => problem(key, text, 'warning'));
    for (const [key, role, endMs] of [
      ['certificate', 'listener', notAfterMs],
      ['client_ca', 'client-ca', clientCaNotAfterMs],
    ] as const) {
      const leftMs = (endMs ?? Number.POSITIVE_INFINITY) - nowMs;
      if (leftMs < warnMs) problems.push(problem(key, expirySentence(role, leftMs), 'warning'));
    }
    return problems;
  } catch (fault) {
    if (!(fault instanceof CertificateFault)) throw fault;
    const path = fault.key === 'client_ca' ? files.clientCa : files[fault.key];
    return [problem(fault.key, `${fault.message}${advice(path ?? '')}`, 'error')];
  }
}
