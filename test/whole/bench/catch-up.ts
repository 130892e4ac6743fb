// `npm run bench -- catch-up [RECORDS] [folder | bucket]`: how long `dovegate ship` takes for the journal of a gate that could not reach
// its store for an hour at 200 commands a second (default 1,440,000 records), and its memory meanwhile. Into a folder, and a bucket with a
// lock of Ceph's gateway (root). At the end less than a block is left, which waits for its turn.

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseBlockName } from '../../../src/evidence/store/names.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { openStore, type StorePlace } from '../../../src/host/store/open-store.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { startDaemon, startShip } from '../../kit/gate/daemon.js';
import { configurationOf } from '../../kit/gate/gateway.js';
import { openGateway } from '../../kit/plain/bucket.js';
import { diskPlace, type Owner, openFolder, withOwner } from '../../kit/plain/folder.js';
import { exchange, makeJournal } from './load/journal.js';
import { say } from './load/report.js';
import { flagsOfUnit, memoryMiB, processSnapshot } from './load/usage.js';

const records = Number(process.argv[2] ?? 1_440_000);
const only = process.argv[3];
/** Of 200 commands a second, with two records each. */
const stepMs = 5;
/** Fewer than a block has. */
const restRecords = 8_000;
process.env['TMPDIR'] = diskPlace();

async function catchUp(owner: Owner, what: string, place: StorePlace, credentials?: string): Promise<void> {
  const folder = openFolder(owner);
  const directory = join(folder, 'audit');
  mkdirSync(directory, { mode: 0o700 });
  const startedMs = Date.now() - (records / 2) * stepMs;
  const { key, bytes, segments } = makeJournal(directory, { records }, { exchange, startedMs, stepMs });
  const host = 'gate-1';
  const receiver = `{ store: "${place.kind === 'bucket' ? place.url : `file://${place.path}`}", host: ${host}${credentials === undefined ? '' : ', credentials: store.ini'} }`;
  const config = configurationOf('localhost:1', {
    audit: `{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, sign_key: sign.pem, ship: [${receiver}] }`,
  });
  const files = {
    'ca.pem': makeAuthority({ name: 'bench' }).certificatePem,
    'mail1.password': 'secret\n',
    'sign.pem': key.secretPem,
    ...(credentials !== undefined && { 'store.ini': readFileSync(credentials, 'utf8') }),
  };
  const gate = await startDaemon(owner, { config, folder, files });
  const beganMs = performance.now();
  const ship = await startShip(owner, gate, { nodeFlags: flagsOfUnit('dovegate-ship') });
  const store = openStore({ place, prefix: 'dovegate', credentialsFile: credentials }, systemClock);
  let [end, objects] = [0, 0];
  while (end <= records - restRecords) {
    await pause(500);
    [end, objects] = [0, 0];
    for await (const page of store.list(`${host}/`))
      for (const name of page) {
        const { first = 0, last = 0 } = parseBlockName(name) ?? {};
        if (first !== end + 1) throw new Error(`${name}: record ${end + 1} is missing`);
        [end, objects] = [last, objects + 1];
      }
  }
  const seconds = (performance.now() - beganMs) / 1000;
  const { peak } = memoryMiB(ship.pid);
  const us = [...processSnapshot(ship.pid).threads.values()].reduce((sum, usage) => sum + usage.us, 0);
  store.close();
  say(
    what,
    `${end} of ${records} records, ${(bytes / 2 ** 20).toFixed(0)} MiB in ${segments} segments, ${objects} objects: ` +
      `${seconds.toFixed(1)} s, ${(us / 1e6).toFixed(1)} s of processor, ${peak.toFixed(0)} MiB at most`,
  );
}

await withOwner(async (owner) => {
  if (only !== 'bucket') await catchUp(owner, 'a folder', { kind: 'folder', path: openFolder(owner) });
  if (only === 'folder') return;
  const gateway = await openGateway(owner);
  if ('skip' in gateway) return say('a bucket', gateway.skip);
  const url = await gateway.openBucket({ lock: true });
  await catchUp(owner, 'a bucket with a lock', { kind: 'bucket', url }, gateway.credentialsFile);
});
