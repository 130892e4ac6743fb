// The shape of listeners: their sockets, and the accounts and keys of clients that the kernel cannot identify.

import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { isLoopback, parseNetwork } from '../../host/ports/peer.js';
import { parseKeyHash } from '../keys/key.js';
import type { Cursor } from './cursor.js';
import {
  as,
  count,
  fileMode,
  flag,
  hasNone,
  hostAndPort,
  hostName,
  instant,
  isCheap,
  isSecondOf,
  listOf,
  logins,
  named,
  oneOf,
  section,
  socketFile,
  text,
  tlsFiles,
  word,
} from './schema-parts.js';

const peers = section(
  'peers',
  {
    users: listOf(hostName, 'users, by name or uid').default([]).describe('names or uids'),
    groups: listOf(hostName, 'groups, by name or gid').default([]).describe('names or gids'),
  },
  'persons of this machine, by the word of the kernel: these users, and whoever is in these groups',
  {
    'invalid-value': {
      '.: names nobody; add users or groups, or leave it out': (each) =>
        each.users.length + each.groups.length === 0,
    },
  },
).optional();

const policyName = text('the name of a policy');

const tls = section(
  'the TLS of a listener',
  {
    mode: oneOf(['starttls', 'implicit', 'off'])
      .prefault('starttls')
      .describe('listeners only: by STARTTLS, from the first byte (default with `http`), or none (loopback)'),
    certificate: tlsFiles.certificate.optional(),
    key: tlsFiles.key.optional(),
    client_ca: tlsFiles.client_ca,
  },
  'TLS of a TCP socket; mode is starttls when it is not said, and implicit where the protocol is http',
  {
    'missing-key': {
      '.: needs a certificate; add certificate: FILE (PEM, with its chain)': ({ mode }, at) =>
        mode !== 'off' && !at.isWritten('certificate'),
      '.: needs the key of the certificate; add key: FILE': ({ mode }, at) =>
        mode !== 'off' && !at.isWritten('key'),
    },
    'no-effect': {
      'certificate key client_ca: has no effect without TLS': ({ mode }) => mode === 'off',
    },
  },
);

const account = section(
  'an account',
  {
    policy: policyName.describe('policy of the account'),
    ...logins,
  },
  'somebody who comes by TCP; a password or a certificate proves it',
  {
    'invalid-value': {
      '.: could never log in; add password_hash (see dovegate hash-password), or certificate_name': hasNone(
        'password_hash',
        'certificate_name',
      ),
    },
    doubtful: {
      'password_hash: is cheap to guess against; make a new one with dovegate hash-password': isCheap,
    },
  },
);

const network = text('a network, as 192.0.2.0/24').superRefine((written, context) => {
  const parsed = parseNetwork(written);
  if (parsed === undefined)
    context.addIssue('must be an address or a network, as 192.0.2.7, 192.0.2.0/24 or "2001:db8::/32"');
  else if (!parsed.isFirst)
    context.addIssue('has bits set beyond its length; write the first address of the network');
});

const networks = listOf(network, 'networks, as [192.0.2.0/24, "2001:db8::/32"]')
  .min(1, { error: 'must hold at least one network; leave it out for everybody' })
  .default([]);

const keyHash = text('a hash of a key, as dovegate key new prints it').transform((written, context) => {
  const hash = parseKeyHash(written);
  if (typeof hash !== 'string') return hash.sha256;
  context.addIssue(hash);
  return z.NEVER;
});

const httpKey = section(
  'a key',
  {
    hash: z
      .union(
        [
          keyHash.transform((sha256) => [{ sha256 }]),
          listOf(
            section('a hash and how long it holds', {
              hash: as('sha256', keyHash).describe('one of the hashes while a key is replaced'),
              until: instant('2027-06-30').describe('day after which this hash is refused'),
            }),
            'hashes, as [{ hash: "sha256$...", until: 2027-01-31 }, { hash: "sha256$..." }]',
          ).min(1, { error: 'must hold at least one hash' }),
        ],
        { error: 'must be a hash, as dovegate key new prints it, or a list of hashes' },
      )
      .describe(
        'hash of a key, as `dovegate key new` prints it; or a list of `{ hash, until }` while it is replaced',
      ),
    policy: policyName.describe('policy of the key'),
    expires: instant('2027-06-30').describe('day after which the key is refused'),
    from: networks.describe('networks that the key may be used from'),
    owner_reports: flag().describe(
      'may ask for [reports](client-http.md#let-owners-see-who-looked) for the owners of mailboxes, for users that its policy covers',
    ),
  },
  'a program that comes by HTTP; the text of its key proves it',
);

