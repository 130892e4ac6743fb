// Goal: `dovegate send` logs in over TCP by what its command line, its environment and client.yaml say, as the drop-in does. Phases:
// STARTTLS and TLS from the first byte, each with a password and with a certificate; what is wrong, missing or without effect. What must
// not happen: a password that goes to a server whose certificate is not the right one, or in clear to another machine; an option that is
// ignored.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { authority, hash, openGate, password } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';

interface Case {
  readonly options: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly exit: number;
  readonly says?: RegExp;
}

const backup = authority.issue({ names: ['backup.example.com'], client: true });
const stranger = makeAuthority({ name: 'somebody else' });

for (const mode of ['starttls', 'implicit'] as const) {
  test(`send over TCP: ${mode}`, async (t) => {
    const accounts = `{ migrator: { password_hash: "${hash}", policy: support }, backup: { certificate_name: backup.example.com, policy: support } }`;
    const gate = await openGate(
      t,
      { tls: `{ mode: ${mode}, certificate: gate.crt, key: gate.key, client_ca: clients.crt }`, accounts },
      '',
      {
        'clients.crt': authority.certificatePem,
        'strangers.crt': stranger.certificatePem,
        'backup.crt': backup.certificatePem,
        'backup.key': backup.keyPem,
        password: `${password}\n`,
        'wrong-password': 'guess\n',
      },
    );
    const file = (name: string): string => gate.daemon.path(name);
    const at = `127.0.0.1:${gate.port}`;
    const client = (more: string): string => {
      writeFileSync(file('client.yaml'), `${more}\nca: clients.crt\ntls: ${mode}\n`);
      return file('client.yaml');
    };
    const ca = ['--ca', file('clients.crt')];
    const tls = mode === 'starttls' ? [] : ['--tls', mode];
    const to = ['--socket', at, ...ca, ...tls];
    const asMigrator = ['--account', 'migrator', '--password-file', file('password')];
    const asBackup = [
      '--account',
      'backup',
      '--certificate',
      file('backup.crt'),
      '--key',
      file('backup.key'),
    ];
    const none = { DOVEADM_SOCKET: undefined, DOVEGATE_CLIENT_CONFIG: undefined };
    const cases: Readonly<Record<string, Case>> = {
      'a password': { options: [...to, ...asMigrator], exit: 0 },
      'a certificate': { options: [...to, ...asBackup], exit: 0 },
      'another authority': {
        options: ['--socket', at, ...tls, '--ca', file('strangers.crt'), ...asMigrator],
        exit: 75,
        says: /certificate/,
      },
      'the authorities of the system': { options: ['--socket', at, ...tls, ...asMigrator], exit: 75 },
      'another password': {
        options: [...to, '--account', 'migrator', '--password-file', file('wrong-password')],
        exit: 75,
        says: /refused the user or the password \(account migrator, password of \S+wrong-password\): .*; ask the operators of the server/,
      },
      'no account': {
        options: to,
        exit: 75,
        says: /asks for a password \(--account NAME --password-file FILE\)/,
      },
      'a password file that is missing': {
        options: [...to, '--account', 'migrator', '--password-file', file('gone')],
        exit: 78,
        says: /password file cannot be read: \S+gone: ENOENT/,
      },
      'authorities that are missing': {
        options: ['--socket', at, '--ca', file('gone'), ...asMigrator],
        exit: 78,
        says: /authorities cannot be read: \S+gone: there is no such file/,
      },
      'a certificate without its key': {
        options: [...to, ...asBackup.slice(0, 4)],
        exit: 64,
        says: /needs its key/,
      },
      'an account without a proof': {
        options: [...to, '--account', 'migrator'],
        exit: 64,
        says: /needs a password/,
      },
      'no TLS, where the server wants it': {
        options: ['--socket', at, '--tls', 'off', ...asMigrator],
        exit: 75,
        says:
          mode === 'starttls' ? /or the server wants TLS first: try --tls starttls/ : /try --tls implicit/,
      },
      'no TLS to another machine': {
        options: ['--socket', '192.0.2.1:24245', '--tls', 'off', ...asMigrator],
        exit: 64,
        says: /loopback only/,
      },
      'an account at a UNIX socket': {
        options: ['--socket', file('s'), ...asMigrator],
        exit: 64,
        says: /HOST:PORT/,
      },
      'no place': { options: asMigrator, env: none, exit: 64, says: /no socket: give one with --socket/ },
      'a place of the environment': {
        options: [...ca, ...tls, ...asMigrator],
        env: { DOVEADM_SOCKET: at },
        exit: 0,
      },
      'a client.yaml that is missing': {
        options: asMigrator,
        env: { ...none, DOVEGATE_CLIENT_CONFIG: file('none.yaml') },
        exit: 78,
        says: /none\.yaml cannot be read \(named by DOVEGATE_CLIENT_CONFIG\): there is no such file/,
      },
    };
    const told: string[] = [];
    const run = async (what: string, { options, env = {}, exit, says }: Case): Promise<void> => {
      const words = ['send', ...options, '--user', 'alice@example.org', '--', 'quota', 'get'];
      const ended = await runWarm(words, { env: { ...none, ...env } });
      if (ended.exit !== exit || says?.test(ended.stderr) === false || ended.text.includes(password))
        told.push(`${what}: exit ${ended.exit}: ${ended.stderr}`);
    };
    for (const [what, each] of Object.entries(cases)) await run(what, each);

    const settings = `address: ${at}\naccount: migrator\npassword_file: password`;
    const env = { DOVEGATE_CLIENT_CONFIG: client(settings) };
    await run('client.yaml', { options: [], env, exit: 0 });
    await run('client.yaml, and the command line', { options: asBackup, env, exit: 0 });
    // The password of one account is not tried for another.
    await run('client.yaml for somebody else', { options: ['--account', 'backup'], env, exit: 64 });
    assert.deepEqual(told, []);

    await gate.daemon.stop();
    const admissions = gate.daemon.audit().filter(({ record }) => record['event'] === 'admission');
    assert.deepEqual(
      admissions.map(({ record }) => record['principal']),
      ['migrator@jobs', 'backup@jobs', 'migrator@jobs', 'migrator@jobs', 'backup@jobs'],
    );
    assert.ok(!readFileSync(join(gate.daemon.folder, 'client.yaml'), 'utf8').includes(password));
  });
}
