// `dovegate audit fleet give`: on a gate, hands over lines of locks from a file, where no stream brings them. It asks at the door of
// `dovegate ship`, and its lines count as little or as much as those of a stream: by their signatures.

import { createDoorClient, DoorFault } from '../../adapters/door/door-client.js';
import { systemClock } from '../../adapters/host/clock.js';
import { bounds } from '../../bounds/bounds.js';
import { pause } from '../../concurrency/waiting.js';
import { shipCalls } from '../../domain/admin/door/ship.js';
import { plural } from '../../domain/language/words/words.js';
import { readLockLine } from '../../domain/records/fleet/lock-line.js';
import { exitCodes } from '../../ports/machine.js';
import { readAsked } from '../audit/fleet-places.js';
import { CommandFault, plain, readStdin } from '../output/output.js';
import type { Screen } from '../output/screen.js';

/** `file`: undefined: standard input. Exit code 0: the gate has taken a line; 1: none; 69: no gate answers; 77: not permitted. */
export async function fleetGive(screen: Screen, door: string, file: string | undefined): Promise<number> {
  const text = file === undefined ? String(await readStdin(bounds.besideFileBytes)) : readAsked(file);
  const written = text.split('\n').filter((line) => line.trim() !== '');
  const lines = written.filter((line) => typeof readLockLine(line) === 'object');
  const [notOne] = written.map((line) => readLockLine(line)).filter((read) => typeof read === 'string');
  if (lines.length === 0)
    throw new CommandFault(
      exitCodes.usage,
      `there is no line of "dovegate audit fleet lock --print"${notOne === undefined ? '' : `: ${notOne}`}`,
    );
  if (notOne !== undefined)
    screen.complain(
      `dovegate: not given: ${plural(written.length - lines.length, 'line')}: ${plain(notOne)}`,
    );
  const client = createDoorClient({ path: door, calls: shipCalls }, systemClock);
  let taken = 0;
  try {
    for (const line of lines) {
      const why = await give(line);
      if (why === undefined) taken += 1;
      else screen.complain(`dovegate: not taken: ${plain(why)}`);
    }
  } finally {
    client.close();
  }
  await screen.print(`${taken} of ${lines.length} taken by this gate; dovegate status lists the locks`);
  await screen.flush();
  return taken > 0 ? exitCodes.ok : exitCodes.failed;

  /** Undefined: the gate has taken it. */
  async function give(line: string): Promise<string | undefined> {
    for (;;) {
      try {
        await client.call('lock', { line });
        return undefined;
      } catch (fault) {
        if (isForbidden(fault))
          throw new CommandFault(exitCodes.notPermitted, `${door}: permission denied; run it as root`);
        if (!(fault instanceof DoorFault) || fault.code === 'away')
          throw new CommandFault(exitCodes.unavailable, `${door}: is a receiver configured?`, fault);
        if (fault.code !== 'busy') return fault.message;
        await pause(systemClock, bounds.fleetLockCallMs);
      }
    }
  }
}

function isForbidden(fault: unknown): boolean {
  const cause = fault instanceof DoorFault ? fault.cause : undefined;
  return cause instanceof Error && 'code' in cause && cause.code === 'EACCES';
}
