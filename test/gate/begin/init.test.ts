// Goal: `dovegate init` as a program: all or nothing, on machines with a Dovecot, without one, and with one that is broken. What must not
// happen: a file of somebody else that is changed, a half set of files, a password that is printed. A program that hangs:
// test/host/machine/programs.test.ts.

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { uidOf } from '../../../src/host/machine/accounts.js';
import { formatWords } from '../../../src/host/words/text.js';
import { builtProgram } from '../../kit/gate/daemon.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import { me } from '../../kit/plain/me.js';
import { type ProgramResult, runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { withSmallDisk } from '../../kit/plain/small-disk.js';

const data = fileURLToPath(new URL('test/gate/begin/', projectRoot));

const found = (series: string): string => `cat ${data}doveconf-${series}.txt`;

/** A machine whose `doveconf` is this script (none: there is no such program), with an empty folder to write to. */
function openMachine(owner: Owner, doveconf: string | undefined) {
  const folder = openFolder(owner);
  const programs = join(folder, 'bin');
  mkdirSync(programs);
  const script = (name: string, text: string): void => {
    writeFileSync(join(programs, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(programs, name), 0o755);
  };
  if (doveconf !== undefined) script('doveconf', doveconf);
  script('doveadm', 'printf "anna@example.com\\nbert@example.com\\n"');
  // What the system's own names are asked with.
  for (const name of ['id', 'getent', 'cat', 'yes'])
    for (const at of ['/usr/bin', '/bin'])
      try {
        symlinkSync(join(at, name), join(programs, name));
        break;
      } catch {
        // The next place.
      }
  const place = join(folder, 'gate');
  const run = (args: string[], env: NodeJS.ProcessEnv): Promise<ProgramResult> =>
    runWarm(args, { cwd: folder, env: { PATH: programs, ...env } });
  return {
    folder,
    place,
    script,
    init: (...args: string[]): Promise<ProgramResult> => run(['init', ...args], { SUDO_USER: undefined }),
    run,
    files: (): string[] => (readdirSync(folder).includes('gate') ? readdirSync(place).toSorted() : []),
  };
}

void test("a folder of the journal that is there and is not the daemon's: nothing is written, and what to do", async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root sets up a daemon of another user');
  const { folder, place, init, files } = openMachine(t, found('2.4'));
  chmodSync(folder, 0o755);
  mkdirSync(join(place, 'audit'), { recursive: true });
  const options = ['--defaults', '--directory', place, '--team', 'support', '--members', 'root'];
  const refused = await init(...options, '--run-as', 'nobody');
  assert.equal(refused.exit, 78, refused.text);
  assert.match(
    refused.stderr,
    /^\S+audit belongs to root, and the daemon runs as nobody; run: chown -R nobody: \S+audit\nnothing was written$/m,
  );
  assert.deepEqual(files(), ['audit']);
  chownSync(join(place, 'audit'), uidOf('nobody') ?? -1, -1);
  const again = await init(...options, '--run-as', 'nobody');
  assert.equal(again.exit, 0, again.text);
});

void test('a unit without its user: the installation is not complete, and no daemon of root is set up', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root has a machine of its own');
  const folder = openFolder(t);
  const init = (...args: string[]): Promise<ProgramResult> =>
    runProgram(
      'unshare',
      [
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-ec',
        installedHalf,
        'sh',
        process.execPath,
        builtProgram,
      ].concat(
        ['init', '--defaults', '--directory', join(folder, 'gate'), '--backend', 'unix:/run/none'],
        ['--team', 'support root', '--mail-users', '*', ...args],
      ),
      { cwd: folder },
    );
  const refused = await init();
  assert.equal(refused.exit, 78, refused.text);
  assert.match(
    refused.stderr,
    /^\/usr\/local\/lib\/systemd\/system\/dovegate\.service is installed, and its user "dovegate" is missing: .*dpkg --configure dovegate.*--run-as USER\n$/,
  );
  assert.ok(!readdirSync(folder).includes('gate'));
  assert.equal((await init('--run-as', 'root')).exit, 0);
});

