// Goal: an auditor sees who changed the policies, what that permits, and what ran under it. Phases: some commands; a reload that permits
// more; a command that only it permits; a reload that takes it back; a look at a mailbox; a statement; a pasted text. What must not happen:
// a widening that is not there because it is over, a command that the policies before would have denied and that is not counted, an answer
// to somebody with a limited view.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { asTexts } from '../../../src/host/values/values.js';
import { auditRecords } from '../../kit/gate/gateway.js';
import { browserTest, shareDesk } from '../../kit/gate/page-daemon.js';
import { until } from '../../kit/plain/until.js';

const desk = shareDesk();

browserTest('who changed the policies, what that permits, and what ran under it', async (t) => {
  const { daemon, config, client: open } = desk.daemon;
  const client = await open();
  const ask = (...fields: string[]) => client.ask({ user: 'alice@example.org', fields });
  const reloads = (): number => auditRecords(daemon).filter(({ event }) => event === 'reload').length;
  const reload = async (text: string): Promise<void> => {
    const before = reloads();
    daemon.write('dovegate.yaml', text);
    daemon.signal('SIGHUP');
    await until(() => reloads() > before, 'the record of the reload');
  };
  assert.equal((await ask('mailbox delete', 'Old')).status, '-NOPERM');
  await reload(config.replace('- mailbox status\n', '- mailbox status\n      - mailbox delete\n'));
  assert.equal((await ask('mailbox delete', 'Old')).status, '+');
  assert.equal((await ask('quota get')).status, '+');
  await reload(config);

  const { page, faults } = await desk.signIn(t, 'auditor', '/access');
  await page.getByRole('link', { name: 'What was changed in the policies' }).click();
  const table = page.getByRole('table', { name: 'What was changed in the policies' });
  const rows = table.locator('[data-row]');
  await rows.first().waitFor();
  const texts = await rows.allInnerTexts();
  assert.equal(texts.length, 3);
  const [last = '', wide = '', first = ''] = texts;
  assert.match(last, /reload by SIGHUP[^]*support may no longer: mailbox delete[^]*since then/);
  assert.match(last, /since then[^]*0 commands of all policies ran/);
  assert.match(wide, /support may now: mailbox delete/);
  assert.match(wide, /dovegate\.yaml: of uid \d+, changed /);
  assert.match(wide, /until [^]*2 commands of all policies ran then\s+1 used what is new: /);
  assert.match(wide, /1 used what is new: the policies before would have denied it/);
  assert.match(wide, /mailbox delete by \S+, once: no rule allows "mailbox delete"/);
  assert.match(first, /start[^]*these are the first policies of this journal/);

  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save as CSV' }).click();
  const [header, ...lines] = readFileSync(await (await download).path(), 'utf8').split('\r\n');
  assert.match(header ?? '', /^time,until,began,changes,files,commands,denied,/);
  assert.match(lines[1] ?? '', /,reload by SIGHUP,wider: support may now: mailbox delete,[^]*,2,1,/);

  // A row opens the commands of its time.
  await rows.nth(1).focus();
  await page.keyboard.press('Enter');
  await page.getByText('older ones were not asked for').waitFor();
  const found = await page.getByRole('table').locator('[data-row]').allInnerTexts();
  assert.equal(found.length, 2);
  assert.match(found.join(), /quota get[^]*mailbox delete/);
  const looks = auditRecords(daemon).filter(({ action }) => action === 'audit-policies');
  const counts = looks.map(({ by, rows: count }) => `${String(by)} ${String(count)}`).join();
  assert.equal(counts, 'auditor 3,auditor 3');

  // Beside the reload among the incidents, and in words for whom may see all mail users.
  await page.goto(new URL('/', page.url()).href);
  const wider = page.getByText('Somebody may do more than before.');
  await wider.waitFor();
  assert.equal(await wider.count(), 1);
  await page.getByText('support may now: mailbox delete').waitFor();
  await page.getByRole('link', { name: 'Who changed it' }).waitFor();
  assert.deepEqual(faults, []);
  const operator = await desk.signIn(t, 'oncall', '/');
  await operator.page.getByText('Somebody may do more than before.').waitFor();
  assert.equal(await operator.page.getByText('support may now').count(), 0);

  // It is over, so nobody has to look at it. The next one waits for an operator, in words only for whom sees all mail users.
  const bell = operator.page.getByRole('button', { name: /to look at$/ });
  const before = await bell.count();
  await reload(config.replace('- mailbox status\n', '- mailbox status\n      - mailbox rename\n'));
  const seen = operator.page.getByRole('button', {
    name: /^I have looked at it: The policies may permit more/,
  });
  await until(async () => (await bell.count()) > before || before > 0, 'the bell');
  await bell.click();
  await seen.waitFor();
  assert.equal(await operator.page.getByText('mailbox rename').count(), 0);
  await seen.click();
  await seen.waitFor({ state: 'detached' });
  const looked = auditRecords(daemon).filter(({ action }) => action === 'acknowledge');
  assert.deepEqual(
    looked.map(({ by, outcome }) => [by, outcome]),
    [
      ['oncall', undefined],
      ['oncall', 'ok'],
    ],
  );
  await reload(config);
});

