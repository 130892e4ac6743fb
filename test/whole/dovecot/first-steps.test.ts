// Goal: from nothing to an answer in five commands, before a real Dovecot of each series: install, init, the lines for Dovecot, serve, and
// the real doveadm of a member of the team who has no rights. Between them doctor says what is missing, and at the end that all is well.
// What must not happen: a step that needs something else, Dovecot's own files changed by us, a socket that lets others in.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDaemon } from '../../kit/gate/daemon.js';
import { type Lab, openLab } from '../../kit/plain/dovecot-lab.js';
import { ends, type ProgramResult, runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { readPage } from '../cli/docs-page.js';
import { fencesOf } from '../cli/docs-steps.js';
import { alice, onDovecot } from './real-gateway.js';

/** The daemon runs as nobody; the member of the team is a user whom every Debian has. */
const daemonIds = { uid: 65_534, gid: 65_534 };
const member = 'games';
const stranger = 'sys';

/** Programs that lead to the instance, in front of those of the system. */
function writePrograms(folder: string, lab: Lab): string {
  const programs = join(folder, 'bin');
  mkdirSync(programs);
  const root =
    lab.inRoot(lab.folder) === lab.folder ? '' : lab.folder.slice(0, -lab.inRoot(lab.folder).length);
  for (const name of ['doveconf', 'doveadm']) {
    const enter = root === '' ? `/usr/bin/${name}` : `chroot ${root} ${name}`;
    const text = `#!/bin/sh\nunset TMPDIR\nexec ${enter} -c ${lab.inRoot(join(lab.folder, 'dovecot.conf'))} "$@"\n`;
    writeFileSync(join(programs, name), text);
    chmodSync(join(programs, name), 0o755);
  }
  return programs;
}

onDovecot('five commands from nothing to an answer', openLab, async (t, lab) => {
  const folder = mkdtempSync(join(lab.folder, 'first-'));
  chmodSync(folder, 0o755);
  const env = { PATH: `${writePrograms(folder, lab)}:${process.env['PATH']}`, SUDO_USER: undefined };
  const conf = readFileSync(join(lab.folder, 'dovecot.conf'), 'utf8');
  const startedMs = performance.now();
  const seconds = (): string => ((performance.now() - startedMs) / 1000).toFixed(1);

  // 1. The program, where everybody may read it.
  const installer = fileURLToPath(new URL('scripts/install.mjs', projectRoot));
  const destination = join(folder, 'installed');
  await ends(0, runProgram(process.execPath, [installer, 'install', '--destdir', destination]));
  chmodSync(destination, 0o755);
  const program = join(destination, 'usr/local/lib/dovegate/dist/main.js');
  const dovegate = (...args: string[]): Promise<ProgramResult> =>
    runProgram(process.execPath, [program, ...args], { env });

  // 2. The configuration. A root of its own has other paths than we have: then the socket is named.
  const gate = join(lab.folder, 'gate');
  const socket = join(lab.folder, 'run', 'dovegate-doveadm');
  const isNative = lab.inRoot(socket) === socket;
  const backend = isNative ? 'local' : `unix:${socket}`;
  const answers = ['--directory', gate, '--backend', backend, '--run-as', 'nobody', '--members', member];
  const begun = await ends(0, dovegate('init', '--defaults', ...answers));
  assert.match(
    begun.text,
    new RegExp(`^Dovecot ${lab.version.replaceAll('.', '\\.')}\\S* is on this machine`),
  );
  const config = join(gate, 'dovegate.yaml');
  assert.match(readFileSync(config, 'utf8'), /users: \["\*@example\.org"\]/);
  assert.match(readFileSync(config, 'utf8'), /shared_namespaces: \[\]/);
  await ends(0, dovegate('check', '--config', config));
  assert.equal(readFileSync(join(lab.folder, 'dovecot.conf'), 'utf8'), conf);
  const doctor = (...args: string[]): Promise<ProgramResult> =>
    dovegate('doctor', '--config', config, ...args);
  const before = await ends(1, doctor());
  assert.match(before.text, /^bad +backend mail1 .*no such socket; let Dovecot listen there/m);
  assert.match(before.text, /^bad +daemon .*; start it$/m);

  // 3. The lines for Dovecot, as they were written.
  const snippet = readFileSync(join(gate, 'dovecot-snippet.conf'), 'utf8');
  const lines = snippet.replace(`unix_listener ${socket} `, 'unix_listener dovegate-doveadm ');
  await lab.writeExtraConf(lines);
  const half = await doctor();
  assert.match(
    half.text,
    new RegExp(`^ok +backend mail1 +Dovecot ${lab.series.replace('.', '\\.')} greeted`, 'm'),
  );
  assert.match(half.text, /^bad +daemon .*; start it$/m);
  assert.match(half.text, /\nnext: runuser -u nobody -- dovegate serve --config \S+\n$/);

  // 4. The daemon, as a user who may do nothing.
  const { uid, gid } = daemonIds;
  const daemon = await startDaemon(t, {
    folder: gate,
    program,
    launcher: ['setpriv', '--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups'],
    config: readFileSync(config, 'utf8'),
  });

  // 5. The real doveadm of a member.
  const ask = (user: string): Promise<ProgramResult> => {
    const root = lab.folder.slice(0, -lab.inRoot(lab.folder).length);
    const enter = isNative ? [] : ['chroot', root];
    const become = ['setpriv', '--reuid', user, '--regid', user, '--clear-groups'];
    const own = ['-c', lab.inRoot(join(lab.folder, 'dovecot.conf'))];
    const at = lab.inRoot(join(gate, 'run/support.sock'));
    const line = ['doveadm', ...own, 'quota', 'get', '-u', alice, '-S', at];
    const [file = '', ...rest] = [...enter, ...become, ...line];
    return runProgram(file, rest, { env: { LC_ALL: 'C.UTF-8', TMPDIR: undefined } });
  };
  const answered = await ends(0, ask(member));
  assert.match(answered.stdout.toString(), /User quota +STORAGE/);
  assert.equal(answered.stderr, '', 'nothing of stats-writer');
  t.diagnostic(`${lab.version}: an answer after ${seconds()} s`);

  const green = await ends(0, doctor('--user', alice));
  const notOk = green.stdout
    .toString()
    .split('\n')
    .filter((line) => /^(?:bad|warning) /.test(line) && !/audit\.memory|^warning +clock/.test(line));
  assert.deepEqual(notOk, [], green.text);
  const looksIn = (text: string): string[] => [
    ...new Set([...text.matchAll(/^(?:ok|warning) +(\S+(?: \S+)*)/gm)].map(([, name = '']) => name)),
  ];
  const shown = fencesOf(readPage('docs/quickstart.md')).find(({ text }) => text.startsWith('ok '));
  assert.deepEqual(
    looksIn(green.stdout.toString()),
    looksIn(shown?.text ?? ''),
    'the page shows these looks',
  );
  const refused = await ask(stranger);
  assert.notEqual(refused.exit, 0, refused.text);

  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  const asked = daemon
    .audit()
    .flatMap(({ record }) =>
      record['event'] === 'admission' ? [[record['principal'], record['command']]] : [],
    );
  assert.deepEqual(asked, [
    [`${member}@support`, 'quota get'],
    ['root@support', 'mailbox list'],
  ]);
  rmSync(gate, { recursive: true });
});
