// Goal: what the user of the daemon may not do is named before it serves, with the command that repairs it. Phases: a start for a group
// that the user is not in; `check` as root before it; a reload with a key that only root reads. What must not happen: advice that does not
// help.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { builtProgram, DaemonStartError, runDovegate, startDaemon } from '../../kit/gate/daemon.js';
import { authority, hash } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { onlyRoot } from '../../kit/plain/skipped.js';

const { skip } = onlyRoot('can be another user');
const nobody = 65_534;
const become = `chown -R ${nobody}:${nobody} . && exec setpriv --reuid ${nobody} --regid ${nobody} --clear-groups "$@"`;
const launcher = ['sh', '-c', become, 'sh'];

const configOf = (listeners: string): string => `version: 1
listeners: { ${listeners} }
backends: { mail1: { address: "unix:/run/no-dovecot-here", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*"], allow: [quota get] } }
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB, reserve: 4KiB }
admin: { unix: admin.sock }
`;
const support = 'support: { unix: support.sock, policy: support }';
const tls = `jobs: { tcp: "127.0.0.1:24299", tls: { certificate: tls.crt, key: tls.key }, accounts: { job: { password_hash: "${hash}", policy: support } } }`;

void test('a socket for a group that the daemon is not in: the start names the group and the command', {
  skip,
}, async (t) => {
  const config = configOf('support: { unix: support.sock, group: daemon, policy: support }');
  await assert.rejects(startDaemon(t, { config, launcher }), (fault) => {
    assert.ok(fault instanceof DaemonStartError);
    assert.equal(fault.exit?.code, 78);
    assert.match(
      fault.output,
      /listener support: its socket cannot be given to group daemon, because the daemon's user nobody is not in it\. Run: usermod --append --groups daemon nobody; systemctl restart dovegate\.service/,
    );
    return true;
  });
});

/** Why this process cannot look with the rights of another user; `check` then sees what root sees. */
function whyNoSwitch(): string | undefined {
  try {
    process.seteuid?.(process.geteuid?.() ?? 0);
    return skip;
  } catch {
    return 'the Node 20 of Debian permits no change of rights (CVE-2024-22017)';
  }
}

void test('check as root looks with the rights of the user that the journal belongs to', {
  skip: whyNoSwitch(),
}, async (t) => {
  const folder = openFolder(t);
  chmodSync(folder, 0o755);
  const file = join(folder, 'dovegate.yaml');
  const check = () => runWarm(['check', '--config', file]);
  mkdirSync(join(folder, 'audit'));
  chownSync(join(folder, 'audit'), nobody, nobody);
  const issued = authority.issue({ names: ['localhost'] });
  writeFileSync(join(folder, 'tls.crt'), issued.certificatePem);
  writeFileSync(join(folder, 'tls.key'), issued.keyPem, { mode: 0o600 });
  writeFileSync(file, configOf(`support: { unix: support.sock, group: daemon, policy: support }, ${tls}`), {
    mode: 0o644,
  });
  const closed = await check();
  assert.equal(closed.exit, 78, closed.text);
  const key = join(folder, 'tls.key');
  assert.ok(
    closed.text.includes(
      `listeners.jobs.tls.key: ${key} cannot be read by nobody, the user of the daemon: permission denied; run: chown nobody ${key}`,
    ),
    closed.text,
  );
  assert.match(
    closed.text,
    /listeners\.support\.group: the daemon's user nobody is not in group daemon, .*usermod --append --groups daemon nobody/,
  );
  chownSync(key, nobody, nobody);
  const opened = await check();
  assert.equal(opened.exit, 0, opened.text);
  chmodSync(file, 0o600);
  const hidden = await check();
  assert.ok(
    hidden.text.includes(
      `${file} cannot be read by nobody, the user of the daemon: permission denied; run: chown root:nogroup ${file} && chmod 0640 ${file}`,
    ),
    hidden.text,
  );
  // Words that a shell would take apart; a directory that only root may pass.
  const own = join(folder, "jobs' keys");
  mkdirSync(own, { mode: 0o700 });
  writeFileSync(join(own, 'tls.key'), issued.keyPem, { mode: 0o600 });
  writeFileSync(
    file,
    configOf(
      `support: { unix: support.sock, policy: support }, ${tls.replace('tls.key', "jobs' keys/tls.key")}`,
    ),
  );
  chmodSync(file, 0o644);
  const quoted = `'${own.replace("'", "'\\''")}'`;
  const shut = await check();
  assert.ok(shut.text.includes(`; run: chgrp nogroup ${quoted} && chmod g+x ${quoted}\n`), shut.text);
  chmodSync(own, 0o711);
  const owned = await check();
  assert.ok(owned.text.includes(`; run: chown nobody ${quoted.slice(0, -1)}/tls.key'\n`), owned.text);
  // As in a container: root that may not change its groups sees what root sees.
  const drop = ['--bounding-set=-setgid', '--inh-caps=-setgid'];
  const narrow = [...drop, process.execPath, builtProgram, 'check', '--config', file];
  const limited = await runProgram('setpriv', narrow);
  assert.equal(limited.exit, 0, limited.text);
});

