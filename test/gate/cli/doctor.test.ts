// Goal: doctor says what is true of the whole way, each thing in one line with what to do, and its command goes through the daemon like
// anybody's. What must not happen: a wait without an end, a password that is printed, a bad thing that is called ok.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { gidOf } from '../../../src/host/machine/accounts.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { builtProgram, startDaemon } from '../../kit/gate/daemon.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import { me } from '../../kit/plain/me.js';
import { fakePrograms } from '../../kit/plain/names.js';
import { type ProgramResult, runProgram } from '../../kit/plain/program.js';
import { until } from '../../kit/plain/until.js';

void test('a socket that is mounted by itself: the folder is to be mounted, before and after a restart', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('mounting needs root');
  const folder = openFolder(t);
  const [unix, mounted, config] = ['dovecot', 'mounted', 'dovegate.yaml'].map((name) => join(folder, name));
  assert.ok(unix !== undefined && mounted !== undefined && config !== undefined);
  const dovecot = await openScriptedDovecot({ unix, minor: 3, owner: t });
  writeFileSync(mounted, '');
  writeFileSync(config, configurationFor(`  mail1: { address: "unix:${mounted}", shared_namespaces: [] }`));
  const script = 'mount --bind "$1" "$2"; shift 2; exec "$@"';
  const doctor = ['sh', unix, mounted, process.execPath, builtProgram, 'doctor', '--config', config];
  const look = async (): Promise<ProgramResult> =>
    runProgram('unshare', ['--mount', 'sh', '-ec', script, ...doctor]);
  assert.match(
    looksIn(await look()).get('warning backend mail1') ?? '',
    /greeted in \d+ ms; \S+ is mounted by itself: .*; mount the folder that it is in$/,
  );
  await dovecot.close();
  writeFileSync(unix, '');
  const later = looksIn(await look());
  assert.match(
    later.get('bad backend mail1') ?? '',
    /it is mounted by itself: .*; mount the folder/,
    [...later].join('\n'),
  );
});

/** Without a daemon too; relative paths are in the folder of the test. */
function configurationFor(backends: string, routes = '{ users: ["*"], backend: mail1 }'): string {
  return `version: 1
listeners: { support: { unix: support.sock, mode: "0600", peers: { users: [${me}] }, policy: support } }
backends:
${backends}
routes: [${routes}]
policies: { support: { users: ["*@example.com"], allow: [{ command: quota get, reason: required }] } }
state: state
audit: { directory: audit, memory: shm/audit.ring, memory_size: 1MiB }
admin: { unix: admin.sock }
`;
}

/** Asked again while the machine was too busy for the daemon to answer in time, which doctor says. */
async function answered(doctor: () => Promise<ProgramResult>): Promise<ProgramResult> {
  let found: ProgramResult | undefined;
  await until(async () => {
    found = await doctor();
    return !found.text.includes('did not answer within');
  }, 'a daemon that answers doctor');
  return found ?? assert.fail();
}

/** The lines of looks: `status name` -> the rest. */
function looksIn({ stdout }: ProgramResult): ReadonlyMap<string, string> {
  const lines = stdout.toString().split('\n\n', 1).join('').split('\n');
  return new Map(
    lines.map((line) => {
      const [, status = '', name = '', text = ''] = /^(\w+) +(\S(?: ?\S)*) {2,}(.*)$/.exec(line) ?? [];
      return [`${status} ${name}`, text];
    }),
  );
}

