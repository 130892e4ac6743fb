// Goal: a command of the real doveadm leaves two records, however it ends. Phases: commands that are answered, refused, fail, carry a text,
// or are not read by the gate; a mask of users. What must not happen: a record of the session that says nothing new, a command whose
// records do not name the peer.
import assert from 'node:assert/strict';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const commands: readonly (readonly string[])[] = [
  ['quota', 'get', '-u', alice],
  ['mailbox', 'list', '-u', alice],
  ['fetch', '-u', alice, 'text', 'mailbox', 'INBOX', 'all'],
  ['mailbox', 'list', '-u', 'nobody@example.org'],
  ['mailbox', 'status', '-u', alice, 'messages', 'No such mailbox'],
  ['mailbox', 'delete', '-u', alice, 'INBOX'],
];

onDovecot('two records for a command of doveadm', openRealDovecot, async (t, lab) => {
  const gateway = await openRealGateway(t, lab);
  const { daemon } = gateway;
  for (const args of commands) await gateway.doveadm(args);
  await gateway.doveadm(['save', '-u', alice, '-m', 'Drafts'], { stdin: 'Subject: denied\n\ntext\n' });
  await daemon.stop();
  // Dovecot says why a command failed on the log channel.
  const lines = daemon
    .audit()
    .filter(({ record }) => record['session'] !== undefined && record['event'] !== 'log');
  const sessions = [...new Set(lines.map(({ record }) => record['session']))];
  const left = sessions.map((session) =>
    lines
      .filter(({ record }) => record['session'] === session)
      .map(({ record: { event, peer, reason } }) =>
        [event, peer === undefined ? '' : 'with peer', event === 'session-close' ? reason : '']
          .join(' ')
          .trim(),
      ),
  );
  assert.deepEqual(
    left,
    Array.from({ length: commands.length + 1 }, () => ['admission with peer', 'completion']),
  );
  const bytes = lines.reduce((sum, { record }) => sum + JSON.stringify(record).length + 1, 0);
  t.diagnostic(`${Math.round(bytes / left.length)} bytes a command`);
});

onDovecot('a doveadm of 2.3 lists a mask of users on its own machine', openRealDovecot, async (t, lab) => {
  if (lab.series !== '2.3') return t.skip('2.4 sends one command');
  const gateway = await openRealGateway(t, lab, { allow: ['{ command: expunge, where: { query: any } }'] });
  const users = async (...args: readonly string[]): Promise<unknown[]> => {
    const before = gateway.daemon.audit().length;
    await gateway.doveadm(args);
    const records = gateway.daemon.audit().slice(before);
    return records.flatMap(({ record }) => (record['event'] === 'admission' ? [record['user']] : []));
  };
  const words = ['mailbox', 'Nope', 'all'];
  assert.ok((await users('expunge', '-u', '*@example.org', ...words)).length > 2);
  // No auth service of Dovecot runs beside this client.
  const alone = ['-o', `base_dir=${lab.inRoot(gateway.daemon.path('nothing'))}`, 'expunge'];
  assert.deepEqual(await users(...alone, '-u', alice, ...words), [alice]);
  assert.deepEqual(await users(...alone, '-u', '*@example.org', ...words), []);
  const { exit, stderr } = await gateway.doveadm([...alone, '-u', '*@example.org', ...words]);
  assert.notEqual(exit, 0);
  assert.match(stderr, /userdb list: connect\(.*\/auth-userdb\) failed/);
});
