// Whether a server may get an allowed command, by what is known of its release. Checked for each destination when the command is assessed,
// and again for the upstream that it got.

import { lateFields } from '../../protocol/releases.js';
import type { Judged } from './judge.js';
import type { Obstacle, RoutedBackend } from './route.js';

/** Undefined: it may get the command. */
export function whyUnfit(
  { attempt: { command, effect, parsed } }: Pick<Judged, 'attempt'>,
  { name, server, newer = 'reads' }: Pick<RoutedBackend, 'name' | 'server' | 'newer'>,
): Obstacle | undefined {
  if (server === undefined) return undefined;
  if (server.isNewer && effect !== 'read' && newer !== 'serve') {
    const reason = `backend ${name} is newer than this dovegate knows, so it gets reads only (backends.${name}.newer: ${newer})`;
    return { kind: 'unparsable', code: 'backend-newer', reason };
  }
  if (command.name !== 'mailbox status') return undefined;
  const lacking = parsed.values
    .get('field')
    ?.find((field) => lateFields.has(field) && !server.lateFields.includes(field));
  if (lacking === undefined) return undefined;
  const reason =
    server.releases.length === 1
      ? `Dovecot ${server.releases.join()}, which backend ${name} is, dies of the field "${lacking}"; ask for "all"`
      : `releases of Dovecot without the field "${lacking}" die of it, and backend ${name} may be one; ask for "all", or set backends.${name}.release`;
  return { kind: 'unparsable', code: 'release-unsure', reason };
}
