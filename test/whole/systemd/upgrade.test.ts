// Goal: the Debian package upgraded and downgraded while clients come, ask and go. What must not happen: a client without an answer, a
// command without both of its records, a journal that begins anew or does not verify, another socket, a changed configuration.
// DOVEGATE_PACKAGE_BEFORE: the package of an older commit; without it, one of this tree with a lower version.
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { readAudit } from '../../kit/plain/traces.js';
import { until } from '../../kit/plain/until.js';
import {
  ask,
  configuration,
  configure,
  type Machine,
  onMachines,
  openBackend,
  releasesOr,
} from './machine.js';
import { packageOf } from './packages.js';

const service = 'dovegate.service';
const directory = '/var/lib/dovegate/audit';
const socket = '/run/dovegate/support.sock';
/** Clients that come, ask and go, one command each, until they are stopped. */
function startLoad(machine: Machine): { stop(): Promise<{ answered: number; faults: readonly string[] }> } {
  const over = new AbortController();
  let answered = 0;
  const faults: string[] = [];
  const one = async (): Promise<void> => {
    while (!over.signal.aborted)
      try {
        const status = await ask(machine, 'support', 'quota', 'get');
        if (status === '+') answered += 1;
        else faults.push(status);
        // Clients without a break would take the processor from the installation that they are to meet.
        await pause(20);
      } catch (error) {
        faults.push(String(error));
      }
  };
  const all = Promise.all(Array.from({ length: 8 }, one));
  return {
    async stop() {
      over.abort();
      await all;
      return { answered, faults };
    },
  };
}

onMachines('upgraded under load', releasesOr('bookworm'), { ownNode: true }, async (t, machine) => {
  await openBackend(t, machine);
  const [before, after] = [
    process.env['DOVEGATE_PACKAGE_BEFORE'] ?? (await packageOf('deb', '0.0.8')),
    await packageOf('deb', '0.0.9'),
  ].map((deb) => {
    copyFileSync(deb, join(machine.folder, basename(deb)));
    return `/mnt/test/${basename(deb)}`;
  });
  const install = (deb = ''): Promise<string> =>
    machine.run('env', 'DEBIAN_FRONTEND=noninteractive', 'dpkg', '--install', deb);
  const version = async (): Promise<string> => (await machine.run('dovegate', '--version')).trim();
  const commands = (): { admitted: readonly string[]; completed: readonly string[] } => {
    const records = readAudit(machine.path(directory)).map(({ record }) => record);
    const ids = (event: string): string[] =>
      records.filter((record) => record['event'] === event).map((record) => String(record['id']));
    return { admitted: ids('admission').toSorted(), completed: ids('completion').toSorted() };
  };

  await machine.run('groupadd', 'support');
  await install(before);
  const first = await version();
  configure(machine);
  await machine.run('systemctl', 'enable', '--now', 'dovegate@support.socket', service);
  assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
  const { ino } = statSync(machine.path(socket));
  let answered = 1;

  for (const [step, deb, expected] of [
    ['upgraded', after, '0.0.9'],
    ['downgraded', before, first],
  ] as const)
    await t.test(`${step}: each client has its answer, each command its records`, async (nested) => {
      const pid = await machine.property(service, 'MainPID');
      const load = startLoad(machine);
      await install(deb);
      const status = await machine.run('dovegate', 'status');
      assert.match(status, new RegExp(`^dovegate +${expected}, serving`, 'm'));
      const done = await load.stop();
      answered += done.answered;
      nested.diagnostic(`${done.answered} commands`);
      assert.deepEqual(done.faults, []);
      assert.ok(done.answered > 100, String(done.answered));
      assert.notEqual(await machine.property(service, 'MainPID'), pid);
      assert.equal(await version(), expected);
      // The last records of reads may still be in the ring.
      await until(
        () => commands().completed.length >= answered,
        () => `${commands().completed.length} of ${answered} records`,
      );
      const { admitted, completed } = commands();
      assert.equal(admitted.length, answered);
      assert.deepEqual(completed, admitted);
      assert.equal(new Set(admitted).size, answered);
      // One journal from the first version to the last.
      const verified = await machine.run('dovegate', 'audit', 'verify');
      assert.match(verified, /, seq 1 to \d+, [^]*\npassed\n$/);
      assert.equal(statSync(machine.path(socket)).ino, ino);
      assert.equal(readFileSync(machine.path('/etc/dovegate/dovegate.yaml'), 'utf8'), configuration);
      assert.match(await machine.run('dovegate', 'status'), /^memory +\/run\/dovegate\/audit\.ring$/m);
    });
});
