// Goal: the Debian package on hosts that have a Dovecot, systemd and no Node at all, by the letter of the documents: five commands to the
// first answer, and ten before two Dovecots over TLS (docs/quickstart.md), and access on request (docs/access-*.md). Only what a page
// leaves to its reader is put in. What must not happen: a need of anything that the package or the page does not name, more than a minute,
// a directory of the runtime in PATH.
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { readPage } from '../cli/docs-page.js';
import { fencesOf } from '../cli/docs-steps.js';
import { type Machine, openMachine } from './machine.js';
import { joinMachines } from './network.js';
import { packageOf } from './packages.js';

/** A site's own settings: mailboxes below /srv/mail, a certificate, and a user database that cannot be listed. */
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
ssl = yes
ssl_cert = </etc/dovecot/tls.crt
ssl_key = </etc/dovecot/tls.key
`,
  '2.4': `mail_driver = maildir
mail_path = ~/Maildir
mail_inbox_path = ~/Maildir
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
ssl = yes
ssl_server_cert_file = /etc/dovecot/tls.crt
ssl_server_key_file = /etc/dovecot/tls.key
`,
};

const authority = makeAuthority({ name: 'everybody trusts it' });

/** One that has a Dovecot with these settings, and a certificate for its name. */
async function openHost(t: TestContext, release: string, name: string): Promise<Machine | { skip: string }> {
  const opened = await openMachine(t, release, { ownNode: true, hasDovecot: true });
  if ('skip' in opened) return opened;
  const series = (await opened.run('dovecot', '--version')).startsWith('2.3') ? '2.3' : '2.4';
  const { certificatePem, keyPem } = authority.issue({ names: [name] });
  opened.write('/etc/dovecot/tls.crt', certificatePem);
  opened.write('/etc/dovecot/tls.key', keyPem);
  opened.write('/etc/dovecot/conf.d/90-site.conf', settings[series]);
  await opened.run('rm', '-f', '/etc/dovecot/conf.d/10-auth.conf');
  await opened.run('install', '-d', '-o', '5000', '-g', '5000', '/srv/mail');
  await opened.run('useradd', 'anna');
  await opened.run('systemctl', 'restart', 'dovecot');
  assert.notEqual((await opened.try('sh', '-c', 'command -v node')).exit, 0);
  return opened;
}

async function putPackage({ folder }: Machine): Promise<void> {
  copyFileSync(await packageOf('deb', '0.0.9'), join(folder, 'dovegate.deb'));
}

/** What a page shows below a heading, up to the next one. */
function fencesBelow(page: string, heading: string) {
  const part = readPage(page)
    .split(/^(?=##+ )/m)
    .find((each) => each.replace(/^#+ /, '').startsWith(`${heading}\n`));
  assert.ok(part !== undefined, `${page}: ${heading}`);
  return fencesOf(part);
}

/** The commands of a block: without its comments, those of several lines whole. */
function commandsOf(text: string): string[] {
  return text
    .replaceAll('\\\n', ' ')
    .replaceAll(/ +#.*$/gm, '')
    .split('\n')
    .filter((line) => line !== '');
}

/** Of a page; the file has another name here, and there is no network. */
const installs = (line: string): string =>
  line.replace(/^apt-get install \S+/, 'apt-get install -y --no-install-recommends /mnt/test/dovegate.deb');

/** Replaces what must be there. */
function replaced(text: string, before: string | RegExp, after: string): string {
  const changed = text.replace(before, () => after);
  assert.notEqual(changed, text, `${before}: ${text}`);
  return changed;
}

/** As somebody who has logged in. */
function asPerson(machine: Machine, person: string, command: string) {
  const program = 'echo $(id -u "$1") > /proc/self/loginuid; exec runuser -u "$1" -- sh -c "$2"';
  return machine.try('bash', '-c', program, 'bash', person, command);
}

const releases = (process.env['DOVEGATE_SYSTEMD'] ?? 'bullseye bookworm trixie').split(' ');
for (const release of releases) {
  void test(`by the documents on ${release}, which has no Node`, { timeout: 1_800_000 }, async (t) => {
    const machine = await openHost(t, release, 'mail1.example.com');
    if ('skip' in machine) return t.skip(machine.skip);
    await putPackage(machine);
    const sh = (line: string): Promise<string> => machine.run('sh', '-c', line);

    await t.test('five commands', async (nested) => {
      const started = performance.now();
      const [block] = fencesBelow('docs/quickstart.md', 'In five commands');
      const [install = '', init = '', snippet = '', enable = '', ask = '', ...more] = commandsOf(
        block?.text ?? '',
      );
      assert.deepEqual(more, []);
      await sh(installs(install));
      // Five answers; this userdb does not tell its domains.
      await sh(`${init} --members anna --defaults --mail-users '*@example.com'`);
      await sh(snippet);
      await sh(`${enable} || { journalctl --no-pager -u dovegate.service; exit 1; }`);
      // Dovecot's own program of bullseye is for root alone: it wants to read the key of the certificate (docs/client-shell.md).
      const command =
        release === 'bullseye'
          ? 'dovegate send --socket /run/dovegate/support.sock --user alice@example.com -- mailbox list'
          : ask;
      const answer = await asPerson(machine, 'anna', command);

      const seconds = (performance.now() - started) / 1000;
      nested.diagnostic(`${seconds.toFixed(1)} s to the first answer`);
      assert.match(answer.text, /^INBOX$/m);
      assert.ok(seconds < 60, `${seconds} s`);
      assert.notEqual((await machine.try('sh', '-c', 'command -v node')).exit, 0);
      assert.match(await sh('dovegate doctor --user alice@example.com'), /looks are ok$/m);
    });

    await t.test('access on request: three commands of the requester, one of the approver', async () => {
      const file = '/etc/dovegate/dovegate.yaml';
      const [setUp] = fencesBelow('docs/access-approve.md', 'Set it up');
      const parts = (setUp?.text ?? '').split(/^(?=[a-z])/m);
      const part = (key: string): string => parts.find((each) => each.startsWith(`${key}:\n`)) ?? '';
      const line = (text: string, name: string): string =>
        new RegExp(`^  ${name}:.*\n(?: {4}.*\n)*`, 'm').exec(text)?.[0] ?? '';
      const asked = line(part('policies'), 'support').split(/^(?= {4}on_request)/m)[1] ?? '';
      let text = readFileSync(machine.path(file), 'utf8');
      text = replaced(text, /^listeners:\n/m, `listeners:\n${line(part('listeners'), 'leads')}`);
      text = replaced(
        text,
        /^policies:\n {2}support:\n/m,
        `${part('persons')}policies:\n${line(part('policies'), 'leads')}  support:\n${asked}`,
      );
      machine.write(file, text);
      await machine.run('useradd', 'carol');
      assert.match(await machine.run('dovegate', 'check'), /no problems/);
      await machine.run('dovegate', 'reload');

      const words = 'hdr.subject mailbox INBOX all';
      const fetch =
        release === 'bullseye'
          ? `dovegate send --socket /run/dovegate/support.sock --user bob@example.com -- fetch ${words}`
          : `doveadm fetch -u bob@example.com -S /run/dovegate/support.sock ${words}`;
      const denied = await asPerson(machine, 'anna', fetch);
      const [, request = ''] =
        /available on request: (dovegate request .*) \[on-request\]/.exec(denied.text) ?? [];
      const wish = replaced(request, /'ticket [^']*'/, "'ticket 4711' --wait 1m");
      const waits = asPerson(machine, 'anna', wish);
      const leads = '--socket /run/dovegate/leads.sock';
      const list = `timeout 60 sh -c "until dovegate requests ${leads} | grep '^\\*'; do sleep 0.05; done"`;
      const [, id = ''] = /^\* +(\w+)/m.exec((await asPerson(machine, 'carol', list)).text) ?? [];
      const [, , approve = ''] = commandsOf(fencesBelow('docs/access-approve.md', 'Decide')[0]?.text ?? '');
      const approved = await asPerson(machine, 'carol', replaced(approve, ' ID ', ` ${id} `));
      assert.equal(approved.exit, 0, approved.text);
      const granted = await waits;
      assert.equal(granted.exit, 0, granted.text);
      const done = await asPerson(machine, 'anna', fetch);
      assert.equal(done.exit, 0, done.text);
      assert.equal((await asPerson(machine, 'anna', fetch)).exit, 77, 'one use');
    });
  });
}

/** The move of a site whose jobs run doveadm as root, by the commands of the guide; only names and files of jobs are put in. */
void test('seven jobs move from root to enforced policies', { timeout: 600_000 }, async (t) => {
  const machine = await openHost(t, 'bookworm', 'mail1.example.com');
  if ('skip' in machine) return t.skip(machine.skip);
  await putPackage(machine);
  const sh = (line: string): Promise<string> => machine.run('sh', '-c', line);
  const jobs = {
    helpdesk: 'doveadm mailbox status -u alice@example.com messages INBOX',
    backup: 'doveadm backup -u bob@example.com maildir:/srv/mail/backup-$1/bob@example.com',
    monitor: 'doveadm mailbox list -u alice@example.com',
    archive: 'doveadm mailbox create -u bob@example.com Archive-$1',
    panel: 'doveadm search -u bob@example.com mailbox INBOX all',
    probe: 'doveadm who',
    janitor: 'doveadm expunge -u bob@example.com mailbox INBOX savedbefore 30d',
  };
  const names = Object.keys(jobs);
  for (const [name, line] of Object.entries(jobs)) {
    if (name !== 'backup') await machine.run('useradd', name).catch(() => undefined);
    machine.write(`/usr/local/bin/${name}-job`, `#!/bin/sh\n${line}\n`);
  }
  await sh('chmod 755 /usr/local/bin/*-job');
  await openCrontab(machine, names.map((name) => `0 3 * * * /usr/local/bin/${name}-job mon\n`).join(''));
  const blocks = fencesBelow('docs/migrate-from-root.md', 'The move in commands').map(({ text }) =>
    commandsOf(text),
  );
  const [first = [], scripts = [], [suggest = ''] = [], next = [], last = []] = blocks;
  const forJobs = (line: string): string => replaced(line, /in backup probe;/, `in ${names.join(' ')};`);
  const [install = '', init = '', snippet = '', enable = '', explain = ''] = first;
  await sh(installs(install));
  const teams = names.map((name) => `--team ${name}=${name}`).join(' ');
  await sh(`${init.replace(/--team.*/, '')} ${teams}`);
  await sh(snippet);
  await sh(enable);
  const asked = (await machine.try('sh', '-c', forJobs(explain))).text;
  // What a shell expands in the line is open in the rule.
  assert.match(asked, /^ *where: \{ destination: \["maildir:\/srv\/mail\/backup-\*\/<user>"\] \}$/m);
  const denied = asked.split(/^(?=\S)/m).filter((each) => / {2}denied: /.test(each));
  assert.deepEqual(
    denied.map((each) => /^\S*\/(\w+)-job:2: doveadm/.exec(each)?.[1]),
    ['backup', 'probe'],
  );
  // The first edit: rules for what reaches beyond a mailbox.
  const file = '/etc/dovegate/policies.yaml';
  const rule = (text: string, name: string, line: string): string =>
    text.replace(
      new RegExp(`^( {2}${name}:\\n(?: {4}.*\\n)*? {4}allow:) \\[\\]`, 'm'),
      `$1\n      - ${line}`,
    );
  let text = readFileSync(machine.path(file), 'utf8');
  text = rule(
    text,
    'backup',
    '{ command: backup, root_equivalent: true, where: { destination: ["maildir:/srv/mail/backup-*/<user>"] } }',
  );
  text = rule(text, 'probe', '{ command: who, all_users: true }');
  machine.write(file, text);
  const [reload = '', send = '', move = '', ...none] = scripts;
  assert.deepEqual(none, []);
  await sh(reload);
  await sh(forJobs(send));
  await sh(forJobs(move));
  assert.equal(await sh('crontab -l'), '');
  for (const name of names)
    assert.match(await sh(`crontab -u ${name} -l`), new RegExp(`^0 3 \\* \\* \\* \\S+/${name}-job mon\n$`));
  const work = async (day: string): Promise<readonly string[]> => {
    const failed: string[] = [];
    for (const name of names) {
      const done = await asPerson(machine, name, `/usr/local/bin/${name}-job ${day}`);
      if (done.exit !== 0) failed.push(`${name}: ${done.text}`);
    }
    return failed;
  };
  assert.deepEqual(await work('mon'), []);
  assert.deepEqual(await work('tue'), []);
  const [shadow = '', replay = ''] = next;
  await sh(suggest);
  // The second edit: the name of a day.
  const path = '/etc/dovegate/next.yaml';
  const candidates = readFileSync(machine.path(path), 'utf8');
  machine.write(path, replaced(candidates, /mailbox: \[Archive-mon, Archive-tue\]/, 'mailbox: "Archive-*"'));
  await sh(shadow);
  assert.match(await sh(replay), /0 allow -> deny/);
  assert.deepEqual(await work('wed'), []);
  const [differs = '', enforce = '', ...ends] = last;
  assert.match((await machine.try('sh', '-c', differs)).text, /nothing would have ended differently/);
  await sh(enforce);
  assert.deepEqual(await work('thu'), []);
  assert.doesNotMatch(await sh('dovegate status'), /observes/);
  const stolen =
    'doveadm backup -S /run/dovegate/backup.sock -u bob@example.com maildir:/srv/mail/backup-x/../alice@example.com';
  assert.equal((await asPerson(machine, 'backup', stolen)).exit, 77);
  for (const end of ends) await sh(end);
  assert.ok(blocks.flat().length <= 15, `${blocks.flat().length} commands`);
  t.diagnostic(`${blocks.flat().length} commands, 3 edits`);
});

