// `dovegate audit fleet report`: the accesses to one mailbox on all hosts, and whether each host's journal is complete for that
// time. The verdict is the one of `fleet verify` now: it continues from the verifier's saved state, in memory, and saves
// nothing.

import { systemClock } from '../../adapters/host/clock.js';
import { holdProcess } from '../../adapters/host/process.js';
import type { NatsLink } from '../../adapters/nats/link.js';
import { parseLine, parseTime } from '../../domain/audit/record.js';
import type { FleetSettings } from '../../domain/config/parse-fleet.js';
import { noHost } from '../../domain/fleet/findings.js';
import type { Fleet } from '../../domain/fleet/fleet.js';
import { noKeyYet } from '../../domain/fleet/shapes.js';
import { foldAscii } from '../../domain/identity/user-name.js';
import { type HostTrail, judgeHosts } from '../../domain/report/hosts.js';
import type { ReportedFleet } from '../../domain/report/report.js';
import type { Separator } from '../../domain/trail/export.js';
import { createLikeNames, type Surveyed, type TrailFilter } from '../../domain/trail/search.js';
import { loadReport } from '../audit/audit.js';
import type { Screen } from '../output/screen.js';
import { ownKeyOf } from './checkpoints.js';
import { newNotes, openPlaces, reportNotes, withHost } from './fleet-search.js';
import { natsOf, openFleet, readFleetSettings } from './open-settings.js';
import { createProgress } from './progress.js';
import { readPublicKeys, readSaved } from './state-folder.js';
import { createStreamReader } from './stream-reader.js';
import { findRows, mergeRows, type StreamPlace } from './stream-rows.js';
import { type OpenedStream, openStreams } from './streams.js';

export interface FleetReportFlags {
  readonly mailbox: string;
  readonly from?: number;
  readonly to?: number;
  readonly content?: boolean;
  readonly whole: boolean;
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly separator?: Separator;
  readonly html?: boolean;
}

/** Exit code 0; 1: not every host is proved complete. Throws a CommandFault or a NatsFault. */
export async function fleetReport(screen: Screen, config: string, flags: FleetReportFlags): Promise<number> {
  const { askedOf, formOf, printReport } = await loadReport();
  const asked = askedOf(flags);
  const settings = readFleetSettings(config, screen);
  const { state, stream } = settings;
  const saved = flags.whole ? undefined : readSaved(state, stream);
  const own = ownKeyOf(settings);
  const keys = new Set([...readPublicKeys(state), ...(own === undefined ? [] : [own])]);
  const fleet = openFleet(settings, [...keys], saved?.fleet);
  const reader = createStreamReader(fleet, settings, saved, { save: () => undefined }, () => []);
  const { signal } = new AbortController();
  const release = holdProcess();
  const { link } = await openStreams(natsOf(settings, 'report'), stream, settings.hosts.keys(), signal);
  try {
    const { streams: seen } = await reader.inspect(link, asked.nowMs);
    const streams = seen.flatMap((each) => (each.info === undefined ? [] : [{ ...each, info: each.info }]));
    const before = fleet.records;
    const left = streams.reduce(
      (sum, { stream: { name }, info }) => sum + Math.max(0, info.lastSeq - fleet.seqIn(name)),
      0,
    );
    const progress = createProgress(screen.columns !== undefined, left);
    await reader.read(link, { isEndless: false, signal }, () =>
      progress.show(reader.messages, fleet.records - before),
    );
    progress.clear();
    const trails = await trailsOf(fleet, settings, link, streams);
    const filter: TrailFilter = { user: asked.mailbox };
    const places = await openPlaces(settings, link, streams, filter);
    const notes = newNotes();
    const reported: ReportedFleet = {
      async *rows(wanted) {
        notes.unindexed = 0;
        const sources = places.map((place) => findRows(place, wanted, undefined, notes, signal));
        for await (const { host, rows } of mergeRows(sources))
          for (const row of rows) yield withHost(host, row);
      },
      survey({ user = '' }) {
        const index = places.flatMap((place) => place.index);
        const { names, isNamed } = similarNames(index, user);
        // A message that is not in the index may concern any user.
        return Promise.resolve({ ...nothingSurveyed, names, isNamed: isNamed || notes.unindexed > 0 });
      },
      doubts: () => [...notes.faults].map((text) => ({ code: 'fault', text, isSerious: true })),
      judge: (time) => judgeHosts(trails.hosts, trails.general, time),
    };
    const exit = await printReport(screen, reported, asked, formOf(screen, flags, true));
    reportNotes(screen, notes, settings, filter);
    return exit;
  } finally {
    await link.close();
    release();
  }
}

const nothingSurveyed = { records: 0, all: 0, firstTime: undefined, lastTime: undefined };

/** Similar users in the index, and whether it has the requested one. */
function similarNames(index: StreamPlace['index'], asked: string): Pick<Surveyed, 'names' | 'isNamed'> {
  // As it is recorded where the case of names is kept, and where it is not.
  const wanted = [...new Set([asked, foldAscii(asked)])];
  const likes = wanted.map(createLikeNames);
  let isNamed = false;
  for (const file of index)
    for (const [name] of file.entries()) {
      for (const like of likes) like.take(name);
      isNamed ||= wanted.includes(name);
    }
  return { names: [...new Set(likes.flatMap((like) => like.names()))], isNamed };
}

/** The findings about each host, listed or not, and those about none. Rejects with a NatsFault. */
async function trailsOf(
  fleet: Fleet,
  { hosts: listed }: FleetSettings,
  link: NatsLink,
  streams: readonly OpenedStream[],
): Promise<{
  readonly hosts: readonly HostTrail[];
  readonly general: Pick<HostTrail, 'findings' | 'accepted'>;
}> {
  const nowMs = systemClock.wallMs();
  const findings = fleet.judge(nowMs);
  const accepted = fleet.accepted();
  const of = (host: string) => ({
    findings: findings.filter((finding) => finding.host === host),
    accepted: accepted.filter((finding) => finding.host === host),
  });
  const hosts: HostTrail[] = [];
  for (const { host, lastTime, seq, signedSeq, signedTime } of fleet.status(nowMs).gates) {
    const firstTime = seq === undefined ? undefined : await firstTimeOf(link, streams, host);
    const key = listed.get(host)?.key;
    hosts.push({
      host,
      key: key === noKeyYet ? undefined : key,
      firstTime,
      lastTime,
      seq,
      signedSeq,
      signedTime,
      ...of(host),
    });
  }
  return { hosts, general: of(noHost) };
}

/** Time of a host's first record in the stream. Undefined: there is none, or it is not a record. */
async function firstTimeOf(
  link: NatsLink,
  streams: readonly OpenedStream[],
  host: string,
): Promise<string | undefined> {
  for (const { stream, info } of streams) {
    if (stream.host !== undefined && stream.host !== host) continue;
    const from = Math.max(1, info.firstSeq);
    const message = await link.messageFrom(stream.name, from, `dovegate.audit.${host}.*`);
    if (message === undefined) continue;
    const { bytes } = message;
    const time = parseLine(bytes.toString('utf8', 0, Math.max(0, bytes.indexOf(0x0a))))?.['time'];
    return typeof time === 'string' && parseTime(time) !== undefined ? time : undefined;
  }
  return undefined;
}
