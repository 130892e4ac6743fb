// Goal: the Debian package in a clean root, under its systemd. Phases: the one without a Node refused where there is none that is
// new enough; installed over no configuration; started; upgraded to the one with a Node, with everything changed that an operator
// changes; an upgrade that refuses the configuration; removed; purged. What must not happen: a daemon without a configuration, a
// change that is lost, a page that is gone, a file that stays, a journal that goes, a Dovecot that cannot start.

import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { readAudit } from '../../kit/plain/traces.js';
import { ask, backends, type Machine, onMachines, openBackend, password, releasesOr } from './machine.js';
import { packageOf } from './packages.js';

const root = fileURLToPath(projectRoot);
const service = 'dovegate.service';
const page = ['dovegate-page.socket', 'dovegate-page.service'] as const;
const file = '/etc/dovegate/dovegate.yaml';
const configuration = `version: 1
listeners:
  support: { systemd: support, policy: support }
${backends}policies:
  support: { users: ["*"], allow: [quota get] }
state: /var/lib/dovegate
audit: { directory: /var/lib/dovegate/audit, reserve: 4KiB, group: dovegate-page }
admin:
  unix: /run/dovegate/admin.sock
  page:
    unix: /run/dovegate/page.sock
    people: { frank: { user: frank, role: audit, users: ["*@example.org"] } }
`;

async function run(program: string, ...args: string[]): Promise<string> {
  const done = await runProgram(program, args, { cwd: root, timeoutMs: 900_000 });
  assert.equal(done.exit, 0, `${program} ${args.join(' ')}\n${done.text}`);
  return done.text;
}

/** Another package of it, with what `change` does to its unpacked files. */
async function repacked(deb: string, change: (folder: string) => void): Promise<void> {
  const folder = `${deb}.d`;
  await run('dpkg-deb', '--raw-extract', deb, folder);
  change(folder);
  await run('dpkg-deb', '--root-owner-group', '-Zgzip', '-z1', '--build', folder, deb);
}

/** A package `nodejs` of a version, with our Node in it or with nothing. */
async function nodePackage(output: string, version: string, program?: string): Promise<string> {
  const folder = join(output, `nodejs-${version}`);
  mkdirSync(join(folder, 'DEBIAN'), { recursive: true });
  mkdirSync(join(folder, 'usr/bin'), { recursive: true });
  const text = `Package: nodejs\nVersion: ${version}\nArchitecture: all\nMaintainer: test <test@example.org>\nDescription: Node\n`;
  writeFileSync(join(folder, 'DEBIAN/control'), text);
  if (program !== undefined) copyFileSync(program, join(folder, 'usr/bin/node'));
  const deb = join(output, `nodejs_${version}.deb`);
  await run('dpkg-deb', '--root-owner-group', '-Znone', '--build', folder, deb);
  return deb;
}

/** Of Dovecot, for the user of the daemon. */
const listenerOf = (of: string, name: string): string =>
  `service ${of} {\n  unix_listener ${name} {\n    user = dovegate\n  }\n}\n`;

/** Every file of the machine but those that the system writes for itself. */
async function everything(machine: Machine): Promise<string[]> {
  const own = `proc sys dev tmp mnt run/systemd run/udev run/credentials run/dbus run/user var/lib/dpkg
    var/lib/systemd var/log var/tmp etc/passwd- etc/group- etc/shadow- etc/gshadow- etc/subuid- etc/subgid-`
    .split(/\s+/)
    .flatMap((path) => ['-path', `/${path}`, '-o']);
  return (await machine.run('find', '/', '(', ...own.slice(0, -1), ')', '-prune', '-o', '-print'))
    .trim()
    .split('\n');
}

