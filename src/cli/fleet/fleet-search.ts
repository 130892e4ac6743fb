// `dovegate audit fleet search`: exchanges of all hosts, one row each, as the stream has them. Nothing is verified.

import { holdProcess } from '../../adapters/host/process.js';
import { formatTime } from '../../domain/audit/record.js';
import { readHeadOf } from '../../domain/fleet/block.js';
import { formatJsonRow, formatValue } from '../../domain/trail/export.js';
import type { ExchangeRow, TrailFilter } from '../../domain/trail/search.js';
import { exitCodes } from '../../ports/machine.js';
import { exchangeColumnsFor } from '../audit/audit-search.js';
import { type Column, createTable, reportHidden } from '../audit/audit-table.js';
import { plural } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { FollowedJournals, type HostRows } from './followed-journals.js';
import { natsOf, readFleetSettings } from './open-settings.js';
import { openStreams, readChains } from './streams.js';

export interface SearchRequest {
  /** Undefined: all. */
  readonly host: string | undefined;
  readonly json: boolean;
  readonly filter: TrailFilter;
}

/** Clocks of hosts are this far ahead of the server's at most: a record is stored after it was written. */
const doubtMs = 3_600_000;

const hostColumn: Column<ExchangeRow> = {
  name: 'HOST',
  text: ({ fields }) => formatValue(fields['host']),
  cellsMin: 8,
};

/** Always 0: that nothing was found is an answer too. Throws a CommandFault or a NatsFault. */
export async function fleetSearch(screen: Screen, config: string, request: SearchRequest): Promise<number> {
  const settings = readFleetSettings(config, screen);
  const { stream } = settings;
  const { host: wanted, json, filter } = request;
  const table = createTable([hostColumn, ...exchangeColumnsFor(screen)], screen);
  const followed = new FollowedJournals(filter);
  let rows = 0;
  const show = async ({ host, rows: found }: HostRows): Promise<void> => {
    for (const each of found) {
      // In front, and the stream's: a record may hold a field of this name.
      const row = { ...each, fields: Object.assign({ host }, each.fields, { host }) };
      rows += 1;
      for (const line of json ? [formatJsonRow(row)] : table.add(row)) await screen.print(line);
    }
  };
  const release = holdProcess();
  const stop = new AbortController();
  const hosts = wanted === undefined ? settings.hosts.keys() : [wanted];
  const { link, streams } = await openStreams(natsOf(settings, 'search'), stream, hosts, stop.signal);
  try {
    const from =
      filter.sinceMs === undefined ? { streamSeq: 1 } : { storedMs: Math.max(0, filter.sinceMs - doubtMs) };
    for await (const { message, host } of readChains(link, streams, {
      host: wanted,
      from,
      signal: stop.signal,
    })) {
      if (readHeadOf(message.header)?.kind !== 'block') continue;
      for (const found of followed.take(message.subject, host, message.bytes)) await show(found);
      if (screen.isGone) return exitCodes.ok;
    }
    for (const found of followed.finish()) await show(found);
    for (const line of table.finish()) await screen.print(line);
    await screen.flush();
    reportHidden(screen, table.hidden());
    if (rows === 0) screen.complain(`dovegate: ${describeNothing(filter, wanted, followed.count)}`);
    return exitCodes.ok;
  } finally {
    await link.close();
    release();
  }
}

function describeNothing({ sinceMs, user }: TrailFilter, host: string | undefined, journals: number): string {
  const since = sinceMs === undefined ? '' : ` since ${formatTime(Math.floor(sinceMs))}`;
  const of = host === undefined ? '' : ` of ${host}`;
  if (journals === 0) return `the stream has nothing${of}${since}`;
  const whose = user === undefined ? '' : ` for "${user}"`;
  return `no command${whose} was found in ${plural(journals, 'journal')}${of}${since}`;
}
