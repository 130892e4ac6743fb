// Goal: the installed daemon as a user of its own, who may do nothing, asks a real Dovecot's passdb for routes and its userdb for aliases,
// over the socket that README has people set up. Phases: somebody whom the passdb knows, an alias of somebody who is excepted, a stranger,
// a socket of somebody else. What must not happen: a command that goes anywhere without an answer, any right that this needs beyond that
// socket.

import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDaemon } from '../../kit/gate/daemon.js';
import { runProgram } from '../../kit/plain/program.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { projectRoot } from '../../kit/plain/root.js';
import { backendPassword, onDovecot, openBareDovecot } from './real-gateway.js';

const nobody = 65_534;
const pat = 'pat@example.org';
const boss = 'boss@example.org';
const victim = 'victim@example.org';

const listeners = `service auth {
  unix_listener dovegate-userdb {
    mode = 0600
    user = nobody
  }
  unix_listener other-userdb {
    mode = 0600
    user = root
  }
}
`;

onDovecot('asked by an unprivileged daemon', openBareDovecot, async (t, lab) => {
  const place = `nologin=y host=127.0.0.1 port=${lab.port}`;
  const entries = [`${pat}:{plain}pw::::::${place}`, `${boss}:{plain}pw::::::userdb_user=${victim} ${place}`];
  appendFileSync(join(lab.folder, 'passwd'), `${entries.join('\n')}\n`);
  await lab.writeExtraConf(`doveadm_password = ${backendPassword}\n${listeners}`);

  // Where the checkout lies, nobody may read.
  const folder = mkdtempSync(join(lab.folder, 'gate-'));
  const destination = join(lab.folder, 'installed');
  const installer = fileURLToPath(new URL('scripts/install.mjs', projectRoot));
  const installed = await runProgram(process.execPath, [installer, 'install', '--destdir', destination]);
  assert.equal(installed.exit, 0, installed.text);
  chmodSync(destination, 0o755);
  const become = `chown -R ${nobody}:${nobody} . && exec setpriv --reuid ${nobody} --regid ${nobody} --clear-groups "$@"`;

  const daemon = await startDaemon(t, {
    folder,
    program: join(destination, 'usr/local/lib/dovegate/dist/main.js'),
    launcher: ['sh', '-c', become, 'sh'],
    config: `version: 1
listeners: { support: { unix: support.sock, policy: support } }
mail_users: { resolve: ${join(lab.folder, 'run', 'dovegate-userdb')} }
backends:
  mail1:
    address: 127.0.0.1:${lab.port}
    tls: starttls
    ca: ca.pem
    server_name: localhost
    password_file: password
    shared_namespaces: []
routes:
  - { users: ["other@example.org"], passdb: ${join(lab.folder, 'run', 'other-userdb')} }
  - { users: ["*"], passdb: ${join(lab.folder, 'run', 'dovegate-userdb')} }
policies:
  support: { users: ["*@example.org"], except: ["${victim}"], allow: [quota get] }
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB }
`,
    files: { password: `${backendPassword}\n`, 'ca.pem': readFileSync(lab.caFile, 'utf8') },
  });
  const status = readFileSync(`/proc/${daemon.pid}/status`, 'utf8');
  assert.match(status, new RegExp(`^Uid:(\\t${nobody}){4}$`, 'm'));
  assert.match(status, /^CapEff:\t0+$/m);

  const client = await openRawClient({
    path: daemon.path('support.sock'),
    minor: 2,
    timeoutMs: 20_000,
    owner: t,
  });
  const answers: string[] = [];
  for (const user of [pat, boss, 'nouser@example.org', 'other@example.org']) {
    answers.push((await client.ask({ user, fields: ['quota get'] })).status);
  }
  assert.deepEqual(answers, ['+', '-NOPERM', '-TEMPFAIL', '-TEMPFAIL']);
  client.close();
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  const ended = daemon.audit().flatMap(({ record }) => (record['event'] === 'completion' ? [record] : []));
  assert.deepEqual(
    ended.map((record) => [record['user'], record['backend'], record['outcome'], record['error']]),
    [
      [pat, 'mail1', 'ok', undefined],
      [boss, undefined, 'denied', undefined],
      ['nouser@example.org', undefined, 'failed', 'no-route'],
      ['other@example.org', undefined, 'failed', 'lookup-dial-refused'],
    ],
  );
});
