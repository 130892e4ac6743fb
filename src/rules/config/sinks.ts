// The receivers of `audit.ship`: syslog receivers, streams of NATS, collectors of OpenTelemetry, and files. Each kind is declared here: its
// keys, its settings, its files, the library that it needs; its carrier is in ship/shipping, and ship/receivers.ts joins the two.

import type * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { predicateOf } from '../../host/kinds/kinds.js';
import { isOfThisMachine } from '../../host/ports/peer.js';
import type { Cursor } from './cursor.js';
import { defaultStream, isHostWord, verifierName } from './fleet-names.js';
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
  parsed,
  pins,
  publicKeyText,
  section,
  text,
  urlOf,
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

const otlpKeys = {
  headers_file: as(
    'headersFile',
    file('a file with headers, one a line, as Authorization: Bearer ...').optional(),
  ).describe('otlp: file with headers of each request, one a line: `Authorization: Bearer ...`'),
};

const collectorExample = 'https://collector.example.com:4318/v1/logs';

function collectorOf(written: string): URL | string {
  const url = urlOf(written, collectorExample, 'use headers_file');
  if (typeof url === 'string') return url;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (url.protocol === 'http:' && !isOfThisMachine(host))
    return `http: is not encrypted, and ${host} is another machine; use https:, with ca if its authority is your own`;
  if (url.pathname === '/') url.pathname = '/v1/logs';
  return url;
}

const fileExample = '/var/log/dovegate-ship/records.jsonl';

const kinds = ['syslog', 'nats', 'otlp', 'file'] as const;

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
    otlp: parsed(`a URL, as ${collectorExample}`, collectorOf)
      .optional()
      .describe('instead: URL of a collector of OpenTelemetry (OTLP over HTTP); `http:` on loopback only'),
    file: file(`a file that gets the records, as ${fileExample}`)
      .optional()
      .describe(
        'instead: a file of this machine that records are appended to, for an agent that sends it on',
      ),
    ...natsKeys,
    ...otlpKeys,
    ca,
    ...syslogKeys,
    certificate: as(
      'certificateFile',
      file('a file with the certificate that is shown to the receiver (PEM, with its chain)').optional(),
    ),
    key: as('keyFile', file('a file with the private key of that certificate (PEM)').optional()),
  },
  'a receiver that gets every record: syslog, a stream of NATS or a collector, over TLS, or a file',
  {
    'missing-key': { '.: needs syslog, nats, otlp or file': hasNone(...kinds) },
    'key-conflict': {
      'nats otlp file: a receiver is of one kind; write two of them': isSecondOf(kinds),
      [`${Object.keys(natsKeys).join(' ')}: is for a receiver of the kind nats; take it out`]: isNot('nats'),
      [`${Object.keys(syslogKeys).join(' ')}: is for a receiver of the kind syslog; take it out`]:
        isNot('syslog'),
      [`${Object.keys(otlpKeys).join(' ')}: is for a receiver of the kind otlp; take it out`]: isNot('otlp'),
      'ca certificate key: is not for a file; take it out': (_, at) => at.isWritten('file'),
      ...certificateConflicts,
    },
  },
);

/** Of another kind, and of one only: what is of two kinds is a problem of its own. */
function isNot(kind: (typeof kinds)[number]) {
  return (_: object, at: Cursor): boolean =>
    !at.isWritten(kind) && kinds.filter((each) => at.isWritten(each)).length === 1;
}

type RawSink = z.infer<typeof sinkSchema>;

export type SinkSettings = SyslogSinkSettings | NatsSinkSettings | OtlpSinkSettings | FileSinkSettings;
export const isSinkOf = predicateOf<SinkSettings>();

/** `name`: `HOST:PORT` (of the first server), or the path of a file, as in logs, metrics and the file of its position. */
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
    Pick<RawSink, 'stream' | 'hostWord' | 'credentialsFile' | 'settleMs' | 'verifiers'> {
  readonly kind: 'nats';
  /** At least one; tried in their order. */
  readonly servers: readonly HostAndPort[];
}

export interface OtlpSinkSettings extends AnySinkSettings {
  readonly kind: 'otlp';
  readonly url: string;
  readonly headersFile?: string;
}

export interface FileSinkSettings extends AnySinkSettings {
  readonly kind: 'file';
  readonly path: string;
}

/** `cursor` is at the list. `own`: directories of the daemon with the keys that name them: a file that grows there would damage them. */
export function sinksOf(
  raw: readonly RawSink[],
  cursor: Cursor,
  own: readonly (readonly [key: string, directory: string])[],
): SinkSettings[] {
  const names = new Set<string>();
  return raw.flatMap((each, index) => {
    const sink = sinkOf(each);
    if (sink === undefined) return [];
    if (names.has(sink.name))
      cursor.error([index, sink.kind], `${sink.name} gets the records already`, 'defined-twice');
    names.add(sink.name);
    const isIn = (directory: string): boolean =>
      sink.kind === 'file' && `${sink.path}/`.startsWith(`${directory}/`);
    const [key, above] = own.find(([, directory]) => isIn(directory)) ?? [];
    if (key !== undefined)
      cursor.error(
        [index, sink.kind],
        `lies in ${key} (${above}), which is the daemon's own; name a file elsewhere, as ${fileExample}`,
      );
    return [sink];
  });
}

/** Undefined: it is of no kind, or of several. */
function sinkOf(raw: RawSink): SinkSettings | undefined {
  const [made, another] = kinds.map((kind) => settingsOf[kind](raw)).filter((each) => each !== undefined);
  return another === undefined ? made : undefined;
}

/** Undefined: it is not of that kind. */
const settingsOf: {
  readonly [Kind in (typeof kinds)[number]]: (
    raw: RawSink,
  ) => Extract<SinkSettings, { kind: Kind }> | undefined;
} = {
  syslog: ({ syslog: place, serverName, keyPins, ...raw }) =>
    place && {
      kind: 'syslog',
      name: nameOf(place),
      ...place,
      serverName: serverName ?? place.host,
      keyPins,
      ...sharedOf(raw),
    },
  nats: ({ nats: servers, stream, hostWord, credentialsFile, settleMs, verifiers, ...raw }) => {
    const [first] = servers ?? [];
    if (servers === undefined || first === undefined) return undefined;
    const own = {
      stream,
      settleMs,
      verifiers,
      ...(hostWord !== undefined && { hostWord }),
      ...(credentialsFile !== undefined && { credentialsFile }),
    };
    return { kind: 'nats', name: nameOf(first), servers, ...own, ...sharedOf(raw) };
  },
  otlp: ({ otlp: url, headersFile, ...raw }) =>
    url && {
      kind: 'otlp',
      name: `${url.hostname}:${Number(url.port) || (url.protocol === 'https:' ? 443 : 80)}`,
      url: url.href,
      ...(headersFile !== undefined && { headersFile }),
      ...sharedOf(raw),
    },
  file: ({ file: path }) => (path === undefined ? undefined : { kind: 'file', name: path, path }),
};

function sharedOf(raw: Pick<RawSink, 'caFile' | 'certificateFile' | 'keyFile'>) {
  const client = clientOf(raw);
  return { ...(raw.caFile !== undefined && { caFile: raw.caFile }), ...(client && { client }) };
}

function nameOf({ host, port }: HostAndPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
