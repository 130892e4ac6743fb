// Goal: requests for access are decided on the page: listed, with their number in the menu, approved for less, refused with a sentence,
// revoked. What must not happen: a decision of somebody without the role, markup of a reason.

import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { auditRecords } from '../../kit/gate/gateway.js';
import { browserTest, hostileElements, settled, shareDesk, visit } from '../../kit/gate/page-daemon.js';
import { findBarriers, findFaintText, findOverflow, sizes } from '../../kit/plain/browser.js';

const desk = shareDesk();
const reason = 'ticket 4711 <img src=x onerror=alert(1)> \u202Egnp';

async function request(mailbox: string, why: string): Promise<{ readonly status: string }> {
  const client = await desk.daemon.accountClient('asker');
  const wish = ['-u', 'alice@example.org', '--reason', why, '--', 'mailbox create', mailbox];
  const fields = ['dovegate request', ...wish];
  const { status } = await client.ask({ user: '', fields });
  return { status };
}

interface Cell {
  readonly title: string;
  readonly text: string;
  readonly isCut: boolean;
  readonly isAccess: boolean;
  readonly whole: readonly string[];
}

/** What axe finds, and what overflows, at both widths. In the dark only colours differ, so contrast is checked there once. */
async function findFaults(page: Page): Promise<string[]> {
  const faults: string[] = [];
  for (const size of [sizes.phone, sizes.desktop]) {
    await page.setViewportSize(size);
    faults.push(...(await findBarriers(page)), ...(await findOverflow(page)));
  }
  await page.emulateMedia({ colorScheme: 'dark' });
  faults.push(...(await findFaintText(page)));
  await page.emulateMedia({ colorScheme: 'light' });
  return faults;
}

