// Reads the streams of a fleet in rounds, and keeps the positions in the state. A round looks at all streams with few requests, and
// reads those with news to the end that they had then, some at a time: first the stream of the checkpoints, which may hold older
// records of all hosts, then those with the fewest news. It checks that each stream is still the same: one that was made again,
// restored or cut is read again from its first message, and messages that were removed early are reported.

import { formatTime } from '../../host/words/instants.js';
import { headerNames, hostStreamOf, readSubject } from '../fleet/block.js';
import { noHost } from '../fleet/findings.js';
import type { Fleet } from '../fleet/fleet.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import type { FleetFinding, FleetMessage } from '../fleet/shapes.js';
import { NatsFault } from '../nats/fault.js';
import { type NatsLink, type StreamInfo } from '../nats/link.js';
import { type StreamRight } from '../nats/rights.js';
import type { Mirror } from './mirror.js';
import { wantedOf } from './open-settings.js';
import { nothingGone, type SavedState, type SavedStream, type StateFolder } from './state-folder.js';
import { lookAtStreams, type SeenStream } from './streams.js';

/** Of the messages of a stream's `keep`: at their times it is known whether what was removed was old enough. */
const timesMax = 8;
/** Clocks of server and verifier may differ by the rest. */
const agePart = 0.9;
const messagesPerSave = 1_000;

export interface StreamReader {
  readonly fleet: Fleet;
  /** When the last message was stored, by the server's clock; 0: none in this run. */
  readonly storedMs: number;
  readonly messages: number;
  /** Messages that the streams had at the last look, and that were not read. */
  readonly unread: number;
  /** By host: when the first message that is not in the mirror was stored. Absent: all that were read are there. */
  readonly behindMs: ReadonlyMap<string, number>;
  /** New findings, of the streams beside what was read; after one everything is read again. Rejects with a NatsFault. */
  inspect(
    link: NatsLink,
    nowMs: number,
  ): Promise<{ readonly streams: readonly SeenStream[]; readonly findings: readonly FleetFinding[] }>;
  /** Checks the rights of this user, as far as possible. Rejects with a NatsFault. */
  lookAtRights(link: NatsLink): Promise<void>;
  /** To the inspected ends, or until the abort. `take` gets the findings of each message. Rejects with a NatsFault. */
  read(link: NatsLink, signal: AbortSignal, take: (findings: readonly FleetFinding[]) => void): Promise<void>;
  /** On disk when it returns. */
  save(): void;
}

interface Cursor extends SavedStream {
  created: string | undefined;
  last: SavedStream['last'];
  gone: SavedStream['gone'];
  behindMs: number | undefined;
  times: NonNullable<SavedStream['times']>;
}

type Present = SeenStream & { readonly info: StreamInfo };

function cursorOf({ created, last, gone, behindMs, times = [] }: SavedStream): Cursor {
  return { created, last, gone, behindMs, times };
}

