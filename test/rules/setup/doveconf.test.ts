// Goal: what real Dovecots of both series print about themselves is read right; text that is something else is refused as a whole.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDoveconf } from '../../../src/rules/setup/doveconf.js';
import { printed } from '../../gate/begin/examples.js';

const sockets = [
  { path: '/srv/lab/run/doveadm-auth', mode: '0666', user: '' },
  { path: '/srv/lab/run/doveadm-server', mode: '0600', user: '' },
  { path: '/srv/lab/run/dovegate-doveadm', mode: '0600', user: 'nobody' },
];
const common = {
  sharedNamespaces: ['shared/'],
  defaultRealm: undefined,
  names: { case: 'fold', merged: undefined },
  proxyPort: '',
  wantsTlsOnSockets: false,
  replica: '',
  isCounting: true,
  allowedCommands: '',
};

for (const [series, version, firstPort] of [
  ['2.3', '2.3.19.1', 41241],
  ['2.4', '2.4.1-4', 41251],
] as const)
  void test(`${series}: version, sockets, ports, shared namespaces`, () => {
    const { sockets: found = [], ...rest } = parseDoveconf(printed(series)) ?? {};
    const sorted = found.toSorted((one, other) => one.path.localeCompare(other.path));
    assert.deepEqual(sorted, sockets);
    assert.deepEqual(rest, {
      ...common,
      version,
      series,
      ports: [0, 1, 2].map((at) => ({ port: firstPort + at, addresses: ['127.0.0.1'], isHttp: at === 2 })),
      isPasswordSet: true,
      isApiKeySet: false,
      baseDirectory: '/srv/lab/run',
    });
  });

