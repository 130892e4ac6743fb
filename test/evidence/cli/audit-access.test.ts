// Access on request for auditors, from a real journal on the disk: as a table, as JSON, and beside the commands of a report.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { auditAccess } from '../../../src/evidence/cli/audit-access.js';
import { auditReport } from '../../../src/evidence/cli/audit-report.js';
import { auditShow } from '../../../src/evidence/cli/audit-show.js';
import { AccessBook } from '../../../src/journal/records/access-book.js';
import { admission, completion, openWatched } from '../../journal/files/opening.js';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { approver, grantRecords, over, owner } from '../../kit/plain/access-records.js';
import { placesAt, printed, signKey } from './shown.js';
import { keyFile } from './verifying.js';

const [anna, bob] = ['anna@example.com', 'bob@example.com'];

async function openJournal(t: TestContext): Promise<string> {
  const directory = join(temporaryDirectory(t), 'audit');
  const { journal } = await openWatched(directory, { signKey: signKey.secretPem });
  const { time } = admission('x');
  for (const record of [
    ...grantRecords('G1', time),
    ...grantRecords('G2', time, { reason: 'a\u001b[2Jb', users: [bob], user: bob }),
    { ...admission('E1'), user: anna, users: [anna], principal: owner, grant: 'G1' },
  ])
    await journal.appendDurable(record);
  journal.append({ ...completion('E1'), sent: true, outcome: 'ok', grant: 'G1' });
  await journal.appendDurable(over('revoked', 'G1', time + 9));
  await journal.close();
  return directory;
}

void test('a table for people, a line of JSON for programs, and the grant beside its command', async (t) => {
  const directory = await openJournal(t);
  const places = placesAt(directory);
  const access = (flags: Parameters<typeof auditAccess>[2]) =>
    printed((screen) => auditAccess(screen, places, flags));
  const report = async (flags: { readonly csv?: true } = {}) => {
    const asked = { mailbox: anna, key: [keyFile(t)], ...flags };
    return (await printed((screen) => auditReport(screen, places, asked))).lines.join('\n');
  };
  const { code, lines } = await access({});
  assert.equal(code, 0);
  assert.equal(lines[0], '2 requests: 2 granted, 0 refused, 1 granted and never used');
  assert.ok(!lines.join('').includes('\u001b'));
  assert.match(
    lines.find((line) => line.includes('G1')) ?? '',
    new RegExp(`approved [\\d-]+ [\\d:]+, revoked .* approved by ${approver}, for 1 h, 3 uses +1 of 3: `),
  );
  assert.match(lines.find((line) => line.includes('G2')) ?? '', / never /);
  const json = await access({ json: true, user: anna });
  const [item, ...more] = json.lines.map((line) => JSON.parse(line));
  assert.deepEqual(more, []);
  assert.deepEqual([item.id, item.to, item.used, item.approved_by[0].principal], ['G1', owner, 1, approver]);
  const none = await access({ user: 'eve@example.com' });
  assert.equal(none.code, 0);
  assert.deepEqual(none.lines, ['0 requests: 0 granted, 0 refused, 0 granted and never used']);

  // The id of a request is shown as that of a command is: what became of it, its steps and its uses.
  const shown = await printed((screen) => auditShow(screen, places, 'G1', false));
  assert.equal(shown.code, 0);
  assert.deepEqual(shown.lines.slice(0, 5), [
    'access G1:',
    `  revoked by ${approver}, without a reason`,
    `  ${owner} asked for fetch hdr.subject mailbox INBOX all of ${anna}: ticket 4711`,
    `  approved by ${approver}, for 1 h, 3 uses`,
    '  used 1 of 3: quota get',
  ]);
  const events = shown.lines.flatMap((line) => /^\S+Z {2}([\w-]+)/.exec(line)?.[1] ?? []);
  assert.equal(events.join(' '), 'access access access admission completion access');
  assert.match(await report(), new RegExp(`under grant G1, approved by ${approver}`));
  assert.match(await report(), / ticket 4711 .*under grant G1/);
  assert.match(await report({ csv: true }), new RegExp(`,G1,approved by ${approver},\r`));
});

void test('nobody is named for an end that nobody made, and uses of an older segment have no names', async (t) => {
  const directory = join(temporaryDirectory(t), 'audit');
  const { journal } = await openWatched(directory, { signKey: signKey.secretPem });
  const { time } = admission('x');
  const book = new AccessBook();
  for (const record of grantRecords('G1', time)) book.follow(record);
  for (const id of ['E1', 'E2']) book.follow({ ...admission(id), grant: 'G1' });
  for (const record of [...book.carried(time + 3), over('expired', 'G1', time + 9)])
    await journal.appendDurable(record);
  await journal.close();
  const access = async (flags: { readonly json?: true }) =>
    (await printed((screen) => auditAccess(screen, placesAt(directory), flags))).lines.join('\n');
  const { end } = JSON.parse(await access({ json: true }));
  assert.deepEqual([end.action, 'by' in end], ['expired', false]);
  assert.match(await access({}), / 2 of 3 +expired: its time of 1 h is over /);
});

void test('the built program finds a grant with its history, in each form and with a configuration', async (t) => {
  const directory = await openJournal(t);
  const configFile = join(directory, '..', 'dovegate.yaml');
  writeFileSync(
    configFile,
    `version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server" } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*@example.com"], allow: [quota get] } }
audit: { directory: "${directory}" }
`,
  );
  const history = ['requested', 'approved', 'granted', 'ok', 'revoked'];
  const forms = [
    ['search', '--grant', 'G1', directory],
    ['search', '--grant', 'G1', '--config', configFile],
    ['search', '--grant', 'G1', '--json', directory],
    ['export', '--grant', 'G1', directory],
    ['export', '--grant', 'G1', '--format', 'jsonl', directory],
    ['export', '--grant', 'G1', '--with-proof', directory],
  ];
  for (const form of forms) {
    const { exit, text } = await runWarm(['audit', ...form]);
    assert.equal(exit, 0, text);
    for (const word of history) assert.match(text, new RegExp(`\\b${word}\\b`), `${form.join(' ')}: ${text}`);
    // The hashes of a proof may have it by chance.
    if (!form.includes('--with-proof')) assert.doesNotMatch(text, /G2/);
  }
  // How long a grant lasts is not how long a step took.
  const table = await runWarm(['audit', 'search', '--grant', 'G1', directory]);
  assert.doesNotMatch(table.text, /3600000/);
  // With another filter it finds commands alone.
  const { stdout } = await runWarm(['audit', 'search', '--grant', 'G1', '--command', 'quota get', directory]);
  assert.doesNotMatch(stdout.toString(), /granted/);
});