/** That of cron, which this machine does not have: a file for each user. */
async function openCrontab(machine: Machine, ofRoot: string): Promise<void> {
  const script = `#!/bin/sh
user=root
[ "$1" != -u ] || { user=$2; shift 2; }
file=/var/spool/cron/crontabs/$user
case $1 in
-l) [ -e $file ] && cat $file || { echo "no crontab for $user" >&2; exit 1; } ;;
-) cat > $file.new && mv $file.new $file ;;
esac
`;
  machine.write('/usr/local/bin/crontab', script);
  machine.write('/var/spool/cron/crontabs/root', ofRoot);
  await machine.run('chmod', '755', '/usr/local/bin/crontab');
}

// One test for both: a Dovecot 2.3 and one of 2.4.
void test('two Dovecots over TLS: an account, a key, one edit', { timeout: 1_800_000 }, async (t) => {
  const gate = 'gate.example.com';
  const newest = releases.at(-1) ?? '';
  const machines = new Map<string, Machine>();
  const hosts = {
    [gate]: newest,
    'mail1.example.com': releases.at(-2) ?? newest,
    'mail2.example.com': newest,
  };
  const opened = Object.entries(hosts).map(async ([name, release]) => ({
    name,
    host: await openHost(t, release, name),
  }));
  for (const { name, host } of await Promise.all(opened)) {
    if ('skip' in host) return t.skip(host.skip);
    machines.set(name, host);
  }
  await joinMachines(t, gate, machines);
  const machine = machines.get(gate);
  assert.ok(machine);
  await putPackage(machine);
  // What the host of the gate has: no Dovecot, the list of authorities, and a certificate of its own, where the commands are typed.
  await machine.run('systemctl', 'disable', '--now', 'dovecot');
  machine.write('/etc/ssl/certs/ca-certificates.crt', authority.certificatePem);
  await machine.run('sh', '-c', 'mv /etc/dovecot/tls.* /root');
  const page = fencesBelow('docs/quickstart.md', 'Two Dovecots, an account, a key');
  const [before, edit, after] = page.map(({ text }) => text);
  const lines = [...commandsOf(before ?? ''), ...commandsOf(after ?? '')];
  assert.equal(lines.filter((line) => !/^(?:for |done$)/.test(line)).length, 10);

  const script = commandsOf(before ?? '').map((line) =>
    installs(line).replace(/^dovegate hash-password$/, 'echo migrant | dovegate hash-password'),
  );
  const said = await machine.run('bash', '-c', ['set -e', 'cd', ...script].join('\n'));
  const [hash = ''] = /^scrypt\S+$/m.exec(said) ?? [];
  const [key = ''] = /^dvg_\S+$/m.exec(said) ?? [];
  const [keyLine = ''] = /^panel: \{.*$/m.exec(said) ?? [];
  const file = '/etc/dovegate/dovegate.yaml';
  const written = replaced(replaced(edit ?? '', /scrypt[^"]*/, hash), /panel:\s*\{[^}]*\}/, keyLine);
  machine.write(file, replaced(readFileSync(machine.path(file), 'utf8'), /^listeners:\n/m, written));
  const looked = await machine.run('bash', '-c', ['set -e', ...commandsOf(after ?? '')].join('\n'));
  assert.match(looked, /^all \d+ looks are ok$/m);
  for (const name of ['mail1', 'mail2'])
    assert.match(looked, new RegExp(`^ok +way to ${name} .*, recorded$`, 'm'));

  machine.write('/root/migrator', 'migrant\n');
  machine.write('/root/panel', `${key}\n`);
  await machine.run('chmod', '600', '/root/migrator', '/root/panel');
  for (const door of [
    `--socket ${gate}:24246 --account migrator --password-file /root/migrator`,
    `--http https://${gate}:8443 --key-file /root/panel`,
  ])
    for (const user of ['alice@example.com', 'bob@example.net'])
      assert.match(
        await machine.run('sh', '-c', `dovegate send ${door} --user ${user} -- mailbox list`),
        /^INBOX$/m,
      );
  const records = await machine.run('sh', '-c', 'dovegate audit search --since yesterday');
  for (const [who, where] of [
    ['migrator@jobs', 'mail1'],
    ['migrator@jobs', 'mail2'],
    ['panel@panel', 'mail1'],
    ['panel@panel', 'mail2'],
  ])
    assert.match(records, new RegExp(`${who} .* ok +${where} `));
});
