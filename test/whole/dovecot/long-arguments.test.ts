// Goal: padding hides nothing. The real doveadm sends a changing command whose last argument is the one that counts, after so many invented
// ones that a record cannot hold them all. Phases: mailboxes, a set of messages in one long argument, users of `kick`. What must not
// happen: the change is done, and no search, no report and no `show` names it; an outcome that says nothing was done.
import assert from 'node:assert/strict';
import { runWarm } from '../../kit/gate/warm-program.js';
import { ends } from '../../kit/plain/program.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const invented = Array.from({ length: 60 }, (_, at) => `Invented-${at}-${'x'.repeat(110)}`);
const target = 'Payroll-2026';

interface Found extends Readonly<Record<'args' | 'users', readonly string[]>> {
  readonly command: string;
  readonly outcome: string;
}

/** What `audit search` finds. */
async function found(directory: string, ...words: readonly string[]): Promise<readonly Found[]> {
  const { stdout } = await runWarm(['audit', 'search', directory, ...words, '--json']);
  return stdout
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line): Found => JSON.parse(line));
}

onDovecot('a mailbox deleted after 60 invented ones is named everywhere', openRealDovecot, async (t, lab) => {
  const gateway = await openRealGateway(t, lab, {
    allow: ['mailbox create', 'mailbox delete', 'flags add', 'kick', 'auth cache flush'],
    more: 'server_commands: { kick: mail1, auth cache flush: mail1 }',
  });
  const create = await gateway.doveadm(['mailbox', 'create', '-u', alice, target, 'Payroll-2027']);
  assert.equal(create.exit, 0, create.stderr);
  const deleted = await gateway.doveadm(['mailbox', 'delete', '-u', alice, ...invented, target]);
  assert.notEqual(deleted.exit, 0);
  const left = await gateway.doveadm(['mailbox', 'list', '-u', alice, 'Payroll*']);
  assert.equal(left.stdout.toString(), 'Payroll-2027\n');
  // One that fails for its only mailbox did nothing.
  await gateway.doveadm(['mailbox', 'delete', '-u', alice, 'Never-there']);
  const uids = `${Array.from({ length: 1000 }, (_, at) => 900_001 + at).join(',')},1:*`;
  const query = ['mailbox', 'INBOX', 'uid', uids];
  const flagged = await gateway.doveadm(['flags', 'add', '-u', alice, '\\Flagged', ...query]);
  assert.equal(flagged.exit, 0, flagged.stderr);
  const people = Array.from({ length: 90 }, (_, at) => `invented-person-with-a-long-name-${at}@example.org`);
  const client = await gateway.client({ minor: 4 });
  for (const command of ['kick', 'auth cache flush']) {
    await client.ask({ user: '', fields: [command, ...people, 'zoe@example.org', ...people.slice(0, 5)] });
  }
  client.close();
  const admissions = await gateway.finish('admission');
  const id = String(admissions.find((record) => JSON.stringify(record).includes('Invented-0-'))?.['id']);
  const directory = gateway.daemon.path('audit');
  const rows = await found(directory, '--command', 'mailbox delete');
  assert.deepEqual(rows[0]?.args.slice(-61), [...invented, target]);
  assert.deepEqual(
    rows.map(({ outcome }) => outcome),
    ['partly', 'failed'],
  );
  for (const words of [
    ['search', directory, '--text', target, '--command', 'mailbox delete'],
    ['show', id, directory],
    ['export', directory, '--format', 'csv', '--command', 'mailbox delete'],
  ]) {
    const { stdout } = await runWarm(['audit', ...words]);
    assert.ok(String(stdout).includes(target), `${words.join(' ')}: ${String(stdout)}`);
  }
  const report = await runWarm(['audit', 'report', '--mailbox', alice, directory]);
  assert.match(String(report.stdout), /partly: some of it may have been done/);
  const [flags] = await found(directory, '--command', 'flags add');
  assert.ok(flags?.args.includes(uids), 'the set of messages is recorded whole');
  const named = await found(directory, '--user', 'zoe@example.org');
  assert.deepEqual(
    named.map(({ command, users }) => [command, users.includes('zoe@example.org')]),
    [
      ['kick', true],
      ['auth cache flush', true],
    ],
  );
  assert.deepEqual(await found(directory, '--user', 'nobody@example.org'), []);
  const words = ['--with-proof', '--key', `${directory}/key.pub`, '--command', 'mailbox delete'];
  const proof = await runWarm(['audit', 'export', directory, ...words]);
  assert.ok(/^\* .*"event":"arguments".*Payroll-2026/m.test(String(proof.stdout)), proof.text.slice(-300));
  await ends(0, runWarm(['audit', 'verify', directory, '--unsigned']));
});

onDovecot('the folder whose mails are read is named among 240 others', openRealDovecot, async (t, lab) => {
  const gateway = await openRealGateway(t, lab, { allow: ['mailbox create', 'save'] });
  await gateway.doveadm(['mailbox', 'create', '-u', alice, target]);
  const mail = 'Subject: salaries\r\n\r\nthe figures of this year\r\n';
  const saved = await gateway.doveadm(['save', '-u', alice, '-m', target], { stdin: mail });
  assert.equal(saved.exit, 0, saved.stderr);
  const folders = Array.from({ length: 240 }, (_, at) => `Invented-${at}`).toSpliced(170, 0, target);
  const query = (names: readonly string[]): string[] =>
    names.flatMap((name, at) => [...(at === 0 ? [] : ['or']), 'mailbox', name]);
  const fetched = await gateway.doveadm(['fetch', '-u', alice, 'text', ...query(folders)]);
  assert.match(String(fetched.stdout), /the figures of this year/);
  // Above 16 KiB of arguments nothing is read.
  const longer = folders.map((name) => `${name}-${'x'.repeat(60)}`).toSpliced(60, 1, target);
  const refused = await gateway.doveadm(['fetch', '-u', alice, 'text', ...query(longer)]);
  assert.equal(refused.exit, 64, refused.stderr);
  assert.equal(String(refused.stdout), '');
  // Without content there is no such limit, and the record may be cut.
  const plain = await gateway.doveadm(['fetch', '-u', alice, 'uid', ...query(longer)]);
  assert.match(String(plain.stdout), /uid: 1/);
  await gateway.finish();

  const directory = gateway.daemon.path('audit');
  const rows = await found(directory, '--text', target, '--command', 'fetch');
  const whole = rows.filter(({ args }) => args.includes(target));
  assert.deepEqual(
    whole.map(({ outcome, args }) => [outcome, args]),
    [['ok', ['--', 'text', ...query(folders)]]],
  );
  await ends(0, runWarm(['audit', 'verify', directory, '--unsigned']));
});
