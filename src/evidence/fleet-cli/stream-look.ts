// Checks the path of a gate's journal to its stream: name, TLS, login, certificate, rights, and the stream's space. Nothing is
// stored: the server checks the rights first, and then refuses a message that names another stream.

import { X509Certificate } from 'node:crypto';
import { listOf, textOf, type Values, valuesOf } from '../../gate/health/daemon-look.js';
import { bad, type Look, ok, warning, within } from '../../gate/health/look.js';
import { readText } from '../../host/machine/files.js';
import { installCommand } from '../../host/machine/optional-packages.js';
import type { Clock } from '../../host/ports/machine.js';
import { verifierName } from '../../rules/config/fleet-names.js';
import type { Settings } from '../../rules/config/settings.js';
import { isSinkOf, type NatsSinkSettings } from '../../rules/config/sinks.js';
import { expirySentence, warnMs } from '../../rules/setup/certificates.js';
import { natsTargetOf } from '../../rules/setup/nats-target.js';
import { hostStreamOf, subjectOf } from '../fleet/block.js';
import { NatsFault, type NatsFaultCode } from '../nats/fault.js';
import { type NatsLink, openNats } from '../nats/link.js';

const dialMs = 20_000;
/** No journal has this id, but the subject is one of this gate. */
const noJournal = '0'.repeat(32);

export interface StreamLookOptions {
  readonly clock: Clock;
  /** The daemon's report about its receivers; undefined: there is no daemon to ask. */
  readonly told: Values | undefined;
}

/** One finding for each receiver of the kind nats. */
export async function lookAtStreams(
  { audit }: Pick<Settings, 'audit'>,
  options: StreamLookOptions,
): Promise<readonly Look[]> {
  const sinks = audit.ship.filter((sink) => isSinkOf(sink, 'nats'));
  return (await Promise.all(sinks.map((sink) => lookAtSink(sink, options)))).flat();
}

async function lookAtSink(
  sink: NatsSinkSettings,
  { clock, told }: StreamLookOptions,
): Promise<readonly Look[]> {
  const { host, link: settings } = natsTargetOf(sink);
  const certificate = lookAtCertificate(sink, host, clock);
  const looks: Look[] = [];
  const signal = new AbortController();
  const timer = clock.setTimer(dialMs, () =>
    signal.abort(new NatsFault('dial-timeout', 'no answer in time')),
  );
  let isSeen = false;
  try {
    for (const server of sink.servers) {
      const place = `${server.host}:${server.port}`;
      const name = `stream server ${place}`;
      const startMs = clock.now();
      let link: NatsLink;
      try {
        link = await openNats({ ...settings, servers: [server] }, signal.signal);
      } catch (fault) {
        if (!(fault instanceof NatsFault)) throw fault;
        looks.push(bad(name, fault.message, ...adviceFor(fault, server.host, sink, host)));
        continue;
      }
      try {
        const ms = Math.max(1, Math.round(clock.now() - startMs));
        looks.push(lookAtServer(name, link.serverValidTo, ms, clock));
        if (isSeen) continue;
        isSeen = true;
        const late = (): readonly Look[] => [bad('stream', `${place} gives no answer in time`)];
        looks.push(...(await within(dialMs, clock, lookInside(link, sink, host, told), late)));
      } finally {
        await link.close();
      }
    }
  } finally {
    timer.cancel();
  }
  return [...certificate, ...looks];
}

function lookAtServer(name: string, validTo: string, ms: number, clock: Clock): Look {
  const text = `TLS and login in ${ms} ms`;
  const leftMs = Date.parse(validTo) - clock.wallMs();
  if (!(leftMs < warnMs)) return ok(name, text);
  const todo = 'a new certificate for the server, on the machine with fleet/admin';
  const ends = expirySentence('receiver', leftMs);
  return warning(name, `${text}; ${ends}`, todo, 'dovegate audit fleet issue server');
}

async function lookInside(
  link: NatsLink,
  sink: NatsSinkSettings,
  host: string,
  told: Values | undefined,
): Promise<readonly Look[]> {
  const subject = subjectOf(host, noJournal);
  const shown = `dovegate.audit.${host}.*`;
  const looks: Look[] = [];
  const judge = async (what: string, ask: () => Promise<unknown>): Promise<NatsFaultCode | undefined> => {
    try {
      await ask();
    } catch (fault) {
      if (!(fault instanceof NatsFault)) throw fault;
      // Refused after the rights were checked: there is no such stream and no such number.
      if (fault.code !== 'refused' && fault.code !== 'wrong-sequence') {
        looks.push(bad('stream', `${what}: ${fault.message}`, ...adviceFor(fault, link.place, sink, host)));
        return fault.code;
      }
    }
    return undefined;
  };
  const { name: stream } = hostStreamOf(sink.stream, host);
  const whyNoAnswer = await judge('it cannot be asked for the last record', () =>
    link.lastOf(stream, subject),
  );
  const elsewhere = [['Nats-Expected-Stream', 'dovegate-doctor']] as const;
  // A missing stream takes no messages.
  if (whyNoAnswer !== undefined && whyNoAnswer !== 'no-rights') return looks;
  const whyNoRecord = await judge('it does not take records', () =>
    link.publish(subject, elsewhere, Buffer.alloc(0), Number.MAX_SAFE_INTEGER),
  );
  if (whyNoAnswer === undefined && whyNoRecord === undefined)
    looks.push(
      ok('stream', `${stream} is there; this gate may publish to ${shown} and ask for its last record`),
    );
  const rights = await link.rights(stream, verifierName);
  if (rights.length > 0)
    looks.push(
      bad(
        'stream rights',
        `this gate may do more than send its own records (${rights.join(', ')}); its credentials are enough to remove those of all gates`,
        'new credentials of its own, on the machine with fleet/admin, then "fleet join" here',
        issueCommand(host),
      ),
    );
  looks.push(...lookAtRoom(sink.name, stream, told));
  return looks;
}

