// Goal: a browser gives one address six connections, and each tab holds a stream, so that the requests of one more wait. What must not
// happen: a sign-in without fields, or an empty page, that does not say what it waits for and what to do.
import { browserTest, settled, shareDesk } from '../../kit/gate/page-daemon.js';

const desk = shareDesk();

browserTest(
  'while no connection is free, a tab says that others may be in the way, and goes on by itself',
  async (t) => {
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
  },
);
