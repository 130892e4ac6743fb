// Records that nobody waits for: handed to the journal in order; one that does not get there is told, not thrown.

import type { AuditRecord } from '../../domain/audit/record.js';
import type { Journal, Observe } from './ports.js';

/** Appends a record without waiting. The journal counts what it loses; observers are told. */
export function appendQuietly(
  journal: Journal,
  observe: Observe,
  record: AuditRecord,
  isBrief = false,
): void {
  journal.append(record, isBrief ? briefly : notDurable).catch((fault: unknown) => {
    observe({ kind: 'audit-failed', text: fault instanceof Error ? fault.message : String(fault) });
  });
}

const notDurable = { durable: false } as const;
const briefly = { durable: false, isBrief: true } as const;
