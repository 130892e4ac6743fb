// Goal: doctor says what is true of the whole way, each thing in one line with what to do, and its command goes through the daemon like
// anybody's. What must not happen: a wait without an end, a password that is printed, a bad thing that is called ok.
import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeAuthority } from '../kit/certificates.js';
import { startDaemon } from '../kit/daemon.js';
import { openFolder } from '../kit/folder.js';
import type { ProgramResult } from '../kit/program.js';
import { openScriptedDovecot } from '../kit/scripted-dovecot.js';
import { runWarm } from '../kit/warm-program.js';

const me = userInfo().username;

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
  const dovecot = await openScriptedDovecot({ unix, minor: 3 });
  t.after(() => dovecot.close());
  const daemon = await startDaemon(t, {
    config: configurationFor(`  mail1: { address: "unix:${unix}", shared_namespaces: [] }`),
  });
  const doctor = (...args: string[]): Promise<ProgramResult> =>
    runWarm(['doctor', '--config', daemon.configFile, ...args]);

  const asked = await doctor('--user', 'alice@example.com');
  assert.equal(asked.exit, 0, asked.text);
  const looks = looksIn(asked);
  assert.match(looks.get('ok backend mail1') ?? '', /^Dovecot 2\.4 greeted in \d+ ms$/);
  assert.match(looks.get('ok daemon') ?? '', /serving since/);
  assert.match(looks.get('ok way to mail1') ?? '', /^quota get of alice@example\.com through support: /);
  assert.match(looks.get('ok journal chain') ?? '', /^whole to its end/);
  assert.match(looks.get('ok journal') ?? '', /is writable/);
  assert.deepEqual(
    [...looks.keys()].filter((each) => !each.startsWith('ok ')),
    [],
    asked.text,
  );
  assert.match(asked.text, /\nall \d+ looks are ok\nnext: dovegate status --config \S+\n$/);
  assert.deepEqual(
    dovecot.commands.map(({ user, fields }) => [user, ...fields]),
    [['alice@example.com', 'quota get', '--']],
  );

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
  assert.match(looksIn(changed).get('warning way to mail1') ?? '', /name a mail user/);
  assert.equal(dovecot.commands.length, 1);

  rmSync(daemon.path('shm/audit.ring'));
  const forgetful = looksIn(await doctor()).get('bad journal memory');
  assert.match(forgetful ?? '', /audit\.ring is not there: .*; somebody removed it: restart the daemon$/);

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
  assert.deepEqual(
    completions.map((record) => [record['principal'], record['user'], record['reason']]),
    Array.from({ length: 2 }, () => [`${me}@support`, 'alice@example.com', 'dovegate doctor']),
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
  const closed = looksIn(await doctor());
  chmodSync(daemon.path('audit'), 0o700);
  assert.match(closed.get('bad journal') ?? '', /is closed to its own owner; open it/);
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
  await new Promise<void>((resolve) => {
    mute.listen(0, '127.0.0.1', resolve);
  });
  const place = mute.address();
  const port = typeof place === 'object' && place !== null ? place.port : 0;
  t.after(async () => {
    mute.close();
    await Promise.all([plain, starttls, implicit].map((each) => each.close()));
  });

  const folder = openFolder(t);
  writeFileSync(join(folder, 'password'), `${password}\n`, { mode: 0o600 });
  writeFileSync(join(folder, 'ca.pem'), authority.certificatePem, { mode: 0o600 });
  const older = await openScriptedDovecot({ minor: 2, unix: join(folder, 'older') });
  t.after(() => older.close());
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
  assert.match(bad('older'), /it is Dovecot 2\.3, but `series` says 2\.4; .*, and whether series names it$/);
  assert.match(bad('socket'), /there is no such socket; let Dovecot listen there/);
  assert.ok(!found.text.includes('Quail7'));
  // Nothing was sent to a server that had not shown what was demanded.
  for (const dovecot of [starttls, implicit]) {
    assert.ok(!dovecot.received().includes('PLAIN'));
    assert.deepEqual(dovecot.commands, []);
  }
});

void test('a configuration with errors: each of them, and 78', async (t) => {
  const folder = openFolder(t);
  const config = join(folder, 'dovegate.yaml');
  writeFileSync(config, configurationFor('  mail1: { address: nonsense }'), { mode: 0o600 });
  const { text, exit } = await runWarm(['doctor', '--config', config]);
  assert.equal(exit, 78);
  assert.match(text, /^bad +configuration +\S+:4:\d+: backends\.mail1\.address: /m);
  assert.match(text, /\nnext: dovegate check --config \S+\n$/);
  const none = await runWarm(['doctor', '--config', join(folder, 'none.yaml')]);
  assert.equal(none.exit, 78);
});

void test('an admin socket that accepts and is silent, and one that says something else', async (t) => {
  const folder = openFolder(t);
  const config = join(folder, 'dovegate.yaml');
  writeFileSync(config, configurationFor(`  mail1: { address: "unix:${join(folder, 'none')}" }`), {
    mode: 0o600,
  });
  for (const [answer, said] of [
    ['', /did not answer within 5 s/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello', /is not that of dovegate/],
    ['HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnull', /is not that of dovegate/],
  ] as const) {
    const asked: net.Socket[] = [];
    const server = net.createServer((socket) => {
      asked.push(socket.on('error', () => undefined).resume());
      if (answer !== '') socket.end(answer);
    });
    await new Promise<void>((resolve) => {
      server.listen(join(folder, 'admin.sock'), resolve);
    });
    const found = await runWarm(['doctor', '--config', config]);
    // The process lives on, and would wait for an answer that doctor has given up.
    for (const socket of asked) socket.destroy();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    assert.equal(found.exit, 1, found.text);
    assert.match(looksIn(found).get('bad daemon') ?? '', said);
  }
});
