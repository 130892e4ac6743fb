// Goal: windows between a phone and a desktop: 900 pixels, and a desktop at 200 %. What must not happen: figures of a backend that are
// found by scrolling sideways only; a name that is broken at its @.
import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { browserTest, deskAfter, settled } from '../../kit/gate/page-daemon.js';
import { findOverflow } from '../../kit/plain/browser.js';

const users = [
  'alice@example.org',
  'bob.longer-name@example.org',
  'ceo@example.org',
  'greta@students.university-hospital.example.org',
  'maximiliane.von-und-zu-hohenstein@students.university-hospital.example.org',
];
const desk = deskAfter(users.map((user) => [user, 'mailbox delete', 'INBOX']));

/** 1800, 1440 and 900 pixels at 200 % have 900, 720 and 450 of their own. */
const widths = [900, 840, 720, 450];

/** What of the screen can be scrolled sideways by itself. */
const findScrolled = (page: Page): Promise<readonly string[]> =>
  page.evaluate(`[...document.querySelectorAll('main *')]
    .filter((each) => ['auto', 'scroll'].includes(getComputedStyle(each).overflowX) && each.scrollWidth > each.clientWidth + 1)
    .map((each) => each.className + ': ' + each.scrollWidth + ' of ' + each.clientWidth)`);

browserTest('Now at 900 pixels and at 200 %', async (t) => {
  const { page, faults } = await desk.signIn(t, 'oncall');
  await page.locator('[data-row]').filter({ hasText: 'mail1' }).first().waitFor();
  for (const width of widths) {
    await page.setViewportSize({ width, height: 700 });
    await settled(page);
    assert.deepEqual([...(await findOverflow(page)), ...(await findScrolled(page))], [], `${width} px`);
  }
  assert.deepEqual(faults, []);
});

browserTest('beside an opened row the list cuts no name, command or outcome', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor', '/trail');
  // Not that of a cause above the rows.
  await page.locator('[data-row]:not(details [data-row])').first().focus();
  await page.keyboard.press('Enter');
  await page.getByRole('complementary', { name: 'Exchange' }).waitFor();
  for (const width of [1440, 1120]) {
    await page.setViewportSize({ width, height: 900 });
    await settled(page);
    const cells = await page.evaluate<readonly [string, boolean][]>(`
      [...document.querySelectorAll('[data-row] .cell')]
        .filter((each) => each.checkVisibility() && each.textContent !== '')
        .map((each) => [each.textContent, each.scrollWidth > each.clientWidth])`);
    // A name whose middle is left out says so itself.
    const cut = cells.filter(([text, isCut]) => isCut && !text.includes('…'));
    assert.deepEqual(cut, [], `${width} px`);
    assert.ok(cells.some(([text]) => text === 'bob.longer-name@example.org'));
    assert.ok(cells.some(([text]) => text === 'mailbox delete INBOX'));
  }
  assert.deepEqual(faults, []);
});

browserTest('names of people and users are in one line', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor', '/trail');
  await page.locator('[data-row]').getByText('alice@example.org').first().waitFor();
  let seen = 0;
  for (const width of [1440, ...widths]) {
    await page.setViewportSize({ width, height: 700 });
    await settled(page);
    const lines = await page.evaluate<readonly [string, number][]>(`
      [...document.querySelectorAll('[data-row] bdi.name')]
        .filter((each) => /^[^ ]+@[^ ]+$/.test(each.textContent) && each.checkVisibility())
        .map((each) => {
          const range = document.createRange();
          range.selectNodeContents(each);
          return [each.textContent, new Set([...range.getClientRects()].map(({ bottom }) => Math.round(bottom))).size];
        })`);
    seen += lines.length;
    const broken = lines.filter(([, count]) => count > 1);
    assert.deepEqual(broken, [], `${width} px`);
  }
  assert.ok(seen >= 20, `${seen} names`);
  assert.deepEqual(faults, []);
});
