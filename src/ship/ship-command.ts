// `dovegate ship`: the process that sends records and notices.

import { readFromDisk, standardShipDoor } from '../host/machine/process.js';
import { stderr } from '../host/output/output.js';
import { exitCodes } from '../host/ports/machine.js';
import { findSettings } from '../rules/config/parse-settings.js';

export interface ShipOptions {
  readonly config: string;
  readonly door?: string;
  readonly state?: string;
}

/** Runs until a signal, or until there is no receiver; resolves to the exit code. */
export async function serveShip({ config, door, state }: ShipOptions): Promise<number> {
  // The user of the packaged service cannot read the configuration.
  const settings = door === undefined ? findSettings(config, readFromDisk).settings : undefined;
  const { audit, notices = [] } = settings ?? {};
  if (audit !== undefined && audit.ship.length + notices.length === 0) {
    stderr(`${config} has no receivers (audit.ship, notices), so nothing is shipped`);
    return exitCodes.ok;
  }
  const path = door ?? audit?.door ?? standardShipDoor;
  return (await import('./ship.js')).ship({ door: path, state: state ?? shipStateDirectory() });
}

/** Where `dovegate ship` keeps its own state: as systemd says, or as the package has it. */
function shipStateDirectory(): string {
  const [first] = (process.env['STATE_DIRECTORY'] ?? '').split(':');
  return first === undefined || first === '' ? '/var/lib/dovegate-ship' : first;
}
