// Goal: without `ca`, the authorities of the system's list count, as they are now, and no others. Phases: an authority that only that list
// has; the list changes while the daemon runs; clients of this package; no list at all. What must not happen: a server accepted because
// Node's own list has its authority, a list of the start that counts for ever, a silent change to another list.
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer as createWeb } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { createServer, type Server } from 'node:tls';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { runDovegate, startShip } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { authority as gateAuthority, hash, openGate, password } from '../../kit/gate/tcp-gate.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import type { RawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

const authority = makeAuthority({ name: 'an authority of this company' });
const other = makeAuthority({ name: 'another authority' });

/** A list of authorities in a file, with what makes programs use it as the system's. `extra`: what Node trusts beside its own list. */
function openList(owner: Owner, ...pems: readonly string[]) {
  const file = join(openFolder(owner), 'authorities.pem');
  const write = (...texts: readonly string[]): void => {
    writeFileSync(`${file}.new`, texts.join(''), { mode: 0o644 });
    renameSync(`${file}.new`, file);
  };
  write(...pems);
  const extra = join(openFolder(owner), 'node.pem');
  writeFileSync(extra, authority.certificatePem);
  return {
    file,
    write,
    env: { SSL_CERT_FILE: file },
    nodeTrusts: { SSL_CERT_FILE: file, NODE_EXTRA_CA_CERTS: extra },
  };
}

async function ask(client: RawClient): Promise<string> {
  return (await client.ask({ user: 'alice@example.org', fields: ['quota get'] })).status;
}

test('a backend: an authority that only the system has, and one that only Node has', async (t) => {
  const list = openList(t, other.certificatePem);
  const { daemon, client } = await openGateway(t, {
    authority,
    mail1: { ca: '' },
    env: list.nodeTrusts,
    more: 'limits: { queue_timeout: 2s }',
  });
  assert.equal(await ask(await client()), '-TEMPFAIL', 'only Node has it');
  const failed = await daemon.waitForLog(({ event }) => event === 'dial-failed', 'a failed dial');
  assert.match(String(failed['text']), /not in the system's list of authorities/);
  // Read again without a reload.
  list.write(other.certificatePem, authority.certificatePem);
  await until(async () => (await ask(await client())) === '+', 'served');
  await daemon.stop();
});

test('a file of `ca` that holds no authority: nothing is trusted, whatever Node has', async (t) => {
  const { daemon, client } = await openGateway(t, {
    authority,
    mail1: { ca: 'none.pem' },
    files: { 'none.pem': '' },
    env: openList(t, other.certificatePem).nodeTrusts,
    more: 'limits: { queue_timeout: 2s }',
  });
  assert.equal(await ask(await client()), '-TEMPFAIL');
  const failed = await daemon.waitForLog(({ event }) => event === 'dial-failed', 'a failed dial');
  assert.match(String(failed['text']), /authority that is not in `ca`/);
  await daemon.stop();
});

test('a receiver of records: an authority that only the system has', async (t) => {
  const list = openList(t, authority.certificatePem);
  const { certificatePem: cert, keyPem: key } = authority.issue({ names: ['127.0.0.1'] });
  const receiver = createServer({ cert, key });
  let connections = 0;
  receiver.on('secureConnection', (socket) => {
    socket.on('error', () => undefined).resume();
    connections += 1;
  });
  const port = await listen(t, receiver);
  const audit = `{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, ship: [{ syslog: "127.0.0.1:${port}" }] }`;
  const { daemon } = await openGateway(t, { audit });
  const ship = await startShip(t, daemon, { env: list.env });
  await until(() => connections > 0, 'the receiver is reached');
  await ship.stop();
  await daemon.stop();
});

test('send and the client library, over the doveadm protocol and over HTTP', async (t) => {
  const list = openList(t, gateAuthority.certificatePem, authority.certificatePem);
  const strangers = openList(t, other.certificatePem);
  const gate = await openGate(
    t,
    {
      tls: '{ mode: starttls, certificate: gate.crt, key: gate.key }',
      accounts: `{ migrator: { password_hash: "${hash}", policy: support } }`,
    },
    '',
    { password: `${password}\n` },
  );
  const account = ['--account', 'migrator', '--password-file', gate.daemon.path('password')];
  const send = (env: Readonly<Record<string, string>>) =>
    runDovegate(
      [
        'send',
        '--socket',
        `127.0.0.1:${gate.port}`,
        ...account,
        '--user',
        'alice@example.org',
        '--',
        'quota',
        'get',
      ],
      { env },
    );
  const sent = await send(list.env);
  assert.equal(sent.exit, 0, sent.text);
  const refused = await send(strangers.nodeTrusts);
  assert.equal(refused.exit, 75, refused.text);

  const { certificatePem: cert, keyPem: key } = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const row = { root: 'User quota', type: 'STORAGE', value: '1', limit: '2', percent: '0' };
  const web = createWeb({ cert, key }, (request, response) => {
    request.resume().once('end', () => response.end(JSON.stringify([['doveadmResponse', [row], '1']])));
  });
  const url = `https://localhost:${await listen(t, web)}`;
  const keyFile = join(openFolder(t), 'key');
  writeFileSync(keyFile, 'dvg_abcdefgh_notforthelogs\n', { mode: 0o600 });
  const overHttp = (env: Readonly<Record<string, string>>) =>
    runDovegate(
      ['send', '--http', url, '--key-file', keyFile, '--user', 'alice@example.org', '--', 'quota', 'get'],
      { env },
    );
  const asked = await overHttp(list.env);
  assert.equal(asked.exit, 0, asked.text);
  const turnedAway = await overHttp(strangers.nodeTrusts);
  assert.equal(turnedAway.exit, 78, turnedAway.text);
});

test('no list: check and the dial say so, and nothing else is trusted instead', async (t) => {
  const list = openList(t, authority.certificatePem);
  const { daemon, client } = await openGateway(t, {
    authority,
    mail1: { ca: '' },
    env: list.nodeTrusts,
    more: 'limits: { queue_timeout: 2s }',
  });
  renameSync(list.file, `${list.file}.gone`);
  assert.equal(await ask(await client()), '-TEMPFAIL');
  const failed = await daemon.waitForLog(({ event }) => event === 'dial-failed', 'a failed dial');
  assert.match(String(failed['text']), /the system's list of authorities \S+ cannot be read/);
  const checked = await runDovegate(['check', '--config', daemon.configFile], { env: list.nodeTrusts });
  assert.equal(checked.exit, 78, checked.text);
  assert.match(checked.text, /authorities\.pem cannot be read/);
  await daemon.stop();

  renameSync(`${list.file}.gone`, list.file);
  const again = await runDovegate(['check', '--verbose', '--config', daemon.configFile], { env: list.env });
  assert.equal(again.exit, 0, again.text);
  assert.ok(again.text.includes(`authorities: the system's list, ${list.file}`), again.text);
});

function listen(owner: Owner, server: Server): Promise<number> {
  owner.after(() => void server.close());
  return listenHere(server);
}
