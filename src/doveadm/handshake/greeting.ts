// The lines of a handshake that hold more than a word: VERSION, the first line of each direction, and PLAIN.
//
//     client:  VERSION TAB doveadm-server TAB 1 TAB 2 LF
//     server:  VERSION TAB doveadm-client TAB 1 TAB 4 LF
//     client:  PLAIN TAB AGRvdmVhZG0Ac2VjcmV0 LF        base64 of `authorization id NUL user NUL password`: doveadm, secret
//
// The names of VERSION are crossed: each side says whom it wants to talk to. Defined by Dovecot in doveadm-protocol.h and
// version_string_verify_full(). Nothing is unescaped here, and nothing but digits is a number. The password is compared whole: Dovecot ends
// it at a NUL and takes `secret NUL junk` (measured); here the junk is part of it.
import { decodeUtf8 } from '../protocol/lines.js';

/** The name for the other side: a client sends doveadm-server, a server doveadm-client. */
export type VersionName = 'doveadm-server' | 'doveadm-client';

/** The numbers as announced, 0 to 4294967295. */
export interface Version {
  major: number;
  minor: number;
}

/** The only existing major (2.3.0 to 2.4.5). */
export const protocolMajor = 1;

const numberMax = 0xffff_ffff;
const versionGrammar = /^VERSION\t(doveadm-server|doveadm-client)\t([0-9]+)\t([0-9]+)$/;

/** Undefined if the line (without LF) is not a VERSION line with `name`. Leading zeros are ignored. */
export function readVersion(line: Buffer, name: VersionName): Version | undefined {
  const found = versionGrammar.exec(line.toString('latin1'));
  if (found === null || found[1] !== name) return undefined;
  const major = Number(found[2]);
  const minor = Number(found[3]);
  return major <= numberMax && minor <= numberMax ? { major, minor } : undefined;
}

/** With its LF and major 1. */
export function formatVersion(name: VersionName, minor: number): Buffer {
  if (!Number.isInteger(minor) || minor < 0 || minor > numberMax)
    throw new RangeError('minor is out of range');
  return Buffer.from(`VERSION\t${name}\t${protocolMajor}\t${minor}\n`);
}

/** The content of a PLAIN line; unverified. */
export interface Plain {
  /** Dovecot refuses any but the empty one. */
  authzid: string;
  user: string;
  /** All bytes after the second NUL. */
  password: Buffer;
}

const plainPrefix = Buffer.from('PLAIN\t');

/**
 * Undefined if the word differs, the base64 is not in its canonical form, a NUL is missing, or the names are not UTF-8. A server answers
 * `-` to such a line and closes.
 */
export function readPlain(line: Buffer): Plain | undefined {
  if (!line.subarray(0, plainPrefix.length).equals(plainPrefix)) return undefined;
  const base64 = line.toString('latin1', plainPrefix.length);
  const decoded = Buffer.from(base64, 'base64');
  // Node skips characters outside of base64; only encoding again shows that none was skipped.
  if (decoded.toString('base64') !== base64) return undefined;
  const first = decoded.indexOf(0);
  const second = decoded.indexOf(0, first + 1);
  if (first < 0 || second < 0) return undefined;
  const authzid = decodeUtf8(decoded.subarray(0, first));
  const user = decodeUtf8(decoded.subarray(first + 1, second));
  if (authzid === undefined || user === undefined) return undefined;
  return { authzid, user, password: decoded.subarray(second + 1) };
}

/** With its LF and an empty authorization id. Undefined for a user or password with a NUL, which would end it at the server. */
export function formatPlain(user: string, password: Buffer): Buffer | undefined {
  const name = Buffer.from(user);
  if (name.includes(0) || password.includes(0)) return undefined;
  const nul = Buffer.of(0);
  return Buffer.from(`PLAIN\t${Buffer.concat([nul, name, nul, password]).toString('base64')}\n`);
}
