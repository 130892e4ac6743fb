// Owns the shape of a listener in a configuration file: which keys there are, what their values look like.
// It does not know what keys mean together; that is the reading (parse-listeners).
import { z } from 'zod';
import { count, file, listOf, named, oneOf, strict, text, word } from './schema-parts.js';

const peers = strict('peers', {
  users: listOf(word, 'users, by name or uid').optional(),
  groups: listOf(word, 'groups, by name or gid').optional(),
}).meta({
  description:
    'persons of this machine, by the word of the kernel: these users, and whoever is in these groups',
});

const tls = strict('the TLS of a listener', {
  mode: oneOf(['starttls', 'implicit', 'off']).optional(),
  certificate: file('a file with the certificate and its chain (PEM)').optional(),
  key: file('a file with the private key of the certificate (PEM)').optional(),
  client_ca: file('a file with the authorities whose client certificates count (PEM)').optional(),
}).meta({ description: 'TLS of a TCP socket; mode is starttls when it is not said' });

const account = strict('an account', {
  policy: text('the name of a policy'),
  password_hash: text('a hash, as dovegate hash-password prints it').optional(),
  certificate_name: text('a name in the client certificate').optional(),
  key_pins: listOf(text('a pin, as "sha256:..."'), 'pins').optional(),
}).meta({ description: 'somebody who comes by TCP; a password or a certificate proves it' });

/** A listener as it is written. */
export const listener = strict('a listener', {
  unix: file('the path of a UNIX socket').optional(),
  tcp: text('ADDRESS:PORT or [IPV6]:PORT, as 0.0.0.0:24246').optional(),
  systemd: text('the name of a socket that systemd hands over (FileDescriptorName=)').optional(),
  mode: z
    .string({ error: 'must be written in quotes, as "0660": unquoted it is another number' })
    .regex(/^0?[0-7]{3}$/, { error: 'must be three or four octal digits, as "0660"' })
    .optional(),
  owner: word.optional(),
  group: word.optional(),
  policy: text('the name of a policy').optional(),
  sessions: count(1, 100_000).optional(),
  sessions_per_peer: count(1, 100_000).optional(),
  policies: listOf(
    strict('a policy and whose it is', { peers: peers.optional(), policy: text('the name of a policy') }),
    'policies, as [{ peers: { groups: [mail-admins] }, policy: admin }, { policy: support }]',
  ).optional(),
  peers: peers.optional(),
  from: listOf(text('a network, as 192.0.2.0/24'), 'networks, as [192.0.2.0/24, "2001:db8::/32"]')
    .min(1, { error: 'must hold at least one network; leave it out for everybody' })
    .optional(),
  tls: tls.optional(),
  accounts: named(account, 'accounts').optional(),
}).meta({ description: 'a socket for one team' });

/** A listener that has the shape, with the values as they were written. */
export type RawListener = z.infer<typeof listener>;
