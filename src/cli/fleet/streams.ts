// The streams of a fleet, as the servers have them: the one of the checkpoints, and one for each listed host.

import { NatsFault } from '../../adapters/nats/fault.js';
import { type NatsLink, type StreamInfo } from '../../adapters/nats/link.js';
import { bounds } from '../../bounds/bounds.js';
import { checkpointStreamOf, type FleetStream, hostStreamOf } from '../../domain/records/fleet/block.js';
import { isHostWord } from '../../domain/records/fleet/names.js';

export interface SeenStream {
  readonly stream: FleetStream;
  readonly info: StreamInfo | undefined;
}

/** Limit for unlisted hosts; they are read too, so that an unknown host is a finding. */
const strangersMax = bounds.fleetStrangers;

/**
 * The streams of these hosts and of others that have one, in the order of reading. The stream of the checkpoints is examined
 * first, so that everything a checkpoint names is already in the others. Rejects with a NatsFault, also if there is no stream
 * of the checkpoints.
 */
export async function lookAtStreams(
  link: NatsLink,
  prefix: string,
  hosts: Iterable<string>,
): Promise<readonly [SeenStream & { readonly info: StreamInfo }, ...SeenStream[]]> {
  const info = await link.info(prefix);
  const first = { stream: checkpointStreamOf(prefix), info };
  const listed = [...hosts];
  const strangers = (await hostsOf(link, prefix)).filter((host) => !listed.includes(host));
  const others = [...listed, ...strangers.slice(0, strangersMax)].map(async (host): Promise<SeenStream> => {
    const own = hostStreamOf(prefix, host);
    return { stream: own, info: await lookAtStream(link, own) };
  });
  return [first, ...(await Promise.all(others))];
}

/** Hosts that have a stream; empty if we may not list them. */
async function hostsOf(link: NatsLink, prefix: string): Promise<readonly string[]> {
  const start = `${prefix}_`;
  const names = await link.streamNames().catch((fault: unknown) => {
    if (fault instanceof NatsFault && fault.code === 'no-rights') return [];
    throw fault;
  });
  const hosts = names.filter((name) => name.startsWith(start)).map((name) => name.slice(start.length));
  return hosts.filter((host) => isHostWord(host)).toSorted();
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
