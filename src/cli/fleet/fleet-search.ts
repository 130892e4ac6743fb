// `dovegate audit fleet search`: exchanges of all hosts, one row each, as the stream has them, the newest first.

import { holdProcess } from '../../adapters/host/process.js';
import type { NatsLink } from '../../adapters/nats/link.js';
import { bounds } from '../../bounds/bounds.js';
import { formatJson, harmlessJson, printable } from '../../domain/audit/encode.js';
import { formatTime, parseTime } from '../../domain/audit/record.js';
import type { FleetSettings } from '../../domain/config/parse-fleet.js';
import { formatJsonRow, formatValue } from '../../domain/trail/export.js';
import type { ExchangeRow, TrailFilter } from '../../domain/trail/search.js';
import { exitCodes } from '../../ports/machine.js';
import { exchangeColumnsFor } from '../audit/audit-search.js';
import { type Column, createTable, reportHidden } from '../audit/audit-table.js';
import { plural } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { indexKeyOf } from './checkpoints.js';
import { readIndex } from './index-folder.js';
import { natsOf, readFleetSettings } from './open-settings.js';
import { findRows, type ReadNotes, type StreamPlace } from './stream-rows.js';
import { type OpenedStream, openStreams } from './streams.js';

export interface SearchRequest {
  /** Undefined: all. */
  readonly host: string | undefined;
  readonly json: boolean;
  readonly limit: number;
  readonly filter: TrailFilter;
}

const hostColumn: Column<ExchangeRow> = {
  name: 'HOST',
  text: ({ fields }) => formatValue(fields['host']),
  cellsMin: 8,
};

/** Exit code 0, also for an empty result; 1: messages have changed. Throws a CommandFault or a NatsFault. */
export async function fleetSearch(screen: Screen, config: string, request: SearchRequest): Promise<number> {
  const settings = readFleetSettings(config, screen);
  const { host: wanted, json, limit, filter } = request;
  const release = holdProcess();
  const { signal } = new AbortController();
  const hosts = wanted === undefined ? settings.hosts.keys() : [wanted];
  const { link, streams } = await openStreams(natsOf(settings, 'search'), settings.stream, hosts, signal);
  try {
    const newest = createNewestRows(limit);
    const notes = newNotes();
    for (const place of await openPlaces(settings, link, streams, filter))
      for await (const { host, rows } of findRows(place, filter, wanted, notes, signal))
        for (const row of rows) newest.add(host, withHost(host, row));
    const { rows, older } = newest.finish();
    const table = createTable([hostColumn, ...exchangeColumnsFor(screen)], screen);
    for (const row of rows) {
      for (const line of json ? [harmlessJson(formatJsonRow(row))] : table.add(row)) await screen.print(line);
      if (screen.isGone) return exitCodes.ok;
    }
    for (const line of table.finish()) await screen.print(line);
    await screen.flush();
    reportHidden(screen, table.hidden());
    if (rows.length === 0)
      screen.complain(`dovegate: ${describeNothing(filter, wanted, notes.journals.size)}`);
    if (older > 0) screen.complain(`dovegate: ${describeOlder(older, rows)}`);
    reportNotes(screen, notes, settings, filter);
    return notes.faults.size === 0 ? exitCodes.ok : exitCodes.failed;
  } finally {
    await link.close();
    release();
  }
}

/** The stream's host comes first and wins: a record may contain a field of this name. */
export function withHost(host: string, row: ExchangeRow): ExchangeRow {
  return { ...row, fields: Object.assign({ host }, row.fields, { host }) };
}

export function newNotes(): ReadNotes {
  return { faults: new Set(), journals: new Set(), unindexed: 0 };
}

/** With the index, if it can help. Rejects with a NatsFault. */
export async function openPlaces(
  settings: FleetSettings,
  link: NatsLink,
  streams: readonly OpenedStream[],
  { user }: TrailFilter,
): Promise<readonly StreamPlace[]> {
  const key = user === undefined ? undefined : await indexKeyOf(link, settings);
  return streams.map(({ stream, info }) => ({
    link,
    stream,
    info,
    index: key === undefined ? [] : readIndex(settings.state, stream.name, key),
  }));
}

