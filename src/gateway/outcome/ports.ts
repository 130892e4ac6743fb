// What the engine asks of the adapters: the journal, the way to a backend, the one who watches.
// Declared here because ports belong to who calls them; implemented in journal/, net/, observe/; joined in daemon/.

import type { AuditRecord } from '../../domain/audit/record.js';
import type { Transport } from '../../ports/transport.js';
import type { EngineEvent } from './events.js';

/** The durable sequence of records. */
export interface Journal {
  /**
   * Appends a record (without seq, prev and hash, which the journal assigns in the order of the calls).
   * Durable: resolves when the record is on disk. Otherwise: resolves when it has been handed to the writer.
   * Rejects with a JournalFault.
   */
  append(record: AuditRecord, options: AppendOptions): Promise<void>;
  /** What stays for company goes to the disk now; not bound to its object. */
  readonly hurry: () => void;
  /** Writes what is left and the stop record, then closes. */
  close(): Promise<void>;
  readonly state: 'writable' | 'failed';
  /** `reserve`: the disk is full but for the reserve, and only what is marked for emergencies may go on. */
  readonly space: JournalSpace;
}

/** How a record is wanted. */
export interface AppendOptions {
  readonly durable: boolean;
  /** Whoever waits for it has to wait for something else anyway: it may stay a moment for others to go to the disk with. */
  readonly isPatient?: boolean;
  /** The record is of a refused command, of a question to dovegate or of a session: it gets at most 2 KiB. */
  readonly isBrief?: boolean;
}

/** Room for records. */
export type JournalSpace = 'normal' | 'reserve';

/** Where a backend listens. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Opens a transport; rejects with an UpstreamFault `dial-refused`, or with the signal's reason when it aborts. */
export type Connect = (address: Address, signal: AbortSignal) => Promise<Transport>;

/** Told what happened. Never throws, never delays, is never awaited. */
export type Observe = (event: EngineEvent) => void;