void test('all is well: green, and the command is recorded as that of who ran it', async (t) => {
  const folder = openFolder(t);
  const unix = join(folder, 'dovecot');
  const dovecot = await openScriptedDovecot({ unix, minor: 3, owner: t });
  const daemon = await startDaemon(t, {
    config: configurationFor(`  mail1: { address: "unix:${unix}", shared_namespaces: [] }`),
  });
  const doctor = (...args: string[]): Promise<ProgramResult> =>
    answered(() => runWarm(['doctor', '--config', daemon.configFile, ...args]));

  const asked = await doctor('--user', 'alice@example.com');
  assert.equal(asked.exit, 0, asked.text);
  const looks = looksIn(asked);
  assert.match(looks.get('ok backend mail1') ?? '', /^Dovecot 2\.4 greeted in \d+ ms$/);
  assert.match(looks.get('ok daemon') ?? '', /serving, started/);
  assert.match(looks.get('ok way to mail1') ?? '', /^quota get of alice@example\.com through support: /);
  assert.match(looks.get('ok journal chain') ?? '', /^the last segment is whole to its end/);
  assert.match(looks.get('ok journal') ?? '', /is writable/);
  const others = [...looks.keys()].filter((each) => !each.startsWith('ok '));
  assert.deepEqual(others, [], asked.text);
  assert.match(asked.text, /\nall \d+ looks are ok\nnext: dovegate status --config \S+\n$/);
  const sent = dovecot.commands.map(({ user, fields }) => [user, ...fields].join(' '));
  assert.deepEqual([...new Set(sent)], ['alice@example.com quota get --']);

  // Without a user nothing is sent; over the daemon's old configuration that is said.
  const config = readFileSync(daemon.configFile, 'utf8');
  writeFileSync(daemon.configFile, config.replace('[{ command: quota get', '[purge, { command: quota get'));
  const changed = await doctor();
  assert.equal(changed.exit, 0, changed.text);
  assert.match(
    looksIn(changed).get('warning daemon') ?? '',
    /serves another configuration than this file; reload it/,
  );
  assert.match(changed.text, /\nnext: dovegate reload --config \S+\n$/);
  assert.match(looksIn(changed).get('warning way to mail1') ?? '', /give --user with a mail user of mail1/);
  assert.equal(dovecot.commands.length, sent.length);

  rmSync(daemon.path('shm/audit.ring'));
  const forgetful = await doctor();
  const memory = looksIn(forgetful).get('bad journal memory') ?? forgetful.text;
  assert.match(memory, /audit\.ring is not there: .*; somebody removed it: restart the daemon$/);

  const json = await doctor('--json', '--user', 'alice@example.com');
  const said: { looks: { status: string; look: string }[]; next: string } = JSON.parse(
    json.stdout.toString(),
  );
  assert.equal(said.looks.find(({ look }) => look === 'way to mail1')?.status, 'ok');

  await daemon.stop();
  const completions = daemon
    .audit()
    .flatMap(({ record }) =>
      record['event'] === 'admission' && record['command'] === 'quota get' ? [record] : [],
    );
  assert.ok(completions.length >= 2);
  assert.deepEqual(
    completions.map((record) => [record['principal'], record['user'], record['reason']]),
    completions.map(() => [`${me}@support`, 'alice@example.com', 'dovegate doctor']),
  );
  assert.deepEqual(
    readdirSync(daemon.path('audit')).filter((name) => name.includes('doctor')),
    [],
  );

  // The daemon is gone, and somebody changed the journal.
  const [segment = ''] = readdirSync(daemon.path('audit')).filter((name) => name.endsWith('.jsonl'));
  const file = join(daemon.path('audit'), segment);
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('alice@', 'elise@'));
  appendFileSync(file, '');
  const gone = await doctor();
  assert.equal(gone.exit, 1);
  assert.match(looksIn(gone).get('bad daemon') ?? '', /^no daemon answers at \S+: .*; start it$/);
  assert.match(looksIn(gone).get('bad journal chain') ?? '', /changed: /);
  assert.match(gone.text, /\nnext: dovegate serve --config \S+\n$/);
  // Root could write there, and the daemon that is to be started cannot.
  chmodSync(daemon.path('audit'), 0o500);
  const shut = await doctor();
  const closed = looksIn(shut);
  chmodSync(daemon.path('audit'), 0o700);
  assert.match(
    closed.get('bad journal') ?? '',
    /is closed to its own owner \(mode 0500\); open it: chmod 0700 /,
  );
  assert.match(closed.get('bad daemon') ?? '', /; repair the journal as below, then start it$/);
  assert.match(shut.text, /\nnext: chmod 0700 \S+audit\n$/);
});

