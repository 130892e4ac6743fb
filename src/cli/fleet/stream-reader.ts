// Reads the stream behind what was read before, and keeps in the state how far that is. Before it goes on, and while it watches, it looks
// whether the stream is still the one that was read: what was made anew, put back from a copy or cut is read again from its first message.
// What was taken out of it before its age is told: the server's own settings forbid it, and its administrator may change them.

import { systemClock } from '../../adapters/host/clock.js';
import { NatsFault, type NatsLink, type StreamInfo } from '../../adapters/nats/link.js';
import { formatTime } from '../../domain/audit/record.js';
import { headerNames } from '../../domain/fleet/block.js';
import { type Fleet, noHost } from '../../domain/fleet/fleet.js';
import type { FleetFinding } from '../../domain/fleet/shapes.js';
import { nothingGone, type SavedState, type StateFolder } from './state-folder.js';

/** Chains, marks, the checkpoints of fleets, and what has no place there. */
const allSubjects = '>';
const messagesPerSave = 1_000;
/** Comparisons in a row that find messages behind the reader, which does not get them. */
const stuckMax = 8;

export interface StreamReader {
  readonly fleet: Fleet;
  /** By the server's clock: when the last message that was read was stored; 0: none in this run. */
  readonly storedMs: number;
  /** Messages that were read in this run. */
  readonly messages: number;
  /**
   * Compares the stream with what was read of it. What is new to find is returned, and then everything is read anew. Rejects with a
   * NatsFault.
   */
  inspect(link: NatsLink, nowMs: number): Promise<{ info: StreamInfo; findings: readonly FleetFinding[] }>;
  /** Whether the stream is still the one that is read; `isWhole`: compares the last message that was read, too. Rejects with a NatsFault. */
  compare(link: NatsLink, isWhole: boolean): Promise<{ readonly lastSeq: number; readonly isSame: boolean }>;
  /**
   * Until the signal is aborted, or, with `untilSeq`, behind that message; `take` gets what each message shows. Rejects with a NatsFault.
   */
  read(
    link: NatsLink,
    options: { readonly untilSeq?: number; readonly signal: AbortSignal },
    take: (findings: readonly FleetFinding[]) => void,
  ): Promise<void>;
  /** On disk when it returns. */
  save(): void;
}