/** A gate may not see how full the stream is, but its last answer shows it. */
function lookAtRoom(name: string, stream: string, told: Values | undefined): readonly Look[] {
  const sink = listOf(told?.['shipping']).find((each) => textOf(each['sink']) === name);
  if (sink === undefined) return [];
  const lag = Number(sink['lag_records']);
  if (textOf(valuesOf(sink['fault'])['code']) === 'stream-full')
    return [
      bad(
        'stream room',
        `${stream} is full; ${lag} records wait in the journal of this gate`,
        "where the settings of the fleet are: raise the share of this host and the server's max_file, then look at",
        'dovegate audit fleet verify',
      ),
    ];
  if (sink['state'] !== 'connected') return [];
  return [
    ok('stream room', lag === 0 ? `${stream} took all records` : `${stream} takes records; ${lag} wait`),
  ];
}

function lookAtCertificate(
  { client, caFile }: NatsSinkSettings,
  host: string,
  clock: Clock,
): readonly Look[] {
  const name = 'stream certificate';
  const files = [client?.certificateFile, caFile].filter((path) => path !== undefined);
  const [path] = files;
  if (path === undefined) return [];
  const ends: number[] = [];
  for (const file of files) {
    try {
      ends.push(Date.parse(new X509Certificate(readText(file)).validTo));
    } catch {
      return [bad(name, `${file} is no certificate in PEM`, 'write it again', issueCommand(host))];
    }
  }
  const leftMs = Math.min(...ends) - clock.wallMs();
  const file = files[ends.indexOf(Math.min(...ends))] ?? path;
  const text = `${file}: ${expirySentence('listener', leftMs)}`;
  const todo = 'on the machine with fleet/admin, then "fleet join" here';
  if (leftMs < 0) return [bad(name, text, todo, issueCommand(host))];
  return [leftMs < warnMs ? warning(name, text, todo, issueCommand(host)) : ok(name, text)];
}

function issueCommand(host: string): string {
  return `dovegate audit fleet issue ${host}`;
}

/** The remedy and its command; it names the machine if that is another one. */
function adviceFor(
  { code, message }: NatsFault,
  place: string,
  { client, credentialsFile }: NatsSinkSettings,
  host: string,
): readonly [string, string] {
  const server = place.replace(/:\d+$/, '');
  const own = client?.certificateFile ?? credentialsFile;
  const advice: Readonly<Record<NatsFaultCode, readonly [string, string]>> = {
    'library-missing': ['install it where dovegate is', installCommand('@nats-io/transport-node')],
    'dial-refused': message.includes('resolved')
      ? ['compare audit.ship with the names of the network', `getent hosts ${server}`]
      : ['look whether the server runs', `ssh root@${server} systemctl status nats-server`],
    'dial-timeout': [
      'look at the firewall, and at the server',
      `ssh root@${server} systemctl status nats-server`,
    ],
    'closed-early': ['look at the log of the server', `ssh root@${server} journalctl -u nats-server -n 50`],
    'tls-failed': /client certificate|cannot be used|cannot read|JWT and a seed/.test(message)
      ? [`new credentials, on the machine with fleet/admin, then "fleet join" here`, issueCommand(host)]
      : [
          'a new certificate for the server, on the machine with fleet/admin',
          'dovegate audit fleet issue server',
        ],
    'auth-rejected': [
      `the server does not know the user of ${own ?? 'this gate'}, or no longer: new credentials, on the machine with fleet/admin, then "fleet join" here`,
      issueCommand(host),
    ],
    'no-rights': [
      `the user of this gate must be that of "${host}": new credentials, on the machine with fleet/admin, then "fleet join" here`,
      issueCommand(host),
    ],
    'no-stream': ["make it, on the machine of the fleet's settings", 'dovegate audit fleet init'],
    'stream-full': ["raise max_size, on the machine of the fleet's settings", 'dovegate audit fleet verify'],
    'wrong-sequence': ['look at the log of the server', `ssh root@${server} journalctl -u nats-server -n 50`],
    refused: ['look at the log of the server', `ssh root@${server} journalctl -u nats-server -n 50`],
  };
  return advice[code];
}
