// Exit codes and error texts of doveadm 2.4, which scripts depend on.
// Measured on 2.4.1 and 2.4.5; 2.3 differs for a bare `-` and for three rare codes.

import type { LogLine } from '../../client/connect.js';

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

/** For temporary failures, and for all that prevents the command from being sent. */
export const tempFail = 75;
export const noUser = 67;
export const notFound = 68;

export function exitCodeOf(code: string): number {
  return codes[code] ?? 255;
}

/** For several users: the first failure, but a temporary one overrides it. */
export function joinExitCodes(before: number, next: number): number {
  return before === 0 || next === tempFail ? next : before;
}

/** A log line of the server as doveadm prints it; undefined: doveadm hides it. */
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

/** An error found here, in doveadm's format. */
export function formatOwnError(user: string, command: string, text: string): string {
  return `${prefixOf(user)}Error: cmd ${command}: ${text}`;
}

function prefixOf(user: string): string {
  return user === '' ? 'doveadm: ' : `doveadm(${user}): `;
}
