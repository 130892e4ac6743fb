// Goal: four scripts of a site are moved by one line each, and print after it what they printed before, through dovegate. Each call is in
// the journal, or `dovegate move jobs` named it as one that it does not reach. What must not happen: a script that is half moved, or a call
// that goes past dovegate unnamed; scripts that are not as they were after `move back`.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ends, type ProgramResult, runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const policy = `
    users: ["*"]
    logs: full
    allow:
      - quota get
      - mailbox status
      - { command: search, content: true }
      - { command: who, all_users: true }
      - { command: user, where: { user-mask: ["*", "*@example.org"] } }
      - { command: expunge, where: { query: { mailbox: [Archive], savedbefore: { at_least: 30d } } } }
      - { command: backup, root_equivalent: true, where: { destination: ["maildir:~/backup-*"] } }`;

/** `real`: the folder of the real doveadm, which this site has in its PATH. */
const scriptsOf = (real: string): Readonly<Record<string, string>> => ({
  'quota-report': `#!/bin/sh -e
# the quota of everybody, of doveadm
doveadm -f tab quota get -A | sort
`,
  monitor: `#!/bin/bash
set -u
[ -x ${real}/doveadm ] || { echo "no doveadm here"; exit 1; }
doveadm who | wc -l
doveadm mailbox status -u alice@example.org 'messages unseen' INBOX
echo "Archive: $(${real}/doveadm mailbox mutf7 Archive)"
`,
  spam: `#!/bin/sh
DOVEADM=\${DOVEADM:-doveadm}
for u in $($DOVEADM user '*@example.org' | sort); do
  case $u in alice*|bob*|victim*) ;; *) continue ;; esac
  $DOVEADM expunge -u "$u" mailbox Archive savedbefore 30d
  echo "$u: $($DOVEADM search -u "$u" mailbox INBOX all | wc -l) mails, $?"
done
`,
  backup: `#!/bin/sh
day=$(date +%a)
doveadm backup -u bob@example.org "maildir:~/backup-$day"
echo "$day: $?"
`,
});

onDovecot(
  'four scripts of a site print the same before and after the move',
  openRealDovecot,
  async (t, lab) => {
    const gateway = await openRealGateway(t, lab, { policy });
    const socket = gateway.daemon.path('support.sock');
    const site = mkdtempSync(join(lab.folder, 'site-'));
    chmodSync(site, 0o755);
    const real = join(site, 'real');
    mkdirSync(real);
    const conf = lab.inRoot(join(lab.folder, 'dovecot.conf'));
    const root = lab.folder.slice(0, lab.folder.length - lab.inRoot(lab.folder).length);
    const own = root === '' ? '/usr/bin/doveadm' : `chroot ${root} doveadm`;
    writeFileSync(join(real, 'doveadm'), `#!/bin/sh\nexec ${own} -c ${conf} "$@"\n`, { mode: 0o755 });
    const install = fileURLToPath(new URL('scripts/install.mjs', projectRoot));
    await ends(0, runProgram(process.execPath, [install, 'install', '--prefix', '/usr', '--destdir', site]));
    const program = join(site, 'usr/lib/dovegate/dist/main.js');
    const move = (...args: string[]): Promise<ProgramResult> =>
      runProgram(process.execPath, [program, 'move', ...args]);

    const scripts = scriptsOf(real);
    const files = Object.keys(scripts).map((name) => join(site, name));
    for (const [name, text] of Object.entries(scripts))
      writeFileSync(join(site, name), text, { mode: 0o755 });
    const env = { PATH: `${real}:${process.env['PATH'] ?? ''}`, LC_ALL: 'C.UTF-8' };
    const runAll = async (): Promise<readonly string[]> => {
      const printed: string[] = [];
      for (const file of files) {
        const { exit, text } = await runProgram(file, [], { env });
        printed.push(`${exit} ${text}`);
      }
      return printed;
    };
    const before = await runAll();
    assert.ok(
      before.every((text) => text.startsWith('0 ')),
      before.join('\n'),
    );

    const copies = ['--copies', join(site, 'copies')];
    const asked = ['jobs', ...copies, '--socket', socket, ...files];
    const tried = await move(...asked);
    const named = [...tried.text.matchAll(/^ {2}(\d+): (.*)\n {5}(.*)$/gm)].map(([, line, text, why]) => [
      line,
      text,
      why,
    ]);
    assert.deepEqual(
      named.map(([line, , why]) => [line, why]),
      [
        [
          '6',
          `it stays with the real one: "mailbox mutf7" works only on Dovecot's own machine: no server has it`,
        ],
      ],
      tried.text,
    );
    assert.equal(tried.exit, 1, tried.text);
    assert.deepEqual(
      files.map((file) => readFileSync(file, 'utf8')),
      Object.values(scripts),
    );
    const written = await move(...asked, '--write');
    assert.equal(written.exit, 1, written.text);
    assert.deepEqual(await runAll(), before);
    assert.equal((await move('back', ...copies)).exit, 0);
    assert.deepEqual(
      files.map((file) => readFileSync(file, 'utf8')),
      Object.values(scripts),
    );
    assert.deepEqual(await runAll(), before);

    const records = await gateway.finish('admission');
    const counts = new Map<string, number>();
    for (const { command } of records) counts.set(String(command), (counts.get(String(command)) ?? 0) + 1);
    // quota get: one for each user that `user *` lists; the users of the spam job have two calls each.
    const listed = new Set(before[0]?.split('\n').flatMap((line) => /^\S+@\S+/.exec(line) ?? [])).size;
    assert.ok(listed >= 3);
    assert.deepEqual(Object.fromEntries(counts), {
      backup: 1,
      expunge: 3,
      'mailbox status': 1,
      'quota get': counts.get('quota get'),
      search: 3,
      user: 2,
      who: 1,
    });
    assert.ok((counts.get('quota get') ?? 0) >= listed);
    assert.ok(records.every(({ decision }) => decision === 'allow'));
    t.diagnostic(`Dovecot ${lab.version}: ${records.length} records of 7 calls; 1 call is named as left`);
  },
);
