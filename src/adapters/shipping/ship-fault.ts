// Why records do not go to a receiver, in the words of events: one total function from whatever was thrown on the way.

import type { ShipFaultCode } from '../../gateway/outcome/ship-events.js';
import { TransportFault } from '../../ports/transport-fault.js';
import { UpstreamFault } from '../../ports/upstream-fault.js';
import { stallMs } from './outlet.js';

/** A code, and a sentence for operators without secrets. */
export interface ShipFault {
  readonly code: ShipFaultCode;
  readonly text: string;
}

/** What a cause means. */
export function shipFaultOf(cause: unknown): ShipFault {
  if (cause instanceof UpstreamFault) {
    const { code, message } = cause;
    const isDial = code === 'dial-refused' || code === 'dial-timeout' || code === 'tls-failed';
    return { code: isDial ? code : 'closed-early', text: message };
  }
  if (cause instanceof TransportFault) {
    // Only a stall makes us close a transport that somebody still waits for.
    if (cause.code === 'closed') return { code: 'stalled', text: `it took nothing for ${stallMs} ms` };
    const { cause: system } = cause;
    const why = system instanceof Error && 'code' in system ? ` (${String(system.code)})` : '';
    return { code: 'closed-early', text: `${cause.message}${why}` };
  }
  const text = cause instanceof Error ? cause.message : String(cause);
  // Nothing but reading the journal meets the system otherwise.
  const isSystem = cause instanceof Error && 'code' in cause;
  return { code: isSystem ? 'journal-unreadable' : 'internal', text };
}
