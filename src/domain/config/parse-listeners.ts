// Reads `listeners`: their sockets, their policies, and the authentication of TCP clients. A key without effect on this kind of socket is
// an error, because its author relies on it. So is everything that could admit the wrong client: a certificate without verification, one
// that always fits two accounts, an account without a proof.
import { parsePasswordHash } from '../people/identity/credentials.js';
import { isLoopback } from '../people/identity/peer.js';
import { type Cursor, checkSocketPath } from './cursor.js';
import type { RawAccount, RawListener, RawPeers } from './listener-schema.js';
import { checkNetworks, parseKeys } from './parse-keys.js';
import { parseHostAndPort, without } from './schema-parts.js';
import type { AccountSettings, ListenerSettings, ListenerSocket, ListenerTls } from './settings.js';

/** Every listener with a socket and a policy; the faults of the others are reported. */
export function parseListeners(
  raw: Readonly<Record<string, RawListener>>,
  cursor: Cursor,
  nowMs: number | undefined,
): ListenerSettings[] {
  return Object.entries(raw).flatMap(
    ([name, each]) => parseListener(name, each, cursor.down(name), nowMs) ?? [],
  );
}

/** `nowMs`: for warnings about keys; undefined: no warnings. */
function parseListener(
  name: string,
  raw: RawListener,
  at: Cursor,
  nowMs: number | undefined,
): ListenerSettings | undefined {
  const [kind, second] = (['unix', 'tcp', 'systemd'] as const).filter((each) => raw[each] !== undefined);
  if (kind === undefined) {
    at.error([], 'needs a socket; add unix: PATH, tcp: ADDRESS:PORT, or systemd: NAME', 'missing-key');
    return undefined;
  }
  if (second !== undefined) {
    at.error([second], 'a listener has one socket: either unix, tcp or systemd', 'key-conflict');
    return undefined;
  }
  const socket = { unix: parseUnix, tcp: parseTcp, systemd: parseSystemd }[kind](raw, at);
  const plain = without(raw, 'unix', 'tcp', 'systemd', 'mode', 'owner', 'group', 'policy', 'peers');
  const common = { ...plain, name };
  const { protocol, refusalCell } = raw;
  if (protocol === 'http' && refusalCell !== false)
    at.error(
      ['refusal_cell'],
      'is for protocol: doveadm; over HTTP every error has its reason',
      'key-conflict',
    );
  if (protocol !== 'http' && at.has('keys'))
    at.error(['keys'], 'is for listeners with protocol: http; others have accounts', 'key-conflict');
  // It is unknown here which of the two systemd passes: a listener with tls is for TCP.
  if (kind === 'tcp' || (kind === 'systemd' && raw.tls !== undefined)) {
    const tls = parseTls(raw, at);
    if (tls?.mode === 'off' && socket?.kind === 'tcp' && !isLoopback(socket.host)) {
      const message = 'off is for loopback addresses (127.0.0.1, [::1]): passwords would travel in clear';
      at.error(['tls', 'mode'], message);
    }
    for (const key of ['policy', 'policies', 'peers'] as const) {
      const each = protocol === 'http' ? 'each key and each account' : 'each account';
      const why = key === 'peers' ? 'the kernel does not say who connects by TCP' : `${each} has its own`;
      if (raw[key] !== undefined) at.error([key], `is for UNIX sockets: ${why}`, 'key-conflict');
    }
    checkLogins(raw, at);
    const accounts = parseAccounts(raw, tls, at);
    const keys = protocol === 'http' ? parseKeys(raw, at, nowMs) : [];
    checkNetworks(raw.from, at);
    if (socket === undefined || tls === undefined || accounts.length + keys.length === 0) return undefined;
    return { ...common, socket, policies: [], tls, accounts, keys };
  }
  for (const key of [
    'from',
    'tls',
    'accounts',
    ...(protocol === 'http' ? (['keys'] as const) : []),
  ] as const) {
    const message = 'is for TCP sockets; the kernel says who connects to a UNIX socket';
    if (at.has(key)) at.error([key], message, 'key-conflict');
  }
  const policies = policiesOf(raw, at);
  checkPeers(raw.peers, at.down('peers'));
  if (socket === undefined || policies.length === 0) return undefined;
  const { peers } = raw;
  return {
    ...common,
    socket,
    ...(peers && { peers }),
    policies,
    from: [],
    tls: undefined,
    accounts: [],
    keys: [],
  };
}