/** A machine with the unit, where the step that makes the user failed. */
const installedHalf = `
grep -v ^dovegate: /etc/passwd > passwd; mount --bind passwd /etc/passwd
mount -t tmpfs none /usr/local/lib; mkdir -p /usr/local/lib/systemd/system; : > /usr/local/lib/systemd/system/dovegate.service
exec "$@"`;

const team = ['--team', 'support', '--members', me, '--run-as', me];

void test('policies that observe stand in a file that others can replace', async (t) => {
  const { place, init, files } = openMachine(t, found('2.4'));
  const teams = ['desk', 'jobs'].flatMap((name) => ['--team', `${name}=${me}`]);
  const options = ['--observe', '--mail-users', '*', '--run-as', me, ...teams];
  const { text, exit } = await init('--defaults', '--directory', place, ...options);
  assert.equal(exit, 0, text);
  assert.match(text, /\nthe policies observe: docs\/migrate-from-root\.md/);
  assert.ok(files().includes('policies.yaml'));
  const policy = (name: string): string =>
    `  ${name}:\n    mode: observe\n    logs: full # error texts of Dovecot itself, as without a gate\n    users: ["*"]\n    allow: []\n`;
  assert.equal(
    readFileSync(join(place, 'policies.yaml'), 'utf8'),
    `policies:\n${policy('desk')}${policy('jobs')}`,
  );
  const sockets = readFileSync(join(place, 'dovegate.yaml'), 'utf8').match(/unix: \S+(?:desk|jobs)\.sock/g);
  assert.equal(sockets?.length, 2);
});

void test("Dovecot's own ports are named, with what closes those that others reach", async (t) => {
  const { place, init, script } = openMachine(t, found('2.3'));
  const options = ['--defaults', '--replace', '--directory', place, ...team];
  const port = 'the Dovecot of this machine serves doveadm at';
  const here = await init(...options);
  assert.match(here.text, new RegExp(`^${port} 127\\.0\\.0\\.1:41241, for programs of this machine`, 'm'));
  script('doveconf', `/bin/sed '/^listen = /d' ${data}doveconf-2.3.txt`);
  const open = await init(...options);
  assert.match(
    open.text,
    new RegExp(
      `^warning: ${port} \\*:41241, .* get past dovegate; once no job uses it, take that inet_listener`,
      'm',
    ),
  );
});

for (const series of ['2.3', '2.4', '2.3-debian', '2.4-debian']) {
  void test(`with Dovecot ${series}: what it writes passes check and its tests`, async (t) => {
    const { place, init, files } = openMachine(t, found(series));
    const { text, exit } = await init('--defaults', '--directory', place, ...team);
    assert.equal(exit, 0, text);
    assert.match(text, /all \d tests of the policy passed/);
    assert.match(text, /\nthe policy covers the mailboxes of \*@example\.com.* \(--mail-users\)\n/);
    assert.match(text, /: 0 errors, 1 warning\n|: no problems\n/);
    assert.match(text, /\nnext: .*\n(?:then: .*\n)*$/);
    const config = join(place, 'dovegate.yaml');
    assert.match(readFileSync(config, 'utf8'), /users: \["\*@example\.com"\]/);
    // It has checked that itself; once by the programs.
    for (const subcommand of series === '2.4' ? ['check', 'test'] : []) {
      const ended = await runWarm([subcommand, '--config', config]);
      assert.equal(ended.exit, 0, ended.text);
    }
    assert.ok(files().includes('dovecot-snippet.conf') === text.includes('unix_listener'));
    assert.equal(statSync(join(place, 'audit')).mode & 0o777, 0o700);

    if (series !== '2.4') return;
    // A second run changes nothing.
    const before = files();
    const again = await init('--defaults', '--directory', place, ...team);
    assert.equal(again.exit, 78);
    assert.match(
      again.stderr,
      /^\S+dovegate\.yaml exists already, and is not overwritten; to correct it: dovegate check --config \S+; to begin again: --replace, which keeps it as \S+\.old, or /,
    );
    assert.deepEqual(files(), before);
    // It changes its mind, and keeps what somebody may have written.
    writeFileSync(config, '# mine\n');
    for (const name of ['dovegate.yaml.old', 'dovegate.yaml.old2']) {
      const other = await init('--defaults', '--replace', '--directory', place, ...team);
      assert.equal(other.exit, 0, other.text);
      assert.match(other.text, new RegExp(`\\n${config} is kept as ${place}/${name}\\n`));
    }
    assert.equal(readFileSync(join(place, 'dovegate.yaml.old'), 'utf8'), '# mine\n');
    assert.match(readFileSync(join(place, 'dovegate.yaml.old2'), 'utf8'), /^version: 1$/m);
    // What it cannot finish leaves all as it was.
    writeFileSync(config, '# mine again\n');
    const seen = files();
    chmodSync(place, 0o777);
    const failed = await init('--defaults', '--replace', '--directory', place, ...team);
    assert.equal(failed.exit, 78, failed.text);
    assert.match(failed.stderr, /can be changed by every user[^]*\nnothing was written\n$/);
    assert.deepEqual([files(), readFileSync(config, 'utf8')], [seen, '# mine again\n']);
  });
}

