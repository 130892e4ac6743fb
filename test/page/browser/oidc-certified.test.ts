// Goal: people sign in at an issuer that nobody here wrote (node-oidc-provider, which is certified), in both of its habits: claims in the
// ID token, and claims that must be asked for. Phases: a sign-in with consent, in its own forms; a renewal; signing out here, then there.
// What must not happen: a sign-in of somebody whom the page does not name; a next sign-in without a question.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type Configuration, Provider } from 'oidc-provider';
import type { Page } from 'playwright-core';
import { auditRecords } from '../../kit/gate/gateway.js';
import { browserTest, configurationOf, openPageDaemon, shareDesk } from '../../kit/gate/page-daemon.js';
import type { Owner } from '../../kit/plain/folder.js';
import { listenHere } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';

const client = { id: 'dovegate', secret: 'only-for-the-certified-issuer' };

/** A renewal comes after 3 s in the place of 55 minutes. */
const shortHour = `const real = setTimeout;
globalThis.setTimeout = (run, ms, ...more) => real(run, ms === 3300000 ? 3000 : ms, ...more);`;

interface CertifiedIssuer {
  readonly address: string;
  readonly grants: readonly string[];
  /** A new one at the same address, with the same keys. Call when the page's address is known. */
  open(origin: string, conformIdTokenClaims: boolean): void;
}

async function openCertified(owner: Owner): Promise<CertifiedIssuer> {
  let answer: ReturnType<Provider['callback']> | undefined;
  const server = createServer((request, response) => {
    if (answer === undefined) response.writeHead(503).end();
    else void answer(request, response);
  });
  const port = await listenHere(server);
  owner.after(() => {
    server.close().closeAllConnections();
  });
  const address = `http://127.0.0.1:${port}`;
  const grants: string[] = [];
  const settings = (origin: string, conformIdTokenClaims: boolean): Configuration => ({
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        redirect_uris: [`${origin}/sign-in`],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
      },
    ],
    claims: { email: ['email', 'email_verified'], groups: ['groups'] },
    conformIdTokenClaims,
    cookies: { keys: ['a key of the test'] },
    issueRefreshToken: () => Promise.resolve(true),
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        email: `${id}@example.org`,
        email_verified: id === 'carol',
        groups: id === 'erin' ? ['mail-leads'] : [],
      }),
    }),
  });
  return {
    address,
    grants,
    open(origin, conformIdTokenClaims) {
      const provider = new Provider(address, settings(origin, conformIdTokenClaims));
      provider.on('grant.success', ({ oidc }) => void grants.push(String(oidc.params?.['grant_type'])));
      answer = provider.callback();
    },
  };
}

let issuer: CertifiedIssuer;

const desk = shareDesk(async (owner) => {
  issuer = await openCertified(owner);
  return openPageDaemon(owner, {
    files: { 'oidc.secret': `${client.secret}\n` },
    pageEnv: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(shortHour)}` },
    configuration: (parts) =>
      configurationOf(parts).replace(
        '    people:\n',
        `    oidc: { issuer: "${issuer.address}", client_id: ${client.id}, client_secret_file: oidc.secret }
    people:
      carol: { oidc: { email: carol@example.org }, role: audit }
      dora: { oidc: { email: dora@example.org }, role: audit }
      leads: { oidc: { group: mail-leads }, role: operate }
`,
      ),
  });
});

const menu = (page: Page) => page.getByRole('navigation', { name: 'Screens' });
const begin = (page: Page) => page.getByRole('button', { name: /^Sign in at 127/ });

function lastSignIn(): unknown {
  const records = auditRecords(desk.daemon.daemon).filter(({ action }) => action === 'page-sign-in');
  return records.at(-1)?.['args'];
}

async function enterAs(page: Page, name: string): Promise<void> {
  await begin(page).click();
  await page.locator('[name=login]').fill(name);
  await page.locator('[name=password]').fill('any');
  await page.getByRole('button', { name: 'Sign-in' }).click();
  await page.getByRole('button', { name: 'Continue' }).click();
}

async function look(t: Parameters<typeof desk.look>[0]): Promise<Page> {
  const { page } = await desk.look(t, { origin: undefined });
  // The issuer's own forms ask for fonts elsewhere.
  const isElsewhere = ({ hostname }: URL) => hostname !== '127.0.0.1' && hostname !== 'localhost';
  await page.route(isElsewhere, (route) => route.abort());
  page.setDefaultTimeout(20_000);
  await page.goto(`${desk.daemon.origin}/`);
  return page;
}

const habits = Object.entries({ 'in the ID token': false, 'asked for': true });

for (const [habit, conform] of habits)
  browserTest(`claims ${habit}: consent, a renewal, and signing out at both`, async (t) => {
    issuer.open(desk.daemon.origin, conform);
    const page = await look(t);
    await enterAs(page, 'carol');
    await menu(page).waitFor();
    const who = ['oidc=carol@example.org', 'oidc=carol', 'how=oidc'];
    const args = ['address=127.0.0.1', ...who, `issuer=${issuer.address}`, 'sub=carol'];
    assert.deepEqual(lastSignIn(), args);
    const renewals = (): number => issuer.grants.filter((each) => each === 'refresh_token').length;
    const before = renewals();
    await until(() => renewals() > before + 1, 'two renewals');
    await page.reload();
    await menu(page).waitFor();
    await page.getByRole('button', { name: /^Sign out/ }).click();
    // It knows this browser, and asks nevertheless.
    await begin(page).click();
    await page.locator('[name=login]').waitFor();
    await page.goto(`${desk.daemon.origin}/`);
    await page.getByRole('link', { name: /^Sign out at 127/ }).click();
    await page.getByRole('button', { name: 'Yes, sign me out' }).click();
    await page.getByText('Sign-out Success').first().waitFor();
  });

// The session that the last of them leaves is renewed for ever, so that renewals cannot be counted any more.
for (const [habit, conform] of habits)
  browserTest(`claims ${habit}: an unverified address is nobody, a group is somebody`, async (t) => {
    issuer.open(desk.daemon.origin, conform);
    const page = await look(t);
    await enterAs(page, 'dora');
    await page.getByRole('alert').filter({ hasText: 'admin.page.people has nobody' }).waitFor();
    const other = await look(t);
    await enterAs(other, 'erin');
    await menu(other).waitFor();
    assert.ok(String(lastSignIn()).includes('group=mail-leads'));
  });
