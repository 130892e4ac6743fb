// Goal: a `save` that is ended so that another principal gets its upstream is not stored. Phases, for each release asked for, over a UNIX
// socket (PACKET) and over TCP with TLS, on both sides of the daemon: a client sends its text steadily on the only upstream; another
// principal asks; the mailbox is listed. Then the same text is sent again, with its dot.
// What must not happen: a mail of the text that was ended, a record that says anything else.
import assert from 'node:assert/strict';
import { type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { hashPassword } from '../../../src/rules/identity/credentials.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import type { Daemon } from '../../kit/gate/daemon.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const mailbox = 'Ended';
const password = 'correct-horse';
const hash = await hashPassword(Buffer.from(password), 10);
const authority = makeAuthority({ name: 'listener authority' });
const issued = authority.issue({ names: ['localhost', '127.0.0.1'] });
const lead = `Subject: steady\r\n\r\n${'a line of the text\r\n'.repeat(70_000)}`;
const piece = 'a line of the text\r\n'.repeat(500);

/** How many mails are in the mailbox, as Dovecot lists them. */
async function stored(lab: Lab): Promise<number> {
  const { exit, stdout } = await lab.doveadm(['search', '-u', alice, 'mailbox', mailbox]);
  assert.equal(exit, 0);
  return String(stdout)
    .split('\n')
    .filter((line) => line !== '').length;
}

/** Until an exchange holds the upstream. */
async function untilLeased(daemon: Daemon): Promise<void> {
  for (;;) {
    const { body } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/metrics');
    if (body.includes('dovegate_upstreams{backend="mail1",state="leased"} 1')) return;
    await pause(20);
  }
}

/** Sends 100 KB/s of a text that has begun, until its reply is here. */
async function goOn(client: RawClient): Promise<string> {
  const timer = setInterval(() => void client.write(piece).catch(() => undefined), 100);
  try {
    return (await client.readReply()).status;
  } finally {
    clearInterval(timer);
  }
}

onDovecot('a save that is ended for others', openRealDovecot, async (t, lab) => {
  await lab.doveadm(['mailbox', 'create', '-u', alice, mailbox]);
  for (const way of ['unix', 'starttls'] as const) {
    await t.test(way === 'unix' ? 'a UNIX socket' : 'TCP with TLS', async (sub: TestContext) => {
      const [port = 0] = await freePorts(1);
      const gateway = await openRealGateway(sub, lab, {
        allow: ['save'],
        way,
        connections: 1,
        more: 'admin: { unix: admin.sock }',
        listeners: `  victims: { unix: victims.sock, mode: "0600", policy: support }
  jobs:
    tcp: "127.0.0.1:${port}"
    tls: { mode: starttls, certificate: gate.crt, key: gate.key }
    accounts: { mover: { password_hash: "${hash}", policy: support } }`,
        files: { 'gate.crt': issued.certificatePem, 'gate.key': issued.keyPem },
      });
      const open = (): Promise<RawClient> =>
        openRawClient({
          ...(way === 'unix'
            ? { path: gateway.daemon.path('support.sock') }
            : {
                host: '127.0.0.1',
                port,
                tls: 'starttls' as const,
                ca: authority.certificatePem,
                auth: { user: 'mover', password },
              }),
          minor: 2,
          timeoutMs: 60_000,
        });
      const mover = await open();
      sub.after(() => mover.close());
      mover.sendCommand({ user: alice, fields: ['save', '-m', mailbox] });
      await mover.write(lead);
      const ended = goOn(mover);
      const victim = await openRawClient({
        path: gateway.daemon.path('victims.sock'),
        minor: 2,
        timeoutMs: 60_000,
      });
      sub.after(() => victim.close());
      await untilLeased(gateway.daemon);
      assert.equal((await victim.ask({ user: alice, fields: ['quota get'] })).status, '+');
      assert.equal(await ended, '-TEMPFAIL');
      // Its dot comes after the end.
      void mover.write('\r\n.\r\n').catch(() => undefined);
      await mover.readEnd();
      assert.equal(await stored(lab), 0);

      const again = await open();
      sub.after(() => again.close());
      again.sendCommand({ user: alice, fields: ['save', '-m', mailbox] });
      await again.write(`${lead}\r\n.\r\n`);
      assert.equal((await again.readReply()).status, '+');
      again.close();
      assert.equal(await stored(lab), 1, 'what is stored is listed');
      await lab.doveadm(['expunge', '-u', alice, 'mailbox', mailbox, 'all']);

      const saves = (await gateway.finish())
        .map(({ record }) => record)
        .filter((record) => record['event'] === 'completion' && record['command'] === 'save');
      assert.deepEqual(
        saves.map(({ outcome, error, sent }) => [outcome, error, sent]),
        [
          ['aborted', 'over-share', true],
          ['ok', undefined, true],
        ],
      );
    });
  }
});
