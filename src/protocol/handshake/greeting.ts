// The first lines of each direction: VERSION, and PLAIN with base64 of `authorization id NUL user NUL password`.
//
//     client:  VERSION TAB doveadm-server TAB 1 TAB 2 LF
//     server:  VERSION TAB doveadm-client TAB 1 TAB 4 LF
//     client:  PLAIN TAB AGRvdmVhZG0Ac2VjcmV0 LF        doveadm, secret
//
// The names are crossed: each side says whom it wants to talk to. Defined by Dovecot in doveadm-protocol.h and version_string_verify_full().
// The rules: nothing is unescaped here, and nothing but digits is a number; the password is compared whole. Dovecot ends it at a NUL and
// takes `secret NUL junk` (measured); here the junk is part of it.
import { WireFault } from '../../ports/wire-fault.js';
import { decodeUtf8 } from '../lines.js';

/** What a peer calls the other side: a client says doveadm-server, a server doveadm-client. */
export type VersionName = 'doveadm-server' | 'doveadm-client';

/** The numbers of a VERSION line. */
export interface Version {
  major: number;
  /** As announced, 0 to 4294967295. */
  minor: number;
}

/** The only major there is (2.3.0 to 2.4.5). */
export const protocolMajor = 1;

const numberMax = 0xffff_ffff;
const grammar = /^VERSION\t(doveadm-server|doveadm-client)\t([0-9]+)\t([0-9]+)$/;

/**
 * Reads a VERSION line (without LF) that must bear `name` and major 1. Leading zeros count for nothing.
 * Throws WireFault bad-version; to it a Dovecot server closes without a byte (measured on 2.3.13 to 2.4.5).
 */
export function parseVersion(line: Buffer, name: VersionName): Version {
  const version = readVersion(line, name);
  if (version === undefined) throw new WireFault('bad-version', 'not a VERSION line of this protocol');
  if (version.major !== protocolMajor)
    throw new WireFault('bad-version', 'another major version of the protocol');
  return version;
}

/** As parseVersion, for any major; undefined when the line is no VERSION line that bears `name`. */
export function readVersion(line: Buffer, name: VersionName): Version | undefined {
  const found = grammar.exec(line.toString('latin1'));
  if (found === null || found[1] !== name) return undefined;
  const major = Number(found[2]);
  const minor = Number(found[3]);
  return major <= numberMax && minor <= numberMax ? { major, minor } : undefined;
}

/** The VERSION line with its LF, major 1. */
export function formatVersion(name: VersionName, minor: number): Buffer {
  if (!Number.isInteger(minor) || minor < 0 || minor > numberMax)
    throw new RangeError('minor is out of range');
  return Buffer.from(`VERSION\t${name}\t${protocolMajor}\t${minor}\n`);
}

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
