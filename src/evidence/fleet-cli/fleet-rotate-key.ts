// `dovegate audit fleet rotate-key`: a line that the old key signs names the new one, and the old private key is removed. No store is
// needed: the next `verify` or `watch` puts the line there, and signs with the new key from then on.

import { systemClock } from '../../host/machine/clock.js';
import { readText } from '../../host/machine/files.js';
import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { messageOf } from '../../host/ports/faults.js';
import { exitCodes } from '../../host/ports/machine.js';
import { makeSignKey, parseSignKey } from '../../rules/keys/sign-key.js';
import { readFleetSettings } from '../cli/fleet-places.js';
import { countFindings, signCheckpoint } from '../fleet/checkpoint.js';
import { newestLine } from './checkpoints.js';
import { openFleet } from './open-settings.js';
import { openStateFolder } from './state-folder.js';

/** `newFile`: the private key that replaces the one of `checkpoint_key`. Exit code 0. Throws a CommandFault. */
export async function fleetRotateKey(
  screen: Screen,
  config: string,
  newFile: string | undefined,
): Promise<number> {
  const settings = readFleetSettings(config, screen);
  const { checkpointKeyFile, state } = settings;
  if (newFile === undefined && checkpointKeyFile !== undefined)
    throw new CommandFault(
      exitCodes.usage,
      `checkpoint_key names ${checkpointKeyFile}: make another key ("dovegate audit keygen FILE"), and name it with --new-key FILE`,
    );
  if (newFile !== undefined && checkpointKeyFile === undefined)
    throw new CommandFault(exitCodes.usage, '--new-key is for a key that checkpoint_key names; leave it out');
  const folder = await openStateFolder(settings);
  try {
    const oldPem = folder.signKey();
    const keys = folder.publicKeys();
    const newPem = newFile === undefined ? makeSignKey().secretPem : readKey(newFile);
    const { key: nextKey } = parseSignKey(newPem);
    if (keys.includes(nextKey))
      throw new CommandFault(exitCodes.failed, `the key in ${newFile} has signed here already; make another`);
    const fleet = openFleet(settings, keys, folder.load()?.fleet);
    const nowMs = systemClock.wallMs();
    const findings = countFindings(fleet.status(nowMs).findings);
    const seen = { heads: fleet.heads(), findings, nextKey };
    const before = newestLine(fleet, parseSignKey(oldPem).key, folder);
    const { line, seq } = signCheckpoint(seen, before, oldPem, nowMs);
    folder.replaceKey(line, nextKey, newFile === undefined ? newPem : undefined);
    await screen.print(`line ${seq} of checkpoints.jsonl names the new key: ${nextKey}`);
    if (newFile !== undefined)
      await screen.print(`set checkpoint_key to ${newFile}, and remove the old key: ${checkpointKeyFile}`);
    await screen.print(
      `copy ${state}/checkpoint.pub to the other verifiers ("verifiers"), and keep it with the lines that are kept elsewhere`,
    );
    await screen.flush();
    return exitCodes.ok;
  } finally {
    folder.close();
  }
}

function readKey(path: string): string {
  try {
    const pem = readText(path);
    parseSignKey(pem);
    return pem;
  } catch (cause) {
    throw new CommandFault(exitCodes.configuration, `${path} cannot be used: ${messageOf(cause)}`);
  }
}
