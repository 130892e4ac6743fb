// The routing table of a configuration, for those who assess command lines without a daemon: explain, policy tests, replay, suggest.
import type { Series } from '../commands/catalog.js';
import { createMailboxNames, doubtedNames, type MailboxNames } from '../commands/mailbox-names.js';
import { usualSharedPrefixes } from '../commands/shared-mailboxes.js';
import { createUserNames } from '../identity/user-name.js';
import { createRoutingTable, type RoutedBackend, type RoutingTable } from '../policy/assess.js';
import type { BackendSettings, Settings } from './settings.js';

/** `series`: what all backends are taken for, whatever the configuration says; undefined: what it says. */
export function routingTableOf(
  { routes, serverCommands, backends, mailUsers }: Settings,
  series?: readonly Series[],
): RoutingTable {
  return createRoutingTable({
    routes,
    serverCommands,
    backends: backends.map((backend) =>
      routedBackend(backend, series === undefined ? backend.series : 'auto'),
    ),
    userNames: createUserNames(mailUsers),
    asksUserdb: mailUsers.resolve !== undefined,
    assumedSeries: series,
  });
}

function routedBackend(backend: BackendSettings, series: 'auto' | Series): RoutedBackend {
  const { name, sharedNamespaces } = backend;
  const known = series === 'auto' ? undefined : series;
  return { name, series: known, sharedNamespaces, mailboxNames: mailboxNamesOf(backend) };
}

/** Which mailboxes a name may be to a backend. */
export function mailboxNamesOf({ namespaces, sharedNamespaces }: BackendSettings): MailboxNames {
  if (namespaces === undefined && sharedNamespaces === undefined) return doubtedNames;
  return createMailboxNames(namespaces, sharedNamespaces ?? usualSharedPrefixes);
}
