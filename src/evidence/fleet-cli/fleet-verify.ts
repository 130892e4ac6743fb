// `dovegate audit fleet verify`: reads what is new in the store since the last run, and all names in it, then reports the findings.

import { join } from 'node:path';
import { systemClock } from '../../host/machine/clock.js';
import { onStop } from '../../host/machine/outputs.js';
import { holdProcess } from '../../host/machine/process.js';
import { CommandFault } from '../../host/output/output.js';
import { createProgressLine, type Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { openStore } from '../../host/store/open-store.js';
import { formatJsonLines, printable } from '../../host/words/text.js';
import { plural } from '../../host/words/words.js';
import { mirrorIn, readFleetSettings } from '../cli/fleet-places.js';
import type { SignedHead } from '../fleet/checkpoint.js';
import type { FleetFinding, FleetStatus } from '../fleet/shapes.js';
import { findRecord } from '../reading/held-record.js';
import { describeCheckpoint, putCheckpoints, readKeptLine, sealCheckpoint } from './checkpoints.js';
import { describeVerdict, describeVerifiers, printGates } from './gate-table.js';
import { openMirror } from './mirror.js';
import { openFleet, whyUnlisted } from './open-settings.js';
import { openStateFolder } from './state-folder.js';
import { createStoreReader, unseenVersions } from './store-reader.js';

const stopped = 'stopped before the end; the next run goes on from there';

/** `verify` ends when it has read only objects without records for that time. */
const nothingNewMs = 20_000;

export interface VerifyFlags {
  readonly whole: boolean;
  readonly checkpoint?: string;
  readonly accept: boolean;
  readonly json: boolean;
}

/** Exit code 0; 1: something is wrong. Throws a CommandFault or a StoreFault; what was read before is kept. */
export async function fleetVerify(screen: Screen, config: string, flags: VerifyFlags): Promise<number> {
  const settings = readFleetSettings(config, screen);
  const folder = await openStateFolder(settings);
  const release = holdProcess();
  const store = openStore(settings, systemClock);
  const stop = new AbortController();
  const offSignal = onStop(() => stop.abort());
  try {
    const saved = folder.load();
    const keys = folder.publicKeys();
    const unlisted = whyUnlisted(settings, keys);
    if (unlisted !== undefined) screen.complain(`dovegate: ${printable(unlisted)}`);
    const fleet = openFleet(settings, keys, saved?.fleet);
    const mirror = openMirror(settings, fleet);
    const recordsBefore = fleet.records;
    const isDrawn = screen.columns !== undefined && !flags.json;
    const progress = createProgressLine(
      systemClock,
      isDrawn ? (text) => process.stderr.write(text) : undefined,
    );
    const reader = createStoreReader(fleet, settings, store, saved, folder, mirror, {
      told: () => saved?.told ?? [],
      take: () =>
        progress.draw((sinceMs) => {
          const records = fleet.records - recordsBefore;
          const pace = Math.round((records / sinceMs) * 1000);
          return `${reader.objects} objects, ${records} records, ${pace} a second`;
        }),
    });
    const accepted = flags.accept ? fleet.accept(systemClock.wallMs()) : 0;
    const kept = flags.checkpoint === undefined ? undefined : readKeptLine(flags.checkpoint, fleet);
    const heads = kept?.heads ?? (flags.whole ? [] : undefined);
    const startMs = systemClock.now();
    /** A look is limited for a host with many objects, and looks that find no block for some time are ended. */
    const readAll = async (): Promise<void> => {
      for (let [isWhole, before, newMs] = [true, -1, systemClock.now()]; ; isWhole = false) {
        if (await reader.look(stop.signal, isWhole, true)) return;
        if (before < reader.objects) newMs = systemClock.now();
        before = reader.objects;
        if (systemClock.now() - newMs > nothingNewMs) return;
      }
    };
    try {
      if (heads !== undefined) {
        // Late records must fill their holes first: the second reading begins as if there had been none.
        await readAll();
        reader.rewind(heads, kept);
      }
      await readAll();
    } catch (fault) {
      // Keep what was read.
      reader.save();
      throw fault;
    } finally {
      progress.clear();
    }
    if (!reader.hasVersions) screen.complain(`dovegate: ${unseenVersions}`);
    const nowMs = systemClock.wallMs();
    fleet.takeLog(folder.lastCheckpoints());
    fleet.seeMirrored(reader.behindMs);
    let found = fleet.judge(nowMs);
    const read = fleet.records - recordsBefore;
    const warn = (text: string): void => screen.complain(`dovegate: ${printable(text)}`);
    if (read === 0) await putCheckpoints(store, folder, settings.name, fleet, warn);
    else {
      await sealCheckpoint(store, folder, settings, fleet, found, nowMs, warn);
      // In a file restored from a copy, the new line follows a gap: found now, so that one acceptance is enough.
      if (fleet.takeLog(folder.lastCheckpoints()).length > 0) found = fleet.judge(nowMs);
    }
    const older = kept === undefined ? [] : fleet.olderThanStore(kept.heads);
    const findings = [
      ...reader.withUnread(found),
      ...reader.unfinished(),
      ...(await whatMirrorLacks(settings.state, older)),
    ];
    reader.save();
    const { failed } = await mirror.tend(systemClock.wallMs());
    if (failed !== undefined)
      screen.complain(`dovegate: ${printable(`the mirror is not compressed: ${failed}`)}`);
    const status: FleetStatus = {
      ...fleet.status(nowMs, findings),
      checkpoint: describeCheckpoint(folder),
    };
    folder.writeStatus(status);
    const isPassed = findings.length === 0;
    const tookMs = systemClock.now() - startMs;
    if (flags.json) await screen.print(formatJsonLines({ passed: isPassed, ...status }));
    else {
      const keptEnds = flags.checkpoint === undefined ? undefined : heads?.length;
      await printReport(screen, status, { accepted, read, tookMs, keptEnds, older: older.length });
    }
    await screen.flush();
    return isPassed ? exitCodes.ok : exitCodes.failed;
  } catch (fault) {
    if (!stop.signal.aborted || fault instanceof CommandFault) throw fault;
    throw new CommandFault(exitCodes.notCarriedOut, stopped);
  } finally {
    offSignal();
    store.close();
    folder.close();
    release();
  }
}

/** Findings about heads of a kept line that are older than the store keeps: the mirror must have them. Rejects with a JournalFault. */
async function whatMirrorLacks(
  state: string,
  heads: readonly SignedHead[],
): Promise<readonly FleetFinding[]> {
  const findings: FleetFinding[] = [];
  for (const { host, journal, seq, hash } of heads) {
    const held = await findRecord(join(mirrorIn(state), host, journal), seq);
    const of = { host, journal, seq };
    const what = `the kept line names record ${seq}, which is older than the store keeps, and the mirror`;
    if (typeof held === 'string')
      findings.push({
        kind: 'cut-in-store',
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
  /** `keptEnds`: journal ends in the kept line, if one was given; `older`: those that were looked up in the mirror. */
  run: Readonly<Record<'accepted' | 'read' | 'tookMs' | 'older', number> & { keptEnds: number | undefined }>,
): Promise<void> {
  const { accepted, read, tookMs, keptEnds, older } = run;
  const { findings, checkpoint } = status;
  await screen.print(screen.paint(findings.length === 0 ? 'good' : 'bad', describeVerdict(status)));
  const seconds = Math.max(tookMs, 1) / 1000;
  const pace = read === 0 ? '' : ` in ${seconds.toFixed(1)} s (${Math.round(read / seconds)} a second)`;
  await screen.print(`read ${plural(read, 'record')}${pace}; ${status.records} in all runs`);
  if (accepted > 0) await screen.print(`${plural(accepted, 'finding')} of earlier runs accepted`);
  if (keptEnds !== undefined) {
    const kept = `the kept line names the ends of ${plural(keptEnds, 'journal')}`;
    const where =
      older === 0
        ? 'all are in the store'
        : `${keptEnds - older} are in the store, ${plural(older, 'is', 'are')} older and in the mirror`;
    await screen.print(
      findings.length === 0 ? `${kept}: ${where}` : `${kept}: the findings say what is not there`,
    );
  }
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
