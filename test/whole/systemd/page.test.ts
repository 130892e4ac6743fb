// Goal: the page under its units, as they are shipped, beside a daemon with a backend. Phases: started before the daemon, which it waits
// for; serving a browser and people of the host; a program in its place, as if it were taken over; killed while commands run. What must not
// happen: a secret that its user can read, a command to a backend, a socket other than the door that lets it in, a call of the door that
// is not on the list, a command that fails since the page did.

import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { processorsOfPage } from '../../kit/plain/processors.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { intruder, readFound } from './intruder.js';
import { ask, backends, onMachines, openBackend, password, releasesOr } from './machine.js';

const installer = fileURLToPath(new URL('scripts/install.mjs', projectRoot));
const service = 'dovegate.service';
const page = 'dovegate-page.service';
const socket = 'dovegate-page.socket';
const probe = 'dovegate-probe.service';
const door = '/run/dovegate/door.sock';
const audit = '/var/lib/dovegate/audit';

const configuration = `version: 1
listeners:
  support: { systemd: support, policy: support }
  own: { unix: /run/dovegate/own.sock, policy: support }
${backends}policies:
  support: { users: ["*"], allow: [quota get, mailbox list] }
state: /var/lib/dovegate
audit: { directory: ${audit}, reserve: 4KiB, group: dovegate-page }
admin:
  unix: /run/dovegate/admin.sock
  page:
    tcp: 127.0.0.1:9147
    tls: { certificate: page/page.crt, key: page/page.key }
    unix: /run/dovegate/page.sock
    people:
      anna: { user: anna, role: operate }
      frank: { user: frank, role: audit, users: ["*@example.com"] }
`;

/** Runs in the place of the page. */
const program = intruder({
  door,
  lines: 2,
  tries: `
const { all: answer } = await call('GET', '/settings');
const { generation } = JSON.parse(answer.split('\\n')[0]);
const as = (person, role, own = generation) => ({ person, role, generation: own });
const from = [];
const first = {};
const more = {
  'facts': ['GET', '/facts'],
  'drain as anna': ['POST', '/operate', { as: as('anna', 'operate'), action: { kind: 'drain', backend: 'mail1' }, from }],
  'enable as anna': ['POST', '/operate', { as: as('anna', 'operate'), action: { kind: 'enable', backend: 'mail1' }, from }],
  'drain as frank': ['POST', '/operate', { as: as('frank', 'audit'), action: { kind: 'drain', backend: 'mail1' }, from }],
  'drain as frank in a role of others': ['POST', '/operate', { as: as('frank', 'operate'), action: { kind: 'drain', backend: 'mail1' }, from }],
  'drain as nobody': ['POST', '/operate', { as: as('eve', 'operate'), action: { kind: 'drain', backend: 'mail1' }, from }],
  'drain by settings of before': ['POST', '/operate', { as: as('anna', 'operate', generation - 1), action: { kind: 'drain', backend: 'mail1' }, from }],
  'reload': ['POST', '/operate', { as: as('anna', 'operate'), action: { kind: 'reload' }, from }],
  'look as frank': ['POST', '/record', { as: as('frank', 'audit'), action: 'audit-search', from, args: [], rows: 0 }],
  'look as anna': ['POST', '/record', { as: as('anna', 'operate'), action: 'audit-search', from, args: [], rows: 0 }],
  'an admission': ['POST', '/record', { as: as('frank', 'audit'), action: 'admission', from, args: [], rows: 0 }],
  'an operator': ['POST', '/record', { as: as('frank', 'audit'), action: 'drain', from, args: ['mail1'] }],
  'a text to sign': ['POST', '/sign', { as: as('frank', 'audit'), head: 'any', text: 'any' }],
};
`,
});

