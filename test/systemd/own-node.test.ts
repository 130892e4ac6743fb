// Goal: the Debian package on a host that has a Dovecot, systemd and no Node at all: five commands to the first answer, as
// docs/quickstart.md has them. What must not happen: a need of anything that the package does not name, more than a minute, a
// directory of the runtime in PATH.
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openMachine } from './machine.js';
import { packageOf } from './packages.js';

/** A site's own settings: mailboxes below /srv/mail, and a user database that cannot be listed. */
const settings = {
  '2.3': `mail_location = maildir:~/Maildir
passdb {
  driver = static
  args = password=unused
}
userdb {
  driver = static
  args = uid=5000 gid=5000 home=/srv/mail/%u allow_all_users=yes
}
`,
  '2.4': `mail_driver = maildir
mail_path = ~/Maildir
passdb static {
  password = unused
}
userdb static {
  allow_all_users = yes
  fields {
    uid = 5000
    gid = 5000
    home = /srv/mail/%{user}
  }
}
`,
};

const releases = (process.env['DOVEGATE_SYSTEMD'] ?? 'bullseye bookworm trixie').split(' ');
for (const release of releases) {
  void test(`five commands on ${release}, which has no Node`, { timeout: 1_800_000 }, async (t) => {
    const opened = await openMachine(t, release, { ownNode: true, hasDovecot: true });
    if ('skip' in opened) return t.skip(opened.skip);
    const machine = opened;
    copyFileSync(await packageOf('deb', '0.0.9'), join(machine.folder, 'dovegate.deb'));
    const series = (await machine.run('dovecot', '--version')).startsWith('2.3') ? '2.3' : '2.4';
    machine.write('/etc/dovecot/conf.d/90-site.conf', settings[series]);
    await machine.run('rm', '-f', '/etc/dovecot/conf.d/10-auth.conf');
    await machine.run('install', '-d', '-o', '5000', '-g', '5000', '/srv/mail');
    await machine.run('useradd', 'anna');
    await machine.run('systemctl', 'restart', 'dovecot');
    assert.notEqual((await machine.try('sh', '-c', 'command -v node')).exit, 0);
    const started = performance.now();
    const sh = (line: string): Promise<string> => machine.run('sh', '-c', line);

    await sh('apt-get install -y --no-install-recommends /mnt/test/dovegate.deb');
    await sh("dovegate init --members anna --defaults --mail-users '*@example.com'");
    await sh('cp /etc/dovegate/dovecot-snippet.conf /etc/dovecot/conf.d/99-dovegate.conf && doveadm reload');
    await sh(
      'systemctl enable --now dovegate.service || { journalctl --no-pager -u dovegate.service; exit 1; }',
    );
    // Dovecot's own program of bullseye is for root alone: it wants to read the key of the certificate (docs/client-shell.md).
    const command =
      release === 'bullseye'
        ? 'dovegate send --socket /run/dovegate/support.sock --user alice@example.com -- mailbox list'
        : 'doveadm mailbox list -u alice@example.com -S /run/dovegate/support.sock';
    const answer = await machine.run('runuser', '-u', 'anna', '--', 'sh', '-c', command);

    const seconds = (performance.now() - started) / 1000;
    t.diagnostic(`${seconds.toFixed(1)} s to the first answer`);
    assert.match(answer, /^INBOX$/m);
    assert.ok(seconds < 60, `${seconds} s`);
    assert.notEqual((await machine.try('sh', '-c', 'command -v node')).exit, 0);
    assert.match(await sh('dovegate doctor --user alice@example.com'), /looks are ok$/m);
  });
}
