// The receivers of `audit.ship`: syslog receivers, and streams of NATS. Each kind is declared here: its keys, its settings, its files, the
// library that it needs; its carrier is in adapters/shipping, and daemon/receivers.ts joins the two.
import type * as z from 'zod';
import { bounds } from '../../bounds/bounds.js';
import { defaultStream, isHostWord, verifierName } from '../records/fleet/names.js';
import type { Cursor } from './cursor.js';
import {
  as,
  ca,
  certificateConflicts,
  clientOf,
  duration,
  file,
  type HostAndPort,
  hasNone,
  hostAndPort,
  isSecondOf,
  listOf,
  natsServers,
  pins,
  publicKeyText,
  section,
  text,
  without,
} from './schema-parts.js';

function checkHost(host: string, context: z.core.$RefinementCtx): void {
  if (!isHostWord(host))
    context.addIssue(
      'must be 1 to 63 letters, digits, dashes and underscores, without a dot, as mail-gate-3',
    );
  else if (host === verifierName)
    context.addIssue(`"${host}" is the name of who reads all of them; take another one`);
}

const syslogKeys = {
  server_name: text("the name in the receiver's certificate")
    .optional()
    .describe('syslog: name or IP address in its certificate; default: the host'),
  key_pins: pins.default([]).describe('syslog: accepted keys, besides chain and name: `sha256:...`'),
};
const natsKeys = {
  stream: text('the name of a stream')
    .refine((name) => /^[A-Za-z0-9_-]{1,255}$/.test(name), {
      error: 'must be letters, digits, dashes and underscores, as DOVEGATE_AUDIT',
    })
    .prefault(defaultStream)
    .describe('nats: the prefix of the stream: `PREFIX_HOST`, as `dovegate audit fleet init` makes it'),
  host: as('hostWord', text('the word for this host in subjects').superRefine(checkHost).optional()).describe(
    "nats: a word for this host, part of the subject; default: the machine's name, `_` for dots",
  ),
  credentials: as('credentialsFile', file('a file with credentials of NATS (.creds)').optional()).describe(
    'nats: a `.creds` file; or certificate and key',
  ),
  settle: duration('5m').describe(
    'nats: kept here so long after an acknowledgement; `0s` only where the servers sync always',
  ),
  verifiers: listOf(
    file(
      'a public key in base64, or the file with the keys of a verifier, as its checkpoint.pub',
      publicKeyText,
    ),
    'public keys in base64, or files with those of a verifier, as checkpoint.pub',
  )
    .max(bounds.fleetVerifiers, { error: `must list at most ${bounds.fleetVerifiers} verifiers` })
    .default([])
    .describe(
      'nats: keys or files `checkpoint.pub`: records are kept until one of these verifiers has mirrored them',
    ),
};

export const sinkSchema = section(
  'a receiver of the records',
  {
    syslog: hostAndPort(
      'HOST:PORT of a syslog receiver with TLS, as logs.example.com:6514',
      'must be HOST:PORT or [IPV6]:PORT, as logs.example.com:6514',
    )
      .optional()
      .describe('`HOST:PORT` of a syslog receiver with TLS'),
    nats: natsServers(
      'servers of a NATS cluster, as tls://nats1.example.com:4222,tls://nats2.example.com:4222',
    )
      .optional()
      .describe('instead: `tls://HOST:PORT` of the servers of a NATS cluster, several with commas'),
    ...natsKeys,
    ca,
    ...syslogKeys,
    certificate: as(
      'certificateFile',
      file('a file with the certificate that is shown to the receiver (PEM, with its chain)').optional(),
    ),
    key: as('keyFile', file('a file with the private key of that certificate (PEM)').optional()),
  },
  'a syslog receiver or a stream of NATS that gets every record, over TLS',
  {
    'missing-key': { '.: needs syslog or nats': hasNone('syslog', 'nats') },
    'key-conflict': {
      'nats: a receiver is either syslog or nats; write two of them': isSecondOf(['syslog', 'nats']),
      [`${Object.keys(natsKeys).join(' ')}: is not for a receiver of the kind syslog; take it out`]: (each) =>
        each.syslog !== undefined && each.nats === undefined,
      [`${Object.keys(syslogKeys).join(' ')}: is not for a receiver of the kind nats; take it out`]: (each) =>
        each.nats !== undefined && each.syslog === undefined,
      ...certificateConflicts,
    },
  },
);

