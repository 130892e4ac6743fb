// Goal: `dovegate ship` under its units, as they are shipped, beside a daemon with a backend, a syslog receiver over TLS and a webhook in
// the machine. Phases: no receiver; files of receivers in the wrong place; the first receiver by a reload; a
// program in its place, as if it were taken over; killed, and the daemon killed, while commands run; the last receiver goes; the machine
// stops. What must not happen: a secret of the daemon that its user can read, a command, another socket that lets it in, a record that does
// not arrive, a loop of starts.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { intruder, readFound } from './intruder.js';
import { ask, backends, onMachines, openBackend, password, poll, releasesOr } from './machine.js';

const installer = fileURLToPath(new URL('scripts/install.mjs', projectRoot));
const service = 'dovegate.service';
const ship = 'dovegate-ship.service';
const path = 'dovegate-ship.path';
const probe = 'dovegate-probe.service';
const door = '/run/dovegate/ship.sock';
const audit = '/var/lib/dovegate/audit';
const limitMs = 60_000;

const withoutReceivers = `version: 1
listeners:
  support: { systemd: support, policy: support }
  own: { unix: /run/dovegate/own.sock, policy: leads }
${backends}policies:
  support: { users: ["*"], allow: [quota get], on_request: [{ command: mailbox list }] }
  leads: { users: ["*"], allow: [quota get], approve: [support] }
persons: { anna: { users: [anna] } }
state: /var/lib/dovegate
audit:
  directory: ${audit}
  reserve: 4KiB
  sign_key: /etc/dovegate/sign.key
admin:
  unix: /run/dovegate/admin.sock
  page: { unix: /run/dovegate/page.sock, people: { anna: { user: anna, role: operate } } }
`;

/** With the files of receivers in a folder. */
function withReceivers(folder: string): string {
  return `${withoutReceivers.replace(
    /^admin:/m,
    `  ship:
    - syslog: 127.0.0.1:6514
      ca: ${folder}/logs-ca.pem
      certificate: ${folder}/gate.pem
      key: ${folder}/gate.key
admin:`,
  )}notices:
  hook: { webhook: "http://127.0.0.1:8080/hook", secret_file: ${folder}/hook }
`;
}

/** Takes records by TLS from who shows a certificate of the authority, and notices by HTTP; both are kept in the test's folder. */
const receivers = `
import { appendFileSync, readFileSync } from 'node:fs';
import { createServer as http } from 'node:http';
import { createServer as tls } from 'node:tls';
const file = (name) => readFileSync('/mnt/test/' + name);
tls({ cert: file('logs.pem'), key: file('logs.key'), ca: file('ca.pem'), requestCert: true }, (socket) => {
  socket.on('data', (data) => appendFileSync('/mnt/test/records', data)).on('error', () => undefined);
}).listen(6514, '127.0.0.1');
http((request, response) => {
  request.on('data', (data) => appendFileSync('/mnt/test/notices', data + '\\n')).on('end', () => response.end());
}).listen(8080, '127.0.0.1');
`;

/** Runs in the place of ship. */
const program = intruder({
  door,
  lines: 1,
  tries: `
// The one that runs in its place has the stream.
const { status, all: answer } = await call('GET', '/receivers');
const { head: { journal } } = JSON.parse(answer.split('\\n')[0]);
const claims = { version: '0', journal, sinks: [], notices: [], certificates: [] };
const hash = '0'.repeat(64);
const sink = { name: '127.0.0.1:6514', state: 'connected', sentSeq: 1 };
const as = { person: 'anna', role: 'operate', generation: 1 };
const first = { receivers: status };
const more = {
  'shipped: nothing': ['POST', '/shipped', claims],
  'shipped: of another journal': ['POST', '/shipped', { ...claims, journal: 'x' }],
  'shipped: what the journal does not have': ['POST', '/shipped', { ...claims, sinks: [{ ...sink, sentSeq: 1e9 }] }],
  'shipped: a record of no such hash': ['POST', '/shipped', { ...claims, sinks: [{ ...sink, safe: { segment: 1, bytes: 1, seq: 1, hash } }] }],
  'page: settings': ['GET', '/settings'],
  'page: drain': ['POST', '/operate', { as, action: { kind: 'drain', backend: 'mail1' }, from: [] }],
  'page: a text to sign': ['POST', '/sign', { as, head: 'any', text: 'any' }],
  'page: a record': ['POST', '/record', { as, action: 'audit-search', from: [], args: [], rows: 0 }],
};
`,
});

