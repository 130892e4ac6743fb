// Goal: a dry run against a real Dovecot. Phases: without dovegate, where the server knows no such command; through dovegate, where the
// mails that it says are those that a search of the release's own doveadm finds; of all users and two backends, where the release has that.
// What must not happen: a mail, flag or mailbox that is another one afterwards.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../../../src/client/connect.js';
import { builtProgram, runDovegate, startDaemon } from '../../kit/gate/daemon.js';
import { recordsOf } from '../../kit/gate/gateway.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { ends, runProgram } from '../../kit/plain/program.js';
import {
  alice,
  backendPassword,
  bob,
  mailsFound,
  onDovecot,
  openRealDovecot,
  victim,
} from './real-gateway.js';

const users = [alice, bob, victim];

const configOf = (lab: Lab): string => `version: 1
listeners: { support: { unix: support.sock, mode: "0600", policy: support } }
backends:
  mail1: { address: "unix:${lab.unixAuth}", tls: off, password_file: password, shared_namespaces: [] }
  mail2: { address: "127.0.0.1:${lab.port}", tls: off, password_file: password, shared_namespaces: [] }
routes: [{ users: ["${alice}"], backend: mail1 }, { users: ["*"], spread: [mail1, mail2] }]
policies:
  support:
    users: ["*"]
    allow:
      - { command: expunge, where: { query: any }, content: true, all_users: true }
      - { command: fetch, content: true }
      - { command: move, where: { source-user: any } }
      - { command: copy, where: { source-user: any } }
      - search
      - flags add
      - quota get
state: state
audit: { directory: audit, memory: audit.ring, memory_size: 1MiB, reserve: 4KiB }
`;

/** All that a command of the tests could change, as the release itself sees it. */
async function snapshot(lab: Lab): Promise<string> {
  let text = '';
  for (const user of users) {
    const fields = 'mailbox-guid uid flags modseq';
    text += (await lab.doveadm(['-f', 'tab', 'fetch', '-u', user, fields, 'all'])).stdout.toString();
    text += (await lab.doveadm(['mailbox', 'list', '-u', user])).stdout.toString();
  }
  assert.ok(text.split('\n').length > 10);
  return text;
}

const text = ['mailbox', 'INBOX', 'text', 'hello'];
const inbox = ['mailbox', 'INBOX', 'all'];
// [the command, the query in it, whose mails it takes]
const tried: readonly (readonly [readonly string[], readonly string[], string])[] = [
  [['expunge'], inbox, alice],
  [['expunge'], text, alice],
  [['expunge'], ['mailbox', 'INBOX', '(', 'subject', 'first', 'or', 'subject', 'binary', ')'], alice],
  [['flags', 'add', '\\Seen'], ['all'], alice],
  [['copy', 'Archive'], inbox, alice],
  [['move', 'Archive'], inbox, alice],
  // The mails of another user, of whom there are less.
  [['move', 'Archive', 'user', bob], inbox, bob],
  [['fetch', 'text'], ['all'], alice],
  [['search'], ['mailbox', 'Big', 'larger', '1M'], alice],
];

onDovecot('dry runs: right counts, and nothing changes', openRealDovecot, async (t, lab) => {
  const link = join(lab.folder, 'doveadm');
  symlinkSync(builtProgram, link);
  const dropIn = (socket: string, words: readonly string[]) => {
    const env = { DOVEADM_SOCKET: socket, DOVEGATE_DRY_RUN: '1' };
    return runProgram(process.execPath, [link, ...words], { env });
  };
  const before = await snapshot(lab);

  // Without dovegate: the server takes it for a command that it does not have.
  const direct = ['--socket', lab.unixPreauth, '--user', alice, '--dry-run'];
  for (const { exit, stdout, text: said } of [
    await runDovegate(['send', ...direct, '--', 'expunge', ...inbox]),
    await runDovegate(['send', ...direct, '--', 'flags', 'add', '\\Deleted', 'all']),
    await dropIn(lab.unixPreauth, ['expunge', '-u', alice, ...inbox]),
  ]) {
    assert.ok(exit !== 0, said);
    assert.doesNotMatch(stdout.toString(), /allow/);
    t.diagnostic(`without dovegate: exit ${exit}: ${said.trim()}`);
  }
  assert.equal(await snapshot(lab), before);

  const daemon = await startDaemon(t, {
    folder: mkdtempSync(join(lab.folder, 'gate-')),
    config: configOf(lab),
    files: { password: `${backendPassword}\n`, 'ca.pem': readFileSync(lab.caFile, 'utf8') },
  });
  const socket = daemon.path('support.sock');
  const mailsIn = (out: string): string => /^mails\t(\d+)$/m.exec(out)?.[1] ?? `none in ${out}`;
  for (const [command, query, whose] of tried) {
    const words = [...command, ...query];
    const options = ['--socket', socket, '--user', alice, '--format', 'tab', '--dry-run'];
    const { exit, stdout, text: said } = await runDovegate(['send', ...options, '--', ...words]);
    assert.equal(exit, 0, said);
    const expected = await mailsFound(lab, query, whose);
    assert.ok(expected > 0, words.join(' '));
    assert.equal(mailsIn(stdout.toString()), String(expected), words.join(' '));
  }
  const dropped = await ends(0, dropIn(socket, ['-f', 'tab', 'expunge', '-u', alice, ...inbox]));
  assert.equal(mailsIn(dropped.stdout.toString()), String(await mailsFound(lab, inbox)));
  if (lab.series === '2.4') {
    await using session = await connect({ socket });
    // `expunge -A`, which neither `send` nor the drop-in sends as one command.
    const rows = await session.run({ name: 'expunge', args: ['-A', '--', ...inbox], dryRun: true });
    let expected = 0;
    for (const user of [...users, 'small@example.org']) expected += await mailsFound(lab, inbox, user);
    // Both backends are this one, so each mail is found twice.
    assert.equal(Number(rows.find(([what]) => String(what) === 'mails')?.[1]), expected * 2);
  }
  assert.equal(await snapshot(lab), before);
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  const commands = recordsOf(daemon, 'admission').map(({ command }) => String(command));
  assert.deepEqual([...new Set(commands)].toSorted(), ['dovegate dry-run', 'search']);
});