type RawSink = z.infer<typeof sinkSchema>;

export type SinkSettings = SyslogSinkSettings | NatsSinkSettings;
type SinkKind = SinkSettings['kind'];

/** `name`: `HOST:PORT` (of the first server), as in logs, metrics and the file of its position. */
interface AnySinkSettings extends Pick<RawSink, 'caFile'> {
  readonly name: string;
  /** Our certificate for the receiver; both or none. */
  readonly client?: { readonly certificateFile: string; readonly keyFile: string };
}

export interface SyslogSinkSettings extends AnySinkSettings, HostAndPort, Pick<RawSink, 'keyPins'> {
  readonly kind: 'syslog';
  readonly serverName: string;
}

export interface NatsSinkSettings
  extends AnySinkSettings,
    Omit<RawSink, 'syslog' | 'nats' | 'serverName' | 'keyPins' | 'certificateFile' | 'keyFile'> {
  readonly kind: 'nats';
  /** At least one; tried in their order. */
  readonly servers: readonly HostAndPort[];
}

/** The optional package that a kind needs, and its name for people. */
const libraries: Readonly<
  Record<SinkKind, { readonly name: string; readonly package: '@nats-io/transport-node' } | undefined>
> = { syslog: undefined, nats: { name: 'NATS', package: '@nats-io/transport-node' } };

export function sinkLibraryOf({ kind }: SinkSettings) {
  return libraries[kind];
}

/** Its files, by the key that names each. */
export function sinkFilesOf(
  sink: SinkSettings,
): readonly (readonly [key: string, file: string | undefined])[] {
  return [
    ['ca', sink.caFile],
    ['certificate', sink.client?.certificateFile],
    ['key', sink.client?.keyFile],
    ...ownFilesOf(sink),
  ];
}

function ownFilesOf(sink: SinkSettings): ReturnType<typeof sinkFilesOf> {
  switch (sink.kind) {
    case 'syslog':
      return [];
    case 'nats':
      return [
        ['credentials', sink.credentialsFile],
        ...sink.verifiers
          .filter((verifier) => !publicKeyText.test(verifier))
          .map((path) => ['verifiers', path] as const),
      ];
    default:
      return sink satisfies never;
  }
}

/** `cursor` is at the list. */
export function sinksOf(raw: readonly RawSink[], cursor: Cursor): SinkSettings[] {
  const names = new Set<string>();
  return raw.flatMap((each, index) => {
    const sink = sinkOf(each);
    if (sink === undefined) return [];
    if (names.has(sink.name))
      cursor.error([index, sink.kind], `${sink.name} gets the records already`, 'defined-twice');
    names.add(sink.name);
    return [sink];
  });
}

function sinkOf(raw: RawSink): SinkSettings | undefined {
  const { syslog: place, nats: servers, caFile, serverName, keyPins } = raw;
  const client = clientOf(raw);
  const shared = { ...(caFile !== undefined && { caFile }), ...(client && { client }) };
  if (place !== undefined)
    return servers === undefined
      ? {
          kind: 'syslog',
          name: nameOf(place),
          ...place,
          serverName: serverName ?? place.host,
          keyPins,
          ...shared,
        }
      : undefined;
  const [first] = servers ?? [];
  if (servers === undefined || first === undefined) return undefined;
  const plain = without(raw, 'syslog', 'nats', 'serverName', 'keyPins', 'certificateFile', 'keyFile');
  return { kind: 'nats', name: nameOf(first), servers, ...plain, ...shared };
}

function nameOf({ host, port }: HostAndPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
