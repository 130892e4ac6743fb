// Owns the server's side of a session's first lines, up to its first command.
//
//     C: VERSION TAB doveadm-server TAB 1 TAB 2 LF
//     S: VERSION TAB doveadm-client TAB 1 TAB 3 LF  + LF           preauthenticated
//                                                   - LF           else, and then
//     C: STARTTLS LF ClientHello ...                               no answer; nothing is repeated inside TLS
//     C: PLAIN TAB AGRvdmVhZG0Ac2VjcmV0 LF      S: + LF
//
// Does not know sockets, TLS or passwords: it returns steps, somebody else takes them in their order and comes back.
// The rules: the client speaks first; a bad VERSION line is answered by closing, without a byte; there is one try at
// PLAIN. The bytes behind STARTTLS are the ClientHello, never lines: lines read there would be lines without TLS.
import { createLineSplitter, type LineSplitter } from './lines.js';
import { type Plain, parsePlain } from './plain.js';
import { formatVersion, parseVersion, type Version } from './version.js';
import { WireFault, type WireFaultCode } from './wire-fault.js';

/** What is to be done next; steps of one call are done in their order. */
export type AcceptStep =
  | { do: 'send'; bytes: Buffer }
  /** Hand `rest`, and all that comes on the transport, to TLS; then call tlsStarted. */
  | { do: 'start-tls'; rest: Buffer }
  /** Judge this and call verified. `authzid` is always '': another one was refused, as Dovecot does. */
  | { do: 'verify'; user: string; authzid: string; password: Buffer }
  /** Over: `rest` begins with the first command. `minor` is the smaller one of both, `clientMinor` as announced. */
  | { do: 'ready'; minor: number; clientMinor: number; rest: Buffer }
  /** Over: close the transport, once what was sent before is written. */
  | { do: 'close'; why: WireFaultCode | 'auth-failed' | 'ended' };

/** The machine. Every call returns the steps that follow from it; after ready or close there are none. */
export interface HandshakeAccept {
  /** Bytes of the transport, or of TLS once it has started. After the end of the handshake they are ignored. */
  push(chunk: Buffer): AcceptStep[];
  /** TLS stands: what is pushed from now on came through it. Only after start-tls. */
  tlsStarted(): AcceptStep[];
  /** The judgement. Only after verify. */
  verified(ok: boolean): AcceptStep[];
  /** The client ended its input. While a judgement is out it may still wait for what it sent before. */
  end(): AcceptStep[];
  /** Bytes held. */
  readonly pendingBytes: number;
}

/** What is known of the transport before its first byte. */
export interface HandshakeAcceptOptions {
  /** The minor that we announce. */
  minor: number;
  /** The transport says who it is: no STARTTLS, no PLAIN. */
  preauthenticated: boolean;
  /** 'starttls': offered, and demanded before PLAIN. 'done': the transport is TLS already. */
  tls: 'none' | 'starttls' | 'done';
  /** PLAIN is taken outside TLS. */
  plainAllowed: boolean;
  /** Bytes of a line; also of what is held while a judgement is out. */
  lineBytesMax: number;
}

type At = 'version' | 'auth' | 'tls' | 'verify' | 'over';

const starttls = Buffer.from('STARTTLS');

/** A machine for one accepted transport. */
export function createHandshakeAccept(options: HandshakeAcceptOptions): HandshakeAccept {
  const { minor, preauthenticated, plainAllowed, lineBytesMax } = options;
  let at: At = 'version';
  let isTls = options.tls === 'done';
  let clientMinor = 0;
  let lines: LineSplitter = createLineSplitter({ lineBytesMax });

  function close(why: Extract<AcceptStep, { do: 'close' }>['why']): AcceptStep[] {
    at = 'over';
    lines.takeRest();
    return [{ do: 'close', why }];
  }

  function send(bytes: Buffer): AcceptStep {
    return { do: 'send', bytes };
  }

  function refuse(): AcceptStep[] {
    return [send(Buffer.from('-\n')), ...close('auth-failed')];
  }

  function ready(): AcceptStep {
    at = 'over';
    return { do: 'ready', minor: Math.min(minor, clientMinor), clientMinor, rest: lines.takeRest() };
  }

  function readVersionLine(line: Buffer): AcceptStep[] {
    let version: Version;
    try {
      version = parseVersion(line, 'doveadm-server');
    } catch (error) {
      return close(codeOf(error));
    }
    clientMinor = version.minor;
    // A client of minor 0 knows no VERSION line in the answer; all others must get it before the go-ahead.
    const announced = clientMinor === 0 ? [] : [formatVersion('doveadm-client', minor)];
    const goAhead = Buffer.from(preauthenticated ? '+\n' : '-\n');
    const answer = send(Buffer.concat([...announced, goAhead]));
    if (preauthenticated) return [answer, ready()];
    at = 'auth';
    return [answer];
  }

  function readAuthLine(line: Buffer): AcceptStep[] {
    if (line.equals(starttls)) {
      if (isTls || options.tls !== 'starttls') return refuse();
      at = 'tls';
      return [{ do: 'start-tls', rest: lines.takeRest() }];
    }
    if (!isTls && !plainAllowed) return refuse();
    let plain: Plain;
    try {
      plain = parsePlain(line);
    } catch (error) {
      codeOf(error);
      return refuse();
    }
    // Nobody may log in as one and act as another.
    if (plain.authzid !== '') return refuse();
    at = 'verify';
    return [{ do: 'verify', ...plain }];
  }

  return {
    get pendingBytes() {
      return lines.pendingBytes;
    },
    push(chunk) {
      if (at === 'over') return [];
      // Whoever started TLS takes the bytes away from here; these were read past it.
      if (at === 'tls') return close('unexpected-input');
      if (at === 'verify' && lines.pendingBytes + chunk.length > lineBytesMax) return close('line-too-long');
      lines.push(chunk);
      const steps: AcceptStep[] = [];
      while (at === 'version' || at === 'auth') {
        let line: Buffer | undefined;
        try {
          line = lines.next();
        } catch (error) {
          steps.push(...close(codeOf(error)));
          break;
        }
        if (line === undefined) break;
        steps.push(...(at === 'version' ? readVersionLine(line) : readAuthLine(line)));
      }
      return steps;
    },
    tlsStarted() {
      if (at !== 'tls') throw new Error('TLS was started unasked');
      isTls = true;
      at = 'auth';
      lines = createLineSplitter({ lineBytesMax });
      return [];
    },
    verified(ok) {
      if (at === 'over') return [];
      if (at !== 'verify') throw new Error('a judgement came unasked');
      return ok ? [send(Buffer.from('+\n')), ready()] : refuse();
    },
    end() {
      return at === 'over' || at === 'verify' ? [] : close('ended');
    },
  };
}

/** The code of a fault; anything else is a bug, and goes on its way. */
function codeOf(error: unknown): WireFaultCode {
  if (error instanceof WireFault) return error.code;
  throw error;
}
