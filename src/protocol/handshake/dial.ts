// The client's side of an upstream's first lines, up to its first command: the machine, and a script that performs its steps on a transport.
//
//     C: VERSION TAB doveadm-server TAB 1 TAB 2 LF
//     S: VERSION TAB doveadm-client TAB 1 TAB 4 LF  - LF          no VERSION line to minor 0; + for preauthenticated
//     C: STARTTLS LF  ClientHello ...                             no answer, no second VERSION, no second -
//     C: PLAIN TAB AGRvdmVhZG0Ac2VjcmV0 LF      S: + LF
//
// The rules: where TLS is demanded, `+` in clear means that there is none: real clients go on in clear text, this one
// stops. Bytes that stand behind the `-` before STARTTLS were put there by somebody else. The password leaves only
// through TLS, or where that was said in so many words.
import type { TlsDemand, Transport } from '../../ports/transport.js';
import type { UpstreamFaultCode, UpstreamPhase } from '../../ports/upstream-fault.js';
import { WireFault } from '../../ports/wire-fault.js';
import { LineSplitter } from '../lines.js';
import { formatPlain, formatVersion, protocolMajor, readVersion } from './greeting.js';

/** Why a handshake cannot go on. Journals hold these words: none is ever renamed or reused. */
export type DialFailure =
  | 'not-doveadm'
  | 'version-unsupported'
  /** Clear text behind the go-ahead for STARTTLS. */
  | 'plaintext-injected'
  /** TLS was demanded, and the server greeted with + or is too old for it. */
  | 'tls-missing'
  /** The server demands PLAIN, and there are no credentials, or none that may go in clear. */
  | 'auth-required'
  | 'auth-rejected'
  | 'closed-early';

/** What is to be done next; steps of one call are done in their order. */
export type DialStep =
  | { do: 'send'; bytes: Buffer }
  /** Write what was sent, start TLS, check the certificate, then call tlsStarted. */
  | { do: 'start-tls' }
  /**
   * Over. `minor` is the smaller one of both, 0 when the server announced none; `rest` came behind the go-ahead, where
   * a server has nothing to say before the first command.
   */
  | { do: 'ready'; minor: number; serverMinor: number | undefined; rest: Buffer }
  /** Over: close the transport. The message holds nothing of the server's bytes. */
  | { do: 'fail'; code: DialFailure; message: string };

/** The machine. Every call returns the steps that follow from it; after ready or fail there are none. */
export interface HandshakeDial {
  /** The first steps, once. */
  start(): DialStep[];
  /** Bytes of the transport, or of TLS once it has started. After the end of the handshake they are ignored. */
  push(chunk: Buffer): DialStep[];
  /** TLS stands: what is pushed from now on came through it. Only after start-tls. */
  tlsStarted(): DialStep[];
  /** The server ended its output. */
  end(): DialStep[];
  /** Bytes held. */
  readonly pendingBytes: number;
}

/** What is demanded of the server, and what may be told to it. */
export interface HandshakeDialOptions {
  /** The minor to announce. */
  minor: number;
  /** 'starttls': demanded. 'done': the transport is TLS already. */
  tls: 'starttls' | 'done' | 'none';
  credentials: { user: string; password: Buffer } | undefined;
  /** PLAIN may be sent outside TLS. */
  mayAuthenticateInClear: boolean;
  lineBytesMax: number;
  /** The newest server minor to talk to; 4 (Dovecot 2.4.5) is what is known. */
  serverMinorMax?: number;
}

/** What the machine waits for: start(), the greeting, the rest of it, tlsStarted(), the answer to PLAIN, nothing more. */
type At = 'new' | 'greeting' | 'late-version' | 'tls' | 'answer' | 'over';

/** Servers of minor 1 (2.3.0 to 2.3.8) have no STARTTLS. */
const starttlsMinor = 2;
const versionPrefix = Buffer.from('VERSION\t');

