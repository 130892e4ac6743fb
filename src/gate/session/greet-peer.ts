// The handshake with a peer, from its first byte to its first command line, with TLS and login where its listener requires them. It ends
// within its time limit, whatever the peer does. A refused peer gets `-` and nothing else.

import { type AcceptStep, HandshakeAccept, isProxyHeader } from '../../doveadm/handshake/accept.js';
import { minorForClients } from '../../doveadm/protocol/minors.js';
import { bounds } from '../../host/bounds/bounds.js';
import type { Abortable } from '../../host/concurrency/abortable.js';
import { TransportFault, WireFault, type WireFaultCode } from '../../host/ports/faults.js';
import type { HeldBytes, Timer } from '../../host/ports/machine.js';
import { networkOf, type Peer } from '../../host/ports/peer.js';
import type { CloseReason, ReadHttp, TlsOffer, Transport } from '../../host/ports/transport.js';
import { printable } from '../../host/words/text.js';
import type { Login } from '../../rules/identity/credentials.js';
import { keyRefusals } from '../../rules/keys/key.js';
import type { Policy } from '../../rules/policy/policy.js';
import type { ExchangeContext } from '../command/context.js';
import {
  type CertificateOwner,
  type Certified,
  type FailedKey,
  isCertificateOwner,
  type Logins,
} from '../login/logins.js';
import { type LoginFailure, type LoginResult, loginFailures } from '../outcome/events.js';
import type { RefusalCell } from '../relay/reply-writer.js';

export interface SessionLimits {
  readonly lineBytesMax: number;
  readonly handshakeMs: number;
  readonly inputBytesMax: number;
  readonly inputTimeMs: number;
  /** For HTTP: bytes of a request's body, and commands in it. */
  readonly httpBodyBytesMax: number;
  readonly httpCommandsMax: number;
}

export interface ListenerAccess {
  readonly protocol: 'doveadm' | 'http';
  /** For clients of minor 0; a session keeps what it had at its start. */
  readonly refusalCell: RefusalCell;
  /** Path of a UNIX socket that the daemon made and that speaks the doveadm protocol: commands proposed to people of this host name it. */
  readonly socket: string | undefined;
  /** The kernel identifies peers: no login. */
  readonly isPreauthenticated: boolean;
  /** Whether that address may connect; checked before a byte is read. */
  readonly mayConnect: (address: string | undefined) => boolean;
  /** `implicit`: from the first byte on; `starttls`: when the peer asks for it, and required before a password. */
  readonly tls: 'none' | 'starttls' | 'implicit';
  /** The certificate for peers; undefined: there is none, and peers that want TLS are refused. */
  readonly offer: () => TlsOffer | undefined;
  /** Passwords are accepted in clear: on loopback only, where the configuration says so. */
  readonly plainWithoutTls: boolean;
  readonly logins: Logins | undefined;
}

export const kernelAccess: ListenerAccess = {
  protocol: 'doveadm',
  refusalCell: false,
  socket: undefined,
  isPreauthenticated: true,
  mayConnect: () => true,
  tls: 'none',
  offer: () => undefined,
  plainWithoutTls: false,
  logins: undefined,
};

/**
 * The current configuration. A session calls these each time, because a reload may have replaced it; two values that must belong to the
 * same configuration are read without a wait between them.
 */
export interface SessionContext {
  /** Another object after each reload, also where only policies changed. */
  readonly exchanges: () => ExchangeContext;
  /** Undefined if the listener is gone. */
  readonly access: (listener: string) => ListenerAccess | undefined;
  /** The policy of a peer at its listener, or of its login; undefined: the peer is not, or no longer, allowed there. */
  readonly policy: (peer: Peer, login?: Login) => Policy | undefined;
  readonly origin: (peer: Peer, login?: Login) => string;
  readonly limits: () => SessionLimits;
  readonly readHttp: ReadHttp;
  /** Holds the body of a request: in a file, if the memory of its session or of all sessions is used up. */
  readonly holdBody: (origin: string) => HeldBytes;
}

/** One listener as the service sees it; replaced by a reload. */
export interface ServedListener {
  readonly name: string;
  readonly sessionsMax: number;
  /** For one uid or one address. */
  readonly sessionsPerPeerMax: number;
  /** Unauthenticated sessions are counted separately, in total and for each address. */
  readonly unauthenticatedMax: number;
  readonly unauthenticatedPerPeerMax: number;
  readonly context: SessionContext;
}

/** A greeted peer: the negotiated minor, the announced one, and the bytes that followed; or why its session is over. */
export type GreetedPeer =
  | {
      readonly minor: number;
      readonly clientMinor: number;
      readonly rest: Buffer;
      readonly login: Login | undefined;
      readonly certificate: string | undefined;
    }
  | { readonly reason: CloseReason; readonly text: string | undefined };

