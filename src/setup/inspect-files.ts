// Problems of the files that settings name: readable, protected from others, valid certificates, an unchanged signing key.
// `check`, `serve` and a reload call the same functions, so a start finds nothing that `check` could not report.

import { dirname, join } from 'node:path';
import type { PoorMemory, Unsafe } from '../adapters/host/files.js';
import { howToInstall, type OptionalPackage } from '../adapters/host/optional-packages.js';
import { noSystemList, systemListFile } from '../adapters/host/system-trust.js';
import { publicKeyName } from '../adapters/journal/segments.js';
import { prepareOffer } from '../adapters/net/tls-accept.js';
import { parseSecret } from '../domain/admin/notices/receiver.js';
import { type Finding, placeIn } from '../domain/config/problem.js';
import type { Asking } from '../domain/config/read-files.js';
import type { Settings } from '../domain/config/settings.js';
import { sinkFilesOf, sinkLibraryOf } from '../domain/config/sinks.js';
import { isOfThisMachine } from '../domain/people/identity/peer.js';
import { formatWords } from '../domain/records/audit/encode.js';
import { ownSignKeyName, parsePublicKey, parseSignKey } from '../domain/records/audit/ledger.js';
import {
  adminName,
  expirySentence,
  type NamedTlsFiles,
  pageName,
  pageTlsFilesOf,
  tlsFilesOf,
  warnMs,
} from './certificates.js';
import { CertificateFault, readEndOf, readTls } from './read-certificates.js';

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
 * For each file that the daemon will need: the problem if it is not readable now. `credentials`: our folder, if this process
 * is a service with credentials; otherwise a missing credential is only a warning, because only the service sees it. `withPage`: those of
 * the page, too, which the daemon does not read.
 */
export function* inspectFiles(
  settings: Settings,
  whyUnreadable: WhyUnreadable,
  credentials: string | undefined,
  withPage = false,
): Generator<readonly Finding[]> {
  for (const { path, file } of [...namedFiles(settings), ...(withPage ? pageFiles(settings) : [])]) {
    const why = file === undefined ? undefined : whyUnreadable(file);
    if (file === undefined || why === undefined) {
      yield [];
      continue;
    }
    const isLater = credentials === undefined && file.startsWith(credentialsFolder);
    const message = isLater
      ? `${file} is there only while its service runs, so it was not looked at`
      : `${file} cannot be read: ${why}`;
    yield [{ path, message, severity: isLater ? 'warning' : 'error', code: 'unreadable-file' }];
  }
}

/** Every file that settings name or use by default, without those of listeners' TLS. */
function namedFiles({ backends, audit, admin }: Settings): readonly NamedFile[] {
  return [
    ...backends.flatMap(({ name, passwordFiles, caFile, tls }) => [
      ...passwordFiles.map((each, index) => {
        const item = passwordFiles.length === 1 ? '' : `[${index}]`;
        return { path: `backends.${name}.password_file${item}`, file: each };
      }),
      { path: `backends.${name}.ca`, file: caFile ?? (tls === 'off' ? undefined : systemListFile()) },
    ]),
    ...audit.ship.flatMap((sink, index) =>
      sinkFilesOf(sink).map(([key, named]) => ({
        path: `audit.ship[${index}].${key}`,
        file: key === 'ca' ? (named ?? systemListFile()) : named,
      })),
    ),
    { path: 'audit.sign_key', file: audit.signKeyFile },
    { path: 'audit.hmac_key', file: audit.hmacKeyFile },
    { path: 'admin.token_file', file: admin?.tokenFile },
  ];
}

/** What only the page's process reads, but for its TLS. */
export function pageFiles({ admin }: Settings): readonly NamedFile[] {
  const { oidc } = admin?.page ?? {};
  if (oidc === undefined) return [];
  return [
    { path: 'admin.page.oidc.client_secret_file', file: oidc.clientSecretFile },
    { path: 'admin.page.oidc.ca', file: oidc.caFile },
  ];
}

/** If the system has no list of authorities: a problem for each backend and receiver without an own one. */
export function inspectTrust(
  { backends, audit }: Pick<Settings, 'backends' | 'audit'>,
  listFile: string | undefined,
): readonly Finding[] {
  if (listFile !== undefined) return [];
  const without = [
    ...backends.flatMap(({ name, caFile, tls }) =>
      caFile === undefined && tls !== 'off' ? [{ path: `backends.${name}.ca` }] : [],
    ),
    ...audit.ship.flatMap(({ caFile }, index) =>
      caFile === undefined ? [{ path: `audit.ship[${index}].ca` }] : [],
    ),
  ];
  return without.map(({ path }) => ({
    path,
    message: noSystemList,
    severity: 'error',
    code: 'unreadable-file',
  }));
}

/** Why a file is unsafe; undefined: it is safe. `isSecret`: others must not be able to read it either. */
export type WhyUnsafe = (path: string, isSecret: boolean) => Unsafe | undefined;

/** Settings whose files are secret; all others may be public. */
const secretKeys =
  /\.(password_file|client_secret_file|key|sign_key|hmac_key|token_file|credentials)(\[\d+\])?$/;