/** A machine for one dialled transport. */
export function createHandshakeDial(options: HandshakeDialOptions): HandshakeDial {
  const { minor, credentials, lineBytesMax, serverMinorMax = 4 } = options;
  let at: At = 'new';
  let isTls = options.tls === 'done';
  let serverMinor: number | undefined;
  let lines = new LineSplitter({ lineBytesMax });

  function fail(code: DialFailure, message: string): DialStep[] {
    at = 'over';
    lines.takeRest();
    return [{ do: 'fail', code, message }];
  }

  function ready(): DialStep[] {
    at = 'over';
    return [{ do: 'ready', minor: Math.min(minor, serverMinor ?? 0), serverMinor, rest: lines.takeRest() }];
  }

  /** Steps for a VERSION line, or undefined when it is another line. */
  function readVersionLine(line: Buffer): DialStep[] | undefined {
    const version = readVersion(line, 'doveadm-client');
    if (version === undefined || serverMinor !== undefined) return undefined;
    if (version.major !== protocolMajor || version.minor > serverMinorMax) {
      return fail('version-unsupported', 'the server speaks another version of the protocol');
    }
    serverMinor = version.minor;
    return [];
  }

  function readGreetingLine(line: Buffer): DialStep[] {
    switch (line.toString('latin1')) {
      case '+':
        return greetedPreauthenticated();
      case '-':
        return greetedAuthenticate();
      default:
        return (
          readVersionLine(line) ??
          fail('not-doveadm', 'it is no doveadm server: its greeting is something else')
        );
    }
  }

  function greetedPreauthenticated(): DialStep[] {
    if (options.tls === 'starttls') return fail('tls-missing', 'the server greeted without asking for TLS');
    if (minor === 0 || serverMinor !== undefined) return ready();
    // Dovecot up to 2.2.33 sent its VERSION line behind the go-ahead. Without a clock, only what has come already can
    // be waited for; a VERSION line that comes later is input that nobody asked for, and ends the upstream.
    const behind = lines.takeRest();
    lines.push(behind);
    const compared = Math.min(behind.length, versionPrefix.length);
    if (compared === 0 || behind.compare(versionPrefix, 0, compared, 0, compared) !== 0) return ready();
    at = 'late-version';
    return [];
  }

  function greetedAuthenticate(): DialStep[] {
    if (credentials === undefined) return fail('auth-required', 'the server asks for a password');
    if (options.tls === 'starttls') {
      if (minor > 0 && (serverMinor ?? 0) < starttlsMinor) {
        return fail('tls-missing', 'the server is too old for STARTTLS');
      }
      if (lines.pendingBytes > 0) return fail('plaintext-injected', 'clear text came where TLS was to begin');
      at = 'tls';
      return [{ do: 'send', bytes: Buffer.from('STARTTLS\n') }, { do: 'start-tls' }];
    }
    return authenticate();
  }

  function authenticate(): DialStep[] {
    if (credentials === undefined || !(isTls || options.mayAuthenticateInClear)) {
      return fail('auth-required', 'the server asks for a password, which may not be sent in clear text');
    }
    let plain: Buffer;
    try {
      plain = formatPlain(credentials.user, credentials.password);
    } catch (error) {
      if (!(error instanceof WireFault)) throw error;
      return fail('auth-rejected', 'the user or the password holds a NUL, and no server would take it');
    }
    at = 'answer';
    return [{ do: 'send', bytes: plain }];
  }
  function readLine(line: Buffer): DialStep[] {
    switch (at) {
      case 'greeting':
        return readGreetingLine(line);
      case 'late-version': {
        const steps =
          readVersionLine(line) ??
          fail('not-doveadm', 'it is no doveadm server: its greeting is something else');
        return steps.length > 0 ? steps : ready();
      }
      case 'answer':
        if (line.toString('latin1') === '+') return ready();
        // The late VERSION line again: behind `-` it comes together with the answer to PLAIN, or before it.
        return (
          (minor > 0 ? readVersionLine(line) : undefined) ??
          fail('auth-rejected', 'the server refused the user or the password')
        );
      case 'new':
      case 'tls':
      case 'over':
        return [];
      default:
        return at satisfies never;
    }
  }

  return {
    get pendingBytes() {
      return lines.pendingBytes;
    },
    start() {
      if (at !== 'new') throw new Error('a handshake was started twice');
      at = 'greeting';
      return [{ do: 'send', bytes: formatVersion('doveadm-server', minor) }];
    },
    push(chunk) {
      if (at === 'over') return [];
      if (at === 'new') return fail('not-doveadm', 'the server spoke first');
      // Whoever started TLS takes the bytes away from here; these were read past it.
      if (at === 'tls') return fail('plaintext-injected', 'clear text came where TLS was to begin');
      lines.push(chunk);
      const steps: DialStep[] = [];
      while (at === 'greeting' || at === 'late-version' || at === 'answer') {
        let line: Buffer | undefined;
        try {
          line = lines.next();
        } catch (error) {
          if (!(error instanceof WireFault)) throw error;
          steps.push(...fail('not-doveadm', 'the server sent a line that is too long'));
          break;
        }
        if (line === undefined) break;
        steps.push(...readLine(line));
      }
      return steps;
    },
    tlsStarted() {
      if (at !== 'tls') throw new Error('TLS was started unasked');
      isTls = true;
      lines = new LineSplitter({ lineBytesMax });
      return authenticate();
    },
    end() {
      return at === 'over' ? [] : fail('closed-early', 'the server closed before the handshake was over');
    },
  };
}

