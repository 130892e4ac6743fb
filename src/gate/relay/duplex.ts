// A command that streams in both directions until its connection ends (`dsync-server`): its first reply, and then raw bytes. The client's
// bytes are forwarded only after the backend's `+`. Neither side is read while the other does not take its bytes. No byte of ours gets into
// the stream. At the end the upstream and the session are closed.

import { Gather } from '../../doveadm/protocol/lines.js';
import { parseStatus, type Status } from '../../doveadm/reply/reply.js';
import { UpstreamFault, WireFault } from '../../host/ports/faults.js';
import { type DuplexEnd, type Ending, isEnding } from '../outcome/outcome.js';
import type { LeaseEnd } from '../pool/lease.js';
import { isUpstreamEvent } from '../pool/upstream.js';
import {
  type ClientInput,
  type Conversation,
  explainStatus,
  relayedBytesMax,
  takeLog,
  waitForPeer,
} from './relay.js';

/** Real first replies have no rows and a status of one code. */
const firstReplyBytesMax = 4096;

/** For an upstream on which nothing ran before; it is closed at the end. `onUp` gets the bytes sent up. Never rejects. */
export async function duplex(
  talk: Conversation,
  client: ClientInput,
  onUp: (bytes: number) => void,
): Promise<LeaseEnd<Ending>> {
  const run = new DuplexRun(talk, client, onUp);
  try {
    const value = await run.run();
    const { status } = run;
    if (status === undefined) return { value, closeFor: 'not-reusable' };
    return { value, closeFor: 'not-reusable', answer: status.code === 'TEMPFAIL' ? 'tempfail' : 'other' };
  } finally {
    run.close();
  }
}

class DuplexRun {
  readonly #talk: Conversation;
  readonly #client: ClientInput;
  readonly #onUp: (bytes: number) => void;
  readonly #startMs: number;
  /** The first reason to end; later ones follow from the closed upstream. */
  #how: DuplexEnd | undefined;
  status: Status | undefined;
  #hasClientEnded = false;
  #idle: { cancel(): void };

  constructor(talk: Conversation, client: ClientInput, onUp: (bytes: number) => void) {
    this.#talk = talk;
    this.#client = client;
    this.#onUp = onUp;
    this.#startMs = talk.clock.now();
    this.#idle = this.#startIdle();
  }

  async run(): Promise<Ending> {
    const { upstream, writer } = this.#talk;
    const { backend } = upstream;
    upstream.goRaw();
    upstream.write([this.#talk.command.line])?.catch(() => undefined);
    let first: { readonly status: Status; readonly rest: readonly Buffer[] };
    try {
      first = await this.#firstReply();
    } catch (fault) {
      const cutOff = this.#talk.cutOff();
      if (cutOff !== undefined) return cutOff;
      if (this.#how === 'idle') return { kind: 'reply-timeout', backend };
      return { kind: 'fault', fault, isSent: true, backend };
    }
    const { status } = first;
    this.status = status;
    if (status.kind === 'referral') return { kind: 'referral', backend, target: status.referral };
    if (status.kind !== 'ok') explainStatus(this.#talk, status);
    writer.addRawStatus(status.raw, '');
    if (status.kind !== 'ok') return { kind: 'replied', status, peer: 'ready' };
    void this.#pumpUp();
    const how = await this.#pumpDown(first.rest);
    const cutOff = this.#talk.cutOff();
    if (!isEnding(cutOff, 'cut-off')) return { kind: 'duplex-ended', backend, how };
    return { kind: 'duplex-ended', backend, how: cutOff.by === 'operator' ? 'killed' : 'draining' };
  }

  close(): void {
    this.#idle.cancel();
    this.#talk.upstream.close('not-reusable', true);
  }

  /** Reads up to the status line; `rest`: the bytes after it. */
  async #firstReply() {
    const { count, clock } = this.#talk;
    const gather = new Gather(firstReplyBytesMax);
    for (;;) {
      for (const bytes of await this.#nextBytes()) {
        count.firstByteMs ??= clock.now() - this.#startMs;
        gather.append(bytes);
      }
      const bytes = gather.take();
      const first = splitReply(bytes);
      if (first !== undefined) return first;
      if (bytes.length > firstReplyBytesMax)
        throw new WireFault('line-too-long', 'rows in front of a duplex stream');
      gather.append(bytes);
    }
  }

  async #nextBytes(): Promise<readonly Buffer[]> {
    const { upstream, count } = this.#talk;
    const parts: Buffer[] = [];
    for (const event of await upstream.next()) {
      if (isUpstreamEvent(event, 'log')) takeLog(this.#talk, event.line);
      if (isUpstreamEvent(event, 'body')) parts.push(event.bytes);
    }
    for (const { length } of parts) count.bytesIn += length;
    // Log lines do not renew the timer.
    if (parts.length > 0) this.#moved();
    return parts;
  }

  /** Runs until the backend ends, or the client stalls or is gone. */
  async #pumpDown(rest: readonly Buffer[]): Promise<DuplexEnd> {
    const { upstream, writer, clock, limits } = this.#talk;
    for (const bytes of rest) writer.addBody(bytes);
    try {
      for (;;) {
        const drained = writer.flush(relayedBytesMax);
        if (drained !== undefined) {
          const lease = { pace: upstream.pace, writer, isRated: false };
          const peer = await waitForPeer(drained, clock, limits.clientStallMs, lease);
          // A client that ended its side may be gone when the backend's last bytes arrive: they are dropped. A connected client that does
          // not read would keep the upstream, and its queue would grow.
          if (peer !== 'ready' && !(peer === 'client-gone' && this.#hasClientEnded))
            return this.#how ?? (peer === 'client-gone' ? peer : 'client-stall');
          this.#moved();
        }
        for (const bytes of await this.#nextBytes()) writer.addBody(bytes);
      }
    } catch (fault) {
      if (this.#how !== undefined) return this.#how;
      return fault instanceof UpstreamFault ? 'ended' : 'backend-broke';
    }
  }

  /** Runs until the client ends. Never rejects. */
  async #pumpUp(): Promise<void> {
    const { upstream } = this.#talk;
    for (;;) {
      let bytes: Buffer | null;
      try {
        bytes = await this.#client.readRaw();
      } catch {
        if (upstream.state.at === 'closed') return;
        this.#how ??= 'client-gone';
        return upstream.close('aborted', true);
      }
      if (upstream.state.at === 'closed') return;
      this.#moved();
      if (bytes === null) {
        this.#hasClientEnded = true;
        return upstream.endWriting();
      }
      this.#onUp(bytes.length);
      try {
        await upstream.write([bytes]);
      } catch {
        // The read side reports the lost upstream.
        return;
      }
    }
  }

  #moved(): void {
    this.#idle.cancel();
    this.#idle = this.#startIdle();
  }

  #startIdle(): { cancel(): void } {
    const { clock, limits, upstream } = this.#talk;
    return clock.setTimer(limits.replyIdleMs, () => {
      this.#how ??= 'idle';
      upstream.close('reply-timeout', true);
    });
  }
}

/** Returns undefined while the reply is incomplete. No known release sends rows in a first reply. */
function splitReply(bytes: Buffer): { status: Status; rest: Buffer[] } | undefined {
  const rows = bytes.indexOf('\n');
  const end = rows < 0 ? -1 : bytes.indexOf('\n', rows + 1);
  if (end < 0) return undefined;
  if (rows > 0) throw new WireFault('bad-status', 'rows in front of a duplex stream');
  const status = parseStatus(bytes.subarray(1, end));
  return { status, rest: end + 1 < bytes.length ? [bytes.subarray(end + 1)] : [] };
}
