// With what doveadm 2.4 ends, and what it says of it. Scripts know these numbers and texts.
// Measured on 2.4.1 and 2.4.5; 2.3 differs for a bare `-` and for three rare codes.

import type { LogLine } from '../../client/connect.js';

/** Its exit codes, by the word of the status line. */
const codes: Readonly<Record<string, number>> = {
  TEMPFAIL: 75,
  USAGE: 64,
  NOPERM: 77,
  NOUSER: 67,
  PROTOCOL: 76,
  DATAERR: 65,
  NOTFOUND: 68,
  CHANGED: 2,
  EXPIRED: 235,
  REFERRAL: 75,
};

/** Of what is temporary, and of all that keeps the command from being asked. */
export const tempFail = 75;
/** Of a user that is not there. */
export const noUser = 67;
/** Of anything else that is not. */
export const notFound = 68;

/** The exit code for a failed status. */
export function exitCodeOf(code: string): number {
  return codes[code] ?? 255;
}

/** Of several users: the first failure counts, but a temporary one always. */
export function joinExitCodes(before: number, next: number): number {
  return before === 0 || next === tempFail ? next : before;
}

/** A log line of the server as doveadm prints it; undefined for one that it hides. */
export function formatRemoteLog(
  user: string,
  server: string,
  line: LogLine,
  showsDebug: boolean,
): string | undefined {
  if (line.type === 'debug' && !showsDebug) return undefined;
  const type = line.type.charAt(0).toUpperCase() + line.type.slice(1);
  return `${prefixOf(user)}${type}: remote(${server}): ${line.text}`;
}

/** An error of our own, in its form. */
export function formatOwnError(user: string, command: string, text: string): string {
  return `${prefixOf(user)}Error: cmd ${command}: ${text}`;
}

function prefixOf(user: string): string {
  return user === '' ? 'doveadm: ' : `doveadm(${user}): `;
}
