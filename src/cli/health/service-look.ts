// The unit of the daemon as systemd knows it: the user that it runs as, and whether it fails at each start. Where there is no systemd, or no
// such unit, nothing is said of either.

import { uidOf } from '../../adapters/host/accounts.js';
import { runProgram } from '../../adapters/host/programs.js';

export interface Service {
  readonly uid: number | undefined;
  /** Its last start failed; it may be about to be started again. */
  readonly isFailing: boolean;
}

export const noService: Service = { uid: undefined, isFailing: false };
const unit = 'dovegate.service';

export async function lookAtService(): Promise<Service> {
  const args = ['show', '--property=LoadState,User,ActiveState,SubState', unit];
  const ended = await runProgram('systemctl', args, { timeoutMs: 2_000, bytesMax: 4096 });
  return ended.kind === 'ended' && ended.exitCode === 0 ? readService(ended.stdout, uidOf) : noService;
}

/** From the lines of `systemctl show`. */
export function readService(lines: string, findUid: (name: string) => number | undefined): Service {
  const of = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(lines)?.[1] ?? '';
  if (of('LoadState') !== 'loaded') return noService;
  const user = of('User');
  return {
    uid: user === '' ? 0 : findUid(user),
    isFailing: of('ActiveState') === 'failed' || of('SubState') === 'auto-restart',
  };
}
