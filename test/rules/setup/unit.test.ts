// Goal: what the unit of the daemon lets it write, by its file and its drop-ins, is told with file and line, and with what permits it.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { unitFor, whyUnitDenies } from '../../../src/rules/setup/unit.js';
import { openFolder } from '../../kit/plain/folder.js';

const lines = (...settings: string[]): Parameters<typeof whyUnitDenies>[1] => ({
  name: 'dovegate.service',
  lines: settings.map((each, at) => ({
    key: each.split('=')[0] ?? '',
    value: each.split('=').slice(1).join('='),
    place: `/lib/dovegate.service:${at + 1}`,
  })),
});
const shipped = [
  'StateDirectory=dovegate',
  'ReadWritePaths=-/run/dovegate',
  'ProtectSystem=strict',
  'ProtectHome=yes',
];

void test('a folder is closed by the setting that counts last, and opened by the lists', () => {
  const told = (folder: string, ...more: string[]): string | undefined =>
    whyUnitDenies(folder, lines(...shipped, 'PrivateTmp=yes', ...more))?.text;
  for (const open of ['/var/lib/dovegate', '/var/lib/dovegate/audit', '/run/dovegate', '/dev/shm'])
    assert.equal(told(open), undefined, open);
  assert.equal(
    told('/srv/no-such/audit'),
    'dovegate.service may not write /srv/no-such/audit (ProtectSystem=strict, /lib/dovegate.service:3)',
  );
  assert.match(told('/var/lib/dovegate2') ?? '', /may not write/, 'a longer name is another folder');
  const rw = 'ReadWritePaths=/opt/x -/srv/no-such';
  assert.equal(told('/srv/no-such/audit', rw), undefined);
  assert.match(
    told('/srv/no-such/audit', rw, 'ReadWritePaths=') ?? '',
    /may not write/,
    'an empty value clears the list',
  );
  assert.equal(told('/srv/no-such', 'ProtectSystem=full'), undefined);
  assert.match(told('/etc/no-such', 'ProtectSystem=full') ?? '', /\(ProtectSystem=full, .*:6\)/);
  assert.match(
    told('/home/no-such/audit', 'ReadWritePaths=/home/no-such') ?? '',
    /does not see \/home \(ProtectHome=yes/,
  );
  assert.equal(told('/home/no-such/audit', 'ProtectHome=tmpfs', 'BindPaths=/x:/home/no-such'), undefined);
  assert.match(told('/tmp/no-such') ?? '', /does not see \/tmp \(PrivateTmp=yes/);
});

void test('the unit of a configuration is found by what it serves: that of the package, another one, an instance with its drop-ins', (t) => {
  const folder = openFolder(t);
  const [own, package_] = [join(folder, 'etc'), join(folder, 'lib')];
  const put = (path: string, ...settings: string[]): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `[Service]\n${settings.join('\n')}\n`);
  };
  const serve = 'ExecStart=/usr/bin/node /usr/lib/dovegate/dist/main.js serve';
  put(join(package_, 'dovegate.service'), `${serve} --config /etc/dovegate/dovegate.yaml`);
  put(join(own, 'other.service'), 'ExecStart=/usr/bin/other serve');
  put(join(own, 'gate2.service'), 'Environment=A=b DOVEGATE_CONFIG=/etc/gate2.yaml', serve);
  put(join(own, 'dovegate@.service'), `${serve} --config /etc/gates/%i.yaml`, 'ProtectSystem=strict');
  put(join(own, 'dovegate@.service.d/all.conf'), 'ReadWritePaths=/srv/no-such/%i');
  put(join(own, 'dovegate@eu.service.d/eu.conf'), 'ReadWritePaths=/opt/no-such');
  put(join(own, 'service.d/every.conf'), 'ProtectHome=yes');
  const at = [own, package_];
  const nameOf = (file: string): string | undefined => unitFor([file], at)?.name;
  assert.deepEqual(
    ['/etc/dovegate/dovegate.yaml', '/etc/gate2.yaml', '/etc/gates/eu.yaml', '/etc/draft.yaml'].map(nameOf),
    ['dovegate.service', 'gate2.service', 'dovegate@eu.service', undefined],
  );
  const eu = unitFor(['/etc/gates/eu.yaml'], at);
  const told = (path: string): string | undefined => whyUnitDenies(path, eu)?.text.replace(folder, '');
  assert.deepEqual(['/srv/no-such/eu/audit', '/opt/no-such', '/srv/no-such/us', '/home/no-such'].map(told), [
    undefined,
    undefined,
    'dovegate@eu.service may not write /srv/no-such/us (ProtectSystem=strict, /etc/dovegate@.service:3)',
    'dovegate@eu.service does not see /home (ProtectHome=yes, /etc/service.d/every.conf:2)',
  ]);
  assert.match(whyUnitDenies('/srv/no-such/us', eu)?.run ?? '', /^mkdir -p \S+\/dovegate@eu\.service\.d && /);
  // A drop-in that names another file.
  put(join(own, 'dovegate.service.d/x.conf'), 'ExecStart=', `${serve} --config=/etc/dovegate/eu.yaml`);
  assert.deepEqual(['/etc/dovegate/eu.yaml', '/etc/dovegate/dovegate.yaml'].map(nameOf), [
    'dovegate.service',
    undefined,
  ]);
});
