// Counts again, at the start, what destroying commands of the last hour have used up of their limits: a restart is no
// amnesty. It does not know how limits are counted or how records are read.

import type { OpenJournal } from '../adapters/journal/journal.js';
import { findRecent, readPieces } from '../adapters/journal/trail.js';
import type { Log } from '../adapters/telemetry/log.js';
import type { Settings } from '../domain/config/settings.js';
import type { Limiter } from '../domain/policy/limits.js';
import { createSpent, rebuiltMs } from '../domain/review/spent.js';
import type { Clock } from '../ports/clock.js';

/** A start must not take minutes: of the default size these are 512 MiB, read in seconds. */
const filesMax = 8;

/** Before anything is served. What cannot be read is told, and keeps nobody from starting. */
export async function rebuildLimits(
  settings: Settings,
  journal: OpenJournal,
  limiter: Limiter,
  clock: Clock,
  log: Log,
): Promise<void> {
  const { stepsMs } = journal;
  const wallMs = clock.wallMs();
  const tell = (text: string): void => log.report({ event: 'limits-not-rebuilt', level: 'warn', text });
  try {
    const recent = await findRecent(settings.audit.directory, wallMs - stepsMs - rebuiltMs, filesMax);
    if (!recent.isWhole)
      tell(`only the newest ${filesMax} segments were read for the counts of the last hour`);
    const moment = { wallMs, nowMs: clock.now(), stepsMs, stepsBeforeMs: recent.stepsMs };
    const spent = createSpent(settings, limiter, moment);
    for (const file of recent.files) {
      try {
        for await (const { bytes } of readPieces(file)) spent.take(bytes);
      } catch (fault) {
        tell(`${file.name} cannot be read: ${fault instanceof Error ? fault.message : String(fault)}`);
      }
    }
    spent.finish();
  } catch (fault) {
    tell(fault instanceof Error ? fault.message : String(fault));
  }
}
