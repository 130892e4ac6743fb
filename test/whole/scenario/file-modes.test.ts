// Goal: nobody but root and the daemon can change what the daemon relies on, or read its secrets. Phases: a sound set of files; then each
// file, and directories on the way, with a mode or an owner that lets somebody else in; layouts of systemd and Kubernetes; a reload.
// What must not happen: `check` and `serve` that disagree, a start or a reload with an unsafe file, a refused layout that is safe.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { builtProgram, runDovegate } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { onlyRoot } from '../../kit/plain/skipped.js';

const config = `version: 1
include: [conf.d/*.yaml]
listeners:
  support: { unix: support.sock, mode: "0600", policy: support }
  jobs:
    tcp: "127.0.0.1:24246"
    tls: { mode: starttls, certificate: tls.crt, key: tls.key, client_ca: client-ca.pem }
    accounts: { job: { certificate_name: job, policy: support } }
backends:
  mail1: { address: "127.0.0.1:1", ca: ca.pem, password_file: mail1.password, shared_namespaces: [] }
routes: [{ users: ["*"], backend: mail1 }]
state: state
audit:
  directory: audit
  memory: audit.ring
  memory_size: 1MiB
  reserve: 4KiB
  sign_key: sign.pem
  hmac_key: hmac
  ship: [{ syslog: "127.0.0.1:1", ca: sink-ca.pem, certificate: sink.crt, key: sink.key }]
`;
const policies = `policies:
  support: { users: ["*@example.org"], allow: [quota get], shadow: candidate.policy }
`;
const admin = 'admin: { tcp: "127.0.0.1:9146", token_file: token }\n';

const authority = makeAuthority({ name: 'modes' });
const issued = authority.issue({ names: ['localhost'] });

/** All files, as an operator makes them with a umask of 077. */
function soundFolder(t: TestContext): string {
  const folder = openFolder(t);
  const signKey = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  const files = {
    'dovegate.yaml': config,
    'conf.d/policies.yaml': policies,
    'conf.d/admin.yaml': admin,
    'conf.d/candidate.policy': 'users: ["*@example.org"]\nallow: [quota get]\n',
    'tls.crt': issued.certificatePem,
    'tls.key': issued.keyPem,
    'client-ca.pem': authority.certificatePem,
    'ca.pem': authority.certificatePem,
    'mail1.password': 'secret\n',
    'sign.pem': String(signKey),
    hmac: 'a long secret of an operator, of many words\n',
    'sink-ca.pem': authority.certificatePem,
    'sink.crt': issued.certificatePem,
    'sink.key': issued.keyPem,
    'conf.d/token': 'staple\n',
  };
  mkdirSync(join(folder, 'conf.d'), { mode: 0o700 });
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  }
  return folder;
}

interface Found {
  readonly path: string;
  readonly severity: string;
  readonly message: string;
  readonly code: string;
}

/** What `check` finds about modes, and its exit code. */
async function check(folder: string): Promise<{ readonly exit: number; readonly found: readonly Found[] }> {
  const { exit, stdout } = await runWarm(['check', '--json', '--config', join(folder, 'dovegate.yaml')]);
  const lines = String(stdout)
    .split('\n')
    .filter((line) => line !== '');
  const all = lines.map((line): Found => JSON.parse(line));
  return { exit, found: all.filter(({ code }) => code === 'unsafe-file') };
}

/** Where, what is unsafe, and the path of the setting. `%` stands for the folder. */
const cases: readonly (readonly [name: string, mode: number, setting: string, message: RegExp])[] = [
  [
    'dovegate.yaml',
    0o666,
    '',
    /^%\/dovegate.yaml can be changed by every user \(mode 0666\); run: chmod o-w %/,
  ],
  ['conf.d/policies.yaml', 0o602, 'include[0]', /^%\/conf.d\/policies.yaml can be changed by every user/],
  [
    'conf.d/candidate.policy',
    0o622,
    'policies.support.shadow',
    /candidate.policy can be changed by every user/,
  ],
  [
    'mail1.password',
    0o644,
    'backends.mail1.password_file',
    /can be read by every user \(mode 0644\); run: chmod o-r %/,
  ],
  ['ca.pem', 0o666, 'backends.mail1.ca', /ca.pem can be changed by every user/],
  ['tls.crt', 0o646, 'listeners.jobs.tls.certificate', /tls.crt can be changed by every user/],
  ['tls.key', 0o604, 'listeners.jobs.tls.key', /tls.key can be read by every user/],
  ['client-ca.pem', 0o606, 'listeners.jobs.tls.client_ca', /client-ca.pem can be changed by every user/],
  ['sign.pem', 0o644, 'audit.sign_key', /sign.pem can be read by every user/],
  ['hmac', 0o644, 'audit.hmac_key', /hmac can be read by every user/],
  ['sink-ca.pem', 0o646, 'audit.ship[0].ca', /sink-ca.pem can be changed by every user/],
  ['sink.key', 0o644, 'audit.ship[0].key', /sink.key can be read by every user/],
  ['conf.d/token', 0o644, 'admin.token_file', /token can be read by every user/],
];