browserTest('who reaches a mailbox, by which rules, and a statement of what is in force', async (t) => {
  const { daemon } = desk.daemon;
  const { page, faults } = await desk.signIn(t, 'auditor', '/access');
  await page.getByRole('searchbox', { name: 'mail user, or a pattern' }).fill('Alice@example.org');
  await page.keyboard.press('Enter');
  const rows = page.getByRole('table', { name: 'Who reaches it' }).locator('[data-row]');
  await rows.first().waitFor();
  const texts = await rows.allInnerTexts();
  const who = texts.map((text) => text.split('\n')[0]).join('; ');
  assert.equal(
    who,
    'everybody at support; key modoboa at panel; account migrator at jobs; account asker at jobs',
  );
  for (const text of texts) assert.equal(text.match(/at once/g)?.length, 5, text);
  // Those of one policy have its rules once.
  const rules = page.getByText(/^By which rules/);
  assert.equal(await rules.count(), 2);
  await rules.first().click();
  await page.getByText('on request, approved by 1 person').waitFor();
  await page.getByText('Not through the gate: root on the mail server').waitFor();

  const statement = 'policy support may never run "mailbox delete"';
  await page.getByRole('searchbox', { name: 'a statement to prove' }).fill(statement);
  await page.getByRole('button', { name: 'Prove' }).click();
  await page.getByText(/^holds/).waitFor();
  const looks = auditRecords(daemon).filter(({ action }) => action === 'explain');
  const asked = looks.map(({ by, args }) => `${String(by)} ${asTexts(args).at(-1)}`);
  assert.deepEqual(asked, ['auditor mailbox=Alice@example.org', `auditor statement=${statement}`]);
  assert.deepEqual(faults, []);
});

browserTest('a pasted text is checked and tried out on what a policy that decides has seen', async (t) => {
  const { client: open } = desk.daemon;
  const client = await open();
  await client.ask({ user: 'alice@example.org', fields: ['quota get'] });
  const { page, faults } = await desk.signIn(t, 'auditor', '/learn/support');
  await page.getByText('Try a file instead').click();
  const text = page.getByRole('textbox', { name: 'the text of the policy' });
  await text.fill('policies: { support: { users: ["*@example.org"], allow: [mailbox lits] } }');
  await page.getByText(/error, line 1: .*mailbox lits/).waitFor();
  await text.fill('include: [/etc/shadow]');
  await page.getByText(/error, line 1: include: only/).waitFor();
  await text.fill('policies: { support: { users: ["*@example.org"], allow: [mailbox list] } }');
  await page.getByText('no problems').waitFor();
  await page.getByRole('button', { name: 'Try it out' }).click();
  await page.getByText(/commands? that (was|were) allowed would have been denied/).waitFor();
  assert.deepEqual(faults, []);
});

browserTest('somebody who sees some mail users only is told why not', async (t) => {
  const { page } = await desk.signIn(t, 'limited', '/policies');
  await page.getByRole('heading', { name: 'Not for this role' }).waitFor();
});
