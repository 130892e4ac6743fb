// The end of the journal, in order or not, and how the process ends then. It does not know what the daemon does besides.

import type { Log } from '../adapters/telemetry/log.js';
import type { Journal } from '../gateway/outcome/journal.js';
import { exitCodes } from '../ports/exit-codes.js';
import { JournalFault } from '../ports/journal-fault.js';

/** With what the process ends. */
export interface End {
  readonly code: number;
  /** A thread of ours hangs on a disk that does not answer: an orderly exit of the process would wait for it. */
  readonly isHanging: boolean;
  /** It ended before anybody was served: why. */
  readonly failedStart?: string;
}

/** An end in order, with a code. */
export function endWith(code: number): End {
  return { code, isHanging: false };
}

/** The end after something was thrown that stops us from going on. */
export function endBy(fault: unknown, code: number): End {
  return { code, isHanging: fault instanceof JournalFault && fault.code === 'deadline' };
}

/** Closes the journal; a stop record that cannot be written is told, and makes another exit code of `ok`. Never rejects. */
export async function closeJournal(journal: Journal, log: Log, code: number): Promise<End> {
  try {
    await journal.close();
    return endWith(code);
  } catch (fault) {
    const why = fault instanceof Error ? fault.message : String(fault);
    log.report({ event: 'audit-failed', level: 'error', text: `the journal has no stop record: ${why}` });
    return endBy(fault, code === exitCodes.ok ? exitCodes.failed : code);
  }
}
