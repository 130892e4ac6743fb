// The lab with the machine's own Dovecot: a raw client and the real doveadm meet the same server, and the counter counts.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openLab } from '../kit/dovecot-lab.js';
import { isRunning } from '../kit/program.js';
import { openRawClient, type RawClient } from '../kit/raw-client.js';
import { openTcpCounter } from '../kit/tcp-counter.js';
import { releasesAsked } from './real-gateway.js';

const [releaseAsked = 'native'] = releasesAsked();

void test('a private Dovecot, over every way in', { timeout: 20 * 60_000 }, async (t) => {
  const lab = await openLab(t, releaseAsked);
  if ('skip' in lab) return t.skip(lab.skip);
  const ca = readFileSync(lab.caFile, 'utf8');
  const auth = { password: lab.password };
  const counter = await openTcpCounter({ host: lab.host, port: lab.port });
  t.after(() => counter.close());

  const ways: [string, () => Promise<RawClient>][] = [
    ['UNIX, preauthenticated, no framing', () => openRawClient({ path: lab.unixPreauth, minor: 0 })],
    ['UNIX, preauthenticated, minor 4', () => openRawClient({ path: lab.unixPreauth, minor: 4 })],
    ['UNIX, PLAIN', () => openRawClient({ path: lab.unixAuth, minor: 1, auth })],
    ['TCP in clear', () => openRawClient({ port: counter.port, minor: 2, auth })],
    ['STARTTLS', () => openRawClient({ port: counter.port, minor: 2, auth, tls: 'starttls', ca })],
    [
      'STARTTLS by name',
      () =>
        openRawClient({ port: counter.port, minor: 2, auth, tls: 'starttls', ca, serverName: 'localhost' }),
    ],
    ['TLS', () => openRawClient({ port: lab.tlsPort, minor: 3, auth, tls: 'implicit', ca })],
  ];
  for (const [name, open] of ways) {
    const client = await open();
    const { cells, status } = await client.ask({ user: 'alice@example.org', fields: ['mailbox list'] });
    assert.deepEqual(
      [cells.toSorted(), status],
      [['Archive', 'Big', 'Drafts', 'INBOX', 'Ünïcode'], '+'],
      name,
    );
    client.close();
    await client.closed;
  }
  assert.equal(counter.connections, 3);
  assert.equal(counter.tlsHandshakes, 2);

  await assert.rejects(
    openRawClient({ port: lab.port, minor: 2, auth: { password: 'wrong' } }),
    /PLAIN was answered with -/,
  );

  const client = await openRawClient({ path: lab.unixPreauth, minor: 2 });
  const failed = await client.ask({ user: 'nouser@example.org', fields: ['quota get'] });
  assert.equal(failed.status, '-NOUSER');
  assert.deepEqual(
    failed.logs.map(({ type }) => type),
    ['error'],
  );
  client.close();

  const big = await openRawClient({ path: lab.unixPreauth, minor: 2 });
  const mail = await big.ask({ user: 'alice@example.org', fields: ['fetch', 'text', 'mailbox', 'Big'] });
  const [text = ''] = mail.cells;
  assert.equal(mail.status, '+');
  assert.ok(text.length > 5 * 1024 * 1024);
  assert.ok(text.includes('\t\t\tcolumn\tcolumn') && text.includes('\0\x01\x02'));
  big.close();

  const direct = await lab.doveadm(['-f', 'tab', 'mailbox', 'status', '-u', 'alice', 'messages', 'INBOX']);
  assert.notEqual(direct.exit, 0); // users have a domain
  const args = ['-f', 'tab', 'quota', 'get', '-u', 'alice@example.org'];
  const own = await lab.doveadm(args);
  const remote = await lab.doveadm([...args, '-S', lab.inRoot(lab.unixPreauth)]);
  assert.deepEqual([own.exit, own.stderr], [0, '']);
  assert.deepEqual(remote, own);

  await lab.writeExtraConf('doveadm_password = changed\n');
  await assert.rejects(openRawClient({ port: lab.port, minor: 2, auth }), /PLAIN was answered with -/);
  await lab.stop();
  await assert.rejects(openRawClient({ port: lab.port, minor: 2, auth }), /ECONNREFUSED/);
});

void test('nothing of a lab is left', async (t) => {
  const hooks: (() => void | Promise<void>)[] = [];
  const lab = await openLab({ after: (run) => void hooks.push(run) }, releaseAsked, { users: false });
  if ('skip' in lab) return t.skip(lab.skip);
  const pid = Number(readFileSync(`${lab.folder}/run/master.pid`, 'utf8'));
  assert.ok(isRunning(pid));
  for (const hook of hooks) await hook();
  assert.equal(existsSync(lab.folder), false);
  assert.equal(isRunning(pid), false);
});
