// Goal: a second Dovecot synchronises a mailbox with the first through the daemon, where a rule grants that, and nowhere else.
// Phases, for each release asked for: refused by default and in observe mode; granted: there and back, until both sides have the same mails; the connection is
// nobody else's afterwards. What must not happen: a mail that is lost or doubled, an upstream that serves another command after it.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { type Lab, openLab } from '../kit/dovecot-lab.js';
import type { Owner } from '../kit/folder.js';
import { listenHere } from '../kit/free-ports.js';
import type { ProgramResult } from '../kit/program.js';
import type { AuditLine } from '../kit/traces.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

onDovecot('dsync from a second one', openRealDovecot, async (t, lab) => {
  const second = await openLab(t, lab.release, { users: false });
  if ('skip' in second) return t.skip(second.skip);
  t.diagnostic(`Dovecot ${lab.version}`);
  await second.doveadm(['mailbox', 'create', '-u', alice, 'OfTheSecond']);
  for (const subject of ['one', 'two']) {
    await second.doveadm(['save', '-u', alice, '-m', 'OfTheSecond'], {
      stdin: `Subject: ${subject}\n\n.\n..\n\ttext\xe9\n`,
    });
  }

  for (const [name, mode] of [
    ['denied by default', ''],
    ['denied in observe mode too: nothing inside can be observed', 'observe'],
  ] as const)
    await t.test(name, async (sub) => {
      const policy = `\n    mode: ${mode}\n    users: ["*@example.org"]`;
      const gateway = await openRealGateway(sub, lab, mode === '' ? {} : { policy });
      const port = await openDoor(sub, gateway.daemon.path('support.sock'));
      const result = await second.doveadm(['sync', '-u', alice, `tcp:127.0.0.1:${port}`], {
        timeoutMs: 120_000,
      });
      assert.notEqual(result.exit, 0);
      const [completion] = completionsOf(await gateway.finish());
      assert.deepEqual([completion?.['command'], completion?.['outcome']], ['dsync-server', 'denied']);
      assert.equal(readdirSync(join(lab.folder, 'mail', alice, 'Maildir')).includes('.OfTheSecond'), false);
    });

  await t.test('granted: both sides have the same afterwards', async (sub) => {
    const gateway = await openRealGateway(sub, lab, {
      allow: ['{ command: dsync-server, where: { replicator-notify: any } }'],
    });
    const port = await openDoor(sub, gateway.daemon.path('support.sock'));
    // Mailbox by mailbox: two INBOXes that know nothing of each other never come to an end, also without us.
    for (const mailbox of ['OfTheSecond', 'Archive', 'Big', 'OfTheSecond']) {
      const sync = ['sync', '-u', alice, '-m', mailbox, `tcp:127.0.0.1:${port}`];
      const result: ProgramResult = await second.doveadm(sync, { timeoutMs: 120_000 });
      assert.equal(result.exit, 0, result.text);
      assert.deepEqual(mailsOf(second, mailbox), mailsOf(lab, mailbox));
    }
    assert.deepEqual(
      ['OfTheSecond', 'Big'].map((mailbox) => mailsOf(lab, mailbox).length),
      [2, 1],
    );
    assert.equal((await gateway.doveadm(['quota', 'get', '-u', alice])).exit, 0);
    const records = await gateway.finish();
    const done = completionsOf(records).filter((record) => record['command'] === 'dsync-server');
    for (const record of done) {
      sub.diagnostic(JSON.stringify(record));
      assert.deepEqual([record['outcome'], record['status'], record['sent']], ['ok', '+', true]);
      assert.ok(Number(record['bytes_in']) > 1000 && Number(record['bytes_out']) > 1000);
      assert.match(JSON.stringify(record['input']), /^\{"bytes":\d{3,}\}$/);
    }
    const upstreams = completionsOf(records).map((record) => record['upstream']);
    assert.equal(new Set(upstreams).size, upstreams.length, 'each has an upstream of its own');
  });
});

/** TCP in front of a UNIX socket, because `doveadm sync` goes to `tcp:HOST:PORT`. */
async function openDoor(owner: Owner, path: string): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    const gate = net.connect({ path, allowHalfOpen: true });
    client.pipe(gate);
    gate.pipe(client);
    client.on('error', () => gate.destroy());
    gate.on('error', () => client.destroy());
  });
  owner.after(() => void server.close());
  return listenHere(server);
}

/** The texts of all mails of alice in a mailbox. */
function mailsOf(lab: Lab, mailbox: string): string[] {
  const folder = join(lab.folder, 'mail', alice, 'Maildir', `.${mailbox}`);
  return ['new', 'cur']
    .flatMap((state) => readdirSync(join(folder, state)).map((file) => join(folder, state, file)))
    .map((file) => createHash('sha256').update(readFileSync(file)).digest('hex'))
    .toSorted();
}

function completionsOf(lines: readonly AuditLine[]): Readonly<Record<string, unknown>>[] {
  return lines.map(({ record }) => record).filter((record) => record['event'] === 'completion');
}
