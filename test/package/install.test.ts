// Goal: the installer puts everything below a folder, twice as well as once, and takes its own away again. What must not happen: a
// configuration that is replaced, a file that the daemon's user cannot read, development tools on a mail server.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { root } from '../architecture/project.js';

function openDestination(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'dovegate-install-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const run = (what: string, ...args: string[]) => {
    // The umask of an operator who keeps everything to himself.
    const line = 'umask 077; exec "$@"';
    const own = [process.execPath, join(root, 'scripts/install.mjs'), what, '--destdir', folder];
    const done = spawnSync('sh', ['-c', line, 'sh', ...own, ...args], { encoding: 'utf8' });
    return { status: done.status, output: done.stdout + done.stderr };
  };
  const below = (path = ''): string[] =>
    readdirSync(join(folder, path), { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? below(join(path, entry.name)) : [join(path, entry.name)],
    );
  return { folder, run, below, at: (path: string) => join(folder, path) };
}

for (const prefix of ['/usr', '/opt/gate']) {
  void test(`installed below ${prefix}: it runs from there, and its units name it`, (t) => {
    const { run, at, below } = openDestination(t);
    const done = run('install', '--prefix', prefix, '--node', '/usr/bin/node24');
    assert.equal(done.status, 0, done.output);
    const version = spawnSync(process.execPath, [at(`${prefix}/bin/dovegate`), '--version'], {
      encoding: 'utf8',
    });
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
    const lib = prefix === '/usr' ? '/usr/lib' : '/usr/local/lib';
    const unit = readFileSync(at(`${lib}/systemd/system/dovegate.service`), 'utf8');
    assert.match(
      unit,
      new RegExp(`^ExecStart=/usr/bin/node24 ${prefix}/lib/dovegate/dist/main.js serve `, 'm'),
    );
    for (const path of [
      'systemd/system/dovegate@.socket',
      'systemd/system/dovegate-fleet.service',
      'sysusers.d/dovegate.conf',
      'tmpfiles.d/dovegate.conf',
    ])
      assert.ok(existsSync(at(`${lib}/${path}`)), path);
    for (const path of [
      'bash-completion/completions/dovegate',
      prefix === '/usr' ? 'zsh/vendor-completions/_dovegate' : 'zsh/site-functions/_dovegate',
      'fish/vendor_completions.d/dovegate.fish',
    ])
      assert.match(readFileSync(at(`${prefix}/share/${path}`), 'utf8'), /dovegate complete --name dovegate/);
    const files = below();
    assert.deepEqual(
      files.filter((path) => /node_modules\/(typescript|oxlint|@biomejs|@types|fast-check)\//.test(path)),
      [],
    );
    const closed = files.filter(
      (path) => !lstatSync(at(path)).isSymbolicLink() && (statSync(at(path)).mode & 0o044) !== 0o044,
    );
    assert.deepEqual(closed, []);
    for (const path of ['dist/web/index.html', 'dist/web/style.css', 'node_modules/preact/dist/preact.mjs'])
      assert.ok(existsSync(at(`${prefix}/lib/dovegate/${path}`)), path);
    assert.equal(statSync(at('/etc/dovegate/credentials')).mode & 0o777, 0o700);
    assert.equal(statSync(at(`${prefix}/lib/dovegate/dist`)).mode & 0o777, 0o755);
  });
}

void test('a second install leaves the configuration; an uninstall leaves nothing else', (t) => {
  const { run, at, below } = openDestination(t);
  assert.equal(run('install', '--node', '/usr/bin/node').status, 0);
  writeFileSync(at('/etc/dovegate/dovegate.yaml'), 'mine');
  writeFileSync(at('/usr/local/lib/dovegate/dist/old.js'), '');
  assert.equal(run('install', '--node', '/usr/bin/node').status, 0);
  assert.equal(readFileSync(at('/etc/dovegate/dovegate.yaml'), 'utf8'), 'mine');
  assert.ok(!existsSync(at('/usr/local/lib/dovegate/dist/old.js')));
  for (const again of ['first', 'second']) assert.equal(run('uninstall').status, 0, again);
  assert.deepEqual(below(), ['etc/dovegate/dovegate.yaml']);
});

void test('an installed program installs itself again, as to add a name', (t) => {
  const { folder, run, at, below } = openDestination(t);
  assert.equal(run('install').status, 0);
  const files = below();
  const own = at('/usr/local/lib/dovegate/scripts/install.mjs');
  const again = spawnSync(process.execPath, [own, 'install', '--destdir', folder], { encoding: 'utf8' });
  assert.equal(again.status, 0, again.stdout + again.stderr);
  assert.deepEqual(below(), files);
});

void test('the name doveadm, where it is asked for and nobody has it', (t) => {
  const { run, at, below } = openDestination(t);
  const place = ['--prefix', '/opt/gate'];
  const install = () => run('install', ...place, '--node', '/usr/bin/node', '--doveadm');
  const command = '/opt/gate/bin/doveadm';
  const scripts = [
    '/opt/gate/share/bash-completion/completions/doveadm',
    '/opt/gate/share/zsh/site-functions/_doveadm',
    '/opt/gate/share/fish/vendor_completions.d/doveadm.fish',
  ];
  assert.equal(install().status, 0);
  const usage = spawnSync(process.execPath, [at(command), 'help', 'quota'], { encoding: 'utf8' });
  assert.match(usage.stdout, /^usage: doveadm .* quota /);
  for (const path of scripts)
    assert.match(readFileSync(at(path), 'utf8'), /dovegate complete --name doveadm/);
  assert.equal(run('uninstall', ...place).status, 0);
  assert.deepEqual(below(), ['etc/dovegate/dovegate.yaml']);

  // What is Dovecot's stays Dovecot's: its program, and what its package brings for a shell.
  mkdirSync(dirname(at(command)), { recursive: true });
  writeFileSync(at(command), 'the real one');
  const refused = install();
  assert.equal(refused.status, 1);
  assert.match(refused.output, /is there already/);
  assert.deepEqual(below().length, 2);
  rmSync(at(command));
  const [bash = ''] = scripts;
  mkdirSync(dirname(at(bash)), { recursive: true });
  writeFileSync(at(bash), 'complete doveadm');
  assert.equal(install().status, 0);
  rmSync(at(command));
  writeFileSync(at(command), 'the real one');
  assert.equal(run('uninstall', ...place).status, 0);
  assert.equal(readFileSync(at(bash), 'utf8'), 'complete doveadm');
  assert.equal(readFileSync(at(command), 'utf8'), 'the real one');
});

void test('wrong words, and a Node that no service can see', (t) => {
  const { run, below } = openDestination(t);
  assert.equal(run('remove').status, 64);
  assert.equal(run('install', 'now').status, 64);
  assert.equal(run('install', '--prefix', 'relative').status, 64);
  assert.equal(run('install', '--root', '/').status, 64);
  const hidden = run('install', '--node', '/home/me/.nvm/node');
  assert.equal(hidden.status, 1);
  assert.match(hidden.output, /ProtectHome/);
  assert.deepEqual(below(), []);
});