const releases = releasesOr('bookworm trixie');
onMachines('the Debian package', releases, { ownNode: true }, async (t, machine, release) => {
  const folder = openFolder(t);
  await openBackend(t, machine);
  const put = (deb: string): string => {
    copyFileSync(deb, join(machine.folder, deb.slice(deb.lastIndexOf('/') + 1)));
    return `/mnt/test/${deb.slice(deb.lastIndexOf('/') + 1)}`;
  };
  const older = join(folder, 'dovegate_0.0.8-1.deb');
  copyFileSync(await packageOf('deb', '0.0.8', '--system-node'), older);
  const newer = await packageOf('deb', '0.0.9');
  await repacked(older, (inside) => {
    appendFileSync(join(inside, 'etc/dovegate/environment'), '# as it was before\n');
    writeFileSync(join(inside, 'usr/lib/dovegate/dist/gone.js'), '');
  });
  const kept = ['--force-confdef', '--force-confold'];
  const dpkg = (...args: string[]) =>
    machine.try('env', 'DEBIAN_FRONTEND=noninteractive', 'dpkg', ...kept, ...args);
  const dpkgPasses = async (...args: string[]): Promise<string> => {
    const done = await dpkg(...args);
    assert.equal(done.exit, 0, done.text);
    return done.text;
  };
  const mainPid = (): Promise<string> => machine.property(service, 'MainPID');
  let before: readonly string[] = [];

  await t.test('without a Node that is new enough dpkg says what is missing', async (nested) => {
    if (release === 'trixie') {
      nested.diagnostic(`its own Node: ${(await machine.run('node', '--version')).trim()}`);
      before = await everything(machine);
      return;
    }
    // The version of bookworm's own.
    await dpkgPasses('--install', put(await nodePackage(folder, '18.20.4+dfsg-1~deb12u1')));
    const refused = await dpkg('--install', put(older));
    assert.notEqual(refused.exit, 0);
    assert.match(
      refused.text,
      /dovegate depends on nodejs \(>= 20\.19\.2\); however:\s+Version of nodejs on system is 18\.20\.4/,
    );
    await dpkgPasses('--purge', 'dovegate');
    await dpkgPasses('--install', put(await nodePackage(folder, process.versions.node, process.execPath)));
    before = await everything(machine);
  });

  await t.test('installed: complete and verified, and nothing is started or enabled', async () => {
    const said = await dpkgPasses('--install', put(older));
    assert.match(said, /there is no \/etc\/dovegate\/dovegate\.yaml yet\. Next: dovegate init/);
    assert.equal(await machine.run('dovegate', '--version'), '0.0.8\n');
    assert.equal(await machine.property(service, 'ActiveState'), 'inactive');
    await machine.run('systemctl', 'preset', service, 'dovegate@support.socket');
    for (const unit of [service, 'dovegate@support.socket'])
      assert.equal((await machine.try('systemctl', 'is-enabled', unit)).text, 'disabled\n', unit);
    const verified = await machine.try('systemd-analyze', 'verify', service, 'dovegate@support.socket');
    assert.deepEqual([verified.exit, verified.text], [0, '']);
    assert.match(await machine.run('id', 'dovegate'), /\(dovegate\)/);
    const modes = await machine.sh("stat -c '%U %a' /run/dovegate /etc/dovegate /etc/dovegate/credentials");
    assert.equal(modes, 'dovegate 755\nroot 755\nroot 700\n');
  });

  await t.test('what "dovegate init" writes is served', async () => {
    const answers = ['--backend', 'unix:/mnt/test/backend.sock', '--team', 'support', '--members', 'root'];
    // No Dovecot can be asked for its mail users here.
    await machine.run('dovegate', 'init', '--defaults', ...answers, '--mail-users', '*@example.com');
    await machine.run('systemctl', 'start', service);
    const said = await machine.run('dovegate', 'status');
    // The backend of this machine wants a password, which init did not ask for.
    assert.match(said, /^dovegate +0\.0\.8, not serving/m);
    assert.match(said, /mail1: auth-rejected, the server asks for a password/);
    assert.match(said, /^support +0\/1000 +unix:\/run\/dovegate\/support\.sock$/m);
    await machine.run('systemctl', 'stop', service);
  });

  await t.test('started, with the changes of an operator', async () => {
    await machine.run('groupadd', 'support');
    await machine.run('useradd', 'frank');
    machine.write(file, configuration);
    machine.write('/etc/dovegate/credentials/mail1', `${password}\n`);
    chmodSync(machine.path('/etc/dovegate/credentials/mail1'), 0o600);
    appendFileSync(machine.path('/etc/dovegate/environment'), 'MINE=yes\n');
    await machine.run('systemctl', 'enable', '--now', 'dovegate@support.socket', service, page[1]);
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
    assert.equal(await ask(machine, 'support', 'mailbox', 'list'), '-NOPERM');
    assert.match(await machine.run('dovegate', 'status'), /^dovegate +0\.0\.8, serving/m);
    assert.match(readFileSync(machine.path(`/proc/${await mainPid()}/environ`), 'utf8'), /\0MINE=yes\0/);
  });

  await t.test('upgraded: the daemon is the new one, and the changes are there', async () => {
    const pid = await mainPid();
    await dpkgPasses('--install', put(newer));
    assert.notEqual(await mainPid(), pid);
    assert.match(await machine.run('dovegate', 'status'), /^dovegate +0\.0\.9, serving/m);
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
    assert.equal(readFileSync(machine.path(file), 'utf8'), configuration);
    assert.match(readFileSync(machine.path('/etc/dovegate/environment'), 'utf8'), /MINE=yes\n$/);
    assert.ok(existsSync(machine.path('/etc/dovegate/environment.dpkg-dist')));
    assert.equal(readFileSync(machine.path('/etc/dovegate/credentials/mail1'), 'utf8'), `${password}\n`);
    assert.ok(!existsSync(machine.path('/usr/lib/dovegate/dist/gone.js')));
    await machine.run('dovegate', 'audit', 'verify', '/var/lib/dovegate/audit', '--unsigned');
    assert.equal((await machine.try('systemctl', 'is-enabled', service)).text, 'enabled\n');
    const running = readlinkSync(machine.path(`/proc/${await mainPid()}/exe`));
    assert.equal(running, '/usr/lib/dovegate/runtime/node');
  });

  await t.test('a page that is turned off stays off; one that runs is the new one', async () => {
    const pid = await machine.property(page[1], 'MainPID');
    await dpkgPasses('--install', put(newer));
    assert.notEqual(await machine.property(page[1], 'MainPID'), pid);
    await machine.run('systemctl', 'disable', '--now', page[1], page[0]);
    await dpkgPasses('--install', put(newer));
    assert.deepEqual(
      [
        await machine.property(page[0], 'ActiveState'),
        (await machine.try('systemctl', 'is-enabled', page[1])).text,
      ],
      ['inactive', 'disabled\n'],
    );
    await machine.run('systemctl', 'enable', '--now', page[1]);
    assert.equal(await machine.property(page[0], 'ActiveState'), 'active');
  });

  await t.test('an upgrade that refuses the configuration leaves the daemon that runs', async () => {
    const pid = await mainPid();
    machine.write(file, configuration.replace('policy: support', 'policy: suport'));
    const said = await dpkgPasses('--install', put(newer));
    assert.match(said, /there is no policy "suport"[^]*the daemon was not restarted/);
    assert.equal(await mainPid(), pid);
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
    machine.write(file, configuration);
  });

  await t.test('on a full disk of the journal the old daemon stays', async () => {
    const small = '/var/lib/dovegate/small';
    await machine.run('systemctl', 'stop', service);
    await machine.run('install', '-d', '-o', 'dovegate', '-m', '0700', small);
    await machine.run('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small);
    machine.write(
      file,
      configuration.replace('directory: /var/lib/dovegate/audit', `directory: ${small}/audit`),
    );
    await machine.run('chown', 'dovegate:', small);
    await machine.run('systemctl', 'start', service);
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
    const pid = await mainPid();
    await machine.try('sh', '-c', `cat /dev/zero > ${small}/filler`);
    const said = await dpkgPasses('--install', put(newer));
    assert.match(
      said,
      /a daemon would not start now: [^]*so the daemon was not restarted; the old one still runs\./,
    );
    assert.equal(await mainPid(), pid);
    assert.equal(await machine.property(service, 'ActiveState'), 'active');
    // Until its reserve is used up, too: its last records stay in memory.
    while ((await ask(machine, 'support', 'quota', 'get')) === '+');
    const fail = '/etc/systemd/system/dovegate.service.d/fail.conf';
    machine.write(fail, '[Service]\nExecStart=\nExecStart=/bin/false\n');
    await machine.run('systemctl', 'daemon-reload');
    assert.notEqual((await machine.try('systemctl', 'restart', service)).exit, 0);
    assert.match(await dpkgPasses('--install', put(newer)), /was failing before this installation already/);
    await machine.run('rm', '-r', `${small}/filler`, fail.slice(0, fail.lastIndexOf('/')));
    await machine.run('systemctl', 'daemon-reload');
    await machine.try('systemctl', 'stop', service);
    machine.write(file, configuration);
    await machine.run('umount', small);
    await machine.run('rmdir', small);
    await machine.run('systemctl', 'start', service);
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
    // The journal that is gone may come back: its last records are kept, and that is told.
    const told = await machine.run('journalctl', '-u', service, '--no-pager');
    assert.match(told, /audit\.ring is the ring of another journal \([0-9a-f]{32}\)/);
    await machine.run('sh', '-c', 'rm /run/dovegate/audit.ring.left-*');
  });

  await t.test('removed and installed again: it says what to type', async () => {
    await dpkgPasses('--remove', 'dovegate');
    assert.match(await dpkgPasses('--install', put(newer)), /neither enabled nor running/);
    const command = 'systemctl enable --now dovegate@support.socket dovegate.service';
    assert.ok((await machine.try('dovegate', 'doctor')).text.includes(`next: ${command}\n`));
    await machine.run('sh', '-c', command);
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
  });

  await t.test('removed: only /etc, the journal and its user stay; purged: the journal stays', async () => {
    const snippet = '/etc/dovecot/conf.d/99-dovegate.conf';
    const needed =
      /files of Dovecot need the user dovegate[^]*99-dovegate\.conf[^]*\n {2}rm \S+\n {2}doveadm reload\n/;
    machine.write(snippet, listenerOf('doveadm', 'dovegate-doveadm'));
    const removal = await dpkgPasses('--remove', 'dovegate');
    assert.match(removal, needed);
    await machine.run('sh', '-c', /^ {2}(rm .*)$/m.exec(removal)?.[1] ?? '');
    assert.ok(!existsSync(machine.path(snippet)));
    await machine.run('rm', '-r', '/etc/dovecot');
    for (const unit of [service, ...page])
      assert.equal((await machine.try('systemctl', 'is-active', unit)).text.trim(), 'inactive', unit);
    const left = (await everything(machine)).filter((path) => !before.includes(path));
    const strange = left.filter((path) => !/^\/(etc|var\/lib)\/dovegate(-page)?(\/|$)/.test(path));
    assert.deepEqual(strange, []);
    assert.ok(left.includes(file) && left.includes('/etc/dovegate/environment'));
    const records = readAudit(machine.path('/var/lib/dovegate/audit')).length;
    assert.ok(records > 0);
    machine.write(snippet, listenerOf('auth', 'dovegate-userdb'));
    const purge = await dpkgPasses('--purge', 'dovegate');
    assert.match(purge, needed);
    assert.match(purge, /the audit journal stays/);
    assert.ok(!existsSync(machine.path('/etc/dovegate')));
    assert.ok(!existsSync(machine.path('/var/lib/dovegate-page')));
    assert.equal(readAudit(machine.path('/var/lib/dovegate/audit')).length, records);
    assert.match(await machine.run('id', 'dovegate'), /\(dovegate\)/);
  });

  await t.test('a purge leaves the files of /etc/dovegate that Dovecot reads', async () => {
    await dpkgPasses('--install', put(newer));
    await machine.run('mkdir', '-p', '/etc/dovecot/conf.d');
    machine.write('/etc/dovegate/dovecot-snippet.conf', 'service doveadm {\n}\n');
    await machine.sh('ln -sf /etc/dovegate/dovecot-snippet.conf /etc/dovecot/conf.d/99-dovegate.conf');
    assert.match(await dpkgPasses('--purge', 'dovegate'), /\/etc\/dovegate stays, with its secrets/);
    assert.ok(existsSync(machine.path('/etc/dovegate/dovecot-snippet.conf')));
    // As docs/install.md says it.
    for (const user of ['dovegate', 'dovegate-page']) await machine.run('userdel', user);
    for (const group of ['dovegate', 'dovegate-page'])
      assert.notEqual((await machine.try('getent', 'group', group)).exit, 0, group);
  });
});
