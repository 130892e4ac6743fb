// What follows from the settings of a fleet: the addresses of the servers, and the checks of the verifier.

import { dirname, join, resolve } from 'node:path';
import { bounds } from '../../host/bounds/bounds.js';
import { CommandFault } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { bytesWords, plural } from '../../host/words/words.js';
import { verifierName } from '../../rules/config/fleet-names.js';
import { type FleetStream } from '../fleet/block.js';
import { createFleet, type Fleet } from '../fleet/fleet.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import type { NatsSettings } from '../nats/dial.js';
import type { StreamInfo } from '../nats/link.js';
import { judgeShare, leastShareMiB, type WantedStream } from '../streams/strength.js';
import type { SeenStream } from './streams.js';

export interface Places {
  readonly config: string;
  readonly folder: string;
  readonly keys: string;
  readonly admin: string;
}

export function placesOf(config: string): Places {
  const folder = join(dirname(resolve(config)), 'fleet');
  return { config: resolve(config), folder, keys: join(folder, 'keys'), admin: join(folder, 'admin') };
}

/** The inbox of answers: the rights that `init` prints name it. */
export const verifierInbox = `_INBOX.${verifierName}`;

/** `what`: the subcommand, for the server's own lists of connections. */
export function natsOf(settings: FleetSettings, what: string): NatsSettings {
  const { servers, caFile, credentialsFile, client } = settings;
  return { servers, caFile, credentialsFile, client, name: `dovegate fleet ${what}`, inbox: verifierInbox };
}

export function wantedOf(
  { subjects, host }: FleetStream,
  { replicas, keepMs, shares }: Pick<FleetSettings, 'replicas' | 'keepMs' | 'shares'>,
): WantedStream {
  const maxBytes = host === undefined ? bounds.fleetLogBytes : shares.get(host);
  return { subjects, isExact: host !== undefined, replicas, keepMs, maxBytes };
}

/** Sentences about streams that are missing, or above their share. */
export function whatDiffers(seen: readonly SeenStream[], settings: FleetSettings): readonly string[] {
  return seen.flatMap((one) => whatDiffersIn(one, settings));
}

function whatDiffersIn(
  { stream: { name, host }, info }: SeenStream,
  { shares }: FleetSettings,
): readonly string[] {
  const say = (text: string): string => `stream ${name}: ${text}`;
  if (info === undefined)
    return [
      say(`it is not there, and the gate of ${host ?? name} waits; make it: dovegate audit fleet init`),
    ];
  if (host === undefined) return [];
  // Both limits follow from one share: the first is enough.
  const [first] = judgeExcess(host, info, shares.get(host));
  if (first === undefined) return [];
  const { property, is, must, whyNot } = first;
  const taken = is === undefined ? 'as much as the server has' : `up to ${is}`;
  const text = `it takes ${taken} (${property}), and the share of ${host} is ${must}`;
  return [say(whyNot === undefined ? text : `${text}; ${whyNot}`)];
}

/** A limit of a host's stream above its share, in words. */
export interface ExcessRow {
  readonly property: string;
  /** Undefined: without limit. */
  readonly is: string | undefined;
  readonly must: string;
  readonly repair: number | undefined;
  /** If it cannot be repaired: why, and what to do. */
  readonly whyNot: string | undefined;
}

/** `share`: undefined for a host that is not listed. */
export function judgeExcess(host: string, info: StreamInfo, share: number | undefined): readonly ExcessRow[] {
  if (share === undefined) return [];
  const held = `${bytesWords(info.bytes)} in ${plural(info.messages, 'message')}`;
  const whyNot = `the stream holds ${held}, so the lower limit could remove its oldest records: set "share" of ${host} to ${leastShareMiB(info)}MiB or more, or raise max_size`;
  return judgeShare(info.config, info, share).map(({ property, is, must, repair }) => {
    const format = (value: number): string =>
      property === 'max_bytes' ? bytesWords(value) : plural(value, 'message');
    return {
      property,
      is: is === 0 ? undefined : format(is),
      must: format(must),
      repair,
      whyNot: repair === undefined ? whyNot : undefined,
    };
  });
}

/** The name of this verifier among `verifiers`, by its keys; undefined: it is not listed. */
function ownName({ verifiers }: FleetSettings, keys: readonly string[]): string | undefined {
  return [...verifiers].find(([, listed]) => listed.some((key) => keys.includes(key)))?.[0];
}

/** Why other verifiers do not trust our lines; undefined: they do, or there are none. */
export function whyUnlisted(settings: FleetSettings, keys: readonly string[]): string | undefined {
  if (settings.verifiers.size === 0 || ownName(settings, keys) !== undefined) return undefined;
  return `the key of this verifier, ${keys.at(-1)}, is not among "verifiers": add it here and at the others, which take its lines for untrusted`;
}

/** `keys`: that signed its checkpoints, oldest first. Throws a CommandFault for a foreign or damaged state. */
export function openFleet(settings: FleetSettings, keys: readonly string[], saved: unknown): Fleet {
  const { stream, hosts, openMs, driftMs, keepMs, tellsPolicies, state, verifiers } = settings;
  const name = ownName(settings, keys);
  const others = new Map([...verifiers].filter(([other]) => other !== name));
  const listed = name === undefined ? [] : (verifiers.get(name) ?? []);
  const verifier = { name, keys: [...new Set([...listed, ...keys])] };
  try {
    return createFleet({ stream, hosts, openMs, driftMs, keepMs, tellsPolicies, verifier, others }, saved);
  } catch (fault) {
    if (!(fault instanceof TypeError)) throw fault;
    const text = `the state in ${state}: ${fault.message}; move state.json away and leave the other files: everything is verified again`;
    throw new CommandFault(exitCodes.configuration, text);
  }
}
