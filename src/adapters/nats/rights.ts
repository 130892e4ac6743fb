// Which rights a user has that would let it weaken a stream. nats-server 2.9 does not list them, so each is tried.
// The rule: what is sent can never be carried out. A question to the API has a body that is no JSON, and to remove a stream it names one
// that is not there; a message demands another stream than the one that takes its subject.

import type { Msg, MsgHdrs } from '@nats-io/transport-node';
import { isObject } from '../../domain/audit/record.js';
import { subjectOf } from '../../domain/fleet/block.js';
import { NatsFault } from './fault.js';

export type StreamRight = 'update' | 'purge' | 'delete' | 'publish';

/** One question of a user; rejects with a NatsFault. */
type Ask = (subject: string, payload: string, headers?: MsgHdrs) => Promise<Msg>;

/**
 * Errors of a server that would have carried it out: a body that is no JSON, a body where none belongs, no such stream, another stream than
 * expected. An account without JetStream has others.
 */
const wouldDo: ReadonlySet<unknown> = new Set([10025, 10038, 10059, 10060]);

const noJson = 'no request: a look at rights';

/** `host`: a gate that is not this user. */
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
    const answer: unknown = JSON.parse((await attempt()).string());
    const error = isObject(answer) ? answer['error'] : undefined;
    return isObject(error) && wouldDo.has(error['err_code']);
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return false;
    // Refused, no responder, or no answer: this does not show that the user may.
    if (thrown instanceof NatsFault && thrown.code !== 'closed-early') return false;
    throw thrown;
  }
}
