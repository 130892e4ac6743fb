// The receivers of `audit.ship`: syslog receivers, stores, collectors of OpenTelemetry, and files. Each kind is declared
// here: its keys, its settings, its files, the library that it needs; its carrier is in ship/shipping, and
// ship/receivers.ts joins the two.

import type * as z from 'zod';
import { predicateOf } from '../../host/kinds/kinds.js';
import type { StoreTarget } from '../../host/store/open-store.js';
import { formatHostPort, type HostAndPort } from '../../host/words/host-port.js';
import type { Cursor } from './cursor.js';
import { isHostWord } from './fleet-names.js';
import {
  as,
  ca,
  certificateConflicts,
  clientOf,
  file,
  hasNone,
  hostAndPort,
  isSecondOf,
  parsed,
  section,
  text,
  urlOf,
} from './schema-parts.js';
import { dailyObjects, isFolderUrl, placeOf, storePlaceOf, storePrefix, storeUrl } from './store-place.js';

function checkHost(host: string, context: z.core.$RefinementCtx): void {
  if (!isHostWord(host))
    context.addIssue(
      'must be 1 to 63 letters, digits, dashes and underscores, without a dot and no underscore first, as mail-gate-3',
    );
}

const syslogKeys = {
  server_name: text("the name in the receiver's certificate")
    .optional()
    .describe('syslog: name or IP address in its certificate; default: the host'),
};
const storeKeys = {
  prefix: storePrefix.describe('store: what the names of all objects begin with; one for the whole fleet'),
  host: as(
    'hostWord',
    text('the word for this host in the names of objects').superRefine(checkHost).optional(),
  ).describe(
    "store: a word for this host, in the names of what it sends; default: the machine's name, `_` for dots",
  ),
  credentials: as('credentialsFile', file('a file with the keys of the bucket').optional()).describe(
    'store: a file in the form of AWS with the keys of the bucket',
  ),
  objects_per_day: dailyObjects.describe(
    'store: objects that it gets a day; as many again for records that must be there in seconds',
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
  if (url.pathname === '/') url.pathname = '/v1/logs';
  return url;
}

const fileExample = '/var/log/dovegate-ship/records.jsonl';

const kinds = ['syslog', 'store', 'otlp', 'file'] as const;

export const sinkSchema = section(
  'a receiver of the records',
  {
    syslog: hostAndPort(
      'HOST:PORT of a syslog receiver with TLS, as logs.example.com:6514',
      'must be HOST:PORT or [IPV6]:PORT, as logs.example.com:6514',
    )
      .optional()
      .describe('`HOST:PORT` of a syslog receiver with TLS'),
    store: storeUrl
      .optional()
      .describe(
        'instead: a store that gets blocks of records: URL of a bucket (S3), or `file:` and a folder',
      ),
    otlp: parsed(`a URL, as ${collectorExample}`, collectorOf)
      .optional()
      .describe('instead: URL of a collector of OpenTelemetry (OTLP over HTTP); `http:` on loopback only'),
    file: file(`a file that gets the records, as ${fileExample}`)
      .optional()
      .describe(
        'instead: a file of this machine that records are appended to, for an agent that sends it on',
      ),
    ...storeKeys,
    ...otlpKeys,
    ca,
    ...syslogKeys,
    certificate: as(
      'certificateFile',
      file('a file with the certificate that is shown to the receiver (PEM, with its chain)').optional(),
    ),
    key: as('keyFile', file('a file with the private key of that certificate (PEM)').optional()),
  },
  'a receiver that gets every record: syslog, a store or a collector, over TLS, or a file',
  {
    'missing-key': {
      '.: needs syslog, store, otlp or file': hasNone(...kinds),
      'store: needs credentials, a file with the keys of the bucket': ({ store, credentialsFile }) =>
        store !== undefined && !isFolderUrl(store) && credentialsFile === undefined,
    },
    'key-conflict': {
      'store otlp file: a receiver is of one kind; write two of them': isSecondOf(kinds),
      [`${Object.keys(storeKeys).join(' ')}: is for a receiver of the kind store; take it out`]:
        isNot('store'),
      [`${Object.keys(syslogKeys).join(' ')}: is for a receiver of the kind syslog; take it out`]:
        isNot('syslog'),
      [`${Object.keys(otlpKeys).join(' ')}: is for a receiver of the kind otlp; take it out`]: isNot('otlp'),
      'ca certificate key: is not for a file; take it out': (_, at) => at.isWritten('file'),
      'certificate key: is not for a store; take it out': (_, at) => at.isWritten('store'),
      'ca credentials: is not for a folder; take it out': ({ store }) =>
        store !== undefined && isFolderUrl(store),
      ...certificateConflicts,
    },
  },
);

/** Whether the receiver is of another kind. Receivers of several kinds are reported separately. */
function isNot(of: (typeof kinds)[number]) {
  return (_: object, at: Cursor): boolean =>
    !at.isWritten(of) && kinds.filter((each) => at.isWritten(each)).length === 1;
}

type RawSink = z.infer<typeof sinkSchema>;

export type SinkSettings = SyslogSinkSettings | StoreSinkSettings | OtlpSinkSettings | FileSinkSettings;
export const isSinkOf = predicateOf<SinkSettings>();

/** `name`: `HOST:PORT` (of the first server), or the path of a file, as in logs, metrics and the file of its position. */
interface AnySinkSettings extends Pick<RawSink, 'caFile'> {
  readonly name: string;
  /** dovegate's certificate for the receiver. */
  readonly client?: { readonly certificateFile: string; readonly keyFile: string };
}

export interface SyslogSinkSettings extends AnySinkSettings, HostAndPort {
  readonly kind: 'syslog';
  readonly serverName: string;
}

export interface StoreSinkSettings
  extends AnySinkSettings,
    Omit<StoreTarget, 'caFile'>,
    Pick<RawSink, 'hostWord' | 'objectsPerDay'> {
  readonly kind: 'store';
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

/** `cursor` is at the list. `own`: the daemon's directories by the keys that name them; a receiver's file there would damage them. */
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
    const path = pathOf(sink);
    const isIn = (directory: string): boolean => path !== undefined && `${path}/`.startsWith(`${directory}/`);
    const [key, above] = own.find(([, directory]) => isIn(directory)) ?? [];
    if (key !== undefined)
      cursor.error(
        [index, sink.kind],
        `lies in ${key} (${above}), which is the daemon's own; name another place`,
      );
    return [sink];
  });
}

