// `npm run lab -- screenshots [-- FOLDER]`: pictures of every screen, of a real daemon with staged traffic of a help desk, a panel and a
// migration. Without a folder: those that the documentation shows, into docs/screens. With one: all, at both widths, light and dark.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { auditRecords } from '../../kit/gate/gateway.js';
import {
  type ConfigurationParts,
  examplePath,
  openPageDaemon,
  type PageDaemon,
  screensOf,
  settled,
  signIn,
  visit,
} from '../../kit/gate/page-daemon.js';
import type { Script } from '../../kit/gate/script.js';
import { openBrowser, openWatched, schemes, sizes } from '../../kit/plain/browser.js';
import type { Owner } from '../../kit/plain/folder.js';
import type { RawClient } from '../../kit/plain/raw-client.js';
import { projectRoot } from '../../kit/plain/root.js';
import { shrinkPng } from '../../kit/plain/small-png.js';

const [folder = fileURLToPath(new URL('docs/screens/', projectRoot))] = process.argv.slice(2);
const isForDocs = process.argv.length === 2;
const trafficMs = 45_000;

const ends: (() => void | Promise<void>)[] = [];
const owner: Owner = { after: (run) => void ends.push(run) };

/** Answers as a Dovecot that is well, a little late; a mailbox "Newsletter" takes long, and one user has no room left. */
const script: Script = async (command, connection) => {
  await sleep(3 + Math.random() * 25);
  const words = command.fields.join(' ');
  if (words.includes('Newsletter')) await Promise.race([sleep(600_000), connection.closed]);
  if (command.user.startsWith('frank')) {
    const text = 'Error: Mailbox Archive: Quota exceeded (mailbox for user is full)';
    await connection.log('error', `doveadm(${command.user}): ${text}`);
    await connection.status('-NOTPOSSIBLE');
    return;
  }
  if (command.fields[0] === 'quota get') {
    await connection.row('User quota', 'STORAGE', '1814', '10240', '17');
    await connection.row('User quota', 'MESSAGE', '4211', '-', '0');
  } else if (words.startsWith('mailbox list'))
    for (const name of ['INBOX', 'Archive', 'Sent']) await connection.row(name);
  else await connection.row('INBOX', '42');
  await connection.status('+');
};

function configuration({ mail1, mail2, port, panelPort, jobsPort, hash }: ConfigurationParts): string {
  const backend = (address: string): string =>
    `{ address: "${address}", tls: starttls, ca: ca.pem, server_name: localhost, password_file: mail.password, shared_namespaces: [], connections: 6 }`;
  return `version: 1
listeners:
  support: { unix: support.sock, mode: "0600", policy: helpdesk }
  panel:
    tcp: "127.0.0.1:${panelPort}"
    protocol: http
    tls: { mode: off }
    keys:
      modoboa: { hash: "sha256$${'5a'.repeat(32)}", policy: billing, expires: 2027-06-30 }
      graph: { hash: "sha256$${'7c'.repeat(32)}", policy: billing, expires: 2027-03-31 }
  desk:
    tcp: "127.0.0.1:${jobsPort}"
    tls: { mode: starttls, certificate: tls.crt, key: tls.key }
    accounts:
      anna: { password_hash: "${hash}", policy: helpdesk }
      bert: { password_hash: "${hash}", policy: helpdesk }
      billing: { password_hash: "${hash}", policy: billing }
      migrator: { password_hash: "${hash}", policy: migration }
backends:
  mail1: ${backend(mail1.address)}
  mail2: ${backend(mail2.address)}
routes:
  - { users: ["*@example.net"], backend: mail2 }
  - { users: ["*"], backend: mail1 }
policies:
  helpdesk:
    users: ["*@example.com", "*@example.net"]
    except: ["ceo@example.com"]
    allow:
      - quota get
      - mailbox list
      - mailbox status
      - { command: search, content: true }
      - { command: fetch, where: { field: [uid, guid, flags, size.physical] } }
      - { command: expunge, where: { query: { mailbox: [Trash, Junk] } }, reason: required }
  billing:
    users: ["*@example.com", "*@example.net"]
    allow: [quota get, mailbox status]
  migration:
    mode: observe
    users: ["*@example.com"]
    allow: [mailbox list, mailbox status]
state: state
audit: { directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, checkpoint_interval: 20s }
admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: "127.0.0.1:${port}"
    people:
      alice: { password_hash: "${hash}", role: audit }
      oncall: { password_hash: "${hash}", role: operate }
`;
}

const names = ['dora', 'emil', 'greta', 'hans', 'ida', 'jonas', 'klara', 'lena', 'marta', 'nils'];
function pick<T>(all: readonly T[], at: number): T {
  const found = all[at % all.length];
  if (found === undefined) throw new Error('nothing to pick from');
  return found;
}

async function send(client: RawClient, user: string, fields: string[], reason?: string): Promise<void> {
  if (reason !== undefined) client.send(`\t\tOPTION\tdovegate-reason=${reason}`);
  await client.ask({ user, fields }).catch(() => undefined);
}

/** One person at work until the end. */
async function work(client: RawClient, seed: number, commands: string[][], untilMs: number): Promise<void> {
  for (let at = seed; performance.now() < untilMs; at += 7) {
    const domain = at % 3 === 0 ? 'example.net' : 'example.com';
    await send(client, `${pick(names, at)}@${domain}`, pick(commands, at));
    await sleep(40 + 120 * Math.abs(Math.sin(performance.now() / 9000 + seed)));
  }
}