void test('where its ports are: as the listener says, else as all services, else everywhere', () => {
  const portsOf = (series: string, listener: string, more = '') =>
    parseDoveconf(
      `# ${series}.1 (x): f\n${more}service doveadm {\n  ${listener.includes('{') ? listener : `${listener} {`}\n    port = 24245\n  }\n}\n`,
    )?.ports;
  // As `doveconf -n` of 2.3.19 and 2.4.1 prints them.
  const own = portsOf('2.3', 'inet_listener {\n    address = 192.0.2.1, [::1]');
  assert.deepEqual(own, [{ port: 24245, addresses: ['192.0.2.1', '::1'], isHttp: false }]);
  const newer = portsOf('2.4', 'inet_listener doveadm {\n    listen = 127.0.0.1 ::1');
  assert.deepEqual(newer?.[0]?.addresses, ['127.0.0.1', '::1']);
  assert.deepEqual(portsOf('2.3', 'inet_listener')?.[0]?.addresses, ['*', '::']);
  const http = [{ port: 24245, addresses: ['10.0.0.1'], isHttp: true }];
  assert.deepEqual(portsOf('2.4', 'inet_listener http', 'listen = 10.0.0.1\n'), http);
});

void test('which names are one mailbox', () => {
  const namesFor = (settings: string) =>
    (['2.3', '2.4'] as const).map((series) => parseDoveconf(`# ${series}.1 (x): f\n${settings}\n`)?.names);
  for (const [format, nameCase, isDropped = false] of [
    ['%Lu', 'fold'],
    ['%Ln', 'fold', true],
    ['%20TLu', 'fold'],
    ['%u', 'keep'],
    ['%n', 'keep', true],
    ['%{user | lower}', 'fold'],
    ['%{user|lower|username}', 'fold', true],
    ['%{user | username}', 'keep', true],
    ['%{user | username}@mail.example', 'keep', true],
    ['%{user | regexp("@.*", "")}', 'keep', true],
    ['%{user}', 'keep'],
    ['%{domain}/%{username}', 'keep'],
    ['%n@%Ld', 'keep'],
    ['%Ln@%Ld', 'fold'],
    ['%Uu', 'fold'],
    ['', 'keep'],
    ['%{user | username}@%{user | domain | lower}', 'keep'],
    ['%{user | username | lower}@%{user | domain | lower}', 'fold'],
  ] as const) {
    const merged = isDropped ? 'drops the domain of names (auth_username_format)' : undefined;
    const expected = { case: nameCase, merged };
    assert.deepEqual(namesFor(`auth_username_format = ${format}`), [expected, expected], format);
  }
  const translated = 'translates characters of names (auth_username_translation)';
  for (const [translation, merged] of [
    ['#@/@', undefined],
    ['%@', undefined],
    ['', undefined],
    ['#__@', translated],
    ['"=@"', translated],
  ] as const)
    assert.equal(namesFor(`auth_username_translation = ${translation}`)[0]?.merged, merged, translation);
});

void test('2.4.5: values of several lines, whose lines are no settings and no ends of blocks', () => {
  const text = [
    '# 2.4.5-1 (0123456789): f',
    'auth_username_format = <<EOD',
    '%{user | lower}',
    'EOD',
    'base_dir = /srv/run',
    'namespace shared {',
    '  prefix = shared/$user/',
    '  type = shared',
    '  x = <<END OF IT',
    '}',
    '  END OF IT',
    'END OF IT ',
    'base_dir = /elsewhere',
    '# 2.3.1 (x): f',
    'END OF IT',
    '}',
    'login_greeting = <<EOD',
    'doveadm_password = x',
    '',
  ].join('\n');
  const found = parseDoveconf(text);
  assert.equal(found?.version, '2.4.5-1');
  assert.deepEqual(found.names, common.names);
  assert.equal(found.baseDirectory, '/srv/run');
  assert.deepEqual(found.sharedNamespaces, ['shared/']);
  assert.equal(found.isPasswordSet, true);
});

void test('as Debian installs it: no socket of its own, no shared namespace, the usual directory', () => {
  for (const series of ['2.3', '2.4']) {
    const found = parseDoveconf(printed(`${series}-debian`));
    assert.equal(found?.series, series);
    assert.deepEqual(found?.sockets, []);
    assert.deepEqual(found?.sharedNamespaces, []);
    assert.equal(found?.baseDirectory, '/run/dovecot');
  }
});

void test('doveadm_port with doveadm_ssl makes doveadm want TLS on sockets', () => {
  const of = (more: string): boolean | undefined =>
    parseDoveconf(`# 2.3.21 (x): f\n${more}`)?.wantsTlsOnSockets;
  assert.equal(of('doveadm_port = 24245\ndoveadm_ssl = starttls\n'), true);
  assert.equal(of('doveadm_port = 24245\n'), false);
  assert.equal(of('doveadm_port = 0\ndoveadm_ssl = ssl\n'), false);
});

void test('rubbish is refused, and so is what ends in a block', () => {
  for (const text of [
    '',
    'hello',
    '# 2.2.36 (x): /etc/dovecot/dovecot.conf\n',
    '# 3.0.0 (x): f\n',
    '# 2.3.1 (x): f\nservice doveadm {\n',
    '# 2.3.1 (x): f\n}\n',
    `# 2.3.1 (x): f\n${'a {\n'.repeat(50)}${'}\n'.repeat(50)}`,
    `# 2.3.1 (x): f\n${'a = b\n'.repeat(30_000)}`,
    '\u0000\u0001\u0002',
  ])
    assert.equal(parseDoveconf(text), undefined, JSON.stringify(text.slice(0, 60)));
});

void test('who else uses doveadm: replication and proxies; and whether its processes count connections', () => {
  const factsOf = (settings: string) => {
    const found = parseDoveconf(`# 2.3.21 (x): f\n${settings}\n`);
    return [found?.replica, found?.proxyPort, found?.isCounting];
  };
  assert.deepEqual(factsOf(''), ['', '', true]);
  const plugin = 'plugin {\n  mail_replica = tcp:mail2.example.com\n}';
  assert.deepEqual(factsOf(plugin), ['tcp:mail2.example.com', '', true]);
  assert.deepEqual(factsOf('service replicator {\n  process_min_avail = 1\n}')[0], 'service replicator');
  assert.deepEqual(factsOf('doveadm_port = 24245'), ['', '24245', true]);
  assert.deepEqual(factsOf('doveadm_port = 0\nservice doveadm {\n  service_count = 100\n}'), ['', '', false]);
});
