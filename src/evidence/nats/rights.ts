// The rights of a user that would let it weaken a stream. nats-server 2.9 does not list rights, so each is tried. No request can succeed.
// API requests have a body that is not JSON, and the removal names a missing stream. A published message expects another stream than its
// subject's.

import type { Msg, MsgHdrs } from '@nats-io/transport-node';
import { asObject, parseLine } from '../../host/values/values.js';
import { subjectOf } from '../fleet/block.js';
import { NatsFault } from './fault.js';

export type StreamRight = 'update' | 'purge' | 'delete' | 'publish';

/** One request of a user; rejects with a NatsFault. */
type Ask = (subject: string, payload: string, headers?: MsgHdrs) => Promise<Msg>;

/** A body that is no JSON or does not belong, no such stream, another stream than expected. Without JetStream there are others. */
const wouldDo: ReadonlySet<unknown> = new Set([10025, 10038, 10059, 10060]);

const noJson = 'no request: a look at rights';

/** `host`: a gate other than this user's. */
export async function findRights(
  ask: Ask,
  headersOf: (name: string, value: string) => MsgHdrs,
  stream: string,
  host: string,
): Promise<readonly StreamRight[]> {
  const nowhere = `dovegate-${crypto.randomUUID()}`;
  const api = '$JS.API.STREAM';
  const tries: readonly (readonly [StreamRight, () => Promise<Msg>])[] = [
    ['update', () => ask(`${api}.UPDATE.${stream}`, noJson)],
    ['purge', () => ask(`${api}.PURGE.${stream}`, noJson)],
    ['delete', () => ask(`${api}.DELETE.${nowhere}`, noJson)],
    ['publish', () => ask(subjectOf(host, '0'.repeat(32)), '', headersOf('Nats-Expected-Stream', nowhere))],
  ];
  const found = await Promise.all(
    tries.map(async ([right, attempt]) => ((await isTaken(attempt)) ? [right] : [])),
  );
  return found.flat();
}

async function isTaken(attempt: () => Promise<Msg>): Promise<boolean> {
  try {
    const answer = parseLine((await attempt()).string());
    return wouldDo.has(asObject(answer?.['error'])?.['err_code']);
  } catch (thrown) {
    // Refused, no responder, or no answer: this does not prove the right.
    if (thrown instanceof NatsFault && thrown.code !== 'closed-early') return false;
    throw thrown;
  }
}
