// The server's side of a session's first lines, up to its first command.
//
//     C: VERSION TAB doveadm-server TAB 1 TAB 2 LF
//     S: VERSION TAB doveadm-client TAB 1 TAB 3 LF  + LF           preauthenticated
//                                                   - LF           else, and then
//     C: STARTTLS LF ClientHello ...                               no answer; nothing is repeated inside TLS
//     C: PLAIN TAB AGRvdmVhZG0Ac2VjcmV0 LF      S: + LF
//
// It returns steps; the caller takes them in their order and comes back. The client speaks first. A bad VERSION line is answered by
// closing, without a byte (so does Dovecot, measured on 2.3.13 to 2.4.5). There is one try at PLAIN. The bytes after STARTTLS are the
// ClientHello, never lines: those would be lines without TLS.

import { WireFault, type WireFaultCode } from '../../host/ports/faults.js';
import { LineSplitter } from '../protocol/lines.js';
import { ofMinor } from '../protocol/minors.js';
import { formatVersion, protocolMajor, readPlain, readVersion } from './greeting.js';

/** The next thing to do; steps of one call are done in their order. */
export type AcceptStep =
  | { do: 'send'; bytes: Buffer }
  /** Hand `rest`, and all further bytes of the transport, to TLS; then call tlsStarted. */
  | { do: 'start-tls'; rest: Buffer }
  /** Check this and call verified. */
  | { do: 'verify'; user: string; password: Buffer }
  /** A password came without TLS. It is not checked: anybody on the network may have read it. */
  | { do: 'in-clear'; user: string }
  /** Over: `rest` begins with the first command. `minor` is the smaller one of both, `clientMinor` as announced. */
  | { do: 'ready'; minor: number; clientMinor: number; rest: Buffer }
  /** Over: close the transport after the sent bytes are written. */
  | { do: 'close'; why: WireFaultCode | 'auth-failed' | 'ended' | 'proxy-header' };

export interface HandshakeAcceptOptions {
  minor: number;
  /** The transport identifies the peer: no STARTTLS, no PLAIN. */
  preauthenticated: boolean;
  /** 'starttls': offered, and demanded before PLAIN. 'done': the transport is TLS already. */
  tls: 'none' | 'starttls' | 'done';
  plainAllowed: boolean;
  /** Bytes of a line; also of the input that is held while a password is checked. */
  lineBytesMax: number;
}

const starttls = Buffer.from('STARTTLS');
const lineEnd = Buffer.from('\n');

/** Whether bytes begin with a PROXY header of version 1, or 2, whose first CR a line loses. */
export function isProxyHeader(bytes: Buffer): boolean {
  return /^(?:PROXY |\r?\n\r\n\0\r\nQUIT\n)/.test(bytes.toString('latin1', 0, 12));
}

/** A machine for one accepted transport. Every call returns the steps that follow from it; after ready or close there are none. */
export class HandshakeAccept {
  readonly #options: HandshakeAcceptOptions;
  #at: 'version' | 'auth' | 'tls' | 'verify' | 'over' = 'version';
  #isTls: boolean;
  #clientMinor = 0;
  #lines: LineSplitter;

  constructor(options: HandshakeAcceptOptions) {
    this.#options = options;
    this.#isTls = options.tls === 'done';
    this.#lines = new LineSplitter(options);
  }

  get pendingBytes(): number {
    return this.#lines.pendingBytes;
  }

  /** Bytes of the transport, or of TLS once it has started. After the end of the handshake they are ignored. */
  push(chunk: Buffer): AcceptStep[] {
    if (this.#at === 'over') return [];
    // After start-tls the bytes belong to TLS; these were read too far.
    if (this.#at === 'tls') return this.#close('unexpected-input');
    if (this.#at === 'verify' && this.#lines.pendingBytes + chunk.length > this.#options.lineBytesMax) {
      return this.#close('line-too-long');
    }
    this.#lines.push(chunk);
    const steps: AcceptStep[] = [];
    while (this.#at === 'version' || this.#at === 'auth') {
      let line: Buffer | undefined;
      try {
        line = this.#lines.next();
      } catch (fault) {
        if (!(fault instanceof WireFault)) throw fault;
        steps.push(...this.#close(fault.code));
        break;
      }
      if (line === undefined) break;
      steps.push(...(this.#at === 'version' ? this.#readVersionLine(line) : this.#readAuthLine(line)));
    }
    return steps;
  }

  /** TLS is established: bytes pushed from now on came through it. Only after start-tls. */
  tlsStarted(): AcceptStep[] {
    if (this.#at !== 'tls') throw new Error('TLS was started unasked');
    this.#isTls = true;
    this.#at = 'auth';
    this.#lines = new LineSplitter(this.#options);
    return [];
  }

  /** Whether the password is right. Only after verify. */
  verified(ok: boolean): AcceptStep[] {
    if (this.#at === 'over') return [];
    if (this.#at !== 'verify') throw new Error('a judgement came unasked');
    return ok ? [send('+\n'), this.#ready()] : this.#refuse();
  }

  /** The client ended its input. During a password check it may still wait for the result. */
  end(): AcceptStep[] {
    return this.#at === 'over' || this.#at === 'verify' ? [] : this.#close('ended');
  }

  #close(why: Extract<AcceptStep, { do: 'close' }>['why']): AcceptStep[] {
    this.#at = 'over';
    this.#lines.takeRest();
    return [{ do: 'close', why }];
  }

  #refuse(): AcceptStep[] {
    return [send('-\n'), ...this.#close('auth-failed')];
  }

  #ready(): AcceptStep {
    this.#at = 'over';
    const clientMinor = this.#clientMinor;
    const minor = Math.min(this.#options.minor, clientMinor);
    return { do: 'ready', minor, clientMinor, rest: this.#lines.takeRest() };
  }

  #readVersionLine(line: Buffer): AcceptStep[] {
    const { minor: ownMinor, preauthenticated } = this.#options;
    const version = readVersion(line, 'doveadm-server');
    if (version?.major !== protocolMajor) {
      const start = Buffer.concat([line, lineEnd, this.#lines.takeRest()]);
      return this.#close(isProxyHeader(start) ? 'proxy-header' : 'bad-version');
    }
    this.#clientMinor = version.minor;
    // The VERSION line comes before the go-ahead.
    const announced = ofMinor(version.minor).readsVersion
      ? formatVersion('doveadm-client', ownMinor).toString()
      : '';
    const answer = send(`${announced}${preauthenticated ? '+\n' : '-\n'}`);
    if (preauthenticated) return [answer, this.#ready()];
    this.#at = 'auth';
    return [answer];
  }

  #readAuthLine(line: Buffer): AcceptStep[] {
    const { tls, plainAllowed } = this.#options;
    if (line.equals(starttls)) {
      if (this.#isTls || tls !== 'starttls') return this.#refuse();
      this.#at = 'tls';
      return [{ do: 'start-tls', rest: this.#lines.takeRest() }];
    }
    const plain = readPlain(line);
    if (!this.#isTls && !plainAllowed)
      return plain === undefined ? this.#refuse() : [{ do: 'in-clear', user: plain.user }, ...this.#refuse()];
    // Authenticating as one name and acting as another is refused, as by Dovecot.
    if (plain === undefined || plain.authzid !== '') return this.#refuse();
    this.#at = 'verify';
    return [{ do: 'verify', user: plain.user, password: plain.password }];
  }
}

function send(text: string): AcceptStep {
  return { do: 'send', bytes: Buffer.from(text) };
}
