// A receiver of notices, as the page's process reports it to the daemon.

import * as z from 'zod';
import { bounds } from '../../bounds/bounds.js';
import { count, spanMs } from '../seams/shape.js';
import { noticeFaultCodes } from './fault.js';

const receiver = z.object({
  name: z.string().regex(/^[A-Za-z0-9._-]{1,256}$/, { error: 'must be a name of the configuration' }),
  /** Since the page was started: notices that were delivered, attempts that failed, notices that were dropped for their age. */
  delivered: count,
  failed: count,
  dropped: count,
  /** How long the oldest notice that was not delivered has waited; 0: none waits. */
  lagMs: spanMs,
  /** The fault of the last attempt, and for how long attempts have failed; undefined: the last one was taken, or there was none. */
  fault: z
    .object({
      code: z.enum(noticeFaultCodes),
      /** Of an answer of HTTP, or of a mail server. */
      status: z.int().min(100).max(999).optional(),
      forMs: spanMs,
    })
    .optional(),
});
export type NoticeReceiver = Readonly<z.infer<typeof receiver>>;

export const noticeReceivers = z.array(receiver).max(bounds.noticeReceivers).readonly();
