// `dovegate lock` and `unlock`: at the admin socket of the daemon.

import { post, type WhichDaemon } from './operate.js';

export interface LockOptions extends WhichDaemon {
  readonly for: number;
  readonly reason: string;
  readonly kill: boolean;
}

export interface UnlockOptions extends WhichDaemon {
  readonly reason: string;
}

/** Exit code as of `post`. */
export function lock(target: string, options: LockOptions): Promise<number> {
  const { for: forMs, reason, kill } = options;
  return post(options, pathOf('lock', target, String(forMs), reason, ...(kill ? ['kill'] : [])));
}

export function unlock(target: string, options: UnlockOptions): Promise<number> {
  return post(options, pathOf('unlock', target, options.reason));
}

function pathOf(...words: readonly string[]): string {
  return words.map((word) => `/${encodeURIComponent(word)}`).join('');
}
