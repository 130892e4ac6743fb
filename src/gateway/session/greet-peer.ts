// The handshake with a peer, from its first byte to its first command line, with TLS and its login where the door asks for
// them. A script. The rules: it is over in its time, whatever the peer does; whoever is refused hears `-` and nothing else.

import type { Abortable } from '../../concurrency/abortable.js';
import { printable } from '../../domain/audit/export.js';
import type { Login } from '../../domain/identity/credentials.js';
import { networkOf, type Peer } from '../../domain/identity/peer.js';
import type { CloseReason } from '../../ports/close-reason.js';
import type { Transport } from '../../ports/transport.js';
import { TransportFault } from '../../ports/transport-fault.js';
import { type AcceptStep, createHandshakeAccept } from '../../protocol/handshake-accept.js';
import type { ExchangeContext } from '../command/exchange-context.js';
import type { CertificateOwner, Certified } from '../login/logins.js';
import type { LoginResult } from '../outcome/events.js';
import { strangerSource } from '../outcome/flood-watch.js';
import type { ListenerDoor } from './door.js';

/** A peer that was greeted: the minor of both, the one it announced, and what came behind; or why its session is over. */
export type GreetedPeer =
  | {
      readonly minor: number;
      readonly clientMinor: number;
      readonly rest: Buffer;
      /** Undefined: it was not asked. */
      readonly login: Login | undefined;
      /** By what its certificate was known as the account's. */
      readonly certificate: string | undefined;
    }
  | { readonly reason: CloseReason; readonly text: string | undefined };

/** What a handshake takes place in. */
export interface Greeting {
  readonly transport: Transport;
  readonly peer: Peer;
  readonly door: ListenerDoor;
  readonly context: Pick<ExchangeContext, 'clock' | 'buffered' | 'floods' | 'observe'>;
  readonly limits: { readonly handshakeMs: number; readonly lineBytesMax: number };
  /** Aborted by whoever closes the transport meanwhile, and when the time is over. */
  readonly waiting: Abortable;
  /** Called when the peer waits for its login behind failures from the same place. */
  readonly onSuspect: () => void;
}

/** Our minor: PACKET framing for all clients, logs after OPTION for the newer ones, flag `x` understood. */
export const ourMinor = 3;
/** A stranger's line: VERSION, STARTTLS, or a name and a password. */
const strangerLineBytesMax = 8 * 1024;
/** What is shown of a name that nobody vouches for. */
const shownNameMax = 64;

/** Rejects with a TransportFault or a WireFault. */
export async function greetPeer(greeting: Greeting): Promise<GreetedPeer> {
  const { transport, waiting, context, limits } = greeting;
  const { clock, buffered } = context;
  let timer: { cancel(): void } | undefined = clock.setTimer(limits.handshakeMs, () => {
    timer = undefined;
    transport.close('handshake-timeout');
    waiting.abort(new TransportFault('closed', 'the time of the handshake is over'));
  });
  try {
    // While too much of others' input is held, nobody new is read.
    if (buffered.isFull) await buffered.room(waiting.signal);
    return await shakeHands(greeting);
  } finally {
    timer?.cancel();
    transport.onGone(undefined);
  }
}

