// Owns the PLAIN line: base64 of `authorization id NUL user NUL password`.
//
//     PLAIN TAB AGRvdmVhZG0Ac2VjcmV0 LF        doveadm, secret
//
// Does not know who may log in. The rule: the password is compared whole. Dovecot ends it at a NUL and takes
// `secret NUL junk` (measured); here the junk is part of it.
import { decodeUtf8 } from './escape.js';
import { WireFault } from './wire-fault.js';

/** What a PLAIN line says; nobody has judged it. */
export interface Plain {
  /** Dovecot refuses everything but the empty one. */
  authzid: string;
  user: string;
  /** All bytes behind the second NUL. */
  password: Buffer;
}

const prefix = Buffer.from('PLAIN\t');
const NUL = 0x00;

/**
 * Reads a PLAIN line (without LF). Throws WireFault bad-command when the word is another one, the base64 is not the
 * one spelling that an encoder gives, a NUL is missing, or the names are no UTF-8. A server answers `-` to it and closes.
 */
export function parsePlain(line: Buffer): Plain {
  if (!line.subarray(0, prefix.length).equals(prefix)) throw refused();
  const base64 = line.toString('latin1', prefix.length);
  const decoded = Buffer.from(base64, 'base64');
  // Node skips what is not base64; only the way back shows that nothing was skipped.
  if (decoded.toString('base64') !== base64) throw refused();
  const first = decoded.indexOf(NUL);
  const second = decoded.indexOf(NUL, first + 1);
  if (first < 0 || second < 0) throw refused();
  const authzid = decodeUtf8(decoded.subarray(0, first));
  const user = decodeUtf8(decoded.subarray(first + 1, second));
  if (authzid === undefined || user === undefined) throw refused();
  return { authzid, user, password: decoded.subarray(second + 1) };
}

/**
 * The PLAIN line with its LF and an empty authorization id. Throws WireFault bad-command for a user or password with a
 * NUL, which would end it at the server.
 */
export function formatPlain(user: string, password: Buffer): Buffer {
  const name = Buffer.from(user);
  if (name.includes(NUL) || password.includes(NUL)) {
    throw new WireFault('bad-command', 'a user or password with a NUL');
  }
  const nul = Buffer.of(NUL);
  return Buffer.from(`PLAIN\t${Buffer.concat([nul, name, nul, password]).toString('base64')}\n`);
}

function refused(): WireFault {
  return new WireFault('bad-command', 'not a PLAIN line');
}