function pathOf(sink: SinkSettings): string | undefined {
  if (sink.kind === 'store') return sink.place.kind === 'folder' ? sink.place.path : undefined;
  return sink.kind === 'file' ? sink.path : undefined;
}

/** Undefined: the receiver is of no kind, or of several. */
function sinkOf(raw: RawSink): SinkSettings | undefined {
  const [made, another] = kinds.map((kind) => settingsOf[kind](raw)).filter((each) => each !== undefined);
  return another === undefined ? made : undefined;
}

/** Undefined: the receiver is not of that kind. */
const settingsOf: {
  readonly [Kind in (typeof kinds)[number]]: (
    raw: RawSink,
  ) => Extract<SinkSettings, { kind: Kind }> | undefined;
} = {
  syslog: ({ syslog: place, serverName, ...raw }) =>
    place && {
      kind: 'syslog',
      name: formatHostPort(place),
      ...place,
      serverName: serverName ?? place.host,
      ...sharedOf(raw),
    },
  store: ({ store: url, prefix, hostWord, credentialsFile, objectsPerDay, ...raw }) =>
    url && {
      kind: 'store',
      ...storePlaceOf(url, prefix),
      prefix,
      objectsPerDay,
      ...(hostWord !== undefined && { hostWord }),
      ...(credentialsFile !== undefined && { credentialsFile }),
      ...sharedOf(raw),
    },
  otlp: ({ otlp: url, headersFile, ...raw }) =>
    url && {
      kind: 'otlp',
      name: placeOf(url),
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
