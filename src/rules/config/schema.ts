// The shape of a configuration file: its keys, their values and defaults, and the sentence for each value that does not fit. The JSON
// Schema for editors and docs/settings.md are generated from it.

import * as z from 'zod';
import { allEffects, type Effect } from '../../doveadm/commands/catalog.js';
import { defaultCharacters, usersPerLine } from '../../doveadm/names/user-name.js';
import { releaseForm, serverOfRelease } from '../../doveadm/protocol/releases.js';
import { asWritten, bounds } from '../../host/bounds/bounds.js';
import { isLoopback, isOfThisMachine } from '../../host/ports/peer.js';
import { admin } from './admin-schema.js';
import { listener } from './listener-schema.js';
import { person, policy, policyTest, statementTest } from './policy-schema.js';
import { mailAddressForm, noticeEvents } from './receiver.js';
import {
  address,
  as,
  ca,
  count,
  duration,
  file,
  flag,
  hasNone,
  hostAndPort,
  isSecondOf,
  listOf,
  matching,
  named,
  oneOf,
  oneOrMore,
  parsed,
  parseSize,
  pins,
  section,
  seriesOr,
  size,
  socketFile,
  strict,
  text,
  timer,
  urlOf,
  userPatterns,
  word,
  writtenOf,
} from './schema-parts.js';
import { sinkSchema } from './sinks.js';

