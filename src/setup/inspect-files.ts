// Whether the files that settings name can be read. It does not open them: that comes in.
// The rule: every file is asked for, so that all problems come at once.

import type { Place, Problem } from '../domain/config/problem.js';
import type { Settings } from '../domain/config/settings.js';

/** Why a file cannot be read; undefined: it can. */
export type WhyUnreadable = (path: string) => string | undefined;

/** Where systemd puts the credentials of services, while they run. */
export const credentialsFolder = '/run/credentials/';

/** A file that settings name, and where they do. */
export interface NamedFile {
  readonly place: Place;
  /** As `backends.mail1.ca`. */
  readonly path: string;
  readonly file: string | undefined;
}

/**
 * Of each file that the daemon will need: the problem if it cannot be read now. `credentials`: the folder of ours, where we run
 * as a service that has some; elsewhere a missing credential is a warning, since only the service ever sees it.
 */
export function* inspectFiles(
  settings: Settings,
  whyUnreadable: WhyUnreadable,
  credentials: string | undefined,
): Generator<readonly Problem[]> {
  for (const { place, path, file } of namedFiles(settings)) {
    const why = file === undefined ? undefined : whyUnreadable(file);
    if (file === undefined || why === undefined) {
      yield [];
      continue;
    }
    const isLater = credentials === undefined && file.startsWith(credentialsFolder);
    const message = isLater
      ? `${file} is there only while its service runs, so it was not looked at`
      : `${file} cannot be read: ${why}`;
    yield [{ ...place, path, message, severity: isLater ? 'warning' : 'error', code: 'unreadable-file' }];
  }
}

/** Every file that settings name, but for those of listeners' TLS. */
export function namedFiles({ backends, audit, admin, listeners }: Settings): readonly NamedFile[] {
  const { file = '' } = listeners[0]?.place ?? {};
  const top: Place = { file, line: 1, column: 1 };
  return [
    ...backends.flatMap(({ name, place, passwordFiles, caFile }) => [
      ...passwordFiles.map((each, index) => {
        const item = passwordFiles.length === 1 ? '' : `[${index}]`;
        return { place, path: `backends.${name}.password_file${item}`, file: each };
      }),
      { place, path: `backends.${name}.ca`, file: caFile },
    ]),
    ...audit.ship.flatMap(({ caFile, client, place }, index) => [
      { place, path: `audit.ship[${index}].ca`, file: caFile },
      { place, path: `audit.ship[${index}].certificate`, file: client?.certificateFile },
      { place, path: `audit.ship[${index}].key`, file: client?.keyFile },
    ]),
    { place: top, path: 'audit.sign_key', file: audit.signKeyFile },
    { place: top, path: 'audit.hmac_key', file: audit.hmacKeyFile },
    { place: top, path: 'admin.token_file', file: admin?.tokenFile },
  ];
}
