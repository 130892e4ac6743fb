// Answers the owner of a mailbox, or a panel for them, by a token that a key of the gate asked for: the report of that one mailbox, as JSON
// or as a part of a page. The gate says which mailbox a token opens, counts the reading and records it; the page never learns who the owner
// is, and reads nothing else for this token. Reports of owners share a few threads, and one that takes too long is given up.

import { type OwnerFacts, ownerFragment } from '../evidence/report/owner.js';
import { DoorFault } from '../gate/door/door-client.js';
import type { LoginGuard } from '../gate/login/logins.js';
import type { Log } from '../gate/telemetry/log.js';
import { pause } from '../host/concurrency/waiting.js';
import type { HttpPeer } from '../host/http/connections.js';
import type { Clock } from '../host/ports/machine.js';
import { networkOf } from '../host/ports/peer.js';
import { parseTime } from '../host/words/instants.js';
import { isKey, reportTokenPrefix } from '../rules/keys/key.js';
import type { Daemon } from './daemon.js';
import { jsonReply, type PageReply, refusalOf, refusedReply } from './http/page-request.js';
import type { OwnerCall } from './http/page-server.js';
import type { Looks } from './looks.js';

export interface OwnerParts {
  readonly clock: Pick<Clock, 'now' | 'wallMs' | 'setTimer'>;
  readonly log: Pick<Log, 'report'>;
  readonly daemon: Pick<Daemon, 'told' | 'flush' | 'openReport'>;
  readonly looks: Pick<Looks, 'readLong'>;
  readonly guard: Pick<LoginGuard, 'turns' | 'wrongKeys'>;
  /** Called for a token that opens nothing. */
  readonly refused: (peer: HttpPeer) => void;
}

export function createOwnerAnswers(parts: OwnerParts): (call: OwnerCall) => Promise<PageReply> {
  const { clock, log, daemon, looks, guard } = parts;
  let running = 0;
  /** How many reports are being made for a token; no entry if none is. */
  const byToken = new Map<string, number>();

  return async (call) => {
    const { token = '', peer, query, accept, known, signal } = call;
    const nowMs = clock.wallMs();
    const fromMs = sinceOf(query, nowMs);
    if (fromMs === undefined) return refusedReply(400, 'since must be a day as 2026-11-20, and before now');
    const network = networkOf(peer.address ?? '-');
    // Many strangers at once must not delay people with a token.
    await guard.turns.take(network, signal);
    if (!isKey(token, reportTokenPrefix)) return refuseToken(call, network);
    if (daemon.told === undefined)
      return refusedReply(503, 'dovegate does not answer; ask again when it runs');
    const { head } = daemon.told;
    const own = byToken.get(token) ?? 0;
    if (running >= 8 || own >= 2)
      return {
        ...refusedReply(503, 'too many reports are made at once; try again'),
        headers: { 'Retry-After': '5' },
      };
    running += 1;
    byToken.set(token, own + 1);
    try {
      const { user } = await daemon.openReport(token, peer.address ?? '-', head.generation);
      known(`owner of ${user}`);
      const { directory, ownKey } = head;
      const asked = { mailbox: user, fromMs, nowMs };
      await daemon.flush().catch(() => undefined);
      const task = { long: 'owner', directory, ownKey, asked } as const;
      const made = await withinTime(signal, (given) => partOf(looks.readLong(task, 'owners', given)));
      // The key may have been removed, or names may not be shown any more.
      if (daemon.told?.head.generation !== head.generation)
        return refusedReply(409, 'the configuration was changed meanwhile; ask again');
      if (isHtmlAsked(accept))
        return { status: 200, type: 'text/html; charset=utf-8', body: ownerFragment(made.report), headers };
      const reply = jsonReply(200, made.report);
      return 'body' in reply ? { ...reply, headers } : reply;
    } catch (fault) {
      if (fault instanceof DoorFault && fault.code === 'person') return await refuseToken(call, network);
      if (fault instanceof DoorFault && fault.code === 'busy') return refusedReply(429, fault.message);
      const { status, message } = refusalOf(fault, 'mailbox-report', log, signal);
      return refusedReply(status, message);
    } finally {
      running -= 1;
      const left = (byToken.get(token) ?? 1) - 1;
      if (left === 0) byToken.delete(token);
      else byToken.set(token, left);
    }
  };

  /** As for wrong keys: at once while the network has tries left, then delayed. */
  async function refuseToken({ peer, signal }: OwnerCall, network: string): Promise<PageReply> {
    parts.refused(peer);
    const waitMs = guard.wrongKeys.take(network, clock.now());
    if (waitMs !== undefined) await pause(clock, waitMs, signal);
    const text = 'this token is over, or opens nothing here; ask for another one';
    return { ...refusedReply(401, text), headers: { 'WWW-Authenticate': 'Bearer' } };
  }

  async function withinTime<T>(gone: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController();
    const timer = clock.setTimer(60_000, () => late.abort(new Error('it took too long')));
    try {
      return await run(AbortSignal.any([gone, late.signal]));
    } finally {
      timer.cancel();
    }
  }
}

/** A weight of 0 (`q=0`) excludes HTML. */
function isHtmlAsked(accept: string): boolean {
  return /\btext\/html\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(accept);
}

const headers = { Vary: 'Accept' };

async function partOf(parts: ReturnType<Looks['readLong']>): Promise<OwnerFacts> {
  let made: OwnerFacts | undefined;
  for await (const part of parts) if (part.part === 'owner') ({ made } = part);
  if (made === undefined) throw new Error('a report without an end');
  return made;
}

/** Undefined: it is not a time before now. */
function sinceOf(query: string, nowMs: number): number | undefined {
  const written = new URLSearchParams(query).get('since');
  if (written === null) return nowMs - 7_776_000_000;
  const sinceMs = parseTime(written) ?? parseTime(`${written}T00:00:00.000Z`);
  return sinceMs !== undefined && sinceMs < nowMs ? sinceMs : undefined;
}
