// The list of policies: the version of each, which listeners, accounts and keys have it, the namespaces of each backend, and in words
// where commands go and who is one person. Records of starts and reloads contain the hash of its text, and the journal keeps the text
// beside the texts of policies. With it, the version in an admission leads to the reload that introduced it. The text is JSON, and equal
// lists have equal texts.

import * as z from 'zod';
import { sha256Hex } from '../../host/values/digest.js';
import { parseLine } from '../../host/values/values.js';
import { identitiesOf } from '../identity/person.js';
import { formatTarget } from '../policy/policy.js';
import type { Settings } from './settings.js';

const names = z.array(z.string());
const peers = z.object({ users: names, groups: names });
const versions = z.object({ version: z.string(), shadow: z.string().optional() });
const login = z.object({ name: z.string(), policy: z.string() });
const listener = z.object({
  /** Who may connect; absent: the listener has no such restriction. */
  peers: peers.optional(),
  /** The first entry without peers, or with the peer of the connection, applies. */
  policies: z.array(z.object({ policy: z.string(), peers: peers.optional() })),
  accounts: z.array(login),
  keys: z.array(login),
});
const namespace = z.object({
  prefix: z.string(),
  separator: z.string(),
  inbox: z.boolean(),
  aliasFor: z.string().optional(),
  kind: z.enum(['private', 'shared', 'public']),
});
/** The namespaces that hold mailboxes of other users; absent: not configured. */
const backend = z.object({ shared: names.optional(), namespaces: z.array(namespace).optional() });
const listShape = z.object({
  policies: z.record(z.string(), versions),
  listeners: z.record(z.string(), listener),
  backends: z.record(z.string(), backend),
  /** In their order: `*@example.com -> mail1`. */
  routes: names,
  /** Where commands for a server go; `default`: those that only read and have no line of their own. */
  serverCommands: z.record(z.string(), z.string()),
  /** The identities of each person. */
  persons: z.record(z.string(), z.string()),
});

export type PolicyList = z.infer<typeof listShape>;
export type ListedListener = z.infer<typeof listener>;
export type ListedBackend = z.infer<typeof backend>;

export type ListedSettings = Pick<
  Settings,
  'policies' | 'listeners' | 'backends' | 'routes' | 'serverCommands' | 'persons'
>;

export function policyListOf(settings: ListedSettings): { readonly hash: string; readonly text: string } {
  const { policies, listeners, backends, routes, serverCommands, persons } = settings;
  // The shape leaves out all other keys.
  const list = listShape.parse({
    policies: byName([...policies.values()], ({ version, shadow }) => ({ version, shadow: shadow?.version })),
    listeners: byName(listeners, (each) => each),
    backends: byName(backends, ({ sharedNamespaces: shared, namespaces }) => ({ shared, namespaces })),
    routes: routes.map(({ users, target }) => `${users.texts.join(' ')} -> ${formatTarget(target)}`),
    serverCommands: Object.fromEntries(
      [['default', serverCommands.default] as const, ...serverCommands.byCommand].map(([name, target]) => [
        name,
        target.kind === 'backend' ? target.backend : target.kind,
      ]),
    ),
    persons: Object.fromEntries([...persons].map(([name, person]) => [name, identitiesOf(person).join(' ')])),
  });
  const text = `${JSON.stringify(list, undefined, 1)}\n`;
  return { hash: sha256Hex(text), text };
}

/** Undefined: the text is not a policy list. */
export function parsePolicyList(text: string): PolicyList | undefined {
  return listShape.safeParse(parseLine(text)).data;
}

function byName<Named extends { readonly name: string }, Value>(
  all: readonly Named[],
  of: (one: Named) => Value,
): Record<string, Value> {
  const sorted = all.toSorted((one, other) => (one.name < other.name ? -1 : 1));
  return Object.fromEntries(sorted.map((one) => [one.name, of(one)]));
}
