// Goal: root reads the settings of a verifier that runs as another user, with the files of that user, and does not write into its state.
// What must not happen: a key that any other user could read or change is used.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readFleetSettings } from '../../../src/evidence/cli/fleet-places.js';
import { openStateFolder } from '../../../src/evidence/fleet-cli/state-folder.js';
import { CommandFault } from '../../../src/host/output/output.js';
import { exitCodes } from '../../../src/host/ports/machine.js';
import { openFolder } from '../../kit/plain/folder.js';
import { onlyRoot } from '../../kit/plain/skipped.js';

// Without a name on any machine.
const [service, stranger] = [61_234, 61_235];

void test('root and a verifier of another user', onlyRoot('can give files to another user'), async (t) => {
  const folder = openFolder(t);
  const at = (name: string): string => join(folder, name);
  const [config, key, state] = [at('fleet.yaml'), at('store.ini'), at('state')];
  const text = { store: 'https://s3.example.com/audit', credentials: 'store.ini' };
  writeFileSync(config, JSON.stringify({ ...text, hosts: { gate1: null }, state }));
  writeFileSync(key, '[default]');
  mkdirSync(state, 0o700);
  const own = (path: string, mode: number, uid: number, gid = uid): void => {
    chownSync(path, uid, gid);
    chmodSync(path, mode);
  };
  /** The complaints, or why there are no settings. */
  const read = (): string => {
    const complaints: string[] = [];
    try {
      readFleetSettings(config, { complain: (line) => complaints.push(line) });
      return complaints.join('\n');
    } catch (fault) {
      assert.ok(fault instanceof CommandFault && fault.exitCode === exitCodes.configuration);
      return fault.message;
    }
  };

  own(config, 0o640, 0, service);
  own(state, 0o700, service);
  own(key, 0o600, service);
  assert.equal(read(), '', 'as the guide makes them');

  own(key, 0o604, service);
  assert.match(read(), /store\.ini can be read by every user/);
  own(key, 0o660, service, stranger);
  assert.match(read(), /store\.ini can be changed by group/);
  own(key, 0o640, service, stranger);
  assert.match(read(), /store\.ini can be read by group/);
  own(key, 0o600, stranger);
  assert.match(read(), /store\.ini belongs to uid 61235, who can change it/);
  own(key, 0o600, service);
  own(config, 0o640, service);
  assert.match(read(), /fleet\.yaml belongs to uid 61234, who can change it/);
  own(config, 0o640, 0);
  own(state, 0o700, 0);
  assert.match(read(), /store\.ini belongs to uid 61234, who can change it/);
  own(state, 0o700, service);

  writeFileSync(config, JSON.stringify({ ...text, hosts: { gate1: { key: '/dev/zero' } }, state }));
  assert.match(read(), /\/dev\/zero (cannot be read|can be changed)/);
  writeFileSync(config, JSON.stringify({ ...text, hosts: { gate1: null }, state }));

  const settings = readFleetSettings(config, { complain: () => undefined });
  await assert.rejects(
    openStateFolder(settings),
    (fault: unknown) =>
      fault instanceof CommandFault &&
      fault.exitCode === exitCodes.notPermitted &&
      /belongs to uid 61234.*run this command as that user/.test(fault.message),
  );
  assert.ok(!existsSync(join(state, 'lock')), 'nothing was written');
});
