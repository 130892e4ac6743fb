// Owns what must hold between listeners: names that exist, sockets that differ. It does not know how each was read.

import { formatListenerSocket, type ListenerSettings } from './listener-settings.js';
import { unknownName } from './problem.js';
import { type Cursor, namesIn } from './written.js';

/** Where operators ask: no listener's place. */
interface AdminPlaces {
  readonly unix?: string;
  readonly tcp?: { readonly host: string; readonly port: number };
}

/** Tells what is wrong. `written` is the whole configuration, `valid` what was left of it and became the settings. */
export function checkListeners(
  listeners: readonly ListenerSettings[],
  admin: AdminPlaces | undefined,
  written: Cursor,
  valid: Cursor,
): void {
  const policies = namesIn(written, 'policies');
  const sockets = new Map<string, string>();
  for (const listener of listeners) {
    const { name, socket, sessions, sessionsPerPeer } = listener;
    const at = valid.down('listeners', name);
    const place = formatListenerSocket(socket);
    const first = sockets.get(place);
    if (first !== undefined)
      at.error([socket.kind], `is the socket of listener ${first} already`, 'defined-twice');
    sockets.set(place, first ?? name);
    checkPolicies(listener, policies, at);
    if (sessionsPerPeer > sessions && at.node('sessions_per_peer') !== undefined) {
      at.warning(['sessions_per_peer'], `is above sessions (${sessions}), so it never counts`, 'no-effect');
    }
  }
  const { unix, tcp } = admin ?? {};
  const place = tcp && formatListenerSocket({ kind: 'tcp', ...tcp });
  for (const [key, text] of [['unix', unix && `unix:${unix}`] as const, ['tcp', place] as const]) {
    const taken = sockets.get(text ?? '');
    if (taken !== undefined)
      valid.down('admin').error([key], `is the socket of listener ${taken} already`, 'defined-twice');
  }
}

function checkPolicies(
  { policies: choices, accounts }: ListenerSettings,
  policies: readonly string[],
  at: Cursor,
): void {
  for (const [index, { policy }] of choices.entries()) {
    const path = at.node('policy') ? ['policy'] : ['policies', index, 'policy'];
    if (!policies.includes(policy)) at.error(path, unknownName('policy', policy, policies), 'unknown-name');
  }
  for (const { name, policy } of accounts) {
    if (policies.includes(policy)) continue;
    at.error(['accounts', name, 'policy'], unknownName('policy', policy, policies), 'unknown-name');
  }
}

/** Every policy that a listener gives somebody. */
export function policiesUsed(listeners: readonly ListenerSettings[]): string[] {
  return listeners.flatMap(({ policies, accounts }) =>
    [...policies, ...accounts].map(({ policy }) => policy),
  );
}
