// What follows from the settings of a fleet: the store, and the checks of the verifier.

import { systemClock } from '../../host/machine/clock.js';
import { CommandFault } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { Fleet } from '../fleet/fleet.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';

/** Where the objects are, for sentences and for the state. */
export function nameOfStore({ place, prefix }: Pick<FleetSettings, 'place' | 'prefix'>): string {
  return `${place.kind === 'folder' ? place.path : place.url}/${prefix}`;
}

/** The name of this verifier among `verifiers`, by its keys; undefined: it is not listed. */
function ownName({ verifiers }: FleetSettings, keys: readonly string[]): string | undefined {
  return [...verifiers].find(([, listed]) => listed.some((key) => keys.includes(key)))?.[0];
}

/** Why other verifiers do not trust our lines; undefined: they do, or there are none. */
export function whyUnlisted(settings: FleetSettings, keys: readonly string[]): string | undefined {
  if (settings.verifiers.size === 0 || ownName(settings, keys) !== undefined) return undefined;
  return `the key of this verifier, ${keys.at(-1)}, is not among "verifiers": add it here and at the others, which take its lines for untrusted`;
}

/** `keys`: those that signed its checkpoints, oldest first. Throws a CommandFault for a foreign or damaged state. */
export function openFleet(settings: FleetSettings, keys: readonly string[], saved: unknown): Fleet {
  const { state, verifiers, place } = settings;
  // In a folder, the times of objects are those of the gates.
  const driftMs = place.kind === 'folder' ? undefined : settings.driftMs;
  const store = nameOfStore(settings);
  const name = ownName(settings, keys);
  const others = new Map([...verifiers].filter(([other]) => other !== name));
  const listed = name === undefined ? [] : (verifiers.get(name) ?? []);
  const verifier = { name, keys: [...new Set([...listed, ...keys])] };
  try {
    const wallMs = (): number => systemClock.wallMs();
    return new Fleet({ ...settings, store, driftMs, verifier, others, wallMs }, saved);
  } catch (fault) {
    if (!(fault instanceof TypeError)) throw fault;
    const text = `the state in ${state}: ${fault.message}; move state.json away and leave the other files: everything is verified again`;
    throw new CommandFault(exitCodes.configuration, text);
  }
}
