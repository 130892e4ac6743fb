// Goal: `check` names a folder of records that the daemon would need and cannot make, with the command that makes it.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspectFolders, whatIsNoFolder, whereNotMade } from '../../../src/rules/setup/inspect-beside.js';
import { openFolder } from '../../kit/plain/folder.js';
import { settingsOf, sound } from '../config/sound.js';

const settings = settingsOf(`${sound}audit: { directory: /lib/gate/audit }\nstate: /lib/gate\n`);
const toldOf = (text: string, above: string, missing: string): readonly string[] =>
  inspectFolders(
    settingsOf(`${sound}${text}`),
    { where: () => ({ above, missing }), inTheWay: () => undefined },
    'dovegate',
  ).map(({ message }) => message);

void test('a folder that the daemon may not make is a warning with the command, once for both', () => {
  const closed = { above: '/lib', missing: '/lib/gate' };
  const told = inspectFolders(settings, { where: () => closed, inTheWay: () => undefined }, 'dovegate');
  assert.deepEqual(
    told.map(({ severity, path, message }) => `${severity} ${path}: ${message}`),
    [
      'warning audit.directory: /lib/gate/audit is not there, and dovegate, the user of the daemon, may not make it in /lib, so "dovegate serve" would not start; run: install -d -o dovegate -m 0711 /lib/gate (a unit with ProtectSystem= also needs ReadWritePaths=/lib/gate)',
    ],
  );
  assert.deepEqual(
    inspectFolders(settings, { where: () => undefined, inTheWay: () => undefined }, 'dovegate'),
    [],
  );
});

void test('the folder of the unit is made by it, and a path beside the file is told what to write instead', () => {
  const [usual = ''] = toldOf(
    'state: /var/lib/dovegate\naudit: { directory: /var/lib/dovegate/audit }\n',
    '/var/lib',
    '/var/lib/dovegate',
  );
  assert.match(usual, /\(a unit with StateDirectory= does that at its start\)$/);
  const beside = 'audit: { directory: audit }\nstate: var/lib/dovegate\n';
  const [journal = ''] = toldOf(beside, '/etc/dovegate', '/etc/dovegate/audit');
  assert.match(
    journal,
    /may not make it in \/etc\/dovegate, .*; a path without "\/" at its beginning is one beside its file: write \/var\/lib\/dovegate\/audit$/,
  );
});

void test('what counts is the nearest folder that is there, and who it lets make another', (t) => {
  const folder = openFolder(t);
  const above = join(folder, 'lib');
  mkdirSync(above);
  chmodSync(above, 0o755);
  const stranger = { uid: 54_321, gids: [54_321] };
  const wanted = join(above, 'gate', 'audit');
  assert.deepEqual(whereNotMade(wanted, stranger), { above, missing: join(above, 'gate') });
  chmodSync(above, 0o1777);
  assert.equal(whereNotMade(wanted, stranger), undefined, 'everybody may make it');
  chmodSync(above, 0o755);
  assert.equal(whereNotMade(wanted, { uid: process.getuid?.() ?? 0, gids: [] }), undefined, 'its owner may');
  mkdirSync(wanted, { recursive: true });
  assert.equal(whereNotMade(wanted, stranger), undefined, 'it is there');
});

void test('a file where a folder is needed, or on the way to it, is an error', (t) => {
  const folder = openFolder(t);
  const file = join(folder, 'file');
  writeFileSync(file, '');
  for (const path of [file, join(file, 'audit'), '/dev/null', '/dev/null/a/b'])
    assert.equal(whatIsNoFolder(path), path.startsWith('/dev/null') ? '/dev/null' : file);
  for (const path of [folder, join(folder, 'missing', 'audit'), '/'])
    assert.equal(whatIsNoFolder(path), undefined, path);
  const other = settingsOf(`${sound}audit: { directory: ${file}/audit }\nstate: ${folder}\n`);
  assert.deepEqual(
    inspectFolders(other, { where: () => undefined, inTheWay: whatIsNoFolder }, 'dovegate').map(
      ({ severity, path, message }) => `${severity} ${path}: ${message}`,
    ),
    [
      `error audit.directory: ${file}/audit cannot be a directory: ${file} is none; move that away, or name another place`,
    ],
  );
});
