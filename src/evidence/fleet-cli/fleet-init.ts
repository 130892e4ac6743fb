// `dovegate audit fleet init`: gives the server the accounts of the gates, where the administrator's files are, and creates the streams,
// or reports how existing ones differ.

import { bounds } from '../../host/bounds/bounds.js';
import { plain } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatDuration } from '../../host/words/durations.js';
import { printable } from '../../host/words/text.js';
import { bytesWords, plural } from '../../host/words/words.js';
import { readFleetSettings } from '../cli/fleet-places.js';
import { administratorName, checkpointStreamOf, type FleetStream, hostStreamOf } from '../fleet/block.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import { NatsFault } from '../nats/fault.js';
import { type NatsLink, useNats } from '../nats/link.js';
import { madeCompression } from '../streams/made.js';
import { judgeCompression, judgeStrength, maxMessagesOf } from '../streams/strength.js';
import { accountsIn, asUser, pushAccounts, readAccounts } from './administration.js';
import { judgeExcess, natsOf, placesOf, wantedOf, whatDiffers } from './open-settings.js';
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
    await screen.print([formatServerConfiguration(files), ...made.map((line) => `# ${line}`)].join('\n'));
    await screen.flush();
    return exitCodes.ok;
  }
  const { admin } = placesOf(config);
  const accounts = readAccounts(admin);
  if (accounts.size > 0) {
    await pushAccounts(files, config, accounts.values());
    const missing = [...files.hosts.keys()].filter((host) => !accounts.has(host));
    await screen.print(`the server knows the accounts of ${plural(accounts.size, 'gate')}`);
    for (const host of missing)
      screen.complain(`${host} has no account: make one with "dovegate audit fleet issue ${host}"`);
  } else if (files.credentialsFile !== undefined)
    screen.complain(
      `dovegate: the server was given no accounts of gates: ${plain(accountsIn(admin))} is not here; it may be kept elsewhere: bring it back`,
    );
  const settings = asUser(files, config, administratorName) ?? files;
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
  await screen.flush();
  return warnings.length === 0 ? exitCodes.ok : exitCodes.failed;
}

/** The stream of one host, with that of the checkpoints. Rejects with a NatsFault. */
export async function makeHostStream(settings: FleetSettings, config: string, host: string): Promise<void> {
  const own = asUser(settings, config, administratorName) ?? settings;
  const wishes = wishesOf(settings).filter(({ stream }) => stream.host === undefined || stream.host === host);
  await useNats(natsOf(own, 'issue'), new AbortController().signal, (link) =>
    makeStreams(link, settings, wishes),
  );
}

function streamBytesOf(settings: FleetSettings): number {
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
        ? '; it needs the credentials in fleet/admin, or somebody who may make it: dovegate audit fleet init --print'
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
