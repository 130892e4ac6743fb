// `dovegate kill`, `dovegate backend drain|enable`, `dovegate reload`: what an operator wants of the running daemon.

import { exitCodes } from '../terminal/exit-codes.js';
import { plain, stderr, stdout } from '../terminal/output.js';
import { findDaemon, type WhichDaemon } from './admin-client.js';

/** Ends one running command. Exit code 0; 1: it does not run; 69: no daemon; 77: not permitted; 78: configuration. */
export function kill(options: WhichDaemon & { readonly id: string }): Promise<number> {
  return post(options, `/kill/${encodeURIComponent(options.id)}`);
}

/** Takes a backend out of service, or back. Exit codes as of `kill`. */
export function backend(
  options: WhichDaemon & { readonly action: 'drain' | 'enable'; readonly name: string },
): Promise<number> {
  return post(options, `/backend/${encodeURIComponent(options.name)}/${options.action}`);
}

/** Has the configuration read again. Exit code 0; 1: it has problems, and the old one is kept; else as of `kill`. */
export function reload(options: WhichDaemon): Promise<number> {
  return post(options, '/reload');
}

async function post(which: WhichDaemon, path: string): Promise<number> {
  const daemon = findDaemon(which);
  if (typeof daemon === 'number') return daemon;
  const answer = await daemon('POST', path);
  if (typeof answer === 'number') return answer;
  const lines = answer.body.trimEnd().split('\n').map(plain).join('\n');
  if (answer.status === 200) stdout(lines);
  else stderr(lines);
  return exitCodeOf(answer.status);
}

/** Of an answer that is not what was hoped for, too. */
export function exitCodeOf(status: number): number {
  if (status === 200) return exitCodes.ok;
  return status === 401 || status === 403 ? exitCodes.notPermitted : exitCodes.failed;
}
