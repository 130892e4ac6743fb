// Owns what the configuration alone says of where a command would go, for those who judge without a daemon: tests, explain, replay.
// It asks nobody: a route by passdb may lead to every backend. The rule: of several backends only that counts which holds for all.
import {
  createMailboxNames,
  doubtedNames,
  type MailboxNames,
  namesAmong,
} from '../commands/mailbox-names.js';
import type { Series } from '../commands/series.js';
import { usualSharedPrefixes } from '../commands/shared-mailboxes.js';
import { jointNamespaces, reachableFor } from '../policy/route.js';
import type { BackendSettings, Settings } from './settings.js';

/** The backends that a command could go to; empty: no route. `user` is in normal form; undefined: it names no mailbox user. */
export function backendsFor(settings: Settings, user: string | undefined): readonly BackendSettings[] {
  const { backends, routes } = settings;
  if (user === undefined) return backends;
  const names = backends.map(({ name }) => name);
  const reached = new Set(reachableFor(routes, user, names));
  return backends.filter(({ name }) => reached.has(name));
}

/** Which mailboxes a name may be to a backend. */
export function mailboxNamesOf({ namespaces, sharedNamespaces }: BackendSettings): MailboxNames {
  if (namespaces === undefined && sharedNamespaces === undefined) return doubtedNames;
  return createMailboxNames(namespaces, sharedNamespaces ?? usualSharedPrefixes);
}

/** What a judgement needs to know of them: one series or both, and every prefix of a shared namespace. */
export function jointDestination(backends: readonly BackendSettings[]): {
  readonly series: 'auto' | Series;
  readonly sharedNamespaces: readonly string[] | undefined;
  readonly mailboxNames: MailboxNames;
} {
  const [first, ...others] = backends;
  const isOne = others.every((backend) => backend.series === first?.series);
  return {
    series: first !== undefined && isOne ? first.series : 'auto',
    sharedNamespaces: jointNamespaces(backends.map((backend) => backend.sharedNamespaces)),
    mailboxNames: namesAmong(backends.map((backend) => ({ mailboxNames: mailboxNamesOf(backend) }))),
  };
}