/**
 * For each unsafe file, the problem: for `files`, which hold the configuration itself, and for those that `settings` name. It
 * points to the value that names the file; for the first file, to its own first line. `withPage`: as for {@link inspectFiles}.
 */
export function* inspectModes(
  files: ReadonlyMap<string, Asking | undefined>,
  settings: Settings | undefined,
  whyUnsafe: WhyUnsafe,
  withPage = false,
): Generator<readonly Finding[]> {
  const ofPage = settings !== undefined && withPage ? pageFiles(settings) : [];
  const named =
    settings === undefined ? [] : [...namedFiles(settings), ...filesOfTls(tlsFilesOf(settings)), ...ofPage];
  for (const { path, file } of [...placesOf(files), ...named]) {
    const why = file === undefined ? undefined : whyUnsafe(file, secretKeys.test(path));
    const severity = why?.isDoubtful === true ? 'warning' : 'error';
    yield why === undefined ? [] : [{ path, message: why.text, severity, code: 'unsafe-file' }];
  }
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
      return message === undefined ? [] : [{ path, message, severity: 'error', code: 'unreadable-file' }];
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
  return [{ path: 'admin.token_file', message, severity: 'error', code: 'doubtful' }];
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
    // Not readable for us, or not a key: an unusable key is reported by its users.
    return [];
  }
  if (known === undefined || now === known) return [];
  if (now === undefined && audit.signKeyFile !== undefined) return [];
  const what =
    now === undefined
      ? `${path} is gone, the key ${known} that signed ${audit.directory}, so the next start makes another one`
      : `${path} is ${now}, and ${audit.directory} was signed by ${known}`;
  const message = `${what}; put the old key back, or "dovegate audit verify" fails until somebody accepts the new one (--accept-key)`;
  return [{ path: 'audit.sign_key', message, severity: 'warning', code: 'doubtful' }];
}

export type IsInstalled = (name: OptionalPackage) => boolean;

/** Receivers that need an optional library, if it is not installed. */
export function inspectReceivers(
  { audit }: Pick<Settings, 'audit'>,
  isInstalled: IsInstalled,
): readonly Finding[] {
  return audit.ship.flatMap((sink, index): Finding[] => {
    const library = sinkLibraryOf(sink);
    if (library === undefined || isInstalled(library.package)) return [];
    const path = `audit.ship[${index}].${sink.kind}`;
    const message = `the library for ${library.name} is not installed; ${howToInstall(library.package)}, or take this receiver out`;
    return [{ path, message, severity: 'error', code: 'not-installed' }];
  });
}

/** If people sign in at an issuer: no library, or an empty secret. `read`: as in NoticeChecks. */
export function inspectIssuer(
  { admin }: Pick<Settings, 'admin'>,
  isInstalled: IsInstalled,
  read: NoticeChecks['read'],
): readonly Finding[] {
  const { oidc } = admin?.page ?? {};
  if (oidc === undefined) return [];
  const path = 'admin.page.oidc';
  const found: Finding[] = [];
  if (!isInstalled('openid-client')) {
    const message = `the library for OpenID Connect is not installed; ${howToInstall('openid-client')}, or take this out`;
    found.push({ path, message, severity: 'error', code: 'not-installed' });
  }
  if (read(oidc.clientSecretFile)?.trim() === '') {
    const message = `${oidc.clientSecretFile} is empty; write the secret of the client into it`;
    found.push({
      path: `${path}.client_secret_file`,
      message,
      severity: 'error',
      code: 'doubtful',
    });
  }
  return found;
}

/** Of the process of the page, whose files the daemon does not read. */
export interface NoticeChecks {
  readonly isInstalled: IsInstalled;
  readonly whyUnreadable: WhyUnreadable;
  readonly whyUnsafe: WhyUnsafe;
  /** The text of a file that we can read; undefined: we cannot. */
  readonly read: (path: string) => string | undefined;
}

/** Receivers of notices: the library for mail, and files that are not there, that others can read, or that hold no secret. */
export function inspectNotices(
  { notices = [] }: Pick<Settings, 'notices'>,
  { isInstalled, whyUnreadable, whyUnsafe, read }: NoticeChecks,
): readonly Finding[] {
  return notices.flatMap((each): readonly Finding[] => {
    const { name, kind, caFile } = each;
    const secretFile = kind === 'webhook' ? each.secretFile : undefined;
    const found: Finding[] = [];
    const add = (
      key: string,
      message: string,
      code: Finding['code'],
      severity: Finding['severity'] = 'error',
    ) => void found.push({ path: `notices.${name}.${key}`, message, severity, code });
    if (kind === 'mail' && !isInstalled('nodemailer'))
      add(
        'mail',
        `the library for mail is not installed; ${howToInstall('nodemailer')}, or take this receiver out`,
        'not-installed',
      );
    for (const [key, file] of [
      ['secret_file', secretFile],
      ['ca', caFile],
    ] as const) {
      if (file === undefined) continue;
      if (file.startsWith(credentialsFolder)) {
        const message = `${file} is there only while the service of the page runs, so it was not looked at`;
        add(key, message, 'unreadable-file', 'warning');
        continue;
      }
      const why = whyUnreadable(file);
      if (why !== undefined) add(key, `${file} cannot be read: ${why}`, 'unreadable-file');
      const unsafe = whyUnsafe(file, key === 'secret_file');
      if (unsafe !== undefined) add(key, unsafe.text, 'unsafe-file', unsafe.isDoubtful ? 'warning' : 'error');
    }
    const isThere = secretFile !== undefined && !secretFile.startsWith(credentialsFolder);
    const secret = isThere ? read(secretFile) : undefined;
    if (secret !== undefined && parseSecret(secret) === undefined) {
      const make = 'make one with: echo "whsec_$(openssl rand -base64 32)"';
      add(
        'secret_file',
        `${secretFile ?? ''} must hold whsec_ and base64 of 24 to 64 bytes; ${make}`,
        'doubtful',
      );
    }
    return found;
  });
}