test('sound files have no problem; certificates and the configuration may be read by everybody', async (t) => {
  const folder = soundFolder(t);
  assert.deepEqual(await check(folder), { exit: 0, found: [] });
  for (const name of ['dovegate.yaml', 'conf.d/policies.yaml', 'tls.crt', 'ca.pem', 'sink.crt'])
    chmodSync(join(folder, name), 0o644);
  for (const name of ['', 'conf.d']) chmodSync(join(folder, name), 0o755);
  assert.deepEqual(await check(folder), { exit: 0, found: [] });
});

test('each file that others may change, and each secret that they may read, is an error, and serve ends with those that it reads', async (t) => {
  const folder = soundFolder(t);
  for (const [name, mode] of cases) chmodSync(join(folder, name), mode);
  const { exit, found } = await check(folder);
  assert.equal(exit, 78);
  assert.equal(found.length, cases.length);
  for (const [name, , setting, expected] of cases) {
    const { severity, message } = found.find(({ path }) => path === setting) ?? assert.fail(name);
    assert.equal(severity, 'error', name);
    assert.match(message.replaceAll(folder, '%'), expected);
  }
  const served = await runDovegate(['serve', '--config', join(folder, 'dovegate.yaml')]);
  assert.equal(served.exit, 78, served.text);
  // Those of receivers are read by `dovegate ship` alone.
  for (const { path, message } of found)
    assert.equal(served.text.includes(message), !path.startsWith('audit.ship'), `${message}\n${served.text}`);
});

test('a directory on the way that others may write to is an error, unless it has the sticky bit', async (t) => {
  const folder = soundFolder(t);
  chmodSync(join(folder, 'conf.d'), 0o777);
  const { exit, found } = await check(folder);
  assert.equal(exit, 78);
  assert.deepEqual(found.map(({ path }) => path).toSorted(), [
    'admin.token_file',
    'include[0]',
    'include[0]',
    'policies.support.shadow',
  ]);
  for (const { message } of found)
    assert.match(
      message,
      /conf\.d, on the way to .*, can be changed by every user \(mode 0777\); run: chmod o-w /,
    );
  chmodSync(join(folder, 'conf.d'), 0o1777);
  assert.deepEqual(await check(folder), { exit: 0, found: [] });
});

test('a symbolic link is judged by where it stands and by where it leads', async (t) => {
  const folder = soundFolder(t);
  const elsewhere = join(openFolder(t), 'open');
  mkdirSync(elsewhere);
  renameSync(join(folder, 'mail1.password'), join(elsewhere, 'password'));
  symlinkSync(join(elsewhere, 'password'), join(folder, 'mail1.password'));
  assert.deepEqual(await check(folder), { exit: 0, found: [] });
  chmodSync(elsewhere, 0o777);
  const leads = await check(folder);
  assert.equal(leads.exit, 78);
  assert.match(leads.found[0]?.message ?? '', /open, on the way to .*mail1.password, can be changed/);

  // The other way round: the link can be replaced, the file behind it cannot.
  chmodSync(elsewhere, 0o755);
  rmSync(join(folder, 'mail1.password'));
  renameSync(join(elsewhere, 'password'), join(folder, 'conf.d', 'password'));
  mkdirSync(join(folder, 'links'));
  chmodSync(join(folder, 'links'), 0o777);
  symlinkSync(join(folder, 'conf.d', 'password'), join(folder, 'links', 'password'));
  symlinkSync('links/password', join(folder, 'mail1.password'));
  const stands = await check(folder);
  assert.equal(stands.exit, 78);
  assert.match(stands.found[0]?.message ?? '', /links, on the way to .*mail1.password, can be changed/);
});

const { skip } = onlyRoot('can give files to another user');
/** A uid and a gid that are nobody's here. */
const stranger = 47_011;

