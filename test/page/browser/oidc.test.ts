// Goal: people sign in at an issuer of OpenID Connect, in a real browser, with nothing but the memory of their tab. Phases: a sign-in and
// where its secrets are; renewal and removal at the issuer; the issuer is down; what a stranger can do with what it took or made up.
// What must not happen: a cookie, a code or token in an address, the history, a log or the journal, a session of somebody else.

import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { auditRecords } from '../../kit/gate/gateway.js';
import { type OidcIssuer, openOidcIssuer } from '../../kit/gate/oidc-issuer.js';
import {
  browserTest,
  configurationOf,
  enter,
  openPageDaemon,
  openStranger,
  settled,
  shareDesk,
} from '../../kit/gate/page-daemon.js';
import { findBarriers } from '../../kit/plain/browser.js';
import { until } from '../../kit/plain/until.js';

const client = { clientId: 'dovegate', clientSecret: 'only-for-the-issuer-4711' };
const carol = { sub: 'id-carol', email: 'carol@example.org', email_verified: true };

/** The 55 minutes until a renewal take 3 s; nothing else waits for so long. */
const shortHour = `const real = setTimeout;
globalThis.setTimeout = (run, ms, ...more) => real(run, ms === 3300000 ? 3000 : ms, ...more);`;

let issuer: OidcIssuer;

