// Goal: the rpm as rpm itself shows it, and put into an empty root: the files of the Debian package, its conffile kept as rpm keeps one,
// its scripts readable by a shell. It is not started here: that is tested with the Debian package, which has the same files.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readManifest, textOf } from '../../architecture/project.js';
import { openFolder } from '../../kit/plain/folder.js';
import { checked, pack, sizeOf } from './packing.js';

const { version } = readManifest();
const why = existsSync('/usr/bin/rpmbuild') ? undefined : 'there is no rpmbuild';

void test('the rpm', { skip: why ?? false, timeout: 600_000 }, async (t) => {
  const folder = openFolder(t);
  const file = await pack(folder, 'rpm', '--compression', '0');
  const query = (...args: string[]): Promise<string> => checked('rpm', '--query', '--package', ...args, file);
  t.diagnostic(sizeOf(file));

  await t.test('what it says of itself', async () => {
    assert.ok(file.endsWith(`/dovegate-${version}-1.${process.arch === 'x64' ? 'x86_64' : 'aarch64'}.rpm`));
    const requires = await query('--requires');
    assert.match(requires, /^libc\.so\.6\(GLIBC_2\.28\)\(64bit\)$/m);
    assert.doesNotMatch(requires, /nodejs/);
    assert.equal(await query('--configfiles'), '/etc/dovegate/environment\n');
    const files = (await query('--queryformat', '[%{FILEMODES:perms} %{FILEUSERNAME} %{FILENAMES}\\n]'))
      .trim()
      .split('\n');
    assert.deepEqual(
      files.filter(
        (line) => !/^(drwxr-xr-x|-rw[x-]r-[x-]r-[x-]|lrwxrwxrwx) root \/(usr|etc\/dovegate)\b/.test(line),
      ),
      ['drwx------ root /etc/dovegate/credentials'],
    );
    for (const path of ['/usr/lib/systemd/system/dovegate.service', '/usr/share/man/man5/dovegate.yaml.5.gz'])
      assert.ok(
        files.some((line) => line.endsWith(` ${path}`)),
        path,
      );
  });

  await t.test('its scripts are of a shell, and of no other distribution', async () => {
    for (const tag of ['POSTIN', 'PREUN', 'POSTUN']) {
      const text = await query('--queryformat', `%{${tag}}`);
      assert.match(text, /^if \[ "\$1" /);
      assert.doesNotMatch(text, /deb-systemd|dpkg -/);
      await checked('sh', '-n', '-c', text);
    }
    // What a removal prints is tested with the Debian package, and with the installer.
    const removal = await query('--queryformat', '%{POSTUN}');
    assert.ok(removal.includes(textOf('scripts/dovecot-files.sh')));
    assert.match(removal, /^\tname_dovecot_files$/m);
  });

  await t.test('in an empty root it runs; a changed conffile stays when it is removed', async () => {
    const inside = join(folder, 'root');
    mkdirSync(inside);
    // Under another root rpm runs scripts by chroot, and there is no shell in it.
    const rpm = (...args: string[]) => checked('rpm', '--root', inside, '--nodeps', '--noscripts', ...args);
    await rpm('--install', '--ignorearch', file);
    const program = join(inside, 'usr/bin/dovegate');
    const node = join(inside, 'usr/lib/dovegate/runtime/node');
    assert.equal(await checked(node, program, '--version'), `${version}\n`);
    const conffile = join(inside, 'etc/dovegate/environment');
    appendFileSync(conffile, 'MINE=yes\n');
    await rpm('--erase', 'dovegate');
    assert.match(readFileSync(`${conffile}.rpmsave`, 'utf8'), /MINE=yes\n$/);
    assert.ok(!existsSync(join(inside, 'usr/lib/dovegate')) && !existsSync(program));
  });
});