onMachines('the page', releasesOr('bookworm trixie'), {}, async (t, machine) => {
  const backend = await openBackend(t, machine);
  const as = (user: string, ...command: string[]) =>
    machine.try('setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups', ...command);
  const lines = async (...command: string[]): Promise<string[]> =>
    (await machine.run(...command)).split('\n').filter((line) => line !== '');

  await t.test('installed: verified, exposed at most 1.5', async () => {
    const args = [installer, 'install', '--destdir', machine.path('/'), '--node', '/usr/bin/node'];
    assert.equal((await runProgram(process.execPath, args)).exit, 0);
    await machine.run('systemd-sysusers', 'dovegate.conf');
    await machine.run('systemd-tmpfiles', '--create', 'dovegate.conf');
    await machine.run('groupadd', 'support');
    for (const person of ['anna', 'frank', 'eve']) await machine.run('useradd', '--user-group', person);
    for (const person of ['anna', 'frank'])
      await machine.run('usermod', '--append', '--groups', 'dovegate-people', person);
    // As somebody writes it who does not think of other users.
    machine.write('/etc/dovegate/dovegate.yaml', configuration);
    machine.write('/etc/dovegate/credentials/mail1', `${password}\n`);
    chmodSync(machine.path('/etc/dovegate/credentials'), 0o755);
    const authority = makeAuthority({ name: 'people of the test' });
    const { certificatePem, keyPem } = authority.issue({ names: ['127.0.0.1'] });
    writeFileSync(join(machine.folder, 'ca.pem'), authority.certificatePem);
    machine.write('/etc/dovegate/page/page.crt', certificatePem);
    machine.write('/etc/dovegate/page/page.key', keyPem);
    await machine.run('chgrp', '-R', 'dovegate-page', '/etc/dovegate/page');
    await machine.run('chmod', '0640', '/etc/dovegate/page/page.key');
    await machine.run('systemctl', 'daemon-reload');
    const verified = await machine.try('systemd-analyze', 'verify', page, socket);
    assert.deepEqual([verified.exit, verified.text], [0, '']);
    const rated = await machine.try('systemd-analyze', 'security', '--no-pager', '--threshold=15', page);
    t.diagnostic(/Overall exposure.*$/m.exec(rated.text)?.[0] ?? rated.text);
    assert.equal(rated.exit, 0, rated.text);
  });

  await t.test('started before the daemon: it waits for it, and serves when it is there', async () => {
    await machine.run('systemctl', 'enable', '--now', page);
    assert.equal((await machine.try('systemctl', 'is-enabled', socket)).text, 'enabled\n');
    await machine.waitFor(page, 'StatusText', (text) => text.startsWith('waits for dovegate: '));
    await machine.run('systemctl', 'start', 'dovegate@support.socket', service);
    await machine.waitFor(page, 'StatusText', (text) => text === 'serves https://127.0.0.1:9147');
    assert.deepEqual(
      [await machine.property(page, 'Nice'), await machine.property(service, 'Nice')],
      ['10', '0'],
    );
    const processors = async (unit: string): Promise<string> => {
      const pid = await machine.property(unit, 'MainPID');
      return (
        await machine.run('sed', '-n', 's/^Cpus_allowed_list:[[:space:]]*//p', `/proc/${pid}/status`)
      ).trim();
    };
    const all = await processors(service);
    assert.equal(await processors(page), processorsOfPage(all));
    const modes = await machine.run('stat', '-c', '%U %G %a', '/run/dovegate/page.sock', door, audit);
    assert.equal(modes, 'root dovegate-people 660\ndovegate dovegate-page 660\ndovegate dovegate-page 750\n');
    assert.match(await machine.run('dovegate', 'check'), /: no problems\n$/);
    const doctor = await machine.try('dovegate', 'doctor');
    assert.match(doctor.text, /^ok +page +dovegate page /m);
    assert.doesNotMatch(doctor.text, /^bad/m);
  });

  await t.test('for people of this host, and for a browser', async () => {
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
    const link = await as('anna', 'dovegate', 'page', 'open');
    assert.equal(link.exit, 0, link.text);
    assert.match(link.text, /^https:\/\/127\.0\.0\.1:9147\/#/m);
    const search = ['dovegate', 'audit', 'search', '--socket', '/run/dovegate/page.sock'];
    const found = await as('frank', ...search);
    assert.equal(found.exit, 0, found.text);
    assert.match((await as('anna', ...search)).text, /role/);
    assert.match((await as('eve', ...search)).text, /EACCES|[Pp]ermission denied/);
    const index = `fetch('https://127.0.0.1:9147/').then(async (reply) => console.log(reply.status, (await reply.text()).length > 500))`;
    const browser = await machine.run('env', 'NODE_EXTRA_CA_CERTS=/mnt/test/ca.pem', 'node', '-e', index);
    assert.equal(browser, '200 true\n');
  });

  await t.test('taken over: no secret, command or other socket, only calls on the list', async () => {
    const places = ['/etc/dovegate', '/var/lib/dovegate', '/run/dovegate', '/run/credentials'];
    const found = (type: string) => lines('find', ...places, '-type', type);
    const [files, folders, sockets] = [await found('f'), await found('d'), await found('s')];
    for (const path of [
      '/etc/dovegate/dovegate.yaml',
      '/etc/dovegate/credentials/mail1',
      `${audit}/hmac.key`,
      '/run/dovegate/audit.ring',
      '/run/credentials/dovegate.service/secret_mail1',
    ])
      assert.ok(files.includes(path), path);
    assert.ok(sockets.includes('/run/dovegate/admin.sock') && sockets.includes('/run/dovegate/own.sock'));
    folders.push('/', '/etc', '/usr', '/run', '/var/tmp', '/mnt/test');
    writeFileSync(join(machine.folder, 'paths.json'), JSON.stringify({ files, folders, sockets }));
    writeFileSync(join(machine.folder, 'probe.mjs'), program);
    // The unit as it is, but for what it starts.
    const unit = readFileSync(machine.path(`/usr/local/lib/systemd/system/${page}`), 'utf8')
      .replace(/^ExecStart=.*$/m, 'ExecStart=/usr/bin/node /mnt/test/probe.mjs')
      .replace(/^Type=notify$/m, 'Type=oneshot')
      .replace(/^(Restart|WatchdogSec|Requires|ExecReload)=.*\n/gm, '');
    machine.write(`/etc/systemd/system/${probe}`, unit);
    await machine.run('systemctl', 'daemon-reload');
    const before = backend.commands.length;
    await machine.run('systemctl', 'start', probe);
    const said = await machine.run('journalctl', '-q', '-o', 'cat', '-u', probe);
    const result = readFound(said);

    // The journal but for its key of digests; its own certificate and key.
    const strange = result.readable.filter(
      (path) =>
        !/^\/var\/lib\/dovegate\/audit\/(\d+\.jsonl(\.gz)?|(checkpoint|ring)\.json|key\.pub|policies\/\w+\.yaml)$/.test(
          path,
        ),
    );
    assert.deepEqual(strange.toSorted(), ['/etc/dovegate/page/page.crt', '/etc/dovegate/page/page.key']);
    assert.ok(result.readable.includes(`${audit}/00000001.jsonl`));
    assert.deepEqual(result.writable, ['/var/tmp']);
    assert.deepEqual(result.reached, [door]);
    // The shell that asks the name service for the page, which holds nothing.
    const main = await machine.property(page, 'MainPID');
    const children = await machine.run('cat', `/proc/${main}/task/${main}/children`);
    assert.deepEqual(result.processes, children.trim().split(' '));
    for (const child of result.processes)
      assert.match(await machine.run('cat', `/proc/${child}/cmdline`), /^\/bin\/sh\0/);
    // A backend wants a password first.
    assert.match(result.backend, /^VERSION\t.*\n-\n/);
    assert.doesNotMatch(result.backend, /^\+/m);
    assert.equal(backend.commands.length, before);
    assert.deepEqual(result.door, {
      facts: 200,
      'drain as anna': 200,
      'enable as anna': 200,
      'drain as frank': 403,
      'drain as frank in a role of others': 403,
      'drain as nobody': 403,
      'drain by settings of before': 409,
      reload: 400,
      'look as frank': 200,
      'look as anna': 403,
      'an admission': 400,
      'an operator': 400,
      'a text to sign': 400,
      'admin: status': 404,
      'admin: reload': 404,
      'admin: kill': 404,
      'a command': 404,
    });
    assert.match(result.answer, /example\.com/);
    assert.ok(!result.answer.includes(password));
    assert.match(await machine.run('dovegate', 'audit', 'verify', audit, '--unsigned'), /passed/);
  });

  await t.test('kill -9 of the page: it comes back, and no command fails', async () => {
    const pid = await machine.property(page, 'MainPID');
    const statuses = new Set<string>();
    const run = async (): Promise<void> => {
      for (let count = 0; count < 100; count += 1)
        statuses.add(await ask(machine, 'support', 'quota', 'get'));
    };
    await Promise.all([
      run(),
      machine.run('systemctl', 'kill', '--signal=KILL', '--kill-whom=main', page),
      run(),
    ]);
    assert.deepEqual([...statuses], ['+']);
    await machine.waitFor(page, 'MainPID', (now) => now !== '0' && now !== pid);
    await machine.waitFor(page, 'StatusText', (text) => text === 'serves https://127.0.0.1:9147');
    assert.equal((await as('anna', 'dovegate', 'page', 'open')).exit, 0);
  });

  await t.test('without the daemon it stays, says so, and finds the next one', async () => {
    const pid = await machine.property(page, 'MainPID');
    await machine.run('systemctl', 'stop', service);
    await machine.waitFor(page, 'StatusText', (text) => text.startsWith('waits for dovegate: '));
    const search = ['dovegate', 'audit', 'search', '--socket', '/run/dovegate/page.sock'];
    assert.notEqual((await as('frank', ...search)).exit, 0);
    await machine.run('systemctl', 'start', service);
    await machine.waitFor(page, 'StatusText', (text) => text.startsWith('serves '));
    assert.equal((await as('frank', ...search)).exit, 0);
    assert.equal(await machine.property(page, 'MainPID'), pid);
  });

  await t.test('a group of auditors, with the page in it: files, and not the door', async () => {
    await machine.run('groupadd', 'auditors');
    for (const user of ['eve', 'dovegate', 'dovegate-page'])
      await machine.run('usermod', '--append', '--groups', 'auditors', user);
    machine.write(
      '/etc/dovegate/dovegate.yaml',
      configuration.replace('group: dovegate-page', 'group: auditors'),
    );
    await machine.run('systemctl', 'restart', service, page);
    await machine.waitFor(page, 'StatusText', (text) => text.startsWith('serves '));
    const search = ['dovegate', 'audit', 'search', '--socket', '/run/dovegate/page.sock'];
    assert.equal((await as('frank', ...search)).exit, 0);
    const verified = await as('eve', 'dovegate', 'audit', 'verify', audit, '--unsigned');
    assert.equal(verified.exit, 0, verified.text);
    const connect = `require('net').connect('${door}').on('connect', () => process.exit(0)).on('error', (error) => { console.log(error.code); process.exit(1); })`;
    assert.equal((await as('eve', 'node', '-e', connect)).text, 'EACCES\n');
    // A member of the page's group is not its user.
    const member = ['setpriv', '--reuid=eve', '--regid=dovegate-page', '--clear-groups'];
    const asked = `require('http').get({ socketPath: '${door}', path: '/settings' }, (reply) => { console.log(reply.statusCode); process.exit(0); })`;
    assert.equal((await machine.try(...member, 'node', '-e', asked)).text, '403\n');
  });

  await t.test('reloaded and stopped; its socket goes with its unit', async () => {
    const pid = await machine.property(page, 'MainPID');
    await machine.run('systemctl', 'reload', page);
    assert.equal(await machine.property(page, 'MainPID'), pid);
    await machine.run('systemctl', 'disable', '--now', page, socket);
    assert.equal(await machine.property(page, 'Result'), 'success');
    assert.deepEqual(await lines('find', '/run/dovegate', '-name', 'page.sock'), []);
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
  });
});