export interface Greeting {
  readonly transport: Transport;
  readonly peer: Peer;
  readonly access: ListenerAccess;
  readonly context: Pick<ExchangeContext, 'clock' | 'buffered' | 'floods' | 'observe'>;
  readonly limits: { readonly handshakeMs: number; readonly lineBytesMax: number };
  /** Aborted when the transport is closed, or the time is over. */
  readonly waiting: Abortable;
  readonly onChecking: () => void;
}

/** VERSION, STARTTLS, or a name and a password: nothing here counts in `limits.buffered`. */
const greetingLineBytesMax = bounds.strangerLineBytes;
/** A login needs about five: a peer that sends more pieces, for example byte by byte, must not delay others. */
export const strangerPiecesMax = bounds.strangerPieces;

/** Rejects with a TransportFault or a WireFault. */
export async function greetPeer(greeting: Greeting): Promise<GreetedPeer> {
  const { transport, waiting, context } = greeting;
  const { buffered } = context;
  const timer = limitHandshake(greeting);
  try {
    // While the input buffer is full, new peers are not read.
    if (buffered.isFull) await buffered.room(waiting.signal, '');
    return await shakeHands(greeting);
  } finally {
    timer.cancel();
    transport.onGone(undefined);
  }
}

export function limitHandshake({ transport, waiting, context, limits }: Greeting): Timer {
  return context.clock.setTimer(limits.handshakeMs, () => {
    transport.close('handshake-timeout');
    waiting.abort(new TransportFault('closed', 'the time of the handshake is over'));
  });
}

async function shakeHands(greeting: Greeting): Promise<GreetedPeer> {
  const { transport, access, limits } = greeting;
  let certified: Certified | undefined;
  if (access.tls === 'implicit') {
    const accepted = await acceptImplicitTls(greeting);
    if (typeof accepted === 'string') return { reason: accepted, text: undefined };
    certified = accepted;
  }
  const preauthenticated = access.isPreauthenticated || certified !== undefined;
  const machine = new HandshakeAccept({
    minor: minorForClients,
    preauthenticated,
    tls: access.tls === 'implicit' ? 'done' : access.tls,
    plainAllowed: access.plainWithoutTls,
    lineBytesMax: Math.min(limits.lineBytesMax, greetingLineBytesMax),
  });
  let login = certified?.login;
  let hasTried = false;
  for (let pieces = 1; ; pieces += 1) {
    const chunk = preauthenticated ? await transport.read() : await readInTurn(greeting, pieces);
    const steps: AcceptStep[] = chunk === null ? machine.end() : machine.push(chunk);
    for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
      switch (step.do) {
        case 'send':
          await transport.write([step.bytes]);
          break;
        case 'start-tls': {
          const owner = await acceptTls(greeting, step.rest);
          if (isCertificateOwner(owner, 'several')) return endOf('auth-failed');
          certified = ofAccount(owner);
          steps.push(...machine.tlsStarted());
          break;
        }
        case 'verify':
          hasTried = true;
          login = await judge(greeting, step, certified?.login);
          steps.push(...machine.verified(login !== undefined));
          break;
        case 'in-clear':
          hasTried = true;
          reportLogin(greeting, 'in-clear', step.user);
          break;
        case 'ready': {
          if (preauthenticated && login !== undefined) reportLogin(greeting, 'certificate', login.account);
          const { minor, clientMinor, rest } = step;
          return { minor, clientMinor, rest, login, certificate: certified?.certificate };
        }
        case 'close':
          if (step.why === 'auth-failed' && !hasTried) reportLogin(greeting, 'malformed', undefined);
          if (step.why === 'proxy-header') throw proxyHeader();
          return endOf(step.why);
        default:
          return step satisfies never;
      }
    }
  }
}

/** TLS from the first byte on: returns the account of the peer's certificate, if it shows one; or why its session is over. */
export async function acceptImplicitTls(
  greeting: Greeting,
): Promise<Certified | 'peer-ended' | 'login-failed' | undefined> {
  // TLS begins with the first bytes, in turn: a silent connection costs nothing.
  const hello = await readInTurn(greeting);
  if (hello === null) return 'peer-ended';
  if (isProxyHeader(hello)) throw proxyHeader();
  const owner = await acceptTls(greeting, hello);
  return isCertificateOwner(owner, 'several') ? 'login-failed' : ofAccount(owner);
}

