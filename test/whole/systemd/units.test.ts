// Goal: the units as they are shipped, installed as the README says, under a real systemd. Phases: installed and verified; started by
// socket activation for two teams, with a credential; reloaded; killed; stopped in its tracks; restarted under load; uninstalled.
// What must not happen: a client that is refused or loses its command in a restart, a journal that breaks, a socket that is
// taken away with the daemon.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, statSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { askHttp } from '../../kit/plain/ask-http.js';
import { runProgram } from '../../kit/plain/program.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { askRaw, encodePost } from '../../kit/plain/raw-http.js';
import { projectRoot } from '../../kit/plain/root.js';
import { readAudit } from '../../kit/plain/traces.js';
import { ask, backends, type Machine, onMachines, openBackend, password, releasesOr } from './machine.js';

const installer = fileURLToPath(new URL('scripts/install.mjs', projectRoot));
const service = 'dovegate.service';
const teams = ['support', 'billing'] as const;

const configuration = `version: 1
listeners:
  # Who waited during a restart comes at once: these must hold the clients of some seconds.
  support: { systemd: support, policy: support, sessions: 2000, sessions_per_peer: 2000 }
  billing: { systemd: billing, policy: billing, sessions: 2000, sessions_per_peer: 2000 }
limits: { queue: 4000 }
${backends}policies:
  support: { users: ["*"], allow: [quota get, mailbox list] }
  billing: { users: ["*"], allow: [quota get] }
state: /var/lib/dovegate
audit: { directory: /var/lib/dovegate/audit, reserve: 4KiB }
admin: { unix: /run/dovegate/admin.sock }
`;

const noLast = `/etc/systemd/system/${service}.d/no-last.conf`;
const broken = configuration.replace('policy: support', 'policy: suport');

async function install(machine: Machine, what: 'install' | 'uninstall'): Promise<void> {
  const args = [installer, what, '--destdir', machine.path('/'), '--node', '/usr/bin/node'];
  const done = await runProgram(process.execPath, args);
  assert.equal(done.exit, 0, done.text);
}

