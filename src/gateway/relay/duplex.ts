// A command that speaks both ways until its connection ends (`dsync-server`): its first reply, and then bytes as they are. A
// script with two pumps. It does not know what the bytes mean.
// The rules: what the client says behind the command is handed on only after the backend's `+`; neither side is read while the
// other does not take what came; nothing of ours gets between the bytes; the upstream is closed at the end, and so is the session.

import { UpstreamFault } from '../../ports/upstream-fault.js';
import { createGather } from '../../protocol/gather.js';
import { parseStatus, type Status } from '../../protocol/status.js';
import { WireFault } from '../../protocol/wire-fault.js';
import type { DuplexEnd } from '../outcome/input-ending.js';
import type { Ending } from '../outcome/outcome.js';
import type { LeaseEnd } from '../pool/lease.js';
import type { ClientInput } from './client-input.js';
import { answerOf, type Conversation, encodeOutgoing, type LogEar, listenTo } from './converse.js';
import { countLog, waitForPeer } from './relay.js';

/** What a duplex exchange needs besides. */
export interface Duplex extends Conversation {
  readonly client: ClientInput;
  /** So many bytes of the client went upstream. */
  readonly onUp: (bytes: number) => void;
}

/** How much may wait for a peer before no more is read upstream. */
const relayedBytesMax = 128 * 1024;
/** Rows and status line of the first reply; real ones have neither rows nor more than a code. */
const firstReplyBytesMax = 4096;

/** Carries it out on an upstream on which nothing ran before. Never rejects; the upstream is closed then. */
export async function duplex(options: Duplex): Promise<LeaseEnd<Ending>> {
  const run = new DuplexRun(options);
  try {
    const value = await run.run();
    return { value, closeFor: 'not-reusable', ...(run.status && { answer: answerOf(run.status) }) };
  } finally {
    run.close();
  }
}

class DuplexRun {
  readonly #options: Duplex;
  readonly #ear: LogEar;
  readonly #startMs: number;
  /** Why it ended, by whoever was first; the others end because the upstream is closed then. */
  #how: DuplexEnd | undefined;
  /** The first reply's, once it came. */
  status: Status | undefined;
  #hasClientEnded = false;
  #idle: { cancel(): void };

  constructor(options: Duplex) {
    this.#options = options;
    this.#ear = listenTo(options);
    this.#startMs = options.clock.now();
    this.#idle = this.#startIdle();
  }

  async run(): Promise<Ending> {
    const { upstream, writer } = this.#options;
    const { backend } = upstream;
    upstream.goRaw();
    upstream.write([encodeOutgoing(this.#options)])?.catch(() => undefined);
    let first: { readonly status: Status; readonly rest: readonly Buffer[] };
    try {
      first = await this.#firstReply();
    } catch (fault) {
      const cutOff = this.#options.cutOff();
      if (cutOff !== undefined) return cutOff;
      if (this.#how === 'idle') return { kind: 'reply-timeout', backend };
      return { kind: 'fault', fault, isSent: true, backend };
    }
    const { status } = first;
    this.status = status;
    if (status.kind === 'referral') return { kind: 'referral', backend, target: status.referral };
    if (status.kind !== 'ok') this.#ear.explain(status);
    writer.addRawStatus(status.raw);
    if (status.kind !== 'ok') return { kind: 'replied', status, peer: 'ready' };
    void this.#pumpUp();
    const how = await this.#pumpDown(first.rest);
    const cutOff = this.#options.cutOff();
    if (cutOff?.kind !== 'cut-off') return { kind: 'duplex-ended', backend, how };
    return { kind: 'duplex-ended', backend, how: cutOff.by === 'operator' ? 'killed' : 'draining' };
  }

  close(): void {
    this.#idle.cancel();
    this.#options.upstream.close('not-reusable', true);
  }

  /** Up to the status line, and what came behind it. */
  async #firstReply() {
    const { upstream, count, clock } = this.#options;
    const gather = createGather(firstReplyBytesMax);
    for (;;) {
      for (const event of await upstream.next()) {
        if (event.kind === 'log') this.#hear(event.line);
        else if (event.kind === 'body') {
          this.#moved();
          count.firstByteMs ??= clock.now() - this.#startMs;
          count.bytesIn += event.bytes.length;
          gather.append(event.bytes);
        }
      }
      const bytes = gather.take();
      const first = splitReply(bytes);
      if (first !== undefined) return first;
      if (bytes.length > firstReplyBytesMax)
        throw new WireFault('line-too-long', 'rows in front of a duplex stream');
      gather.append(bytes);
    }
  }

  /** Until the backend ends, or the client cannot be told any more. */
  async #pumpDown(rest: readonly Buffer[]): Promise<DuplexEnd> {
    const { upstream, writer, count, clock, limits } = this.#options;
    for (const bytes of rest) writer.addBody(bytes);
    try {
      for (;;) {
        const drained = writer.flush(relayedBytesMax);
        if (drained !== undefined) {
          const lease = { pace: upstream.pace, writer, isRated: false };
          const peer = await waitForPeer(drained, clock, limits.clientStallMs, lease);
          // A client that has ended its side may be gone when the backend's last bytes come: they are dropped. One that is there
          // and does not read would hold the upstream, and what is queued for it would grow.
          if (peer !== 'ready' && !(peer === 'client-gone' && this.#hasClientEnded))
            return this.#how ?? (peer === 'client-gone' ? peer : 'client-stall');
          this.#moved();
        }
        let hasMoved = false;
        for (const event of await upstream.next()) {
          if (event.kind === 'log') this.#hear(event.line);
          else if (event.kind === 'body') {
            hasMoved = true;
            count.bytesIn += event.bytes.length;
            writer.addBody(event.bytes);
          }
        }
        // Log lines do not renew it.
        if (hasMoved) this.#moved();
      }
    } catch (fault) {
      if (this.#how !== undefined) return this.#how;
      return fault instanceof UpstreamFault ? 'ended' : 'backend-broke';
    }
  }

  /** Until the client ends. Never rejects. */
  async #pumpUp(): Promise<void> {
    const { upstream, client, onUp } = this.#options;
    for (;;) {
      let bytes: Buffer | null;
      try {
        bytes = await client.readRaw();
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
      onUp(bytes.length);
      try {
        await upstream.write([bytes]);
      } catch {
        // An upstream that is gone is heard of where it is read.
        return;
      }
    }
  }

  #hear(line: Parameters<LogEar['hear']>[0]): void {
    countLog(this.#options.count, line);
    this.#ear.hear(line);
  }

  #moved(): void {
    this.#idle.cancel();
    this.#idle = this.#startIdle();
  }

  #startIdle(): { cancel(): void } {
    const { clock, limits, upstream } = this.#options;
    return clock.setTimer(limits.replyIdleMs, () => {
      this.#how ??= 'idle';
      upstream.close('reply-timeout', true);
    });
  }
}

/** Rows of a first reply are none, as far as is known; if there were some, the client gets them as what they are: no status. */
function splitReply(bytes: Buffer): { status: Status; rest: Buffer[] } | undefined {
  const rows = bytes.indexOf('\n');
  const end = rows < 0 ? -1 : bytes.indexOf('\n', rows + 1);
  if (end < 0) return undefined;
  if (rows > 0) throw new WireFault('bad-status', 'rows in front of a duplex stream');
  const status = parseStatus(bytes.subarray(1, end));
  return { status, rest: end + 1 < bytes.length ? [bytes.subarray(end + 1)] : [] };
}