const sockets = ['unix', 'tcp', 'systemd'] as const;

/** The one socket; undefined: none, or several. */
export function socketKindOf(values: Partial<Record<(typeof sockets)[number], unknown>>) {
  const [kind, second] = sockets.filter((each) => values[each] !== undefined);
  return second === undefined ? kind : undefined;
}

/** It is unknown here whether systemd passes a UNIX or a TCP socket: a listener with tls is for TCP. */
export function isTcp(values: Parameters<typeof socketKindOf>[0] & { readonly tls?: object }): boolean {
  const kind = socketKindOf(values);
  return kind === 'tcp' || (kind === 'systemd' && values.tls !== undefined);
}

function isUnixOnly(values: Parameters<typeof isTcp>[0]): boolean {
  return socketKindOf(values) !== undefined && !isTcp(values);
}

export const listener = section(
  'a listener',
  {
    unix: socketFile('the path of a UNIX socket')
      .optional()
      .describe('path of the UNIX socket, at most 107 bytes'),
    tcp: hostAndPort(
      'ADDRESS:PORT or [IPV6]:PORT, as 0.0.0.0:24246',
      'must be ADDRESS:PORT or [IPV6]:PORT, as 0.0.0.0:24246 or "[::]:24246"',
    )
      .optional()
      .describe('`ADDRESS:PORT` or `"[IPV6]:PORT"`; needs `tls`, and `accounts` or `keys`'),
    // The names that systemd accepts.
    systemd: text('the name of a socket that systemd hands over (FileDescriptorName=)')
      .refine((name) => /^[!-9;-~]{1,255}$/.test(name), {
        error: 'must be the FileDescriptorName= of a socket unit, without blanks and colons',
      })
      .optional(),
    mode: fileMode('0660').describe('permission bits, in quotes; of `admin` 0600'),
    owner: word.optional().describe("user that owns the UNIX socket; default: the daemon's"),
    group: word.optional().describe('its group; default: that of the daemon or the page'),
    protocol: oneOf(['doveadm', 'http'])
      .prefault('doveadm')
      .describe("what clients speak: Dovecot's doveadm protocol, or its HTTP API"),
    refusal_cell: z
      .union([z.boolean(), z.enum(['all'])], { error: 'must be true, false or all' })
      .prefault(false)
      .describe("for minor 0: a refusal's reason as a cell; `all`: also one in empty replies"),
    policy: policyName.optional().describe('policy of everybody who is let in'),
    sessions: count(1, 100_000)
      .prefault(bounds.sessionsPerListener)
      .describe('sessions at once; more are refused'),
    sessions_per_peer: count(1, 100_000)
      .prefault(bounds.sessionsPerPeer)
      .describe('sessions at once of one uid or one address'),
    policies: listOf(
      section('a policy and whose it is', {
        peers,
        policy: policyName.describe('its name'),
      }),
      'policies, as [{ peers: { groups: [mail-admins] }, policy: admin }, { policy: support }]',
    )
      .optional()
      .describe('policies by person, first match wins: `{ peers, policy }`; without `peers`: for all others'),
    peers,
    from: networks.describe('networks that may connect by TCP; default: every address'),
    tls: tls.optional(),
    accounts: named(account, 'accounts').default({}),
    keys: named(httpKey, 'keys').default({}),
  },
  'a socket for one team',
  {
    'missing-key': {
      '.: needs a socket; add unix: PATH, tcp: ADDRESS:PORT, or systemd: NAME': hasNone(...sockets),
      '.: needs a policy; add policy: NAME': (values, at) =>
        isUnixOnly(values) && !at.isWritten('policy') && at.size('policies') === 0,
    },
    'key-conflict': {
      'tcp systemd: a listener has one socket: either unix, tcp or systemd': isSecondOf(sockets),
      'refusal_cell: is for protocol: doveadm; over HTTP every error has its reason': (each) =>
        each.protocol === 'http' && each.refusalCell !== false,
      'keys: is for listeners with protocol: http; others have accounts': ({ protocol }) =>
        protocol !== 'http',
      'policy policies: is for UNIX sockets: each account has its own': (each) =>
        isTcp(each) && each.protocol !== 'http',
      'policy policies: is for UNIX sockets: each key and each account has its own': (each) =>
        isTcp(each) && each.protocol === 'http',
      'peers: is for UNIX sockets: the kernel does not say who connects by TCP': isTcp,
      'from tls accounts keys: is for TCP sockets; the kernel says who connects to a UNIX socket': (
        each,
        _,
        key,
      ) => isUnixOnly(each) && (key !== 'keys' || each.protocol === 'http'),
      'mode owner group: is for UNIX sockets; say from: [NETWORK] for who may connect': (each) =>
        socketKindOf(each) === 'tcp',
      'mode owner group: belongs into the socket unit (SocketMode=, SocketUser=, SocketGroup=): systemd makes the socket':
        (each) => socketKindOf(each) === 'systemd',
      'policies: cannot be given together with policy; remove one of them': (each) =>
        isUnixOnly(each) && each.policy !== undefined,
    },
    'invalid-value': {
      '.: needs TLS: add tls: { certificate: FILE, key: FILE }; without it passwords would travel in clear': (
        each,
        at,
      ) => isTcp(each) && !at.isWritten('tls'),
      'tls.mode: off is for loopback addresses (127.0.0.1, [::1]): passwords would travel in clear': ({
        tls: own,
        tcp,
      }) => own?.mode === 'off' && tcp !== undefined && !isLoopback(tcp.host),
      'tls.mode: must be implicit (or off, on loopback): HTTP has no STARTTLS': (each) =>
        isTcp(each) && each.protocol === 'http' && each.tls?.mode === 'starttls',
      // Connecting needs the permission to write; without it nobody but root gets in.
      'mode: lets nobody connect: connecting needs write permission': ({ unix, mode }) =>
        unix !== undefined && (mode & 0o222) === 0,
    },
    'too-open': {
      // If peers are named, the kernel identifies them at the connect, whatever the mode.
      'mode: lets every user of this machine connect; say a group and "0660" unless that is meant': (each) =>
        each.unix !== undefined && (each.mode & 0o002) !== 0 && each.peers === undefined,
    },
    'no-effect': {
      'tls.client_ca: has no effect: no account has a certificate_name': (each, at) =>
        each.tls?.mode !== 'off' &&
        (at.size('accounts') > 0 || at.has('keys')) &&
        at.keys('accounts').every((name) => hasNone('certificate_name')({}, at.down('accounts', name))),
    },
  },
  (values, at) => {
    if (isTcp(values)) checkLogins(values, at);
    let isForAll = false;
    for (const [index, { peers: own }] of (values.policies ?? []).entries()) {
      if (isForAll && isUnixOnly(values))
        at.warning(['policies', index], 'is never reached: a line above takes everybody', 'never-reached');
      isForAll ||= own === undefined;
    }
  },
);

