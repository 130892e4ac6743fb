// Owns the reading of `audit.ship`: who gets the records. It does not know how they are sent.
import { parseHostAndPort } from './address.js';
import { parsePins } from './pins.js';
import type { RawSink } from './schema.js';
import type { SinkSettings } from './settings.js';
import type { Cursor } from './written.js';

/** Every receiver that could be read; what is wrong with the others is told. `cursor` is at the list. */
export function parseSinks(raw: readonly RawSink[], cursor: Cursor): SinkSettings[] {
  const sinks: SinkSettings[] = [];
  for (const [index, each] of raw.entries()) {
    const at = cursor.down(index);
    const place = parseHostAndPort(each.syslog);
    const client = parseClient(at);
    const caFile = at.file('ca');
    const keyPins = parsePins(at);
    if (place === undefined) {
      at.error(['syslog'], 'must be HOST:PORT or [IPV6]:PORT, as logs.example.com:6514');
      continue;
    }
    const { host, port } = place;
    const name = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    if (sinks.some((sink) => sink.name === name))
      at.error(['syslog'], `${name} gets the records already`, 'defined-twice');
    sinks.push({
      name,
      host,
      port,
      ...(caFile === undefined ? {} : { caFile }),
      serverName: each.server_name ?? host,
      keyPins,
      ...(client === undefined ? {} : { client }),
      place: at.place(),
    });
  }
  return sinks;
}

function parseClient(at: Cursor): SinkSettings['client'] {
  const certificateFile = at.file('certificate');
  const keyFile = at.file('key');
  if (certificateFile === undefined && keyFile === undefined) return undefined;
  if (certificateFile === undefined) at.error(['key'], 'is of no use without certificate', 'key-conflict');
  else if (keyFile === undefined) at.error(['certificate'], 'is of no use without its key', 'key-conflict');
  else return { certificateFile, keyFile };
  return undefined;
}
