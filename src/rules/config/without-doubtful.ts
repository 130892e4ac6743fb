// A configuration without the parts that have problems, for `doctor`, which looks at the rest.

import type { Problem } from './problem.js';
import type { Settings } from './settings.js';

/**
 * Without the backends and receivers that an error could make less safe to dial: an unreadable line may be a `ca` or `key_pins`.
 * `errors`: those of the file and of the files that it names.
 */
export function withoutDoubtful(
  settings: Settings,
  errors: readonly Pick<Problem, 'path' | 'code'>[],
): Settings {
  const isAnyDoubtful = errors.some(mayBePartOfAnother);
  const isSound = (path: string): boolean =>
    !isAnyDoubtful && !errors.some((error) => error.path === path || /^[.[]/.test(behind(path, error.path)));
  return {
    ...settings,
    backends: settings.backends.filter(({ name }) => isSound(`backends.${name}`)),
    audit: isSound('audit') ? settings.audit : { ...settings.audit, ship: [] },
  };
}

function behind(path: string, text: string): string {
  return text.startsWith(path) ? text.slice(path.length) : '';
}

/** Sections whose errors do not affect other sections. */
const ownSections =
  /^(?:catalog|listeners|mail_users|backends|routes|policies|shadow|persons|server_commands|tests|state|audit|limits|admin|notices|log)(?:[.[]|$)/;

/** A file that was not read to its end, or a misplaced key, may belong to any backend. */
function mayBePartOfAnother({ path, code }: Pick<Problem, 'path' | 'code'>): boolean {
  if (code === 'not-yaml' || !ownSections.test(path)) return true;
  return /^backends(?:\.[^.[]*)?$/.test(path) && code !== 'missing-key';
}
