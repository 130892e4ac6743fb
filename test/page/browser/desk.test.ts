// Goal: a desk that several people use. Phases: a link that is no good is opened by somebody who is signed in; the same search again;
// signing out while the daemon does not answer. What must not happen: a stranger's link that ends a session, rows of before that look
// like those of now, rows that stay on the screen for whoever sits down next, rights that
// are no longer served.

import assert from 'node:assert/strict';
import type { Route } from 'playwright-core';
import { browserTest, shareDesk, signIn } from '../../kit/gate/page-daemon.js';

const desk = shareDesk();

browserTest('what the next person at the desk sees', async (t) => {
  const client = await desk.daemon.client();
  const ask = async (user: string): Promise<void> => {
    await client.ask({ user, fields: ['quota get'] });
  };
  await ask('alice@example.org');
  const { page } = await desk.signIn(t, 'auditor', '/trail?q=user%3Aalice%2A');
  const menu = page.getByRole('navigation', { name: 'Screens' });
  const rows = page.locator('[data-row]');
  await page.getByText('nothing older is left').waitFor();
  assert.equal(await rows.count(), 1);

  await ask('alice.smith@example.org');
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.getByText('alice.smith@').first().waitFor();
  assert.equal(await rows.count(), 2);

  // Stopped before an answer comes, it must not say that there is nothing.
  const held: Route[] = [];
  await page.route('**/api/trail/search', (route) => void held.push(route));
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await page.getByText('Stopped before an answer came.').waitFor();
  assert.doesNotMatch(await page.locator('main').innerText(), /No command matches|no records/);
  // One that is still held back would be in the way of the next one.
  for (const route of held) await route.abort();
  await page.unroute('**/api/trail/search');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('nothing older is left').waitFor();

  const refused = page.waitForResponse(/\/api\/redeem$/);
  await page.evaluate(`location.hash = '${'x'.repeat(43)}'`);
  assert.equal((await refused).status(), 401);
  await menu.waitFor();
  await page.getByText('alice.smith@').first().waitFor();

  // No answer comes for long.
  const asked: Route[] = [];
  await page.route('**/api/logout', (route) => void asked.push(route));
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Name', { exact: true }).waitFor();
  // No token: only that somebody has signed out here.
  assert.equal(await page.evaluate('JSON.stringify(sessionStorage)'), '{"dovegate-left":"yes"}');
  assert.doesNotMatch(await page.locator('body').innerText(), /alice/);
  assert.doesNotMatch(await page.locator('body').innerText(), /You are signed out\./);
  // Who signs in meanwhile is not disturbed by the answer.
  await page.getByLabel('Name', { exact: true }).fill('somebody');
  await asked[0]?.abort();
  await page.getByText(/The process of the page does not answer.*ends by itself/s).waitFor();
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'somebody');
  await page.goBack();
  assert.doesNotMatch(await page.locator('body').innerText(), /alice/);
});

browserTest('an hour ago, and the rights of now, are those of the daemon', async (t) => {
  const { page } = await desk.look(t);
  const aheadMs = 5 * 3_600_000;
  await page.addInitScript(`{ const now = Date.now; Date.now = () => now() + ${aheadMs}; }`);
  const asking = page.waitForRequest(/\/api\/trail\/search$/);
  await signIn(page, desk.daemon.origin, 'auditor', '/trail?q=since%3A1h');
  const { filter }: { readonly filter: { readonly sinceMs: number } } = (await asking).postDataJSON();
  const awayMs = Date.now() - filter.sinceMs;
  assert.ok(awayMs > 3_500_000 && awayMs < 3_700_000, `it looks ${awayMs} ms back`);

  // Rights are those that are served, also after a reload.
  await page.getByRole('link', { name: 'Access', exact: true }).click();
  const rights = page.getByRole('table', { name: 'Who may do what' });
  await rights.filter({ hasText: 'migrator' }).waitFor();
  const { daemon, config } = desk.daemon;
  daemon.write('dovegate.yaml', config.replaceAll('migrator:', 'mover:'));
  daemon.signal('SIGHUP');
  await rights.filter({ hasText: 'mover' }).waitFor();
});

browserTest('a report of a mailbox says first whether something was deleted', async (t) => {
  const client = await desk.daemon.client();
  for (const fields of [['quota get'], ['mailbox delete', 'INBOX']]) {
    await client.ask({ user: 'zelda@example.org', fields });
  }
  const { page, faults } = await desk.signIn(t, 'auditor', '/mailbox/zelda%40example.org');
  await page.getByText('No recorded command deleted anything; 1 attempt was denied.').waitFor();
  await page.getByRole('columnheader', { name: 'tried, denied' }).waitFor();
  await page.getByRole('cell', { name: 'tried, denied' }).waitFor();
  await page.getByText('asked to delete', { exact: true }).waitFor();
  assert.deepEqual(faults, []);
});
