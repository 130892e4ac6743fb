// What the page shows of the other gates: the public part of what `fleet watch` writes (evidence/fleet).

import * as z from 'zod';
import { count, time } from '../../host/values/shape.js';

const cutText = z.string().transform((each) => each.slice(0, 1_000));

/** Absent fields: nothing came from this gate yet, or the value is not known. */
const gate = z.object({
  host: cutText,
  /** By the clock of the server that has the copies. */
  lastSeen: time.optional(),
  seq: count.optional(),
  signedSeq: count.optional(),
  program: cutText.optional(),
  /** `catalog`, `program`, `policy NAME`: the parts that differ from most others. */
  differs: z.array(cutText).readonly(),
  findings: count,
});
export type FleetGate = Readonly<z.infer<typeof gate>>;

export const fleetStatus = z.object({
  /** When it was written; RFC 3339. */
  at: time,
  store: cutText,
  records: count,
  gates: z.array(gate.readonly()).readonly(),
  /** Of many, the first ones. `text`: a sentence. */
  findings: z
    .array(z.object({ kind: cutText, host: cutText, seq: count.optional(), text: cutText }).readonly())
    .readonly(),
  checkpoint: z.object({ seq: count, at: time }).readonly().optional(),
  /** The reason may name files of the verifier, so only the verifier's log has it. */
  away: z.object({ since: time }).optional(),
});

export type FleetSeen = Readonly<Omit<z.infer<typeof fleetStatus>, 'away'>> & {
  readonly findingCount: number;
};

/** The verifier's results: names of hosts and policies, numbers of records, no mail users, no text of records. So everybody may see it. */
export interface FleetShown {
  /** Why nothing is known, or why it may be outdated; a sentence with marked times. Absent: `seen` is current. */
  readonly trouble?: string;
  /** Absent: nothing could be read. */
  readonly seen?: FleetSeen;
}
