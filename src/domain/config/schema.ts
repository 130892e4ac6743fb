// The shape of a configuration file: its keys, their values and defaults, and the sentence for each value that does not fit. The JSON Schema
// for editors and docs/settings.md are generated from it.

import { z } from 'zod';
import { asWritten, bounds } from '../../bounds/bounds.js';
import { allEffects, type Effect } from '../commands/catalog.js';
import { defaultStream } from '../fleet/block.js';
import { usersPerLine } from '../identity/user-name.js';
import { pageRoles } from '../page/api.js';
import { policy, policyTest } from './policy-schema.js';
import {
  as,
  count,
  duration,
  file,
  fileMode,
  flag,
  listOf,
  matching,
  named,
  oneOf,
  parseSize,
  pins,
  section,
  size,
  strict,
  text,
  timer,
  word,
} from './schema-parts.js';

const peers = strict('peers', {
  users: listOf(word, 'users, by name or uid').optional(),
  groups: listOf(word, 'groups, by name or gid').optional(),
}).meta({
  description:
    'persons of this machine, by the word of the kernel: these users, and whoever is in these groups',
});

const tls = strict('the TLS of a listener', {
  mode: oneOf(['starttls', 'implicit', 'off']).prefault('starttls'),
  certificate: file('a file with the certificate and its chain (PEM)').optional(),
  key: file('a file with the private key of the certificate (PEM)').optional(),
  client_ca: file('a file with the authorities whose client certificates count (PEM)').optional(),
}).meta({
  description:
    'TLS of a TCP socket; mode is starttls when it is not said, and implicit where the protocol is http',
});

const account = strict('an account', {
  policy: text('the name of a policy'),
  password_hash: text('a hash, as dovegate hash-password prints it').optional(),
  certificate_name: text('a name in the client certificate').optional(),
  key_pins: pins.optional(),
}).meta({ description: 'somebody who comes by TCP; a password or a certificate proves it' });

const day = text('a day as 2027-06-30, or a time as 2027-06-30T18:00:00Z');
const networks = listOf(text('a network, as 192.0.2.0/24'), 'networks, as [192.0.2.0/24, "2001:db8::/32"]')
  .min(1, { error: 'must hold at least one network; leave it out for everybody' })
  .optional();

const keyHash = text('a hash of a key, as dovegate key new prints it');

const httpKey = strict('a key', {
  hash: z.union(
    [
      keyHash,
      listOf(
        strict('a hash and how long it holds', { hash: keyHash, until: day.optional() }),
        'hashes, as [{ hash: "sha256$...", until: 2027-01-31 }, { hash: "sha256$..." }]',
      ).min(1, { error: 'must hold at least one hash' }),
    ],
    { error: 'must be a hash, as dovegate key new prints it, or a list of hashes' },
  ),
  policy: text('the name of a policy'),
  expires: day.optional(),
  from: networks,
}).meta({ description: 'a program that comes by HTTP; the text of its key proves it' });

const listener = strict('a listener', {
  unix: file('the path of a UNIX socket').optional(),
  tcp: text('ADDRESS:PORT or [IPV6]:PORT, as 0.0.0.0:24246').optional(),
  systemd: text('the name of a socket that systemd hands over (FileDescriptorName=)').optional(),
  mode: fileMode('0660'),
  owner: word.optional(),
  group: word.optional(),
  policy: text('the name of a policy').optional(),
  sessions: count(1, 100_000).prefault(bounds.sessionsPerListener),
  sessions_per_peer: count(1, 100_000).prefault(bounds.sessionsPerPeer),
  policies: listOf(
    strict('a policy and whose it is', { peers: peers.optional(), policy: text('the name of a policy') }),
    'policies, as [{ peers: { groups: [mail-admins] }, policy: admin }, { policy: support }]',
  ).optional(),
  peers: peers.optional(),
  from: networks,
  tls: tls.optional(),
  accounts: named(account, 'accounts').optional(),
  protocol: oneOf(['doveadm', 'http']).prefault('doveadm'),
  refusal_cell: flag.prefault(false),
  keys: named(httpKey, 'keys').optional(),
}).meta({ description: 'a socket for one team' });