function refuseUnixKeys(at: Cursor, message: string): void {
  for (const key of ['mode', 'owner', 'group']) if (at.has(key)) at.error([key], message, 'key-conflict');
}

function parseSystemd({ systemd: name = '' }: RawListener, at: Cursor): ListenerSocket {
  // The names that systemd accepts.
  if (!/^[!-9;-~]{1,255}$/.test(name))
    at.error(['systemd'], 'must be the FileDescriptorName= of a socket unit, without blanks and colons');
  refuseUnixKeys(
    at,
    'belongs into the socket unit (SocketMode=, SocketUser=, SocketGroup=): systemd makes the socket',
  );
  return { kind: 'systemd', name };
}

function parseTcp({ tcp = '' }: RawListener, at: Cursor): ListenerSocket | undefined {
  refuseUnixKeys(at, 'is for UNIX sockets; say from: [NETWORK] for who may connect');
  const place = parseHostAndPort(tcp);
  if (place !== undefined) return { kind: 'tcp', ...place };
  at.error(['tcp'], 'must be ADDRESS:PORT or [IPV6]:PORT, as 0.0.0.0:24246 or "[::]:24246"');
  return undefined;
}

function parseUnix({ unix: path = '', mode, owner, group, peers }: RawListener, at: Cursor): ListenerSocket {
  checkSocketPath(path, at);
  // If peers are named, the kernel identifies them at the connect, whatever the mode.
  if ((mode & 0o002) !== 0 && peers === undefined) {
    const message = 'lets every user of this machine connect; say a group and "0660" unless that is meant';
    at.warning(['mode'], message, 'too-open');
  }
  // Connecting needs the permission to write; without it nobody but root gets in.
  if ((mode & 0o222) === 0) at.error(['mode'], 'lets nobody connect: connecting needs write permission');
  const accounts = { ...(owner !== undefined && { owner }), ...(group !== undefined && { group }) };
  return { kind: 'unix', path, mode, ...accounts };
}

/** The policies and their peers; empty if the file has none, which is reported. */
function policiesOf({ policy, policies = [] }: RawListener, at: Cursor): ListenerSettings['policies'] {
  if (policy !== undefined && at.has('policies')) {
    at.error(['policies'], 'cannot be given together with policy; remove one of them', 'key-conflict');
    return [];
  }
  if (policy !== undefined) return [{ policy }];
  if (policies.length === 0) at.error([], 'needs a policy; add policy: NAME', 'missing-key');
  let isForAll = false;
  for (const [index, { peers }] of policies.entries()) {
    const here = at.down('policies', index);
    checkPeers(peers, here.down('peers'));
    if (isForAll) here.warning([], 'is never reached: a line above takes everybody', 'never-reached');
    isForAll ||= peers === undefined;
  }
  return policies;
}

function checkPeers(peers: RawPeers | undefined, at: Cursor): void {
  if (peers !== undefined && peers.users.length + peers.groups.length === 0)
    at.error([], 'names nobody; add users or groups, or leave it out');
}

/** TLS of a TCP socket; undefined: something is missing, which is reported. */
function parseTls({ tls: raw, protocol }: RawListener, listener: Cursor): ListenerTls | undefined {
  if (raw === undefined) {
    const message =
      'needs TLS: add tls: { certificate: FILE, key: FILE }; without it passwords would travel in clear';
    listener.error([], message);
    return undefined;
  }
  const at = listener.down('tls');
  const isHttp = protocol === 'http';
  if (isHttp && raw.mode === 'starttls' && at.has('mode'))
    at.error(['mode'], 'must be implicit (or off, on loopback): HTTP has no STARTTLS');
  const mode = isHttp && raw.mode === 'starttls' ? 'implicit' : raw.mode;
  if (mode === 'off') {
    for (const key of ['certificate', 'key', 'client_ca'])
      if (at.has(key)) at.warning([key], 'has no effect without TLS', 'no-effect');
    return { mode };
  }
  const { certificate, key, clientCa } = raw;
  if (certificate === undefined)
    at.error([], 'needs a certificate; add certificate: FILE (PEM, with its chain)', 'missing-key');
  if (key === undefined) at.error([], 'needs the key of the certificate; add key: FILE', 'missing-key');
  if (certificate === undefined || key === undefined) return undefined;
  return { mode, certificate, key, clientCa };
}

