// Sends a notice as a mail in plain text, by nodemailer, an optional package that is loaded when the first mail is sent. Beyond this
// machine it goes only over TLS with a verified certificate. The socket is ours and closes at the time limit of the phase, whatever the
// library or the server does. A message has the same Message-ID at each delivery.

import { connect, isIP, type LookupFunction, type Socket } from 'node:net';
import type * as Library from 'nodemailer';
import { bounds } from '../../host/bounds/bounds.js';
import { systemCodeOf } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { isOfThisMachine } from '../../host/ports/peer.js';
import { asObject, isCount, isText } from '../../host/values/values.js';
import type { MailSettings } from '../../rules/config/settings.js';
import type { NoticeMail } from '../notices/forms.js';
import { NoticeFault } from '../notices/notice-fault.js';
import { noticeFaultOf, trustOf } from './connection.js';

/** Interval of the check how much a server has sent over TLS. */
const lookMs = 50;
/** A server that has not answered for so long after the dot is slow: later notices must not wait for it. */
const slowMs = 5_000;

/**
 * Resolves when the server has taken it for at least one address. Rejects with a NoticeFault, or with the reason of the abort. `onSlow`:
 * the server has the whole mail, and does not answer soon.
 */
export async function sendMail(
  { to, from, host, port, caFile }: Pick<MailSettings, 'to' | 'from' | 'host' | 'port' | 'caFile'>,
  mail: NoticeMail,
  { clock, lookup }: { readonly clock: Clock; readonly lookup: LookupFunction },
  signal: AbortSignal,
  onSlow: () => void = () => undefined,
): Promise<void> {
  const { createTransport } = await loadLibrary();
  const isLocal = isOfThisMachine(host);
  const tls = isLocal ? undefined : await trustOf(caFile);
  signal.throwIfAborted();
  const socket = connect({ host, port, lookup });
  // Stays: a late error of the socket must not end the process.
  socket.on('error', () => undefined);
  let given: NoticeFault | undefined;
  const giveUp = (fault: NoticeFault): void => {
    given ??= fault;
    // Without an error: the library would write into it.
    socket.destroy();
  };
  let isWhole = false;
  let timer = clock.setTimer(bounds.noticeMs, late);
  function late(): void {
    giveUp(new NoticeFault('timeout'));
  }
  // The library's log alone shows its progress: each command that it sends, and the end of the message. RFC 5321, 4.5.3.2.
  function onWord({ tnx }: { readonly tnx?: unknown }): void {
    if (isWhole || (tnx !== 'client' && tnx !== 'message')) return;
    timer.cancel();
    isWhole = tnx === 'message';
    timer = isWhole
      ? clock.setTimer(slowMs, () => {
          timer = clock.setTimer(bounds.noticeMailEndMs - slowMs, late);
          onSlow();
        })
      : clock.setTimer(bounds.noticeMailStepMs, late);
  }
  // The library limits one answer, not their number. Under TLS the socket emits no data, so its bytes are counted now and then.
  let look = clock.setTimer(lookMs, lookAgain);
  function lookAt(): void {
    if (socket.bytesRead > 128 * 1024) giveUp(new NoticeFault('mail-refused'));
  }
  function lookAgain(): void {
    lookAt();
    look = clock.setTimer(lookMs, lookAgain);
  }
  const onAbort = (): void => void socket.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await connected(socket);
    // The library resumes it.
    socket.on('data', lookAt).pause();
    timer.cancel();
    timer = clock.setTimer(bounds.noticeMailStepMs, late);
    const transport = createTransport({
      host,
      port,
      connection: socket,
      secure: false,
      ...(tls === undefined
        ? { ignoreTLS: true }
        : {
            requireTLS: true,
            tls: { ...tls, servername: isIP(host) === 0 ? host : '', rejectUnauthorized: true },
          }),
      // Our own timers decide.
      greetingTimeout: bounds.noticeMailEndMs,
      socketTimeout: bounds.noticeMailEndMs,
      transactionLog: true,
      logger: { debug: onWord },
      maxResponseSize: 16 * 1024,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    const { id, subject, text, timeMs } = mail;
    await transport.sendMail({
      from: { name: '', address: from },
      to: to.map((address) => ({ name: '', address })),
      subject,
      text,
      messageId: `<${id}@${from.slice(from.lastIndexOf('@') + 1)}>`,
      date: new Date(timeMs),
      headers: { 'Auto-Submitted': 'auto-generated' },
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    const fault = given ?? faultOf(cause);
    // Without an answer to the dot nobody knows whether it was taken.
    throw isWhole && fault.status === undefined ? new NoticeFault('unanswered', undefined, cause) : fault;
  } finally {
    timer.cancel();
    look.cancel();
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  }
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.once('error', reject);
    socket.once('close', () => reject(new NoticeFault('unreachable')));
  });
}

/** The fault for an error of the library; the words of the server stay in the cause. */
function faultOf(cause: unknown): NoticeFault {
  if (!(cause instanceof Error) || cause instanceof NoticeFault) return noticeFaultOf(cause);
  const { responseCode, originalCode } = asObject(cause) ?? {};
  const code = systemCodeOf(cause);
  // A server that refuses STARTTLS has answered; otherwise TLS was begun.
  if (code === 'ETLS')
    return new NoticeFault(responseCode === undefined ? 'tls-failed' : 'no-starttls', undefined, cause);
  if (isCount(responseCode)) return new NoticeFault('mail-refused', responseCode, cause);
  if (code === 'EENVELOPE' || code === 'EMESSAGE' || code === 'EPROTOCOL')
    return new NoticeFault('mail-refused', undefined, cause);
  if (isText(originalCode)) return noticeFaultOf(cause, originalCode);
  return code === 'ECONNECTION' || code === 'ESOCKET'
    ? new NoticeFault('unreachable', undefined, cause)
    : noticeFaultOf(cause);
}

async function loadLibrary(): Promise<typeof Library> {
  try {
    return await import('nodemailer');
  } catch (cause) {
    throw new NoticeFault('library-missing', undefined, cause);
  }
}
