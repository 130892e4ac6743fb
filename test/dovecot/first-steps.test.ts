// Goal: from nothing to an answer in five commands, before a real Dovecot of each series, and in ten before two of them over TLS, as
// docs/quickstart.md has them: install, init, the lines for Dovecot, serve, and
// the real doveadm of a member of the team who has no rights. Between them doctor says what is missing, and at the end that all is well.
// What must not happen: a step that needs something else, Dovecot's own files changed by us, a socket that lets others in.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { readPage } from '../cli/docs-page.js';
import { fencesOf } from '../cli/docs-steps.js';
import { makeAuthority } from '../kit/certificates.js';
import { builtProgram, startDaemon } from '../kit/daemon.js';
import { type Lab, openLab, type Release } from '../kit/dovecot-lab.js';
import type { Owner } from '../kit/folder.js';
import { freePorts } from '../kit/free-ports.js';
import { type ProgramResult, runProgram } from '../kit/program.js';
import type { Skipped } from '../kit/skipped.js';
import { alice, backendPassword, onDovecot } from './real-gateway.js';

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
  const installer = fileURLToPath(new URL('../../../scripts/install.mjs', import.meta.url));
  const destination = join(folder, 'installed');
  const installed = await runProgram(process.execPath, [installer, 'install', '--destdir', destination]);
  assert.equal(installed.exit, 0, installed.text);
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
  const begun = await dovegate('init', '--defaults', ...answers);
  assert.equal(begun.exit, 0, begun.text);
  assert.match(
    begun.text,
    new RegExp(`^Dovecot ${lab.version.replaceAll('.', '\\.')}\\S* is on this machine`),
  );
  const config = join(gate, 'dovegate.yaml');
  assert.match(readFileSync(config, 'utf8'), /users: \["\*@example\.org"\]/);
  assert.match(readFileSync(config, 'utf8'), /shared_namespaces: \[\]/);
  assert.equal((await dovegate('check', '--config', config)).exit, 0);
  assert.equal(readFileSync(join(lab.folder, 'dovecot.conf'), 'utf8'), conf);
  const doctor = (...args: string[]): Promise<ProgramResult> =>
    dovegate('doctor', '--config', config, ...args);
  const before = await doctor();
  assert.equal(before.exit, 1);
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
  const answered = await ask(member);
  assert.equal(answered.exit, 0, answered.text);
  assert.match(answered.stdout.toString(), /User quota +STORAGE/);
  assert.equal(answered.stderr, '', 'nothing of stats-writer');
  t.diagnostic(`${lab.version}: an answer after ${seconds()} s`);

  const green = await doctor('--user', alice);
  assert.equal(green.exit, 0, green.text);
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

const bob = 'bob@example.net';

async function openTwo(
  owner: Owner,
  release: Release,
): Promise<{ readonly version: string; readonly labs: readonly [Lab, Lab] } | Skipped> {
  const first = await openLab(owner, release);
  if ('skip' in first) return first;
  const second = await openLab(owner, release, { users: false });
  if ('skip' in second) return second;
  await second.addUsers([`${bob}:{plain}pw::::::`]);
  return { version: first.version, labs: [first, second] };
}