/** At least one login over TCP must be possible. */
function checkLogins({ protocol, accounts, keys }: RawListener, at: Cursor): void {
  const isHttp = protocol === 'http';
  if (Object.keys(accounts).length + Object.keys(isHttp ? keys : {}).length > 0) return;
  const what = isHttp ? 'keys (see dovegate key new) or accounts' : 'accounts';
  const written = at.has('accounts') ? ['accounts'] : isHttp && at.has('keys') ? ['keys'] : [];
  at.error(written, `needs ${what}: nobody else can log in by TCP`, 'missing-key');
}

function parseAccounts(raw: RawListener, tls: ListenerTls | undefined, at: Cursor): AccountSettings[] {
  const entries = Object.entries(raw.accounts);
  if (entries.length === 0 && !at.has('keys')) return [];
  const accounts = entries.map(([name, each]) => {
    const here = at.down('accounts', name);
    checkAccount(each, tls, here);
    return { name, ...each };
  });
  checkCertificates(accounts, at);
  const asksForOne = tls !== undefined && tls.mode !== 'off' && tls.clientCa !== undefined;
  if (asksForOne && !entries.some(([name]) => hasCertificate(at.down('accounts', name)))) {
    const message = 'has no effect: no account has a certificate_name or key_pins';
    at.warning(['tls', 'client_ca'], message, 'no-effect');
  }
  return accounts;
}

function hasCertificate(account: Cursor): boolean {
  return account.has('certificate_name') || account.has('key_pins');
}

function checkAccount(
  { passwordHash, certificateName }: RawAccount,
  tls: ListenerTls | undefined,
  at: Cursor,
): void {
  if (passwordHash !== undefined) checkHash(passwordHash, at);
  for (const key of ['certificate_name', 'key_pins']) {
    if (!at.has(key) || tls === undefined) continue;
    if (tls.mode === 'off') at.error([key], 'needs TLS: without it no certificate is shown');
    else if (tls.clientCa === undefined)
      at.error([key], 'needs tls.client_ca: the authority whose client certificates count', 'missing-key');
  }
  if (passwordHash === undefined && !hasCertificate(at))
    at.error([], 'could never log in; add password_hash (see dovegate hash-password), or certificate_name');
  if (certificateName !== undefined) checkCertificateName(certificateName, at);
}

/** Work below which guesses against a stolen file are cheap, in units of N * r * p. */
const workMin = 2 ** 14 * 8;

export function checkHash(text: string, at: Cursor): void {
  const hash = parsePasswordHash(text);
  if (typeof hash === 'string') return at.error(['password_hash'], hash);
  const { n, r, p } = hash.cost;
  if (n * r * p >= workMin) return;
  at.warning(['password_hash'], 'is cheap to guess against; make a new one with dovegate hash-password');
}

export function checkCertificateName(name: string, at: Cursor): void {
  if (/[\s\p{Cc}*]/u.test(name))
    at.error(['certificate_name'], 'must be one name as it stands in the certificate, as backup.example.com');
}

/** A certificate must belong to one account at most. Conflicts that depend on a certificate's content are found at the login. */
function checkCertificates(accounts: readonly AccountSettings[], at: Cursor): void {
  const proving = accounts.filter((each) => each.certificateName !== undefined || each.keyPins.length > 0);
  for (const [index, one] of proving.entries()) {
    const other = proving.slice(0, index).find((each) => isNeverApart(one, each));
    if (other === undefined) continue;
    const isName = one.certificateName !== undefined && one.certificateName === other.certificateName;
    const path = ['accounts', one.name, isName ? 'certificate_name' : 'key_pins'];
    at.error(path, `is the certificate of account ${other.name} already`, 'defined-twice');
  }
}

/**
 * Whether some certificates of one account always match the other too: by its name, or by a key for which the other one demands no name.
 */
function isNeverApart(one: AccountSettings, other: AccountSettings): boolean {
  const isSameName = one.certificateName === other.certificateName;
  if (one.keyPins.length === 0 || other.keyPins.length === 0) return isSameName;
  const isAnyName = one.certificateName === undefined || other.certificateName === undefined;
  return (isSameName || isAnyName) && one.keyPins.some((pin) => other.keyPins.includes(pin));
}
