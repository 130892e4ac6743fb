// Goal: what the page says is so now, or it says that it is old. Phases: a backend that stops and comes back; a daemon that is killed and
// started again; a person who is taken out of the configuration. What must not happen: a green page over a dead backend, old figures that
// look new, a page that stays grey when the daemon is back. How long each takes is printed and not asserted.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { noBrowser, openBrowser, openWatched } from '../kit/browser.js';
import { openPageDaemon, pagePassword, signIn } from '../kit/page-daemon.js';
import type { RawClient } from '../kit/raw-client.js';

/** One command after the other until it is told to end. */
function keepAsking(client: RawClient): { end: () => Promise<void> } {
  const over = new AbortController();
  const run = (async () => {
    while (!over.signal.aborted) {
      client.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
      await client.readReply().catch(() => undefined);
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
  })();
  return {
    async end() {
      over.abort();
      await run;
    },
  };
}

const tellTime = (t: TestContext, what: string, sinceMs: number): void =>
  t.diagnostic(`${what}: ${Math.round(performance.now() - sinceMs)} ms`);

test('a backend stops: the red sentence names it, and goes when it is back', {
  skip: noBrowser,
}, async (t) => {
  const daemon = await openPageDaemon(t);
  const browser = await openBrowser(t);
  const { page, faults } = await openWatched(browser, { origin: daemon.origin });
  await signIn(page, daemon.origin, 'oncall');
  const asking = keepAsking(await daemon.client());
  t.after(() => asking.end());
  await page
    .getByText(/serving/)
    .waitFor()
    .catch(async (fault: unknown) => {
      throw new Error(await page.locator('body').innerText(), { cause: fault });
    });
  const problems = page.getByRole('region', { name: 'What is wrong' });
  assert.equal(await problems.count(), 0);

  const startAgain = await daemon.stopMail1();
  const stoppedMs = performance.now();
  await problems.filter({ hasText: /mail1/ }).waitFor({ timeout: 20_000 });
  tellTime(t, 'from the end of mail1 to the red sentence', stoppedMs);
  const sentence = (await problems.innerText()).replace(/\s+/g, ' ');
  assert.match(sentence, /mail1 is down since \d\d:\d\d.*refused/);
  assert.match(sentence, /Try: systemctl status dovecot/);
  assert.match(await page.title(), /^\(1\)/);
  assert.match(await page.locator('header').innerText(), /degraded/);
  await page.keyboard.press('g');
  await page.keyboard.press('b');
  assert.match(await page.locator('[data-row]').first().innerText(), /mail1[^]*down/);

  await startAgain();
  const startedMs = performance.now();
  await problems.waitFor({ state: 'detached', timeout: 40_000 });
  tellTime(t, 'from its start to a page without it', startedMs);
  await page.locator('header').filter({ hasText: 'serving' }).waitFor();
  assert.deepEqual(faults, []);
});

test('the daemon is killed: the page turns grey, and is back by itself, or asks to sign in', {
  skip: noBrowser,
}, async (t) => {
  const daemon = await openPageDaemon(t);
  const browser = await openBrowser(t);
  const { page } = await openWatched(browser, { origin: daemon.origin });
  await signIn(page, daemon.origin, 'auditor');
  await page.getByText(/serving/).waitFor();
  assert.equal(await page.locator('.old').count(), 0);
  const startAgain = await daemon.killDaemon();
  const killedMs = performance.now();
  await page.locator('.old').waitFor({ timeout: 30_000 });
  tellTime(t, 'from the kill to a grey page', killedMs);
  assert.match(
    await page.getByRole('alert').first().innerText(),
    /No news from dovegate since .*What is below is old/s,
  );
  const isGrey = `getComputedStyle(document.querySelector('main')).filter === 'grayscale(1)'`;
  assert.equal(await page.evaluate(isGrey), true);

  await startAgain();
  const startedMs = performance.now();
  // Sessions are in memory only.
  const name = page.getByLabel('Name', { exact: true });
  await name.waitFor({ timeout: 30_000 });
  tellTime(t, 'from the start to the sign-in', startedMs);
  await name.fill('auditor');
  await page.getByLabel('Password', { exact: true }).fill(pagePassword);
  await page.keyboard.press('Enter');
  await page.getByText(/serving/).waitFor();
  assert.equal(await page.locator('.old').count(), 0);
});

test('a person who is taken out of the configuration is out of the page', { skip: noBrowser }, async (t) => {
  const daemon = await openPageDaemon(t);
  const browser = await openBrowser(t);
  const { page } = await openWatched(browser, { origin: daemon.origin });
  await signIn(page, daemon.origin, 'viewer');
  const { config } = daemon;
  daemon.daemon.write('dovegate.yaml', config.replace(/^ {6}viewer:.*\n/m, ''));
  daemon.daemon.signal('SIGHUP');
  await page.getByLabel('Name', { exact: true }).waitFor({ timeout: 20_000 });
  assert.equal(await page.evaluate('sessionStorage.length'), 0);
});
