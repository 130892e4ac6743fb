// `dovegate audit fleet init`: creates the streams, or reports how existing ones differ. It then prints the rights of each host
// and of the verifier in the syntax of the server's configuration.

import { join } from 'node:path';
import { ownerOf, trustedByUs, whyUnsafe } from '../../adapters/host/files.js';
import { NatsFault } from '../../adapters/nats/fault.js';
import { type NatsLink, useNats } from '../../adapters/nats/link.js';
import { bounds } from '../../bounds/bounds.js';
import type { FleetSettings } from '../../domain/config/parse-fleet.js';
import { formatDuration } from '../../domain/judging/policy/policy.js';
import { bytesWords, plural } from '../../domain/language/words/words.js';
import { printable } from '../../domain/records/audit/encode.js';
import {
  administratorName,
  checkpointStreamOf,
  type FleetStream,
  gateSubjectsOf,
  hostStreamOf,
  verifierQuestions,
  verifierSubjects,
} from '../../domain/records/fleet/block.js';
import { verifierName } from '../../domain/records/fleet/names.js';
import { madeCompression } from '../../domain/records/streams/made.js';
import { judgeCompression, judgeStrength, maxMessagesOf } from '../../domain/records/streams/strength.js';
import { exitCodes } from '../../ports/machine.js';
import { readFleetSettings } from '../audit/fleet-places.js';
import { CommandFault } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { judgeExcess, natsOf, placesOf, verifierInbox, wantedOf, whatDiffers } from './open-settings.js';
import { formatServerConfiguration } from './server-configuration.js';
import { lookAtStream, type SeenStream } from './streams.js';

export interface InitFlags {
  readonly print: boolean;
  /** Changes existing streams that are weaker than required, or have another share. */
  readonly repair: boolean;
}

/** Exit code 0; 1: a stream exists and differs. Throws a CommandFault or a NatsFault. */
export async function fleetInit(
  screen: Screen,
  config: string,
  { print, repair }: InitFlags,
): Promise<number> {
  const files = readFleetSettings(config, screen, 'state');
  const wishes = wishesOf(files);
  if (print) {
    const commands = wishes.flatMap((wish) => formatCommand(wish, files).split('\n'));
    const made = ['The streams; without --print, "fleet init" makes them.', ...commands];
    const text = formatServerConfiguration(files, streamBytesOf(files), formatRights(files));
    await screen.print([text, ...made.map((line) => `# ${line}`)].join('\n'));
    await screen.flush();
    return exitCodes.ok;
  }
  const settings = asAdministrator(files, config);
  const { made, repairs } = await useNats(
    natsOf(settings, 'init'),
    new AbortController().signal,
    async (link) => {
      const found = await makeStreams(link, settings, wishes);
      return repair ? repairStreams(link, settings, found) : { made: found, repairs: [] };
    },
  );
  for (const { stream, info, state } of made)
    await screen.print(
      `the stream ${stream.name} ${states[state]} at ${printable(info.created)}, ${plural(info.messages, 'message')}`,
    );
  await screen.print(
    `the streams of ${plural(settings.hosts.size, 'host')} take up to ${bytesWords(streamBytesOf(settings))} together; max_file of each server, and its disk, must be larger`,
  );
  for (const line of repairs) await screen.print(printable(line));
  const warnings = [
    ...made.flatMap(({ stream, info }) =>
      judgeAsMade(stream, info, settings).map(({ text }) => `stream ${stream.name}: ${text}`),
    ),
    ...whatDiffers(made, settings),
  ];
  for (const warning of warnings) await screen.print(screen.paint('bad', `differs: ${printable(warning)}`));
  const isRepairable = made.some(({ stream, info }) =>
    judgeStream(stream, info, settings).some((one) => one.repair !== undefined),
  );
  if (isRepairable && !repair) await screen.print('next: dovegate audit fleet init --repair');
  await screen.print(`\n${formatRights(settings)}`);
  await screen.flush();
  return warnings.length === 0 ? exitCodes.ok : exitCodes.failed;
}

