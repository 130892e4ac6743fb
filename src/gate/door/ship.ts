// What the process that ships records may ask of the daemon at `audit.door`: HTTP/1.1 over a UNIX socket, as `admin.door`, with two
// calls. What it says of its receivers is a claim. The daemon shows it, and believes a position once its own journal has that record.

import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { distanceMs, nothing, text } from '../../host/values/shape.js';
import { noticeReceivers, sinkReports } from '../../rules/config/receiver.js';
import type { NoticeSettings, Settings } from '../../rules/config/settings.js';
import type { SinkSettings } from '../../rules/config/sinks.js';

/** What is to be sent, and where to. */
export interface ShipHead {
  readonly host: string;
  readonly version: string;
  readonly logLevel: Settings['log']['level'];
  /** The directory of the journal, and its id. */
  readonly directory: string;
  readonly journal: string;
  /** The public key that signs its checkpoints, in base64. */
  readonly key?: string | undefined;
  readonly sinks: readonly SinkSettings[];
  readonly notices: readonly NoticeSettings[];
}

export type ShipLine =
  | { readonly head: ShipHead }
  /** The last record that is certainly on disk: up to it records may be sent. */
  | { readonly seq: number };

const claims = z.object({
  version: text(bounds.doorNameChars),
  /** Of another head: the claims of the settings before are not taken. */
  journal: text(bounds.doorNameChars),
  sinks: sinkReports,
  notices: noticeReceivers,
  certificates: z
    .array(
      z.object({
        role: z.enum(['receiver', 'receiver-client']),
        name: text(bounds.doorTextChars),
        leftMs: distanceMs,
      }),
    )
    .max(2 * bounds.shipReceivers)
    .readonly(),
  problem: text(bounds.doorTextChars).optional(),
});
export type ShipClaims = Readonly<z.infer<typeof claims>>;

/** Every call. */
export const shipCalls = {
  /** -> lines of {@link ShipLine}, at least one a second: the receivers, again after each reload, and how far records are on disk. */
  receivers: { route: 'GET /receivers', asks: nothing },
  /** -> {}. */
  shipped: { route: 'POST /shipped', asks: claims },
} as const;
export interface ShipAsked {
  readonly receivers: undefined;
  readonly shipped: ShipClaims;
}
export type ShipCall = keyof ShipAsked;
