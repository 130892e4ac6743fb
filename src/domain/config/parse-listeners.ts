// Reads `listeners`. A key that would have no effect on this kind of socket is an error, because its author relies on it.
import { parseNetwork } from '../identity/peer.js';
import type { Cursor } from './cursor.js';
import { parseAccounts, parseTls } from './parse-accounts.js';
import type { RawListener } from './schema.js';
import {
  type ListenerSettings,
  type ListenerSocket,
  type PeersSettings,
  type PolicyChoice,
} from './settings.js';
import { isLoopback, parseHostAndPort, socketPath } from './spellings.js';

/** Every listener that has a socket and somebody to serve; what the others lack is told. */
export function parseListeners(
  raw: Readonly<Record<string, RawListener>>,
  cursor: Cursor,
): ListenerSettings[] {
  return Object.entries(raw).flatMap(([name, each]) => parseListener(name, each, cursor.down(name)) ?? []);
}

const socketKinds = ['unix', 'tcp', 'systemd'] as const;

function parseListener(name: string, raw: RawListener, at: Cursor): ListenerSettings | undefined {
  const [kind, second] = socketKinds.filter((each) => raw[each] !== undefined);
  if (kind === undefined) {
    at.error([], 'needs a socket; add unix: PATH, tcp: ADDRESS:PORT, or systemd: NAME', 'missing-key');
    return undefined;
  }
  if (second !== undefined) {
    at.error([second], 'a listener has one socket: either unix, tcp or systemd', 'key-conflict');
    return undefined;
  }
  const socket = parseSocket(kind, raw, at);
  // Which of the two systemd hands over is not known here; who says tls means TCP.
  const isNetwork = raw.tcp !== undefined || (raw.systemd !== undefined && raw.tls !== undefined);
  const common = {
    name,
    sessions: raw.sessions,
    sessionsPerPeer: raw.sessions_per_peer,
    place: at.place(),
  };
  if (isNetwork) {
    const tls = parseTls(raw, at);
    if (tls?.mode === 'off' && socket?.kind === 'tcp' && !isLoopback(socket.host)) {
      at.error(
        ['tls', 'mode'],
        'off is for loopback addresses (127.0.0.1, [::1]): passwords would travel in clear',
      );
    }
    for (const key of ['policy', 'policies', 'peers'] as const) {
      if (raw[key] === undefined) continue;
      const why = key === 'peers' ? 'the kernel does not say who comes by TCP' : 'each account has its own';
      at.error([key], `is for UNIX sockets: ${why}`, 'key-conflict');
    }
    const accounts = parseAccounts(raw, tls, at);
    const from = parseNetworks(at);
    if (socket === undefined || tls === undefined || accounts.length === 0) return undefined;
    return { ...common, socket, policies: [], from, tls, accounts };
  }
  for (const key of ['from', 'tls', 'accounts'] as const) {
    if (raw[key] !== undefined)
      at.error([key], 'is for TCP sockets; the kernel says who comes by a UNIX socket', 'key-conflict');
  }
  const policies = policiesOf(raw, at);
  const peers = peersOf(at.down('peers'));
  if (socket === undefined || policies.length === 0) return undefined;
  const accounts = { from: [], tls: undefined, accounts: [] };
  return { ...common, socket, ...(peers === undefined ? {} : { peers }), policies, ...accounts };
}

const unixKeys = ['mode', 'owner', 'group'] as const;

/** Where the socket of a listener comes from; undefined: it cannot be read, which is told. */
function parseSocket(
  kind: (typeof socketKinds)[number],
  raw: RawListener,
  at: Cursor,
): ListenerSocket | undefined {
  switch (kind) {
    case 'unix':
      return parseUnix(raw, at);
    case 'tcp':
      return parseTcp(raw.tcp ?? '', at);
    case 'systemd':
      return parseSystemd(raw.systemd ?? '', at);
    default:
      return kind satisfies never;
  }
}

function parseSystemd(name: string, at: Cursor): ListenerSocket {
  // What systemd takes for such a name.
  if (!/^[!-9;-~]{1,255}$/.test(name)) {
    at.error(['systemd'], 'must be the FileDescriptorName= of a socket unit, without blanks and colons');
  }
  for (const key of unixKeys) {
    if (at.node(key) === undefined) continue;
    at.error(
      [key],
      'belongs into the socket unit (SocketMode=, SocketUser=, SocketGroup=): the socket is made by systemd',
    );
  }
  return { kind: 'systemd', name };
}

function parseTcp(text: string, at: Cursor): ListenerSocket | undefined {
  for (const key of unixKeys) {
    if (at.node(key) !== undefined)
      at.error([key], 'is for UNIX sockets; say from: [NETWORK] for who may connect', 'key-conflict');
  }
  const place = parseHostAndPort(text);
  if (place !== undefined) return { kind: 'tcp', ...place };
  at.error(['tcp'], 'must be ADDRESS:PORT or [IPV6]:PORT, as 0.0.0.0:24246 or "[::]:24246"');
  return undefined;
}

function parseUnix(raw: RawListener, at: Cursor): ListenerSocket | undefined {
  const path = socketPath(at);
  if (path === undefined) return undefined;
  const owner = at.source('owner');
  const group = at.source('group');
  const { mode } = raw;
  if ((mode & 0o002) !== 0) {
    at.warning(
      ['mode'],
      'lets every user of this machine connect; say a group and "0660" unless that is meant',
      'too-open',
    );
  }
  // Connecting needs the permission to write; without it nobody but root gets in.
  if ((mode & 0o222) === 0) at.error(['mode'], 'lets nobody connect: connecting needs write permission');
  return {
    kind: 'unix',
    path,
    mode,
    ...(owner === undefined ? {} : { owner }),
    ...(group === undefined ? {} : { group }),
  };
}

/** Which policy holds for whom; empty when that cannot be told, which is told. */
function policiesOf(raw: RawListener, at: Cursor): PolicyChoice[] {
  if (raw.policy !== undefined && raw.policies !== undefined) {
    at.error(['policies'], 'stands beside policy; write one of them', 'key-conflict');
    return [];
  }
  if (raw.policy !== undefined) return [{ policy: raw.policy }];
  if (raw.policies === undefined || raw.policies.length === 0) {
    at.error([], 'needs a policy; add policy: NAME', 'missing-key');
    return [];
  }
  let everybody: number | undefined;
  return raw.policies.map(({ policy }, index) => {
    const here = at.down('policies', index);
    const peers = peersOf(here.down('peers'));
    if (everybody !== undefined)
      here.warning([], 'is never reached: a line above takes everybody', 'never-reached');
    else if (peers === undefined) everybody = index;
    return peers === undefined ? { policy } : { peers, policy };
  });
}

/** The persons at this place; undefined: nothing is said there. */
function peersOf(at: Cursor): PeersSettings | undefined {
  if (at.node() === undefined) return undefined;
  const users = at.words('users').map(({ text }) => text);
  const groups = at.words('groups').map(({ text }) => text);
  if (users.length + groups.length === 0) at.error([], 'names nobody; add users or groups, or leave it out');
  return { users, groups };
}

/** `from` of a listener, as written; an entry that is no network is a problem. */
function parseNetworks(at: Cursor): string[] {
  return at.words('from').map(({ text }, index) => {
    const network = parseNetwork(text);
    if (network === undefined) {
      at.error(
        ['from', index],
        'must be an address or a network, as 192.0.2.7, 192.0.2.0/24 or "2001:db8::/32"',
      );
    } else if (!network.isFirst) {
      at.error(['from', index], 'has bits set beyond its length; write the first address of the network');
    }
    return text;
  });
}
