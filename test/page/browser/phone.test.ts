// Goal: a phone of 390 pixels. The header and the menu take 96 pixels at most, the menu is at the lower edge, a command takes two lines,
// and eight of them are on the first screen of the trail; a bar of the histogram that is touched becomes the time of the search.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { auditRecords } from '../../kit/gate/gateway.js';
import { browserTest, deskAfter, settled, visit } from '../../kit/gate/page-daemon.js';
import { phone } from '../../kit/plain/browser.js';
import { until } from '../../kit/plain/until.js';

const commandAt = (at: number) => (at % 3 === 0 ? ['mailbox delete', 'INBOX'] : ['quota get']);
const desk = deskAfter(Array.from({ length: 12 }, (_, at) => ['alice@example.org', ...commandAt(at)]));

browserTest('the trail on a phone', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor', '/trail', { size: phone });
  await page.locator('[data-row]').nth(11).waitFor();
  await page.locator('.bars').waitFor();
  await settled(page);
  const heights = await page.evaluate<{
    frame: number;
    menuTop: number;
    said: number;
    rows: readonly number[];
  }>(`(() => {
    const of = (selector) => document.querySelector(selector).getBoundingClientRect();
    const menu = of('nav[aria-label=Screens]');
    // On a busy machine the gate may have something to say above them, such as a stall.
    const said = document.querySelector('.problems, .stale')?.getBoundingClientRect().height ?? 0;
    return { frame: of('header').height + menu.height, menuTop: menu.top, said,
      rows: [...document.querySelectorAll('[data-row]')].map((row) => row.getBoundingClientRect().bottom) };
  })()`);
  assert.ok(heights.frame <= 96, `header and menu: ${heights.frame} px`);
  assert.ok(heights.menuTop > phone.height / 2, `the menu is at ${heights.menuTop} px`);
  const shown = heights.rows.filter((bottom) => bottom - heights.said <= heights.menuTop).length;
  assert.ok(shown >= 8, `${shown} commands on the first screen`);

  const bars = page.getByRole('slider', { name: /^Commands found/ });
  await bars.focus();
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  await page.waitForURL(/q=since.*until/);
  await page.getByRole('group', { name: 'Filters' }).getByText('until').waitFor();
  await page.getByRole('button', { name: /^Without since/ }).click();
  await page.waitForURL((url) => !url.search.includes('since'));
  assert.deepEqual(faults, []);
});

browserTest('every screen is reached on a phone, and the one that is shown is marked', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor', '/', { size: phone });
  const menu = page.getByRole('navigation', { name: 'Screens' });
  const titles = await menu.getByRole('link').allTextContents();
  assert.deepEqual(titles, ['Now', 'Trail', 'Requests', 'Mailbox', 'Proof', 'Access']);
  for (const title of titles) {
    await menu.getByRole('link', { name: title, exact: true }).click();
    const here = menu.locator('[aria-current=page]');
    await here.getByText(title, { exact: true }).waitFor();
    await settled(page);
    const { x = -1, width = 0 } = (await here.boundingBox()) ?? {};
    assert.ok(x >= 0 && x + width <= phone.width, `${title} is at ${x} px, ${width} px wide`);
  }
  // One command has no place of its own.
  await page.goBack();
  await menu.getByRole('link', { name: 'Trail', exact: true }).click();
  // Not that of a cause above the rows.
  await page.locator('[data-row]:not(details [data-row])').first().click();
  await page.waitForURL(/trail\/./);
  assert.equal(await menu.locator('[aria-current=page]').textContent(), 'Trail');
  assert.deepEqual(faults, []);
});

browserTest('averages of a team have titles on a phone, each in one line', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor', '/', { size: phone });
  // The first figures are there after ten seconds.
  await page.getByRole('columnheader', { name: 'a second' }).waitFor();
  await settled(page);
  const linesOf = (selector: string): Promise<readonly number[]> =>
    page.evaluate(`[...document.querySelectorAll('${selector}')].filter((each) => each.offsetHeight > 0).map((each) =>
      Math.round(each.clientHeight / parseFloat(getComputedStyle(each).lineHeight)))`);
  for (const selector of ['.chart caption', '.chart thead th'])
    assert.deepEqual(new Set(await linesOf(selector)), new Set([1]), selector);
  assert.deepEqual(faults, []);
});

