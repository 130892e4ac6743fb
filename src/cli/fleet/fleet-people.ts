// `dovegate audit fleet people`: the socket where people ask for the records of the mirror that they may see. What answers is in src/page.

import { systemClock } from '../../adapters/host/clock.js';
import { exitCodes } from '../../ports/machine.js';
import { mirroredJournals, mirrorIn, readFleetSettings } from '../audit/fleet-places.js';
import { CommandFault } from '../output/output.js';
import type { Screen } from '../output/screen.js';
import { formatEvent } from './watch-findings.js';

/** Exit code 0, after SIGTERM or SIGINT. Rejects with a CommandFault. */
export async function fleetPeople(screen: Screen, config: string): Promise<number> {
  const people = await import('../../page/fleet-people.js');
  const read = () => {
    const { people: named, peopleSocket: socket, state } = readFleetSettings(config, screen, 'state');
    if (named.length === 0)
      throw new CommandFault(
        exitCodes.configuration,
        `${config} names nobody: add people, as docs/audit-fleet.md says`,
      );
    return { people: named, socket, mirror: mirrorIn(state) };
  };
  try {
    return await people.fleetPeople({
      read,
      journals: mirroredJournals,
      async tell(event, fields) {
        await screen.print(formatEvent(systemClock.wallMs(), event, fields));
        await screen.flush();
        if (screen.isGone) throw new Error('its log cannot be written');
      },
    });
  } catch (fault) {
    if (fault instanceof CommandFault || !(fault instanceof Error)) throw fault;
    throw new CommandFault(exitCodes.configuration, fault.message, fault);
  }
}
