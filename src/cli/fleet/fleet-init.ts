// `dovegate audit fleet init`: makes the stream, or says what differs of the one that is there, and prints the rights of each host and of
// the verifier in the language of the server's configuration.

import { join } from 'node:path';
import { ownerOf, trustedByUs, whyUnsafe } from '../../adapters/host/files.js';
import { NatsFault, type NatsLink, type StreamInfo, useNats } from '../../adapters/nats/link.js';
import { printable } from '../../domain/audit/encode.js';
import type { FleetSettings } from '../../domain/config/parse-settings.js';
import { auditSubjects, checkpointSubject, verifierName } from '../../domain/fleet/block.js';
import { formatDuration } from '../../domain/policy/policy.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import {
  administratorName,
  natsOf,
  placesOf,
  readFleetSettings,
  verifierInbox,
  whatDiffers,
} from './open-settings.js';
import { formatServerConfiguration } from './server-configuration.js';

export interface InitFlags {
  readonly print: boolean;
}

/** Exit code 0; 1: the stream is there and differs. Throws a CommandFault or a NatsFault. */
export async function fleetInit(screen: Screen, config: string, { print }: InitFlags): Promise<number> {
  const files = readFleetSettings(config, screen, true);
  if (print) {
    const rights = formatRights(files);
    const made = ['The stream; without --print, "fleet init" makes it.', ...formatCommand(files).split('\n')];
    const text = formatServerConfiguration(files, files.maxBytes, rights);
    await screen.print([text, ...made.map((line) => `# ${line}`)].join('\n'));
    await screen.flush();
    return exitCodes.ok;
  }
  const settings = asAdministrator(files, config);
  const { stream } = settings;
  const { info, isNew } = await useNats(natsOf(settings, 'init'), new AbortController().signal, (link) =>
    findOrMake(link, settings),
  );
  const { created, messages } = info;
  const warnings = whatDiffers(info, settings);
  const state = isNew ? 'is there: made' : 'is there already and was not changed: made';
  await screen.print(`the stream ${stream} ${state} at ${printable(created)}, ${messages} messages`);
  for (const warning of warnings) await screen.print(screen.paint('bad', `differs: ${printable(warning)}`));
  await screen.print(`\n${formatRights(settings)}`);
  await screen.flush();
  return warnings.length === 0 ? exitCodes.ok : exitCodes.failed;
}

/** With the certificate that `fleet prepare` made for the administrator, where it is still there. Throws a CommandFault. */
function asAdministrator(settings: FleetSettings, config: string): FleetSettings {
  const own = (end: string): string => join(placesOf(config).admin, `${administratorName}.${end}`);
  const keyFile = own('key');
  if (ownerOf(keyFile) === undefined) return settings;
  const unsafe = whyUnsafe(keyFile, true, trustedByUs());
  if (unsafe !== undefined) throw new CommandFault(exitCodes.configuration, unsafe.text);
  return { ...settings, credentialsFile: undefined, client: { certificateFile: own('pem'), keyFile } };
}

/** INFO comes first: a server that is told to make a stream which is there gives it another time of making. Rejects with a NatsFault. */
async function findOrMake(
  link: NatsLink,
  { stream, replicas, keepMs, maxBytes }: FleetSettings,
): Promise<{ readonly info: StreamInfo; readonly isNew: boolean }> {
  try {
    const info = await link.info(stream).catch((fault: unknown) => {
      if (fault instanceof NatsFault && fault.code === 'no-stream') return undefined;
      throw fault;
    });
    if (info !== undefined) return { info, isNew: false };
    await link.createStream(stream, { replicas, maxAgeMs: keepMs, maxBytes });
    return { info: await link.info(stream), isNew: true };
  } catch (fault) {
    if (!(fault instanceof NatsFault) || fault.code !== 'no-rights') throw fault;
    const advice = 'somebody who may make it: dovegate audit fleet init --print';
    throw new NatsFault('no-rights', `${fault.message}; ${advice}`);
  }
}

/** For people who have the tool `nats`, and rights that we have not. */
function formatCommand({ stream, replicas, keepMs, maxBytes }: FleetSettings): string {
  const options = [
    `--subjects '${auditSubjects}'`,
    `--subjects ${checkpointSubject}`,
    '--storage file',
    '--retention limits',
    '--discard new',
    `--max-age ${keepMs === 0 ? '-1' : formatDuration(keepMs)}`,
    `--max-bytes ${maxBytes ?? -1}`,
    '--max-msgs -1 --max-msgs-per-subject -1 --max-msg-size -1',
    '--dupe-window 2m',
    `--replicas ${replicas}`,
    '--deny-delete --deny-purge --allow-direct --no-allow-rollup',
    '--defaults',
  ];
  return [`nats stream add ${stream}`, ...options].join(' \\\n  ');
}

interface Rights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/**
 * What each user of the server may do, and nothing else: a gate writes its own chains, and the verifier reads all of them. The server sends
 * an answer with its own rights to whatever subject a request names; in one account with the stream that is enough to remove it, so each
 * gate has an account of its own, into which only its own subjects are imported.
 */
export function formatRights({ stream, hosts }: FleetSettings): string {
  const quote = (text: string): string => JSON.stringify(text);
  const block = (name: string, lines: readonly string[]): string[] => [
    `  ${quote(name)} {`,
    ...lines.map((line) => `    ${line}`),
    '  }',
  ];
  const list = (name: string, lines: readonly string[]): string[] => [
    `${name}: [`,
    ...lines.map((line) => `  ${line}`),
    ']',
  ];
  const user = (name: string, { publish, subscribe }: Rights, more = ''): string[] => [
    `users: [{ user: ${quote(name)}, permissions: {`,
    `  publish: [${publish.map(quote).join(',\n        ')}]`,
    `  subscribe: [${subscribe.map(quote).join(', ')}] } }${more}]`,
  ];
  const ownOf = (host: string): string[] => {
    const subjects = `dovegate.audit.${host}.*`;
    return [subjects, `$JS.API.DIRECT.GET.${stream}.${subjects}`];
  };
  const accountOf = (host: string): string => `GATE_${host}`;
  const api = [
    `STREAM.INFO.${stream}`,
    `DIRECT.GET.${stream}`,
    `DIRECT.GET.${stream}.>`,
    `CONSUMER.CREATE.${stream}.>`,
    `CONSUMER.MSG.NEXT.${stream}.>`,
    `CONSUMER.DELETE.${stream}.>`,
  ].map((subject) => `$JS.API.${subject}`);
  const names = [...hosts.keys()];
  const exported = names.flatMap((host) =>
    ownOf(host).map((each) => `{ service: ${quote(each)}, accounts: [${quote(accountOf(host))}] }`),
  );
  const central = block('AUDIT', [
    'jetstream: enabled',
    ...user(
      verifierName,
      { publish: [checkpointSubject, ...api], subscribe: [`${verifierInbox}.>`] },
      // Who makes the streams.
      `, { user: ${quote(administratorName)} }`,
    ),
    ...list('exports', exported),
  ]);
  const gates = names.flatMap((host) =>
    block(accountOf(host), [
      ...user(host, { publish: ownOf(host), subscribe: [`_INBOX.${host}.>`] }),
      ...list(
        'imports',
        ownOf(host).map((each) => `{ service: { account: "AUDIT", subject: ${quote(each)} } }`),
      ),
    ]),
  );
  return [
    '# Users of the server; each is the DNS name in its certificate.',
    '# An account for each gate: in one with the stream, a gate could have the server remove it.',
    'accounts {',
    ...central,
    ...gates,
    '}',
  ].join('\n');
}