test("another owner or group that may write is an error; root's group is not", {
  skip,
}, async (t) => {
  const folder = soundFolder(t);
  const main = join(folder, 'dovegate.yaml');
  chmodSync(main, 0o664);
  assert.deepEqual(await check(folder), { exit: 0, found: [] });
  chownSync(main, 0, stranger);
  const byGroup = await check(folder);
  assert.equal(byGroup.exit, 78);
  assert.match(byGroup.found[0]?.message ?? '', /changed by group 47011 \(mode 0664\); run: chmod g-w /);
  chmodSync(main, 0o644);
  assert.equal((await check(folder)).exit, 0);
  chownSync(main, stranger, 0);
  const byOwner = await check(folder);
  assert.equal(byOwner.exit, 78);
  assert.match(byOwner.found[0]?.message ?? '', /belongs to uid 47011, who can change it; run: chown root /);
  chownSync(main, 0, 0);

  const password = join(folder, 'mail1.password');
  chmodSync(password, 0o640);
  assert.deepEqual(await check(folder), { exit: 0, found: [] });
  chownSync(password, 0, stranger);
  const doubtful = await check(folder);
  assert.equal(doubtful.exit, 0);
  assert.deepEqual(
    doubtful.found.map(({ severity }) => severity),
    ['warning'],
  );
});

test('check counts the owner of the audit directory as the daemon', { skip }, async (t) => {
  const folder = soundFolder(t);
  chownSync(join(folder, 'mail1.password'), stranger, 0);
  assert.equal((await check(folder)).exit, 78);
  mkdirSync(join(folder, 'audit'), { mode: 0o700 });
  chownSync(join(folder, 'audit'), stranger, stranger);
  assert.deepEqual(await check(folder), { exit: 0, found: [] });
  // Root is told so, and nothing to give away.
  const served = await runDovegate(['serve', '--config', join(folder, 'dovegate.yaml')]);
  assert.equal(served.exit, 77, served.text);
  assert.match(
    served.text,
    /^you are root, and .* is for 47011; .* Run: runuser -u 47011 -- dovegate serve /,
  );
});

test('volumes of Kubernetes: a world-writable sticky directory, links of root, a group of ours', {
  skip,
}, async (t) => {
  const folder = soundFolder(t);
  const volume = join(folder, 'secret');
  const data = join(volume, '..2026_11_20_23_00_00.1');
  mkdirSync(data, { recursive: true });
  writeFileSync(join(data, 'password'), 'secret\n');
  chmodSync(join(data, 'password'), 0o640);
  symlinkSync('..2026_11_20_23_00_00.1', join(volume, '..data'));
  symlinkSync('..data/password', join(volume, 'password'));
  rmSync(join(folder, 'mail1.password'));
  symlinkSync('secret/password', join(folder, 'mail1.password'));
  chownSync(volume, 0, stranger);
  chownSync(join(data, 'password'), 0, stranger);
  chmodSync(volume, 0o3777);
  chmodSync(data, 0o2755);
  // The daemon of the Pod: another user, fsGroup among its groups. Its folder is readable for it.
  chmodSync(folder, 0o755);
  const readable = ['dovegate.yaml', 'conf.d/policies.yaml', 'conf.d/admin.yaml', 'conf.d/candidate.policy'];
  for (const name of readable) chmodSync(join(folder, name), 0o644);
  chmodSync(join(folder, 'conf.d'), 0o755);
  const rest = [
    'tls.crt',
    'tls.key',
    'client-ca.pem',
    'ca.pem',
    'sign.pem',
    'hmac',
    'sink-ca.pem',
    'sink.crt',
    'sink.key',
  ];
  for (const name of [...rest, 'conf.d/token']) chownSync(join(folder, name), stranger + 1, stranger + 1);
  const launcher = [
    '--reuid',
    String(stranger + 1),
    '--regid',
    String(stranger + 1),
    '--groups',
    String(stranger),
  ];
  const args = [process.execPath, builtProgram, 'check', '--json', '--config', join(folder, 'dovegate.yaml')];
  const { exit, text } = await runProgram('setpriv', [...launcher, ...args]);
  assert.doesNotMatch(text, /unsafe-file/);
  assert.equal(exit, 0, text);
});

test('a reload with an unsafe file changes nothing', async (t) => {
  const { daemon, client } = await openGateway(t, {});
  const one = await client();
  chmodSync(daemon.path('mail1.password'), 0o644);
  const { text } = await daemon.reload(undefined, 'reload-failed');
  assert.match(String(text), /mail1.password can be read by every user/);
  assert.equal((await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).status, '+');
  chmodSync(daemon.path('mail1.password'), 0o600);
  await daemon.reload();
});
