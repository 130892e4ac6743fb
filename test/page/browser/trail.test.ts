// Goal: the trail has everything that people did, a row opens beside the list, and a step back shows what was found without another search.
// What must not happen: a look that nobody asked for, results of somebody else's session, a row that cannot be opened.

import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { auditRecords } from '../../kit/gate/gateway.js';
import { browserTest, deskAfter, settled, visit } from '../../kit/gate/page-daemon.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { findBarriers, findFaintText } from '../../kit/plain/browser.js';

const desk = deskAfter(Array.from({ length: 30 }, (_, at) => [`user${at}@example.org`, 'quota get']));

/** With a row that is opened beside the list, light and dark. */
async function barriersOfPane(page: Page): Promise<readonly string[]> {
  assert.ok(await page.getByRole('complementary', { name: /^(Exchange|Record)$/ }).isVisible());
  const found = await findBarriers(page);
  await page.emulateMedia({ colorScheme: 'dark' });
  found.push(...(await findFaintText(page)));
  await page.emulateMedia({ colorScheme: 'light' });
  return found;
}

browserTest('a click on any value of a row opens the row, and its button searches by them', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor', '/trail');
  await settled(page);
  const row = page.locator('main [data-row]').nth(3);
  const beside = page.getByRole('complementary', { name: 'Exchange' });
  for (const text of ['quota get', 'user26@example.org', 'read', 'ok']) {
    await row.getByText(text, { exact: true }).click();
    await beside.getByText('user26@example.org').first().waitFor();
    assert.equal(await page.getByRole('dialog').count(), 0, text);
    await beside.getByRole('button', { name: 'Close' }).click();
    await beside.waitFor({ state: 'detached' });
  }
  await row.getByRole('button', { name: 'search by the values of this row' }).press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'only mail user user26@example.org' }).click();
  await page.waitForURL(/user%3Auser26/);
  assert.deepEqual(faults, []);
});

browserTest('a blank in the search line offers its keys, and a key its values', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor', '/trail');
  const rows = page.locator('main [data-row]');
  await rows.nth(29).waitFor();
  const line = page.getByRole('searchbox');
  await line.press('End');
  await line.pressSequentially(' ');
  const offers = page.locator('.offers');
  await offers.getByRole('button', { name: 'grant:' }).waitFor();
  assert.deepEqual(await findBarriers(page), []);
  await offers.getByRole('button', { name: 'user:' }).press('Enter');
  await page.keyboard.type('user7');
  await offers.getByRole('button', { name: 'user7@example.org', exact: true }).click();
  assert.equal(await line.inputValue(), 'since:24h user:user7@example.org ');
  await page.keyboard.press('Enter');
  await page.waitForURL(/user%3Auser7/);
  await rows.nth(1).waitFor({ state: 'detached' });
  assert.match(await rows.first().innerText(), /user7@example\.org/);
  assert.deepEqual(faults, []);
});

browserTest('a row opens beside the list, and a step back does not search again', async (t) => {
  const { page, faults, requests } = await desk.signIn(t, 'auditor', '/trail');
  const looks = (): string[] =>
    requests.filter((each) => /\/api\/trail\/(search|histogram)$/.test(each)).map((each) => each.slice(-6));
  const rows = page.locator('main [data-row]');
  await rows.nth(29).waitFor();
  await page.locator('.bars').waitFor();
  await settled(page);
  const before = looks();
  assert.ok(before.length >= 2);
  const beside = page.getByRole('complementary', { name: 'Exchange' });
  await rows.first().focus();
  await page.keyboard.press('Enter');
  await beside.getByText('user29@example.org').first().waitFor();
  await page.keyboard.press(']');
  await beside.getByText('user28@example.org').first().waitFor();
  await page.keyboard.press('[');
  await beside.getByText('user29@example.org').first().waitFor();
  await beside.getByRole('button', { name: 'The row below' }).click();
  await beside.getByText('user28@example.org').first().waitFor();
  assert.equal(await rows.count(), 30);
  assert.deepEqual(await barriersOfPane(page), []);

  await page.keyboard.press('g');
  await page.keyboard.press('p');
  await page.locator('main h1', { hasText: 'Proof' }).waitFor({ state: 'attached' });
  await page.goBack();
  await beside.getByText('user28@example.org').first().waitFor();
  assert.equal(await rows.count(), 30);
  await page.locator('.bars').waitFor();
  await settled(page);
  assert.deepEqual(looks(), before);
  await page.keyboard.press('Escape');
  await beside.waitFor({ state: 'detached' });

  // The same search, asked once more, is a search.
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await rows.nth(29).waitFor();
  await settled(page);
  assert.ok(looks().length >= before.length + 2);

  // Nothing is left for the next person in this tab.
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('You are signed out.').waitFor();
  await page.getByLabel('Name', { exact: true }).fill('limited');
  await page.getByLabel('Password', { exact: true }).fill('only-for-the-page');
  const count = looks().length;
  await page.keyboard.press('Enter');
  await rows.first().waitFor();
  assert.ok(looks().length > count);
  assert.deepEqual(faults, []);
});