void test('answers in a file: once they make a configuration, then nothing changes', async (t) => {
  const { folder, place, init, files } = openMachine(t, found('2.4'));
  const answers = join(folder, 'answers.yaml');
  const said = (text: string): void => writeFileSync(answers, text);
  said(
    `directory: gate\nteam: [desk=${me}, jobs=${me}]\nobserve: true\nmail_users: ['*@a.org', '*@b.org']\nrun_as: ${me}\n`,
  );
  const made = await init('--answers', answers);
  assert.equal(made.exit, 0, made.text);
  assert.match(made.text, /covers the mailboxes of \*@a\.org \*@b\.org/);
  assert.match(readFileSync(join(place, 'policies.yaml'), 'utf8'), /^ {2}jobs:$/m);
  const config = join(place, 'dovegate.yaml');
  writeFileSync(config, '# edited\n');
  const [seen, { mtimeMs }] = [files(), statSync(config)];
  const again = await init('--answers', answers);
  assert.deepEqual(
    [again.exit, String(again.stdout)],
    [0, `${config} is there: nothing was changed\n`],
    again.text,
  );
  assert.equal((await init('--answers', answers, '--json')).exit, 0);
  assert.deepEqual([files(), statSync(config).mtimeMs], [seen, mtimeMs]);
  // An option says more than the file, and --replace begins again.
  const other = await init('--answers', answers, '--replace', '--mail-users', '*@c.org');
  assert.equal(other.exit, 0, other.text);
  assert.match(readFileSync(join(place, 'policies.yaml'), 'utf8'), /users: \["\*@c\.org"\]/);
});

void test('answers that are none are named with their place, and nothing is written', async (t) => {
  const { folder, init, files } = openMachine(t, found('2.4'));
  const answers = join(folder, 'answers.yaml');
  writeFileSync(answers, 'directory: gate\nteams: desk\nobserve: perhaps\n');
  const refused = await init('--answers', answers);
  assert.equal(refused.exit, 64, refused.text);
  assert.match(refused.stderr, /answers\.yaml:2:1: .*"teams" is not a key here; did you mean team\?/);
  assert.match(refused.stderr, /answers\.yaml:3:\d+: .*must be true or false/);
  const missing = await init('--answers', join(folder, 'none.yaml'));
  assert.notEqual(missing.exit, 0);
  assert.match(missing.stderr, /none\.yaml cannot be read: /);
  assert.deepEqual(files(), []);
});