onDovecot(
  'two Dovecots over TLS, an account, a key: ten commands, one edit',
  openTwo,
  async (t, { labs }) => {
    const folder = mkdtempSync(join(labs[0].folder, 'two-'));
    chmodSync(folder, 0o755);
    const gate = join(folder, 'gate');
    const write = (name: string, text: string, mode: number): string => {
      writeFileSync(join(folder, name), text, { mode });
      return join(folder, name);
    };
    const dovegate = (...args: string[]): Promise<ProgramResult> =>
      runProgram(process.execPath, [builtProgram, ...args]);
    const [port = 0, other = 0, wire = 0, http = 0] = await freePorts(4);
    const ca = write('ca.pem', labs.map(({ caFile }) => readFileSync(caFile, 'utf8')).join(''), 0o644);

    // 1 is the package. 2. The password, of the daemon's user.
    const password = write('dovecot.password', `${backendPassword}\n`, 0o600);
    chownSync(password, daemonIds.uid, daemonIds.gid);

    // 3. The configuration.
    const dovecots = [`127.0.0.1:${port}=*@example.org`, `127.0.0.1:${other}=*@example.net`];
    const begun = await dovegate(
      'init',
      '--defaults',
      '--directory',
      gate,
      '--run-as',
      'nobody',
      '--members',
      member,
      '--ca',
      ca,
      '--password-file',
      password,
      '--shared-namespaces',
      'none',
      ...dovecots.flatMap((each) => ['--backend', each]),
    );
    assert.equal(begun.exit, 0, begun.text);
    const config = join(gate, 'dovegate.yaml');

    // 4 and 5. To each Dovecot its password and the lines. They differ by their port here, where two are on one host.
    const sections = readFileSync(join(gate, 'dovecot-snippet.conf'), 'utf8').split(/^(?=# On )/m);
    for (const [at, lab] of labs.entries()) {
      assert.match(sections[at] ?? '', /^!include_try \/etc\/dovecot\/doveadm-password\.conf$/m);
      await lab.writeExtraConf(`doveadm_password = ${backendPassword}\n${sections[at]}`);
    }

    // 6 and 7. What the account and the key are; then the edit.
    const hashed = await runProgram(process.execPath, [builtProgram, 'hash-password', '--cost', '14'], {
      stdin: 'migrant',
    });
    const made = await dovegate('key', 'new', 'panel', '--policy', 'support', '--expires', '2127-06-30');
    const [key = '', line = ''] = made.stdout.toString().split('\n');
    const issuer = makeAuthority({ name: 'authority of the gate' });
    const { certificatePem, keyPem } = issuer.issue({ names: ['127.0.0.1'] });
    const tls = `certificate: ${write('gate.crt', certificatePem, 0o644)}, key: ${write('gate.key', keyPem, 0o600)}`;
    chownSync(join(folder, 'gate.key'), daemonIds.uid, daemonIds.gid);
    const listeners = `listeners:
  jobs:
    tcp: 127.0.0.1:${wire}
    tls: { mode: starttls, ${tls} }
    accounts:
      migrator: { password_hash: "${hashed.stdout.toString().trim()}", policy: support }
  panel:
    tcp: 127.0.0.1:${http}
    protocol: http
    tls: { ${tls} }
    keys:
      ${line}
`;
    writeFileSync(config, readFileSync(config, 'utf8').replace('listeners:\n', listeners));

    // 8. The daemon. 9. Doctor.
    const { uid, gid } = daemonIds;
    const daemon = await startDaemon(t, {
      folder: gate,
      launcher: ['setpriv', '--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups'],
      config: readFileSync(config, 'utf8'),
    });
    const looked = await dovegate('doctor', '--config', config);
    const series = labs[0].series.replace('.', '\\.');
    for (const name of ['mail1', 'mail2'])
      assert.match(
        looked.text,
        new RegExp(`^ok +backend ${name} +Dovecot ${series} greeted in .* over TLS$`, 'm'),
      );
    assert.doesNotMatch(looked.text, /^bad /m);

    // 10. Each of them asks.
    const authority = write('gate-ca.pem', issuer.certificatePem, 0o644);
    const secret = write('migrator.password', 'migrant\n', 0o600);
    const login = ['--ca', authority, '--account', 'migrator', '--password-file', secret];
    for (const user of [alice, bob]) {
      const sent = await dovegate(
        'send',
        '--socket',
        `127.0.0.1:${wire}`,
        ...login,
        '--user',
        user,
        '--',
        'mailbox',
        'list',
      );
      assert.deepEqual([sent.exit, sent.stderr], [0, ''], sent.text);
      assert.match(sent.stdout.toString(), /^INBOX$/m);
    }
    const asking = request(`https://127.0.0.1:${http}/doveadm/v1`, {
      method: 'POST',
      ca: issuer.certificatePem,
      headers: { authorization: `Bearer ${key}` },
    });
    asking.end(JSON.stringify([['mailboxList', { user: bob }, 'a']]));
    const [response] = await once(asking, 'response');
    const answer = await readText(response);
    assert.match(answer, /^\[\["doveadmResponse",\[\{"mailbox":"INBOX"\}/);
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
    const asked = daemon
      .audit()
      .flatMap(({ record }) =>
        record['event'] === 'completion' ? [[record['principal'], record['user'], record['backend']]] : [],
      );
    assert.deepEqual(asked, [
      ['migrator@jobs', alice, 'mail1'],
      ['migrator@jobs', bob, 'mail2'],
      ['panel@panel', bob, 'mail2'],
    ]);
    rmSync(gate, { recursive: true });
  },
);
