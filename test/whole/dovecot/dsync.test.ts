// Goal: a second Dovecot synchronises a mailbox with the first through the daemon, where a rule grants that, and nowhere else.
// Phases, for each release asked for: refused by default and in observe mode; granted: there and back, until both sides have the
// same mails; the connection is nobody else's afterwards. The replicator of 2.3 replicates with a gate in front of both sides, as
// without. What must not happen: a mail that is lost or doubled, an upstream that serves another command after it.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { type Lab, openLab } from '../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../kit/plain/folder.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import type { ProgramResult } from '../../kit/plain/program.js';
import { ends } from '../../kit/plain/program.js';
import { until } from '../../kit/plain/until.js';
import { readPage } from '../cli/docs-page.js';
import { fencesOf } from '../cli/docs-steps.js';
import {
  alice,
  onDovecot,
  openBareDovecot,
  openRealDovecot,
  openRealGateway,
  passwordSetting,
  type RealGateway,
} from './real-gateway.js';

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
      const { port } = await openDoor(sub, gateway.daemon.path('support.sock'));
      const result = await second.doveadm(['sync', '-u', alice, `tcp:127.0.0.1:${port}`], {
        timeoutMs: 120_000,
      });
      assert.notEqual(result.exit, 0);
      const [completion] = await gateway.finish('completion');
      assert.deepEqual([completion?.['command'], completion?.['outcome']], ['dsync-server', 'denied']);
      assert.equal(readdirSync(join(lab.folder, 'mail', alice, 'Maildir')).includes('.OfTheSecond'), false);
    });

  await t.test('granted: both sides have the same afterwards', async (sub) => {
    const gateway = await openRealGateway(sub, lab, {
      allow: ['{ command: dsync-server, where: { replicator-notify: any } }'],
    });
    const { port } = await openDoor(sub, gateway.daemon.path('support.sock'));
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
    await ends(0, gateway.doveadm(['quota', 'get', '-u', alice]));
    const completions = await gateway.finish('completion');
    const done = completions.filter(({ command }) => command === 'dsync-server');
    for (const record of done) {
      sub.diagnostic(JSON.stringify(record));
      assert.deepEqual([record['outcome'], record['status'], record['sent']], ['ok', '+', true]);
      assert.ok(Number(record['bytes_in']) > 1000 && Number(record['bytes_out']) > 1000);
      assert.match(JSON.stringify(record['input']), /^\{"bytes":\d{3,}\}$/);
    }
    const upstreams = completions.map(({ upstream }) => upstream);
    assert.equal(new Set(upstreams).size, upstreams.length, 'each has an upstream of its own');
  });
});

onDovecot('the replicator of 2.3', openBareDovecot, async (t, first) => {
  if (first.series !== '2.3') return t.skip('Dovecot 2.4 has no replicator');
  const second = await openLab(t, first.release, { users: false });
  if ('skip' in second) return t.skip(second.skip);
  for (const lab of [first, second]) await lab.writeExtraConf(passwordSetting);
  // Nothing but the replicator and its dsync connects: the series of both backends is unknown until then.
  const ofFirst = await openRealGateway(t, first, { policy: replicatorPolicy() });
  const ofSecond = await openRealGateway(t, second, {
    allow: ['{ command: dsync-server, where: { replicator-notify: any } }'],
  });
  const atFirst = await openDoor(t, ofFirst.daemon.path('support.sock'), join(first.folder, 'door'));
  const atSecond = await openDoor(t, ofSecond.daemon.path('support.sock'));
  const passwd = readFileSync(join(first.folder, 'passwd'), 'utf8');
  for (const [subject, destination, socket] of [
    ['one', `127.0.0.1:${second.port}`, ''],
    [
      'two',
      `127.0.0.1:${atSecond.port}`,
      `doveadm_socket_path = ${first.inRoot(join(first.folder, 'door'))}\n`,
    ],
  ] as const) {
    writeFileSync(
      join(first.folder, 'passwd'),
      passwd.replace(/^alice.*$/m, (line) => `${line}userdb_mail_replica=tcp:${destination}`),
    );
    await first.writeExtraConf(`${passwordSetting}${socket}${replicating}`);
    await first.doveadm(['mailbox', 'create', '-u', alice, subject]);
    await first.doveadm(['save', '-u', alice, '-m', subject], { stdin: `Subject: ${subject}\n\ntext\n` });
    let looks = 0;
    const isReplicated = async (): Promise<boolean> => {
      looks += 1;
      // What is saved while it starts is not always told to it: it is asked again after some seconds.
      if (looks % 500 === 0) await first.doveadm(['replicator', 'replicate', alice]);
      return isThere(second, subject) && (await isSettled(first));
    };
    await until(isReplicated, `mail ${subject} is at the second one`, 120_000);
    assert.deepEqual(mailsOf(second, subject), mailsOf(first, subject));
    assert.equal(mailsOf(second, subject).length, 1);
  }
  await first.stop();
  for (const came of atFirst.came()) assert.match(came, replicatorBytes);
  for (const came of atSecond.came()) assert.ok(came.startsWith(dsyncBytes), came.slice(0, 200));
  const endsOf = async (gateway: RealGateway) =>
    (await gateway.finish('completion')).map(({ command, user, status, outcome }) =>
      [command, user, status, outcome].join(' '),
    );
  assert.deepEqual(new Set(await endsOf(ofSecond)), new Set([`dsync-server ${alice} + ok`]));
  // The others have no replica, which the server says, too.
  const [own, others] = [await endsOf(ofFirst), /^sync (?!alice)\S+ -NOTFOUND failed$/];
  assert.ok(own.includes(`sync ${alice} + ok`), own.join());
  assert.deepEqual(
    own.filter((end) => end !== `sync ${alice} + ok` && !others.test(end)),
    [],
  );
});

