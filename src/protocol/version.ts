// Owns the VERSION line, the first line of each direction.
//
//     client:  VERSION TAB doveadm-server TAB 1 TAB 2 LF
//     server:  VERSION TAB doveadm-client TAB 1 TAB 4 LF
//
// The names are crossed: each side says whom it wants to talk to. Does not know which minor means what.
// Defined by Dovecot in doveadm-protocol.h and version_string_verify_full().
// The rule: nothing is unescaped here, and nothing but digits is a number.
import { WireFault } from './wire-fault.js';

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
