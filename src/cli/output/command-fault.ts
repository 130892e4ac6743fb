// What ends a subcommand before it could do its work, with the exit code that says so.

import { printable } from '../../domain/audit/export.js';

/** The message is for the one who typed the command; `cause` is what the system said. */
export class CommandFault extends Error {
  readonly exitCode: number;
  constructor(exitCode: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'CommandFault';
    this.exitCode = exitCode;
  }
}

/** One sentence with the system's code behind it, harmless for a terminal (a path may have been named by anybody). */
export function formatFault(fault: Error): string {
  const { cause } = fault;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
  const text = fault.message.split('\n').map(printable).join('\n');
  return code === undefined ? text : `${text}: ${printable(code)}`;
}