async function shakeHands(greeting: Greeting): Promise<GreetedPeer> {
  const { transport, door, limits } = greeting;
  let certified: Certified | undefined;
  if (door.tls === 'implicit') {
    // Whoever says nothing costs nothing: TLS begins with the first bytes, when it is their turn.
    const hello = await readInTurn(greeting);
    if (hello === null) return { reason: 'peer-ended', text: undefined };
    const owner = await acceptTls(greeting, hello);
    if (owner.kind === 'several') return endOf('auth-failed');
    certified = ofAccount(owner);
  }
  const preauthenticated = door.isPreauthenticated || certified !== undefined;
  const machine = createHandshakeAccept({
    minor: ourMinor,
    preauthenticated,
    tls: door.tls === 'implicit' ? 'done' : door.tls,
    plainAllowed: door.plainWithoutTls,
    lineBytesMax: preauthenticated
      ? limits.lineBytesMax
      : Math.min(limits.lineBytesMax, strangerLineBytesMax),
  });
  let login = certified?.login;
  let hasTried = false;
  for (;;) {
    const chunk = preauthenticated ? await transport.read() : await readInTurn(greeting);
    const steps: AcceptStep[] = chunk === null ? machine.end() : machine.push(chunk);
    for (let step = steps.shift(); step !== undefined; step = steps.shift()) {
      switch (step.do) {
        case 'send':
          await transport.write([step.bytes]);
          break;
        case 'start-tls': {
          const owner = await acceptTls(greeting, step.rest);
          if (owner.kind === 'several') return endOf('auth-failed');
          certified = ofAccount(owner);
          steps.push(...machine.tlsStarted());
          break;
        }
        case 'verify':
          hasTried = true;
          login = await judge(greeting, step, certified?.login);
          steps.push(...machine.verified(login !== undefined));
          break;
        case 'ready': {
          if (preauthenticated && login !== undefined) tell(greeting, 'certificate', login.account);
          const { minor, clientMinor, rest } = step;
          return { minor, clientMinor, rest, login, certificate: certified?.certificate };
        }
        case 'close':
          if (step.why === 'auth-failed' && !hasTried) tell(greeting, 'malformed', undefined);
          return endOf(step.why);
        default:
          return step satisfies never;
      }
    }
  }
}

/** The next bytes of somebody who has not logged in, when it is the turn of that place. */
async function readInTurn({ transport, door, peer }: Greeting): Promise<Buffer | null> {
  const chunk = await transport.read();
  if (chunk !== null) await door.logins?.turnOf(peer.address);
  return chunk;
}

function endOf(why: Extract<AcceptStep, { do: 'close' }>['why']): GreetedPeer {
  if (why === 'ended' || why === 'truncated') return { reason: 'peer-ended', text: undefined };
  if (why === 'auth-failed') return { reason: 'login-failed', text: undefined };
  return { reason: 'wire-fault', text: why };
}

/** One that is no account's is as good as none. */
function ofAccount(owner: CertificateOwner): Certified | undefined {
  return owner.kind === 'account' ? owner : undefined;
}

/**
 * Whose certificate the peer shows. One of several accounts must end the session: taken for none it would end as a wrong password,
 * and nobody would look for the accounts.
 */
async function acceptTls(greeting: Greeting, rest: Buffer): Promise<CertificateOwner> {
  const { transport, door, peer } = greeting;
  const offer = door.offer();
  if (offer === undefined) {
    transport.close('tls-failed');
    throw new TransportFault('tls-failed', 'there is no certificate to be shown');
  }
  try {
    const shown = await transport.acceptTls(offer, rest);
    const owner = shown && door.logins?.byCertificate(shown, peer.address);
    if (owner?.kind === 'several') tell(greeting, 'ambiguous', undefined, owner.accounts.join(' '));
    return owner ?? { kind: 'nobody' };
  } catch (fault) {
    if (fault instanceof TransportFault && fault.code === 'tls-failed') {
      tell(greeting, 'tls-failed', undefined, fault.message);
    }
    throw fault;
  }
}

async function judge(
  greeting: Greeting,
  { user, password }: Extract<AcceptStep, { do: 'verify' }>,
  certified: Login | undefined,
): Promise<Login | undefined> {
  const { transport, door, peer, waiting, limits, onSuspect } = greeting;
  if (door.logins === undefined) return undefined;
  transport.onGone(() => waiting.abort(new TransportFault('peer-gone', 'the other side is gone')));
  const answer = await door.logins.byPassword({
    address: peer.address,
    user,
    password,
    certified,
    // Half of the time is left for the handshake itself, and for those who are judged before.
    pauseMaxMs: limits.handshakeMs / 2,
    signal: waiting.signal,
    onSuspect,
  });
  tell(greeting, answer.result, user);
  return 'login' in answer ? answer.login : undefined;
}

/** What became of a login: counted always, told of where it failed, unless there are too many. */
function tell(greeting: Greeting, result: LoginResult, user: string | undefined, text?: string): void {
  const { peer, context } = greeting;
  const { listener, address } = peer;
  const isIn = result === 'ok' || result === 'remembered' || result === 'certificate';
  const source = strangerSource(networkOf(address ?? '-'), listener);
  const isTold = !isIn && context.floods.admit('login-failed', source);
  const account = user === undefined ? undefined : printable(user.slice(0, shownNameMax));
  context.observe({ kind: 'login', listener, result, address, account, isTold, text });
}
