// The client's side of an upstream's first lines, up to its first command.
//
//     C: VERSION TAB doveadm-server TAB 1 TAB 2 LF
//     S: VERSION TAB doveadm-client TAB 1 TAB 4 LF  - LF          no VERSION line to minor 0; + for preauthenticated
//     C: STARTTLS LF  ClientHello ...                             no answer, no second VERSION, no second -
//     C: PLAIN TAB AGRvdmVhZG0Ac2VjcmV0 LF      S: + LF
//
// `HandshakeDial` returns steps; `shakeHands` performs them on a transport. Where TLS is demanded, `+` in clear means that there is none:
// real clients go on in clear text, this one stops. Bytes after the `-` before STARTTLS were injected. The password leaves only through
// TLS, or where that is permitted explicitly.

import { bounds } from '../../host/bounds/bounds.js';
import {
  UpstreamFault,
  type UpstreamFaultCode,
  type UpstreamPhase,
  WireFault,
} from '../../host/ports/faults.js';
import type { TlsDemand, Transport } from '../../host/ports/transport.js';
import { LineSplitter } from '../protocol/lines.js';
import { serverOf } from '../protocol/releases.js';
import { formatPlain, formatVersion, protocolMajor, readVersion } from './greeting.js';

/** The next thing to do; steps of one call are done in their order. */
export type DialStep =
  | { do: 'send'; bytes: Buffer }
  /** Write the sent bytes, start TLS, check the certificate, then call tlsStarted. */
  | { do: 'start-tls' }
  | ({ do: 'ready' } & Greeting)
  /** Over: close the transport. The message has no bytes of the server. */
  | { do: 'fail'; code: UpstreamFaultCode; message: string };

export interface Greeting {
  /** The smaller one of both, 0 when the server announced none. */
  minor: number;
  serverMinor: number | undefined;
  /** Bytes after the go-ahead; a server has nothing to send before the first command. */
  rest: Buffer;
}

/** The demands on the server, and the data that may be sent to it. */
export interface HandshakeDialOptions {
  minor: number;
  /** 'starttls': demanded. 'done': the transport is TLS already. */
  tls: 'starttls' | 'done' | 'none';
  credentials: { readonly user: string; readonly password: Buffer } | undefined;
  /** PLAIN may be sent outside TLS. */
  mayAuthenticateInClear: boolean;
  lineBytesMax: number;
}

const versionPrefix = Buffer.from('VERSION\t');

/** A machine for one dialed transport. Every call returns the steps that follow from it; after ready or fail there are none. */
export class HandshakeDial {
  readonly #options: HandshakeDialOptions;
  /** The step that is awaited: start(), the greeting, the rest of it, tlsStarted(), the answer to PLAIN, none. */
  #at: 'new' | 'greeting' | 'late-version' | 'tls' | 'answer' | 'over' = 'new';
  #isTls: boolean;
  #serverMinor: number | undefined;
  #lines: LineSplitter;

  constructor(options: HandshakeDialOptions) {
    this.#options = options;
    this.#isTls = options.tls === 'done';
    this.#lines = new LineSplitter(options);
  }

  get pendingBytes(): number {
    return this.#lines.pendingBytes;
  }