browserTest('drains, sign-ins and looks are found by their kind and by who did it', async (t) => {
  const operator = await desk.signIn(t, 'oncall');
  const drain = operator.page.getByRole('button', { name: /^Drain mail2/i });
  await drain.first().click();
  const dialog = operator.page.getByRole('dialog');
  await dialog.getByRole('button', { name: /drain/i }).click();
  await dialog.getByRole('status').filter({ hasText: /\w/ }).waitFor();

  const { page, faults } = await desk.signIn(t, 'auditor', '/trail');
  const kinds = page.getByRole('group', { name: 'What people did' });
  const rows = page.locator('main [data-row]');
  await rows.first().waitFor();
  await kinds.getByRole('button', { name: 'operators' }).click();
  await rows.filter({ hasText: /oncall[^]*drain mail2/ }).waitFor();
  await kinds.getByRole('button', { name: 'sessions' }).click();
  const signIns = rows.filter({ hasText: /oncall[^]*signed in to the page/ });
  await signIns.first().waitFor();
  await kinds.getByRole('button', { name: 'looks' }).click();
  const searches = rows.filter({ hasText: /auditor[^]*searched the trail/ });
  await searches.first().waitFor();
  await visit(page, '/trail?q=by%3Aoncall');
  await rows.filter({ hasText: 'drain mail2' }).click();
  const record = page.getByRole('complementary', { name: 'Record' });
  await record.getByText('mail2').first().waitFor();
  assert.deepEqual(await barriersOfPane(page), []);
  assert.deepEqual(faults, []);

  const limited = await desk.signIn(t, 'limited', '/trail?q=kind%3Aall');
  const shown = limited.page.locator('main [data-row]');
  await shown.first().waitFor();
  await settled(limited.page);
  assert.equal(await shown.filter({ hasText: /oncall|signed in|searched/ }).count(), 0);
  assert.equal(await limited.page.getByRole('button', { name: 'operators' }).count(), 0);
});

browserTest('25 commands are on the first screen of 1440 pixels, each in one line', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor', '/trail');
  await page.locator('main [data-row]').nth(29).waitFor();
  await page.locator('.bars').waitFor();
  await settled(page);
  const { said, heights, bottoms } = await page.evaluate<{
    said: number;
    heights: readonly number[];
    bottoms: readonly number[];
  }>(`(() => {
    const rows = [...document.querySelectorAll('main [data-row]')].map((row) => row.getBoundingClientRect());
    // On a busy machine the gate may have something to say above them.
    const said = document.querySelector('.problems, .stale')?.getBoundingClientRect().height ?? 0;
    return { said, heights: rows.map(({ height }) => height), bottoms: rows.map(({ bottom }) => bottom) };
  })()`);
  assert.ok(Math.max(...heights) <= 26, `rows of ${Math.max(...heights)} px`);
  const shown = bottoms.filter((bottom) => bottom - said <= 900).length;
  assert.ok(shown >= 25, `${shown} commands; the first ends at ${bottoms[0]} px`);
  assert.deepEqual(faults, []);
});

browserTest('an id in the search line opens its command; colors are those that were chosen', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor', '/trail', { scheme: 'light' });
  const id = String(auditRecords(desk.daemon.daemon).find(({ event }) => event === 'admission')?.['id']);
  await page.getByRole('searchbox').fill(` ${id} `);
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/trail/${id}`);
  await page.locator('main').getByText('user0@example.org').first().waitFor();
  const ground = (): Promise<string> =>
    page.evaluate('getComputedStyle(document.documentElement).backgroundColor');
  const colors = page.getByRole('group', { name: 'Colors of this page' });
  const system = await ground();
  await colors.getByRole('button', { name: 'dark' }).click();
  const dark = await ground();
  assert.notEqual(dark, system);
  await page.reload();
  await colors.waitFor();
  assert.equal(await ground(), dark);
  assert.deepEqual(await findFaintText(page), []);
  await colors.getByRole('button', { name: 'as the system' }).click();
  assert.equal(await ground(), system);
  assert.deepEqual(faults, []);
});

browserTest('whose mail content was shown is listed for the commands of a search', async (t) => {
  const { client: open, daemon } = desk.daemon;
  // A test before has drained it.
  const enable = ['backend', 'enable', 'mail2', '--socket', daemon.path('admin.sock')];
  assert.equal((await runWarm(enable)).exit, 0);
  const client = await open();
  for (const user of ['shown@example.org', 'shown@example.org', 'hidden@other.test']) {
    await client.ask({ user, fields: ['fetch', 'text', 'mailbox', 'INBOX', 'all'] });
  }
  const { page, faults } = await desk.signIn(t, 'auditor', '/trail?q=since:24h');
  const part = page.getByRole('region', { name: 'Mail content shown', exact: true });
  await part.getByText(/^Whose mail content was shown: \d+ rows$/).waitFor();
  await visit(page, '/trail?q=effect:content');
  const row = part.getByRole('row').filter({ hasText: 'shown@example.org' });
  await row.filter({ hasText: '2' }).waitFor();
  assert.deepEqual(await findBarriers(page), []);
  await row.getByRole('link', { name: 'shown@example.org' }).click();
  await page.waitForURL(/\/mailbox\/shown%40example.org/);
  const other = await desk.signIn(t, 'limited', '/trail?q=effect:content');
  await other.page.getByText(/^Whose mail content was shown: \d+ rows?$/).waitFor();
  assert.equal(await other.page.getByText('hidden@other.test').count(), 0);
  assert.deepEqual(faults, []);
});