browserTest('a request is approved for less, and revoked; another one is refused', async (t) => {
  assert.equal((await request('Archive', reason)).status, '+');
  const { page } = await desk.signIn(t, 'approver', '/requests');
  const menu = page.getByRole('navigation', { name: 'Screens' });
  await page.getByText('asker@jobs').first().waitFor();
  await menu.getByText('1 to approve', { exact: true }).waitFor();
  assert.equal(await page.locator(hostileElements).count(), 0);
  assert.deepEqual(await findFaults(page), []);
  const open = (list: string) =>
    page.getByRole('table', { name: list }).getByRole('link', { name: 'asker@jobs' }).first().click();
  await open('Waiting');
  await page.getByRole('button', { name: 'approve asker@jobs' }).click();
  const dialog = page.getByRole('dialog');
  assert.deepEqual(await findFaults(page), []);
  await dialog.getByLabel('Minutes').fill('30');
  await dialog.getByLabel('Uses').fill('2');
  await dialog.getByRole('button', { name: 'approve', exact: true }).click();
  // It closes with what holds now, and how to undo it.
  const undo =
    /Recorded: granted until .* has it for 30 min, 2 uses\. To undo it, press "revoke" in its card/;
  await dialog.getByText(undo).waitFor();
  // What was asked is over, and the answer stays when the list behind it is newer.
  assert.equal(await dialog.getByLabel('Minutes').count(), 0);
  assert.equal(await dialog.getByText('0 of 1').count(), 0);
  await page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`);
  await page.getByText('0 of 2, 2 left until').waitFor({ state: 'attached' });
  assert.equal(await dialog.getByText(/^Recorded: granted until/).isVisible(), true);
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.getByText('0 of 2, 2 left until').waitFor();
  await page.getByRole('button', { name: 'revoke asker@jobs' }).click();
  await dialog.getByText(/the next command is denied\. One that runs is ended/).waitFor();
  await dialog.getByRole('button', { name: 'revoke', exact: true }).click();
  const revoked = /Recorded: revoked by approver \(page\), without a reason\. .* has nothing of it/;
  await dialog.getByText(revoked).waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await visit(page, '/requests');
  await page.getByText('Nobody else has access on request now.').waitFor();
  // What was decided stays, and has a page of its own, as one line of time.
  const decided = page.getByRole('table', { name: 'Decided, and over' });
  await decided.getByText('revoked by approver (page)').waitFor();
  await decided.getByText(/^approved .*\d\d:\d\d:\d\d$/).waitFor();
  await decided.getByText(/^revoked .*\d\d:\d\d:\d\d$/).waitFor();
  await decided.getByText('given: 30 min, 2 uses (2 h, 9 uses were asked for)').waitFor();
  await open('Decided, and over');
  const history = page.getByRole('list', { name: 'The history of this request' });
  await history.getByText('approver (page) approved').waitFor();
  assert.deepEqual(await findFaults(page), []);
  const lines = await history.getByRole('listitem').allTextContents();
  const steps = lines.map((text) => text.replace(/^.*?\d\d:\d\d:\d\d /, ''));
  assert.match(steps[0] ?? '', /^asker@jobs asked: ticket 4711/);
  assert.deepEqual(steps.slice(1), [
    'approver (page) approved, for 30 min, 2 uses',
    'granted for 30 min, 2 uses (2 h, 9 uses were asked for)',
    'revoked by approver (page), without a reason',
  ]);
  assert.equal(await page.locator(hostileElements).count(), 0);

  assert.equal((await request('Other', 'ticket 4712')).status, '+');
  await page.goBack();
  await page.reload();
  const unused = 'revoked by approver (page), without a reason; approved by approver (page); never used';
  await page.getByText(unused).first().waitFor();
  assert.deepEqual(await findFaults(page), []);
  await open('Waiting');
  await page.getByRole('button', { name: 'refuse asker@jobs' }).click();
  const refuse = dialog.getByRole('button', { name: 'refuse', exact: true });
  assert.equal(await refuse.isDisabled(), true);
  await dialog.getByLabel('Why you refuse it').fill('ask alice herself');
  await refuse.click();
  await dialog.getByText(/Recorded: refused by approver \(page\): ask alice herself\./).waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await visit(page, '/requests');
  await page.getByText('Nothing waits.').waitFor();
});

browserTest('without the role there is no such screen, and no such answer', async (t) => {
  const watched = await desk.signIn(t, 'oncall', '/requests');
  await watched.page.getByText('Not for this role').waitFor();
  assert.equal(await watched.page.getByRole('link', { name: 'Requests' }).count(), 0);
  const { page } = await desk.signIn(t, 'auditor', '/requests');
  await page.getByRole('table', { name: 'All' }).waitFor();
  assert.equal(await page.getByRole('table', { name: 'Waiting' }).count(), 0);
  // The help has the keys of the roles that somebody has.
  await page.keyboard.press('?');
  const keys = page.getByRole('dialog', { name: 'Keys' });
  await keys.getByText('on a row of the trail: searches by its values').waitFor();
  assert.equal(await keys.getByText('ends it, after a question').count(), 0);
});

browserTest('an auditor sees who asked, approved and used; a limited one of own users only', async (t) => {
  const approver = await desk.signIn(t, 'approver', '/requests');
  const permit = async (user: string, mailbox: string): Promise<string> => {
    const client = await desk.daemon.accountClient('asker');
    const wish = ['dovegate request', '-u', user, '--reason', 'ticket 9', '--', 'mailbox create', mailbox];
    assert.equal((await client.ask({ user: '', fields: wish })).status, '+');
    await visit(approver.page, '/requests');
    const waiting = approver.page.getByRole('table', { name: 'Waiting' });
    const row = waiting.getByRole('row', { name: new RegExp(`mailbox create ${mailbox}`) });
    await row.getByRole('link', { name: 'asker@jobs' }).click();
    await approver.page.getByRole('button', { name: 'approve asker@jobs' }).click();
    const dialog = approver.page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'approve', exact: true }).click();
    await dialog.getByText(/^Recorded: granted until/).waitFor();
    assert.equal((await client.ask({ user, fields: ['mailbox create', mailbox] })).status, '+');
    const granted = auditRecords(desk.daemon.daemon).filter(({ action }) => action === 'granted');
    return String(granted.at(-1)?.['grant']);
  };
  const [own, other] = [
    await permit('alice@example.org', 'Nine'),
    await permit('zuluq7bob@other.test', 'Ten'),
  ];
  // Who approved it sees what it was used for, with the id of the command, and cannot open that.
  await visit(approver.page, `/access/${own}`);
  const menuPlace = (of: Page): Promise<string | null> =>
    of.getByRole('navigation', { name: 'Screens' }).locator('[aria-current=page]').textContent();
  assert.match((await menuPlace(approver.page)) ?? '', /^Requests/);
  const seen = approver.page.getByRole('list', { name: 'The history of this request' });
  await seen.getByText('use 1 of 9: mailbox create Nine of alice@example.org: ok').waitFor();
  await seen.getByText(/^[0-9A-Z]{26}$/).waitFor();
  assert.equal(await seen.getByRole('link').count(), 0);
  assert.deepEqual(await findFaults(approver.page), []);

  const { page } = await desk.signIn(t, 'auditor', `/access/${own}`);
  const history = page.getByRole('list', { name: 'The history of this request' });
  await history.getByText('approver (page) approved').waitFor();
  assert.deepEqual(await findFaults(page), []);
  assert.equal(await menuPlace(page), 'Requests');
  assert.match(await page.title(), /^(?:\(\d+\) )?Request /);
  await page.getByText(/^\S+dovegate\.yaml:\d+, policy support$/).waitFor();
  await history.getByRole('link', { name: 'use 1 of 9: mailbox create Nine of alice@example.org' }).click();
  const answer = page.getByRole('region', { name: 'What became of it' });
  assert.equal(await menuPlace(page), 'Trail');
  assert.match(await page.title(), /^(?:\(\d+\) )?Exchange /);
  const how = `allowed by grant ${own}: asker@jobs asked, approved by approver (page), use 1 of 9`;
  await answer.getByRole('heading', { name: how }).waitFor();
  await answer.getByRole('link', { name: 'Who asked, who approved, and all its uses' }).click();
  await history.getByText('asker@jobs asked: ticket 9').waitFor();

  // The report of the mailbox leads to it, too.
  await visit(page, '/mailbox/alice@example.org');
  await page.getByRole('link', { name: 'its request' }).first().click();
  await history.getByText('asker@jobs asked: ticket 9').waitFor();

  // So does each of its steps in the trail, in its row and beside the list.
  const inTrail = `/trail?q=${encodeURIComponent(`kind:access grant:${own} since:1h`)}`;
  await visit(page, inTrail);
  await page.getByRole('table').getByRole('link', { name: 'granted' }).click();
  await history.getByText('asker@jobs asked: ticket 9').waitFor();
  await visit(page, inTrail);
  // While rows come in, a click that aims at one meets the one that took its place.
  await settled(page);
  const approved = page.getByRole('table').getByRole('row', { name: /approved/ });
  await approved.getByRole('time').first().click();
  const beside = page.getByRole('region', { name: 'What it is' });
  const title = 'Access on request: approved by approver (page), asker@jobs';
  await beside.getByRole('heading', { name: title }).waitFor();
  assert.deepEqual(await findFaults(page), []);
  await beside.getByRole('link', { name: 'Who asked, who decided, and all its uses' }).click();
  await history.getByText('asker@jobs asked: ticket 9').waitFor();

  // All requests are a list.
  await visit(page, '/requests');
  const list = page.getByRole('table', { name: 'All' });
  await list.getByRole('link', { name: 'asker@jobs' }).first().waitFor();
  await page.getByLabel('decided by').fill('nobody');
  await page.getByLabel('decided by').press('Enter');
  await page.getByText('Nobody had or asked for access in this time.').waitFor();
  await page.getByText('dovegate audit access --since 30d --by nobody').waitFor();
  await page.getByLabel('decided by').fill('approver');
  await page.getByLabel('decided by').press('Enter');
  await list.getByRole('link', { name: 'asker@jobs' }).first().waitFor();
  assert.deepEqual(await findFaults(page), []);
  await page.getByLabel('Show rows with').fill('ticket 9 other.test');
  await list.getByText('zuluq7bob@other.test').waitFor();
  assert.equal(await list.getByText('alice@example.org').count(), 0);
  await page.getByLabel('Show rows with').fill('nine');
  const row = list.getByRole('row', { name: /mailbox create Nine/ });
  await row.getByText('approved by approver (page)').waitFor();
  await row.getByText('1 of 9: mailbox create').waitFor();
  await row.getByRole('link', { name: 'asker@jobs' }).click();
  await history.getByText('asker@jobs asked: ticket 9').waitFor();

  // What waits has no button here, and says who decides.
  assert.equal((await request('Waits', 'ticket 10')).status, '+');
  const asked = auditRecords(desk.daemon.daemon).filter(({ action }) => action === 'requested');
  await visit(page, `/access/${String(asked.at(-1)?.['request'])}`);
  await page.getByText(/Your role only looks\. .* dovegate approve /).waitFor();
  assert.deepEqual(await findFaults(page), []);

  // In the trail, who granted is not cut, no grant took time, and what is cut is whole on hover.
  await page.setViewportSize({ width: 1440, height: 900 });
  await visit(page, `/trail?q=${encodeURIComponent('kind:all since:24h')}`);
  const rows = page.locator('main [data-row]');
  const granted = rows.filter({ hasText: /granted\s*by approver \(page\)/ });
  await granted.first().waitFor();
  await settled(page);
  const cells = await page.evaluate<
    readonly Cell[]
  >(`[...document.querySelectorAll('main [data-row] .cell')].map((cell) => ({
      title: cell.parentElement.dataset.title,
      text: cell.innerText.trim(),
      isCut: cell.scrollWidth > cell.clientWidth || cell.querySelector('.more') !== null,
      isAccess: /granted|requested/.test(cell.closest('[data-row]').textContent),
      whole: [...cell.querySelectorAll('[title]')].map((each) => each.title),
    }))`);
  const cut = cells.filter(({ isCut }) => isCut);
  const isPart = (text: string): boolean => text === '' || text.includes('…') || text.startsWith('search by');
  const unseen = cut.filter(({ title: of, whole }) => of === 'Outcome' || whole.every(isPart));
  assert.deepEqual(unseen, []);
  const took = cells.filter(({ title: of, text, isAccess }) => of === 'Took' && isAccess && text !== '');
  assert.deepEqual(took, []);

  const limited = await desk.signIn(t, 'limited', `/access/${own}`);
  await limited.page.getByText('asker@jobs asked: ticket 9').waitFor();
  await visit(limited.page, `/access/${other}`);
  await limited.page.getByText(/No request .* is known here/).waitFor();
  await visit(limited.page, '/requests');
  await limited.page.getByText('mailbox create Nine').waitFor();
  assert.equal(await limited.page.getByText(/other\.test|mailbox create Ten/).count(), 0);
});
