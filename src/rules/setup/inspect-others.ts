// Problems of the files that processes other than the daemon read, the page's and `dovegate ship`: whether that process can see and read
// them, whether secrets are closed to others, whether their content is valid; and missing libraries.

import { basename } from 'node:path';
import type { Unsafe } from '../../host/machine/files.js';
import { howToInstall, type OptionalPackage } from '../../host/machine/optional-packages.js';
import { packaged } from '../../host/machine/packaged.js';
import { formatWords } from '../../host/words/text.js';
import { type Finding, finding, placeIn } from '../config/problem.js';
import { parseSecret } from '../config/receiver.js';
import { isNoticeSettings, type Settings } from '../config/settings.js';
import { sinkFilesOf, sinkLibraryOf } from '../config/sink-files.js';
import { expirySentence, pageTlsFilesOf, warnMs } from './certificates.js';
import {
  credentialsFolder,
  filesOfTls,
  type NamedFile,
  secretKeys,
  unsafeFile,
  type WhyUnreadable,
  withoutTrust,
} from './inspect-files.js';
import { CertificateFault, readEndOf } from './read-certificates.js';

interface OtherProcess {
  readonly of: 'page' | 'ship';
  /** Also the name of its group and its service. */
  readonly user: string;
  readonly filesOf: (settings: Settings) => readonly NamedFile[];
}

const page: OtherProcess = { of: 'page', user: packaged.pageUser, filesOf: pageFiles };
const ship: OtherProcess = { of: 'ship', user: packaged.shipUser, filesOf: receiverFiles };
const processes: readonly OtherProcess[] = [page, ship];

/** Checks that depend on this machine. */
export interface OtherChecks {
  readonly isInstalled: (name: OptionalPackage) => boolean;
  readonly whyUnreadable: WhyUnreadable;
  /** `user`: may own the file. */
  readonly whyUnsafe: (path: string, isSecret: boolean, user?: string) => Unsafe | undefined;
  /** Why that user cannot read a file that this process can; undefined: it can, or that is unknown. */
  readonly whyClosed: (
    process: Pick<OtherProcess, 'of' | 'user'>,
    path: string,
    isSecret: boolean,
  ) => string | undefined;
  /** Whether the daemon, which needs none of them, can read it. */
  readonly isOpenToDaemon: (path: string) => boolean;
  /** The text of a file; undefined: it is unreadable here. */
  readonly read: (path: string) => string | undefined;
  readonly listFile: string | undefined;
  readonly nowMs: number;
}

export function* inspectOthers(settings: Settings, checks: OtherChecks): Generator<readonly Finding[]> {
  yield inspectLibraries(settings, checks);
  yield inspectSecrets(settings, checks);
  yield inspectUrls(settings, checks);
  yield inspectReceiverTrust(settings, checks);
  for (const process of processes)
    for (const file of process.filesOf(settings)) yield inspectOne(process, file, checks);
  // The page's own pair is looked at with those of listeners.
  for (const file of filesOfTls(pageTlsFilesOf(settings))) yield closedTo(page, file, checks);
  for (const [index, { client }] of settings.audit.ship.entries())
    if (client !== undefined)
      yield inspectClient(client.certificateFile, `audit.ship[${index}].certificate`, checks.nowMs);
}

function inspectOne(
  process: OtherProcess,
  { path, file }: NamedFile,
  checks: OtherChecks,
): readonly Finding[] {
  if (file === undefined) return [];
  if (file.startsWith(credentialsFolder)) {
    const message = `${file} is there only while ${process.user}.service runs, so it was not looked at`;
    return [finding('warning', path, message, 'unreadable-file')];
  }
  const why = checks.whyUnreadable(file);
  if (why !== undefined) return [finding('error', path, `${file} cannot be read: ${why}`, 'unreadable-file')];
  const isSecret = secretKeys.test(path);
  const unsafe = checks.whyUnsafe(file, isSecret, process.user);
  return [
    ...(unsafe === undefined ? [] : [unsafeFile(path, unsafe)]),
    ...(/\.(?:ca|authority)$/.test(path) ? withoutAuthority(path, file) : []),
    ...closedTo(process, { path, file }, checks, isSecret),
    ...(isSecret && checks.isOpenToDaemon(file) ? [openToDaemon(process, path, file)] : []),
  ];
}