/** `saved`: what `fleet` was made of. `told`: what to keep with the state for others. */
export function createStreamReader(
  fleet: Fleet,
  { stream, keepMs }: { readonly stream: string; readonly keepMs: number },
  saved: SavedState | undefined,
  folder: Pick<StateFolder, 'save'>,
  told: () => readonly string[],
): StreamReader {
  let created = saved?.created;
  let last = saved?.last;
  let gone = saved?.gone ?? nothingGone;
  /** Of the comparison before, and how many it has been the same for. */
  let compared = { streamSeq: -1, times: 0 };
  let storedMs = 0;
  let messages = 0;

  const rewind = (): void => {
    fleet.rewind([]);
    last = undefined;
  };
  /** What was taken out of the stream since that was last told; empty: nothing. */
  const findGone = async (link: NatsLink, info: StreamInfo, nowMs: number): Promise<readonly string[]> => {
    const texts: string[] = [];
    const deleted = deletedOf(info);
    if (deleted > gone.deleted)
      texts.push(
        `${deleted - gone.deleted} of the messages between the first and the last of ${stream} were deleted; look who may, and whether deny_delete and deny_purge are on; "fleet verify --whole" says what is missing`,
      );
    if (info.firstSeq <= gone.firstSeq) return texts;
    // The age of what was removed is not known; but no fleet is silent for half of the time for which it keeps its trail.
    const oldest = (await link.messageAt(stream, info.firstSeq)) ?? last;
    if (oldest !== undefined && (keepMs === 0 || nowMs - oldest.storedMs < keepMs / 2))
      texts.push(
        `messages before ${info.firstSeq} of ${stream} were removed before their age ("keep"): the next one, or the last that was read, was stored at ${formatTime(oldest.storedMs)}; look at its max_age and who may purge it; "fleet verify --whole" says what is missing`,
      );
    const readSeq = fleet.streamSeq;
    if (readSeq > 0 && info.firstSeq > readSeq + 1)
      texts.push(
        `messages ${readSeq + 1} to ${info.firstSeq - 1} of ${stream} were removed before they were read; look at its max_age and who may purge it`,
      );
    return texts;
  };
  /** Whether a message that was read is still what it was. `read`: taken before the info was asked for. */
  const isThere = async (
    link: NatsLink,
    read: SavedState['last'],
    { firstSeq, lastSeq }: StreamInfo,
  ): Promise<boolean> => {
    if (read === undefined) return true;
    if (read.streamSeq > lastSeq) return false;
    // What is older than the stream keeps cannot be compared.
    if (read.streamSeq < firstSeq) return true;
    const message = await link.messageAt(stream, read.streamSeq);
    return message?.subject === read.subject && message.header(headerNames.head) === read.head;
  };
  /**
   * Whether a stream with another time of making is the one that was read all the same: servers give it another one when it is made again
   * with the settings that it has, and then not all replicas say the same. A stream that was filled again has other times of storing.
   */
  const isSameStream = async (
    link: NatsLink,
    read: SavedState['last'],
    info: StreamInfo,
  ): Promise<boolean> => {
    if (read === undefined || read.streamSeq < info.firstSeq || read.streamSeq > info.lastSeq) return false;
    const message = await link.messageAt(stream, read.streamSeq);
    return (
      message?.subject === read.subject &&
      message.header(headerNames.head) === read.head &&
      message.storedMs === read.storedMs
    );
  };

  return {
    fleet,
    get storedMs() {
      return storedMs;
    },
    get messages() {
      return messages;
    },
    async inspect(link, nowMs) {
      const info = await link.info(stream);
      const findings: FleetFinding[] = [];
      if (created !== undefined && created !== info.created && !(await isSameStream(link, last, info))) {
        const finding: FleetFinding = {
          kind: 'stream-replaced',
          host: noHost,
          time: formatTime(nowMs),
          text: `the stream ${stream} was made anew at ${info.created}; the one that was read was made at ${created}. Everything is read again: what the gates still had is there, and what is not is told for each host`,
        };
        fleet.note(finding);
        findings.push(finding);
        gone = nothingGone;
        rewind();
      } else if (!(await isThere(link, last, info))) {
        rewind();
      }
      ({ created } = info);
      for (const text of await findGone(link, info, nowMs)) {
        const finding: FleetFinding = { kind: 'cut-in-stream', host: noHost, time: formatTime(nowMs), text };
        fleet.note(finding);
        findings.push(finding);
      }
      gone = { firstSeq: Math.max(1, info.firstSeq), deleted: deletedOf(info) };
      return { info, findings };
    },
    async compare(link, isWhole) {
      const before = last;
      const info = await link.info(stream);
      const isCut = before !== undefined && before.streamSeq > info.lastSeq;
      const isKnown = info.created === created || (await isSameStream(link, before, info));
      if (isKnown) ({ created } = info);
      const isHere = isKnown && !isCut && (!isWhole || (await isThere(link, before, info)));
      const { streamSeq } = fleet;
      compared = { streamSeq, times: compared.streamSeq === streamSeq ? compared.times + 1 : 0 };
      // A number may stand for a message that is not there any more; one that is there and never comes is a consumer that stands still.
      const isLast =
        info.lastSeq <= streamSeq ||
        (compared.times > 0 && (await link.messageFrom(stream, streamSeq + 1)) === undefined);
      if (isLast) compared = { streamSeq: -1, times: 0 };
      const isSame =
        isHere &&
        compared.times < stuckMax &&
        (!isWhole || (await findGone(link, info, systemClock.wallMs())).length === 0);
      return { lastSeq: isLast ? fleet.streamSeq : info.lastSeq, isSame };
    },
    async read(link, { untilSeq, signal }, take) {
      const from = { streamSeq: fleet.streamSeq + 1 };
      if (untilSeq !== undefined && from.streamSeq > untilSeq) return;
      for await (const message of link.read(stream, from, { subject: allSubjects, untilSeq, signal })) {
        const findings = fleet.take(message);
        const { streamSeq, subject } = message;
        ({ storedMs } = message);
        last = { streamSeq, subject, head: message.header(headerNames.head), storedMs };
        messages += 1;
        take(findings);
        if (messages % messagesPerSave === 0) this.save();
      }
      if (untilSeq === undefined || signal.aborted || fleet.streamSeq >= untilSeq) return;
      // A replica may be behind: what was not read is not called complete.
      const next = await link.messageFrom(stream, fleet.streamSeq + 1);
      if (next !== undefined && next.streamSeq <= untilSeq)
        throw new NatsFault(
          'closed-early',
          `the server ended the read at message ${fleet.streamSeq}, before ${untilSeq}; the next run goes on from there`,
        );
    },
    save: () => folder.save({ created, last, gone, fleet: fleet.save(), told: told() }),
  };
}

/** Messages that are not there, between the first and the last. */
function deletedOf({ firstSeq, lastSeq, messages }: StreamInfo): number {
  return messages === 0 ? 0 : Math.max(0, lastSeq - firstSeq + 1 - messages);
}