/** The one that docs/protocol-notes.md gives. */
function replicatorPolicy(): string {
  const fence = fencesOf(readPage('docs/protocol-notes.md')).find(({ text }) => text.includes('replicator:'));
  const { policies } = z
    .object({ policies: z.object({ replicator: z.unknown() }) })
    .parse(parse(fence?.text ?? ''));
  // JSON is YAML.
  return ` ${JSON.stringify(policies.replicator).replaceAll('example.com', 'example.org')}`;
}

/** Its options are the default of replication_dsync_parameters. It does not wait for the greeting. */
const replicatorBytes =
  /^VERSION\tdoveadm-server\t1\t0\n\t[^\t]+\tsync\t-d\t-N\t-l\t30\t-U\t(?:-f\t)?-s\t[A-Za-z0-9+/=]*\n$/;
const dsyncBytes = `VERSION\tdoveadm-server\t1\t2\n\t${alice}\tdsync-server\t-u${alice}\t-U\n`;

const replicating = `mail_plugins = quota acl notify replication
service aggregator {
  fifo_listener replication-notify-fifo {
    mode = 0666
  }
  unix_listener replication-notify {
    mode = 0666
  }
}
service replicator {
  process_min_avail = 1
  unix_listener replicator-doveadm {
    mode = 0600
  }
}
`;

/** Nothing is replicated any more; alice was without a failure, and the others have no replica. */
async function isSettled(lab: Lab): Promise<boolean> {
  const { text } = await lab.doveadm(['replicator', 'status', '*']);
  const users = text.split('\n').filter((line) => line.includes('@'));
  const connections = await lab.doveadm(['replicator', 'dsync-status']);
  return (
    users.every((line) => / none .* [-y] *$/.test(line) && line.startsWith(alice) === / - *$/.test(line)) &&
    !connections.text.includes('Waiting')
  );
}

function isThere(lab: Lab, mailbox: string): boolean {
  try {
    return mailsOf(lab, mailbox).length > 0;
  } catch {
    return false;
  }
}

/**
 * What connects to TCP, or to a socket, goes to a UNIX socket: `doveadm sync` goes to `tcp:HOST:PORT`. `came`: the bytes of each
 * client.
 */
async function openDoor(owner: Owner, path: string, at?: string) {
  const texts: string[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    const index = texts.push('') - 1;
    client.on('data', (bytes: Buffer) => {
      texts[index] += bytes.toString('latin1');
    });
    const gate = net.connect({ path, allowHalfOpen: true });
    client.pipe(gate);
    gate.pipe(client);
    client.on('error', () => gate.destroy());
    gate.on('error', () => client.destroy());
  });
  owner.after(() => void server.close());
  if (at === undefined) return { port: await listenHere(server), came: () => texts };
  await new Promise<void>((resolve) => {
    server.listen(at, resolve);
  });
  return { port: 0, came: () => texts };
}

/** The texts of all mails of alice in a mailbox. */
function mailsOf(lab: Lab, mailbox: string): string[] {
  const folder = join(lab.folder, 'mail', alice, 'Maildir', `.${mailbox}`);
  return ['new', 'cur']
    .flatMap((state) => readdirSync(join(folder, state)).map((file) => join(folder, state, file)))
    .map((file) => createHash('sha256').update(readFileSync(file)).digest('hex'))
    .toSorted();
}