async function stage(page: PageDaemon): Promise<void> {
  const [anna, bert, billing, migrator, slow] = await Promise.all(
    ['anna', 'bert', 'billing', 'migrator', 'bert'].map((account) => page.accountClient(account)),
  );
  if (!anna || !bert || !billing || !migrator || !slow) throw new Error('no clients');
  const newsletter = ['search', 'mailbox', 'Newsletter', 'savedbefore', '30d'];
  slow.sendCommand({ user: 'olga@example.com', fields: newsletter });
  const desk = [
    ['quota get'],
    ['mailbox status', 'messages vsize', 'INBOX'],
    ['mailbox list'],
    ['fetch', 'uid flags', 'mailbox', 'INBOX', '1:5'],
  ];
  const migration = [
    ['mailbox list'],
    ['mailbox create', 'Archive/2026'],
    ['fetch', 'uid guid', 'mailbox', 'INBOX', 'all'],
    ['quota recalc'],
  ];
  const untilMs = performance.now() + trafficMs;
  await Promise.all([
    work(anna, 1, desk, untilMs),
    work(bert, 4, desk, untilMs),
    work(billing, 2, [['quota get'], ['mailbox status', 'vsize', 'INBOX']], untilMs),
    work(migrator, 3, migration, untilMs),
  ]);
  const trash = ['expunge', 'mailbox', 'Trash', 'savedbefore', '30d'];
  await send(anna, 'dora@example.com', trash, 'ticket 4711: mailbox is full');
  await send(anna, 'ceo@example.com', ['fetch', 'text', 'mailbox', 'INBOX', '1']);
  await send(bert, 'dora@example.com', ['mailbox delete', 'Archive']);
  await send(bert, 'dora@example.com', ['search', 'mailbox', 'INBOX', 'subject', 'invoice 2026']);
  await send(anna, 'frank@example.com', ['mailbox status', 'messages', 'Archive']);
  await send(billing, 'emil@example.org', ['quota get']);
}

interface Picture {
  readonly name: string;
  readonly path: string;
}

async function take(page: Page, name: string): Promise<number> {
  await page
    .getByText(/^(Searching|Reading the journal|Reading the records) …$/)
    .first()
    .waitFor({ state: 'detached' });
  await settled(page);
  await page.evaluate('document.activeElement?.blur()');
  const { height } = page.viewportSize() ?? { height: 0 };
  const whole = await page.evaluate<number>('document.documentElement.scrollHeight');
  const width = page.viewportSize()?.width ?? 0;
  const clip = { x: 0, y: 0, width, height: Math.min(Math.max(whole, 400), isForDocs ? height * 1.4 : 4000) };
  const taken = await page.screenshot({ clip, fullPage: true, animations: 'disabled' });
  // Pictures of the documentation are small; the others have all their colours.
  const png = isForDocs ? shrinkPng(taken) : taken;
  writeFileSync(join(folder, `${name}.png`), png);
  return png.length;
}

/** Of the documentation: those that a page names. */
const shownInDocs = isForDocs ? readFileSync(new URL('docs/page.md', projectRoot), 'utf8') : '';
const isShown = (name: string, size: string, scheme: string): boolean =>
  !isForDocs || shownInDocs.includes(`screens/${name}-${size}-${scheme}.png`);

async function main(): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const daemon = await openPageDaemon(owner, { configuration, script, host: 'gate1.example.com' });
  await stage(daemon);
  const browser = await openBrowser(owner);
  const one = auditRecords(daemon.daemon).find(
    ({ event, command, decision }) => event === 'admission' && command === 'expunge' && decision === 'allow',
  );
  const examples = { id: String(one?.['id']), user: 'dora@example.com', policy: 'migration' };
  let bytes = 0;
  const each = async (person: string, pictures: () => Promise<readonly Picture[]>): Promise<void> => {
    for (const [size, viewport] of Object.entries(sizes))
      for (const scheme of schemes) {
        const { page, context, faults } = await openWatched(browser, { size: viewport, scheme });
        await signIn(page, daemon.origin, person);
        for (const { name, path } of await pictures()) {
          if (!isShown(name, size, scheme)) continue;
          await visit(page, path);
          bytes += await take(page, `${name}-${size}-${scheme}`);
        }
        for (const fault of faults) console.error(`${person} ${size} ${scheme}: ${fault}`);
        await context.close();
      }
  };
  const nameOf = (path: string, title: string): string =>
    path === '/' ? 'now' : title.toLowerCase().replace(/[^a-z]+/g, '-');
  const all = async (): Promise<readonly Picture[]> =>
    (await screensOf())
      .filter(({ roles }) => roles.includes('audit'))
      .map(({ path, title }) => ({ name: nameOf(path, title), path: examplePath(path, examples) }));
  await each('alice', all);
  // What somebody sees who was woken up.
  await daemon.stopMail1();
  const waiting = await Promise.all([1, 2, 3].map(() => daemon.accountClient('anna')));
  for (const client of waiting) client.sendCommand({ user: 'dora@example.com', fields: ['quota get'] });
  await sleep(4000);
  await each('oncall', () => Promise.resolve([{ name: 'trouble-now', path: '/' }]));
  console.log(`${folder}: ${(bytes / 1024).toFixed(0)} KiB`);
}

try {
  await main();
} finally {
  for (const end of ends) await end();
}
process.exit();
