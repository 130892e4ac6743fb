// Whether the files that settings name can be read. It does not open them: that comes in.
// The rule: every file is asked for, so that all problems come at once.

import type { Settings } from '../config/settings.js';
import type { Problem } from '../source/problem.js';

/** Why a file cannot be read; undefined: it can. */
export type WhyUnreadable = (path: string) => string | undefined;

/** A problem for each file that the daemon will need and could not read now. */
export function inspectFiles(settings: Settings, whyUnreadable: WhyUnreadable): readonly Problem[] {
  const problems: Problem[] = [];
  for (const backend of settings.backends) {
    const files: [key: string, path: string][] = backend.passwordFiles.map((path) => ['password_file', path]);
    if (backend.caFile !== undefined) files.push(['ca', backend.caFile]);
    for (const [key, path] of files) {
      const why = whyUnreadable(path);
      if (why === undefined) continue;
      const message = `${path} cannot be read: ${why}`;
      problems.push({
        ...backend.place,
        path: `backends.${backend.name}.${key}`,
        message,
        severity: 'error',
      });
    }
  }
  const { signKeyFile, hmacKeyFile, ship } = settings.audit;
  for (const [index, { caFile, client, place }] of ship.entries()) {
    for (const [key, path] of [
      ['ca', caFile],
      ['certificate', client?.certificateFile],
      ['key', client?.keyFile],
    ] as const) {
      const why = path === undefined ? undefined : whyUnreadable(path);
      if (path === undefined || why === undefined) continue;
      const message = `${path} cannot be read: ${why}`;
      problems.push({ ...place, path: `audit.ship[${index}].${key}`, message, severity: 'error' });
    }
  }
  for (const [path, key] of [
    [signKeyFile, 'audit.sign_key'],
    [hmacKeyFile, 'audit.hmac_key'],
    [settings.admin?.tokenFile, 'admin.token_file'],
  ] as const) {
    const why = path === undefined ? undefined : whyUnreadable(path);
    if (why === undefined) continue;
    const place = settings.listeners[0]?.place ?? { file: '', line: 1, column: 1 };
    problems.push({
      file: place.file,
      line: 1,
      column: 1,
      path: key,
      message: `${path ?? ''} cannot be read: ${why}`,
      severity: 'error',
    });
  }
  return problems;
}
