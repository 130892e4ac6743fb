// The listeners as the daemon takes them: one socket, its policies, its logins.
import type { Cursor } from './cursor.js';
import { isTcp, type RawListener, socketKindOf } from './listener-schema.js';
import { parseKeys } from './parse-keys.js';
import { without } from './schema-parts.js';
import type { ListenerSettings, ListenerSocket, ListenerTls } from './settings.js';

/** Every listener with a socket and a policy. `nowMs`: for warnings about keys; undefined: no warnings. */
export function listenersOf(
  raw: Readonly<Record<string, RawListener>>,
  cursor: Cursor,
  nowMs: number | undefined,
): ListenerSettings[] {
  return Object.entries(raw).flatMap(
    ([name, each]) => listenerOf(name, each, cursor.down(name), nowMs) ?? [],
  );
}

function listenerOf(
  name: string,
  raw: RawListener,
  at: Cursor,
  nowMs: number | undefined,
): ListenerSettings | undefined {
  const { protocol, policy, policies = policy === undefined ? [] : [{ policy }], peers } = raw;
  const socket = socketOf(raw);
  if (socket === undefined) return undefined;
  const plain = without(raw, 'unix', 'tcp', 'systemd', 'mode', 'owner', 'group', 'policy', 'peers');
  const common = { ...plain, name, socket };
  if (!isTcp(raw)) {
    if (policies.length === 0) return undefined;
    return { ...common, ...(peers && { peers }), policies, from: [], tls: undefined, accounts: [], keys: [] };
  }
  const tls = tlsOf(raw);
  const accounts = Object.entries(raw.accounts).map(([account, each]) => ({ name: account, ...each }));
  const keys = protocol === 'http' ? parseKeys(raw, at, nowMs) : [];
  if (tls === undefined || accounts.length + keys.length === 0) return undefined;
  return { ...common, policies: [], tls, accounts, keys };
}

function socketOf(raw: RawListener): ListenerSocket | undefined {
  const { unix: path = '', tcp, systemd: name = '', mode, owner, group } = raw;
  const kind = socketKindOf(raw);
  if (kind === 'unix')
    return { kind, path, mode, ...(owner !== undefined && { owner }), ...(group !== undefined && { group }) };
  if (kind === 'systemd') return { kind, name };
  return tcp && { kind: 'tcp', ...tcp };
}

/** Undefined: the listener has no TLS, or its certificate or key is missing. */
function tlsOf({ tls, protocol }: RawListener): ListenerTls | undefined {
  if (tls === undefined) return undefined;
  const { mode, certificate, key, clientCa } = tls;
  if (mode === 'off') return { mode };
  if (certificate === undefined || key === undefined) return undefined;
  return { mode: protocol === 'http' ? 'implicit' : mode, certificate, key, clientCa };
}