/** `saved`: the state of `fleet`. `told`: earlier reports, kept with it. Without `mirror` nothing is kept. */
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
  let present: readonly Present[] = [];
  let storedMs = 0;
  let messages = 0;

  /** Streams of unlisted hosts are read; their strength is not checked. */
  const look = async (link: NatsLink) => {
    const seen = await lookAtStreams(link, prefix, hosts, (name) => cursors.get(name)?.created !== undefined);
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
  const findGone = (name: string, info: StreamInfo, nowMs: number): readonly string[] => {
    const { gone, last, times } = cursorIn(name);
    const texts: string[] = [];
    const deleted = deletedOf(info);
    if (deleted > gone.deleted)
      texts.push(
        `${deleted - gone.deleted} of the messages between the first and the last of ${name} were deleted; look who may, and whether deny_delete and deny_purge are on; "fleet verify --whole" says what is missing`,
      );
    if (info.firstSeq <= gone.firstSeq) return texts;
    const known = last === undefined ? times : [...times, [last.streamSeq, last.storedMs] as const];
    const removedMs = known.findLast(([streamSeq]) => streamSeq < info.firstSeq)?.[1];
    // Of a stream of which nothing was read, the next one must do: few hosts are silent for half of the time for which it keeps them.
    const oldestMs = known.length > 0 || info.messages === 0 ? undefined : info.firstMs;
    const [atMs, leastMs] = removedMs === undefined ? [oldestMs, keepMs / 2] : [removedMs, agePart * keepMs];
    if (atMs !== undefined && (keepMs === 0 || nowMs - atMs < leastMs))
      texts.push(
        `messages before ${info.firstSeq} of ${name} were removed before their age ("keep"): one of them, or the next, was stored at ${formatTime(atMs)}; look at its max_age and who may purge it; "fleet verify --whole" says what is missing`,
      );
    const readSeq = fleet.seqIn(name);
    if (readSeq > 0 && info.firstSeq > readSeq + 1)
      texts.push(
        `messages ${readSeq + 1} to ${info.firstSeq - 1} of ${name} were removed before they were read; look at its max_age and who may purge it`,
      );
    return texts;
  };
  /** Whether the last message that was read is still the same. One that was put in its place later was stored later. */
  const isThere = async (
    link: NatsLink,
    name: string,
    read: SavedStream['last'],
    { firstSeq, lastSeq, lastMs }: StreamInfo,
  ): Promise<boolean> => {
    if (read === undefined) return true;
    if (read.streamSeq > lastSeq) return false;
    // Messages that the stream no longer keeps cannot be compared.
    if (read.streamSeq < firstSeq || (read.streamSeq === lastSeq && read.storedMs === lastMs)) return true;
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

  /** Messages that are gone are not counted where only a read would show it. */
  const unreadOf = ({ stream: { name }, info }: Present): number =>
    info.messages === 0 ? 0 : Math.max(0, info.lastSeq - Math.max(info.firstSeq - 1, fleet.seqIn(name)));
  const rewind = (): void => {
    fleet.rewind([]);
    for (const cursor of cursors.values()) {
      cursor.last = undefined;
      cursor.times = [];
    }
  };

  /** False: what was read of it is not there any more. */
  const readOne = async (
    link: NatsLink,
    { stream, info }: Present,
    signal: AbortSignal,
    take: (findings: readonly FleetFinding[]) => void,
  ): Promise<boolean> => {
    const { name, host } = stream;
    const { lastSeq } = info;
    const cursor = cursorIn(name);
    let isSame = false;
    for await (const message of link.read(name, fleet.seqIn(name) + 1, lastSeq, signal)) {
      // What goes on behind the last record needs no other proof, and no request.
      isSame ||= fleet.follows(message) || (await isThere(link, name, cursor.last, info));
      if (!isSame) return false;
      const { faults } = fleet;
      const findings = fleet.take(message, stream);
      const { streamSeq, subject } = message;
      ({ storedMs } = message);
      if (mirror !== undefined && host === hostOf(message)) {
        const isMirrored = mirror.take(message, fleet.faults === faults, fleet.late);
        cursor.behindMs = isMirrored ? undefined : (cursor.behindMs ?? storedMs);
      }
      cursor.last = { streamSeq, subject, head: message.header(headerNames.head), storedMs };
      if (storedMs - (cursor.times.at(-1)?.[1] ?? -Infinity) >= keepMs / timesMax)
        cursor.times = [...cursor.times, [streamSeq, storedMs] as const].slice(-timesMax);
      messages += 1;
      take(findings);
      if (messages % messagesPerSave === 0) reader.save();
    }
    if (signal.aborted) return true;
    const readSeq = fleet.seqIn(name);
    // A replica may be behind: unread messages are never called complete.
    const next = readSeq < lastSeq ? await link.messageFrom(name, readSeq + 1) : undefined;
    if (next !== undefined && next.streamSeq <= lastSeq)
      throw new NatsFault(
        'closed-early',
        `the server ended the read of ${name} at message ${readSeq}, before ${lastSeq}; the next run goes on from there`,
      );
    return true;
  };
  /** False: what was read of a stream is not there any more. */
  const readAll: (...args: Parameters<StreamReader['read']>) => Promise<boolean> = async (
    link,
    signal,
    take,
  ) => {
    // Not AbortSignal.any: Node 20 keeps something of each in a signal that lives for months.
    const stop = new AbortController();
    const onAbort = (): void => stop.abort();
    signal.addEventListener('abort', onAbort, { once: true });
    const faults: unknown[] = [];
    let isSame = true;
    /** What ends early ends all. */
    const readEach = async (waiting: Iterable<Present>): Promise<void> => {
      for (const one of waiting) {
        if (signal.aborted || stop.signal.aborted) return;
        try {
          if (unreadOf(one) === 0 || (await readOne(link, one, stop.signal, take))) continue;
          isSame = false;
        } catch (fault) {
          faults.push(fault);
        }
        stop.abort();
      }
    };
    const [log, ...others] = present;
    if (log !== undefined) await readEach([log]);
    const waiting = others.toSorted((one, other) => unreadOf(one) - unreadOf(other)).values();
    await Promise.all(Array.from({ length: link.readsAtOnce }, () => readEach(waiting)));
    signal.removeEventListener('abort', onAbort);
    if (faults.length > 0) throw faults[0];
    return isSame;
  };

  // A mirror that somebody removed, or of a host that was not listed, begins with what the stream still has.
  const isBehind = fleet
    .heads()
    .some(
      ({ host, journal, seq }) =>
        mirror !== undefined && hosts.has(host) && !mirror.isFull(host) && mirror.endOf(host, journal) < seq,
    );
  if (isBehind) rewind();
  const reader: StreamReader = {
    fleet,
    get storedMs() {
      return storedMs;
    },
    get messages() {
      return messages;
    },
    get unread() {
      return present.reduce((sum, one) => sum + unreadOf(one), 0);
    },
    get behindMs() {
      return new Map(
        [...hosts.keys()].flatMap((host) => {
          const ms = cursors.get(hostStreamOf(prefix, host).name)?.behindMs;
          return ms === undefined ? [] : [[host, ms] as const];
        }),
      );
    },
    async inspect(link, nowMs) {
      const streams = await look(link);
      const findings: FleetFinding[] = [];
      let isRewound = false;
      present = streams.flatMap(({ stream, info }) => (info === undefined ? [] : [{ stream, info }]));
      const names = new Set(present.map(({ stream }) => stream.name));
      for (const [name, cursor] of cursors) {
        const host = name === prefix ? undefined : name.slice(prefix.length + 1);
        if (cursor.created === undefined || names.has(name)) continue;
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
        } else if (
          last !== undefined &&
          info.lastSeq <= last.streamSeq &&
          !(await isThere(link, name, last, info))
        ) {
          isRewound = true;
        }
        cursor.created = info.created;
      }
      if (isRewound) rewind();
      for (const { stream, info } of present) {
        const { name, host } = stream;
        for (const text of findGone(name, info, nowMs))
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
    async read(link, signal, take) {
      while (!(await readAll(link, signal, take))) rewind();
    },
    save() {
      // First: the mirror must hold everything in the state.
      mirror?.save();
      const savedOf = ({ created, last, gone, behindMs, times }: Cursor): SavedStream => {
        return { created, last, gone, behindMs, times };
      };
      const others = [...cursors]
        .filter(([name]) => name !== prefix)
        .map(([stream, cursor]) => ({ stream, ...savedOf(cursor) }));
      folder.save({ ...savedOf(cursorIn(prefix)), others, fleet: fleet.save(), told: told() });
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
