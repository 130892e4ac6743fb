// Reports about receivers, made by the process that sends to them and shown by others; and the events and the secret of receivers of
// notices.

import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { count, spanMs, text } from '../../host/values/shape.js';
import { noticeFaultCodes } from './fault.js';

/** The events that a receiver may get: the values of `events`. */
export const noticeEvents = ['requested', 'granted', 'refused', 'revoked', 'break-glass'] as const;
export type NoticeEvent = (typeof noticeEvents)[number];

/** One address without a name, quotes or comments, so that it can mean nothing else in a header. */
export const mailAddressForm =
  /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

/** As Standard Webhooks demands. */
const secretBytes = { least: 24, most: 64 };

/** The bytes of `whsec_BASE64`; undefined: it is none, or too short or too long. */
export function parseSecret(written: string): Buffer | undefined {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(written.trim())?.[1];
  const bytes = base64 === undefined ? undefined : Buffer.from(base64, 'base64');
  if (bytes === undefined || bytes.length < secretBytes.least || bytes.length > secretBytes.most)
    return undefined;
  return bytes;
}

const receiver = z.object({
  name: z.string().regex(/^[A-Za-z0-9._-]{1,256}$/, { error: 'must be a name of the configuration' }),
  /** Since the process started: notices that were delivered, attempts that failed, notices that were dropped for their age. */
  delivered: count,
  failed: count,
  dropped: count,
  /** How long the oldest notice that was not delivered has waited; 0: none waits. */
  lagMs: spanMs,
  /** The fault of the last attempt, and for how long attempts have failed; undefined: the last one was taken, or there was none. */
  fault: z
    .object({
      code: z.enum(noticeFaultCodes),
      /** Status of an HTTP response, or of a mail server's reply. */
      status: z.int().min(100).max(999).optional(),
      forMs: spanMs,
    })
    .optional(),
});
export type NoticeReceiver = Readonly<z.infer<typeof receiver>>;

export const noticeReceivers = z.array(receiver).max(bounds.noticeReceivers).readonly();

export const safePosition = z.object({
  segment: count,
  bytes: count,
  seq: count,
  hash: z.string().regex(/^[0-9a-f]{64}$/, { error: 'must be the hash of a record' }),
});
/** After a record: its segment, the bytes of that segment's text up to its LF, its seq and its hash. */
export type SafePosition = Readonly<z.infer<typeof safePosition>>;

const sinkReport = z.object({
  name: text(bounds.doorTextChars),
  state: z.enum(['connecting', 'connected', 'away', 'forked']),
  /** Why it is away or forked: a code of `ship-away` or `audit-forked`, and a text that may quote the receiver. */
  fault: z.object({ code: text(bounds.doorNameChars), text: text(bounds.doorTextChars) }).optional(),
  sentSeq: count,
  /** Records that a collector refused for good, since the start of the process; undefined: there is no such answer. */
  refused: count.optional(),
  /** After the last record that the receiver certainly has; undefined: it has none. */
  safe: safePosition.optional(),
});
/** The state of a receiver of records, as its sender reports it and as it is shown. */
export type SinkReport = Readonly<z.infer<typeof sinkReport>>;

export const sinkReports = z.array(sinkReport).max(bounds.shipReceivers).readonly();
