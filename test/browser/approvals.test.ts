// Goal: requests for access are decided on the page: listed, with their number in the menu, approved for less, refused with a sentence,
// revoked. What must not happen: a decision of somebody without the role, markup of a reason.

import assert from 'node:assert/strict';
import { browserTest, hostileElements, shareDesk } from '../kit/page-daemon.js';

const desk = shareDesk();
const reason = 'ticket 4711 <img src=x onerror=alert(1)> \u202Egnp';

async function request(mailbox: string, why: string): Promise<{ readonly status: string }> {
  const client = await desk.daemon.accountClient('asker');
  const fields = [
    'dovegate request',
    '-u',
    'alice@example.org',
    '--reason',
    why,
    '--',
    'mailbox create',
    mailbox,
  ];
  client.sendCommand({ user: '', fields });
  const { status } = await client.readReply();
  return { status };
}

browserTest('a request is approved for less, and revoked; another one is refused', async (t) => {
  assert.equal((await request('Archive', reason)).status, '+');
  const { page } = await desk.signIn(t, 'approver', '/approvals');
  const menu = page.getByRole('navigation', { name: 'Screens' });
  await page.getByText('asker@jobs').first().waitFor();
  await menu.getByText('1', { exact: true }).waitFor();
  assert.equal(await page.locator(hostileElements).count(), 0);
  await page.getByRole('button', { name: 'approve asker@jobs' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Minutes').fill('30');
  await dialog.getByLabel('Uses').fill('2');
  await dialog.getByRole('button', { name: 'approve', exact: true }).click();
  // It closes with what holds now, and how to undo it.
  await dialog
    .getByText(/Recorded: granted until .* has it for 30 min, 2 uses\. To undo it, revoke it/)
    .waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.getByText('0 of 2').waitFor();
  await page.getByRole('button', { name: 'revoke asker@jobs' }).click();
  await dialog.getByRole('button', { name: 'revoke', exact: true }).click();
  await dialog.getByText(/Recorded: revoked by page:approver\. .* has nothing of it/).waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.getByText('Nobody has access on request now.').waitFor();
  // What was decided stays, and has a page of its own, as one line of time.
  const decided = page.getByRole('table', { name: 'Decided, and over' });
  await decided.getByText('revoked by page:approver').waitFor();
  await decided.getByRole('link', { name: 'asker@jobs' }).click();
  const history = page.getByRole('list', { name: 'The history of this request' });
  await history.getByText('page:approver approved').waitFor();
  const steps = (await history.getByRole('listitem').allTextContents()).map((text) =>
    text.replace(/^.*?\d\d:\d\d:\d\d /, ''),
  );
  assert.match(steps[0] ?? '', /^asker@jobs asked: ticket 4711/);
  assert.deepEqual(steps.slice(1), [
    'page:approver approved',
    'granted for 30 min, 2 uses',
    'revoked by page:approver',
  ]);
  assert.equal(await page.locator(hostileElements).count(), 0);

  assert.equal((await request('Other', 'ticket 4712')).status, '+');
  await page.goBack();
  await page.reload();
  await page.getByText('1 request: 1 granted, 0 refused').waitFor();
  await page.getByRole('button', { name: 'refuse asker@jobs' }).click();
  const refuse = dialog.getByRole('button', { name: 'refuse', exact: true });
  assert.equal(await refuse.isDisabled(), true);
  await dialog.getByLabel('Reason').fill('ask alice herself');
  await refuse.click();
  await dialog.getByText(/Recorded: refused by page:approver: ask alice herself\./).waitFor();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.getByText('Nothing waits.').waitFor();
});

browserTest('without the role there is no such screen, and no such answer', async (t) => {
  const { page } = await desk.signIn(t, 'auditor', '/approvals');
  await page.getByText('Not for this role').waitFor();
  assert.equal(await page.getByRole('link', { name: 'Approvals' }).count(), 0);
});