/** A warning if records cannot survive a crash in memory, or if that may be slow; nothing is less safe then. */
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
  return [{ path: 'audit.memory', message, severity: 'warning', code: 'doubtful' }];
}

export interface FolderChecks {
  /** The closed folder above it, and the one to make. */
  readonly where: (path: string) => { readonly above: string; readonly missing: string } | undefined;
  /** What is there instead of a folder. */
  readonly inTheWay: (path: string) => string | undefined;
}

/** That of the unit, which makes it. */
const ownFolder = '/var/lib/dovegate';

const isWithin = (above: string, path: string): boolean => `${path}/`.startsWith(`${above}/`);

/** What is missing is no error: the unit of systemd makes `/var/lib/dovegate`. */
export function inspectFolders(
  { audit, state, places }: Settings,
  { where, inTheWay }: FolderChecks,
  daemonName: string,
): readonly Finding[] {
  const folders = [
    ['audit.directory', audit.directory, `${ownFolder}/audit`],
    ['state', state, ownFolder],
  ] as const;
  const told = new Set<string>();
  return folders.flatMap(([path, folder, usual]): Finding[] => {
    const other = inTheWay(folder);
    if (other !== undefined) {
      const message = `${folder} cannot be a directory: ${other} is none; move that away, or name another place`;
      return [{ path, message, severity: 'error', code: 'invalid-value' }];
    }
    const closed = where(folder);
    // One command makes what both need.
    if (closed === undefined || told.has(closed.missing)) return [];
    told.add(closed.missing);
    const makes = formatWords(['install', '-d', '-o', daemonName, '-m', '0711', closed.missing]);
    const byUnit = isWithin(ownFolder, folder)
      ? 'a unit with StateDirectory= does that at its start'
      : `a unit with ProtectSystem= also needs ReadWritePaths=${closed.missing}`;
    const todo = isWithin(dirname(placeIn(places, path).file), folder)
      ? `a path without "/" at its beginning is one beside its file: write ${usual}`
      : `run: ${makes} (${byUnit})`;
    const message = `${folder} is not there, and ${daemonName}, the user of the daemon, may not make it in ${closed.above}, so "dovegate serve" would not start; ${todo}`;
    return [{ path, message, severity: 'warning', code: 'doubtful' }];
  });
}

const sections: ReadonlyMap<string, string> = new Map([
  [adminName, 'admin'],
  [pageName, 'admin.page'],
]);

/**
 * The problems of each listener, and of the admin endpoints. `credentials` as with inspectFiles: elsewhere than in the service its
 * credentials are not there. `advice`: what stands behind the problem of a file, such as a command. `withPage`: those of the page, too,
 * which the daemon does not read.
 */
export function* inspectCertificates(
  settings: Pick<Settings, 'listeners' | 'admin' | 'audit'>,
  nowMs: number,
  credentials: string | undefined,
  advice: (path: string) => string = () => '',
  withPage = false,
): Generator<readonly Finding[]> {
  for (const files of [...tlsFilesOf(settings), ...(withPage ? pageTlsFilesOf(settings) : [])])
    yield inspectPair(files, nowMs, credentials, advice);
  for (const [index, { client }] of settings.audit.ship.entries())
    if (client !== undefined)
      yield inspectClient(client.certificateFile, `audit.ship[${index}].certificate`, nowMs);
}

/** Unreadable files are reported elsewhere, and an invalid certificate shows at the connection. */
function inspectClient(file: string, path: string, nowMs: number): readonly Finding[] {
  try {
    const leftMs = readEndOf(file) - nowMs;
    if (leftMs >= warnMs) return [];
    const message = `${file}: ${expirySentence('receiver-client', leftMs)}`;
    return [{ path, message, severity: 'warning', code: 'bad-certificate' }];
  } catch (fault) {
    if (!(fault instanceof CertificateFault)) throw fault;
    return [];
  }
}

function inspectPair(
  files: NamedTlsFiles,
  nowMs: number,
  credentials: string | undefined,
  advice: (path: string) => string,
): readonly Finding[] {
  const problem = (key: string, message: string, severity: Finding['severity']): Finding => ({
    path: `${sectionOf(files.name)}.tls.${key}`,
    message,
    severity,
    code: 'bad-certificate',
  });
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
