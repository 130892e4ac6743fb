// Goal: advice is followed to the letter on a booted system with systemd and Dovecot: a journal outside of what the unit permits, by init,
// check, doctor and the failing start; the same of a unit of another name; Dovecot's own socket as a backend; serve by hand beside the
// running service; a removed folder of sockets; /etc/dovegate removed and made again; a hold that root without a login asked to lift; init
// with two Dovecots. What must not happen: advice after which the
// service does not run, or that takes a running one down.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { onMachines } from './machine.js';

const installer = fileURLToPath(new URL('scripts/install.mjs', projectRoot));
const service = 'dovegate.service';
const unit = '/usr/local/lib/systemd/system/dovegate.service';
const file = '/etc/dovegate/dovegate.yaml';
const dropIn = `/etc/systemd/system/${service}.d/paths.conf`;

const dovecot = `mail_location = maildir:~/Maildir
passdb {
  driver = static
  args = password=unused
}
userdb {
  driver = static
  args = uid=5000 gid=5000 home=/srv/mail/%u allow_all_users=yes
}
ssl = no
`;

onMachines('advice, followed to the letter', ['bookworm'], { hasDovecot: true }, async (t, machine) => {
  const sh = (line: string): Promise<string> => machine.sh(line);
  const read = (path: string): string => readFileSync(machine.path(path), 'utf8');
  const ofInit = ['init', '--defaults', '--members', 'anna'];
  const init = (...more: string[]) =>
    machine.try('dovegate', ...ofInit, '--mail-users', '*@example.com', ...more);
  const stepsOf = (text: string): string[] =>
    [...text.matchAll(/^(?:next|then): (.*)$/gm)].map(([, step = '']) => step);
  /** The command that doctor ends with. */
  const doctor = async () => {
    const { text } = await machine.try('dovegate', 'doctor');
    return { text, next: /^next: (.*)$/m.exec(text)?.[1] ?? '' };
  };
  const isActive = async (): Promise<void> =>
    void (await machine.waitFor(service, 'ActiveState', (text) => text === 'active'));
  const edit = (change: (text: string) => string): void => machine.write(file, change(read(file)));
  const lineOf = (setting: string): string => `${unit}:${read(unit).split('\n').indexOf(setting) + 1}`;

  machine.write('/etc/dovecot/conf.d/90-site.conf', dovecot);
  await sh(
    'rm -f /etc/dovecot/conf.d/10-auth.conf; install -d -o 5000 -g 5000 /srv/mail; useradd anna; systemctl restart dovecot',
  );
  const args = [installer, 'install', '--destdir', machine.path('/'), '--node', '/usr/bin/node'];
  const installed = await runProgram(process.execPath, args);
  assert.equal(installed.exit, 0, installed.text);
  await sh(
    'systemd-sysusers dovegate.conf && systemd-tmpfiles --create dovegate.conf && systemctl daemon-reload',
  );
  await sh('rm -f /etc/dovegate/dovegate.yaml');

  await t.test('init: a journal that the service cannot see is refused', async () => {
    const home = await init('--journal', '/home/audit');
    assert.equal(home.exit, 64, home.text);
    assert.ok(
      home.text.includes(`does not see /home (ProtectHome=yes, ${lineOf('ProtectHome=yes')})`),
      home.text,
    );
    assert.equal(existsSync(machine.path('/home/audit')), false);
    const begun = await init('--journal', '/srv/audit');
    assert.equal(begun.exit, 0, begun.text);
    assert.equal(read(dropIn), '[Service]\nReadWritePaths=-/srv/audit\n');
    for (const step of stepsOf(begun.text).slice(0, 2)) await sh(step);
    await isActive();
    const { text } = await doctor();
    assert.match(text, /^ok +journal +\/srv\/audit is writable/m);
    assert.doesNotMatch(text, /^bad/m);
  });

  await t.test('without the drop-in check, doctor and the start tell it', async () => {
    const why = `dovegate.service may not write /srv/audit (ProtectSystem=strict, ${lineOf('ProtectSystem=strict')})`;
    await sh(`rm ${dropIn} && systemctl daemon-reload`);
    assert.ok((await machine.try('dovegate', 'check')).text.includes(why));
    const before = await doctor();
    assert.ok(before.text.includes(why), before.text);
    assert.match(before.next, /^mkdir -p .*paths\.conf && systemctl daemon-reload$/);
    assert.notEqual((await machine.try('systemctl', 'restart', service)).exit, 0);
    const log = await sh(`journalctl -q -o cat -u ${service}`);
    assert.ok(
      log.includes(`audit.directory: /srv/audit is closed to the service, which would not start: ${why}`),
      log,
    );
    await sh((await doctor()).next);
    await sh('systemctl reset-failed; systemctl restart dovegate');
    await isActive();
  });

  await t.test('a unit of another name: its own drop-in is told, and helps', async () => {
    const template = '/etc/systemd/system/gate@.service';
    const gate = 'gate@eu.service';
    const own = '/etc/gates/eu.yaml';
    machine.write(template, read(unit).replaceAll(file, '/etc/gates/%i.yaml'));
    machine.write(
      own,
      read(file)
        .replaceAll('/run/dovegate/', '/run/dovegate/eu-')
        .replaceAll('/var/lib/dovegate', '/var/lib/dovegate/eu')
        .replaceAll('/srv/audit', '/srv/eu'),
    );
    await sh(
      'chmod 644 /etc/gates/eu.yaml; install -d -m 0700 -o dovegate -g dovegate /var/lib/dovegate/eu /srv/eu; systemctl daemon-reload',
    );
    const line = read(template).split('\n').indexOf('ProtectSystem=strict') + 1;
    const why = `${gate} may not write /srv/eu (ProtectSystem=strict, ${template}:${line})`;
    for (const verb of ['check', 'doctor']) {
      const { text } = await machine.try('dovegate', verb, '--config', own);
      assert.ok(text.includes(why), text);
    }
    const byRoot = await machine.try('dovegate', 'serve', '--config', own);
    assert.match(byRoot.text, /Run: systemctl start gate@eu\.service\n$/);
    const { text } = await machine.try('dovegate', 'doctor', '--config', own);
    await sh(/^next: (.*)$/m.exec(text)?.[1] ?? '');
    assert.equal(existsSync(machine.path(`/etc/systemd/system/${gate}.d/paths.conf`)), true);
    assert.equal(
      (await machine.try('systemctl', 'start', gate)).exit,
      0,
      await sh(`journalctl -q -o cat -n 30 -u ${gate}`),
    );
    await machine.waitFor(gate, 'ActiveState', (state) => state === 'active');
    const after = await machine.try('dovegate', 'doctor', '--config', own);
    assert.doesNotMatch(after.text, /^bad/m);
    await sh(`systemctl stop ${gate}; rm -r ${template} ${own}; systemctl daemon-reload`);
  });

  await t.test("Dovecot's own socket as a backend: the socket that doctor names", async () => {
    const whole = read(file);
    const [, socket = ''] = /address: "?unix:([^"\s,}]+)/.exec(whole) ?? [];
    const before = await sh('stat -c "%u %a" /run/dovecot/doveadm-server');
    edit((text) => text.replace(socket, '/run/dovecot/doveadm-server'));
    const { text } = await doctor();
    const [, address = ''] =
      /doveadm-server is Dovecot's own, .* and write address: unix:(\S+)$/m.exec(text) ?? [];
    assert.ok(address.startsWith('/run/dovecot/'), text);
    edit((changed) => changed.replace('/run/dovecot/doveadm-server', address));
    assert.equal(read(file), whole);
    await sh('systemctl restart dovegate');
    await isActive();
    assert.equal(await sh('stat -c "%u %a" /run/dovecot/doveadm-server'), before);
    assert.doesNotMatch((await doctor()).text, /^bad/m);
  });

  await t.test('a journal below /home in the file of a running gate: nothing says restart', async () => {
    const whole = read(file);
    edit((text) => text.replace('/srv/audit', '/home/audit'));
    const { text, next } = await doctor();
    assert.ok(text.includes('does not see /home'), text);
    assert.doesNotMatch(next, /restart/);
    machine.write(file, whole);
  });

  await t.test('serve by hand beside the service: root, and the user of the service', async () => {
    const before = await sh('ls -ln /etc/dovegate /var/lib/dovegate /srv/audit');
    const byRoot = await machine.try('dovegate', 'serve');
    assert.equal(byRoot.exit, 77, byRoot.text);
    assert.match(
      byRoot.text,
      /^you are root, and .* is for dovegate; .* Run: systemctl start dovegate\.service\n$/,
    );
    const pid = await machine.property(service, 'MainPID');
    edit((text) => text.replaceAll('/run/dovegate/', '/var/lib/dovegate/'));
    const serve = 'timeout 60 runuser -u dovegate -- dovegate serve';
    const second = await machine.try(...serve.split(' '));
    assert.equal(second.exit, 78, second.text);
    assert.ok(
      second.text.includes(`process ${pid} (dovegate.service) writes the journal in /srv/audit`),
      second.text,
    );
    edit((text) => text.replaceAll('/var/lib/dovegate/', '/run/dovegate/'));
    assert.equal(await sh('ls -ln /etc/dovegate /var/lib/dovegate /srv/audit'), before);
    await isActive();
  });

  await t.test('a folder of sockets that is gone: the command of doctor makes it', async () => {
    await sh('rm -rf /run/dovegate');
    const { next } = await doctor();
    assert.match(next, /^systemd-tmpfiles --create dovegate\.conf && systemctl restart/);
    await sh(next);
    await isActive();
    await sh('rm -rf /run/dovegate');
    assert.notEqual((await machine.try('systemctl', 'restart', service)).exit, 0);
    const log = await sh(`journalctl -q -o cat -u ${service}`);
    assert.match(
      log,
      /\/run\/dovegate, the folder of its socket, is not there. Run: systemd-tmpfiles --create dovegate\.conf/,
    );
    await sh('systemd-tmpfiles --create dovegate.conf && systemctl restart dovegate');
    await isActive();
  });

  await t.test('/etc/dovegate removed, and init again: the service starts', async () => {
    await sh('systemctl stop dovegate && rm -rf /etc/dovegate');
    const begun = await init('--journal', '/srv/audit');
    assert.equal(begun.exit, 0, begun.text);
    for (const step of stepsOf(begun.text).filter((each) => each.includes('systemctl'))) await sh(step);
    await isActive();
    assert.doesNotMatch((await doctor()).text, /^bad/m);
  });

  await t.test('a hold that root without a login asked to lift: two with a login lift it', async () => {
    await sh('useradd carol');
    const target = 'user:bob@example.com';
    const unlock = async (name?: string) => {
      const login = name === undefined ? '' : `echo $(id -u ${name}) > /proc/self/loginuid && `;
      return machine.try('sh', '-c', `${login}exec dovegate unlock ${target} --reason over`);
    };
    const held = await sh(`dovegate lock ${target} --destroying --reason case`);
    assert.match(held, /fewer than two could now: name them in `persons`, with `users` by which they log in/);
    edit((text) => `${text}\npersons:\n  anna: { users: [anna] }\n  carol: { users: [carol] }\n`);
    await sh('dovegate reload');
    for (const first of [undefined, 'anna'])
      assert.match((await unlock(first)).text, /stays held until a second person lifts it/);
    assert.match((await unlock('anna')).text, /the second is another person/);
    assert.match((await unlock('carol')).text, /is unlocked/);
  });

  await t.test('init with the Dovecot here and one over the network: the service starts', async () => {
    const both = ['--backend', 'local=*@example.com', '--backend', '127.0.0.1:24245=*@example.org'];
    const places = ['--journal', '/srv/audit', '--ca', '/etc/dovegate/other.crt'];
    const two = (...more: string[]) =>
      machine.try('dovegate', ...ofInit, ...both, ...places, '--replace', ...more);
    machine.write('/etc/dovegate/other.crt', makeAuthority({ name: 'a site' }).certificatePem);
    const asked = await two();
    assert.match(asked.text, /--password-file is missing: a file with the doveadm_password of 127\.0\.0\.1/);
    machine.write('/etc/dovegate/other.password', 'secret\n');
    await sh('chown dovegate /etc/dovegate/other.password && chmod 0600 /etc/dovegate/other.password');
    const begun = await two('--password-file', '/etc/dovegate/other.password');
    assert.equal(begun.exit, 0, begun.text);
    for (const step of stepsOf(begun.text).filter((each) => each.includes('systemctl'))) await sh(step);
    await isActive();
    assert.match(read(file), /mail1:\n +address: "?unix:[^]*mail2:\n +address: "?127\.0\.0\.1:24245/);
  });
});
