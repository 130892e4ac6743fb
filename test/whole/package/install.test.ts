// Goal: the installer puts everything below a folder, twice as well as once, and takes its own away again. What must not happen: a
// configuration that is replaced, a file that the daemon's user cannot read, development tools on a mail server.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { root } from '../../architecture/project.js';
import { openFolder } from '../../kit/plain/folder.js';

function openDestination(t: TestContext) {
  const folder = openFolder(t);
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
  const at = (path: string): string => join(folder, path);
  return { folder, run, below, at, textAt: (path: string) => readFileSync(at(path), 'utf8') };
}

for (const prefix of ['/usr', '/opt/gate']) {
  void test(`installed below ${prefix}: it runs from there, and its units name it`, (t) => {
    const { run, at, below, textAt } = openDestination(t);
    const done = run('install', '--prefix', prefix, '--node', '/usr/bin/node24');
    assert.equal(done.status, 0, done.output);
    const { stdout } = spawnSync(process.execPath, [at(`${prefix}/bin/dovegate`), '--version']);
    assert.match(String(stdout), /^\d+\.\d+\.\d+\n$/);
    // The drop-in, as a folder for PATH.
    const dropIn = spawnSync(process.execPath, [at(`${prefix}/lib/dovegate/bin/doveadm`), 'help', 'quota']);
    assert.match(String(dropIn.stdout), /^doveadm quota get /m);
    const lib = prefix === '/usr' ? '/usr/lib' : '/usr/local/lib';
    const unit = textAt(`${lib}/systemd/system/dovegate.service`);
    const start = `/usr/bin/node24 --min-semi-space-size=8 ${prefix}/lib/dovegate/dist/main.js serve `;
    assert.match(unit, new RegExp(`^ExecStart=${start}`, 'm'));
    const others = ['@.socket', '-fleet.service', '-page.service', '-page.socket'];
    const units = others.map((name) => `systemd/system/dovegate${name}`);
    for (const path of [...units, 'sysusers.d/dovegate.conf', 'tmpfiles.d/dovegate.conf'])
      assert.ok(existsSync(at(`${lib}/${path}`)), path);
    for (const path of [
      'bash-completion/completions/dovegate',
      prefix === '/usr' ? 'zsh/vendor-completions/_dovegate' : 'zsh/site-functions/_dovegate',
      'fish/vendor_completions.d/dovegate.fish',
    ])
      assert.match(textAt(`${prefix}/share/${path}`), /completion of dovegate, made by dovegate completion/);
    const files = below();
    assert.deepEqual(
      files.filter((path) => /node_modules\/(typescript|oxlint|@biomejs|@types|fast-check)\//.test(path)),
      [],
    );
    const closed = files.filter(
      (path) => !lstatSync(at(path)).isSymbolicLink() && (statSync(at(path)).mode & 0o044) !== 0o044,
    );
    assert.deepEqual(closed, []);
    for (const path of ['scripts/names.sh', 'dist/web/index.html', 'dist/web/style.css', 'dist/web/page.js'])
      assert.ok(existsSync(at(`${prefix}/lib/dovegate/${path}`)), path);
    assert.equal(statSync(at('/etc/dovegate/credentials')).mode & 0o777, 0o700);
    assert.equal(statSync(at(`${prefix}/lib/dovegate/dist`)).mode & 0o777, 0o755);
  });
}

void test('a second install leaves the configuration; an uninstall leaves nothing else', (t) => {
  const { run, at, below, textAt } = openDestination(t);
  assert.equal(run('install', '--node', '/usr/bin/node').status, 0);
  writeFileSync(at('/etc/dovegate/dovegate.yaml'), 'mine');
  writeFileSync(at('/usr/local/lib/dovegate/dist/old.js'), '');
  assert.equal(run('install', '--node', '/usr/bin/node').status, 0);
  assert.equal(textAt('/etc/dovegate/dovegate.yaml'), 'mine');
  assert.ok(!existsSync(at('/usr/local/lib/dovegate/dist/old.js')));
  for (const again of ['first', 'second']) assert.equal(run('uninstall').status, 0, again);
  assert.deepEqual(below(), ['etc/dovegate/dovegate.yaml']);
});

void test('an uninstall names the files of Dovecot that need the user or /etc/dovegate, and what removes them', (t) => {
  const { folder, run, at, below } = openDestination(t);
  assert.equal(run('install', '--node', '/usr/bin/node').status, 0);
  const conf = at('/etc/dovecot/conf.d');
  mkdirSync(conf, { recursive: true });
  const listener = (name: string, user: string): string =>
    `service doveadm {\n  unix_listener ${name} {\n    mode = 0600\n    ${user}\n  }\n}\n`;
  const files = {
    '99-dovegate.conf': listener('dovegate-doveadm', 'user = dovegate'),
    // Of the administrator, with other lines.
    '90-local.conf': `mail_debug = yes\n${listener('mine', 'user="dovegate" # the gate')}`,
    '91-path.conf': '!include /etc/dovegate/extra.conf\n',
    // Not needed: a socket of that name, a comment, other names.
    '10-others.conf': `${listener('dovegate-doveadm', 'user = root')}#user = dovegate\nlog_path = /var/log/dovegate\n`,
    '11-others.conf': listener('x', 'user = dovegate-page'),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(conf, name), text);
  symlinkSync('../../dovegate/dovecot-snippet.conf', join(conf, '98-dovegate.conf'));

  const { status, output } = run('uninstall');
  assert.equal(status, 0, output);
  assert.deepEqual(output.replaceAll(`${folder}/`, '/').trimEnd().split('\n').slice(1), [
    'dovegate: these files of Dovecot need the user dovegate, or files of /etc/dovegate; without them Dovecot does not start:',
    'dovegate:   /etc/dovecot/conf.d/90-local.conf: take these lines out: 5',
    'dovegate:   /etc/dovecot/conf.d/91-path.conf: take these lines out: 1',
    'dovegate:   /etc/dovecot/conf.d/98-dovegate.conf',
    'dovegate:   /etc/dovecot/conf.d/99-dovegate.conf',
    'dovegate: keep the user until Dovecot is without them:',
    '  rm /etc/dovecot/conf.d/98-dovegate.conf /etc/dovecot/conf.d/99-dovegate.conf',
    '  doveadm reload',
  ]);
  // As it says.
  for (const [, command = ''] of output.matchAll(/^ {2}(rm .*)$/gm))
    assert.equal(spawnSync('sh', ['-c', command]).status, 0);
  for (const [, file = '', line = ''] of output.matchAll(
    /^dovegate: +(\/.*): take these lines out: (\d+)$/gm,
  ))
    writeFileSync(
      file,
      readFileSync(file, 'utf8')
        .split('\n')
        .toSpliced(Number(line) - 1, 1)
        .join('\n'),
    );
  assert.doesNotMatch(run('uninstall').output, /Dovecot/);
  assert.deepEqual(
    below('etc/dovecot')
      .map((path) => path.replace('etc/dovecot/conf.d/', ''))
      .toSorted(),
    ['10-others.conf', '11-others.conf', '90-local.conf', '91-path.conf'],
  );
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
  const { run, at, below, textAt } = openDestination(t);
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
  assert.match(usage.stdout, /^doveadm quota get /);
  for (const path of scripts)
    assert.match(textAt(path), /completion of doveadm, made by dovegate completion/);
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
  assert.equal(textAt(bash), 'complete doveadm');
  assert.equal(textAt(command), 'the real one');
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
