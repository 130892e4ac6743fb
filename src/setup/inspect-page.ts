// Problems of the files that only the page's process reads, as that process will find them: seen and readable for its user, with
// certificates where authorities are asked for. And the URL of a webhook in a configuration that everybody can read.

import { type Finding, placeIn } from '../domain/config/problem.js';
import type { Settings } from '../domain/config/settings.js';
import { pageTlsFilesOf } from './certificates.js';
import {
  credentialsFolder,
  filesOfTls,
  type NamedFile,
  pageFiles,
  type WhyUnreadable,
  type WhyUnsafe,
} from './inspect-files.js';
import { CertificateFault, readEndOf } from './read-certificates.js';

export interface PageChecks {
  readonly whyUnreadable: WhyUnreadable;
  /** Why the page cannot read a file that we can; undefined: it can, or it is not known. */
  readonly whyClosed: (path: string) => string | undefined;
  readonly whyUnsafe: WhyUnsafe;
}

export function inspectPageFiles(
  settings: Settings,
  { whyUnreadable, whyClosed, whyUnsafe }: PageChecks,
): readonly Finding[] {
  const problems: Finding[] = [];
  for (const { path, file } of filesOf(settings)) {
    // What cannot be read is reported with the other files.
    if (file === undefined || file.startsWith(credentialsFolder) || whyUnreadable(file) !== undefined)
      continue;
    const closed = whyClosed(file);
    if (closed !== undefined)
      problems.push({ path, message: closed, severity: 'warning', code: 'unreadable-file' });
    const why = path.endsWith('.ca') ? whyNoAuthority(file) : undefined;
    if (why !== undefined) problems.push({ path, message: why, severity: 'error', code: 'bad-certificate' });
  }
  return [...problems, ...inspectUrls(settings, whyUnsafe)];
}

function filesOf(settings: Settings): readonly NamedFile[] {
  const { notices = [] } = settings;
  return [
    ...pageFiles(settings),
    ...filesOfTls(pageTlsFilesOf(settings)),
    ...notices.flatMap((each) => {
      const path = `notices.${each.name}`;
      const secretFile = each.kind === 'webhook' ? each.secretFile : undefined;
      return [
        { path: `${path}.secret_file`, file: secretFile },
        { path: `${path}.ca`, file: each.caFile },
      ];
    }),
  ];
}

const pageFolder = '/etc/dovegate/page';

/** Hidden by dovegate-page.service: TemporaryFileSystem=, ProtectHome= and PrivateTmp=. */
const hiddenFolders = ['/etc/dovegate', '/home', '/root', '/run/user', '/tmp', '/var/tmp'];

/** Why the packaged service of the page does not see a file; undefined: it does. */
export function whyHidden(path: string): string | undefined {
  const isIn = (folder: string): boolean => path.startsWith(`${folder}/`);
  const hidden = isIn(pageFolder) ? undefined : hiddenFolders.find(isIn);
  return hidden === undefined
    ? undefined
    : `dovegate-page.service does not see ${path}: ${hidden} is hidden from it; put the file into ${pageFolder}`;
}

function whyNoAuthority(file: string): string | undefined {
  try {
    readEndOf(file);
    return undefined;
  } catch (fault) {
    if (!(fault instanceof CertificateFault)) throw fault;
    return `${fault.message}; put the certificate of the authority there, as PEM`;
  }
}

/** The URL of a chat is its password. */
function inspectUrls({ notices = [], places }: Settings, whyUnsafe: WhyUnsafe): readonly Finding[] {
  return notices.flatMap((each): Finding[] => {
    if (each.kind !== 'webhook' || each.secretFile !== undefined) return [];
    const { pathname, search } = new URL(each.url);
    const path = `notices.${each.name}.webhook`;
    const { file } = placeIn(places, path);
    // What others can change is reported with the configuration.
    if (pathname + search === '/' || whyUnsafe(file, false) !== undefined) return [];
    const open = whyUnsafe(file, true);
    if (open === undefined || open.isDoubtful) return [];
    const message = `whoever knows this URL can write to the channel, and ${open.text}`;
    return [{ path, message, severity: 'warning', code: 'unsafe-file' }];
  });
}