void test('backends that refuse, are silent, show another name or want another password: one line each', async (t) => {
  const authority = makeAuthority({ name: 'ours' });
  const password = 'Quail7+Tundra';
  const certificate = authority.issue({ names: ['vm.example.net'] });
  const common = { minor: 2, certificate, password: 'another' } as const;
  const plain = await openScriptedDovecot({ ...common, tls: 'plain' });
  const starttls = await openScriptedDovecot({ ...common, tls: 'starttls' });
  const implicit = await openScriptedDovecot({ ...common, tls: 'implicit' });
  const mute = net.createServer((socket) => socket.on('error', () => undefined).resume());
  const port = await listenHere(mute);
  t.after(async () => {
    mute.close();
    await Promise.all([plain, starttls, implicit].map((each) => each.close()));
  });

  const folder = openFolder(t);
  writeFileSync(join(folder, 'password'), `${password}\n`, { mode: 0o600 });
  writeFileSync(join(folder, 'ca.pem'), authority.certificatePem, { mode: 0o600 });
  const older = await openScriptedDovecot({ minor: 2, unix: join(folder, 'older'), owner: t });
  const newer = await openScriptedDovecot({ minor: 5, unix: join(folder, 'newer'), owner: t });
  const more = 'password_file: password, shared_namespaces: []';
  const tls = 'ca: ca.pem, server_name: mail1.example.com';
  writeFileSync(
    join(folder, 'dovegate.yaml'),
    configurationFor(
      `  wrong: { address: "${plain.address}", tls: off, ${more} }
  other: { address: "${starttls.address}", ${tls}, ${more} }
  implicit: { address: "${implicit.address}", tls: implicit, ${tls}, ${more} }
  stranger: { address: "${implicit.address}", tls: implicit, server_name: vm.example.net, ${more} }
  silent: { address: "127.0.0.1:${port}", tls: off, ${more} }
  nobody: { address: "127.0.0.1:1", tls: off, ${more} }
  older: { address: "${older.address}", series: "2.4", shared_namespaces: [] }
  newer: { address: "${newer.address}", shared_namespaces: [] }
  future: { address: "${newer.address}", newer: refuse, shared_namespaces: [] }
  socket: { address: "unix:${join(folder, 'none')}", shared_namespaces: [] }`,
      '{ users: ["*"], backend: wrong }',
    ),
    { mode: 0o600 },
  );
  const found = await runWarm(['doctor', '--config', join(folder, 'dovegate.yaml')]);
  assert.equal(found.exit, 1, found.text);
  const looks = looksIn(found);
  const bad = (name: string): string => looks.get(`bad backend ${name}`) ?? assert.fail(found.text);
  assert.match(bad('wrong'), /password.*; compare password_file with doveadm_password/);
  for (const name of ['other', 'implicit'])
    assert.match(
      bad(name),
      /another name .*; it shows a certificate for vm\.example\.net \(issuer .*; fix ca, server_name/,
    );
  assert.match(
    bad('stranger'),
    /authority that is not in the system's list.*certificate for vm\.example\.net/,
  );
  assert.match(bad('silent'), /nothing came within \d+ ms.*; Dovecot accepts and says nothing/);
  assert.match(bad('nobody'), /nobody listens there; look at the address/);
  assert.match(
    bad('older'),
    /it is Dovecot 2\.3, but `series` says 2\.4; .*, and whether "series", "release" and "newer" say which Dovecot this is$/,
  );
  assert.match(
    looks.get('warning backend newer') ?? '',
    /it is newer than this dovegate knows and gets reads only \(backends\.newer\.newer\); upgrade dovegate/,
  );
  assert.match(
    bad('future'),
    /it announces minor 5, .*`newer` is refuse; .* and "newer" say which Dovecot this is$/,
  );
  assert.match(bad('socket'), /there is no such socket; let Dovecot listen there/);
  assert.ok(!found.text.includes('Quail7'));
  // Nothing was sent to a server that had not shown what was demanded.
  for (const dovecot of [starttls, implicit]) {
    assert.ok(!dovecot.received().includes('PLAIN'));
    assert.deepEqual(dovecot.commands, []);
  }
});

void test('a configuration with errors: each of them, what else there is, and 78; no file: init', async (t) => {
  const folder = openFolder(t);
  const config = join(folder, 'dovegate.yaml');
  writeFileSync(config, configurationFor('  mail1: { address: nonsense }'), { mode: 0o600 });
  const { text, exit } = await runWarm(['doctor', '--config', config]);
  assert.equal(exit, 78);
  assert.match(text, /^bad +configuration +\S+:4:\d+: backends\.mail1\.address: /m);
  assert.match(text, /^bad +daemon +no daemon answers at .*; repair the file, then start it$/m);
  assert.match(text, /^warning +listener support /m);
  assert.match(text, /\nnext: dovegate check --config \S+\n$/);
  for (const [file, command] of [
    ['none/dovegate.yaml', `dovegate init --directory ${join(folder, 'none')}`],
    ['none.yaml', 'dovegate init'],
  ] as const) {
    const none = await runWarm(['doctor', '--config', join(folder, file)]);
    assert.equal(none.exit, 78);
    assert.match(none.text, /^bad +configuration .*there is no such file$/m);
    assert.ok(none.text.endsWith(`\nnext: ${command}\n`), none.text);
  }
});

void test('beside a file with errors everything else is looked at, the running daemon too', async (t) => {
  const folder = openFolder(t);
  const unix = join(folder, 'dovecot');
  await openScriptedDovecot({ unix, minor: 3, owner: t });
  const whole = configurationFor(`  mail1: { address: "unix:${unix}", shared_namespaces: [] }`);
  const daemon = await startDaemon(t, { config: whole });
  const doctor = (): Promise<ProgramResult> =>
    answered(() => runWarm(['doctor', '--config', daemon.configFile]));
  writeFileSync(daemon.configFile, whole.replace('quota get', 'quota gett'));
  const found = await doctor();
  assert.equal(found.exit, 78, found.text);
  const looks = looksIn(found);
  assert.match(looks.get('bad configuration') ?? '', /did you mean quota get\?/);
  assert.match(
    looks.get('ok daemon') ?? '',
    /serving, started .*, with the configuration that it read before$/,
  );
  assert.match(looks.get('ok backend mail1') ?? '', /greeted/);
  assert.match(looks.get('ok listener support') ?? '', /mode 0600/);
  assert.match(looks.get('ok journal chain') ?? '', /^the last segment is whole to its end/);
  assert.match(found.text, /\nnext: dovegate check --config \S+\n$/);
  assert.equal(found.stderr, '');

  // What cannot be read may have been a demand on the backend: it is not dialed, and the rest is looked at.
  writeFileSync(daemon.configFile, whole.replace('backends:', 'key_pins: ["sha256:x"]\nbackends:'));
  const doubtful = looksIn(await doctor());
  assert.ok(![...doubtful.keys()].some((look) => look.includes('backend')), [...doubtful.keys()].join());
  assert.ok(doubtful.has('ok daemon') && doubtful.has('ok journal chain'));
});

void test('an ordinary user: what is not for it, and what it can run', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root can be another user');
  const folder = openFolder(t);
  chmodSync(folder, 0o755);
  const config = join(folder, 'dovegate.yaml');
  const socket = join(folder, 'run', 'support.sock');
  mkdirSync(join(folder, 'run'), { mode: 0o755 });
  const text = configurationFor(`  mail1: { address: "unix:${join(folder, 'none')}" }`)
    .replace('unix: support.sock, mode: "0600"', 'unix: run/support.sock, mode: "0666"')
    .replace('unix: admin.sock', 'unix: run/admin.sock');
  writeFileSync(config, text, { mode: 0o600 });
  const doctor = (groups = '--clear-groups'): Promise<ProgramResult> =>
    runProgram(
      'setpriv',
      ['--reuid=64101', '--regid=64101', groups, process.execPath, builtProgram].concat([
        'doctor',
        '--config',
        config,
      ]),
    );
  const hidden = await doctor();
  assert.equal(hidden.exit, 77, hidden.text);
  assert.match(hidden.text, /^bad +configuration .*permission denied$/m);
  assert.ok(hidden.text.endsWith(`\nnext: sudo dovegate doctor --config ${config}\n`), hidden.text);

  const listen = async (path: string, mode: number): Promise<void> => {
    const server = net.createServer();
    await once(server.listen(path), 'listening');
    t.after(() => void server.close());
    chmodSync(path, mode);
  };
  await listen(socket, 0o666);
  await listen(join(folder, 'run', 'admin.sock'), 0o600);
  const next = `\nnext: dovegate can --socket ${socket}\n`;
  const member = await doctor();
  assert.equal(member.exit, 77, member.text);
  assert.ok(member.text.endsWith(next), member.text);
  chmodSync(config, 0o644);
  const readable = await doctor();
  assert.equal(readable.exit, 77, readable.text);
  assert.match(readable.text, /^warning +daemon +permission denied: .* is for "root" only/m);
  assert.ok(readable.text.endsWith(next), readable.text);
  // Somebody on call, who has sudo or the page, wants more than what a member of a team may do.
  const page = join(folder, 'run', 'page.sock');
  await listen(page, 0o666);
  chmodSync(config, 0o600);
  const onCall = await doctor();
  assert.ok(onCall.text.endsWith(`\nnext: dovegate page open --socket ${page}\n`), onCall.text);
  const sudoers = ['sudo', 'wheel'].find((name) => gidOf(name) !== undefined);
  if (sudoers === undefined) return;
  const operator = await doctor(`--groups=${gidOf(sudoers)}`);
  assert.ok(operator.text.endsWith(`\nnext: sudo dovegate doctor --config ${config}\n`), operator.text);
});

