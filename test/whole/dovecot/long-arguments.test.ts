// Goal: padding hides nothing. The real doveadm sends a changing command whose last argument is the one that counts, after so many invented
// ones that a record cannot hold them all. Phases: mailboxes, a set of messages in one long argument, users of `kick`. What must not
// happen: the change is done, and no search, no report and no `show` names it; an outcome that says nothing was done.
import assert from 'node:assert/strict';
import { runWarm } from '../../kit/gate/warm-program.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const invented = Array.from({ length: 60 }, (_, at) => `Invented-${at}-${'x'.repeat(110)}`);
const target = 'Payroll-2026';

onDovecot('a mailbox deleted after 60 invented ones is named everywhere', openRealDovecot, async (t, lab) => {
  const gateway = await openRealGateway(t, lab, {
    allow: ['mailbox create', 'mailbox delete', 'flags add', 'kick', 'auth cache flush'],
    more: 'server_commands: { kick: mail1, auth cache flush: mail1 }',
  });
  const { daemon } = gateway;
  const create = await gateway.doveadm(['mailbox', 'create', '-u', alice, target, 'Payroll-2027']);
  assert.equal(create.exit, 0, create.stderr);
  const deleted = await gateway.doveadm(['mailbox', 'delete', '-u', alice, ...invented, target]);
  assert.notEqual(deleted.exit, 0);
  const left = await gateway.doveadm(['mailbox', 'list', '-u', alice, 'Payroll*']);
  assert.deepEqual(
    String(left.stdout)
      .split('\n')
      .filter((line) => line !== ''),
    ['Payroll-2027'],
  );
  // One that fails for its only mailbox did nothing.
  await gateway.doveadm(['mailbox', 'delete', '-u', alice, 'Never-there']);
  const uids = `${Array.from({ length: 1000 }, (_, at) => 900_001 + at).join(',')},1:*`;
  const flagged = await gateway.doveadm([
    'flags',
    'add',
    '-u',
    alice,
    '\\Flagged',
    'mailbox',
    'INBOX',
    'uid',
    uids,
  ]);
  assert.equal(flagged.exit, 0, flagged.stderr);
  const people = Array.from({ length: 90 }, (_, at) => `invented-person-with-a-long-name-${at}@example.org`);
  const client = await gateway.client({ minor: 4 });
  for (const command of ['kick', 'auth cache flush']) {
    client.sendCommand({
      user: '',
      fields: [command, ...people, 'zoe@example.org', ...people.slice(0, 5)],
    });
    await client.readReply();
  }
  client.close();
  const records = await gateway.finish();

  const admissions = records.filter(({ record }) => record['event'] === 'admission');
  const of = admissions.find(({ record }) => JSON.stringify(record).includes('Invented-0-'));
  const id = String(of?.record['id']);
  const directory = daemon.path('audit');
  const asked = await runWarm(['audit', 'search', directory, '--command', 'mailbox delete', '--json']);
  const rows = String(asked.stdout)
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));
  assert.deepEqual(Object(rows[0]).args.slice(-61), [...invented, target]);
  assert.deepEqual(
    rows.map((row) => Object(row).outcome),
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
  const flags = await runWarm(['audit', 'search', directory, '--command', 'flags add', '--json']);
  assert.ok(
    Object(JSON.parse(String(flags.stdout))).args.includes(uids),
    'the set of messages is recorded whole',
  );
  const users = await runWarm(['audit', 'search', directory, '--user', 'zoe@example.org', '--json']);
  const named = String(users.stdout)
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [Object(JSON.parse(line))]));
  assert.deepEqual(
    named.map(({ command, users: touched }) => [command, touched.includes('zoe@example.org')]),
    [
      ['kick', true],
      ['auth cache flush', true],
    ],
  );
  const nobody = await runWarm(['audit', 'search', directory, '--user', 'nobody@example.org', '--json']);
  assert.equal(String(nobody.stdout), '');
  const proof = await runWarm([
    'audit',
    'export',
    directory,
    '--with-proof',
    '--key',
    `${directory}/key.pub`,
    '--command',
    'mailbox delete',
  ]);
  assert.ok(/^\* .*"event":"arguments".*Payroll-2026/m.test(String(proof.stdout)), proof.text.slice(-300));
  const verified = await runWarm(['audit', 'verify', directory, '--unsigned']);
  assert.equal(verified.exit, 0, verified.text);
});

onDovecot(
  'the folder whose mails are read is named among 240 that do not exist',
  openRealDovecot,
  async (t, lab) => {
    const gateway = await openRealGateway(t, lab, {
      allow: ['mailbox create', 'save'],
    });
    const { daemon } = gateway;
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

    const directory = daemon.path('audit');
    const { stdout } = await runWarm([
      'audit',
      'search',
      directory,
      '--text',
      target,
      '--command',
      'fetch',
      '--json',
    ]);
    const rows = String(stdout)
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [Object(JSON.parse(line))]));
    const whole = rows.filter(({ args }) => args.includes(target));
    assert.deepEqual(
      whole.map(({ outcome, args }) => [outcome, args]),
      [['ok', ['--', 'text', ...query(folders)]]],
    );
    const verified = await runWarm(['audit', 'verify', directory, '--unsigned']);
    assert.equal(verified.exit, 0, verified.text);
  },
);
