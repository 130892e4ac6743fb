// The shape of listeners: their sockets, and the accounts and keys of the clients that no kernel vouches for.

import * as z from 'zod';
import { bounds } from '../../bounds/bounds.js';
import { foldAscii } from '../people/identity/user-name.js';
import {
  count,
  file,
  fileMode,
  hostName,
  listOf,
  named,
  oneOf,
  pins,
  section,
  strict,
  text,
  word,
} from './schema-parts.js';

/** Texts for docs: whom the users, and whom the groups are. */
function peers(users: string, groups: string) {
  return section(
    'peers',
    {
      users: listOf(hostName, 'users, by name or uid').default([]).describe(users),
      groups: listOf(hostName, 'groups, by name or gid').default([]).describe(groups),
    },
    'persons of this machine, by the word of the kernel: these users, and whoever is in these groups',
  ).optional();
}

const policyName = text('the name of a policy');

const tls = section(
  'the TLS of a listener',
  {
    mode: oneOf(['starttls', 'implicit', 'off'])
      .prefault('starttls')
      .describe('by STARTTLS, from the first byte (default with `http`), or none (loopback)'),
    certificate: file('a file with the certificate and its chain (PEM)').optional(),
    key: file('a file with the private key of the certificate (PEM)')
      .optional()
      .describe('its private key, PEM without a passphrase'),
    client_ca: file('a file with the authorities whose client certificates count (PEM)').optional(),
  },
  'TLS of a TCP socket; mode is starttls when it is not said, and implicit where the protocol is http',
);

const account = section(
  'an account',
  {
    policy: policyName.describe('policy of the account'),
    password_hash: text('a hash, as dovegate hash-password prints it').optional(),
    certificate_name: text('a name in the client certificate').transform(foldAscii).optional(),
    key_pins: pins.default([]).describe('only these keys of client certificates: `sha256:...`'),
  },
  'somebody who comes by TCP; a password or a certificate proves it',
);

const day = text('a day as 2027-06-30, or a time as 2027-06-30T18:00:00Z');
const networks = listOf(text('a network, as 192.0.2.0/24'), 'networks, as [192.0.2.0/24, "2001:db8::/32"]')
  .min(1, { error: 'must hold at least one network; leave it out for everybody' })
  .default([]);

const keyHash = text('a hash of a key, as dovegate key new prints it');

const httpKey = section(
  'a key',
  {
    hash: z
      .union(
        [
          keyHash.transform((hash) => [{ hash, until: undefined }]),
          listOf(
            strict('a hash and how long it holds', {
              hash: keyHash.describe('one of the hashes while a key is replaced'),
              until: day.optional().describe('day after which this hash is refused'),
            }),
            'hashes, as [{ hash: "sha256$...", until: 2027-01-31 }, { hash: "sha256$..." }]',
          ).min(1, { error: 'must hold at least one hash' }),
        ],
        { error: 'must be a hash, as dovegate key new prints it, or a list of hashes' },
      )
      .describe('hash of a key, as `dovegate key new` prints it; or a list'),
    policy: policyName.describe('policy of the key'),
    expires: day.optional().describe('day after which the key is refused'),
    from: networks.describe('networks that the key may be used from'),
  },
  'a program that comes by HTTP; the text of its key proves it',
);

export const listener = section(
  'a listener',
  {
    unix: file('the path of a UNIX socket').optional().describe('path of the UNIX socket, at most 107 bytes'),
    tcp: text('ADDRESS:PORT or [IPV6]:PORT, as 0.0.0.0:24246')
      .optional()
      .describe('`ADDRESS:PORT` or `"[IPV6]:PORT"`; needs `tls`, and `accounts` or `keys`'),
    systemd: text('the name of a socket that systemd hands over (FileDescriptorName=)').optional(),
    mode: fileMode('0660').describe('permission bits of the UNIX socket, in quotes'),
    owner: word.optional().describe("user that owns the UNIX socket; default: the daemon's"),
    group: word.optional().describe("group of the UNIX socket; default: the daemon's"),
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
        peers: peers('names or uids that the policy is for', 'names or gids that the policy is for'),
        policy: policyName.describe('its name'),
      }),
      'policies, as [{ peers: { groups: [mail-admins] }, policy: admin }, { policy: support }]',
    )
      .optional()
      .describe('policies by person, first match wins: `{ peers, policy }`'),
    peers: peers(
      'names or uids that may connect; default: everybody who can open the socket',
      'names or gids that may connect',
    ),
    from: networks.describe('networks that may connect by TCP; default: every address'),
    tls: tls.optional(),
    accounts: named(account, 'accounts').default({}),
    keys: named(httpKey, 'keys').default({}),
  },
  'a socket for one team',
);

export type RawListener = z.infer<typeof listener>;
export type RawAccount = z.infer<typeof account>;
export type RawPeers = NonNullable<RawListener['peers']>;
export type RawKey = z.infer<typeof httpKey>;
