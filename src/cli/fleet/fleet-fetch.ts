// `dovegate audit fleet fetch`: writes the journal of a host again from the lines of the stream, cut into segments by their own
// statements; `dovegate audit verify` reads the directory. It overwrites nothing, and writes a journal with holes only on
// request.

import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { holdProcess } from '../../adapters/host/process.js';
import { segmentName, syncDirectory } from '../../adapters/journal/segments.js';
import type { NatsLink } from '../../adapters/nats/link.js';
import { bounds } from '../../bounds/bounds.js';
import { type Link, readLink } from '../../domain/audit/ledger.js';
import { parseLine } from '../../domain/audit/record.js';
import { readHeadOf } from '../../domain/fleet/block.js';
import { exitCodes } from '../../ports/machine.js';
import { CommandFault, plural } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { natsOf, readFleetSettings } from './open-settings.js';
import { type OpenedStream, openStreams, readChains } from './streams.js';

export interface FetchFlags {
  readonly to: string;
  readonly journal?: string;
  readonly holes: boolean;
}

/** Exit code 0; 1: it has holes. Throws a CommandFault or a NatsFault. */
export async function fleetFetch(
  screen: Screen,
  config: string,
  host: string,
  { to, journal, holes }: FetchFlags,
): Promise<number> {
  const settings = readFleetSettings(config, screen);
  const { stream } = settings;
  const release = holdProcess();
  const never = new AbortController().signal;
  const { link, streams } = await openStreams(natsOf(settings, 'fetch'), stream, [host], never);
  try {
    const id = journal ?? (await onlyJournal(link, streams, stream, host));
    const writer = openSegments(to);
    try {
      for await (const { message } of readChains(link, streams, { host, journal: id })) {
        if (readHeadOf(message.header)?.kind === 'mark') continue;
        writer.take(message.bytes);
        const [hole] = writer.holes;
        if (hole !== undefined && !holes)
          throw new CommandFault(
            exitCodes.failed,
            `${hole}; to write what there is: --holes (and another --to: what was written so far stays in ${to})`,
          );
      }
      if (writer.records === 0)
        throw new CommandFault(
          exitCodes.failed,
          `the stream ${stream} has no record of ${host}, journal ${id}`,
        );
    } finally {
      writer.finish();
    }
    const { records, segments, firstSeq, lastSeq: last } = writer;
    await screen.print(
      `${plural(records, 'record')}, seq ${firstSeq} to ${last}, in ${plural(segments, 'segment')} of journal ${id}`,
    );
    for (const hole of writer.holes) await screen.print(screen.paint('bad', `missing: ${hole}`));
    await screen.print(`next: dovegate audit verify --key FILE ${to}`);
    await screen.flush();
    return writer.holes.length === 0 ? exitCodes.ok : exitCodes.failed;
  } finally {
    await link.close();
    release();
  }
}

/** Journals listed if a host has several; it can send any number of ids. */
const journalsMax = bounds.fleetListed;

/** The one journal of a host. Rejects with a CommandFault that lists the first ones if there are several. */
async function onlyJournal(
  link: NatsLink,
  streams: readonly OpenedStream[],
  stream: string,
  host: string,
): Promise<string> {
  const found = new Map<string, number>();
  let hasMore = false;
  for await (const { message, journal: id } of readChains(link, streams, { host })) {
    const head = readHeadOf(message.header);
    if (head?.kind !== 'block') continue;
    if (found.has(id) || found.size < journalsMax) found.set(id, head.last);
    else hasMore = true;
  }
  const [only, ...others] = found.keys();
  if (only === undefined)
    throw new CommandFault(exitCodes.failed, `the stream ${stream} has nothing of ${host}`);
  if (others.length === 0) return only;
  const lines = [...found].map(([id, seq]) => `  ${id}, to seq ${seq}`);
  const list = [...lines, ...(hasMore ? ['  and more'] : [])].join('\n');
  throw new CommandFault(
    exitCodes.usage,
    `${host} has had several journals; name one with --journal:\n${list}`,
  );
}

const holesMax = 20;
const partName = 'segment.part';

/** Writes lines into segments in a new or empty directory. Throws a CommandFault. */
function openSegments(directory: string) {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (readdirSync(directory).length > 0)
      throw new CommandFault(exitCodes.configuration, `${directory} is not empty; nothing is overwritten`);
  } catch (cause) {
    if (cause instanceof CommandFault) throw cause;
    throw new CommandFault(exitCodes.configuration, `${directory} cannot be made or read`, cause);
  }
  const part = join(directory, partName);
  let file: number | undefined;
  let before: Link | undefined;
  let number = 0;
  let records = 0;
  let segments = 0;
  let firstSeq = 0;
  const holes: string[] = [];
  let more = 0;

  const note = (text: string): void => {
    if (holes.length < holesMax) holes.push(text);
    else more += 1;
  };
  const close = (name: string): void => {
    if (file === undefined) return;
    fsyncSync(file);
    closeSync(file);
    file = undefined;
    renameSync(part, join(directory, name));
    syncDirectory(directory);
    segments += 1;
  };
  const writeLines = (bytes: Buffer): void => {
    if (bytes.length === 0) return;
    file ??= openSync(part, 'wx', 0o600);
    writeSync(file, bytes);
  };

  return {
    take(bytes: Buffer): void {
      let from = 0;
      for (let at = 0; at < bytes.length; ) {
        const lf = bytes.indexOf(0x0a, at);
        const end = lf < 0 ? bytes.length : lf;
        const line = bytes.subarray(at, end);
        const link = readLink(line);
        if (link === undefined || !link.isIntact)
          note(`the line after seq ${before?.seq ?? 0} is not a record, or was changed`);
        else if (before !== undefined && link.seq !== before.seq + 1)
          note(`seq ${before.seq} is followed by ${link.seq}`);
        else if (before !== undefined && link.prev !== before.hash)
          note(`seq ${link.seq} does not follow the record before it`);
        else if (before === undefined && link.seq !== 1) note(`the first record is seq ${link.seq}`);
        const named = link === undefined ? undefined : segmentBefore(line);
        if (named !== undefined && Number.parseInt(named, 10) <= number)
          note(`seq ${link?.seq ?? 0} names ${named} as the segment before, which came already`);
        else if (named !== undefined) {
          writeLines(bytes.subarray(from, at));
          from = at;
          close(named);
          number = Number.parseInt(named, 10);
        }
        if (link !== undefined) {
          records += 1;
          firstSeq ||= link.seq;
          before = link;
        }
        at = end + 1;
      }
      writeLines(bytes.subarray(from));
    },
    /** No record names the last segment: it follows the one before. */
    finish(): void {
      close(segmentName(number + 1));
    },
    get records() {
      return records;
    },
    get segments() {
      return segments;
    },
    get firstSeq() {
      return firstSeq;
    },
    get lastSeq() {
      return before?.seq ?? 0;
    },
    get holes(): readonly string[] {
      return more === 0 ? holes : [...holes, `${more} more`];
    },
  };
}

const segmentText = Buffer.from(',"segment":"');

/** If a line begins a segment: the file name of the previous one. A retire record names a removed one. */
function segmentBefore(line: Buffer): string | undefined {
  if (!line.includes(segmentText)) return undefined;
  const { event, segment } = parseLine(line.toString('utf8')) ?? {};
  const isName = typeof segment === 'string' && /^\d{8,15}\.jsonl$/.test(segment);
  return isName && event !== 'retire' ? segment : undefined;
}