  start(): DialStep[] {
    if (this.#at !== 'new') throw new Error('a handshake was started twice');
    this.#at = 'greeting';
    return [{ do: 'send', bytes: formatVersion('doveadm-server', this.#options.minor) }];
  }

  /** Bytes of the transport, or of TLS once it has started. After the end of the handshake they are ignored. */
  push(chunk: Buffer): DialStep[] {
    if (this.#at === 'over') return [];
    if (this.#at === 'new') return this.#fail('version-unsupported', 'the server spoke first');
    // After start-tls the bytes belong to TLS; these were read too far.
    if (this.#at === 'tls') return this.#failInjected();
    this.#lines.push(chunk);
    const steps: DialStep[] = [];
    while (this.#at === 'greeting' || this.#at === 'late-version' || this.#at === 'answer') {
      let line: Buffer | undefined;
      try {
        line = this.#lines.next();
      } catch (fault) {
        if (!(fault instanceof WireFault)) throw fault;
        steps.push(...this.#fail('version-unsupported', 'the server sent a line that is too long'));
        break;
      }
      if (line === undefined) break;
      steps.push(...this.#readLine(line.toString('latin1'), line));
    }
    return steps;
  }

  /** TLS is established: bytes pushed from now on came through it. Only after start-tls. */
  tlsStarted(): DialStep[] {
    if (this.#at !== 'tls') throw new Error('TLS was started unasked');
    this.#isTls = true;
    this.#lines = new LineSplitter(this.#options);
    return this.#authenticate();
  }

  end(): DialStep[] {
    if (this.#at === 'over') return [];
    return this.#fail('closed-early', 'the server closed before the handshake was over');
  }

  #fail(code: UpstreamFaultCode, message: string): DialStep[] {
    this.#at = 'over';
    this.#lines.takeRest();
    return [{ do: 'fail', code, message }];
  }

  #failInjected(): DialStep[] {
    return this.#fail('tls-failed', 'clear text came where TLS was to begin');
  }

  #ready(): DialStep[] {
    this.#at = 'over';
    const serverMinor = this.#serverMinor;
    const minor = Math.min(this.#options.minor, serverMinor ?? 0);
    return [{ do: 'ready', minor, serverMinor, rest: this.#lines.takeRest() }];
  }

  #readLine(text: string, line: Buffer): DialStep[] {
    if (this.#at === 'answer') {
      if (text === '+') return this.#ready();
      // The late VERSION line: after `-` it comes together with the answer to PLAIN, or before it.
      const late = this.#options.minor > 0 ? this.#readVersionLine(line) : undefined;
      return late ?? this.#fail('auth-rejected', 'the server refused the user or the password');
    }
    if (this.#at === 'greeting' && text === '+') return this.#greetedPreauthenticated();
    if (this.#at === 'greeting' && text === '-') return this.#greetedAuthenticate();
    const steps =
      this.#readVersionLine(line) ??
      this.#fail('version-unsupported', `it is no doveadm server: ${greetingOf(text)}`);
    return this.#at === 'late-version' ? this.#ready() : steps;
  }

  /** Steps for a VERSION line, or undefined when it is another line. */
  #readVersionLine(line: Buffer): DialStep[] | undefined {
    const version = readVersion(line, 'doveadm-client');
    if (version === undefined || this.#serverMinor !== undefined) return undefined;
    if (version.major !== protocolMajor) {
      return this.#fail('version-unsupported', 'the server speaks another version of the protocol');
    }
    this.#serverMinor = version.minor;
    return [];
  }

  #greetedPreauthenticated(): DialStep[] {
    const { tls, minor } = this.#options;
    if (tls === 'starttls') return this.#fail('tls-failed', 'the server greeted without asking for TLS');
    if (minor === 0 || this.#serverMinor !== undefined) return this.#ready();
    // Dovecot up to 2.2.33 sent its VERSION line after the go-ahead. Without a clock, only bytes that came already can be checked; a
    // VERSION line that comes later is unexpected input and ends the upstream.
    const rest = this.#lines.takeRest();
    this.#lines.push(rest);
    const compared = Math.min(rest.length, versionPrefix.length);
    if (compared === 0 || rest.compare(versionPrefix, 0, compared, 0, compared) !== 0) return this.#ready();
    this.#at = 'late-version';
    return [];
  }

  #greetedAuthenticate(): DialStep[] {
    const { tls, minor: ownMinor, credentials } = this.#options;
    if (credentials === undefined) return this.#fail('auth-rejected', 'the server asks for a password');
    if (tls !== 'starttls') return this.#authenticate();
    if (ownMinor > 0 && !serverOf(this.#serverMinor).hasStartTls) {
      return this.#fail('tls-failed', 'the server is too old for STARTTLS');
    }
    if (this.#lines.pendingBytes > 0) return this.#failInjected();
    this.#at = 'tls';
    return [{ do: 'send', bytes: Buffer.from('STARTTLS\n') }, { do: 'start-tls' }];
  }

  #authenticate(): DialStep[] {
    const { credentials, mayAuthenticateInClear } = this.#options;
    if (credentials === undefined || !(this.#isTls || mayAuthenticateInClear)) {
      return this.#fail(
        'auth-rejected',
        'the server asks for a password, which may not be sent in clear text',
      );
    }
    const plain = formatPlain(credentials.user, credentials.password);
    if (plain === undefined) {
      return this.#fail('auth-rejected', 'the user or the password holds a NUL, and no server would take it');
    }
    this.#at = 'answer';
    return [{ do: 'send', bytes: plain }];
  }
}

/** What the server seems to be by its greeting, without any of its words. */
function greetingOf(line: string): string {
  if (line.startsWith('HTTP/'))
    return 'it speaks another protocol, as an HTTP listener does (dovegate send --http URL)';
  const [service] = services.find(([, greeting]) => greeting.test(line)) ?? [];
  return service === undefined ? 'its greeting is something else' : `it greets as ${service} does`;
}

const services = [
  ['IMAP', /^\* (?:OK|PREAUTH|BYE) /],
  ['POP3', /^\+OK /],
  ['LMTP or SMTP', /^220[ -]/],
  ['ManageSieve', /^"IMPLEMENTATION" /],
  ["Dovecot's auth service", /^VERSION\t\d+\t\d+$/],
] as const;

/** The demands on the server, and the data for it. */
export interface HandshakeOptions {
  readonly minor: number;
  readonly tls: 'starttls' | 'implicit' | 'off';
  readonly demand: TlsDemand;
  readonly credentials: HandshakeDialOptions['credentials'];
  readonly mayAuthenticateInClear: boolean;
}

export type HandshakePhase = Extract<UpstreamPhase, 'greeting' | 'tls' | 'authentication'>;

const lineBytesMax = bounds.greetingLineBytes;

/**
 * Greets a server. The caller owns the transport, and ends the handshake by closing it. Rejects with an UpstreamFault if the server does
 * not meet the demands, and with the transport's fault. `onPhase`: called with the step that is awaited from now on; the first one is the
 * greeting.
 */
export async function shakeHands(
  transport: Transport,
  options: HandshakeOptions,
  onPhase: (phase: HandshakePhase) => void = () => undefined,
): Promise<Greeting> {
  const { tls, demand } = options;
  let phase: HandshakePhase = 'greeting';
  const enter = (next: HandshakePhase): void => {
    phase = next;
    onPhase(next);
  };
  if (tls === 'implicit') {
    enter('tls');
    await transport.startTls(demand);
    enter('greeting');
  }
  const machine = new HandshakeDial({
    ...options,
    tls: tls === 'starttls' ? 'starttls' : tls === 'implicit' ? 'done' : 'none',
    lineBytesMax,
  });
  const hello = machine.start();
  let steps = hello;
  for (;;) {
    let hasTls = false;
    for (const step of steps) {
      switch (step.do) {
        case 'send':
          await transport.write([step.bytes]);
          break;
        case 'start-tls':
          hasTls = true;
          break;
        case 'ready':
          return step;
        case 'fail':
          // Other codes name their phase.
          throw new UpstreamFault(
            step.code,
            step.message,
            undefined,
            step.code === 'closed-early' ? phase : undefined,
          );
        default:
          return step satisfies never;
      }
    }
    if (hasTls) {
      enter('tls');
      await transport.startTls(demand);
      steps = machine.tlsStarted();
      continue;
    }
    if (steps !== hello && steps.at(-1)?.do === 'send') enter('authentication');
    const chunk = await transport.read();
    steps = chunk === null ? machine.end() : machine.push(chunk);
  }
}
