// The receivers of `audit.ship`: syslog receivers, and streams of NATS. Each kind is declared here: its keys, its settings, its files, the
// library that it needs; its carrier is in adapters/shipping, and daemon/receivers.ts joins the two.
import type * as z from 'zod';
import { defaultStream, isHostWord, verifierName } from '../records/fleet/block.js';
import type { Cursor } from './cursor.js';
import {
  as,
  ca,
  duration,
  file,
  type HostAndPort,
  parseHostAndPort,
  pins,
  section,
  text,
  without,
} from './schema-parts.js';

const syslogKeys = {
  server_name: text("the name in the receiver's certificate")
    .optional()
    .describe('syslog: name or IP address in its certificate; default: the host'),
  key_pins: pins.default([]).describe('syslog: accepted keys, besides chain and name: `sha256:...`'),
};
const natsKeys = {
  stream: text('the name of a stream')
    .prefault(defaultStream)
    .describe('nats: the prefix of the stream: `PREFIX_HOST`, as `dovegate audit fleet init` makes it'),
  host: as('hostWord', text('the word for this host in subjects').optional()).describe(
    "nats: a word for this host, part of the subject; default: the machine's name, `_` for dots",
  ),
  credentials: as('credentialsFile', file('a file with credentials of NATS (.creds)').optional()).describe(
    'nats: a `.creds` file; or certificate and key',
  ),
  settle: duration('5m').describe(
    'nats: kept here so long after an acknowledgement; `0s` only where the servers sync always',
  ),
};

export const sinkSchema = section(
  'a receiver of the records',
  {
    syslog: text('HOST:PORT of a syslog receiver with TLS, as logs.example.com:6514')
      .optional()
      .describe('`HOST:PORT` of a syslog receiver with TLS'),
    nats: text('servers of a NATS cluster, as tls://nats1.example.com:4222,tls://nats2.example.com:4222')
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

/** `keys`: that other kinds do not have. `library`: the optional package that it needs, and its name for people. */
const kinds: Readonly<
  Record<
    SinkKind,
    {
      readonly keys: object;
      readonly parse: (raw: RawSink, at: Cursor) => SinkSettings | undefined;
      readonly library?: { readonly name: string; readonly package: '@nats-io/transport-node' };
    }
  >
> = {
  syslog: { keys: syslogKeys, parse: parseSyslog },
  nats: {
    keys: natsKeys,
    parse: parseNats,
    library: { name: 'NATS', package: '@nats-io/transport-node' },
  },
};
const kindNames = Object.keys(kinds).filter(isKind);

function isKind(name: string): name is SinkKind {
  return Object.hasOwn(kinds, name);
}

export function sinkLibraryOf({ kind }: SinkSettings) {
  return kinds[kind].library;
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
      return [['credentials', sink.credentialsFile]];
    default:
      return sink satisfies never;
  }
}

/** Every valid receiver; faults of the others are reported. `cursor` is at the list. */
export function parseSinks(raw: readonly RawSink[], cursor: Cursor): SinkSettings[] {
  const names = new Set<string>();
  return raw.flatMap((each, index) => {
    const at = cursor.down(index);
    const [kind, second] = kindNames.filter((name) => each[name] !== undefined);
    if (kind === undefined) at.error([], `needs ${kindNames.join(' or ')}`, 'missing-key');
    else if (second !== undefined) {
      const message = `a receiver is either ${kindNames.join(' or ')}; write two of them`;
      at.error([second], message, 'key-conflict');
    }
    if (kind === undefined || second !== undefined) return [];
    const others = kindNames.filter((name) => name !== kind).flatMap((name) => Object.keys(kinds[name].keys));
    for (const key of others.filter((name) => at.has(name)))
      at.error([key], `is not for a receiver of the kind ${kind}; take it out`, 'key-conflict');
    const sink = kinds[kind].parse(each, at);
    if (sink === undefined) return [];
    if (names.has(sink.name)) at.error([kind], `${sink.name} gets the records already`, 'defined-twice');
    names.add(sink.name);
    return [sink];
  });
}

function parseSyslog(raw: RawSink, at: Cursor): SyslogSinkSettings | undefined {
  const shared = sharedOf(raw, at);
  const place = parseHostAndPort(raw.syslog ?? '');
  if (place === undefined) {
    at.error(['syslog'], 'must be HOST:PORT or [IPV6]:PORT, as logs.example.com:6514');
    return undefined;
  }
  const { serverName = place.host, keyPins } = raw;
  return { kind: 'syslog', name: nameOf(place), ...place, serverName, keyPins, ...shared };
}

function parseNats(raw: RawSink, at: Cursor): NatsSinkSettings | undefined {
  const { stream, hostWord: host, credentialsFile } = raw;
  const shared = sharedOf(raw, at);
  if (credentialsFile !== undefined && shared.client !== undefined) {
    const message = 'a server knows us by credentials or by a certificate; take one of them out';
    at.error(['credentials'], message, 'key-conflict');
  }
  if (!/^[A-Za-z0-9_-]{1,255}$/.test(stream)) {
    at.error(['stream'], 'must be letters, digits, dashes and underscores, as DOVEGATE_AUDIT');
  }
  if (host !== undefined && !isHostWord(host)) {
    at.error(
      ['host'],
      'must be 1 to 63 letters, digits, dashes and underscores, without a dot, as mail-gate-3',
    );
  }
  if (host === verifierName)
    at.error(['host'], `"${host}" is the name of who reads all of them; take another one`);
  const servers = parseServers(raw.nats ?? '', at);
  const [first] = servers;
  if (first === undefined) return undefined;
  const plain = without(raw, 'syslog', 'nats', 'serverName', 'keyPins', 'certificateFile', 'keyFile');
  return { kind: 'nats', name: nameOf(first), servers, ...plain, ...shared };
}

/** The value of `nats`. Empty if one of them is invalid. */
export function parseServers(written: string, at: Cursor): NatsSinkSettings['servers'] {
  const servers: HostAndPort[] = [];
  for (const url of written.split(',').map((each) => each.trim())) {
    const place = url.startsWith('tls://') ? parseHostAndPort(url.slice('tls://'.length)) : undefined;
    if (place === undefined) {
      const isPlain = url.startsWith('nats://');
      const why = url.includes('@')
        ? 'an address holds no user and no password; use `certificate` and `key`, or `credentials`: '
        : isPlain
          ? 'nats:// is not encrypted: '
          : '';
      at.error(
        ['nats'],
        `${why}must be tls://HOST:PORT, several with commas, as tls://nats1.example.com:4222`,
      );
      return [];
    }
    servers.push(place);
  }
  return servers;
}

function nameOf({ host, port }: HostAndPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function sharedOf(
  { caFile, certificateFile, keyFile }: RawSink,
  at: Cursor,
): Pick<SinkSettings, 'caFile' | 'client'> {
  if (keyFile !== undefined && certificateFile === undefined)
    at.error(['key'], 'needs certificate as well', 'key-conflict');
  if (certificateFile !== undefined && keyFile === undefined)
    at.error(['certificate'], 'needs key as well', 'key-conflict');
  const client = certificateFile !== undefined && keyFile !== undefined && { certificateFile, keyFile };
  return { ...(caFile !== undefined && { caFile }), ...(client && { client }) };
}
