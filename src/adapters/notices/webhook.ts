// Posts a notice to a URL as Standard Webhooks says (https://www.standardwebhooks.com): the headers webhook-id, webhook-timestamp and
// webhook-signature, an HMAC-SHA256 over `ID.TIMESTAMP.BODY`. Only the status of the answer counts, and nothing behind its head is read. No
// redirect is followed. One time limit holds for the whole attempt, whatever the receiver does.

import { createHmac } from 'node:crypto';
import { type ClientRequest, request as plainRequest, type RequestOptions } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import { bounds } from '../../bounds/bounds.js';
import { NoticeFault } from '../../domain/notices/fault.js';
import { chatJsonOf, jsonOf } from '../../domain/notices/forms.js';
import type { Notice } from '../../domain/notices/notice.js';
import { parseSecret } from '../../domain/notices/receiver.js';
import type { Clock } from '../../ports/machine.js';
import { noticeFaultOf, readText, trustOf } from './connection.js';

export interface Webhook {
  readonly url: string;
  readonly format: 'json' | 'text';
  /** `whsec_` and base64; absent: no signature. */
  readonly secretFile?: string | undefined;
  readonly caFile?: string | undefined;
}

/** Resolves when the receiver has taken it. Rejects with a NoticeFault, or with the reason of the abort. */
export async function postWebhook(
  { url, format, secretFile, caFile }: Webhook,
  notice: Notice,
  { clock, lookup }: { readonly clock: Clock; readonly lookup: LookupFunction },
  signal: AbortSignal,
): Promise<void> {
  const body = Buffer.from(format === 'json' ? jsonOf(notice) : chatJsonOf(notice));
  const timestamp = String(Math.floor(clock.wallMs() / 1000));
  const secret = secretFile === undefined ? undefined : await readSecret(secretFile);
  const signature = secret && sign(secret, notice.id, timestamp, body);
  const at = new URL(url);
  const isTls = at.protocol === 'https:';
  const options: RequestOptions = {
    method: 'POST',
    // A connection of its own for each: notices are rare.
    agent: false,
    lookup,
    maxHeaderSize: bounds.noticeHeadBytes,
    headers: {
      'Content-Type': 'application/json',
      'Content-Length': body.length,
      'User-Agent': 'dovegate',
      'webhook-id': notice.id,
      'webhook-timestamp': timestamp,
      ...(signature !== undefined && { 'webhook-signature': signature }),
    },
    signal,
  };
  const trust = isTls ? await trustOf(caFile) : undefined;
  const open = (): ClientRequest =>
    trust === undefined ? plainRequest(at, options) : tlsRequest(at, { ...options, ...trust });
  const status = await statusOf(open, body, clock).catch((cause: unknown) => {
    throw signal.aborted ? signal.reason : noticeFaultOf(cause);
  });
  if (status >= 200 && status < 300) return;
  throw new NoticeFault(status >= 300 && status < 400 ? 'redirected' : 'status', status);
}

function statusOf(open: () => ClientRequest, body: Buffer, clock: Clock): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = open();
    const late = new NoticeFault('timeout');
    const timer = clock.setTimer(bounds.noticeMs, () => void request.destroy(late));
    let informed = 0;
    request.on('information', () => {
      informed += 1;
      if (informed > bounds.informationalAnswers) request.destroy(new NoticeFault('not-http'));
    });
    // Stays: a second error of a dying socket must not end the process.
    request.on('error', (cause) => {
      timer.cancel();
      reject(cause);
    });
    request.on('response', (response) => {
      timer.cancel();
      response.on('error', () => undefined);
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    request.on('close', () => {
      timer.cancel();
      // A switch of protocols, or an end without a word; after an answer it changes nothing.
      reject(new NoticeFault('not-http'));
    });
    request.end(body);
  });
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