void test('a reload with a key that only root reads says who must own it', { skip }, async (t) => {
  const issued = authority.issue({ names: ['localhost'] });
  const daemon = await startDaemon(t, {
    config: configOf(support),
    files: { 'tls.crt': issued.certificatePem, 'tls.key': issued.keyPem },
    launcher,
  });
  chownSync(daemon.path('tls.key'), 0, 0);
  chmodSync(daemon.path('tls.key'), 0o600);
  daemon.write('dovegate.yaml', configOf(`${support}, ${tls}`));
  const reloaded = await runDovegate(['reload', '--socket', daemon.path('admin.sock')]);
  assert.equal(reloaded.exit, 78, reloaded.text);
  assert.match(reloaded.text, /tls\.key cannot be read: permission denied; run: chown nobody \S*tls\.key/);
});

void test('a journal and a configuration that this user may not read: who may, in words', {
  skip,
}, async (t) => {
  const folder = openFolder(t);
  chmodSync(folder, 0o755);
  const journal = join(folder, 'audit');
  mkdirSync(journal);
  chownSync(journal, 0, 1);
  chmodSync(journal, 0o750);
  const file = join(folder, 'dovegate.yaml');
  writeFileSync(file, configOf(support), { mode: 0o600 });
  const as = (...args: string[]) =>
    runProgram(
      'setpriv',
      ['--reuid=64101', '--regid=64101', '--clear-groups', process.execPath, builtProgram].concat(args),
    );
  const closed = await as('audit', 'search', journal);
  assert.equal(closed.exit, 78, closed.text);
  // Not the group: its members see all records.
  const told = `permission denied: ${journal} is for "root" and few others (mode 0750); ask for a role on the page, or for a socket of your own\n`;
  assert.equal(closed.text, `dovegate: ${told}`);
  // Where the socket of the page lets this user in, that is all that is said.
  const page = join(folder, 'page.sock');
  const readable = join(folder, 'readable.yaml');
  const people = '{ frank: { user: root, roles: [audit], users: ["*@example.com"] } }';
  const admin = `admin: { unix: admin.sock, page: { unix: page.sock, people: ${people} } }`;
  writeFileSync(readable, configOf(support).replace(/^admin: .*/m, admin), { mode: 0o644 });
  const denied = await as('audit', 'search', '--config', readable);
  assert.equal(denied.text, `dovegate: ${told}`);
  const server = createServer().listen(page);
  t.after(() => server.close());
  await once(server, 'listening');
  chmodSync(page, 0o666);
  const open = await as('audit', 'search', '--user', 'bob', '--config', readable);
  assert.equal(open.text, `dovegate: this user may run: dovegate audit search --user bob --socket ${page}\n`);
  const gone = await as('audit', 'verify', join(folder, 'none'));
  assert.match(gone.text, /none cannot be read: there is no such file or directory/);
  const status = await as('status', '--config', file);
  assert.equal(status.exit, 77, status.text);
  assert.match(status.text, /run it as root \(sudo\)/);
});
