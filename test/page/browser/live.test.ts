// Goal: what the page says is so now, or it says that it is old. Phases: a backend that stops and comes back; a daemon that is killed and
// started again; the page's own process is killed and started again; a person who is taken out of the configuration. What must not happen:
// a green page over a dead backend, old figures that look new, a page that stays grey when the daemon is back, a sign-in that the daemon's
// end asks for. How long each takes is printed and not asserted.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Page } from 'playwright-core';
import { browserTest, pagePassword, settled, shareDesk, signIn } from '../../kit/gate/page-daemon.js';
import { hasAllAnswers } from '../../kit/plain/browser.js';
import type { RawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

/** One command after the other until it is told to end. */
function keepAsking(client: RawClient): { end: () => Promise<void> } {
  const over = new AbortController();
  const run = (async () => {
    while (!over.signal.aborted) {
      client.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
      await client.readReply().catch(() => undefined);
      await new Promise((resolve) => void setTimeout(resolve, 50));
    }
  })();
  return {
    async end() {
      over.abort();
      await run;
    },
  };
}

const desk = shareDesk();

/** The bar has the state of the daemon: degraded for a minute where a machine that is busy held it up. */
const isShown = (page: Page): Promise<void> =>
  page
    .locator('header')
    .filter({ hasText: /serving|degraded/ })
    .waitFor();

const tellTime = (t: TestContext, what: string, sinceMs: number): void =>
  t.diagnostic(`${what}: ${Math.round(performance.now() - sinceMs)} ms`);

browserTest('a backend stops: the red sentence names it, and goes when it is back', async (t) => {
  const { page, faults } = await desk.signIn(t, 'oncall');
  const asking = keepAsking(await desk.daemon.client());
  t.after(() => asking.end());
  await isShown(page);
  // Where the machine held the daemon up for a moment, that is another problem, behind this one.
  const problems = page.getByRole('region', { name: 'What is wrong' }).filter({ hasText: /mail1/ });
  assert.equal(await problems.count(), 0);

  await page.evaluate(`globalThis.heard = [];
    new MutationObserver(() => {
      for (const { textContent } of document.querySelectorAll('[role=alert]')) heard.push(textContent);
    }).observe(document.body, { subtree: true, childList: true, characterData: true })`);
  const startAgain = await desk.daemon.stopMail1();
  const stoppedMs = performance.now();
  await problems.filter({ hasText: /mail1\s+has been down since \d\d:\d\d[^]*refused/ }).waitFor();
  tellTime(t, 'from the end of mail1 to the red sentence', stoppedMs);
  const sentence = (await problems.innerText()).replace(/\s+/g, ' ');
  assert.match(sentence, /Try: systemctl status dovecot/);
  // It is announced, and then who reads the page finds it once.
  const heard = await page.evaluate<string>('heard.join()');
  assert.match(heard, /mail1 has been down since/);
  const standing = async (): Promise<number> =>
    (await page.locator('body').ariaSnapshot()).split('mail1 has been down since').length - 1;
  await until(async () => (await standing()) === 1, 'one sentence for who reads the page');
  await until(async () => /^\([1-9]\d*\)/.test(await page.title()), 'the number of problems in the title');
  await page.locator('header').filter({ hasText: 'degraded' }).waitFor();
  const backends = page.getByRole('table', { name: 'Backends' });
  await backends.getByRole('row', { name: /mail1[^]*down/ }).waitFor();

  await startAgain();
  const startedMs = performance.now();
  await problems.waitFor({ state: 'detached' });
  tellTime(t, 'from its start to a page without it', startedMs);
  // It serves, or says what else is wrong.
  const others = page.getByRole('region', { name: 'What is wrong' });
  await page.locator('header').filter({ hasText: 'serving' }).or(others).first().waitFor();
  await asking.end();
  assert.deepEqual(faults, []);
});

browserTest('a person who is taken out of the configuration is out of the page', async (t) => {
  const { page } = await desk.signIn(t, 'viewer');
  const { daemon, config } = desk.daemon;
  daemon.write('dovegate.yaml', config.replace(/^ {6}viewer:.*\n/m, ''));
  daemon.signal('SIGHUP');
  await page.getByLabel('Name', { exact: true }).waitFor();
  assert.equal(await page.evaluate('sessionStorage.length'), 0);
});

browserTest('times in UTC: those of a table that nothing else changes are in UTC, too', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor');
  const client = await desk.daemon.client();
  assert.equal((await client.ask({ user: 'alice@example.org', fields: ['user', '*'] })).status, '-NOPERM');
  const at = page.getByRole('table', { name: /^The last commands that were denied/ }).locator('time');
  const shown = (): Promise<string> => at.first().innerText();
  const local = await shown();
  await page.getByRole('button', { name: 'all in UTC' }).click();
  await until(async () => (await shown()) !== local, 'another time in the table');
  assert.equal((await at.first().getAttribute('title'))?.slice(11, 19), await shown());
  assert.deepEqual(faults, []);
});

/** Until it is shown that what is shown is old, with the sentences beside it. */
async function waitForGrey(page: Page): Promise<string> {
  await page.locator('.old').waitFor();
  const isGrey = `getComputedStyle(document.querySelector('main')).filter === 'grayscale(1)'`;
  assert.equal(await page.evaluate(isGrey), true);
  const notice = await page.getByRole('alert').first().innerText();
  assert.match(notice, /No news from dovegate since .*What is below is old/s);
  return notice;
}