/** This number of messages is read in a moment, so no progress is shown. */
const fewMessages = 1_000;

/** Reports faults of the messages, and why the search took long. */
export function reportNotes(
  screen: Screen,
  { faults, unindexed }: ReadNotes,
  { state }: FleetSettings,
  { user }: TrailFilter,
): void {
  for (const fault of faults) screen.complain(`dovegate: ${printable(fault)}`);
  if (faults.size > 0) screen.complain('dovegate: look further with "dovegate audit fleet verify --whole"');
  if (user !== undefined && unindexed > fewMessages)
    screen.complain(
      `dovegate: ${plural(unindexed, 'message')} were read one after the other: the index in ${state} does not cover them; "dovegate audit fleet verify --whole" makes it again`,
    );
}

function describeOlder(older: number, rows: readonly ExchangeRow[]): string {
  const last = formatValue(rows.at(-1)?.fields['time']);
  return printable(
    `${plural(older, 'older command')} ${older === 1 ? 'is' : 'are'} not shown: raise --limit, or add --until ${last}`,
  );
}

function describeNothing({ sinceMs, user }: TrailFilter, host: string | undefined, journals: number): string {
  const since = sinceMs === undefined ? '' : ` since ${formatTime(Math.floor(sinceMs))}`;
  const of = host === undefined ? '' : ` of ${host}`;
  if (journals === 0) return `the stream has nothing${of}${since}`;
  const whose = user === undefined ? '' : ` for "${user}"`;
  return `no command${whose} was found in ${plural(journals, 'journal')}${of}${since}`;
}

interface Entry {
  readonly time: string;
  readonly host: string;
  readonly row: ExchangeRow;
  readonly bytes: number;
}

/** `limit`: rows to return, at most `bounds.fleetRows`; `bytesMax`: of the kept ones. */
export function createNewestRows(limit: number, bytesMax: number = bounds.fleetRowsBytes) {
  let kept: Entry[] = [];
  let bytes = 0;
  let older = 0;
  /** The newest dropped row: older ones are dropped, too. */
  let newestOlder: Entry | undefined;

  const trim = (toBytes: number): void => {
    kept.sort(compare);
    let count = 0;
    bytes = 0;
    for (const entry of kept) {
      if (count >= limit || (count > 0 && bytes + entry.bytes > toBytes)) break;
      bytes += entry.bytes;
      count += 1;
    }
    older += kept.length - count;
    newestOlder = kept[count] ?? newestOlder;
    kept = kept.slice(0, count);
  };

  return {
    add(host: string, row: ExchangeRow): void {
      const { time } = row.fields;
      // An invalid time sorts as older than all.
      const isTime = typeof time === 'string' && parseTime(time) !== undefined;
      const size = formatJson(row.fields).length;
      const entry: Entry = { time: isTime ? time : '', host, row, bytes: size };
      if (newestOlder !== undefined && compare(entry, newestOlder) > 0) {
        older += 1;
        return;
      }
      kept.push(entry);
      bytes += size;
      // Below the limit: otherwise each further row would sort them again.
      if (kept.length >= limit * 2 || bytes > bytesMax) trim(bytesMax * 0.75);
    },
    /** Newest first, and the number of older ones. */
    finish(): { readonly rows: readonly ExchangeRow[]; readonly older: number } {
      trim(bytesMax);
      return { rows: kept.map(({ row }) => row), older };
    },
  };
}

function compare(one: Entry, other: Entry): number {
  if (one.time !== other.time) return one.time < other.time ? 1 : -1;
  if (one.host !== other.host) return one.host < other.host ? -1 : 1;
  return (other.row.admittedSeq ?? 0) - (one.row.admittedSeq ?? 0);
}
