// Records on their way to a stream of NATS, in blocks of whole lines, one in flight (evidence/fleet/block).
// The rules: after every doubt (a new connection, a missing answer, an unexpected sequence, a block that the server already had) the stream
// is asked for its last message of this journal, and its answer counts; what was not safe then is sent once more when it is quiet
// (sent-blocks). A record is safe when it was acknowledged long enough ago, is still there, and is not to be sent again. A block without an
// answer is repeated unchanged and not enlarged: a server that stood still may store the first one later, and a cluster of 2.9.10 puts it
// in the place of the other. If the stream holds another journal, a mark is left and nothing more is sent. A message names the stream of
// this host, so that no other stores it. With keys of verifiers, a record is safe only when one of them has also signed that it is in its
// mirror (evidence/fleet/mirrored). What is covered once stays so: an older line takes nothing back.

import {
  formatHead,
  headerNames,
  hostStreamOf,
  readHeadOf,
  streamHeader,
  subjectOf,
  toHostSubject,
} from '../../evidence/fleet/block.js';
import { judgeMirrored, mirroredKind } from '../../evidence/fleet/mirrored.js';
import type { FleetMessage } from '../../evidence/fleet/shapes.js';
import { type NatsSettings } from '../../evidence/nats/dial.js';
import { NatsFault } from '../../evidence/nats/fault.js';
import type { GateLink, OpenLink } from '../../evidence/nats/link.js';
import { createServerOrder } from '../../evidence/nats/servers.js';
import { bounds } from '../../host/bounds/bounds.js';
import { pause } from '../../host/concurrency/waiting.js';
import { messageOf } from '../../host/ports/faults.js';
import { type Carrier, type CarrierParts, ForkedFault, type Line, type LineNews } from './carrier.js';
import { type Batch, beginning, type Follower, type Position } from './follow.js';
import { createOverlap } from './position.js';
import { SentBlocks } from './sent-blocks.js';

export interface StreamReceiver {
  readonly link: NatsSettings;
  /** The prefix of the names of streams. */
  readonly stream: string;
  readonly host: string;
  /** The time after which an acknowledgement is relied on; 0: at once. */
  readonly settleMs: number;
  /** The keys of verifiers, read for each question; undefined: what the stream has counts. Throws the system's error. */
  readonly verifierKeys?: (() => readonly string[]) | undefined;
}

export interface NatsOptions extends Omit<CarrierParts, 'sender' | 'connect'> {
  readonly receiver: StreamReceiver;
  readonly openLink: OpenLink;
}

/**
 * Only one block is in flight, so the size of a block limits a backlog: with 64 KiB it took twice as long, and an hour of a busy gate is
 * 3,600,000 records. Verifiers compare repeated records with the last 512.
 */
const batches = { bytes: bounds.natsBatchBytes, lines: bounds.natsBatchLines };
/** A replica that answers may lag behind the others for a moment. */
const replicaMs = 1_000;
/** Interval of the questions for what verifiers have mirrored; as `settle`, if that is less. They say it every ten minutes. */
const coverMsMax = 300_000;
/** Of replicas that count differently: a cluster has at most five. */
const driftsMax = 8;

