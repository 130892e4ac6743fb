// Goal: forty mistakes of a beginner, each answered with what is wrong, where (a line of the file, or the word), and what to do. One small
// configuration, one change each; then a daemon that cannot start, a Dovecot that does not answer, and a command that is typed wrongly.
// What must not happen: a stack, a message of a library, a first problem that is not the one that was made. What else a configuration can
// have wrong is in test/domain/config/cases.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { uidOf } from '../../../src/adapters/host/accounts.js';
import { hash } from '../../domain/config/jobs.js';
import { makeAuthority } from '../../kit/certificates.js';
import { runDovegate } from '../../kit/daemon.js';
import { openFolder } from '../../kit/folder.js';
import { openScriptedDovecot } from '../../kit/scripted-dovecot.js';
import { runWarm } from '../../kit/warm-program.js';

const configuration = `version: 1
listeners:
  support: { unix: support.sock, policy: support }
backends:
  mail1:
    address: "127.0.0.1:24245"
    tls: off
    password_file: mail1.password
    shared_namespaces: []
routes:
  - { users: ["*@example.com"], backend: mail1 }
policies:
  support:
    users: ["*@example.com"]
    allow:
      - quota get
      - mailbox list
audit: { directory: audit, memory: off }
state: state
`;

/** A folder with that configuration, changed, and what it names. */
function openPlace(t: TestContext, from = '', to = ''): string {
  const folder = openFolder(t);
  assert.ok(configuration.includes(from), from);
  writeFileSync(
    join(folder, 'dovegate.yaml'),
    configuration.replace(from, () => to),
  );
  writeFileSync(join(folder, 'mail1.password'), 'secret\n', { mode: 0o600 });
  for (const name of ['state', 'audit']) mkdirSync(join(folder, name), { mode: 0o700 });
  const first = makeAuthority({ name: 'first' }).issue({ names: ['localhost'] });
  const second = makeAuthority({ name: 'second' }).issue({ names: ['localhost'] });
  writeFileSync(join(folder, 'tls.crt'), first.certificatePem);
  writeFileSync(join(folder, 'other.key'), second.keyPem, { mode: 0o600 });
  return folder;
}

/** `at`: the line, `what` and `todo`: in its message. */
type Mistake = readonly [name: string, from: string, to: string, at: number, what: RegExp, todo: RegExp];

const allow = '    allow:\n';
const tls = '    tls: off\n';
const socket = 'unix: support.sock, ';
const tcp = (rest: string): string =>
  `tcp: "127.0.0.1:1", tls: { ${rest} }, accounts: { bob: { password_hash: "${hash}", policy: support } } }\n  # `;

