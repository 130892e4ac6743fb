// The handshake of who dials, on a transport: performs the steps of wire/handshake-dial, TLS among them. A script; its state is the
// program counter. It knows neither addresses nor time: who calls it closes the transport, also to end it.

import type { TlsDemand, Transport } from '../ports/transport.js';
import type { UpstreamFaultCode, UpstreamPhase } from '../ports/upstream-fault.js';
import { createHandshakeDial, type DialFailure, type DialStep } from './handshake-dial.js';

/** What is demanded of the server, and what it is told. */
export interface HandshakeOptions {
  /** What we announce. */
  readonly minor: number;
  readonly tls: 'starttls' | 'implicit' | 'off';
  readonly demand: TlsDemand;
  readonly credentials: { readonly user: string; readonly password: Buffer } | undefined;
  /** PLAIN may go without TLS. */
  readonly mayAuthenticateInClear: boolean;
}

/** What is waited for. */
export type HandshakePhase = Extract<UpstreamPhase, 'greeting' | 'tls' | 'authentication'>;

/** What came of it. */
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