void test('without a terminal it names every option that is missing, and waits for nothing', async (t) => {
  const { init, files } = openMachine(t, undefined);
  const { stderr, exit } = await init();
  assert.equal(exit, 64);
  for (const option of ['directory', 'backend', 'team', 'preset', 'journal'])
    assert.match(stderr, new RegExp(`^  --${option} `, 'm'));
  const some = await init('--directory', 'x', '--team', 'a', '--preset', 'b', '--journal', 'c');
  assert.match(some.stderr, /missing option:\n {2}--backend .*\n$/);
  assert.deepEqual(files(), []);
});

void test('a Dovecot that is stopped, or has many domains: all mail users are never the default', async (t) => {
  for (const [doveadm, said] of [
    [
      'exit 75',
      /^--preset has no default here: in whose mailboxes\? .* fails: Dovecot is stopped\); .*--mail-users/,
    ],
    ['for i in 1 2 3 4 5 6; do echo a@d$i.example; done', /of more than 5 domains/],
  ] as const) {
    const { place, script, init, files } = openMachine(t, found('2.4-debian'));
    script('doveadm', doveadm);
    const refused = await init('--defaults', '--directory', place, ...team);
    assert.equal(refused.exit, 64, refused.text);
    assert.match(refused.stderr, said);
    const preset = await init('--defaults', '--directory', place, ...team, '--preset', 'support-desk');
    assert.equal(preset.exit, 64, preset.text);
    assert.match(preset.stderr, /^in whose mailboxes\? /);
    assert.deepEqual(files(), []);
    const named = await init('--defaults', '--directory', place, ...team, '--mail-users', '*@example.com');
    assert.equal(named.exit, 0, named.text);
    assert.match(readFileSync(join(place, 'dovegate.yaml'), 'utf8'), /users: \["\*@example\.com"\]/);
  }
});

void test('over the network: the password is copied to no output, and its file is needed', async (t) => {
  const { folder, place, init, files } = openMachine(t, undefined);
  const mailUsers = ['--mail-users', '*@example.com'];
  const args = ['--defaults', '--directory', place, ...team, ...mailUsers, '--backend', '127.0.0.1:1'];
  const refused = await init(...args);
  assert.equal(refused.exit, 64);
  assert.match(refused.stderr, /^--password-file is missing/);
  const password = join(folder, 'password');
  const unreadable = await init(...args, '--password-file', password);
  assert.equal(unreadable.exit, 78);
  assert.match(unreadable.stderr, /there is no such file/);
  writeFileSync(password, 'Quail7\n', { mode: 0o644 });
  chmodSync(password, 0o644);
  const open = await init(...args, '--password-file', password);
  assert.equal(open.exit, 78);
  assert.match(open.stderr, /can be read by every user/);
  assert.match(open.stderr, /\nnothing was written\n$/);
  assert.deepEqual(files(), []);
  chmodSync(password, 0o600);
  const { text, exit } = await init(...args, '--password-file', password);
  assert.equal(exit, 0, text);
  assert.ok(!text.includes('Quail7'));
});