/** The next bytes of an unauthenticated peer, in the turn of its network. `pieces`: their number, from 1. */
export async function readInTurn(greeting: Greeting, pieces = 1): Promise<Buffer | null> {
  const chunk = await greeting.transport.read();
  if (chunk !== null) await strangerTurn(greeting, pieces);
  return chunk;
}

/** The turn for a piece of an unauthenticated peer: one that sends too many comes after all others. */
export async function strangerTurn(
  { access, peer, waiting }: Pick<Greeting, 'access' | 'peer' | 'waiting'>,
  pieces: number,
): Promise<void> {
  await access.logins?.turnOf(peer.address, waiting.signal, pieces > strangerPiecesMax);
}

/** The text says PROXY, so that operators find the setting of their load balancer. */
export function proxyHeader(): WireFault {
  return new WireFault('unexpected-input', 'a PROXY header: this listener takes none');
}

function endOf(why: WireFaultCode | 'auth-failed' | 'ended'): GreetedPeer {
  if (why === 'ended') return { reason: 'peer-ended', text: undefined };
  if (why === 'auth-failed') return { reason: 'login-failed', text: undefined };
  return { reason: 'wire-fault', text: why };
}

function ofAccount(owner: CertificateOwner): Certified | undefined {
  return isCertificateOwner(owner, 'account') ? owner : undefined;
}

/** An HTTP request with a key or a password in place of a ClientHello. */
const httpLogin = /^[A-Z]+ \S+ HTTP\/1\.\d\r?\n(?:[^\n]*\n)*?authorization:/i;

/**
 * Returns the account of the peer's certificate. A certificate that fits several accounts must end the session here: treated as no
 * certificate it would end as a wrong password, and the conflict would not be noticed.
 */
async function acceptTls(greeting: Greeting, rest: Buffer): Promise<CertificateOwner> {
  const { transport, access, peer } = greeting;
  const offer = access.offer();
  if (offer === undefined) {
    transport.close('tls-failed');
    throw new TransportFault('tls-failed', 'there is no certificate to be shown');
  }
  try {
    const shown = await transport.acceptTls(offer, rest);
    const owner = shown && access.logins?.byCertificate(shown, peer.address);
    if (isCertificateOwner(owner, 'several'))
      reportLogin(greeting, 'ambiguous', undefined, { text: owner.accounts.join(' ') });
    return owner ?? { kind: 'nobody' };
  } catch (fault) {
    if (fault instanceof TransportFault && fault.code === 'tls-failed') {
      const result = httpLogin.test(rest.toString('latin1')) ? 'in-clear' : 'tls-failed';
      reportLogin(greeting, result, undefined, { text: fault.message });
    }
    throw fault;
  }
}

async function judge(
  greeting: Greeting,
  { user, password }: Extract<AcceptStep, { do: 'verify' }>,
  certified: Login | undefined,
): Promise<Login | undefined> {
  const { transport, access, peer, waiting, onChecking } = greeting;
  if (access.logins === undefined) return undefined;
  onChecking();
  transport.onGone(() => waiting.abort(new TransportFault('peer-gone', 'the other side is gone')));
  const answer = await access.logins.byPassword({
    address: peer.address,
    user,
    password,
    certified,
    signal: waiting.signal,
  });
  reportLogin(greeting, answer.result, user);
  return 'login' in answer ? answer.login : undefined;
}

/** Counts every login; failed ones are logged, rate-limited. `user`: as the peer sent it, if it did. */
export function reportLogin(
  { peer, context }: Pick<Greeting, 'peer' | 'context'>,
  result: LoginResult,
  user: string | undefined,
  more: { readonly text?: string | undefined; readonly key?: FailedKey | undefined } = {},
): void {
  const { listener, address } = peer;
  if (!isFailure(result)) return context.observe({ kind: 'login', level: undefined, listener, type: result });
  const source = { network: networkOf(address ?? '-'), listener };
  const { key } = more;
  const name = key?.shown ?? user;
  const account = name === undefined ? undefined : printable(name.slice(0, bounds.shownNameChars));
  const who = account === undefined ? '' : ` as ${account}`;
  const what =
    key?.why === undefined
      ? `${loginFailures[result]}${who}`
      : `key ${account ?? '-'} ${keyRefusals[key.why]}`;
  context.observe({
    kind: 'login-failed',
    level: context.floods.admit('login-failed', source) ? 'warn' : undefined,
    text: `${what}, from ${address ?? 'an unknown address'}${more.text === undefined ? '' : `: ${more.text}`}`,
    listener,
    address,
    account,
    type: result,
    why: key?.why,
  });
}

function isFailure(result: LoginResult): result is LoginFailure {
  return Object.hasOwn(loginFailures, result);
}
