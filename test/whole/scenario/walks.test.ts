// Goal: what docs/tasks.md tells root to type is typed on a machine of its own: a mount namespace with copies of /etc, /run,
// /root and /var/lib, real groupadd, usermod and runuser, and a stand-in for systemctl that starts and stops the daemon as its user.
// Phases: each section with what must be so before and after it. What must not happen: a step that fails, a member who was removed and gets
// in, an auditor who sees secrets, a journal that is gone after the end.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { builtProgram } from '../../kit/gate/daemon.js';
import type { ScriptedConnection } from '../../kit/gate/script.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { example } from '../cli/docs-page.js';
import { complete, fencesOf } from '../cli/docs-steps.js';

const oldPassword = 'correct-horse-battery';
const page = readFileSync(fileURLToPath(new URL('docs/tasks.md', projectRoot)), 'utf8');

/** The `sh` commands and the configurations of a section, in order. */
function section(title: string): readonly { readonly language: string; readonly text: string }[] {
  const text = page.split(/^(?=## )/m).find((each) => each.startsWith(`## ${title}\n`));
  assert.ok(text !== undefined, title);
  return fencesOf(text).filter(({ language }) => language === 'sh' || language === 'yaml');
}

/** The machine: a script that makes it, up to the first step. Everything is gone with the last process of the namespace. */
const machine = `
set -eu
cp -a /etc/. "$W/etc"; mount --bind "$W/etc" /etc
mount --bind "$W/run" /run; mount --bind "$W/root" /root; mount --bind "$W/lib" /var/lib
mkdir -p /etc/dovegate /run/dovegate /var/lib/dovegate
rm -rf /etc/dovegate/*
for user in dovegate dovegate-page anna bob carol eve frank; do
  id -u $user > /dev/null 2>&1 || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin $user
done
groupadd --force support; groupadd --force dovegate-people; groupadd --force dovegate-journal
usermod --append --groups support,dovegate-page,dovegate-journal dovegate; usermod --append --groups dovegate-journal dovegate-page
chown dovegate:dovegate /var/lib/dovegate; chmod 711 /var/lib/dovegate
# On a host systemd makes the socket of the page.
chown dovegate:dovegate-page /run/dovegate; chmod 775 /run/dovegate
export PATH=$W/bin:$PATH
stop() {
  for one in page serve; do
    [ -e "$W/$one.pid" ] || continue
    kill "$(cat "$W/$one.pid")"; while kill -0 "$(cat "$W/$one.pid")" 2> /dev/null; do sleep 0.05; done; rm "$W/$one.pid"
  done
}
# SUBCOMMAND USER EVENT
run() {
  : > "$W/$1.log" # Else the line of the run before could be found.
  setpriv --reuid $2 --regid $2 --init-groups -- ${process.execPath} ${builtProgram} $1 --config /etc/dovegate/dovegate.yaml > "$W/$1.log" 2>&1 &
  echo $! > "$W/$1.pid"
  for try in $(seq 1200); do grep -q "\\"event\\":\\"$3\\"" "$W/$1.log" && return; sleep 0.05; done
  cat "$W/$1.log"; exit 9
}
start() {
  run serve dovegate started
  ! grep -q '^ *page:' /etc/dovegate/dovegate.yaml || { run page dovegate-page page-opened; chgrp dovegate-people /run/dovegate/page.sock; }
}
trap 'stop' EXIT
# What Dovecot's own program does here: the test sees the file, takes the new password, and ends all connections: at once after dovegate
# has made the first one with the configuration that it has reloaded.
opened() { sed -n '/"event":"reloaded"/,$p' "$W/serve.log" | grep -q '"event":"upstream-opened","backend":"mail1"'; }
doveadm() {
  [ "$*" = reload ]
  for try in $(seq 1200); do opened && break; sleep 0.05; done; opened
  touch "$W/reload"; while [ -e "$W/reload" ]; do sleep 0.05; done
}
systemctl() { case $1 in restart) stop; start;; start) start;; stop | disable) stop;; enable) [ -e "$W/page.pid" ];; *) echo "no systemctl $1"; exit 9;; esac; }
# The place with a configuration that is to be: EXPECTED COMMAND
expect() { local code=0; echo "? $2"; bash -c "$2" > "$W/out" 2>&1 || code=$?; [ "$code" = "$1" ] || { echo "ended with $code instead of $1:"; cat "$W/out"; exit 9; }; }
`;

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function whyNot(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'only root can have a machine of its own';
}

/** The configuration of the start again, and a reload. */
const reset = Symbol('reset');

/** A section of the page, a condition (an exit code and a command), or {@link reset}. */
type Part = string | readonly [number, string] | typeof reset;

async function walk(t: TestContext, parts: readonly Part[]): Promise<void> {
  const folder = openFolder(t);
  chmodSync(folder, 0o755);
  for (const name of ['etc', 'run', 'run/dovecot', 'root', 'lib', 'bin']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'bin/dovegate'), `#!/bin/sh\nexec ${process.execPath} ${builtProgram} "$@"\n`, {
    mode: 0o755,
  });
  const script = (_: unknown, connection: ScriptedConnection): Promise<void> => connection.status('+');
  const socket = join(folder, 'run/dovecot/dovegate-doveadm');
  await openScriptedDovecot({ unix: socket, script, owner: t });
  const authority = makeAuthority({ name: 'example authority' });
  writeFileSync(join(folder, 'ca.pem'), authority.certificatePem);
  writeFileSync(join(folder, 'mail1.password'), `${oldPassword}\n`);
  const certificate = authority.issue({ names: ['localhost'] });
  const far = await openScriptedDovecot({
    tls: 'starttls',
    certificate,
    password: oldPassword,
    script,
    owner: t,
  });
  chmodSync(socket, 0o666);
  const first = complete(fencesOf(page)[0]?.text ?? '', example).replace(/^ {2}billing: \{ unix.*\n/m, '');
  let configuration = first;
  const put = (): string => {
    const here = configuration.replace('mail1.example.com:24245', `localhost:${far.port}`);
    return `cat > /etc/dovegate/dovegate.yaml <<'END'\n${here.replaceAll(/^tests:\n(?: {2}.*\n)+/gm, '')}\n# Its log says that it dials.\nlog: { level: debug }\nEND`;
  };
  const lines = [machine, put(), 'start'];
  for (const part of parts) {
    if (part === reset) {
      configuration = first;
      lines.push(put(), 'dovegate reload');
      continue;
    }
    if (typeof part !== 'string') {
      lines.push(`expect ${part[0]} ${quoted(part[1])}`);
      continue;
    }
    for (const { language, text } of section(part)) {
      if (language === 'yaml') {
        configuration = complete(text, configuration);
        lines.push(put());
      } else for (const line of text.trim().split('\n')) lines.push(`echo ${quoted(`$ ${line}`)}`, line);
    }
  }
  lines.push('echo the end');
  writeFileSync(join(folder, 'walk.sh'), lines.join('\n'));
  const reloads = setInterval(() => {
    if (!existsSync(join(folder, 'reload'))) return;
    far.change({ password: readFileSync(join(folder, 'etc/dovegate/mail1.next'), 'utf8').trim() });
    for (const connection of far.live) connection.end();
    rmSync(join(folder, 'reload'));
  }, 20);
  t.after(() => clearInterval(reloads));
  const args = ['--mount', '--propagation', 'private', 'bash', join(folder, 'walk.sh')];
  const done = await runProgram('unshare', args, {
    env: { W: folder, LC_ALL: 'C.UTF-8', TZ: 'UTC' },
    timeoutMs: 580_000,
  });
  assert.ok(done.exit === 0 && done.stdout.toString().endsWith('the end\n'), done.text);
}

const overSocket = (who: string): string =>
  `runuser -u ${who} -- dovegate audit search --socket /run/dovegate/page.sock --json --user alice@example.com`;
const quota = (who: string): string =>
  `runuser -u ${who} -- dovegate send --socket /run/dovegate/support.sock --user alice@example.com -- quota get`;

const given =
  'cp "$W/ca.pem" "$W/mail1.password" /etc/dovegate; chown dovegate /etc/dovegate/mail1.password; chmod 0600 /etc/dovegate/mail1.password';
const file = (name: string): string => `$(cat /etc/dovegate/mail1.${name})`;
const asks =
  'runuser -u eve -- dovegate audit verify --key /var/lib/dovegate/audit/key.pub /var/lib/dovegate/audit';
const report = 'dovegate audit report --mailbox alice@example.com';
const verify = 'dovegate audit verify --key /var/lib/dovegate/audit/key.pub /var/lib/dovegate/audit';

/** On one machine, from task to task; to start a program takes longer than anything else here. */
test('the tasks of the page, with what must be so before and after each', { timeout: 600_000 }, async (t) => {
  const why = whyNot();
  if (why !== undefined) return t.skip(why);
  await walk(t, [
    // A password is changed, and neither the old nor the new one is refused on the way.
    [0, 'usermod --append --groups support bob'],
    [0, given],
    'Change the password of a backend',
    [0, quota('bob')],
    [1, `grep '"event":"backend-down"' "$W/serve.log"`],
    [
      0,
      `[ "${file('next')}" = "${file('password')}" ] && [ "${file('next')}" != "$(cat "$W/mail1.password")" ]`,
    ],
    [
      0,
      '[ "$(stat -c "%U %a" /etc/dovegate/mail1.next /etc/dovegate/mail1.password | uniq)" = "dovegate 600" ]',
    ],

    // A member is added, and removed.
    [75, quota('anna')],
    'Add or remove a member',
    [75, quota('anna')],
    [0, quota('bob')],
    // `peers` of the page names bob and carol: membership of the group alone is not enough any more.
    [0, 'usermod --append --groups support eve'],
    [77, quota('eve')],

    // A person is added and removed by name, whatever the groups are.
    reset,
    [0, 'usermod --append --groups support anna'],
    [0, quota('anna')],
    'Add or remove a person by name',
    [77, quota('anna')],
    [0, quota('bob')],

    // An auditor is let in, sees the journal and no secrets, and goes.
    [78, asks],
    'Let an auditor in',
    [
      0,
      `runuser -u eve -- dovegate audit search --json --user alice@example.com /var/lib/dovegate/audit | grep -q '"bob@support"'`,
    ],
    // The configuration is not for auditors: the command that works for them is named, and works.
    [0, 'chgrp dovegate /etc/dovegate/dovegate.yaml && chmod 0640 /etc/dovegate/dovegate.yaml'],
    [
      78,
      `runuser -u eve -- ${report} > "$W/said" 2>&1 || code=$?; grep -qx 'dovegate: this user may run: ${report} /var/lib/dovegate/audit' "$W/said" && exit $code`,
    ],
    [0, `runuser -u eve -- ${report} /var/lib/dovegate/audit`],
    // Without a key, verify says that no signature was checked, and fails.
    [0, `runuser -u eve -- dovegate audit verify 2>&1 | grep -qx 'dovegate: this user may run: ${verify}'`],
    [0, asks],
    [1, 'runuser -u eve -- cat /var/lib/dovegate/audit-sign.key'],
    [1, 'runuser -u eve -- cat /var/lib/dovegate/audit/hmac.key'],
    [2, 'runuser -u eve -- sh -c "echo x >> /var/lib/dovegate/audit/key.pub"'],
    [1, 'runuser -u bob -- cat /var/lib/dovegate/audit/key.pub'],
    // Somebody who was added, and has not logged in again.
    [0, `setpriv --reuid=eve --regid=eve --clear-groups dovegate audit search 2>&1 | grep -q 'log in again'`],
    [0, 'gpasswd --delete eve dovegate-journal'],
    [78, asks],
    // The group that sees all records is named to nobody.
    [
      0,
      `runuser -u eve -- dovegate audit search > "$W/said" 2>&1; grep -q 'and few others .*ask for a role' "$W/said" && ! grep -q dovegate-journal "$W/said"`,
    ],
    // Over the socket frank needs no group; anna, who is not named, gets nothing.
    [
      0,
      `runuser -u frank -- ${report} 2>&1 | grep -qx 'dovegate: this user may run: ${report} --socket /run/dovegate/page.sock'`,
    ],
    [0, `${overSocket('frank')} | grep -q '"bob@support"'`],
    [0, `! ${overSocket('anna')}`],
    // Who may see a part of the journal must not be able to read the files.
    [0, 'dovegate check'],
    [0, 'usermod --append --groups dovegate-journal frank'],
    [78, 'dovegate check'],

    [0, 'gpasswd --delete frank dovegate-journal'],

    // Backed out: no client gets in, and the journal is whole.
    'Back out',
    [75, quota('bob')],
    [69, 'dovegate status'],
    [
      0,
      'mkdir /root/x && tar -C /root/x -xzf /root/dovegate-audit.tar.gz && dovegate audit verify --unsigned /root/x/audit',
    ],
  ]);
});
