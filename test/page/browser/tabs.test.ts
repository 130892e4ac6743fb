// Goal: a browser gives one address six connections, and each tab holds a stream, so that the requests of one more wait; and a new tab has
// the session of the others, up to its end in one of them. What must not happen: a sign-in without fields, or an empty page, that does not
// say what it waits for and what to do; a tab that takes one of two persons' sessions by itself, or goes on after a sign-out in another.
import assert from 'node:assert/strict';
import { browserTest, enter, settled, shareDesk, signIn } from '../../kit/gate/page-daemon.js';

const desk = shareDesk();

browserTest('while no connection is free, a tab says why, and goes on by itself', async (t) => {
  const { page } = await desk.signIn(t, 'oncall');
  const free: (() => void)[] = [];
  const hold = async (path: string): Promise<void> => {
    await page.route(`**${path}`, async (route) => {
      await new Promise<void>((resolve) => free.push(resolve));
      await route.continue();
    });
  };
  const late = page.getByRole('status').getByText(/more than five tabs of this browser, close some/);
  await hold('/api/me');
  await page.reload();
  await late.waitFor();
  for (const go of free.splice(0)) go();
  await settled(page);
  await late.waitFor({ state: 'detached' });
  await hold('/api/ways');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await late.waitFor();
  for (const go of free.splice(0)) go();
  await page.getByLabel('Name', { exact: true }).waitFor();
  await late.waitFor({ state: 'detached' });
});

browserTest('a new tab has the session of the others, and a sign-out ends it in all', async (t) => {
  const { page, context, faults } = await desk.signIn(t, 'oncall');
  const second = await context.newPage();
  await second.goto(new URL('/proof', page.url()).href);
  await second.getByRole('navigation', { name: 'Screens' }).waitFor();
  assert.equal(new URL(second.url()).pathname, '/proof');
  // A change names the person.
  await page.getByRole('button', { name: 'Lock \u2026' }).click();
  await page.getByText('You act as oncall.').waitFor();
  await page.keyboard.press('Escape');
  await second.getByRole('button', { name: 'Sign out' }).click();
  for (const each of [page, second]) await each.getByText('You are signed out.').waitFor();
  // Nobody is there to ask.
  await second.reload();
  await second.getByLabel('Name', { exact: true }).waitFor();
  await settled(page);
  assert.equal(await second.getByRole('navigation', { name: 'Screens' }).count(), 0);
  await second.close();
  assert.deepEqual(faults, []);
});

browserTest('where a browser has sessions of two persons, a new tab asks which', async (t) => {
  const { page: first, context } = await desk.look(t);
  const [second, third] = [await context.newPage(), await context.newPage()];
  await second.goto(desk.daemon.origin);
  await second.getByLabel('Name', { exact: true }).waitFor();
  await signIn(first, desk.daemon.origin, 'auditor');
  await enter(second, 'oncall');
  await third.goto(desk.daemon.origin);
  await third.getByRole('button', { name: 'auditor' }).waitFor();
  await third.getByRole('button', { name: 'oncall' }).click();
  await third.getByText('oncall', { exact: true }).first().waitFor();
  await third.getByRole('navigation', { name: 'Screens' }).waitFor();
  // Who signed out in a tab is not made somebody else there.
  await third.getByRole('button', { name: 'Sign out' }).click();
  for (const each of [second, third]) await each.getByText('You are signed out.').waitFor();
  await third.reload();
  await third.getByLabel('Name', { exact: true }).waitFor();
  await settled(first);
  assert.equal(await third.getByRole('navigation', { name: 'Screens' }).count(), 0);
  assert.equal(await first.getByRole('navigation', { name: 'Screens' }).count(), 1);
  for (const each of [second, third]) await each.close();
});
