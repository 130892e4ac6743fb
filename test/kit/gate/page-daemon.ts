// The built daemon with its page on, two scripted backends behind it, one person of each role, and traffic for every screen to show:
// ordinary commands, commands that wait, refusals, failures, and names that try to be markup in every column that a client or a backend
// fills.

import { createServer } from 'node:http';
import { type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { FleetStatus } from '../../../src/evidence/fleet/shapes.js';
import { hashPassword } from '../../../src/rules/identity/credentials.js';
import {
  type ContextPool,
  createContextPool,
  hasAllAnswers,
  noBrowser,
  openBrowser,
  shareInFile,
  type WatchedPage,
  type WatchOptions,
} from '../plain/browser.js';
import type { Owner } from '../plain/folder.js';
import { freePorts, listenHere } from '../plain/free-ports.js';
import { openRawClient, type RawClient, type RawClientOptions } from '../plain/raw-client.js';
import { projectRoot } from '../plain/root.js';
import { until } from '../plain/until.js';
import { type Authority, makeAuthority } from './certificates.js';
import { type Daemon, runDovegate, startDaemon, startPage } from './daemon.js';
import { createGate, type Gate, type Script } from './script.js';
import { openScriptedDovecot, type ScriptedDovecot } from './scripted-dovecot.js';

/** Texts that try to be something else: markup, a break out of an attribute, a template, other directions, nothing visible, no end. */
export const hostileTexts: readonly string[] = [
  '<img src=x onerror=alert(1)>',
  '"><script>alert(2)</script><p x="',
  `'";\`\${7*7}{{7*7}}<%= 7 %>&lt;b&gt;&#x41;<!-- -->`,
  'javascript:alert(3)//<svg/onload=alert(4)>',
  '\u202Egnp.exe\u2066\u2069 \u05E9\u05DC\u05D5\u05DD \u0645\u0631\u062D\u0628\u0627',
  'a\u200Bb\u200Dc\uFEFFd\u00ADe\u2028f',
  'bell\u0007 escape\u001B[31m newline\n<x-made>second line</x-made>\r\nthird',
  `\u{1F468}\u200D\u{1F469}\u200D\u{1F467} \u{1F1E9}\u{1F1EA} z${'\u0301'.repeat(40)}`,
  'W'.repeat(4096),
  `${'<x-made>'.repeat(120)} and words ${'w '.repeat(300)}`,
  '__proto__',
  '',
];

/** A selector of what hostile texts would make of a page that takes one for markup. */
export const hostileElements =
  'img:not([src^="data:"]):not([src^="/"]), script:not([src]), [onerror], [onload], svg[onload], x-made, iframe, object, embed';

export const pagePassword = 'only-for-the-page';

/** One person of each role; `ourselves` comes by a link, the others by the password. */
export const people = {
  viewer: { role: 'view' },
  oncall: { role: 'operate' },
  auditor: { role: 'audit' },
  limited: { role: 'audit', users: ['*@example.org'] },
  approver: { role: 'approve' },
} as const;
export type PersonName = keyof typeof people;

export interface PageDaemon {
  readonly daemon: Daemon;
  /** `dovegate page`. */
  readonly pageProcess: Daemon;
  /** SIGKILL; resolves to what starts it again. */
  readonly killPage: () => Promise<() => Promise<void>>;
  /** The page's, without a slash at the end. */
  readonly origin: string;
  readonly mail1: ScriptedDovecot;
  /** The text of its configuration. */
  readonly config: string;
  /** Commands with this as their first argument wait here. */
  readonly held: Gate;
  readonly client: () => Promise<RawClient>;
  /** At the listener with TLS and accounts, which have the password of the page. */
  readonly accountClient: (
    account: string,
    shown?: Pick<RawClientOptions, 'certificate'>,
  ) => Promise<RawClient>;
  /** A link of `dovegate page open` for ourselves; it works once. */
  readonly link: () => Promise<string>;
  /** Ends mail1, so that nobody listens there; resolves to what starts it again at the same address. */
  readonly stopMail1: () => Promise<() => Promise<void>>;
  /** SIGKILL; resolves to what starts it again in the same folder with the same ports. */
  readonly killDaemon: () => Promise<() => Promise<void>>;
}

export interface PageDaemonOptions {
  /** More YAML at the top. */
  readonly more?: string;
  readonly script?: Script;
  /** Instead of the usual one, in which names are hostile. */
  readonly configuration?: (parts: ConfigurationParts) => string;
  /** More files beside the configuration. */
  readonly files?: Readonly<Record<string, string>>;
  /** Of the page's process. */
  readonly pageEnv?: Readonly<Record<string, string>>;
  /** The name of the host, for those who are root. */
  readonly host?: string;
}

const backendPassword = 'correct-horse-battery';

const answered =
  (held: Gate): Script =>
  async (command, connection) => {
    if (command.fields.some((field) => field.startsWith('held'))) await held.opened;
    if (command.fields.some((field) => field.startsWith('broken'))) {
      for (const text of hostileTexts) if (text !== '') await connection.log('error', text);
      await connection.status('-NOTFOUND');
      return;
    }
    await connection.row('INBOX', '4');
    await connection.status('+');
  };

export async function openPageDaemon(owner: Owner, options: PageDaemonOptions = {}): Promise<PageDaemon> {
  const authority = makeAuthority({ name: 'page authority' });
  const held = createGate();
  owner.after(() => held.open());
  const script = options.script ?? answered(held);
  let mail1 = await openBackend(authority, script, 0);
  const mail2 = await openBackend(authority, script, 0);
  const { port: mail1Port } = mail1;
  const [port = 0, panelPort = 0, jobsPort = 0] = await freePorts(3);
  const hash = await hashPassword(Buffer.from(pagePassword), 12);
  const { configuration = configurationOf, more = '' } = options;
  const config = configuration({ mail1, mail2, port, panelPort, jobsPort, hash, more });
  const tls = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const files = {
    'ca.pem': authority.certificatePem,
    'mail.password': `${backendPassword}\n`,
    'tls.crt': tls.certificatePem,
    'tls.key': tls.keyPem,
    'status.json': JSON.stringify(hostileFleet(Date.now())),
    ...options.files,
  };
  const named = ['unshare', '--uts', 'sh', '-c', `hostname ${options.host}; exec "$@"`, 'sh'];
  const launcher = options.host === undefined || process.getuid?.() !== 0 ? {} : { launcher: named };
  let daemon = await startDaemon(owner, { config, files, ...launcher });
  const ofPage = { ...launcher, ...(options.pageEnv && { env: options.pageEnv }) };
  let pageProcess = await startPage(owner, daemon, ofPage);
  owner.after(async () => {
    await Promise.all([mail1.close(), mail2.close()]);
  });
  return {
    get daemon() {
      return daemon;
    },
    get pageProcess() {
      return pageProcess;
    },
    async killPage() {
      await pageProcess.kill();
      return async () => {
        pageProcess = await startPage(owner, daemon, ofPage);
      };
    },
    get mail1() {
      return mail1;
    },
    origin: `http://127.0.0.1:${port}`,
    config,
    held,
    client: () => openRawClient({ path: daemon.path('support.sock'), minor: 3, owner }),
    accountClient(user, shown) {
      const auth = { user, password: pagePassword };
      const secured = { tls: 'starttls', ca: authority.certificatePem, serverName: 'localhost' } as const;
      return openRawClient({ port: jobsPort, minor: 2, auth, ...secured, ...shown, owner });
    },
    async link() {
      const { stdout, stderr, exit } = await runDovegate(['page', 'open', '--socket', 'page.sock'], {
        cwd: daemon.folder,
      });
      const [found] = /http\S+#\S+/.exec(stdout.toString()) ?? [];
      if (exit !== 0 || found === undefined)
        throw new Error(`no link: ${exit} ${stdout.toString()} ${stderr}`);
      return found;
    },
    async stopMail1() {
      await mail1.close();
      return async () => {
        mail1 = await openBackend(authority, script, mail1Port);
      };
    },
    async killDaemon() {
      await daemon.kill();
      return async () => {
        daemon = await startDaemon(owner, { config, files, folder: daemon.folder });
      };
    },
  };
}

/** What somebody could put into the status of many gates, in the place of every text. */
function hostileFleet(nowMs: number): FleetStatus {
  const at = new Date(nowMs).toISOString();
  return {
    at,
    store: hostileTexts[0] ?? '',
    records: 9_007_199_254_740_991,
    gates: hostileTexts.map((text, index) => ({
      host: `${index}${text}`,
      journal: text,
      seq: 9_007_199_254_740_991,
      signedSeq: index,
      ...(index > 0 && { lastSeen: at }),
      program: text,
      policies: { [text]: text },
      open: index,
      findings: index % 2,
      differs: index % 3 === 0 ? [] : [text, `policy ${text}`],
    })),
    findings: hostileTexts.map((text) => ({ kind: 'missing', host: text, seq: 1, text: `${text} is gone` })),
    checkpoint: { seq: 1, at, root: '' },
  };
}

function openBackend(authority: Authority, script: Script, port: number): Promise<ScriptedDovecot> {
  return openScriptedDovecot({
    tls: 'starttls',
    certificate: authority.issue({ names: ['localhost', '127.0.0.1'] }),
    password: backendPassword,
    script,
    port,
  });
}

export interface ConfigurationParts {
  readonly mail1: ScriptedDovecot;
  readonly mail2: ScriptedDovecot;
  readonly port: number;
  readonly panelPort: number;
  readonly jobsPort: number;
  readonly hash: string;
  readonly more: string;
}

export function configurationOf({
  mail1,
  mail2,
  port,
  panelPort,
  jobsPort,
  hash,
  more,
}: ConfigurationParts): string {
  const backend = (address: string): string => `{
    address: "${address}", tls: starttls, ca: ca.pem, server_name: localhost, password_file: mail.password,
    shared_namespaces: [], connections: 4 }`;
  const named = Object.entries(people)
    .map(
      ([name, person]) =>
        `      ${name}: { password_hash: "${hash}", role: ${person.role}${'users' in person ? `, users: ${JSON.stringify(person.users)}` : ''} }`,
    )
    .join('\n');
  return `version: 1
listeners:
  support: { unix: support.sock, mode: "0600", policy: support }
  panel:
    tcp: "127.0.0.1:${panelPort}"
    protocol: http
    tls: { mode: off }
    keys:
      modoboa: { hash: "sha256$${'0'.repeat(64)}", policy: support, expires: 2126-12-31 }
  jobs:
    tcp: "127.0.0.1:${jobsPort}"
    tls: { mode: starttls, certificate: tls.crt, key: tls.key }
    accounts:
      migrator: { password_hash: "${hash}", policy: migration }
      asker: { password_hash: "${hash}", policy: support }
mail_users: { characters: "A-Za-z0-9._+=@<>()/-" }
backends:
  mail1: ${backend(mail1.address)}
  mail2: ${backend(mail2.address)}
routes:
  - { users: ["*@other.test"], backend: mail2 }
  - { users: ["*"], backend: mail1 }
policies:
  support:
    users: ["**"]
    except: ["ceo@example.org"]
    allow:
      - quota get
      - mailbox list
      - mailbox status
      - { command: fetch, content: true }
      - { command: search, content: true }
      - { command: expunge, where: { query: { mailbox: [Trash, Junk] } } }
    on_request:
      - { command: mailbox create, approvals: 1, for: 2h, scope: user, uses: 9 }
  migration:
    mode: observe
    users: ["*@example.org"]
    allow: [mailbox list]
persons: { approver: { page: [approver] } }
state: state
audit: { directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, checkpoint_interval: 1s }
admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: "127.0.0.1:${port}"
    unix: page.sock
    fleet: status.json
    approve: true
    people:
      ourselves: { user: "${process.getuid?.() ?? 0}", role: audit }
${named}
${more}`;
}

/** What a client can put into columns: users, names of commands and mailboxes, arguments, reasons, tags. */
export async function sendHostile(client: RawClient): Promise<void> {
  for (const text of hostileTexts) {
    const commands: readonly (readonly [string, ...string[]])[] = [
      ['alice@example.org', 'mailbox status', 'messages', text],
      ['alice@example.org', 'mailbox status', 'messages', `broken${text}`],
      ['alice@example.org', 'mailbox delete', text],
      ['alice@example.org', text, text],
      [`${text}@example.org`, 'quota get'],
      [text, 'quota get'],
      ['zuluq7bob@other.test', 'mailbox status', 'messages', text],
      ['alice@example.org', 'search', 'mailbox', 'INBOX', 'subject', text],
      ['', 'mailbox list', '-A', text],
    ];
    for (const [user, ...fields] of commands) {
      client.send(`\t\tOPTION\tdovegate-reason=ticket ${text.replace(/[\t\n\r\0]/g, ' ').slice(0, 900)}`);
      client.sendCommand({ user, fields });
      await client.readReply();
    }
  }
}

/** A test that needs a browser. */
export function browserTest(title: string, run: (t: TestContext) => Promise<void>): void {
  void test(title, { skip: noBrowser }, run);
}

/** A daemon with its page, and a browser, that the tests of a file share. */
export interface Desk {
  readonly daemon: PageDaemon;
  /** A watched page, up to the end of the test. Another test has its context later: what is changed for good is changed at the page. */
  look(t: TestContext, options?: WatchOptions): Promise<WatchedPage>;
  /** One where somebody has signed in. */
  signIn(t: TestContext, name: string, path?: string, options?: WatchOptions): Promise<WatchedPage>;
}

export function shareDesk(
  open: (owner: Owner) => Promise<PageDaemon> = (owner) => openPageDaemon(owner),
): Desk {
  let shared: { readonly daemon: PageDaemon; readonly pool: ContextPool } | undefined;
  shareInFile(async (owner) => {
    shared = { daemon: await open(owner), pool: createContextPool(await openBrowser(owner)) };
  });
  const now = (): NonNullable<typeof shared> => {
    if (shared === undefined) throw new Error('there is no desk yet');
    return shared;
  };
  const look: Desk['look'] = (t, options) => {
    const { daemon, pool } = now();
    return pool.open(t, { origin: daemon.origin, ...options });
  };
  return {
    get daemon() {
      return now().daemon;
    },
    look,
    async signIn(t, name, path, options) {
      const watched = await look(t, options);
      await signIn(watched.page, now().daemon.origin, name, path);
      return watched;
    },
  };
}

/** A desk whose gate got these commands, each a user and its words. */
export const deskAfter = (commands: readonly (readonly [user: string, ...fields: string[]])[]): Desk =>
  shareDesk(async (owner) => {
    const daemon = await openPageDaemon(owner);
    const client = await daemon.client();
    for (const [user, ...fields] of commands) await client.ask({ user, fields });
    return daemon;
  });

/** Opens the page and signs in as somebody, by the password; until the menu is there. */
export async function signIn(page: Page, origin: string, name: string, path = '/'): Promise<void> {
  await page.goto(`${origin}${path}`);
  await enter(page, name);
}

/** Fills the form of the sign-in, and waits for the screens. */
export async function enter(page: Page, name: string): Promise<void> {
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Password', { exact: true }).fill(pagePassword);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('navigation', { name: 'Screens' }).waitFor();
}

export interface ShownScreen {
  readonly path: string;
  readonly title: string;
  readonly key?: string;
  readonly roles: readonly string[];
  /** Not for somebody who sees some mail users only. */
  readonly isWhole?: true;
}

/** The table of screens: a new screen is in every test that walks it. Its components are not called here. */
export async function screensOf(): Promise<readonly ShownScreen[]> {
  const built = new URL('build/src/page/web/screens.js', projectRoot).href;
  const { screens }: { readonly screens: readonly ShownScreen[] } = await import(built);
  return screens;
}

/** A path with its `:word`s filled in; throws where it has a word that there is no example of. */
export function examplePath(pattern: string, examples: Readonly<Record<string, string>>): string {
  return pattern.replace(/:([a-z]+)/g, (_all, word: string) => {
    const value = examples[word];
    if (value === undefined)
      throw new Error(`${pattern}: what is an example of ":${word}"? Add it to the test`);
    return encodeURIComponent(value);
  });
}

/** Goes to another screen as a click on a link does, without loading the page anew. */
export async function visit(page: Page, path: string): Promise<void> {
  await page.evaluate(
    `(() => { history.pushState(null, '', ${JSON.stringify(path)}); dispatchEvent(new PopStateEvent('popstate')); })()`,
  );
}

/**
 * In the page: until nothing is being read and nothing was drawn for 150 ms; of a page that draws for ever, 3 s. One call, since each
 * one costs as much as what it looks at.
 */
const quiet = `new Promise((resolve, reject) => {
  const isReading = () =>
    document.querySelector('main progress, main [aria-busy=true]') !== null ||
    [...document.querySelectorAll('main [role=status]')].some((each) => /^\\s*(Searching|Reading)/.test(each.textContent));
  let timer, end;
  const over = setTimeout(() => settle(() => reject(new Error('after 120 s something is still being read'))), 120_000);
  const settle = (done) => {
    observer.disconnect();
    for (const each of [timer, end, over]) clearTimeout(each);
    done();
  };
  const restart = () => {
    clearTimeout(timer);
    if (isReading()) {
      clearTimeout(end);
      end = undefined;
      // A text alone may say that it is over.
      timer = setTimeout(restart, 50);
      return;
    }
    end ??= setTimeout(() => settle(resolve), 3000);
    timer = setTimeout(() => (isReading() ? restart() : settle(resolve)), 150);
  };
  const observer = new MutationObserver((changes) => {
    if (changes.some(({ target }) => !(target.closest?.('.number, time, .bar') ?? true))) restart();
  });
  observer.observe(document.body, { childList: true, subtree: true, attributeFilter: ['aria-busy'] });
  restart();
})`;

/** Until nothing was drawn anew for a moment, and nothing is asked for but the stream. */
export async function settled(page: Page): Promise<void> {
  await page.locator('#page').waitFor();
  do {
    await until(() => hasAllAnswers(page), 'answers for the page');
    await page.evaluate(quiet);
  } while (!hasAllAnswers(page));
}

/** A server of somebody else on the same loopback, with the given page; its origin. */
export async function openStranger(owner: Owner, html: string): Promise<string> {
  const head = { 'content-type': 'text/html; charset=utf-8' };
  const server = createServer((_request, response) => void response.writeHead(200, head).end(html));
  owner.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${await listenHere(server)}`;
}
