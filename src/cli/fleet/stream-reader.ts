// Reads the stream behind what was read before, and keeps in the state how far that is. Before it goes on, and while it watches, it looks
// whether the stream is still the one that was read: what was made anew, put back from a copy or cut is read again from its first message.

import { type NatsLink, type StreamInfo } from '../../adapters/nats/link.js';
import { formatTime } from '../../domain/audit/record.js';
import { headerNames } from '../../domain/fleet/block.js';
import { type Fleet, noHost } from '../../domain/fleet/fleet.js';
import type { FleetFinding } from '../../domain/fleet/shapes.js';
import type { SavedState, StateFolder } from './state-folder.js';

/** Chains, marks, the checkpoints of fleets, and what has no place there. */
const allSubjects = '>';
const messagesPerSave = 1_000;

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
  stream: string,
  saved: SavedState | undefined,
  folder: Pick<StateFolder, 'save'>,
  told: () => readonly string[],
): StreamReader {
  let created = saved?.created;
  let last = saved?.last;
  let storedMs = 0;
  let messages = 0;

  const rewind = (): void => {
    fleet.rewind([]);
    last = undefined;
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
      if (created !== undefined && created !== info.created) {
        const finding: FleetFinding = {
          kind: 'stream-replaced',
          host: noHost,
          time: formatTime(nowMs),
          text: `the stream ${stream} was made anew at ${info.created}; the one that was read was made at ${created}. Everything is read again: what the gates still had is there, and what is not is told for each host`,
        };
        fleet.note(finding);
        findings.push(finding);
        rewind();
      } else if (!(await isThere(link, last, info))) {
        rewind();
      }
      ({ created } = info);
      return { info, findings };
    },
    async compare(link, isWhole) {
      const before = last;
      const info = await link.info(stream);
      const isCut = before !== undefined && before.streamSeq > info.lastSeq;
      const isSame = info.created === created && !isCut && (!isWhole || (await isThere(link, before, info)));
      return { lastSeq: info.lastSeq, isSame };
    },
    async read(link, { untilSeq, signal }, take) {
      const from = { streamSeq: fleet.streamSeq + 1 };
      if (untilSeq !== undefined && from.streamSeq > untilSeq) return;
      for await (const message of link.read(stream, from, { subject: allSubjects, untilSeq, signal })) {
        const findings = fleet.take(message);
        const { streamSeq, subject } = message;
        last = { streamSeq, subject, head: message.header(headerNames.head) };
        ({ storedMs } = message);
        messages += 1;
        take(findings);
        if (messages % messagesPerSave === 0) this.save();
      }
    },
    save: () => folder.save({ created, last, fleet: fleet.save(), told: told() }),
  };
}