/** With the administrator's certificate from `fleet prepare`, if it is still there. Throws a CommandFault. */
export function asAdministrator(settings: FleetSettings, config: string): FleetSettings {
  const own = (end: string): string => join(placesOf(config).admin, `${administratorName}.${end}`);
  const keyFile = own('key');
  if (ownerOf(keyFile) === undefined) return settings;
  const unsafe = whyUnsafe(keyFile, true, trustedByUs());
  if (unsafe !== undefined) throw new CommandFault(exitCodes.configuration, unsafe.text);
  const { credentialsFile: _, ...others } = settings;
  return { ...others, client: { certificateFile: own('pem'), keyFile } };
}

export function streamBytesOf(settings: FleetSettings): number {
  return wishesOf(settings).reduce((sum, { maxBytes }) => sum + maxBytes, 0);
}

interface Wish {
  readonly stream: FleetStream;
  readonly maxBytes: number;
}

/** The stream of the checkpoints, and one for each host. */
function wishesOf({ stream, shares }: FleetSettings): readonly Wish[] {
  const own = [...shares].map(([host, maxBytes]) => ({ stream: hostStreamOf(stream, host), maxBytes }));
  return [{ stream: checkpointStreamOf(stream), maxBytes: bounds.fleetLogBytes }, ...own];
}

const states = {
  made: 'is there: made',
  there: 'is there already and was not changed: made',
  repaired: 'is there already and was changed: made',
} as const;

interface MadeStream extends SeenStream {
  readonly info: NonNullable<SeenStream['info']>;
  readonly state: keyof typeof states;
}

/**
 * Reads the stream's INFO first: a request to make an existing stream would change its time of creation. Rejects with a
 * NatsFault.
 */
async function makeStreams(
  link: NatsLink,
  { replicas, keepMs: maxAgeMs }: FleetSettings,
  wishes: readonly Wish[],
): Promise<readonly MadeStream[]> {
  const made: MadeStream[] = [];
  try {
    for (const { stream, maxBytes } of wishes) {
      const { name, subjects } = stream;
      const there = await lookAtStream(link, stream);
      if (there === undefined)
        await link.createStream(name, {
          replicas,
          maxAgeMs,
          maxBytes,
          subjects,
          maxMessages: maxMessagesOf(maxBytes),
          maxMessageBytes: bounds.fleetBlockBytes,
        });
      const info = there ?? (await link.info(name));
      made.push({ stream, info, state: there === undefined ? 'made' : 'there' });
    }
    return made;
  } catch (fault) {
    if (!(fault instanceof NatsFault)) throw fault;
    const advice =
      fault.code === 'no-rights'
        ? '; somebody who may make it: dovegate audit fleet init --print'
        : made.length > 0
          ? '; the gates of streams that are not there yet keep their records: put this right and run it again'
          : '';
    throw new NatsFault(fault.code, `${fault.message}${advice}`, fault);
  }
}

interface Difference {
  readonly property: string;
  readonly text: string;
  /** Undefined: it is not changed. */
  readonly repair: unknown;
  readonly whyNot?: string | undefined;
}

/** What is weaker than `init` makes it, and what takes more disk. */
function judgeAsMade(
  stream: FleetStream,
  { config }: MadeStream['info'],
  settings: FleetSettings,
): readonly Difference[] {
  const large = judgeCompression(config);
  return [...judgeStrength(config, wantedOf(stream, settings)), ...(large === undefined ? [] : [large])];
}

/** All differences that an update could change, in the order of the updates. */
function judgeStream(
  stream: FleetStream,
  info: MadeStream['info'],
  settings: FleetSettings,
): readonly Difference[] {
  const weak = judgeAsMade(stream, info, settings);
  if (stream.host === undefined) return weak;
  const above = judgeExcess(stream.host, info, settings.shares.get(stream.host));
  return [
    ...weak,
    ...above.map(({ property, is = 'without limit', must, repair, whyNot }) => {
      return { property, text: `${property} is ${is}, the share is ${must}`, repair, whyNot };
    }),
  ];
}