const namespace = strict('a namespace', {
  prefix: z.string({ error: 'must be text: what names of its mailboxes begin with, "" for nothing' }),
  separator: matching(/^[!-/:-@[-`{-~]$/, 'must be one character in quotes, as "/"').optional(),
  inbox: flag.optional(),
  alias_for: z.string({ error: 'must be the prefix of another namespace' }).optional(),
  kind: oneOf(['private', 'shared', 'public']).optional(),
});

const backend = section(
  'a backend',
  {
    address: text('HOST:PORT or unix:PATH'),
    tls: oneOf(['starttls', 'implicit', 'off']).optional(),
    ca: file('a file of CA certificates (PEM)').optional(),
    server_name: text("the name in the backend's certificate").optional(),
    key_pins: pins.optional(),
    allow_plaintext: flag.optional(),
    username: text('a user name').prefault('doveadm'),
    password_file: z
      .union(
        [
          file('a file that holds the password'),
          listOf(file('a file that holds the password'), 'files').min(1, {
            error: 'must name at least one file',
          }),
        ],
        {
          error: 'must be a file or a list of files',
        },
      )
      .optional(),
    series: z
      .union([z.enum(['auto', '2.3', '2.4']), z.literal(2.3), z.literal(2.4)], {
        error: 'must be one of: auto, "2.3", "2.4"',
      })
      .optional(),
    shared_namespaces: listOf(word, 'prefixes, as ["shared/"]').optional(),
    namespaces: listOf(namespace, 'namespaces, as [{ prefix: "INBOX/", inbox: true }]')
      .min(1, { error: 'must hold at least one namespace' })
      .optional(),
    connections: count(1, 1000).prefault(bounds.upstreamsPerBackend),
    idle: count(0, 1000).optional(),
    idle_timeout: as('idleTimeoutMs', timer(asWritten.upstreamIdleMs)),
    max_lifetime: as('maxLifetimeMs', timer(asWritten.upstreamLifetimeMs)),
    connect_timeout: as('connectTimeoutMs', timer(asWritten.connectMs)),
    greeting_timeout: as('greetingTimeoutMs', timer(asWritten.greetingMs)),
    drained: z.boolean({ error: 'must be true or false' }).prefault(false),
  },
  'a Dovecot that commands go to',
);

const route = strict('a route', {
  users: listOf(word, 'patterns, as ["*@example.com"]').min(1, { error: 'must hold at least one pattern' }),
  backend: text('the name of a backend').optional(),
  spread: listOf(text('the name of a backend'), 'names of backends')
    .min(1, { error: 'must name a backend' })
    .optional(),
  passdb: file('a socket of the Dovecot auth service').optional(),
  cache_ttl: timer('60s'),
});

const sink = strict('a receiver of the records', {
  syslog: text('HOST:PORT of a syslog receiver with TLS, as logs.example.com:6514').optional(),
  nats: text(
    'servers of a NATS cluster, as tls://nats1.example.com:4222,tls://nats2.example.com:4222',
  ).optional(),
  stream: text('the name of a stream').prefault(defaultStream),
  host: text('the word for this host in subjects').optional(),
  credentials: file('a file with credentials of NATS (.creds)').optional(),
  settle: duration('5m'),
  ca: file('a file of CA certificates (PEM)').optional(),
  server_name: text("the name in the receiver's certificate").optional(),
  key_pins: pins.optional(),
  certificate: file(
    'a file with the certificate that is shown to the receiver (PEM, with its chain)',
  ).optional(),
  key: file('a file with the private key of that certificate (PEM)').optional(),
}).meta({ description: 'a syslog receiver or a stream of NATS that gets every record, over TLS' });

const audit = section('the audit settings', {
  directory: file('a directory').prefault('/var/lib/dovegate/audit'),
  group: word.optional(),
  strict: listOf(oneOf(allEffects), 'effects')
    .transform((effects): ReadonlySet<Effect> => new Set(effects))
    .prefault(['write', 'destroy', 'session', 'admin']),
  memory: file('a file on a file system in memory, or off').prefault('/run/dovegate/audit.ring'),
  memory_size: as(
    'memoryBytes',
    size(asWritten.ringBytes, { least: 64 * 1024, most: 1024 ** 3, error: 'must be 64KiB to 1GiB' }),
  ),
  segment: as(
    'segmentBytes',
    size(asWritten.segmentBytes, {
      least: 64 * 1024,
      most: bounds.plainSegmentBytes / 2,
      error: 'must be 64KiB to 512MiB',
    }),
  ),
  deadline: as('deadlineMs', timer(asWritten.journalDeadlineMs)),
  keep: as('keepMs', duration('400d')),
  keep_min: as('keepMinMs', duration('7d')),
  max_size: as(
    'sizeMax',
    matching(
      /^(\d{1,2}|100)%$|^\d+(\.\d+)?\s?[KMGT]?i?B?$/,
      'must be a size, as 10GiB, or a share of the file system, as 80%',
    )
      .transform(parseSizeMax)
      .prefault('80%'),
  ),
  unshipped_max: as('unshippedBytesMax', size(asWritten.unshippedBytes)),
  reserve: as('reserveBytes', size(asWritten.journalReserveBytes)),
  sign_key: file('a file with an Ed25519 key in PEM (PKCS#8)').optional(),
  checkpoint_interval: as('checkpointIntervalMs', timer('1m')),
  hmac_key: file('a file with a key of at least 16 bytes').optional(),
  ship: listOf(sink, 'receivers, as [{ syslog: logs.example.com:6514, ca: ca.pem }]').optional(),
});

/** All segments together: bytes, or a share of the file system (above 0, at most 1). */
type SizeMax = { readonly bytes: number } | { readonly share: number };

function parseSizeMax(written: string): SizeMax {
  if (written.endsWith('%')) return { share: Math.max(1, Number(written.slice(0, -1))) / 100 };
  return { bytes: parseSize(written) ?? 0 };
}

const pagePerson = strict('a person', {
  user: word.optional(),
  certificate_name: text('a name in the certificate').optional(),
  password_hash: text('a hash that dovegate hash-password printed').optional(),
  role: oneOf(pageRoles).optional(),
  roles: listOf(oneOf(pageRoles), 'roles, as [operate, audit]').optional(),
  users: listOf(word, 'patterns of users, as ["*@example.com"]').optional(),
})
  .refine(({ role, roles }) => role !== undefined || roles !== undefined, {
    path: ['role'],
    error: `must be one of: ${pageRoles.join(', ')}`,
  })
  .meta({ description: 'somebody who may sign in to the page, by one or more of three proofs' });

const page = strict('the settings of the page', {
  tcp: text('ADDRESS:PORT, as 127.0.0.1:9147').optional(),
  tls: strict('TLS of the page', {
    certificate: file('a file with a certificate and its chain (PEM)'),
    key: file('a file with the key of the certificate (PEM)'),
    client_ca: file('a file of CA certificates (PEM)').optional(),
  }).optional(),
  unix: file('the path of a UNIX socket').optional(),
  mode: fileMode('0660'),
  owner: word.optional(),
  group: word.optional(),
  people: named(pagePerson, 'people'),
  fleet: file('the path of the status.json that dovegate audit fleet watch writes').optional(),
}).meta({
  description: 'the page in the browser, and the socket where people of this host may look at the journal',
});

const admin = strict('the admin endpoints', {
  unix: file('the path of a UNIX socket').optional(),
  mode: fileMode('0600'),
  tcp: text('ADDRESS:PORT, as 127.0.0.1:9146').optional(),
  tls: strict('TLS of the admin endpoints', {
    certificate: file('a file with a certificate and its chain (PEM)'),
    key: file('a file with the key of the certificate (PEM)'),
  }).optional(),
  token_file: file('a file with a token').optional(),
  page: page.optional(),
  door: file("the path of a UNIX socket for the page's process").optional(),
});

const limits = section('the limits', {
  // A backend takes lines of up to 1 MiB with what surrounds them: 1,000,000 bytes worked, 1,100,000 did not.
  line: as(
    'lineBytesMax',
    size(asWritten.commandLineBytes, {
      least: 1024,
      most: 900_000,
      error: 'must be from 1KiB to 878KiB: Dovecot takes lines of up to 1 MiB',
    }),
  ),
  queue: count(0, 100_000).prefault(bounds.queueWaiters),
  queue_timeout: as('queueTimeoutMs', timer(asWritten.queueMs)),
  reply_idle: as('replyIdleMs', timer(asWritten.replyIdleMs)),
  client_stall: as('clientStallMs', timer(asWritten.clientStallMs)),
  min_rate: as('minRateBytes', size(asWritten.minRateBytes)),
  log_lines: as('logLinesMax', count(1, 1_000_000).prefault(bounds.logLines)),
  handshake: as('handshakeMs', timer(asWritten.handshakeMs)),
  drain: as('drainMs', timer(asWritten.drainMs)),
  input: as('inputBytesMax', size(asWritten.inputBytes)),
  // Dovecot ends an input 300 s after the command line, and runs later lines as commands.
  input_time: as(
    'inputTimeMs',
    timer(asWritten.inputMs, {
      ms: 300_000,
      error: 'must be below 300s, where Dovecot ends the input by itself',
    }),
  ),
  buffered: as('bufferedBytesMax', size(asWritten.bufferedBytes)),
  users: count(1, 1_000).prefault(usersPerLine),
  http_body: as('httpBodyBytesMax', size(asWritten.httpBodyBytes)),
  http_stored: as('httpStoredBytesMax', size(asWritten.httpStoredBytes)),
  http_stored_per_principal: as('httpStoredBytesPerPrincipalMax', size(asWritten.httpStoredPerPrincipal)),
  http_commands: as('httpCommandsMax', count(1, 10_000).prefault(bounds.httpCommands)),
  deadline: as(
    'deadlineMs',
    section('deadlines by effect', {
      read: timer(asWritten.readDeadlineMs),
      session: timer(asWritten.sessionDeadlineMs),
      write: timer(asWritten.writeDeadlineMs),
      admin: timer(asWritten.adminDeadlineMs),
      destroy: timer(asWritten.destroyDeadlineMs),
    }).prefault({}),
  ),
});

/** From which level on our own log is written, the most severe first. */
const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

/** The whole file. Settings from several files are merged before they meet it. */
export const configurationSchema = strict('a configuration', {
  version: z.literal(1, { error: 'must be 1; a newer configuration needs a newer dovegate' }).optional(),
  include: listOf(text('a path or a pattern of paths'), 'paths, as [conf.d/*.yaml]').optional(),
  listeners: named(listener, 'listeners').optional(),
  mail_users: strict('the settings of user names', {
    default_realm: text('a domain').optional(),
    characters: text('a class of characters, as "A-Za-z0-9._+=@-"').optional(),
    resolve: file('a socket of the Dovecot auth service').optional(),
  }).optional(),
  backends: named(backend, 'backends').optional(),
  routes: listOf(route, 'routes').optional(),
  policies: named(policy, 'policies').optional(),
  server_commands: z
    .record(z.string(), text('all, by_user, or the name of a backend'), {
      error: 'must be a map of server commands, as { who: all }',
    })
    .optional(),
  tests: listOf(policyTest, 'policy tests').optional(),
  state: file('a directory').prefault('/var/lib/dovegate'),
  audit: audit.prefault({}),
  limits: limits.prefault({}),
  admin: admin.optional(),
  log: strict('the log settings', { level: oneOf(logLevels).prefault('info') }).prefault({}),
});

/** client.yaml, the file of the drop-in doveadm. */
export const clientSchema = strict('the settings of a client', {
  socket: file('the path of a socket').optional(),
  address: text('HOST:PORT').optional(),
  tls: oneOf(['starttls', 'implicit', 'off']).optional(),
  ca: file('a PEM file of authorities').optional(),
  server_name: text('a name').optional(),
  account: text('a name').optional(),
  password_file: file('a file with a password').optional(),
  certificate: file('a PEM file').optional(),
  key: file('a PEM file').optional(),
}).refine(
  (raw: { socket?: unknown; address?: unknown }) => raw.socket === undefined || raw.address === undefined,
  {
    error: 'has both a socket and an address; take one out',
  },
);

/** A configuration that has the shape; `Raw...` are its parts, with the values as they were asWritten. */
export type RawConfiguration = z.infer<typeof configurationSchema>;
export type RawListener = z.infer<typeof listener>;
export type RawBackend = z.infer<typeof backend>;
export type RawAudit = z.infer<typeof audit>;
export type RawSink = z.infer<typeof sink>;
export type RawAdmin = z.infer<typeof admin>;
export type RawPage = z.infer<typeof page>;

/** The shape of a configuration as JSON Schema, with defaults as they would be written; for docs/settings.md. */
export function describedSchema() {
  return z.toJSONSchema(configurationSchema, { io: 'input', target: 'draft-7', reused: 'inline' });
}

/** The JSON Schema of a configuration, for editors; the text of config/dovegate.schema.json. */
export function formatJsonSchema(): string {
  const schema: object = JSON.parse(JSON.stringify(describedSchema()), withoutDefault);
  return `${JSON.stringify({ ...schema, title: 'dovegate configuration' }, null, 2)}\n`;
}

/** A default in the file of an editor would be written into configurations, and stay there when it changes. */
function withoutDefault(key: string, value: unknown): unknown {
  return key === 'default' ? undefined : value;
}
