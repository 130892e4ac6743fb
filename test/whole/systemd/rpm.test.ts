// Goal: the rpm put into a booted systemd by rpm itself, with its scripts: installed, started, upgraded while it runs, erased. What must
// not happen: a script that fails, a daemon that is the old one after an upgrade, one that runs after its files are gone, a journal that
// goes.
import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readAudit } from '../../kit/plain/traces.js';
import { ask, configure, onMachines, openBackend } from './machine.js';
import { packageOf } from './packages.js';

const service = 'dovegate.service';
const conffile = '/etc/dovegate/environment';

// Of Debian too: a root of another distribution would need its packages. The libraries that the rpm names are there.
onMachines('the rpm under rpm and systemd', ['bookworm'], { ownNode: true }, async (t, machine) => {
  await openBackend(t, machine);
  const put = async (version: string): Promise<string> => {
    const file = await packageOf('rpm', version);
    copyFileSync(file, join(machine.folder, basename(file)));
    return `/mnt/test/${basename(file)}`;
  };
  const [older, newer] = [await put('0.0.8'), await put('0.0.9')];
  // What it needs is known to dpkg here, not to rpm.
  const rpm = async (...args: string[]): Promise<string> => {
    const done = await machine.try('rpm', '--nodeps', ...args);
    assert.equal(done.exit, 0, done.text);
    assert.doesNotMatch(done.text, /scriptlet failed|warning: %|not found/);
    return done.text;
  };
  const mainPid = (): Promise<string> => machine.property(service, 'MainPID');

  await t.test('installed: its users and folders are there, nothing is started', async () => {
    await machine.run('groupadd', 'support');
    assert.match(await rpm('--install', older), /Next: dovegate init/);
    assert.equal(await machine.run('dovegate', '--version'), '0.0.8\n');
    for (const user of ['dovegate', 'dovegate-page'])
      assert.match(await machine.run('id', user), new RegExp(`\\(${user}\\)`));
    assert.equal(await machine.run('stat', '-c', '%U %a', '/run/dovegate'), 'dovegate 755\n');
    assert.equal(await machine.property(service, 'ActiveState'), 'inactive');
    // Nothing but the file that the package says is changed.
    assert.equal((await machine.run('rpm', '--verify', '--nodeps', 'dovegate')).trim(), '');
  });

  await t.test('it serves a team', async () => {
    configure(machine);
    appendFileSync(machine.path(conffile), 'MINE=yes\n');
    await machine.run('systemctl', 'enable', '--now', 'dovegate@support.socket', service);
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
  });

  await t.test('upgraded: the daemon is the new one', async () => {
    const pid = await mainPid();
    await rpm('--upgrade', newer);
    assert.notEqual(await mainPid(), pid);
    assert.match(await machine.run('dovegate', 'status'), /^dovegate +0\.0\.9, serving/m);
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
    assert.match(readFileSync(machine.path(conffile), 'utf8'), /MINE=yes\n$/);
  });

  await t.test('erased: it is stopped; the configuration that was changed and the journal stay', async () => {
    await rpm('--erase', 'dovegate');
    assert.equal((await machine.try('systemctl', 'is-active', service)).text.trim(), 'inactive');
    assert.ok(!existsSync(machine.path('/usr/lib/dovegate')));
    assert.match(readFileSync(machine.path(`${conffile}.rpmsave`), 'utf8'), /MINE=yes\n$/);
    assert.ok(existsSync(machine.path('/etc/dovegate/dovegate.yaml')));
    assert.equal(
      readAudit(machine.path('/var/lib/dovegate/audit')).filter(
        ({ record }) => record['event'] === 'completion',
      ).length,
      2,
    );
  });
});