onMachines('ship', releasesOr('bookworm trixie'), {}, async (t, machine) => {
  const backend = await openBackend(t, machine);
  const lines = async (...command: string[]): Promise<string[]> =>
    (await machine.run(...command)).split('\n').filter((line) => line !== '');
  const configure = async (text: string): Promise<void> => {
    machine.write('/etc/dovegate/dovegate.yaml', text);
    const reloaded = await machine.try('dovegate', 'reload');
    assert.equal(reloaded.exit, 0, reloaded.text);
  };
  const kept = (name: string): string => {
    const file = join(machine.folder, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  };
  const seqsIn = (text: string): Set<string> =>
    new Set([...text.matchAll(/"seq":(\d+)/g)].map(([, seq = '']) => seq));
  const ofJournal = (): string =>
    readdirSync(machine.path(audit))
      .filter((name) => name.endsWith('.jsonl'))
      .map((name) => readFileSync(machine.path(`${audit}/${name}`), 'utf8'))
      .join('');
  /** Each record that is on disk now is at the receiver. */
  const arrived = async (): Promise<void> => {
    const wanted = seqsIn(ofJournal());
    assert.ok(wanted.size > 0);
    let missing: string[] = [];
    let log = '';
    await poll(
      () => `${log}the receiver lacks ${missing.length} of ${wanted.size}: ${missing.slice(0, 5).join()}`,
      limitMs,
      async () => {
        const there = seqsIn(kept('records'));
        missing = [...wanted].filter((seq) => !there.has(seq));
        if (missing.length === 0) return true;
        log = await machine.run('journalctl', '-q', '-o', 'cat', '-n', '30', '-u', ship, '-u', 'receivers');
        return undefined;
      },
    );
  };
  const starts = async (): Promise<number> => {
    const log = await machine.run('journalctl', '-q', '-o', 'cat', '-u', ship);
    return log.split('\n').filter((line) => line.includes('asks at')).length;
  };
  const askMany = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left -= 1)
      assert.equal(await ask(machine, 'support', 'quota', 'get'), '+');
  };

  await t.test('installed: verified, exposed at most 1.5; without a receiver it does not run', async () => {
    const args = [installer, 'install', '--destdir', machine.path('/'), '--node', '/usr/bin/node'];
    assert.equal((await runProgram(process.execPath, args)).exit, 0);
    await machine.run('systemd-sysusers', 'dovegate.conf');
    await machine.run('systemd-tmpfiles', '--create', 'dovegate.conf');
    await machine.run('groupadd', 'support');
    await machine.run('useradd', '--user-group', 'anna');
    machine.write('/etc/dovegate/credentials/mail1', `${password}\n`);
    await machine.run('dovegate', 'audit', 'keygen', '--out', '/etc/dovegate/sign.key');
    await machine.run('chown', 'dovegate:', '/etc/dovegate/sign.key');
    machine.write('/etc/dovegate/dovegate.yaml', withoutReceivers);
    await machine.run('systemctl', 'daemon-reload');
    const verified = await machine.try('systemd-analyze', 'verify', ship, path);
    assert.deepEqual([verified.exit, verified.text], [0, '']);
    const rated = await machine.try('systemd-analyze', 'security', '--no-pager', '--threshold=15', ship);
    t.diagnostic(/Overall exposure.*$/m.exec(rated.text)?.[0] ?? rated.text);
    assert.equal(rated.exit, 0, rated.text);
    await machine.run('systemctl', 'start', 'dovegate@support.socket', service);
    assert.equal(await machine.property(path, 'ActiveState'), 'active');
    assert.equal(await machine.property(ship, 'ActiveState'), 'inactive');
    assert.deepEqual(await lines('find', '/run/dovegate', '-name', 'ship.sock'), []);
    assert.match(await machine.run('stat', '-c', '%U %G %a', audit), /^dovegate dovegate-journal 750$/m);
  });

  await t.test('files in the wrong place: check prints the commands that mend it', async () => {
    const authority = makeAuthority({ name: 'receivers of the test' });
    const there = authority.issue({ names: ['127.0.0.1'] });
    const own = authority.issue({ names: ['gate.example.com'], client: true });
    for (const [name, text] of [
      ['ca.pem', authority.certificatePem],
      ['logs.pem', there.certificatePem],
      ['logs.key', there.keyPem],
      ['receivers.mjs', receivers],
    ] as const)
      writeFileSync(join(machine.folder, name), text);
    // It outlives all services of the machine.
    const lasting = ['--unit=receivers', '-p', 'DefaultDependencies=no', '-p', 'SendSIGHUP=no'];
    await machine.run('systemd-run', ...lasting, '/usr/bin/node', '/mnt/test/receivers.mjs');
    machine.write('/etc/dovegate/logs-ca.pem', authority.certificatePem);
    machine.write('/etc/dovegate/gate.pem', own.certificatePem);
    machine.write('/etc/dovegate/gate.key', own.keyPem);
    machine.write('/etc/dovegate/hook', `whsec_${Buffer.alloc(32, 7).toString('base64')}\n`);
    for (const name of ['gate.key', 'hook']) chmodSync(machine.path(`/etc/dovegate/${name}`), 0o600);
    machine.write('/etc/dovegate/dovegate.yaml', withReceivers('/etc/dovegate'));
    const checked = await machine.try('dovegate', 'check');
    const found = [...checked.text.matchAll(/run: (install .+?); then write (\S+),/g)];
    assert.deepEqual(
      found.map(([, , copy = '']) => copy).toSorted(),
      ['gate.key', 'gate.pem', 'hook', 'logs-ca.pem'].map((name) => `/etc/dovegate/ship/${name}`),
      checked.text,
    );
    for (const [, command = ''] of found) await machine.run('sh', '-c', command);
    await machine.run(
      'rm',
      ...['gate.key', 'gate.pem', 'hook', 'logs-ca.pem'].map((name) => `/etc/dovegate/${name}`),
    );
    machine.write('/etc/dovegate/dovegate.yaml', withReceivers('/etc/dovegate/ship'));
    assert.match(await machine.run('dovegate', 'check'), /: no problems\n$/);
    const modes = await machine.sh("stat -c '%U %a' /etc/dovegate/ship/gate.key /etc/dovegate/ship/hook");
    assert.equal(modes, 'dovegate-ship 400\ndovegate-ship 400\n');
  });

  await t.test('a reload with the first receiver starts it; records and notices arrive', async () => {
    await askMany(3);
    await configure(withReceivers('/etc/dovegate/ship'));
    await machine.waitFor(ship, 'ActiveState', (state) => state === 'active');
    assert.equal(await machine.run('stat', '-c', '%U %G %a', door), 'dovegate dovegate-ship 660\n');
    await arrived();
    const words = '--socket /run/dovegate/support.sock --user alice@example.com --reason ticket';
    await machine.sh(`dovegate request ${words} -- mailbox list`);
    await poll('a notice', limitMs, async () => kept('notices').includes('access.requested') || undefined);
    const doctor = await machine.try('dovegate', 'doctor');
    assert.doesNotMatch(doctor.text, /^(bad|warning) +(ship|notices)/m);
    const status = await machine.run('dovegate', 'status');
    assert.match(status, /^hook +up/m);
  });

  await t.test('taken over: no secret of the daemon, no command, no other socket, two calls', async () => {
    const places = '/etc/dovegate /var/lib/dovegate /var/lib/dovegate-ship /run/dovegate /run/credentials';
    const found = (type: string) => lines('find', ...places.split(' '), '-type', type);
    const [files, folders, sockets] = [await found('f'), await found('d'), await found('s')];
    for (const each of [
      '/etc/dovegate/dovegate.yaml',
      '/etc/dovegate/credentials/mail1',
      '/etc/dovegate/sign.key',
      `${audit}/hmac.key`,
      '/run/dovegate/audit.ring',
      '/run/credentials/dovegate.service/secret_mail1',
    ])
      assert.ok(files.includes(each), each);
    for (const name of ['admin', 'own', 'support', 'door', 'ship'])
      assert.ok(sockets.includes(`/run/dovegate/${name}.sock`), name);
    folders.push('/', '/etc', '/usr', '/run', '/var/tmp', '/mnt/test');
    writeFileSync(join(machine.folder, 'paths.json'), JSON.stringify({ files, folders, sockets }));
    writeFileSync(join(machine.folder, 'probe.mjs'), program);
    // The unit as it is, but for what it starts.
    const unit = readFileSync(machine.path(`/usr/local/lib/systemd/system/${ship}`), 'utf8')
      .replace(/^ExecStart=.*$/m, 'ExecStart=/usr/bin/node /mnt/test/probe.mjs')
      .replace(/^Type=exec$/m, 'Type=oneshot')
      .replace(/^(Restart|WatchdogSec|ExecReload)=.*\n/gm, '');
    machine.write(`/etc/systemd/system/${probe}`, unit);
    await machine.run('systemctl', 'daemon-reload');
    await machine.run('systemctl', 'stop', path, ship);
    const before = backend.commands.length;
    await machine.run('systemctl', 'start', probe);
    const said = await machine.run('journalctl', '-q', '-o', 'cat', '-u', probe);
    const result = readFound(said);

    // The journal but for its key of digests; its own files.
    const strange = result.readable.filter(
      (each) =>
        !/^\/var\/lib\/dovegate\/audit\/(\d+\.jsonl(\.gz)?|(checkpoint|ring)\.json|key\.pub|policies\/\w+\.yaml)$/.test(
          each,
        ),
    );
    const state = strange.filter((each) => each.startsWith('/var/lib/dovegate-ship/'));
    assert.deepEqual(
      strange.filter((each) => !state.includes(each)).toSorted(),
      ['gate.key', 'gate.pem', 'hook', 'logs-ca.pem'].map((name) => `/etc/dovegate/ship/${name}`),
    );
    assert.ok(state.length > 0);
    assert.ok(result.readable.includes(`${audit}/00000001.jsonl`));
    const others = result.writable.filter((each) => !each.startsWith('/var/lib/dovegate-ship'));
    assert.deepEqual(others, ['/var/tmp']);
    assert.deepEqual(result.reached, [door]);
    assert.deepEqual(result.processes, []);
    // A backend wants a password first.
    assert.match(result.backend, /^VERSION\t.*\n-\n/);
    assert.doesNotMatch(result.backend, /^\+/m);
    assert.equal(backend.commands.length, before);
    assert.deepEqual(result.door, {
      receivers: 200,
      'shipped: nothing': 200,
      'shipped: of another journal': 400,
      // It is shown, and not believed (test/gate/daemon/shipped.test.ts).
      'shipped: what the journal does not have': 200,
      'shipped: a record of no such hash': 200,
      'page: settings': 404,
      'page: drain': 404,
      'page: a text to sign': 404,
      'page: a record': 404,
      'admin: status': 404,
      'admin: reload': 404,
      'admin: kill': 404,
      'a command': 404,
    });
    assert.ok(!result.answer.includes(password) && !result.answer.includes('policies'));
    // A claim of a record that the journal does not have is shown, and is not kept.
    assert.doesNotMatch((await machine.try('cat', '/var/lib/dovegate/shipped.json')).text, /0{64}/);
    assert.match(
      await machine.run('dovegate', 'audit', 'verify', '--key', `${audit}/key.pub`, audit),
      /passed/,
    );
    await machine.run('systemctl', 'start', path);
    await machine.waitFor(ship, 'ActiveState', (active) => active === 'active');
  });

  await t.test('killed, by SIGKILL and by its bound of memory: all arrives', async () => {
    const again = async (kill: () => Promise<unknown>): Promise<void> => {
      const pid = await machine.property(ship, 'MainPID');
      await Promise.all([askMany(50), kill(), askMany(50)]);
      await machine.waitFor(ship, 'MainPID', (now) => now !== '0' && now !== pid);
      await arrived();
    };
    await again(() => machine.run('systemctl', 'kill', '--signal=KILL', '--kill-whom=main', ship));
    const group = await machine.property(ship, 'ControlGroup');
    const limit = `/sys/fs/cgroup${group}/memory.max`;
    if ((await machine.try('test', '-e', limit)).exit !== 0)
      return t.diagnostic('this machine has no control of memory');
    assert.equal(await machine.run('cat', limit), `${256 << 20}\n`);
    await again(async () => {
      await machine.run('sh', '-c', `echo 4M > ${limit}`);
      await machine.waitFor(ship, 'Result', (result) => result === 'oom-kill');
    });
  });

  await t.test('kill -9 of the daemon: what it left arrives, too', async () => {
    const pid = await machine.property(service, 'MainPID');
    await askMany(20);
    await machine.run('systemctl', 'kill', '--signal=KILL', '--kill-whom=main', service);
    await machine.waitFor(service, 'MainPID', (now) => now !== '0' && now !== pid);
    await machine.waitFor(service, 'ActiveState', (state) => state === 'active');
    await askMany(20);
    await arrived();
  });

  await t.test('the last receiver goes: it ends with 0, and is not started in a loop', async () => {
    const before = await starts();
    await configure(withoutReceivers);
    await machine
      .waitFor(ship, 'ActiveState', (state) => state === 'inactive', limitMs)
      .catch(async (fault: unknown) => {
        const log = `journalctl -q -o short-precise -n 40 -u ${ship} -u ${service} -u ${path}`;
        throw new Error(await machine.sh(log), { cause: fault });
      });
    assert.deepEqual(
      [await machine.property(ship, 'Result'), await machine.property(ship, 'ExecMainStatus')],
      ['success', '0'],
    );
    await askMany(5);
    await configure(withoutReceivers);
    assert.equal(await machine.property(path, 'SubState'), 'waiting');
    assert.equal(await machine.property(ship, 'ActiveState'), 'inactive');
    assert.equal(await starts(), before);
    await configure(withReceivers('/etc/dovegate/ship'));
    await machine.waitFor(ship, 'ActiveState', (state) => state === 'active');
    await arrived();
    assert.equal(await starts(), before + 1);
  });

  await t.test('the machine stops: the last record arrives', async () => {
    const stop = /"event":"stop"/;
    assert.doesNotMatch(kept('records'), stop);
    await machine.try('systemctl', 'poweroff', '--no-block');
    await poll('the stop record', limitMs, async () => stop.test(kept('records')) || undefined);
  });
});