export function createNatsCarrier(options: NatsOptions): Carrier {
  const { journal, clock, untilSeq } = options;
  const { settleMs, host } = options.receiver;
  const { name: stream } = hostStreamOf(options.receiver.stream, host);
  const subject = subjectOf(host, journal);
  const lookEveryMs = Math.min(Math.max(settleMs / 10, 1_000), 30_000);
  const { verifierKeys } = options.receiver;
  const mirroredSubject = toHostSubject(host, mirroredKind);
  const coverEveryMs = settleMs === 0 ? coverMsMax : Math.min(Math.max(settleMs, 1_000), coverMsMax);
  const settling = createOverlap({ ms: settleMs, bytes: 0 }, options.position);
  /** After the last record in the stream, by its last answer. */
  let at = options.position;
  let sentUntil = 0;
  /** The last record that was in the stream, by any of its answers: a replica that answers later may lack it. */
  let known = options.position.seq;
  let confirmed = options.position;
  /** After the last record that a verifier has mirrored. What an earlier run kept as safe was covered then. */
  let covered = options.position;
  /** The last reason for which a line did not count. */
  let toldRefusal: string | undefined;
  let isDoubted = false;
  let forked: string | undefined;
  const order = createServerOrder();
  const sent = new SentBlocks(settleMs);
  let isClustered = false;
  /** By how much the numbers of replicas differ from those of the acknowledgements. */
  const drifts = new Set([0]);
  /** The last acknowledged record, and the stream's number of its message. */
  let lastAck = { seq: 0, streamSeq: 0 };

  return {
    batches,
    get sentSeq(): number {
      return at.seq;
    },
    get safe(): Position {
      return verifierKeys !== undefined && covered.seq < confirmed.seq ? covered : confirmed;
    },
    get batchUntil(): number {
      return sentUntil > at.seq ? sentUntil : Infinity;
    },
    doubt(): void {
      isDoubted = true;
    },
    async open(follower: Follower, hurry: AbortSignal, news: LineNews): Promise<Line> {
      const { link: settings } = options.receiver;
      const link = await options.openLink({ ...settings, servers: order.of(settings.servers) }, hurry);
      order.took(link.place);
      options.onCertificate(link.place, link.serverValidTo);
      const giveUp = (): void => void link.close();
      hurry.addEventListener('abort', giveUp, { once: true });
      const close = (isOrderly: boolean): void => {
        if (!isOrderly) order.passOver();
        hurry.removeEventListener('abort', giveUp);
        void link.close();
      };
      try {
        hurry.throwIfAborted();
        isClustered = link.isClustered;
        if (at.seq > 0) doubtSent();
        const line = createLine(link, follower, close);
        await line.look();
        news.proven();
        void link.ended.then((fault) => {
          line.fault = fault ?? new NatsFault('closed-early', 'the connection was closed');
          news.over();
        });
        return line;
      } catch (cause) {
        close(false);
        throw cause;
      }
    },
  };

  function createLine(link: GateLink, follower: Follower, close: (isOrderly: boolean) => void) {
    /** The stream's number of the last message of this journal; 0: none. */
    let expected = 0;
    let lookedMs = clock.now();
    let coveredMs = -Infinity;
    /** Refused blocks in a row. */
    let refusals = 0;
    /** The stream has another message with the id of this block, as any writer can make: the block goes without an id. */
    let isIdTaken = false;

    const line = {
      fault: undefined as NatsFault | undefined,
      look,
      async send(batch: Batch): Promise<void> {
        if (isDoubted) return look();
        const answer = await publish(batch);
        if (answer === undefined) return look();
        acknowledged(batch, answer);
        goTo(batch.position);
        if (!(await fill())) await confirm();
        await cover();
      },
      async idle(): Promise<number | undefined> {
        const before = at;
        if (isDoubted) await look();
        else if (await fill()) return 0;
        else await confirm();
        if (at !== before) return 0;
        await cover();
        if (at.seq > confirmed.seq || sent.dueMs !== undefined) return lookEveryMs;
        return isUncovered() ? coverEveryMs : undefined;
      },
      finish: () => Promise.resolve(),
      close,
    };
    return line;

    function acknowledged({ lines, position: { seq } }: Batch, streamSeq: number): void {
      expected = streamSeq;
      refusals = 0;
      if (seq > at.seq) sent.sent({ first: lines[0]?.seq ?? seq, last: seq }, confirmed.seq, clock.now());
      lastAck = { seq: Math.max(at.seq, seq), streamSeq };
      known = Math.max(known, seq);
    }

    /** The stream's number of it; undefined: the stream's state must be read. `end`: it fills a hole, behind that record. */
    async function publish({ lines, text, position }: Batch, end?: Position): Promise<number | undefined> {
      const first = lines[0]?.seq ?? position.seq;
      // Other replicas may have it, so a header tells readers. The server may know its id although this replica lost it.
      const again = end ?? (isIdTaken || first <= known ? position : undefined);
      const head = {
        kind: 'block',
        first,
        last: position.seq,
        head: position.hash,
        end: again && { last: again.seq, head: again.hash },
      } as const;
      if (end === undefined) sentUntil = position.seq;
      const doubtful = (fault: NatsFault): undefined => {
        refusals += 1;
        // A replica that counts otherwise than the leader is no new doubt: the next server is tried soon.
        if (end === undefined) doubtSent();
        if (refusals <= 1) return;
        // The stream's answers contradict each other: pause before the next try.
        throw fault;
      };
      const all = headersOf(head);
      const headers = again === undefined ? all : all.filter(([name]) => name !== headerNames.id);
      try {
        const { streamSeq, isDuplicate } = await link.publish(subject, headers, text, expected);
        isIdTaken = isDuplicate;
        if (!isDuplicate) return streamSeq;
      } catch (fault) {
        if (!(fault instanceof NatsFault) || fault.code !== 'wrong-sequence') throw fault;
        return doubtful(fault);
      }
      const why = `${stream} drops record ${first} as one that it had, and does not have it`;
      return doubtful(new NatsFault('refused', why));
    }

    /** Continues after the last record in the stream. `isThere`: the follower is at that position already. */
    async function look(isThere = false): Promise<void> {
      const message = await lastMessage();
      lookedMs = clock.now();
      const wasDoubted = isDoubted;
      isDoubted = false;
      if (message === undefined) {
        if (forked !== undefined) throw new ForkedFault(forked, true);
        if (at.seq > 0)
          options.restarted(`${stream} holds nothing of this journal, and had record ${at.seq}`);
        goTo(beginning);
        return follower.seek(beginning);
      }
      const { last, hash } = await readEnd(message);
      known = Math.max(known, last);
      const drift = message.streamSeq - lastAck.streamSeq;
      if (last === lastAck.seq && !drifts.has(drift)) {
        // A replica lost a message, or has one more.
        doubtSent();
        if (drifts.size >= driftsMax) drifts.clear();
        drifts.add(drift);
      }
      if (last === at.seq && hash === at.hash && !wasDoubted) return isThere ? undefined : follower.seek(at);
      const found = await follower.goBehind(last, hash);
      if (typeof found === 'object') {
        const text = `${stream} has another record ${last} of it than this host`;
        return fork(text, { seq: last, head: found.hash });
      }
      // Stored, and the answer was lost; what was there before the first look is of another run.
      if (last > at.seq && (at.seq > 0 || sentUntil > 0))
        sent.sent({ first: at.seq + 1, last }, confirmed.seq, clock.now());
      if (last < at.seq) options.restarted(`${stream} ends with record ${last}, and had record ${at.seq}`);
      goTo(follower.position);
    }

    /** Sends again one block that a replica may have lost. False: there is none, or not yet. */
    async function fill(): Promise<boolean> {
      const block = sent.next(clock.now());
      if (block === undefined) return false;
      // What retention removed here cannot be sent any more.
      const batch = (await follower.goBefore(block.first)) ? await follower.next(block.last) : undefined;
      if (batch === undefined) sent.sentAgain(false);
      else if (batch.position.seq < block.last) sent.split({ first: block.first, last: batch.position.seq });
      else {
        const answer = await publish(batch, at);
        if (answer === undefined) {
          // The stream's end is looked at, and then this block has its turn again.
          await look();
          return true;
        }
        acknowledged(batch, answer);
        sent.sentAgain(true);
        // This acknowledgement may be as wrong as the first one: it counts from here on.
        settling.reset(confirmed);
        settling.note(at, 0, clock.now());
      }
      await follower.seek(at);
      return true;
    }

    function headersOf(head: Parameters<typeof formatHead>[1]): readonly (readonly [string, string])[] {
      return [...formatHead(journal, head), [streamHeader, stream]];
    }

    async function find(): Promise<FleetMessage | undefined> {
      const message = await link.lastOf(stream, subject);
      expected = message?.streamSeq ?? 0;
      return message;
    }

    /** Read twice if the answer is behind the last one. */
    async function lastMessage(): Promise<FleetMessage | undefined> {
      const message = await find();
      const head = message && readHeadOf(message.header);
      if (head === undefined ? at.seq === 0 : head.kind === 'mark' || (head.end ?? head).last >= at.seq)
        return message;
      await pause(clock, replicaMs);
      return find();
    }

    /** The last record in the stream; it may belong to another journal. */
    async function readEnd(message: FleetMessage): Promise<{ readonly last: number; readonly hash: string }> {
      const head = readHeadOf(message.header);
      if (head === undefined) {
        return fork(`the last message of ${subject} in ${stream} is not from a gate`, {
          seq: 0,
          head: undefined,
        });
      }
      if (head.kind === 'mark') {
        throw forkedFor(`a gate has marked it in ${stream}: ${head.text}`, true);
      }
      const { last, head: hash } = head.end ?? head;
      if (forked !== undefined || last > untilSeq()) {
        const text = `${stream} has record ${last} of it, and here it ends with ${untilSeq()}`;
        return fork(forked ?? text, { seq: last, head: undefined });
      }
      return { last, hash };
    }

    /** Makes every other writer of this journal check the stream, see the mark, and stop. */
    async function fork(
      text: string,
      { seq, head }: { readonly seq: number; readonly head: string | undefined },
    ): Promise<never> {
      const fault = forkedFor(text, true);
      const mark = { kind: 'mark', seq, head, text } as const;
      try {
        await link.publish(subject, headersOf(mark), Buffer.alloc(0), expected);
      } catch (cause) {
        throw new ForkedFault(fault.message, false, cause);
      }
      throw fault;
    }

    /** Asks for the last line of the verifiers, now and then. Without one that counts, nothing changes. */
    async function cover(): Promise<void> {
      if (!isUncovered() || clock.now() - coveredMs < coverEveryMs) return;
      coveredMs = clock.now();
      const why = await takeMirrored();
      if (why !== undefined && why !== toldRefusal)
        options.refused(`the last message of ${mirroredSubject} in ${options.receiver.stream}: ${why}`);
      toldRefusal = why;
    }

    /** Why the last line does not count; undefined: it does, or there is none yet for this journal. */
    async function takeMirrored(): Promise<string | undefined> {
      let message: FleetMessage | undefined;
      let keys: readonly string[];
      try {
        keys = verifierKeys?.() ?? [];
        message = await link.lastOf(options.receiver.stream, mirroredSubject);
      } catch (fault) {
        // The end of the connection, or of its patience, is nothing that a person must look at here.
        const isPassing = fault instanceof NatsFault && !/^(?:no-rights|no-stream|refused)$/.test(fault.code);
        return isPassing ? toldRefusal : messageOf(fault);
      }
      if (message === undefined) return undefined;
      const read = judgeMirrored(message.bytes, { host, keys });
      if (typeof read === 'string') return read;
      // Of the journal before this one; an older line covers no more than is covered.
      if (read.journal !== journal || read.seq <= covered.seq) return undefined;
      if (read.seq > untilSeq())
        return `it covers record ${read.seq}, and the journal ends with ${untilSeq()}`;
      const position = await follower.positionOf(read.seq);
      // Retired already, or damaged.
      if (position === undefined) return undefined;
      if (position.hash !== read.hash) return `it covers another record ${read.seq} than this journal has`;
      covered = position;
      return undefined;
    }

    /** The settled position decides how far the journal may be retired. */
    async function confirm(): Promise<void> {
      const candidate = settling.safe(clock.now());
      if (candidate.seq <= confirmed.seq || sent.dueMs !== undefined) return;
      if (settleMs > 0) {
        if (clock.now() - lookedMs < lookEveryMs) return;
        await look(true);
        if (at.seq < candidate.seq) return;
      }
      confirmed = candidate;
    }
  }

  function isUncovered(): boolean {
    return verifierKeys !== undefined && covered.seq < confirmed.seq;
  }

  function forkedFor(text: string, isMarked: boolean): ForkedFault {
    forked ??= text;
    // It is unknown which of the records there are ours.
    confirmed = beginning;
    settling.reset(beginning);
    return new ForkedFault(forked, isMarked);
  }

  /** A single server has no replicas that could differ. */
  function doubtSent(): void {
    if (isClustered) sent.doubt(clock.now());
  }

  function goTo(to: Position): void {
    if (to.seq < at.seq) sent.lostAfter(to.seq);
    at = to;
    if (to.seq < confirmed.seq) {
      confirmed = to;
      settling.reset(to);
      return;
    }
    // Acknowledged records that are missing need a new acknowledgement.
    if (to.seq < settling.sentSeq) settling.reset(confirmed);
    settling.note(to, 0, clock.now());
  }
}
