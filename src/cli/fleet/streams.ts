// The streams of a fleet, as the servers have them: the one of the checkpoints, and one for each listed host.

import { type NatsSettings } from '../../adapters/nats/dial.js';
import { NatsFault } from '../../adapters/nats/fault.js';
import { type NatsLink, openLooked, type StreamInfo } from '../../adapters/nats/link.js';
import { bounds } from '../../bounds/bounds.js';
import {
  checkpointStreamOf,
  type FleetStream,
  hostStreamOf,
  isHostWord,
  readSubject,
} from '../../domain/fleet/block.js';
import type { FleetMessage } from '../../domain/fleet/shapes.js';

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

export interface OpenedStream extends SeenStream {
  readonly info: StreamInfo;
}

/** The streams that exist, and a link to the server that listed them; for commands that only read. Rejects with a NatsFault. */
export async function openStreams(
  settings: NatsSettings,
  prefix: string,
  hosts: Iterable<string>,
  signal: AbortSignal,
): Promise<{ readonly link: NatsLink; readonly streams: readonly OpenedStream[] }> {
  const { link, seen } = await openLooked(settings, (opened) => lookAtStreams(opened, prefix, hosts), signal);
  const streams = seen.flatMap(({ stream, info }) => (info === undefined ? [] : [{ stream, info }]));
  return { link, streams };
}

/** Of one host or all, of one journal or all; a host's in their order. Leaves those in a wrong stream out. Rejects with a NatsFault. */
export async function* readChains(
  link: NatsLink,
  streams: readonly OpenedStream[],
  {
    host,
    journal,
    from = { streamSeq: 1 },
    signal = new AbortController().signal,
  }: {
    readonly host?: string | undefined;
    readonly journal?: string | undefined;
    readonly from?: Parameters<NatsLink['read']>[1];
    readonly signal?: AbortSignal;
  },
): AsyncGenerator<{ readonly message: FleetMessage; readonly host: string; readonly journal: string }> {
  for (const { stream, info } of streams) {
    const { lastSeq: untilSeq } = info;
    const own = stream.host;
    if (own === undefined || untilSeq === 0 || (host !== undefined && own !== host)) continue;
    const subject = `dovegate.audit.${own}.${journal ?? '*'}`;
    for await (const message of link.read(stream.name, from, { subject, untilSeq, signal })) {
      const chain = readSubject(message.subject);
      if (chain?.host === own && (journal === undefined || chain.journal === journal))
        yield { message, ...chain };
    }
  }
}