export interface HandshakeOptions {
  /** What we announce. */
  readonly minor: number;
  readonly tls: 'starttls' | 'implicit' | 'off';
  readonly demand: TlsDemand;
  readonly credentials: { readonly user: string; readonly password: Buffer } | undefined;
  /** PLAIN may go without TLS. */
  readonly mayAuthenticateInClear: boolean;
}

export type HandshakePhase = Extract<UpstreamPhase, 'greeting' | 'tls' | 'authentication'>;

export type Handshake =
  | {
      readonly kind: 'ready';
      /** The lower of both minors. */
      readonly minor: number;
      /** Undefined: the server announced none. */
      readonly serverMinor: number | undefined;
      /** Bytes that came behind the last plain line. */
      readonly rest: Buffer;
    }
  | { readonly kind: 'failed'; readonly code: DialFailure; readonly message: string };

const lineBytesMax = 8192;

/** Failures of the handshake, in the words of faults. */
export const faultOfFailure: Readonly<Record<DialFailure, UpstreamFaultCode>> = {
  'not-doveadm': 'version-unsupported',
  'version-unsupported': 'version-unsupported',
  'plaintext-injected': 'tls-failed',
  'tls-missing': 'tls-failed',
  'auth-required': 'auth-rejected',
  'auth-rejected': 'auth-rejected',
  'closed-early': 'closed-early',
};

/** Rejects with what the transport throws, and with a WireFault. `onPhase`: what is waited for from now on; first the greeting, unsaid. */
export async function shakeHands(
  transport: Transport,
  options: HandshakeOptions,
  onPhase: (phase: HandshakePhase) => void = () => undefined,
): Promise<Handshake> {
  const { tls, demand } = options;
  if (tls === 'implicit') {
    onPhase('tls');
    await transport.startTls(demand);
    onPhase('greeting');
  }
  const machine = createHandshakeDial({
    minor: options.minor,
    tls: tls === 'starttls' ? 'starttls' : tls === 'implicit' ? 'done' : 'none',
    credentials: options.credentials,
    mayAuthenticateInClear: options.mayAuthenticateInClear,
    lineBytesMax,
  });
  const hello = machine.start();
  let steps: DialStep[] = hello;
  for (;;) {
    for (const step of steps) {
      switch (step.do) {
        case 'send':
          await transport.write([step.bytes]);
          break;
        case 'start-tls':
          break;
        case 'ready':
          return { kind: 'ready', minor: step.minor, serverMinor: step.serverMinor, rest: step.rest };
        case 'fail':
          return { kind: 'failed', code: step.code, message: step.message };
        default:
          return step satisfies never;
      }
    }
    if (steps.some((step) => step.do === 'start-tls')) {
      onPhase('tls');
      await transport.startTls(demand);
      steps = machine.tlsStarted();
      continue;
    }
    if (steps !== hello && steps.at(-1)?.do === 'send') onPhase('authentication');
    const chunk = await transport.read();
    steps = chunk === null ? machine.end() : machine.push(chunk);
  }
}
