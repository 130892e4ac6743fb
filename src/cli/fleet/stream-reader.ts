// Reads the streams of a fleet from the last position on, and keeps the positions in the state; the stream of the checkpoints,
// which may hold older records of all hosts, comes first. It checks that each stream is still the same: one that was made again,
// restored or cut is read again from its first message, and messages that were removed early are reported.

import { systemClock } from '../../adapters/host/clock.js';
import { NatsFault } from '../../adapters/nats/fault.js';
import { type NatsLink, type StreamInfo } from '../../adapters/nats/link.js';
import { type StreamRight } from '../../adapters/nats/rights.js';
import type { FleetSettings } from '../../domain/config/parse-fleet.js';
import { formatTime } from '../../domain/records/audit/record.js';
import { allSubjects, type FleetStream, headerNames, readSubject } from '../../domain/records/fleet/block.js';
import { noHost } from '../../domain/records/fleet/findings.js';
import type { Fleet } from '../../domain/records/fleet/fleet.js';
import type { FleetFinding, FleetMessage } from '../../domain/records/fleet/shapes.js';
import type { Mirror } from './mirror.js';
import { wantedOf } from './open-settings.js';
import { nothingGone, type SavedState, type SavedStream, type StateFolder } from './state-folder.js';
import { lookAtStreams, type SeenStream } from './streams.js';

const messagesPerSave = 1_000;
/** Consecutive comparisons that find messages after the reader, which does not get them. */
const stuckMax = 8;

export interface StreamReader {
  readonly fleet: Fleet;
  /** When the last message was stored, by the server's clock; 0: none in this run. */
  readonly storedMs: number;
  readonly messages: number;
  /** By our clock: everything stored before was read, of all streams. 0: not since they were inspected. */
  readonly caughtMs: number;
  /** New findings, of the streams beside what was read; after one everything is read again. Rejects with a NatsFault. */
  inspect(
    link: NatsLink,
    nowMs: number,
  ): Promise<{ readonly streams: readonly SeenStream[]; readonly findings: readonly FleetFinding[] }>;
  /** Checks the rights of this user, as far as possible. Rejects with a NatsFault. */
  lookAtRights(link: NatsLink): Promise<void>;
  /** Whether they are the streams that were read, and what is unread; `isWhole`: and the last messages. Rejects with a NatsFault. */
  compare(link: NatsLink, isWhole: boolean): Promise<{ readonly lag: number; readonly isSame: boolean }>;
  /** To the inspected ends; `isEndless`: until the abort. `take` gets the findings of each message. Rejects with a NatsFault. */
  read(
    link: NatsLink,
    options: { readonly isEndless: boolean; readonly signal: AbortSignal },
    take: (findings: readonly FleetFinding[]) => void,
  ): Promise<void>;
  /** On disk when it returns. */
  save(): void;
}

interface Cursor extends SavedStream {
  created: string | undefined;
  last: SavedStream['last'];
  gone: SavedStream['gone'];
  /** The result of the previous comparison, and how often it was the same. */
  compared: { readonly streamSeq: number; readonly times: number };
  isReading: boolean;
  /** When the server was asked for the stream's end, the answer, and the progress towards it. */
  asked: { readonly atMs: number; readonly lastSeq: number } | undefined;
  caughtMs: number;
}

function cursorOf({ created, last, gone }: SavedStream): Cursor {
  const compared = { streamSeq: -1, times: 0 };
  return { created, last, gone, compared, isReading: false, asked: undefined, caughtMs: 0 };
}