/**
 * Changes one property after the other: a server that refuses one accepts the others, and the refused one stays weak. Each
 * change is based on the stream's state right before it, because gates continue to send. Rejects with a NatsFault if this user
 * may not change a stream.
 */
async function repairStreams(
  link: NatsLink,
  settings: FleetSettings,
  found: readonly MadeStream[],
): Promise<{ readonly made: readonly MadeStream[]; readonly repairs: readonly string[] }> {
  const repairs: string[] = [];
  const made: MadeStream[] = [];
  for (const one of found) {
    const { stream } = one;
    let isChanged = false;
    for (const { property } of judgeStream(stream, one.info, settings)) {
      const info = await link.info(stream.name);
      const now = judgeStream(stream, info, settings).find((each) => each.property === property);
      if (now === undefined) continue;
      const { text, repair, whyNot } = now;
      if (repair === undefined) {
        if (whyNot !== undefined) repairs.push(`not repaired: stream ${stream.name}: ${text}: ${whyNot}`);
        continue;
      }
      try {
        await link.updateStream(stream.name, { ...info.config, [property]: repair });
        isChanged = true;
        repairs.push(`repaired: stream ${stream.name}: ${text}`);
      } catch (fault) {
        if (!(fault instanceof NatsFault) || !/^(?:refused|stream-full)$/.test(fault.code)) throw fault;
        repairs.push(`not repaired: stream ${stream.name}: ${text}: ${fault.message}`);
      }
    }
    if (isChanged) made.push({ ...one, info: await link.info(stream.name), state: 'repaired' });
    else made.push(one);
  }
  return { made, repairs };
}

/** The command for people with the tool `nats` and more rights than ours. */
function formatCommand({ stream, maxBytes }: Wish, { replicas, keepMs }: FleetSettings): string {
  const options = [
    ...stream.subjects.map((subject) => `--subjects '${subject}'`),
    '--storage file',
    '--retention limits',
    '--discard new',
    `--max-age ${keepMs === 0 ? '-1' : formatDuration(keepMs)}`,
    `--max-bytes ${maxBytes}`,
    `--max-msgs ${maxMessagesOf(maxBytes)} --max-msgs-per-subject -1 --max-msg-size ${bounds.fleetBlockBytes}`,
    '--dupe-window 2m',
    `--replicas ${replicas}`,
    '--deny-delete --deny-purge --allow-direct --no-allow-rollup',
    // A server of 2.9 takes it for nothing.
    `--compression ${madeCompression}`,
    '--defaults',
  ];
  return [`nats stream add ${stream.name}`, ...options].join(' \\\n  ');
}

interface Rights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/**
 * The rights of each user of the server, and nothing else: a gate writes its own chains, and the verifier reads all of them.
 * The server sends an answer with its own rights to any subject that a request names; within the stream's account that is
 * enough to remove it, so each gate has an account of its own, into which only its own subjects are imported.
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
  const ownOf = (host: string): readonly string[] => gateSubjectsOf(stream, host);
  const accountOf = (host: string): string => `GATE_${host}`;
  // All streams of this account are the fleet's, and a word of a subject has no wildcard for a part of it.
  const api = verifierQuestions.map((subject) => `$JS.API.${subject}`);
  const names = [...hosts.keys()];
  const exported = names.flatMap((host) =>
    ownOf(host).map((each) => `{ service: ${quote(each)}, accounts: [${quote(accountOf(host))}] }`),
  );
  const central = block('AUDIT', [
    'jetstream: enabled',
    ...user(
      verifierName,
      { publish: [...verifierSubjects, ...api], subscribe: [`${verifierInbox}.>`] },
      // The user that makes the streams.
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
    '# An account for each gate: in one with the streams, a gate could have the server remove them.',
    'accounts {',
    ...central,
    ...gates,
    '}',
  ].join('\n');
}