void test('two Dovecots over the network: routes, passwords and policy from one command', async (t) => {
  const { folder, place, init } = openMachine(t, undefined);
  const [first, second] = ['one', 'two'].map((name) => join(folder, name));
  for (const file of [first, second]) writeFileSync(file ?? '', 'Quail7\n', { mode: 0o600 });
  const args = ['--defaults', '--directory', place, ...team, '--shared-namespaces', 'none'];
  const dovecots = ['--backend', '127.0.0.1:1=*@example.com', '--backend', '127.0.0.1:2=*@example.net'];
  const files = [first, second, first].flatMap((file) => ['--password-file', file ?? '']);
  const three = await init(...args, ...dovecots, ...files);
  assert.match(three.stderr, /--password-file is given 3 times for 2 Dovecots: once, or once for each/);
  const { text, exit } = await init(...args, ...dovecots, ...files.slice(0, 4));
  assert.equal(exit, 0, text);
  assert.match(text, /: no problems\n|: 0 errors, 1 warning\n/);
  assert.match(text, /\nthe policy covers the mailboxes of \*@example\.com \*@example\.net /);
  const written = readFileSync(join(place, 'dovegate.yaml'), 'utf8');
  assert.match(
    written,
    new RegExp(`mail1:\n[^]*password_file: ${first}\n[^]*mail2:\n[^]*password_file: ${second}\n`),
  );
  assert.match(written, /backend: mail1 \}\n {2}- \{ users: \["\*@example\.net"\], backend: mail2 \}/);
  // The first one over a socket: it needs no password, and the other one has its own.
  const local = ['--backend', `unix:${join(folder, 'gate')}=*@example.com`, ...dovecots.slice(2)];
  const mixed = await init(...args, ...local, '--replace', '--password-file', second ?? '');
  assert.equal(mixed.exit, 0, mixed.text);
  assert.match(mixed.text, /# On this machine:\n[^]*# On 127\.0\.0\.1:\n/);
  assert.match(mixed.text, / on this machine and 127\.0\.0\.1, and run there: doveadm reload\n/);
  const both = readFileSync(join(place, 'dovegate.yaml'), 'utf8');
  assert.match(both, new RegExp(`mail1:\n +address: \\S+\n[^]*mail2:\n[^]*password_file: ${second}\n`));
  assert.equal(both.split('password_file').length, 2);
  // Nobody is known there to try it with, and what is printed can be typed.
  assert.match(text, /\nthen: (?:runuser .*-- )?dovegate can --socket \S+support\.sock\n$/);
});

void test('at a terminal: what is there stays unless it is said, a password file of root is offered to the daemon', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root sets up a daemon of another user');
  const { folder, place, files } = openMachine(t, undefined);
  chmodSync(folder, 0o755);
  const password = join(folder, 'password');
  writeFileSync(password, 'Quail7\n', { mode: 0o600 });
  const args = ['--directory', place, '--team', 'support', '--members', 'root', '--run-as', 'nobody'];
  const options = ['--mail-users', '*', '--journal', join(place, 'audit'), '--password-file', password];
  const line = formatWords([process.execPath, builtProgram, 'init', ...args, ...options]);
  const atTerminal = (backend: string, ...answers: string[]): Promise<ProgramResult> =>
    runProgram('script', ['-qec', `${line} --backend ${backend}`, '/dev/null'], {
      stdin: answers.map((each) => `${each}\r`).join(''),
      env: { PATH: join(folder, 'bin') + ':/usr/bin:/bin' },
    });
  const kept = await atTerminal('127.0.0.1:1', 'none', 'no');
  assert.match(kept.text, /password belongs to root, and the daemon runs as nobody\. Give it to nobody/);
  assert.match(kept.text, /run: chown nobody \S+password/, 'it says what to do');
  assert.deepEqual([statSync(password).uid, files()], [0, []]);
  const given = await atTerminal('127.0.0.1:1', 'none', '');
  assert.equal(given.exit, 0, given.text);
  assert.equal(statSync(password).uid, uidOf('nobody'));
  const config = join(place, 'dovegate.yaml');
  assert.match(readFileSync(config, 'utf8'), /shared_namespaces: \[\]/);
  const before = files();
  const refused = await atTerminal('127.0.0.1:2', '');
  assert.match(
    refused.text,
    /exists already\. Put it aside, as \S+dovegate\.yaml\.old, and write another\? \[no\]/,
  );
  assert.deepEqual([refused.exit, files()], [78, before]);
  const again = await atTerminal('127.0.0.1:2', 'yes', 'shared/ Public/');
  assert.equal(again.exit, 0, again.text);
  assert.match(
    readFileSync(config, 'utf8'),
    /address: "?127\.0\.0\.1:2"?\n[^]*shared_namespaces: \[shared\/, Public\/\]/,
  );
  assert.match(readFileSync(`${config}.old`, 'utf8'), /address: "?127\.0\.0\.1:1"?\n/);
});

