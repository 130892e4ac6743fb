// `dovegate audit fleet verify`: reads from the end of the last run to the present end of the stream, then reports the findings.

import { join } from 'node:path';
import { systemClock } from '../../host/machine/clock.js';
import { onStop } from '../../host/machine/outputs.js';
import { holdProcess } from '../../host/machine/process.js';
import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatJsonLines, printable } from '../../host/words/text.js';
import { plural } from '../../host/words/words.js';
import { mirrorIn, readFleetSettings } from '../cli/fleet-places.js';
import type { SignedHead } from '../fleet/checkpoint.js';
import type { FleetFinding, FleetStatus } from '../fleet/shapes.js';
import { useNats } from '../nats/link.js';
import { compareCheckpoints, describeCheckpoint, readKeptLine, sealCheckpoint } from './checkpoints.js';
import { describeVerdict, describeVerifiers, printGates } from './gate-table.js';
import { findRecord } from './held-record.js';
import { openMirrorOf } from './mirror.js';
import { createMirroredLines } from './mirrored.js';
import { natsOf, openFleet, whatDiffers, whyUnlisted } from './open-settings.js';
import { createProgress } from './progress.js';
import { openStateFolder } from './state-folder.js';
import { describeEnds, watchStreamCertificates } from './stream-certificates.js';
import { createStreamReader } from './stream-reader.js';

const stopped = 'stopped before the end; the next run goes on from there';

export interface VerifyFlags {
  readonly whole: boolean;
  readonly checkpoint?: string;
  readonly accept: boolean;
  readonly json: boolean;
}

/** Exit code 0; 1: something is wrong. Throws a CommandFault or a NatsFault; what was read before is kept. */
export async function fleetVerify(screen: Screen, config: string, flags: VerifyFlags): Promise<number> {
  const settings = readFleetSettings(config, screen);
  const folder = await openStateFolder(settings);
  const release = holdProcess();
  const certificates = watchStreamCertificates(settings, () => undefined);
  const stop = new AbortController();
  const offSignal = onStop(() => stop.abort());
  try {
    const saved = folder.load();
    const keys = folder.publicKeys();
    const unlisted = whyUnlisted(settings, keys);
    if (unlisted !== undefined) screen.complain(`dovegate: ${printable(unlisted)}`);
    const fleet = openFleet(settings, keys, saved?.fleet);
    const mirror = openMirrorOf(settings, fleet);
    const told = (): readonly string[] => saved?.told ?? [];
    const reader = createStreamReader(fleet, settings, saved, folder, told, mirror);
    const mirroredLines = createMirroredLines({
      folder,
      warn: (text) => screen.complain(`dovegate: ${printable(text)}`),
    });
    const accepted = flags.accept ? fleet.accept(systemClock.wallMs()) : 0;
    const kept = flags.checkpoint === undefined ? undefined : readKeptLine(flags.checkpoint, fleet);
    const heads = kept?.heads ?? (flags.whole ? [] : undefined);
    const recordsBefore = fleet.records;
    const startMs = systemClock.now();
    let isRewound = false;
    const { findings, nowMs, read, older } = await useNats(
      natsOf(settings, 'verify'),
      stop.signal,
      async (link) => {
        certificates.saw(link);
        const { streams } = await reader.inspect(link, systemClock.wallMs());
        for (const warning of whatDiffers(streams, settings))
          screen.complain(`dovegate: ${printable(warning)}`);
        await reader.lookAtRights(link);
        // Not again at the next server, which continues where this one ended.
        if (heads !== undefined && !isRewound) fleet.rewind(heads, kept);
        isRewound = true;
        const isShown = screen.columns !== undefined && !flags.json;
        const progress = createProgress(isShown, reader.unread);
        await reader.read(link, stop.signal, () =>
          progress.show(reader.messages, fleet.records - recordsBefore),
        );
        progress.clear();
        if (stop.signal.aborted) {
          reader.save();
          throw new CommandFault(exitCodes.notCarriedOut, stopped);
        }
        const judgedMs = systemClock.wallMs();
        compareCheckpoints(folder, fleet);
        fleet.seeMirrored(reader.behindMs);
        let found = fleet.judge(judgedMs);
        const count = fleet.records - recordsBefore;
        if (count > 0) {
          await sealCheckpoint(link, folder, settings, fleet, found, judgedMs, (text) =>
            screen.complain(`dovegate: ${printable(text)}`),
          );
          // In a file restored from a copy, the new line follows a gap: found now, so that one acceptance is enough.
          if (compareCheckpoints(folder, fleet).length > 0) found = fleet.judge(judgedMs);
        }
        await mirroredLines.say(link, settings, { fleet, mirror }, found, judgedMs);
        const kepts = kept === undefined ? [] : fleet.olderThanStreams(kept.heads);
        const lacking = await whatMirrorLacks(settings.state, kepts);
        return { findings: [...found, ...lacking], nowMs: judgedMs, read: count, older: kepts.length };
      },
    );
    reader.save();
    const { failed } = await mirror.tend(systemClock.wallMs());
    if (failed !== undefined)
      screen.complain(`dovegate: ${printable(`the mirror is not compressed: ${failed}`)}`);
    const rows = certificates.rows();
    for (const line of describeEnds(rows, systemClock.wallMs()))
      screen.complain(`dovegate: ${printable(line)}`);
    const status: FleetStatus = {
      ...fleet.status(nowMs),
      findings,
      checkpoint: describeCheckpoint(folder),
      certificates: rows,
    };
    folder.writeStatus(status);
    const isPassed = findings.length === 0;
    const tookMs = systemClock.now() - startMs;
    if (flags.json) await screen.print(formatJsonLines({ passed: isPassed, ...status }));
    else {
      const keptEnds = flags.checkpoint === undefined ? undefined : heads?.length;
      await printReport(screen, status, { findings, accepted, read, tookMs, keptEnds, older });
    }
    await screen.flush();
    return isPassed ? exitCodes.ok : exitCodes.failed;
  } catch (fault) {
    if (!stop.signal.aborted || fault instanceof CommandFault) throw fault;
    throw new CommandFault(exitCodes.notCarriedOut, stopped);
  } finally {
    offSignal();
    certificates.close();
    folder.close();
    release();
  }
}