onMachines('the units', releasesOr('bookworm trixie'), {}, async (t, machine) => {
  const backend = await openBackend(t, machine);
  const mainPid = (): Promise<string> => machine.property(service, 'MainPID');
  const isNew = (old: string) => (pid: string) => pid !== '0' && pid !== old;
  const journal = () => readAudit(machine.path('/var/lib/dovegate/audit'));

  await t.test('installed: complete, verified, exposed at most 1.5', async () => {
    await install(machine, 'install');
    await machine.run('systemd-sysusers', 'dovegate.conf');
    await machine.run('systemd-tmpfiles', '--create', 'dovegate.conf');
    for (const team of teams) await machine.run('groupadd', team);
    machine.write('/etc/dovegate/dovegate.yaml', configuration);
    machine.write('/etc/dovegate/credentials/mail1', `${password}\n`);
    chmodSync(machine.path('/etc/dovegate/credentials/mail1'), 0o600);
    // The times of the test, as an operator would change them.
    machine.write(
      `/etc/systemd/system/${service}.d/times.conf`,
      '[Service]\nWatchdogSec=5\nTimeoutAbortSec=1\n',
    );
    await machine.run('systemctl', 'daemon-reload');
    const shipped = [service, 'dovegate-fleet.service', 'dovegate@support.socket'];
    const verified = await machine.try('systemd-analyze', 'verify', ...shipped);
    assert.deepEqual([verified.exit, verified.text], [0, '']);
    const rated = await machine.try('systemd-analyze', 'security', '--no-pager', '--threshold=15', service);
    t.diagnostic(/Overall exposure.*$/m.exec(rated.text)?.[0] ?? rated.text);
    assert.equal(rated.exit, 0, rated.text);
    assert.match(await machine.run('dovegate', '--version'), /^\d+\.\d+\.\d+$/m);
  });

  await t.test('started by its first client: two teams, a credential, notified', async () => {
    await machine.run('systemctl', 'enable', '--now', ...teams.map((team) => `dovegate@${team}.socket`));
    for (const team of teams) {
      const { mode, uid } = statSync(machine.path(`/run/dovegate/${team}.sock`));
      assert.deepEqual([mode & 0o777, uid], [0o660, 0], team);
    }
    assert.equal(await machine.property(service, 'ActiveState'), 'inactive');
    assert.equal(await ask(machine, 'support', 'mailbox', 'list'), '+');
    assert.equal(await ask(machine, 'billing', 'quota', 'get'), '+');
    assert.equal(await ask(machine, 'billing', 'mailbox', 'list'), '-NOPERM');
    // Clients may be answered before systemd has read that it is ready.
    await machine.waitFor(service, 'ActiveState', (text) => text === 'active');
    assert.match(await machine.property(service, 'StatusText'), /^serves support billing, configuration /);
    assert.deepEqual(
      backend.plainAttempts.map((each) => [each.password, each.isAccepted]),
      [[password, true]],
    );
    // Not root, and nothing of what came from systemd left for its children.
    const pid = await mainPid();
    assert.equal((await machine.run('stat', '-c', '%U', `/proc/${pid}`)).trim(), 'dovegate');
    // Only who is in the team's group gets in.
    const connect = `const s = require('net').connect('/run/dovegate/support.sock', () => process.exit(0)); s.on('error', (e) => { console.log(e.code); process.exit(1); })`;
    const as = (group: string) =>
      machine.try('setpriv', '--reuid=65534', `--regid=${group}`, '--clear-groups', 'node', '-e', connect);
    assert.deepEqual([(await as('support')).exit, (await as('billing')).text], [0, 'EACCES\n']);
  });

  await t.test('a third team while clients come: a restart makes its socket', async () => {
    await machine.run('groupadd', 'helpdesk');
    const socket = 'dovegate@helpdesk.socket';
    machine.write(
      '/etc/dovegate/dovegate.yaml',
      configuration.replace('listeners:', 'listeners:\n  helpdesk: { systemd: helpdesk, policy: support }'),
    );
    await machine.run('systemctl', 'restart', service);
    const closed = /^closed: listener helpdesk: systemd handed over no socket named helpdesk /;
    assert.match(await machine.property(service, 'StatusText'), closed);
    const enable = `systemctl enable ${socket}`;
    const restart = `systemctl restart ${service}`;
    assert.ok((await machine.property(service, 'StatusText')).includes(`Run: ${enable}; ${restart}. `));
    const doctor = await machine.try('dovegate', 'doctor');
    assert.match(doctor.text, /^bad +daemon +dovegate\.service refuses all clients: listener helpdesk: /m);
    assert.ok(doctor.text.includes(`Run: ${enable}; ${restart}. `), doctor.text);

    await machine.run('sh', '-c', `${enable} && ${restart}`);
    // A client of another team would start the service as soon as it is stopped.
    const clients: Promise<string>[] = [];
    const coming = setInterval(() => {
      clients.push(ask(machine, 'billing', 'quota', 'get').catch(String));
    }, 10);
    try {
      // More often than systemd starts a unit by default in 10 s.
      for (let count = 0; count < 6; count += 1) {
        assert.equal(await ask(machine, 'helpdesk', 'quota', 'get'), '+');
        await machine.run('systemctl', 'stop', socket);
        await machine.run('systemctl', 'restart', service);
      }
      assert.equal(await ask(machine, 'helpdesk', 'quota', 'get'), '+');
    } finally {
      clearInterval(coming);
    }
    assert.deepEqual(new Set(await Promise.all(clients)), new Set(['+']));
    // Disabled is not wanted.
    await machine.run('systemctl', 'disable', '--now', socket);
    await machine.run('systemctl', 'restart', service);
    assert.match(await machine.property(service, 'StatusText'), closed);
    assert.equal(await machine.property(socket, 'ActiveState'), 'inactive');
    machine.write('/etc/dovegate/dovegate.yaml', configuration);
    await machine.run('systemctl', 'restart', service);
  });

  await t.test('reloaded: a good file holds, a broken one changes nothing', async () => {
    const pid = await mainPid();
    const wider = configuration.replace(
      'billing: { users: ["*"], allow: [quota get]',
      'billing: { users: ["*"], allow: [quota get, mailbox list]',
    );
    machine.write('/etc/dovegate/dovegate.yaml', wider);
    await machine.run('systemctl', 'reload', service);
    assert.equal(await ask(machine, 'billing', 'mailbox', 'list'), '+');
    machine.write('/etc/dovegate/dovegate.yaml', wider.replace('policy: support', 'policy: suport'));
    assert.notEqual((await machine.try('systemctl', 'reload', service)).exit, 0);
    assert.match(
      await machine.run('journalctl', '-q', '-o', 'cat', '-u', service),
      /dovegate\.yaml:\d+:\d+: .*there is no policy "suport"/,
    );
    await machine.waitFor(service, 'StatusText', (text) => /reload failed/.test(text));
    assert.equal(await ask(machine, 'billing', 'mailbox', 'list'), '+');
    assert.deepEqual([await mainPid(), await machine.property(service, 'ActiveState')], [pid, 'active']);
    machine.write('/etc/dovegate/dovegate.yaml', configuration);
    await machine.run('systemctl', 'reload', service);
    assert.equal(await ask(machine, 'billing', 'mailbox', 'list'), '-NOPERM');
    // Without an admin socket: systemd says which process gets the signal, after a check.
    const noAdmin = configuration.replace(/^admin: .*\n/m, '');
    machine.write('/etc/dovegate/dovegate.yaml', noAdmin.replace('policy: support', 'policy: suport'));
    assert.notEqual((await machine.try('systemctl', 'reload', service)).exit, 0);
    machine.write('/etc/dovegate/dovegate.yaml', noAdmin);
    await machine.run('systemctl', 'reload', service);
    machine.write('/etc/dovegate/dovegate.yaml', configuration);
    await machine.run('systemctl', 'reload', service);
    assert.deepEqual([await mainPid(), await machine.property(service, 'ActiveState')], [pid, 'active']);
  });

  await t.test('the drop-in for notify-reload: systemd itself signals and waits', async (nested) => {
    if (machine.systemd < 253) return nested.diagnostic('systemd is older than 253');
    const dropIn = '/usr/local/lib/dovegate/systemd/examples/notify-reload.conf';
    await machine.run('cp', dropIn, `/etc/systemd/system/${service}.d/`);
    await machine.run('systemctl', 'daemon-reload');
    await machine.run('systemctl', 'restart', service);
    const wider = configuration.replace('allow: [quota get] }', 'allow: [quota get, mailbox list] }');
    machine.write('/etc/dovegate/dovegate.yaml', wider);
    await machine.run('systemctl', 'reload', service);
    assert.equal(await ask(machine, 'billing', 'mailbox', 'list'), '+');
    machine.write('/etc/dovegate/dovegate.yaml', configuration);
    await machine.run('systemctl', 'reload', service);
    assert.equal(await ask(machine, 'billing', 'mailbox', 'list'), '-NOPERM');
  });

  await t.test('kill -9: another one comes, and the journal goes on', async () => {
    const before = journal().length;
    const pid = await mainPid();
    await machine.run('systemctl', 'kill', '--signal=KILL', '--kill-whom=main', service);
    await machine.waitFor(service, 'MainPID', isNew(pid));
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
    assert.ok(journal().length > before);
    assert.match(
      await machine.run('dovegate', 'audit', 'verify', '/var/lib/dovegate/audit', '--unsigned'),
      /./,
    );
  });

  await t.test('SIGSTOP: the watchdog ends it, and another one comes', async () => {
    const pid = await mainPid();
    await machine.run('systemctl', 'kill', '--signal=STOP', '--kill-whom=main', service);
    await machine.waitFor(service, 'MainPID', isNew(pid));
    assert.equal(await ask(machine, 'billing', 'quota', 'get'), '+');
    assert.match(await machine.run('journalctl', '-q', '-o', 'cat', '-u', service), /[Ww]atchdog timeout/);
  });

  await t.test('restart in the middle of 200 clients a second: all are served', async () => {
    const pid = await mainPid();
    const idle = await openRawClient({ path: machine.path('/run/dovegate/support.sock'), minor: 2 });
    idle.sendCommand({ user: 'alice@example.org', fields: ['quota', 'get'] });
    await idle.readReply();
    const seconds = 6;
    const clients: Promise<string>[] = [];
    /** A machine that does not keep up has no more of them than a listener takes at once. */
    const openMax = 300;
    const open = new Set<number>();
    const slowest = { ms: 0 };
    const one = async (): Promise<string> => {
      const started = Date.now();
      const number = clients.length;
      open.add(number);
      const status = await ask(machine, teams[number % 2] ?? 'support', 'quota', 'get').catch(String);
      open.delete(number);
      slowest.ms = Math.max(slowest.ms, Date.now() - started);
      return status;
    };
    const started = Date.now();
    let restarted: Promise<string> | undefined;
    while (clients.length < seconds * 200) {
      const due = Math.min(((Date.now() - started) / 1000) * 200, seconds * 200);
      while (clients.length < due && open.size < openMax) clients.push(one());
      if (clients.length >= 200) restarted ??= machine.run('systemctl', 'restart', service);
      await pause(5);
    }
    await restarted;
    const statuses = new Map<string, number>();
    for (const status of await Promise.all(clients)) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    assert.deepEqual(statuses, new Map([['+', seconds * 200]]));
    t.diagnostic(
      `${clients.length} clients in ${seconds} s with a restart: all served, the slowest within ${slowest.ms} ms`,
    );
    assert.notEqual(await mainPid(), pid);
    assert.equal((await idle.readEnd()).isBroken, false);
    await machine.run('dovegate', 'audit', 'verify', '/var/lib/dovegate/audit', '--unsigned');
  });

  await t.test('a group of auditors, turned on later, with the unit as it is shipped', async () => {
    const audit = '/var/lib/dovegate/audit';
    const modes = async (...files: string[]): Promise<string> =>
      (await machine.run('stat', '-c', '%U %G %a', ...files.map((file) => `${audit}${file}`))).trim();
    const packaged = 'dovegate dovegate-journal 750\ndovegate dovegate-journal 640';
    assert.equal(await modes('', '/00000001.jsonl'), packaged);
    await machine.run('groupadd', 'auditors');
    const asAuditor = (...command: string[]) =>
      machine.try('setpriv', '--reuid=65534', '--regid=auditors', '--clear-groups', ...command);
    machine.write(
      '/etc/dovegate/dovegate.yaml',
      configuration.replace('audit: {', 'audit: { group: auditors,'),
    );
    // The daemon is not in the group yet: it says so, and refuses clients.
    await machine.run('systemctl', 'restart', service);
    assert.match(await machine.property(service, 'StatusText'), /^closed: audit\.group: /);
    assert.match(
      await machine.run('journalctl', '-q', '-o', 'cat', '-u', service),
      /audit\.group: .*\/audit cannot be given to group "auditors": the daemon's user is not a member/,
    );
    await machine.run('usermod', '--append', '--groups', 'auditors', 'dovegate');
    const pid = await mainPid();
    await machine.run('systemctl', 'restart', service);
    await machine.waitFor(service, 'MainPID', isNew(pid));
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
    const policies = (await machine.run('ls', `${audit}/policies`)).trim().split('\n');
    assert.equal(await modes(''), 'dovegate auditors 750');
    for (const file of ['/00000001.jsonl', '/checkpoint.json', `/policies/${policies[0]}`])
      assert.equal(await modes(file), 'dovegate auditors 640', file);
    const verified = await asAuditor('dovegate', 'audit', 'verify', audit, '--unsigned');
    assert.equal(verified.exit, 0, verified.text);
    assert.notEqual((await asAuditor('cat', `${audit}/hmac.key`)).exit, 0);
    machine.write('/etc/dovegate/dovegate.yaml', configuration);
    await machine.run('systemctl', 'restart', service);
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
    assert.equal(await modes('', '/00000001.jsonl'), packaged);
  });

  await t.test('a broken file at a restart: what was served before is served, until a reload', async () => {
    machine.write('/etc/dovegate/dovegate.yaml', broken);
    await machine.run('systemctl', 'restart', service);
    const before =
      /^NOT THE FILE, but what was served before: \/etc\/dovegate\/dovegate\.yaml:4:\d+: .*; serves support billing/;
    assert.match(await machine.property(service, 'StatusText'), before);
    assert.match(await machine.run('systemctl', 'status', service), /NOT THE FILE/);
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
    const status = await machine.try('dovegate', 'status');
    assert.match(status.text, /may still be allowed: .*dovegate\.yaml:4:\d+: .*there is no policy "suport"/);
    const copy = await machine.run('stat', '-c', '%U %a', '/var/lib/dovegate/served-configuration.json');
    assert.equal(copy.trim(), 'dovegate 600');
    const admin = { socketPath: machine.path('/run/dovegate/admin.sock') };
    const ready = await askHttp(admin, '/readyz');
    assert.equal(ready.status, 200);
    assert.match(ready.body, /"code": "last-served",\s+"text": ".*dovegate\.yaml:4:\d+: .*suport/);
    assert.match((await askHttp(admin, '/metrics')).body, /^dovegate_config_reload_success 0$/m);
    assert.match(await machine.run('journalctl', '-u', service), /last-served: .*dovegate\.yaml:4:/);

    // With --no-last at the end of the unit's own line it refuses: clients hear FILE:LINE.
    const own = /^ExecStart=.*$/m.exec(await machine.run('systemctl', 'cat', service))?.[0] ?? '';
    machine.write(noLast, `[Service]\nExecStart=\n${own} --no-last\n`);
    await machine.run('systemctl', 'daemon-reload');
    await machine.run('systemctl', 'restart', service);
    assert.match(await machine.property(service, 'StatusText'), /^closed: .*dovegate\.yaml:4$/);
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '-TEMPFAIL');
    await machine.run('rm', noLast);
    await machine.run('systemctl', 'daemon-reload');
    await machine.run('systemctl', 'restart', service);
    assert.match(await machine.property(service, 'StatusText'), before);

    machine.write('/etc/dovegate/dovegate.yaml', configuration);
    const pid = await mainPid();
    await machine.run('systemctl', 'reload', service);
    await machine.waitFor(service, 'StatusText', (text) => text.startsWith('serves support billing'));
    assert.equal(await mainPid(), pid);
  });

  await t.test('a broken file, and nothing from before: clients are refused', async () => {
    machine.write('/etc/dovegate/dovegate.yaml', broken);
    await machine.run('systemctl', 'stop', service);
    await machine.run('rm', '/var/lib/dovegate/served-configuration.json');
    await machine.run('systemctl', 'start', service);
    assert.match(
      await machine.property(service, 'StatusText'),
      /^closed: \/etc\/dovegate\/dovegate\.yaml:4$/,
    );
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '-TEMPFAIL');
    const status = await machine.try('dovegate', 'status', '--config', '/etc/dovegate/dovegate.yaml');
    assert.equal(status.exit, 69, status.text);
    assert.match(status.text, /dovegate\.yaml:4:\d+: .*there is no policy "suport"/);
    if (machine.systemd < 253) assert.notEqual((await machine.try('systemctl', 'reload', service)).exit, 0);
    // Longer than the watchdog permits (WatchdogSec=5, above): it is fed, and ends by itself.
    machine.write('/etc/dovegate/dovegate.yaml', configuration);
    await machine.waitFor(service, 'StatusText', (text) => text.startsWith('serves support billing'));
    assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
  });

  await t.test('a socket of its own for a group, with the drop-in for it', async () => {
    const pid = await mainPid();
    const own = configuration
      .replace(
        'listeners:',
        'listeners:\n  own: { unix: /run/dovegate/own.sock, group: support, policy: support }',
      )
      .replace('systemd: billing,', 'systemd: billing, protocol: http,')
      // Only a policy that permits a text takes a body above 1 MiB.
      .replace('allow: [quota get] }', 'allow: [quota get, save] }');
    machine.write('/etc/dovegate/dovegate.yaml', own);
    const dropIn = '/usr/local/lib/dovegate/systemd/examples/own-sockets.conf';
    await machine.run('cp', dropIn, `/etc/systemd/system/${service}.d/`);
    await machine.run('systemctl', 'daemon-reload');
    assert.equal((await machine.try('systemd-analyze', 'verify', service)).text, '');
    await machine.run('systemctl', 'restart', service);
    await machine.waitFor(service, 'MainPID', isNew(pid));
    const made = await machine.run('stat', '-c', '%U %G %a', '/run/dovegate/own.sock');
    assert.equal(made.trim(), 'dovegate support 660');
    assert.equal(await ask(machine, 'own', 'mailbox', 'list'), '+');
    // Over HTTP, at a socket of systemd; the second one is too large to be held in memory.
    for (const filled of ['', ' '.repeat(2 * 1024 * 1024)]) {
      const body = `[["quotaGet",{"user":"alice@example.org"},"t"]${filled}]`;
      const answer = await askRaw({ path: machine.path('/run/dovegate/billing.sock') }, encodePost({ body }));
      assert.equal(answer.status, 200);
      assert.match(answer.body.toString(), /^\[\["doveadmResponse",\[\{"root":"User quota",.*\],"t"\]\]$/);
    }
  });

  await t.test('access on request: logins are seen, and a grant outlives a restart', async () => {
    await machine.run('useradd', '--groups', 'support', 'anna');
    await machine.run('useradd', '--groups', 'billing', 'carol');
    const [anna, carol] = await Promise.all(
      ['anna', 'carol'].map(async (name) => (await machine.run('id', '-u', name)).trim()),
    );
    const onRequest = 'on_request: [{ command: mailbox list, for: 10m, uses: 2 }]';
    const asked = configuration
      .replace('listeners:', 'persons: { anna: { users: [anna] }, carol: { users: [carol] } }\nlisteners:')
      .replace('allow: [quota get, mailbox list] }', `allow: [user], ${onRequest} }`)
      .replace('allow: [quota get] }', 'allow: [quota get], approve: [support] }');
    machine.write('/etc/dovegate/dovegate.yaml', asked);
    await machine.run('systemctl', 'restart', service);
    const program =
      'echo "$1" > /proc/self/loginuid && exec setpriv --reuid "$2" --regid "$2" --init-groups dovegate "$3" --socket "$4" "${@:5}"';
    const as = (name: string, login = '', verb: string, ...args: string[]) => {
      const socket = `/run/dovegate/${name === 'anna' ? 'support' : 'billing'}.sock`;
      return machine.try('bash', '-c', program, 'bash', login, name, verb, socket, ...args);
    };
    const list = ['--user', 'alice@example.org', '--', 'mailbox', 'list'];
    const id = /"id": "(\w+)"/.exec(
      (await as('anna', anna, 'request', '--json', '--reason', 'x', ...list)).text,
    )?.[1];
    assert.ok(id !== undefined);
    // Carol's account behind somebody else's login, as by su.
    const behind = await as('carol', anna, 'approve', id);
    assert.match(behind.text, /this login is not that of the same person/);
    const approved = await as('carol', carol, 'approve', id);
    assert.equal(approved.exit, 0, approved.text);
    await machine.run('systemctl', 'restart', service);
    assert.equal((await as('anna', carol, 'send', ...list)).exit, 77);
    const sent = await as('anna', anna, 'send', ...list);
    assert.equal(sent.exit, 0, sent.text);
  });

  await t.test('stopped and uninstalled: sockets outlive the daemon, the journal all', async () => {
    await machine.run('systemctl', 'stop', service);
    assert.ok(existsSync(machine.path('/run/dovegate/support.sock')));
    await machine.run('systemctl', 'disable', '--now', ...teams.map((team) => `dovegate@${team}.socket`));
    assert.ok(!existsSync(machine.path('/run/dovegate/support.sock')));
    await install(machine, 'uninstall');
    assert.ok(!existsSync(machine.path('/usr/local/lib/dovegate')));
    for (const left of ['systemd', 'sysusers.d', 'tmpfiles.d', '../bin/dovegate'])
      assert.ok(!existsSync(machine.path(`/usr/local/lib/${left}`)), left);
    assert.ok(journal().length > 0);
  });
});