const namespace = section('a namespace', {
  prefix: z
    .string({ error: 'must be text: what names of its mailboxes begin with, "" for nothing' })
    .describe('first characters of the names of its mailboxes'),
  separator: matching(/^[!-/:-@[-`{-~]$/, 'must be one character in quotes, as "/"')
    .optional()
    .describe('its separator; default: the last character of the prefix'),
  inbox: flag().describe('whether the INBOX is in it'),
  alias_for: z
    .string({ error: 'must be the prefix of another namespace' })
    .optional()
    .describe('prefix of the namespace whose mailboxes it shows'),
  kind: oneOf(['private', 'shared', 'public']).optional().describe('default `private`'),
});

const sharedPrefix = word.superRefine((prefix, context) => {
  if (prefix === '') context.addIssue('an empty prefix would be every mailbox');
  else if (/\p{Cc}/u.test(prefix)) context.addIssue('contains a control character');
});

/** TLS of upstreams: as written, else the default for the kind of address. */
export function tlsOf({ tls, address: to }: Dialed): NonNullable<Dialed['tls']> {
  return tls ?? (to.kind === 'unix' ? 'off' : 'starttls');
}

interface Dialed {
  readonly tls?: 'starttls' | 'implicit' | 'off';
  readonly address: { readonly kind: string };
}

const backend = section(
  'a backend',
  {
    address: address('HOST:PORT or unix:PATH').describe('`HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`'),
    tls: oneOf(['starttls', 'implicit', 'off'])
      .optional()
      .describe('TLS of upstreams; default `starttls`, `off` for a UNIX socket'),
    ca,
    server_name: text("the name in the backend's certificate")
      .optional()
      .describe('name or IP address in its certificate; default: the host of the address'),
    key_pins: pins.default([]).describe('accepted keys, besides chain and name: `sha256:...`'),
    allow_plaintext: flag().describe('permits `tls: off` beyond loopback'),
    // The PLAIN line has the name between NUL bytes.
    username: text('a user name')
      .refine((name) => !/\p{Cc}/u.test(name), { error: 'contains a control character' })
      .prefault('doveadm')
      .describe('user of the login at the backend'),
    password_file: as(
      'passwordFiles',
      oneOrMore(file('a file that holds the password'), 'file', 'files').default([]),
    ).describe('file with its password, or a list that is tried in order'),
    series: seriesOr('auto')
      .prefault('auto')
      .describe('series of Dovecot; `auto`: by what the backend announces'),
    release: z
      .string({ error: 'must be a release, as "2.4.2"' })
      .regex(releaseForm, { error: 'must be a release, as "2.4.2"' })
      .transform((printed) => printed.replace(releaseForm, '$1'))
      .optional()
      .describe(
        'release of Dovecot, as `dovecot --version` prints it; default: as far as the backend shows it',
      ),
    newer: oneOf(['serve', 'reads', 'refuse'])
      .prefault('reads')
      .describe('what a Dovecot gets that is newer than this dovegate knows: everything, reads, nothing'),
    shared_namespaces: listOf(sharedPrefix, 'prefixes, as ["shared/"]')
      .optional()
      .describe(
        'prefixes of its shared, public and virtual namespaces, `[]` for none; or list all of its namespaces in `namespaces`',
      ),
    namespaces: listOf(namespace, 'namespaces, as [{ prefix: "INBOX/", inbox: true }]')
      .min(1, { error: 'must hold at least one namespace' })
      .optional()
      .describe('all of its namespaces, instead of `shared_namespaces`'),
    connections: count(1, 1000).prefault(bounds.upstreamsPerBackend).describe('upstreams at most'),
    idle: count(0, 1000)
      .optional()
      .describe(
        'upstreams that are kept open; default 1; 0: each is closed after its command, and the backend is not probed',
      ),
    idle_timeout: timer(asWritten.upstreamIdleMs).describe(
      'an idle upstream beyond `idle` is closed after this time',
    ),
    max_lifetime: timer(asWritten.upstreamLifetimeMs).describe('an upstream is replaced after this time'),
    connect_timeout: timer(asWritten.connectMs).describe('time for a connection and TLS'),
    greeting_timeout: timer(asWritten.greetingMs).describe('time for the greeting and the login'),
    drained: flag().describe('`true`: its commands get `-TEMPFAIL`, running ones finish'),
  },
  'a Dovecot that commands go to',
  {
    'missing-key': {
      '.: needs a password_file: Dovecot asks every TCP client for a password': (each, at) =>
        each.address.kind === 'tcp' && !at.isWritten('password_file'),
    },
    'invalid-value': {
      'tls: off would send the password in clear over the network; use starttls, or say allow_plaintext: true as well':
        ({ tls, address: to, allowPlaintext }) =>
          tls === 'off' && to.kind === 'tcp' && !isLoopback(to.host) && !allowPlaintext,
      'tls: a UNIX socket has no name to check the certificate against; add server_name, or tls: off': (
        each,
      ) => each.address.kind === 'unix' && each.tls !== 'off' && each.serverName === undefined,
    },
    'no-effect': {
      'ca server_name key_pins: has no effect without TLS': (each) => tlsOf(each) === 'off',
      'allow_plaintext: has no effect unless tls is off': (each) =>
        each.allowPlaintext && tlsOf(each) !== 'off',
    },
    'key-conflict': {
      'shared_namespaces: is the short form of namespaces, which lists the shared ones too; remove one of them':
        (each) => each.namespaces !== undefined,
    },
    'namespaces-unsaid': {
      'namespaces: does not say which namespace holds the INBOX (inbox: true), so each name that ends in INBOX may be the INBOX':
        ({ namespaces }) => namespaces?.some(({ inbox }) => inbox) === false,
    },
  },
  ({ release, series, idle = 0, connections }, at) => {
    const ofRelease = release === undefined ? series : serverOfRelease(release).series;
    if (series !== 'auto' && series !== ofRelease)
      at.error(
        ['release'],
        `is of ${ofRelease}, and series says ${series}; leave series out`,
        'key-conflict',
      );
    if (idle > connections) at.error(['idle'], `cannot be above connections (${connections})`);
  },
);

const route = section('a route', {
  users: userPatterns('["*@example.com"]')
    .min(1, { error: 'must hold at least one pattern' })
    .describe('patterns on users'),
  backend: text('the name of a backend').optional().describe('backend of these users'),
  spread: listOf(text('the name of a backend'), 'names of backends')
    .min(1, { error: 'must name a backend' })
    .optional()
    .describe('backends over which these users are spread by name'),
  passdb: file('a socket of the Dovecot auth service')
    .optional()
    .describe("socket of Dovecot's auth service that knows the backend of a user"),
  cache_ttl: timer('60s').describe('how long an answer of `passdb` counts'),
});

const audit = section('the audit settings', {
  directory: file('a directory').prefault('/var/lib/dovegate/audit').describe('directory of the journal'),
  group: word
    .optional()
    .describe(
      'group that may read the journal; default: dovegate-journal, where there is one that the daemon is in; else nobody',
    ),
  strict: listOf(oneOf(allEffects), 'effects')
    .transform((effects): ReadonlySet<Effect> => new Set(effects))
    .prefault(['write', 'destroy', 'session', 'admin'])
    .meta({ restart: false })
    .describe(
      'effects whose record is on disk before the command is sent; those of the others are in `memory` then',
    ),
  memory: as(
    'memoryFile',
    file('a file on a file system in memory, or off', /^off$/)
      .transform((path) => (path === 'off' ? undefined : path))
      .prefault('/run/dovegate/audit.ring'),
  ).describe(
    'file in memory that keeps records over a crash until they are on disk; `off`: all effects are strict',
  ),
  memory_size: as(
    'memoryBytes',
    size(asWritten.ringBytes, { least: 64 * 1024, most: 1024 ** 3, error: 'must be 64KiB to 1GiB' }),
  ).describe(
    'its size, 64KiB to 1GiB, raised where `limits.line` needs more: half of it is what a slow disk may leave unwritten',
  ),
  segment: as(
    'segmentBytes',
    size(asWritten.segmentBytes, {
      least: 64 * 1024,
      most: bounds.plainSegmentBytes / 2,
      error: 'must be 64KiB to 512MiB',
    }),
  ).describe('size at which a journal file is closed; 64KiB to 512MiB; also closed after a day'),
  deadline: timer(asWritten.journalDeadlineMs).describe('a slower write or sync has failed'),
  keep: duration('400d').describe('how long records are kept'),
  keep_min: duration('7d').describe('nothing younger is removed for its size'),
  max_size: as(
    'sizeMax',
    matching(
      /^(\d{1,2}|100)%$|^\d+(\.\d+)?\s?[KMGT]?i?B?$/,
      'must be a size, as 10GiB, or a share of the file system, as 80%',
    )
      .transform(parseSizeMax)
      .prefault('80%'),
  ).describe('all journal files together, or a share of the file system'),
  unshipped_max: as('unshippedBytesMax', size(asWritten.unshippedBytes)).describe(
    'what a receiver does not have yet is kept up to this size',
  ),
  reserve: as('reserveBytes', size(asWritten.journalReserveBytes)).describe('kept free for a full disk'),
  sign_key: as('signKeyFile', file('a file with an Ed25519 key in PEM (PKCS#8)').optional()).describe(
    'Ed25519 key that signs checkpoints (PEM, PKCS#8); default: made in `state`',
  ),
  checkpoint_interval: timer('1m').describe('time between checkpoints'),
  hmac_key: as('hmacKeyFile', file('a file with a key of at least 16 bytes').optional()).describe(
    'key under which secret arguments are recorded; default: made in the directory',
  ),
  door: socketFile('the path of a UNIX socket for dovegate ship')
    .optional()
    .describe(
      'socket at which `dovegate ship` asks; default: /run/dovegate/ship.sock, where there are receivers',
    ),
  ship: listOf(sinkSchema, 'receivers, as [{ syslog: logs.example.com:6514, ca: ca.pem }]')
    .max(bounds.shipReceivers, { error: `must hold at most ${bounds.shipReceivers} receivers` })
    .default([])
    .meta({ restart: false })
    .describe('receivers of every record'),
});

/** Limit of all segments together: bytes, or a share of the file system (above 0, at most 1). */
type SizeMax = { readonly bytes: number } | { readonly share: number };

function parseSizeMax(written: string): SizeMax {
  if (written.endsWith('%')) return { share: Math.max(1, Number(written.slice(0, -1))) / 100 };
  return { bytes: parseSize(written) ?? 0 };
}

function mailAddress(example: string) {
  return text(`an address, as ${example}`).refine((written) => mailAddressForm.test(written), {
    error: `must be an address, as ${example}`,
  });
}

const noticeMail = section('a mail', {
  to: listOf(mailAddress('leads@example.com'), 'addresses, as [leads@example.com]')
    .min(1, { error: 'must hold at least one address' })
    .max(20, { error: 'must hold at most 20 addresses; use a list of your mail server' })
    .describe('addresses that get it'),
  from: mailAddress('dovegate@gate1.example.com').describe('address that it comes from'),
  server: hostAndPort('HOST:PORT, as localhost:25', 'must be HOST:PORT or [IPV6]:PORT, as localhost:25')
    .prefault('localhost:25')
    .describe(
      '`HOST:PORT` of the mail server; beyond loopback STARTTLS with a verified certificate is required',
    ),
});

const webhookExample = 'https://chat.example.com/hooks/x';

/** The port of mail servers that begin with TLS. */
const smtpsPort = 465;

const noticeReceiver = section(
  'a receiver of notices',
  {
    webhook: parsed(`a URL, as ${webhookExample}`, (written) =>
      urlOf(written, webhookExample, 'use secret_file'),
    )
      .optional()
      .describe('URL that each notice is posted to; `http:` on loopback only'),
    secret_file: file('a file with a secret, as whsec_...')
      .optional()
      .describe('file with the secret that signs, `whsec_` and base64; needed for `format: json`'),
    format: oneOf(['json', 'text'])
      .prefault('json')
      .describe('`json`: Standard Webhooks; `text`: `{"text": "..."}` for Slack, Mattermost and Rocket.Chat'),
    ca,
    mail: noticeMail
      .optional()
      .describe(
        'instead of `webhook`: `{ to, from, server }`, a mail by the package `nodemailer`; `server` is `HOST:PORT`, beyond loopback with STARTTLS and a verified certificate',
      ),
    events: listOf(oneOf(noticeEvents), 'events, as [requested, break-glass]')
      .min(1, { error: `must hold at least one of: ${noticeEvents.join(', ')}` })
      .prefault([...noticeEvents])
      .describe('which records make a notice; `granted` includes `break-glass`'),
  },
  'a webhook or a mail that tells people of temporary access; sent by `dovegate ship`',
  {
    'missing-key': {
      '.: needs webhook or mail': hasNone('webhook', 'mail'),
      '.: needs secret_file, with which the receiver verifies each notice; without a signature only format: text is possible':
        (each, at) =>
          each.webhook !== undefined &&
          each.mail === undefined &&
          each.format === 'json' &&
          !at.isWritten('secret_file'),
    },
    'key-conflict': {
      'mail: a receiver is either a webhook or a mail; write two of them': isSecondOf(['webhook', 'mail']),
      'secret_file format: is for a webhook; take it out': (each) =>
        each.mail !== undefined && each.webhook === undefined,
    },
    'no-effect': {
      'webhook: what stands behind # in a URL is never sent; take it out': ({ webhook }) =>
        webhook?.hash !== '',
      'ca: has no effect: the URL is http:': ({ webhook }) => webhook?.protocol === 'http:',
      'ca: has no effect: a mail server of this machine is asked without TLS': ({ mail }) =>
        mail !== undefined && isOfThisMachine(mail.server.host),
    },
    doubtful: {
      'mail.server: port 465 expects TLS from the first byte, and mail is sent with STARTTLS; write port 25 or 587':
        ({ mail }) => mail?.server.port === smtpsPort,
    },
  },
  ({ events, mail }, at) => {
    const lists: Readonly<Record<string, readonly string[]>> = {
      events,
      'mail.to': typeof mail?.to === 'object' ? mail.to : [],
    };
    for (const [key, values] of Object.entries(lists))
      for (const [index, value] of values.entries())
        if (values.indexOf(value) < index)
          at.warning([...key.split('.'), index], `${value} is there twice`, 'defined-twice');
  },
);

const limits = section(
  'the limits',
  {
    // A backend takes lines of up to 1 MiB, including what dovegate adds: 1,000,000 bytes worked, 1,100,000 did not.
    line: as(
      'lineBytesMax',
      size(asWritten.commandLineBytes, {
        least: 1024,
        most: bounds.longestLineBytes,
        error: 'must be from 1KiB to 878KiB: Dovecot takes lines of up to 1 MiB',
      }),
    ).describe('a command line; 1KiB to 878KiB'),
    queue: count(0, 100_000).prefault(bounds.queueWaiters).describe('commands that wait for one backend'),
    queue_timeout: timer(asWritten.queueMs).describe('how long a command waits for an upstream'),
    reply_idle: timer(asWritten.replyIdleMs).describe('longest pause within a reply'),
    client_stall: timer(asWritten.clientStallMs).describe(
      'a client that takes no byte for so long is closed',
    ),
    min_rate: as('minRateBytes', size(asWritten.minRateBytes)).describe(
      'bytes a second of a client that others wait for; it rises after 5 s',
    ),
    log_lines: as('logLinesMax', count(1, 1_000_000).prefault(bounds.logLines)).describe(
      'log lines of one command that are handed on and recorded',
    ),
    handshake: timer(asWritten.handshakeMs).describe('from the accept to the end of the login'),
    drain: timer(asWritten.drainMs).describe('time for running commands when the daemon stops'),
    input: as('inputBytesMax', size(asWritten.inputBytes)).describe('text after `save` and `sieve put`'),
    // Dovecot ends an input 300 s after the command line, and runs later lines as commands.
    input_time: timer(asWritten.inputMs, {
      ms: 300_000,
      error: 'must be below 300s, where Dovecot ends the input by itself',
    }).describe('time for such a text; below 300s'),
    buffered: as('bufferedBytesMax', size(asWritten.bufferedBytes))
      .meta({ restart: true })
      .describe('memory for such texts and for unfinished lines, all sessions together'),
    users: count(1, 1_000).prefault(usersPerLine).describe('users that one command line may name'),
    http_body: as('httpBodyBytesMax', size(asWritten.httpBodyBytes)).describe('body of one HTTP request'),
    http_commands: as('httpCommandsMax', count(1, 10_000).prefault(bounds.httpCommands)).describe(
      'commands of one HTTP request',
    ),
    deadline: as(
      'deadlineMs',
      strict('deadlines by effect', {
        read: timer(asWritten.readDeadlineMs).describe(
          'from sending to the first byte of the reply, by effect',
        ),
        session: timer(asWritten.sessionDeadlineMs).describe('the same for sessions'),
        write: timer(asWritten.writeDeadlineMs).describe('the same for changes'),
        admin: timer(asWritten.adminDeadlineMs).describe('the same for administration'),
        destroy: timer(asWritten.destroyDeadlineMs).describe(
          'the same for removals, and for `sync` and `backup`',
        ),
      }).prefault({}),
    ).describe(
      'from sending to the first byte of the reply, by effect: `read` 10m, `session` 1m, `write` 30m, `admin` 10m, `destroy` (also `sync` and `backup`) 30m',
    ),
  },
  undefined,
  {
    doubtful: {
      // Dovecot gives up on a reader that is silent for 60 s, without closing.
      'client_stall: from 60s on Dovecot cuts the reply before dovegate notices': ({ clientStallMs }) =>
        clientStallMs >= 60_000,
    },
  },
);

/** Levels of dovegate's own log, the most severe first. */
const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

const mailUsers = section('the settings of user names', {
  default_realm: text('a domain').optional().describe('domain that is appended to a user without one'),
  case: oneOf(['fold', 'keep'])
    .prefault('fold')
    .describe(
      'whether names that differ in case only are one user to Dovecot (`fold`), or several (`keep`: auth_username_format without `%L`)',
    ),
  characters: text('a class of characters, as "A-Za-z0-9._+=@-"')
    .prefault(defaultCharacters)
    .describe('characters that user names may have'),
  resolve: file('a socket of the Dovecot auth service')
    .optional()
    .describe("socket of Dovecot's auth service that resolves aliases"),
});

/** The section `mail_users` with these values, for texts that are parsed again. */
export function mailUsersSection(values: RawMailUsers): Readonly<Record<string, unknown>> {
  return writtenOf(mailUsers, values);
}

/** The whole file. Several files are merged before the schema is applied. */
export const configurationSchema = section('a configuration', {
  version: z
    .literal(1, { error: 'must be 1; a newer configuration needs a newer dovegate' })
    .optional()
    .describe('of this format; must be 1'),
  include: listOf(text('a path or a pattern of paths'), 'paths, as [conf.d/*.yaml]')
    .optional()
    .describe('other files, merged into this one; a name that two of them define is a problem'),
  listeners: named(listener, 'listeners').default({}),
  mail_users: mailUsers.prefault({}),
  backends: named(backend, 'backends').default({}),
  routes: listOf(route, 'routes').default([]).describe('where the users live; the first match counts'),
  catalog: as(
    'catalogFiles',
    oneOrMore(file('a file of commands, as those of scripts/catalog'), 'file', 'files').optional(),
  ).describe('file, or list of files, with commands of plugins that the catalog does not have'),
  policies: named(policy, 'policies').default({}),
  shadow: file('a file with candidates for policies')
    .optional()
    .describe(
      'file with candidates for policies by name, as `suggest --all` prints; each is the `shadow` of its policy',
    ),
  persons: named(person, 'persons')
    .default({})
    .describe('which identities are the same human; nobody approves a request of his own'),
  server_commands: z
    .record(z.string(), text('all, by_user, or the name of a backend'), {
      error: 'must be a map of server commands, as { who: all }',
    })
    .default({})
    .describe('where commands go that name no user: `all`, `by_user` or a backend, by command and `default`'),
  tests: listOf(
    z.union([policyTest, statementTest], { error: 'must be a policy test, or prove: and a statement' }),
    'policy tests',
  )
    .default([])
    .describe('command lines and what the policies must say of them, and statements (`dovegate test`)'),
  state: file('a directory')
    .prefault('/var/lib/dovegate')
    .meta({ restart: true })
    .describe('directory for what must survive a restart, besides records'),
  audit: audit.prefault({}).meta({ restart: true }),
  limits: limits.prefault({}),
  admin: admin.optional().meta({ restart: true }),
  notices: named(noticeReceiver, 'receivers of notices').default({}),
  log: strict('the log settings', {
    level: oneOf(logLevels).prefault('info').describe('from which level on the log is written'),
    format: oneOf(['json', 'text'])
      .optional()
      .describe(
        '`json`: lines for programs; `text`: a sentence a line; default: text in the journal of systemd, else json',
      ),
  }).prefault({}),
});

/** A configuration and its parts as the schema returns them; sections are not checked against each other yet. */
export type RawConfiguration = z.infer<typeof configurationSchema>;
export type RawMailUsers = RawConfiguration['mailUsers'];
export type RawBackend = z.infer<typeof backend>;
export type RawNamespace = z.infer<typeof namespace>;
export type RawRoute = z.infer<typeof route>;
export type RawAudit = z.infer<typeof audit>;
export type RawNoticeReceiver = z.infer<typeof noticeReceiver>;
