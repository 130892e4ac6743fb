// The calls that the shipping process may make at `audit.door`: HTTP/1.1 over a UNIX socket, as `admin.door`, with two calls. What it
// reports about its receivers is unproven: the daemon only shows it, and accepts a position once its own journal has that record.

import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { distanceMs, nothing, text } from '../../host/values/shape.js';
import { noticeReceivers, sinkReports } from '../../rules/config/receiver.js';
import type { NoticeSettings, Settings } from '../../rules/config/settings.js';
import type { SinkSettings } from '../../rules/config/sinks.js';

export interface ShipHead {
  readonly host: string;
  readonly version: string;
  readonly log: Settings['log'];
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
  /** The last record that is certainly on disk; records up to it may be sent. */
  | { readonly seq: number };

const claims = z.object({
  version: text(bounds.doorNameChars),
  /** The id of the journal in the {@link ShipHead}: claims that name another journal are refused. */
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