const desk = shareDesk(async (owner) => {
  issuer = await openOidcIssuer(owner, { ...client, hasSignOut: true });
  return openPageDaemon(owner, {
    files: { 'oidc.secret': `${client.clientSecret}\n` },
    pageEnv: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(shortHour)}` },
    configuration: (parts) =>
      configurationOf(parts).replace(
        '    people:\n',
        `    oidc: { issuer: "${issuer.address}", client_id: ${client.clientId}, client_secret_file: oidc.secret }
    people:
      carol: { oidc: { email: carol@example.org }, role: audit }
      dora: { oidc: { sub: id-dora }, role: approve }
      leads: { oidc: { group: mail-leads }, role: operate }
`,
      ),
  });
});

const menu = (page: Page) => page.getByRole('navigation', { name: 'Screens' });
const button = (page: Page) => page.getByRole('button', { name: /^Sign in at 127/ });
const said = (page: Page) => page.getByRole('alert');

async function look(t: Parameters<typeof desk.look>[0]) {
  issuer.person = carol;
  issuer.faults = {};
  // What goes to the issuer goes to another origin.
  const watched = await desk.look(t, { origin: undefined });
  watched.page.setDefaultTimeout(20_000);
  return watched;
}

async function signIn(page: Page, path = '/'): Promise<void> {
  await page.goto(`${desk.daemon.origin}${path}`);
  await button(page).click();
}

/** The browser stays at the issuer; resolves to where it would have gone. */
async function stopBefore(page: Page): Promise<string> {
  const { length } = issuer.answers;
  issuer.faults = { holdsBrowsers: true };
  await signIn(page);
  await page.waitForURL(`${issuer.address}/**`);
  issuer.faults = {};
  return issuer.answers[length] ?? assert.fail('nobody came');
}

browserTest('a sign-in: nothing is in a cookie, an address, the history, a log or the journal', async (t) => {
  const { page, context, faults } = await look(t);
  const visited: string[] = [];
  page.on('framenavigated', (frame) => void visited.push(frame.url()));
  await page.goto(`${desk.daemon.origin}/trail?q=user%3Aalice`);
  await button(page).waitFor();
  await settled(page);
  assert.deepEqual(await findBarriers(page), []);
  const asking = page.waitForRequest(/\/authorize\?/);
  const finishing = page.waitForRequest(/\/api\/oidc\/finish$/);
  await button(page).click();
  const asked = new URL((await asking).url()).searchParams;
  assert.equal(asked.get('redirect_uri'), `${desk.daemon.origin}/sign-in`);
  const { state, nonce, verifier, issuer: at }: Record<string, string> = (await finishing).postDataJSON();
  assert.equal(at, issuer.address);
  assert.deepEqual([state, nonce], [asked.get('state'), asked.get('nonce')]);
  assert.ok(verifier !== undefined && !(await asking).url().includes(verifier));
  await menu(page).waitFor();
  // Back where it began.
  assert.equal(page.url(), `${desk.daemon.origin}/trail?q=user%3Aalice`);
  assert.deepEqual(await context.cookies(), []);
  assert.equal(await page.evaluate('document.cookie'), '');
  assert.deepEqual(await page.evaluate('Object.keys(sessionStorage)'), ['dovegate-session']);
  assert.equal(await page.evaluate('localStorage.length'), 0);
  await page.getByText('carol').first().waitFor();

  // The whole history of the tab.
  const devtools = await context.newCDPSession(page);
  const { entries } = await devtools.send('Page.getNavigationHistory');
  const addresses = JSON.stringify(entries);
  for (const secret of [...issuer.secrets, verifier]) assert.ok(!addresses.includes(secret), addresses);
  assert.ok(!addresses.includes('/sign-in'), addresses);

  const { daemon, pageProcess } = desk.daemon;
  const records = auditRecords(daemon).filter(({ action }) => action === 'page-sign-in');
  assert.deepEqual(records.at(-1)?.['args'], [
    'address=127.0.0.1',
    'oidc=carol@example.org',
    'oidc=id-carol',
    'how=oidc',
    `issuer=${issuer.address}`,
    'sub=id-carol',
  ]);
  const session = String(await page.evaluate('sessionStorage.getItem("dovegate-session")'));
  const needles = [...issuer.secrets, verifier, state ?? '', nonce ?? '', session, client.clientSecret];
  const told = pageProcess.grepSecrets(needles).filter((each) => !each.startsWith('oidc.secret:'));
  assert.deepEqual(told, []);
  assert.deepEqual(daemon.grepSecrets(needles), []);
  assert.deepEqual(faults, []);

  // `back` leads to where a new sign-in begins, never to a used answer. A page that still begins may end the next step of the history.
  await page.goBack();
  await menu(page).waitFor();
  await settled(page);
  await page.goForward();
  await menu(page).waitFor();
  assert.deepEqual(faults, []);
});

browserTest('after a sign-out the page says that the issuer knows this browser, and it asks', async (t) => {
  const { page, faults } = await look(t);
  const asked = async (): Promise<string | null> => {
    const asking = page.waitForRequest(/\/authorize\?/);
    await button(page).click();
    const { searchParams } = new URL((await asking).url());
    await menu(page).waitFor();
    return searchParams.get('prompt');
  };
  await page.goto(`${desk.daemon.origin}/`);
  assert.equal(await asked(), null);
  await page.getByRole('button', { name: /^Sign out/ }).click();
  await page.getByText(/may still know this browser; it will ask who signs in here next/).waitFor();
  const link = page.getByRole('link', { name: /^Sign out at 127/ });
  assert.equal(await link.getAttribute('href'), `${issuer.address}/end?client_id=${client.clientId}`);
  await settled(page);
  assert.deepEqual(await findBarriers(page), []);
  assert.equal(await asked(), 'login');
  assert.equal(await page.evaluate('localStorage.getItem("dovegate-issuer-knows")'), '');
  assert.deepEqual(faults, []);
});

browserTest('whom no entry of persons names sees why nothing is there to approve', async (t) => {
  const { page, faults } = await look(t);
  issuer.person = { sub: 'id-dora' };
  await signIn(page, '/requests');
  const why = /Nothing is shown: you may approve nothing, since no one entry of persons names you/;
  await page.getByText(why).waitFor();
  assert.deepEqual(faults, []);
});

browserTest('a renewal goes unseen; who is removed at the issuer is out at the next one', async (t) => {
  const { page } = await look(t);
  await signIn(page);
  await menu(page).waitFor();
  const renewals = (): number => issuer.requests.filter((each) => each === 'POST /token').length;
  const before = renewals();
  await until(() => renewals() > before, 'a renewal');
  await page.reload();
  await menu(page).waitFor();
  issuer.remove(carol.sub);
  await said(page).filter({ hasText: 'the sign-in was not renewed: 127' }).waitFor();
  const records = auditRecords(desk.daemon.daemon);
  assert.ok(records.some(({ args }) => String(args).includes('how=not-renewed')));
  assert.equal(await page.evaluate('sessionStorage.length'), 0);
});

browserTest('while the issuer is down the page says so, and a password works', async (t) => {
  const watched = await look(t);
  const { page, faults } = watched;
  await page.goto(`${desk.daemon.origin}/`);
  const start = await issuer.stop();
  // What it answered last counts for 5 s.
  await page.waitForTimeout(5500);
  await button(page).click();
  await said(page).filter({ hasText: 'the issuer cannot be asked: 127.0.0.1' }).waitFor();
  await page.reload();
  await page.getByText(/It does not work now: the issuer cannot be asked: 127/).waitFor();
  // One reason at once: that of the last attempt.
  await button(page).click();
  await said(page).filter({ hasText: 'the issuer cannot be asked: 127.0.0.1' }).waitFor();
  assert.equal(await page.getByText(/It does not work now/).count(), 0);
  await page.reload();
  await page.getByText(/It does not work now/).waitFor();
  await enter(page, 'oncall');
  await start();
  // A failure counts for 5 s.
  await page.waitForTimeout(5500);
  watched.forget((fault) => /503/.test(fault));
  assert.deepEqual(faults, []);
});

browserTest('a stolen address of the way back opens nothing, in the browser of a thief', async (t) => {
  const victim = await look(t);
  const stolen = await stopBefore(victim.page);
  assert.match(stolen, /\/sign-in#.*code=/);
  const thief = await look(t);
  await thief.page.goto(stolen);
  await said(thief.page).filter({ hasText: 'did not begin in this tab' }).waitFor();
  assert.ok(!thief.page.url().includes('code='));
  // In a tab that began a sign-in of its own, and left it.
  await stopBefore(thief.page);
  await thief.page.goto(stolen);
  await said(thief.page).filter({ hasText: 'does not belong to this sign-in' }).waitFor();
  assert.equal(await menu(thief.page).count(), 0);
  assert.equal(await thief.page.evaluate('sessionStorage.length'), 0);
  // It was for one tab, and that one can still use it.
  await victim.page.goto(stolen);
  await menu(victim.page).waitFor();
});

browserTest('nobody is signed in as somebody else by a link, and no session is ended by one', async (t) => {
  const attacker = await look(t);
  issuer.person = { sub: 'id-mallory', groups: ['mail-leads'] };
  const prepared = await stopBefore(attacker.page);
  const victim = await look(t);
  const lure = await openStranger(t, `<!doctype html><title>lure</title><a href="${prepared}">look</a>`);
  await victim.page.goto(`${lure}/`);
  await victim.page.getByRole('link', { name: 'look' }).click();
  await said(victim.page).filter({ hasText: 'did not begin in this tab' }).waitFor();
  assert.equal(await menu(victim.page).count(), 0);
  // Somebody who is signed in stays who they are.
  await signIn(victim.page);
  await menu(victim.page).waitFor();
  await victim.page.goto(`${lure}/`);
  await victim.page.getByRole('link', { name: 'look' }).click();
  await menu(victim.page).waitFor();
  const { name } = await victim.page.evaluate<{ name: string }>(
    `fetch('/api/me', { headers: { authorization: 'Bearer ' + sessionStorage.getItem('dovegate-session') } }).then((reply) => reply.json())`,
  );
  assert.equal(name, 'carol');
  await attacker.context.close();
});