/** Of heads of a kept line that the streams are too young to have. Rejects with a JournalFault. */
async function whatMirrorLacks(
  state: string,
  heads: readonly SignedHead[],
): Promise<readonly FleetFinding[]> {
  const findings: FleetFinding[] = [];
  for (const { host, journal, seq, hash } of heads) {
    const held = await findRecord(join(mirrorIn(state), host, journal), seq);
    const of = { host, journal, seq };
    const what = `the kept line names record ${seq}, which is older than the stream, and the mirror`;
    if (typeof held === 'string')
      findings.push({
        kind: 'cut-in-stream',
        ...of,
        text: `${what} does not have it: look for a copy of the mirror, or at the host's own journal`,
      });
    else if (held.hash !== hash)
      findings.push({ kind: 'forked', ...of, text: `${what} has another one: one of the two was changed` });
  }
  return findings;
}

async function printReport(
  screen: Screen,
  status: FleetStatus,
  run: {
    readonly findings: readonly FleetFinding[];
    readonly accepted: number;
    readonly read: number;
    readonly tookMs: number;
    /** Number of journal ends in the kept line; undefined: no line was given. */
    readonly keptEnds: number | undefined;
    /** How many of them are older than the streams, and were looked up in the mirror. */
    readonly older: number;
  },
): Promise<void> {
  const { findings, accepted, read, tookMs, keptEnds, older } = run;
  await screen.print(screen.paint(findings.length === 0 ? 'good' : 'bad', describeVerdict(status, findings)));
  const seconds = Math.max(tookMs, 1) / 1000;
  const pace = read === 0 ? '' : ` in ${seconds.toFixed(1)} s (${Math.round(read / seconds)} a second)`;
  await screen.print(`read ${plural(read, 'record')}${pace}; ${status.records} in all runs`);
  if (accepted > 0) await screen.print(`${plural(accepted, 'finding')} of earlier runs accepted`);
  if (keptEnds !== undefined) {
    const kept = `the kept line names the ends of ${plural(keptEnds, 'journal')}`;
    const inStream =
      older === 0
        ? 'all are in the stream'
        : `${keptEnds - older} are in the stream, ${plural(older, 'is', 'are')} older and in the mirror`;
    await screen.print(
      findings.length === 0 ? `${kept}: ${inStream}` : `${kept}: the findings say what is not there`,
    );
  }
  const { checkpoint } = status;
  if (checkpoint !== undefined)
    await screen.print(
      printable(
        `signed: line ${checkpoint.seq} of checkpoints.jsonl, at ${checkpoint.at}, root ${checkpoint.root}`,
      ),
    );
  for (const line of describeVerifiers(status)) await screen.print(line);
  await screen.print('');
  await printGates(screen, status);
}
