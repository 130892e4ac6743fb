// Posts a notice to a URL as Standard Webhooks says (https://www.standardwebhooks.com): the headers webhook-id, webhook-timestamp and
// webhook-signature, an HMAC-SHA256 over `ID.TIMESTAMP.BODY`. Only the status of the answer counts, and nothing after its head is read. No
// redirect is followed. One time limit holds for the whole attempt, whatever the receiver does.

import { createHmac } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { bounds } from '../../host/bounds/bounds.js';
import { AskFault, post } from '../../host/http/ask.js';
import { readText } from '../../host/net/receivers.js';
import type { Clock } from '../../host/ports/machine.js';
import { parseSecret } from '../../rules/config/receiver.js';
import type { WebhookSettings } from '../../rules/config/settings.js';
import { chatJsonOf, jsonOf } from '../notices/forms.js';
import type { Notice } from '../notices/notice.js';
import { NoticeFault } from '../notices/notice-fault.js';
import { noticeFaultOf, trustOf, waitMsOf } from './connection.js';

/** Resolves when the receiver has taken it. Rejects with a NoticeFault, or with the reason of the abort. */
export async function postWebhook(
  { url, format, secretFile, caFile }: Pick<WebhookSettings, 'url' | 'format' | 'secretFile' | 'caFile'>,
  notice: Notice,
  { clock, lookup }: { readonly clock: Clock; readonly lookup: LookupFunction },
  signal: AbortSignal,
): Promise<void> {
  const body = Buffer.from(format === 'json' ? jsonOf(notice) : chatJsonOf(notice));
  const timestamp = String(Math.floor(clock.wallMs() / 1000));
  const secret = secretFile === undefined ? undefined : await readSecret(secretFile);
  const signature = secret && sign(secret, notice.id, timestamp, body);
  const headers = {
    'webhook-id': notice.id,
    'webhook-timestamp': timestamp,
    ...(signature !== undefined && { 'webhook-signature': signature }),
  };
  const trust = (): ReturnType<typeof trustOf> => trustOf(caFile);
  const limits = { clock, ms: bounds.noticeMs, bytesMax: 0 };
  const request = { type: 'application/json', body, headers, lookup, trust, signal };
  const { status, retryAfter } = await post(url, request, limits).catch((cause: unknown) => {
    throw signal.aborted ? signal.reason : cause instanceof AskFault ? faultOf(cause) : noticeFaultOf(cause);
  });
  if (status >= 200 && status < 300) return;
  const code = status >= 300 && status < 400 ? 'redirected' : 'status';
  throw new NoticeFault(code, status, undefined, Math.min(waitMsOf(retryAfter, clock.wallMs()), 3_600_000));
}

function faultOf({ code }: AskFault): NoticeFault {
  return new NoticeFault(code === 'late' ? 'timeout' : 'not-http');
}

function sign(secret: Buffer, id: string, timestamp: string, body: Buffer): string {
  const digest = createHmac('sha256', secret).update(`${id}.${timestamp}.`).update(body).digest('base64');
  return `v1,${digest}`;
}

async function readSecret(path: string): Promise<Buffer> {
  let text: string;
  try {
    text = (await readText(path, bounds.secretFileBytes)).trim();
  } catch (cause) {
    throw new NoticeFault('secret-file', undefined, cause);
  }
  const secret = parseSecret(text);
  if (secret === undefined) throw new NoticeFault('secret-file');
  return secret;
}