const mistakes: readonly Mistake[] = [
  ['a wrong key', tls, '    tlss: off\n', 7, /"tlss" is not a key here/, /did you mean tls\?/],
  ['a wrong indent', tls, ` ${tls}`, 7, /keys of one map begin in the same column/, /move it/],
  ['a tab', tls, '\ttls: off\n', 7, /a tab begins this line/, /write spaces/],
  ['a quote that is open', '24245"', '24245', 6, /begins with " does not end/, /close it with "/],
  ['a bracket that is open', '["*@example.com"]\n', '["*@example.com"\n', 15, /is not closed/, /add \]/],
  ['no colon', tls, '    tls off\n', 7, /needs a colon/, /write KEY: VALUE/],
  ['no blank behind a colon', tls, '    tls:off\n', 7, /needs a colon/, /write KEY: VALUE/],
  ['a key twice', tls, `${tls}${tls}`, 8, /stands here twice/, /keep one of them/],
  [
    'a star without quotes',
    '["*@example.com"]\n',
    '[*@example.com]\n',
    14,
    /aliases .*not taken/,
    /in quotes/,
  ],
  ['a number in words', tls, `${tls}    connections: four\n`, 8, /must be a whole number/, /from 1 to 1000/],
  ['yes', tls, `${tls}    drained: yes\n`, 8, /drained: must be/, /true or false/],
  [
    'a time without a unit',
    'state:',
    'limits: { queue_timeout: 5 }\nstate:',
    19,
    /must be a duration/,
    /as 500ms, 10m/,
  ],
  [
    'a mode without quotes',
    socket,
    `${socket}mode: 0660, `,
    3,
    /mode: must be written in quotes/,
    /as "0660"/,
  ],
  ['one pattern', '["*@example.com"]\n', 'example.com\n', 14, /must be a list/, /as \["\*@example\.com"\]/],
  [
    'a domain alone',
    '["*@example.com"]\n',
    '["@example.com"]\n',
    14,
    /names no user/,
    /write \*@example\.com/,
  ],
  [
    'rules in one line',
    `${allow}      - quota get\n      - mailbox`,
    '    allow: quota get #',
    15,
    /must be a list of rules/,
    /as \[quota/,
  ],
  [
    'preset for use',
    allow,
    `    preset: presets/agent\n${allow}`,
    15,
    /"preset" is not a key here/,
    /write use: /,
  ],
  [
    'an unknown preset',
    allow,
    `    use: [presets/suport-desk]\n${allow}`,
    15,
    /no preset presets\/suport-desk/,
    /did you mean/,
  ],
  [
    'a preset without its folder',
    allow,
    `    use: [support-desk]\n${allow}`,
    15,
    /name of a shipped preset/,
    /as presets\//,
  ],
  [
    'a preset that wants to know more',
    allow,
    `    use: [presets/monitoring]\n${allow}`,
    15,
    /use\[0\]: needs/,
    /with: \{ probe/,
  ],
  [
    'an unknown policy',
    'policy: support',
    'policy: suport',
    3,
    /no policy "suport"/,
    /did you mean support\?/,
  ],
  ['an unknown backend', 'backend: mail1', 'backend: mail', 11, /no backend "mail"/, /did you mean mail1\?/],
  [
    'an unknown command',
    'quota get',
    'quota gt',
    16,
    /no Dovecot has a command "quota gt"/,
    /did you mean quota get\?/,
  ],
  ['a listener without a policy', ', policy: support }', ' }', 3, /needs a policy/, /add policy: NAME/],
  [
    'a socket twice',
    '  support: { unix',
    '  other: { unix: support.sock, policy: support }\n  support: { unix',
    4,
    /is the socket of listener other/,
    /other already/,
  ],
  [
    'a host without a port',
    '"127.0.0.1:24245"',
    'mail1.example.com',
    6,
    /address: must be HOST:PORT/,
    /as mail1\.example\.com:24245/,
  ],
  [
    'a password in clear',
    '"127.0.0.1:24245"',
    'mail1.example.com:24245',
    7,
    /in clear over the network/,
    /use starttls/,
  ],
  [
    'no password',
    '    password_file: mail1.password\n',
    '',
    5,
    /needs a password_file/,
    /Dovecot asks every TCP client/,
  ],
  ['a section that there is not', 'state:', 'x: 1\nstate:', 19, /"x" is not a key here/, /known are: /],
  [
    'a file that is not there',
    'mail1.password',
    'none.password',
    8,
    /none\.password cannot be read: there is no such file/,
    /make it, or correct/,
  ],
  [
    'a file where a directory must be',
    'directory: audit',
    'directory: mail1.password/audit',
    18,
    /cannot be a directory: \S+mail1\.password is none/,
    /name another place/,
  ],
  [
    'an unknown group',
    socket,
    `${socket}mode: "0660", group: no-such-group, `,
    3,
    /no group no-such-group/,
    /make it, or correct the name/,
  ],
  [
    'an unknown owner',
    socket,
    `${socket}owner: no-such-user, `,
    3,
    /no user no-such-user/,
    /make it, or correct the name/,
  ],
  [
    'a certificate that is none',
    `${socket}policy: support }`,
    tcp('mode: starttls, certificate: mail1.password, key: other.key'),
    3,
    /mail1\.password holds no certificate/,
    /PEM begins with -----BEGIN/,
  ],
  [
    'a key of another certificate',
    `${socket}policy: support }`,
    tcp('mode: starttls, certificate: tls.crt, key: other.key'),
    3,
    /other\.key is not the key of the certificate/,
    /put both files of one certificate there/,
  ],
];

for (const [name, from, to, line, what, todo] of mistakes)
  test(`check: ${name}`, async (t) => {
    const told = await runWarm(['check', '--config', 'dovegate.yaml'], { cwd: openPlace(t, from, to) });
    assert.equal(told.exit, 78, told.text);
    const [first = ''] = told.text
      .split('\n')
      .filter((each) => /^dovegate\.yaml:\d/.test(each) && !/ warning: /.test(each));
    assert.ok(first.startsWith(`dovegate.yaml:${line}:`), told.text);
    assert.match(first, what);
    assert.match(first, todo);
    assert.doesNotMatch(told.text, /\bat .*:\d+:\d+\)?$|undefined|\[object/m);
  });

test('check: a password file that others can read, one that the daemon cannot, a file that is not there', async (t) => {
  const folder = openPlace(t);
  const check = async (file = 'dovegate.yaml'): Promise<string> =>
    (await runWarm(['check', '--config', file], { cwd: folder })).text;
  chmodSync(join(folder, 'mail1.password'), 0o644);
  assert.match(
    await check(),
    /^dovegate\.yaml:8:20: .*can be read by every user \(mode 0644\); run: chmod o-r \S+mail1\.password$/m,
  );
  chmodSync(join(folder, 'mail1.password'), 0o600);
  assert.match(
    await check('none.yaml'),
    /^none\.yaml:1:1: none\.yaml cannot be read: there is no such file$/m,
  );
  if (process.getuid?.() !== 0) return t.skip('only root has files of other users');
  chmodSync(folder, 0o755);
  chmodSync(join(folder, 'dovegate.yaml'), 0o644);
  for (const name of ['state', 'audit']) chownSync(join(folder, name), uidOf('nobody') ?? -1, -1);
  assert.match(
    await check(),
    /^dovegate\.yaml:8:20: .*cannot be read by nobody, the user of the daemon: .*; run: chown nobody \S+mail1\.password$/m,
  );
});

/** A server that says this to everybody. */
async function openServer(t: TestContext, at: string | undefined, greeting: string): Promise<number> {
  const server = net.createServer((client) => {
    client.on('error', () => undefined);
    client.write(greeting);
  });
  await new Promise<void>((resolve) => {
    if (at === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(at, resolve);
  });
  t.after(() => server.close());
  const address: AddressInfo | string | null = server.address();
  return address === null || typeof address === 'string' ? 0 : address.port;
}

test('serve: a port and a socket at which another process listens', async (t) => {
  const port = await openServer(t, undefined, '');
  const serve = async (folder: string): Promise<string> => {
    const ended = await runDovegate(['serve', '--config', 'dovegate.yaml'], { cwd: folder });
    assert.equal(ended.exit, 78, ended.text);
    return ended.text;
  };
  const taken = openPlace(t, 'state:', `admin: { tcp: "127.0.0.1:${port}" }\nstate:`);
  assert.match(
    await serve(taken),
    new RegExp(`127\\.0\\.0\\.1:${port}: .*another process listens there; stop it, or take another port`),
  );
  const folder = openPlace(t);
  await openServer(t, join(folder, 'support.sock'), '');
  assert.match(await serve(folder), /support\.sock: another process listens there; stop it first/);
});

test('doctor: a Dovecot that is not there, another service of it, one without the password', async (t) => {
  const doctor = async (address: string): Promise<string> => {
    const folder = openPlace(t, '"127.0.0.1:24245"', `"${address}"`);
    const told = await runWarm(['doctor', '--config', 'dovegate.yaml'], { cwd: folder });
    return /^bad +backend mail1 .*$/m.exec(told.text)?.[0] ?? told.text;
  };
  assert.match(
    await doctor('127.0.0.1:1'),
    /cannot connect to 127\.0\.0\.1:1: nobody listens there; look at the address/,
  );
  for (const [greeting, service] of [
    ['* OK Dovecot ready.\r\n', 'IMAP'],
    ['VERSION\t1\t2\nMECH\tPLAIN\nDONE\n', "Dovecot's auth service"],
  ] as const) {
    const address = `127.0.0.1:${await openServer(t, undefined, greeting)}`;
    const said = await doctor(address);
    const named = `${address}: it is no doveadm server: it greets as ${service} does; correct address`;
    assert.ok(said.includes(named), said);
  }
  const dovecot = await openScriptedDovecot({ owner: t, password: 'another' });
  assert.match(await doctor(dovecot.address), /compare password_file with doveadm_password of that Dovecot/);
});

test('words typed wrongly: no socket, one that is not there, an unknown listener, subcommand and option', async (t) => {
  const folder = openPlace(t);
  const env = { DOVEADM_SOCKET: undefined, DOVEGATE_CLIENT_CONFIG: undefined };
  const said = async (...args: string[]): Promise<string> => {
    const ended = await runWarm(args, { cwd: folder, env });
    assert.notEqual(ended.exit, 0);
    return ended.text;
  };
  const send = ['send', '--user', 'bob@example.com'];
  assert.match(await said(...send, '--', 'quota', 'get'), /no socket: give one with --socket/);
  assert.match(
    await said(...send, '--socket', 'support', '--', 'quota', 'get'),
    /^dovegate: support: neither .* as \.\/NAME$/m,
  );
  assert.match(
    await said(...send, '--socket', './none.sock', '--', 'quota', 'get'),
    /\.\/none\.sock: .*there is no such socket/,
  );
  const line = [
    '--config',
    'dovegate.yaml',
    '--listener',
    'suport',
    '--user',
    'a@example.com',
    '--',
    'quota',
    'get',
  ];
  assert.match(await said('explain', ...line), /has no listener "suport"; did you mean support\?/);
  assert.match(await said('chek'), /unknown command 'chek'\n\(Did you mean check\?\)/);
  assert.match(await said('check', '--confg', 'x'), /unknown option '--confg'\n\(Did you mean --config\?\)/);
});