export type RawListener = z.infer<typeof listener>;
export type RawAccount = z.infer<typeof account>;
export type RawPeers = NonNullable<RawListener['peers']>;
export type RawKey = z.infer<typeof httpKey>;

interface Logins {
  readonly protocol: string;
  readonly tls?: { readonly mode: string; readonly clientCa?: string };
  readonly accounts: Readonly<Record<string, RawAccount>>;
  readonly keys: object;
}

/** At least one login over TCP must be possible, and a certificate belongs to one account at most. */
function checkLogins({ protocol, tls: own, accounts, keys }: Logins, at: Cursor): void {
  const isHttp = protocol === 'http';
  const isBare = Object.keys(accounts).length + Object.keys(isHttp ? keys : {}).length === 0;
  if (isBare && !['accounts', 'keys'].some((key) => at.isShortened(key))) {
    const what = isHttp ? 'keys (see dovegate key new) or accounts' : 'accounts';
    const path = at.has('accounts') ? ['accounts'] : isHttp && at.has('keys') ? ['keys'] : [];
    at.error(path, `needs ${what}: nobody else can log in by TCP`, 'missing-key');
  }
  const owners = new Map<string, string>();
  for (const [name, { certificateName: certificate }] of Object.entries(accounts)) {
    if (certificate === undefined) continue;
    const here = at.down('accounts', name);
    const owner = owners.get(certificate);
    if (own?.mode === 'off')
      here.error(['certificate_name'], 'needs TLS: without it no certificate is shown');
    else if (own !== undefined && own.clientCa === undefined)
      here.error(
        ['certificate_name'],
        'needs tls.client_ca: the authority whose client certificates count',
        'missing-key',
      );
    if (owner !== undefined)
      here.error(['certificate_name'], `is the certificate of account ${owner} already`, 'defined-twice');
    owners.set(certificate, name);
  }
}
