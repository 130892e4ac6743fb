// `dovegate lock` and `unlock`: at the admin socket of the daemon.

import { CommandFault } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { pathOf, post, refuseUnsaid, type WhichDaemon } from './operate.js';

interface LockOptions extends WhichDaemon {
  readonly for?: number;
  readonly destroying: boolean;
  readonly reason: string;
  readonly kill: boolean;
}

interface UnlockOptions extends WhichDaemon {
  readonly reason: string;
}

/** Exit code as of `post`. */
export function lock(target: string, options: LockOptions): Promise<number> {
  const { for: forMs, destroying, reason, kill } = options;
  if (forMs === undefined && !destroying)
    throw new CommandFault(exitCodes.usage, 'a lock needs --for; only a hold (--destroying) has no end');
  refuseUnsaid(reason);
  const time = forMs === undefined ? '-' : String(forMs);
  return post(options, pathOf(destroying ? 'hold' : 'lock', target, time, reason, ...(kill ? ['kill'] : [])));
}

export function unlock(target: string, options: UnlockOptions): Promise<number> {
  refuseUnsaid(options.reason);
  return post(options, pathOf('unlock', target, options.reason));
}