browserTest('the daemon is killed: the page turns grey, and is back with the same session', async (t) => {
  const { page } = await desk.signIn(t, 'auditor');
  await isShown(page);
  assert.equal(await page.locator('.old').count(), 0);
  const startAgain = await desk.daemon.killDaemon();
  const killedMs = performance.now();
  const notice = await waitForGrey(page);
  tellTime(t, 'from the kill to a grey page', killedMs);
  // The sentence comes from the process of the page, which knows the cause.
  assert.match(notice, /dovegate does not answer at \S+door\.sock/);

  await startAgain();
  const startedMs = performance.now();
  await page.locator('.old').waitFor({ state: 'detached' });
  tellTime(t, 'from the start to a page with news', startedMs);
  await isShown(page);
  assert.equal(await page.getByRole('navigation', { name: 'Screens' }).count(), 1);
});

browserTest("the page's process is killed: the page turns grey, then asks to sign in", async (t) => {
  const { page, requests } = await desk.signIn(t, 'auditor');
  await isShown(page);
  assert.equal(await page.locator('.old').count(), 0);
  // Scripts of all screens of this role, which come on their own.
  const screens = ['trail', 'exchange', 'mailbox', 'proof', 'access', 'learn', 'requests'];
  const isLoaded = (name: string): boolean => requests.some((each) => each.includes(`/${name}-screen-`));
  await until(() => screens.every(isLoaded) && hasAllAnswers(page), 'the scripts of the other screens');
  const startAgain = await desk.daemon.killPage();
  const killedMs = performance.now();
  assert.match(await waitForGrey(page), /The process of the page (does not answer|ended)/);
  tellTime(t, 'from the kill to a grey page', killedMs);
  await page.keyboard.press('g');
  await page.keyboard.press('t');
  await page.getByRole('searchbox').waitFor();

  await startAgain();
  const startedMs = performance.now();
  // Sessions are in memory only.
  const name = page.getByLabel('Name', { exact: true });
  await name.waitFor();
  tellTime(t, 'from the start to the sign-in', startedMs);
  const said = page.locator('main > .said');
  assert.match(await said.innerText(), /^the page was started again at \d\d:\d\d and ended all sessions;/);
  assert.deepEqual(await said.evaluate((element) => [...element.classList]), ['said']);
  await name.fill('auditor');
  await page.getByLabel('Password', { exact: true }).fill(pagePassword);
  await page.keyboard.press('Enter');
  await isShown(page);
  await page.locator('.old').waitFor({ state: 'detached' });
});

browserTest('a screen whose script does not come says so, and the page can be loaded again', async (t) => {
  const watched = await desk.look(t);
  const { page, faults } = watched;
  let isLost = true;
  await page.route('**/parts/trail-screen-*', (route) => (isLost ? route.abort() : route.continue()));
  await signIn(page, desk.daemon.origin, 'auditor', '/trail');
  await page.getByRole('alert').filter({ hasText: 'could not be loaded' }).waitFor();
  isLost = false;
  await page.getByRole('button', { name: 'Load the page again' }).click();
  await page.getByRole('searchbox').waitFor();
  watched.forget((fault) => fault.includes('trail-screen-'));
  assert.deepEqual(faults, []);
});

browserTest('the same search once more shows a command that came later', async (t) => {
  const { page, faults } = await desk.signIn(t, 'auditor', '/trail');
  await settled(page);
  const client = await desk.daemon.client();
  assert.equal((await client.ask({ user: 'later@example.org', fields: ['quota get'] })).status, '+');
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page.locator('[data-row]').filter({ hasText: 'later@example.org' }).waitFor();
  assert.deepEqual(faults, []);
});

for (const isHeard of [true, false])
  browserTest(
    `the computer is taken to another zone, ${isHeard ? 'and nothing comes any more' : 'and nothing has come'}: all times follow`,
    async (t) => {
      const { context: watched } = await desk.look(t);
      // A context that has a zone of its own keeps it.
      const context = await watched.browser()?.newContext();
      assert.ok(context !== undefined);
      t.after(() => context.close());
      if (!isHeard) await context.route('**/api/now', (route) => route.abort());
      const page = await context.newPage();
      const computer = await context.newCDPSession(page);
      const goTo = (timezoneId: string) => computer.send('Emulation.setTimezoneOverride', { timezoneId });
      await goTo('Europe/Berlin');
      const client = await desk.daemon.client();
      assert.equal((await client.ask({ user: 'alice@example.org', fields: ['quota get'] })).status, '+');
      await signIn(page, desk.daemon.origin, 'auditor', '/trail');
      // Sums above it, which come later, have rows and times that a closed summary hides.
      const table = page.getByRole('table', { name: 'Commands, the newest first' });
      const at = table.locator('[data-row] time').first();
      const before = await at.innerText();
      const bars = page.locator('.bars .legend').filter({ hasText: ' to ' });
      const barsBefore = await bars.innerText();
      const zone = page.locator('.zone');
      await zone.filter({ hasText: 'UTC+1' }).waitFor();

      if (isHeard) {
        const { pageProcess } = desk.daemon;
        t.after(() => pageProcess.signal('SIGCONT'));
        pageProcess.signal('SIGSTOP');
        await page.locator('.all.old').waitFor();
      }
      await goTo('Africa/Nairobi');
      await zone.filter({ hasText: 'UTC+3' }).waitFor();
      await until(async () => (await at.innerText()) !== before, 'another time in the table');
      await until(async () => (await bars.innerText()) !== barsBefore, 'other times at the bars');
    },
  );