/** Files that cannot be read at all are reported elsewhere. */
function closedTo(
  process: OtherProcess,
  { path, file }: NamedFile,
  { whyUnreadable, whyClosed }: OtherChecks,
  isSecret = false,
): readonly Finding[] {
  if (file === undefined || file.startsWith(credentialsFolder) || whyUnreadable(file) !== undefined)
    return [];
  const message = whyClosed(process, file, isSecret);
  return message === undefined ? [] : [finding('warning', path, message, 'unreadable-file')];
}

/** Hidden by both services: TemporaryFileSystem=, ProtectHome= and PrivateTmp=. */
const hiddenFolders = ['/etc/dovegate', '/home', '/root', '/run/user', '/tmp', '/var/tmp'];

/** Why the packaged service does not see a file; undefined: it does. */
export function whyHidden(
  { of, user }: Pick<OtherProcess, 'of' | 'user'>,
  path: string,
  isSecret = false,
): string | undefined {
  const own = `/etc/dovegate/${of}`;
  const isIn = (folder: string): boolean => path.startsWith(`${folder}/`);
  const hidden = isIn(own) ? undefined : hiddenFolders.find(isIn);
  if (hidden === undefined) return undefined;
  const copy = `${own}/${basename(path)}`;
  const run = [
    ['install', '-d', '-g', user, '-m', '0750', own],
    // A secret belongs to the user alone: the daemon is in the group, so that it can give the door's socket to it.
    isSecret
      ? ['install', '-o', user, '-m', '0400', path, copy]
      : ['install', '-g', user, '-m', '0640', path, copy],
  ];
  return `${user}.service does not see ${path}: ${hidden} is hidden from it; run: ${run.map((words) => formatWords(words)).join(' && ')}; then write ${copy}, and remove the other one if nobody else needs it`;
}

/** The daemon serves unauthenticated clients, so it should not be able to read secrets that it does not need. */
function openToDaemon({ user }: OtherProcess, path: string, file: string): Finding {
  const run = [
    // Not readable for the group: the daemon is in it.
    ['chown', `${user}:`, file],
    ['chmod', '0400', file],
  ];
  const message = `${file} can be read by the daemon, which does not need it; run: ${run.map((words) => formatWords(words)).join(' && ')}`;
  return finding('warning', path, message, 'unsafe-file');
}

/** Files that only the page's process reads, without its TLS. */
function pageFiles({ admin }: Settings): readonly NamedFile[] {
  const { oidc } = admin?.page ?? {};
  if (oidc === undefined) return [];
  return [
    { path: 'admin.page.oidc.client_secret_file', file: oidc.clientSecretFile },
    { path: 'admin.page.oidc.ca', file: oidc.caFile },
  ];
}

function receiverFiles({ audit, notices = [] }: Settings): readonly NamedFile[] {
  return [
    ...audit.ship.flatMap((sink, index) =>
      sinkFilesOf(sink).map(([key, file]) => ({ path: `audit.ship[${index}].${key}`, file })),
    ),
    ...notices.flatMap((each) => {
      const path = `notices.${each.name}`;
      const secretFile = isNoticeSettings(each, 'webhook') ? each.secretFile : undefined;
      return [
        { path: `${path}.secret_file`, file: secretFile },
        { path: `${path}.ca`, file: each.caFile },
      ];
    }),
  ];
}

/** If the system has no list of authorities: a problem for each receiver of records without an own one. */
function inspectReceiverTrust(
  { audit }: Pick<Settings, 'audit'>,
  { listFile }: Pick<OtherChecks, 'listFile'>,
): readonly Finding[] {
  if (listFile !== undefined) return [];
  return audit.ship.flatMap(({ caFile }, index) =>
    caFile === undefined ? [withoutTrust(`audit.ship[${index}].ca`)] : [],
  );
}

