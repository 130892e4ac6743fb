// Whether somebody else can change the files of a configuration, or read its secrets. It does not look at files itself: that comes in.
// The rule: `check`, `serve` and a reload ask the same function, with the same answer.

import type { Unsafe } from '../adapters/host/trusted-path.js';
import type { Problem } from '../domain/config/problem.js';
import type { Asking } from '../domain/config/read-files.js';
import type { Settings } from '../domain/config/settings.js';
import { type NamedFile, namedFiles } from './inspect-files.js';

/** Why a file is not safe to rely on; undefined: it is. `isSecret`: others may not read it either. */
export type WhyUnsafe = (path: string, isSecret: boolean) => Unsafe | undefined;

/** Settings whose files are secrets; the others may be read by everybody. */
const secretKeys = /\.(password_file|key|sign_key|hmac_key|token_file)(\[\d+\])?$/;

/**
 * Of each file, the problem if it is not safe: of `files`, which hold the configuration itself, and of those that `settings` name. At the
 * place of the value that names the file; the first file is named by nobody, so it is told at its own first line.
 */
export function* inspectModes(
  files: ReadonlyMap<string, Asking | undefined>,
  settings: Settings | undefined,
  whyUnsafe: WhyUnsafe,
): Generator<readonly Problem[]> {
  const asked = [...files].map(([file, from]) => ({
    place: from?.place ?? { file, line: 1, column: 1 },
    path: from?.path ?? '',
    file,
  }));
  const named = settings === undefined ? [] : [...namedFiles(settings), ...filesOfListeners(settings)];
  for (const { place, path, file } of [...asked, ...named]) {
    const why = file === undefined ? undefined : whyUnsafe(file, secretKeys.test(path));
    const severity = why?.isDoubtful === true ? 'warning' : 'error';
    yield why === undefined ? [] : [{ ...place, path, message: why.text, severity, code: 'unsafe-file' }];
  }
}

/** The files of TLS; that they can be read, and what stands in them, is judged with the certificates. */
function filesOfListeners({ listeners }: Settings): readonly NamedFile[] {
  return listeners.flatMap(({ name, place, tls }) => {
    if (tls === undefined || tls.mode === 'off') return [];
    return [
      { place, path: `listeners.${name}.tls.certificate`, file: tls.certificate },
      { place, path: `listeners.${name}.tls.key`, file: tls.key },
      { place, path: `listeners.${name}.tls.client_ca`, file: tls.clientCa },
    ];
  });
}