void test('a Dovecot of this machine whose names are one mailbox, or which shows mail of others, otherwise than the file says', async (t) => {
  const fakes = fakePrograms(t);
  const file = join(openFolder(t), 'dovegate.yaml');
  const socket = 'service doveadm {\\n  unix_listener /run/no-dovecot {\\n    mode = 0600\\n  }\\n}\\n';
  const older = `# 2.3.19 (x): f\\n`;
  const keeps = `# 2.4.1 (x): f\\nauth_username_format = %%{user}\\n${socket}`;
  const drops = `${older}auth_username_format = %%Ln\\n${socket}`;
  const shared = 'namespace {\\n  type = shared\\n  prefix = shared/$user/\\n}\\n';
  const spaces = `# 2.4.1 (x): f\\n${socket}${shared}namespace {\\n  mail_driver = virtual\\n  prefix = Virtual/\\n}\\n`;
  const kept = 'mail_users: { case: keep }\n';
  const byUserdb = 'mail_users: { resolve: "/run/userdb" }\n';
  // [what doveconf prints, shared_namespaces, the end of the file, whether that is said]
  for (const [printed, listed, end, isSaid, said] of [
    [keeps, '', '', true, /this machine keeps the case of names .*; write mail_users: \{ case: keep \}/],
    [keeps, '', kept, false, /case of names|in any case/],
    [drops, '', '', true, /mail_users.resolve: .* drops the domain of names .* set mail_users.resolve/],
    [drops, '', byUserdb, false, /the domain of names/],
    // Nothing is known of the Dovecot behind another socket.
    [older, '', kept, false, /in any case/],
    [older + socket, '', kept, true, /yaml:10:21: .*mail_users.case: .* takes names in any case/],
    [spaces, '["shared/"]', '', true, / does not list Virtual\/, where its Dovecot can show mail of others/],
    [spaces, '[]', '', true, / backends.mail1: does not list shared\/ Virtual\/, where /],
    [spaces, '["Shared/", "virtual/"]', '', false, /does not list/],
  ] as const)
    for (const subcommand of ['check', 'doctor']) {
      fakes.write('doveconf', `printf '${printed}'`);
      const more = listed === '' ? '' : `, shared_namespaces: ${listed}`;
      writeFileSync(file, configurationFor(`  mail1: { address: "unix:/run/no-dovecot"${more} }`) + end);
      const { text } = await runWarm([subcommand, '--config', file], { env: { PATH: fakes.path } });
      if (isSaid) assert.match(text, said);
      else assert.doesNotMatch(text, said);
    }
});
