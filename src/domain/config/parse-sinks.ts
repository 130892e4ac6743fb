// Reads `audit.ship`: syslog receivers, and streams of NATS.
import { isHostWord, verifierName } from '../fleet/block.js';
import type { Cursor } from './cursor.js';
import { natsKeys, type RawSink, syslogKeys } from './schema.js';
import { type HostAndPort, parseHostAndPort, without } from './schema-parts.js';
import type { NatsSinkSettings, SinkSettings, SyslogSinkSettings } from './settings.js';

/** Keys that only one kind of receiver has. */
const ownKeys = { syslog: Object.keys(syslogKeys), nats: Object.keys(natsKeys) };

/** Every valid receiver; faults of the others are reported. `cursor` is at the list. */
export function parseSinks(raw: readonly RawSink[], cursor: Cursor): SinkSettings[] {
  const names = new Set<string>();
  return raw.flatMap((each, index) => {
    const at = cursor.down(index);
    const kind = kindOf(each, at);
    if (kind === undefined) return [];
    for (const key of ownKeys[kind === 'nats' ? 'syslog' : 'nats']) {
      if (at.has(key))
        at.error([key], `is not for a receiver of the kind ${kind}; take it out`, 'key-conflict');
    }
    const sink = kind === 'nats' ? parseNats(each, at) : parseSyslog(each, at);
    if (sink === undefined) return [];
    if (names.has(sink.name)) at.error([kind], `${sink.name} gets the records already`, 'defined-twice');
    names.add(sink.name);
    return [sink];
  });
}

function kindOf({ syslog, nats }: RawSink, at: Cursor): SinkSettings['kind'] | undefined {
  if (syslog !== undefined && nats !== undefined) {
    at.error(['nats'], 'a receiver is either syslog or nats; write two of them', 'key-conflict');
    return undefined;
  }
  if (nats !== undefined) return 'nats';
  if (syslog === undefined) at.error([], 'needs syslog or nats', 'missing-key');
  return syslog === undefined ? undefined : 'syslog';
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
): Pick<SinkSettings, 'caFile' | 'client' | 'place'> {
  if (keyFile !== undefined && certificateFile === undefined)
    at.error(['key'], 'needs certificate as well', 'key-conflict');
  if (certificateFile !== undefined && keyFile === undefined)
    at.error(['certificate'], 'needs key as well', 'key-conflict');
  const client = certificateFile !== undefined && keyFile !== undefined && { certificateFile, keyFile };
  return { ...(caFile !== undefined && { caFile }), ...(client && { client }), place: at.place() };
}