function inspectLibraries(
  { admin, audit, notices = [] }: Pick<Settings, 'admin' | 'audit' | 'notices'>,
  { isInstalled }: Pick<OtherChecks, 'isInstalled'>,
): readonly Finding[] {
  const needed: readonly (readonly [path: string, name: string, library: OptionalPackage])[] = [
    ...(admin?.page?.oidc === undefined
      ? []
      : [['admin.page.oidc', 'OpenID Connect', 'openid-client'] as const]),
    ...audit.ship.flatMap((sink, index) => {
      const library = sinkLibraryOf(sink);
      return library === undefined
        ? []
        : [[`audit.ship[${index}].${sink.kind}`, library.name, library.package] as const];
    }),
    ...notices
      .filter((each) => !isNoticeSettings(each, 'webhook'))
      .map(({ name }) => [`notices.${name}.mail`, 'mail', 'nodemailer'] as const),
  ];
  return needed
    .filter(([, , library]) => !isInstalled(library))
    .map(([path, name, library]) =>
      finding(
        'error',
        path,
        `the library for ${name} is not installed; ${howToInstall(library)}, or take this out`,
        'not-installed',
      ),
    );
}

/** Secrets that are empty, or not of the required form. */
function inspectSecrets(
  { admin, notices = [] }: Settings,
  { read }: Pick<OtherChecks, 'read'>,
): readonly Finding[] {
  const found: Finding[] = [];
  const add = (path: string, message: string): void =>
    void found.push(finding('error', path, message, 'doubtful'));
  const { oidc } = admin?.page ?? {};
  if (oidc !== undefined && read(oidc.clientSecretFile)?.trim() === '')
    add(
      'admin.page.oidc.client_secret_file',
      `${oidc.clientSecretFile} is empty; write the secret of the client into it`,
    );
  for (const each of notices) {
    const file = isNoticeSettings(each, 'webhook') ? each.secretFile : undefined;
    const secret = file === undefined || file.startsWith(credentialsFolder) ? undefined : read(file);
    if (file === undefined || secret === undefined || parseSecret(secret) !== undefined) continue;
    const make = 'make one with: echo "whsec_$(openssl rand -base64 32)"';
    add(`notices.${each.name}.secret_file`, `${file} must hold whsec_ and base64 of 24 to 64 bytes; ${make}`);
  }
  return found;
}

function withoutAuthority(path: string, file: string): readonly Finding[] {
  try {
    readEndOf(file);
    return [];
  } catch (fault) {
    if (!(fault instanceof CertificateFault)) throw fault;
    const message = `${fault.message}; put the certificate of the authority there, as PEM`;
    return [finding('error', path, message, 'bad-certificate')];
  }
}

/** Unreadable files are reported elsewhere, and an invalid certificate shows at the connection. */
function inspectClient(file: string, path: string, nowMs: number): readonly Finding[] {
  try {
    const leftMs = readEndOf(file) - nowMs;
    if (leftMs >= warnMs) return [];
    const message = `${file}: ${expirySentence('receiver-client', leftMs)}`;
    return [finding('warning', path, message, 'bad-certificate')];
  } catch (fault) {
    if (!(fault instanceof CertificateFault)) throw fault;
    return [];
  }
}

/** Warns if others can read the URL of a webhook without a secret: the URL permits writing to the channel. */
function inspectUrls(
  { notices = [], places }: Settings,
  { whyUnsafe }: Pick<OtherChecks, 'whyUnsafe'>,
): readonly Finding[] {
  return notices.flatMap((each): Finding[] => {
    if (!isNoticeSettings(each, 'webhook') || each.secretFile !== undefined) return [];
    const { pathname, search } = new URL(each.url);
    const path = `notices.${each.name}.webhook`;
    const { file } = placeIn(places, path);
    // A file that others can change is reported with the configuration.
    if (pathname + search === '/' || whyUnsafe(file, false) !== undefined) return [];
    const open = whyUnsafe(file, true);
    if (open === undefined || open.isDoubtful) return [];
    const message = `whoever knows this URL can write to the channel, and ${open.text}`;
    return [finding('warning', path, message, 'unsafe-file')];
  });
}
