// Owns the reading of all that Dovecot's auth service says on one transport: its greeting, then replies in any order.
//
//     VERSION TAB 1 TAB 4 LF   SPID TAB 25893 LF   NOTFOUND TAB 3 LF   USER TAB 1 TAB alice@example.org LF
//
// It does not know the questions, and no time: that nothing comes at all is for its caller to notice.
// The rule: the line behind VERSION must be SPID. A listener of the wrong type speaks the SASL protocol, which begins alike.
import { createLineSplitter } from '../../protocol/lines.js';
import { WireFault } from '../../protocol/wire-fault.js';
import { type AuthReply, type AuthReplyLimits, parseAuthReply } from './auth-reply.js';

/** What one auth service may make us hold. */
export interface AuthDialogueLimits extends AuthReplyLimits {
  /** Bytes of a line before its LF. Stops a line without end; the service itself has no limit for a reply. */
  readonly lineBytesMax: number;
}

/** What came, in order. */
export type AuthEvent =
  /** First, and once. `pid` is that of the service: another one after a reload. */
  | { readonly kind: 'greeted'; readonly minor: number; readonly pid: string }
  /** This is a listener of the SASL protocol: nothing else comes, whatever is pushed. */
  | { readonly kind: 'wrong-type' }
  | { readonly kind: 'reply'; readonly reply: AuthReply };

/** Bytes in, events out. */
export interface AuthDialogue {
  /**
   * The events of a chunk. Throws WireFault: bad-version for a first line that is no VERSION line of major 1, bad-status for what
   * is no reply, line-too-long.
   */
  push(chunk: Buffer): AuthEvent[];
  /** At the end of the input: throws WireFault truncated inside a line. An end before the greeting is no fault here. */
  end(): void;
  /** Bytes of the line that has no end yet. */
  readonly pendingBytes: number;
}

const numberMax = 0xffff_ffff;
const versionGrammar = /^VERSION\t([0-9]{1,10})\t([0-9]{1,10})$/;
const pidGrammar = /^SPID\t([0-9]{1,10})$/;
/** Lines that the SASL protocol has behind SPID. */
const saslGrammar = /^(MECH|CUID|COOKIE)\t|^DONE$/;

/** At the beginning of a transport. CRLF is taken for LF. */
export function createAuthDialogue(limits: AuthDialogueLimits): AuthDialogue {
  const lines = createLineSplitter(limits);
  let at: 'version' | 'spid' | 'first-reply' | 'replies' | 'wrong-type' = 'version';
  let minor = 0;

  function readLine(line: Buffer): AuthEvent | undefined {
    switch (at) {
      case 'version':
        minor = parseMinor(line);
        at = 'spid';
        return undefined;
      case 'spid': {
        const pid = pidGrammar.exec(line.toString('latin1'))?.[1];
        at = pid === undefined ? 'wrong-type' : 'first-reply';
        return pid === undefined ? { kind: 'wrong-type' } : { kind: 'greeted', minor, pid };
      }
      case 'first-reply':
        at = saslGrammar.test(line.toString('latin1')) ? 'wrong-type' : 'replies';
        return at === 'wrong-type'
          ? { kind: 'wrong-type' }
          : { kind: 'reply', reply: parseAuthReply(line, limits) };
      case 'replies':
        return { kind: 'reply', reply: parseAuthReply(line, limits) };
      case 'wrong-type':
        return undefined;
      default:
        return at satisfies never;
    }
  }

  return {
    get pendingBytes() {
      return lines.pendingBytes;
    },
    push(chunk) {
      if (at === 'wrong-type') return [];
      lines.push(chunk);
      const events: AuthEvent[] = [];
      for (let line = lines.next(); line !== undefined; line = lines.next()) {
        const event = readLine(line);
        if (event === undefined) continue;
        events.push(event);
        if (event.kind === 'wrong-type') lines.takeRest();
      }
      return events;
    },
    end() {
      lines.end();
    },
  };
}

function parseMinor(line: Buffer): number {
  const found = versionGrammar.exec(line.toString('latin1'));
  if (found === null) throw new WireFault('bad-version', 'not a VERSION line of the auth service');
  const minor = Number(found[2]);
  if (Number(found[1]) !== 1 || minor > numberMax)
    throw new WireFault('bad-version', 'another major version of the auth protocol');
  return minor;
}