void test('a directory that is a link, that others can change, or of somebody else', async (t) => {
  const { folder, place, init } = openMachine(t, found('2.3'));
  mkdirSync(join(folder, 'real'));
  symlinkSync(join(folder, 'real'), place);
  const linked = await init('--defaults', '--directory', place, ...team);
  assert.equal(linked.exit, 78);
  assert.match(linked.stderr, /gate is a symbolic link; name the directory/);
  assert.match(linked.stderr, /\nnothing was written\n$/);

  const open = join(folder, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  const changed = await init('--defaults', '--directory', open, ...team);
  assert.equal(changed.exit, 78);
  assert.match(changed.stderr, /can be changed by every user/);
  assert.match(changed.stderr, /\nnothing was written\n$/);
  assert.deepEqual(readdirSync(open), []);

  const proc = await init('--defaults', '--directory', '/proc/dovegate', ...team);
  assert.ok([77, 78].includes(proc.exit), proc.text);
  assert.match(proc.stderr, /^\/proc\/dovegate: /);
});

void test('a full disk: one line, and nothing is left', async (t) => {
  const { init } = openMachine(t, found('2.4'));
  const hasDisk = await withSmallDisk('tmpfs', async (disk) => {
    chmodSync(disk, 0o755);
    const place = join(disk, 'gate');
    try {
      writeFileSync(join(disk, 'full'), Buffer.alloc(4 << 20));
    } catch {
      // That is what is meant.
    }
    const { stderr, exit } = await init('--defaults', '--directory', place, ...team);
    assert.equal(exit, 1, stderr);
    assert.match(stderr, /^\S+: no space is left on the disk\nnothing was written\n$/);
    assert.deepEqual(readdirSync(disk), ['full']);
  });
  if (!hasDisk) t.skip('only root mounts a small disk');
});

void test('hostile answers', async (t) => {
  const { place, init, files } = openMachine(t, found('2.3'));
  const tried = async (...args: string[]): Promise<string> => {
    const { stderr, exit } = await init('--defaults', '--directory', place, ...args);
    assert.equal(exit, 64, stderr);
    // Nothing that a terminal obeys.
    // oxlint-disable-next-line no-control-regex -- that is what is looked for
    assert.doesNotMatch(stderr.replaceAll('\n', ''), /[\u0000-\u001f\u007f\u202e]/);
    return stderr;
  };
  assert.match(await tried('--team', '../../etc/x', '--members', me), /the name of a team/);
  assert.match(await tried('--team', '\u001b[31m', '--members', me), /the name of a team/);
  assert.match(await tried('--team', 'a', '--members', '\u001b[31m\u202e'), /no user/);
  assert.match(await tried('--team', 'a', '--members', '$(reboot)'), /no user/);
  assert.match(await tried(...team, '--preset', '../x'), /no preset/);
  assert.match(await tried(...team, '--preset', 'monitoring'), /probe/);
  assert.match(await tried(...team, '--mail-users', '\u202e'), /a pattern of mail users/);
  assert.match(await tried(...team, '--journal', '/a;reboot'), /a directory is/);
  assert.match(await tried(...team, '--run-as', 'no-such-user-here'), /no user/);
  assert.deepEqual(files(), []);
});

void test('--json says what was written and what to type', async (t) => {
  const { place, init } = openMachine(t, found('2.4'));
  const { stdout, exit } = await init('--defaults', '--json', '--directory', place, ...team);
  assert.equal(exit, 0);
  const said: Record<string, unknown> = JSON.parse(stdout.toString());
  assert.equal(said['configuration'], join(place, 'dovegate.yaml'));
  assert.equal(said['dovecot'], '2.4.1-4');
  assert.equal(said['socket'], join(place, 'run/support.sock'));
  assert.ok(Array.isArray(said['made']) && said['made'].length >= 5);
  assert.ok(Array.isArray(said['next']) && said['next'].length >= 3);
});
