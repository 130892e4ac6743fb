// The streams of a fleet, as the servers have them: the one of the checkpoints, and one for each listed host.

import { bounds } from '../../host/bounds/bounds.js';
import { isHostWord } from '../../rules/config/fleet-names.js';
import { checkpointStreamOf, type FleetStream, hostStreamOf } from '../fleet/block.js';
import { NatsFault } from '../nats/fault.js';
import { type NatsLink, type StreamInfo } from '../nats/link.js';

export interface SeenStream {
  readonly stream: FleetStream;
  readonly info: StreamInfo | undefined;
}

/** Limit for unlisted hosts; they are read too, so that an unknown host is a finding. */
const strangersMax = bounds.fleetStrangers;

/**
 * The streams of these hosts and of others that have one, in the order of reading. The stream of the checkpoints is examined
 * first, so that everything a checkpoint names is already in the others. All others are listed with few requests; one that is
 * known and not listed is asked for. Rejects with a NatsFault, also if there is no stream of the checkpoints.
 */
export async function lookAtStreams(
  link: NatsLink,
  prefix: string,
  hosts: ReadonlyMap<string, unknown>,
  isKnown: (name: string) => boolean,
): Promise<readonly [SeenStream & { readonly info: StreamInfo }, ...SeenStream[]]> {
  const info = await link.info(prefix);
  const first = { stream: checkpointStreamOf(prefix), info };
  const listed = await link.streams();
  const start = `${prefix}_`;
  const strangers = [...listed.keys()]
    .filter((name) => name.startsWith(start))
    .map((name) => name.slice(start.length))
    .filter((host) => isHostWord(host) && !hosts.has(host))
    .toSorted();
  const others: SeenStream[] = [];
  for (const host of [...hosts.keys(), ...strangers.slice(0, strangersMax)]) {
    const stream = hostStreamOf(prefix, host);
    const described = listed.get(stream.name);
    const isDoubtful = described === undefined && (listed.has(stream.name) || isKnown(stream.name));
    others.push({ stream, info: isDoubtful ? await lookAtStream(link, stream) : described });
  }
  return [first, ...others];
}

/** Undefined: there is no such stream. Rejects with a NatsFault. */
export async function lookAtStream(link: NatsLink, { name }: FleetStream): Promise<StreamInfo | undefined> {
  try {
    return await link.info(name);
  } catch (fault) {
    if (fault instanceof NatsFault && fault.code === 'no-stream') return undefined;
    throw fault;
  }
}