browserTest('a value of a row becomes the search, and is left out by a minus', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor', '/trail');
  // Not those of the causes above them.
  const rows = page.locator('[data-row]:not(details [data-row])');
  await rows.nth(11).waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('f');
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'without command quota get' }).click();
  await page.getByText('8 commands are left out of the rows and the bars').waitFor();
  assert.equal(await rows.count(), 4);
  assert.match(decodeURIComponent(page.url()), /-command:"quota[+ ]get"/);
  await rows.first().getByRole('button', { name: 'search by the values' }).click();
  await dialog.getByRole('button', { name: 'only outcome denied' }).click();
  await page.waitForURL(/outcome%3Adenied/);
  await rows.nth(3).waitFor();
  assert.deepEqual(faults, []);
});

browserTest('denied and failed on a phone: eight of a cause on the first screen', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor', '/', { size: phone });
  const client = await desk.daemon.client();
  const denied =
    'mailbox delete|A, mailbox rename|A|B, mailbox create|A, mailbox subscribe|A, mailbox unsubscribe|A, ' +
    'purge, force-resync|A, quota recalc, expunge|mailbox|A|all';
  for (const line of denied.split(', ')) {
    const { status } = await client.ask({ user: 'alice@example.org', fields: line.split('|') });
    assert.equal(status, '-NOPERM');
  }
  const rows = page.locator('.troubles [data-row]');
  const cause = rows.filter({ hasText: /× *\d+ commands/ });
  await cause.first().click();
  await rows.nth(8).waitFor();
  await settled(page);
  const shown = await page.evaluate<number>(`(() => {
    const bottom = document.querySelector('nav[aria-label=Screens]').getBoundingClientRect().top;
    const said = document.querySelector('.problems, .stale')?.getBoundingClientRect().height ?? 0;
    return [...document.querySelectorAll('.troubles [data-row]')]
      .filter((row) => row.getBoundingClientRect().bottom - said <= bottom).length;
  })()`);
  assert.ok(shown >= 8, `${shown} failures on the first screen`);
  assert.deepEqual(faults, []);
});

browserTest('what a flood left without records is told, also where no row is found', async (t) => {
  const clients = await Promise.all(Array.from({ length: 10 }, () => desk.daemon.client()));
  // As many as it takes: how fast they are refused is up to the machine.
  await until(async () => {
    const asked = { user: 'alice@example.org', fields: ['mailbox delete', 'A'] };
    await Promise.all(clients.map((client) => client.ask(asked)));
    const records = auditRecords(desk.daemon.daemon);
    return records.some(({ event, action }) => event === 'limit' && action === 'refused');
  }, 'a count of refusals');
  const { page, faults } = await desk.signIn(t, 'auditor', '/trail?q=outcome:denied', { size: phone });
  await page.getByText(/^and \d+ more refusals were counted only: a flood limit; \d+ in all$/).waitFor();
  // Beside the number of the rows, and in each file that is saved.
  await page.getByText(/^the newest \d+ rows, and \d+ refusals only counted$/).waitFor();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Save with proof' }).click();
  const file = readFileSync(await (await download).path(), 'utf8');
  assert.match(file, /^\* \{.*"event":"limit".*"action":"refused","count":\d+/m);
  await page.getByText('dovegate audit check-proof FILE --key KEY', { exact: true }).waitFor();
  await page.getByText(/^\d+ rows saved, and \d+ refusals only counted: rows with a count/).waitFor();
  await visit(page, '/trail?q=policy:nothing');
  await page.getByText('No command matches.').waitFor();
  await page.getByText(/^and \d+ more that were .* no count says whether they match$/).waitFor();
  assert.deepEqual(faults, []);
});