/** `saved`: the state of `fleet`. `told`: earlier reports, kept with it. Without `mirror` nothing is mirrored. */
export function createStreamReader(
  fleet: Fleet,
  settings: Pick<FleetSettings, 'stream' | 'hosts' | 'keepMs' | 'replicas' | 'shares'>,
  saved: SavedState | undefined,
  folder: Pick<StateFolder, 'save'>,
  told: () => readonly string[],
  mirror?: Mirror,
): StreamReader {
  const { stream: prefix, hosts, keepMs } = settings;
  const cursors = new Map<string, Cursor>();
  const none: SavedStream = { created: undefined, last: undefined, gone: nothingGone };
  cursors.set(prefix, cursorOf(saved ?? none));
  for (const other of saved?.others ?? []) cursors.set(other.stream, cursorOf(other));
  let present: readonly { readonly stream: FleetStream; readonly info: StreamInfo }[] = [];
  let storedMs = 0;
  let messages = 0;

  /** Streams of unlisted hosts are read; their strength is not checked. */
  const look = async (link: NatsLink) => {
    const seen = await lookAtStreams(link, prefix, hosts.keys());
    for (const { stream, info } of seen) {
      const { name, host } = stream;
      if (info === undefined || (host !== undefined && !hosts.has(host))) continue;
      const { config, bytes } = info;
      fleet.see({ stream: name, host, config, bytes, wanted: wantedOf(stream, settings) });
    }
    return seen;
  };
  const cursorIn = (name: string): Cursor => {
    const known = cursors.get(name) ?? cursorOf(none);
    cursors.set(name, known);
    return known;
  };
  const note = (kind: FleetFinding['kind'], host: string | undefined, nowMs: number, text: string) => {
    const finding: FleetFinding = { kind, host: host ?? noHost, time: formatTime(nowMs), text };
    fleet.note(finding);
    return finding;
  };
  /** Lines about messages removed from a stream since the last report. */
  const findGone = async (
    link: NatsLink,
    name: string,
    info: StreamInfo,
    nowMs: number,
  ): Promise<readonly string[]> => {
    const { gone, last } = cursorIn(name);
    const texts: string[] = [];
    const deleted = deletedOf(info);
    if (deleted > gone.deleted)
      texts.push(
        `${deleted - gone.deleted} of the messages between the first and the last of ${name} were deleted; look who may, and whether deny_delete and deny_purge are on; "fleet verify --whole" says what is missing`,
      );
    if (info.firstSeq <= gone.firstSeq) return texts;
    // The age of removed messages is unknown, but no fleet is silent for half of the time for which it keeps its trail.
    const oldest = (await link.messageAt(name, info.firstSeq)) ?? last;
    if (oldest !== undefined && (keepMs === 0 || nowMs - oldest.storedMs < keepMs / 2))
      texts.push(
        `messages before ${info.firstSeq} of ${name} were removed before their age ("keep"): the next one, or the last that was read, was stored at ${formatTime(oldest.storedMs)}; look at its max_age and who may purge it; "fleet verify --whole" says what is missing`,
      );
    const readSeq = fleet.seqIn(name);
    if (readSeq > 0 && info.firstSeq > readSeq + 1)
      texts.push(
        `messages ${readSeq + 1} to ${info.firstSeq - 1} of ${name} were removed before they were read; look at its max_age and who may purge it`,
      );
    return texts;
  };
  /** Whether a read message is still the same. `read`: taken before the info was requested. */
  const isThere = async (
    link: NatsLink,
    name: string,
    read: SavedStream['last'],
    { firstSeq, lastSeq }: StreamInfo,
  ): Promise<boolean> => {
    if (read === undefined) return true;
    if (read.streamSeq > lastSeq) return false;
    // Messages that the stream no longer keeps cannot be compared.
    if (read.streamSeq < firstSeq) return true;
    const message = await link.messageAt(name, read.streamSeq);
    return message?.subject === read.subject && message.header(headerNames.head) === read.head;
  };
  /** Servers change the time when a stream is made again with the same settings. A stream that was filled again has other storage times. */
  const isSameStream = async (
    link: NatsLink,
    name: string,
    read: SavedStream['last'],
    info: StreamInfo,
  ): Promise<boolean> => {
    if (read === undefined || read.streamSeq < info.firstSeq || read.streamSeq > info.lastSeq) return false;
    const message = await link.messageAt(name, read.streamSeq);
    return (
      message?.subject === read.subject &&
      message.header(headerNames.head) === read.head &&
      message.storedMs === read.storedMs
    );
  };

  const noteEnd = (name: string, { lastSeq }: StreamInfo, atMs: number): void => {
    cursorIn(name).asked = { atMs, lastSeq };
    noteReached(name);
  };
  const noteReached = (name: string): void => {
    const cursor = cursorIn(name);
    if (cursor.asked !== undefined && fleet.seqIn(name) >= cursor.asked.lastSeq)
      cursor.caughtMs = cursor.asked.atMs;
  };

  const compareOne = async (
    link: NatsLink,
    name: string,
    info: StreamInfo,
    before: SavedStream['last'],
    isWhole: boolean,
  ): Promise<{ readonly lag: number; readonly isSame: boolean }> => {
    const cursor = cursorIn(name);
    const isCut = before !== undefined && before.streamSeq > info.lastSeq;
    const isKnown = info.created === cursor.created || (await isSameStream(link, name, before, info));
    if (isKnown) cursor.created = info.created;
    const isHere = isKnown && !isCut && (!isWhole || (await isThere(link, name, before, info)));
    const streamSeq = fleet.seqIn(name);
    const isStill = cursor.isReading && cursor.compared.streamSeq === streamSeq;
    cursor.compared = { streamSeq, times: isStill ? cursor.compared.times + 1 : 0 };
    // A number may belong to a removed message; an existing message that never arrives means a stuck consumer.
    const isLast =
      info.lastSeq <= streamSeq ||
      (cursor.compared.times > 0 && (await link.messageFrom(name, streamSeq + 1)) === undefined);
    if (isLast) {
      cursor.compared = { streamSeq: -1, times: 0 };
      cursor.caughtMs = Math.max(cursor.caughtMs, cursor.asked?.atMs ?? 0);
    }
    const isSame =
      isHere &&
      cursor.compared.times < stuckMax &&
      (!isWhole || (await findGone(link, name, info, systemClock.wallMs())).length === 0);
    return { lag: isLast ? 0 : Math.max(0, info.lastSeq - fleet.seqIn(name)), isSame };
  };

  const readOne = async (
    link: NatsLink,
    stream: FleetStream,
    options: {
      readonly untilSeq?: number;
      readonly isOneOfMany?: boolean;
      readonly signal: AbortSignal;
    },
    take: (findings: readonly FleetFinding[]) => void,
  ): Promise<void> => {
    const { name } = stream;
    const { untilSeq, signal } = options;
    const cursor = cursorIn(name);
    const from = { streamSeq: fleet.seqIn(name) + 1 };
    if (untilSeq !== undefined && from.streamSeq > untilSeq) return;
    cursor.isReading = true;
    try {
      for await (const message of link.read(name, from, { ...options, subject: allSubjects })) {
        const { faults } = fleet;
        const findings = fleet.take(message, stream);
        if (stream.host === hostOf(message)) mirror?.take(message, fleet.faults === faults, fleet.late);
        const { streamSeq, subject } = message;
        ({ storedMs } = message);
        cursor.last = { streamSeq, subject, head: message.header(headerNames.head), storedMs };
        noteReached(name);
        messages += 1;
        take(findings);
        if (messages % messagesPerSave === 0) reader.save();
      }
    } finally {
      cursor.isReading = false;
    }
    const readSeq = fleet.seqIn(name);
    if (untilSeq === undefined || signal.aborted || readSeq >= untilSeq) return;
    // A replica may be behind: unread messages are never called complete.
    const next = await link.messageFrom(name, readSeq + 1);
    if (next !== undefined && next.streamSeq <= untilSeq)
      throw new NatsFault(
        'closed-early',
        `the server ended the read of ${name} at message ${readSeq}, before ${untilSeq}; the next run goes on from there`,
      );
  };

  // A mirror that somebody removed, or of a host that was not listed, begins with what the stream still has.
  const isBehind = fleet
    .heads()
    .some(
      ({ host, journal, seq }) =>
        mirror !== undefined && hosts.has(host) && !mirror.isFull(host) && mirror.endOf(host, journal) < seq,
    );
  if (isBehind) {
    fleet.rewind([]);
    for (const cursor of cursors.values()) cursor.last = undefined;
  }
  const reader: StreamReader = {
    fleet,
    get storedMs() {
      return storedMs;
    },
    get messages() {
      return messages;
    },
    get caughtMs() {
      return Math.min(...present.map(({ stream }) => cursorIn(stream.name).caughtMs));
    },
    async inspect(link, nowMs) {
      const streams = await look(link);
      const findings: FleetFinding[] = [];
      let isRewound = false;
      present = streams.flatMap(({ stream, info }) => (info === undefined ? [] : [{ stream, info }]));
      for (const [name, cursor] of cursors) {
        cursor.asked = undefined;
        cursor.caughtMs = 0;
        const host = name === prefix ? undefined : name.slice(prefix.length + 1);
        if (cursor.created === undefined || present.some(({ stream }) => stream.name === name)) continue;
        // Hosts that are no longer listed are skipped.
        if (host === undefined || !hosts.has(host)) continue;
        const text = `the stream ${name}, which was read, is not there any more. Everything is read again: make it (dovegate audit fleet init), and the gate sends what it still has`;
        findings.push(note('stream-replaced', host, nowMs, text));
        cursors.delete(name);
        isRewound = true;
      }
      for (const { stream, info } of present) {
        const { name, host } = stream;
        const cursor = cursorIn(name);
        const { created, last } = cursor;
        const isNew = created !== undefined && created !== info.created;
        // If nothing of it was read, nothing can be missing.
        if (isNew && last !== undefined && !(await isSameStream(link, name, last, info))) {
          const text = `the stream ${name} was made again at ${info.created}; the one that was read was made at ${created}. Everything is read again: records that the gates still had are there, and missing ones are reported for each host`;
          findings.push(note('stream-replaced', host, nowMs, text));
          cursor.gone = nothingGone;
          isRewound = true;
        } else if (!(await isThere(link, name, last, info))) {
          isRewound = true;
        }
        cursor.created = info.created;
      }
      if (isRewound) {
        fleet.rewind([]);
        for (const cursor of cursors.values()) cursor.last = undefined;
      }
      for (const { stream, info } of present) {
        const { name, host } = stream;
        for (const text of await findGone(link, name, info, nowMs))
          findings.push(note('cut-in-stream', host, nowMs, text));
        cursorIn(name).gone = { firstSeq: Math.max(1, info.firstSeq), deleted: deletedOf(info) };
      }
      return { streams, findings };
    },
    async lookAtRights(link) {
      const [host = ''] = hosts.keys();
      const name = present.find(({ stream }) => stream.host === host)?.stream.name ?? prefix;
      const rights = await link.rights(name, host);
      const can = rights.map((right) => whatItCan[right]);
      fleet.seeRights(
        can.length === 0
          ? []
          : [
              `the verifier's user has rights that it does not need: it may ${can.join(', ')}. Give it the rights that "dovegate audit fleet init --print" lists, and no others`,
            ],
      );
    },
    async compare(link, isWhole) {
      const befores = new Map([...cursors].map(([name, { last }]) => [name, last]));
      const askedMs = systemClock.wallMs();
      const seen = await look(link);
      const there = seen.filter(({ info }) => info !== undefined).map(({ stream }) => stream.name);
      const isSameList =
        there.length === present.length && present.every(({ stream }) => there.includes(stream.name));
      const compared = await Promise.all(
        seen.map(async ({ stream: { name }, info }) => {
          if (info === undefined) return { lag: 0, isSame: true };
          noteEnd(name, info, askedMs);
          return compareOne(link, name, info, befores.get(name), isWhole);
        }),
      );
      return {
        lag: compared.reduce((sum, { lag }) => sum + lag, 0),
        isSame: isSameList && compared.every(({ isSame }) => isSame),
      };
    },
    async read(link, { isEndless, signal }, take) {
      for (const { stream, info } of present) {
        await readOne(link, stream, { untilSeq: info.lastSeq, signal }, take);
        if (signal.aborted) return;
      }
      if (!isEndless) return;
      const tails = new AbortController();
      const stop = (): void => tails.abort();
      signal.addEventListener('abort', stop, { once: true });
      const faults: unknown[] = [];
      const isOneOfMany = present.length > 1;
      // The first end ends all of them.
      await Promise.all(
        present.map(({ stream }) =>
          readOne(link, stream, { isOneOfMany, signal: tails.signal }, take)
            .catch((fault: unknown) => faults.push(fault))
            .finally(stop),
        ),
      );
      signal.removeEventListener('abort', stop);
      if (faults.length > 0) throw faults[0];
    },
    save() {
      // First: the mirror must hold everything in the state.
      mirror?.save();
      const { created, last, gone } = cursorIn(prefix);
      const others = [...cursors]
        .filter(([name]) => name !== prefix)
        .map(([stream, { created: made, last: read, gone: lost }]) => ({
          stream,
          created: made,
          last: read,
          gone: lost,
        }));
      folder.save({ created, last, gone, others, fleet: fleet.save(), told: told() });
    },
  };
  return reader;
}

/** Records in the stream of another host are left out, as by the verifier. */
function hostOf({ subject }: FleetMessage): string | undefined {
  return readSubject(subject)?.host;
}

const whatItCan: Readonly<Record<StreamRight, string>> = {
  update: 'change the settings of the stream',
  purge: 'purge it',
  delete: 'remove streams',
  publish: 'send records as a gate does',
};

function deletedOf({ firstSeq, lastSeq, messages }: StreamInfo): number {
  return messages === 0 ? 0 : Math.max(0, lastSeq - firstSeq + 1 - messages);
}
