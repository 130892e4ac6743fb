// The distribution's Chromium, driven by playwright-core. Every page that is opened here is watched: errors of the console and of scripts,
// violations of the content policy, dialogs, popups, requests that failed or went to another host. A test asks for the list and wants it
// empty.

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { before } from 'node:test';
import { type Browser, type BrowserContext, chromium, type Page, type Request } from 'playwright-core';
import { fileOwner } from './file-owner.js';
import type { Owner } from './folder.js';

/** Debian's; scripts/packages.sh installs it for the stage `page`. Nothing is ever downloaded by playwright-core. */
export const chromiumPath = '/usr/bin/chromium';

/** For `test(..., { skip })`: why there is no browser, or false. */
export const noBrowser: string | false = existsSync(chromiumPath)
  ? false
  : `${chromiumPath} is missing: scripts/packages.sh page installs it as root`;

/** Opens what all tests of a file share, if there is a browser; its owner ends after the last of them. */
export function shareInFile(open: (owner: Owner) => Promise<void>): void {
  if (noBrowser !== false) return;
  const owner = fileOwner();
  before(() => open(owner));
}

/** One for all tests of a file: a start takes a third of a second of a processor. */
export async function openBrowser(owner: Owner): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: chromiumPath,
    // The sandbox of Chromium refuses to run as root.
    args: [
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--disable-gpu',
      '--in-process-gpu',
      '--disable-dev-shm-usage',
    ],
  });
  owner.after(() => browser.close());
  return browser;
}

export const phone = { width: 390, height: 844 } as const;
export const desktop = { width: 1440, height: 900 } as const;
export const sizes = { phone, desktop } as const;
export const schemes = ['light', 'dark'] as const;

export interface WatchedPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What must not happen and did, as sentences, oldest first. */
  readonly faults: readonly string[];
  /** Forgets the faults that `isExpected` accepts: a test that stops a daemon causes failed requests. */
  forget(isExpected: (fault: string) => boolean): void;
  /** Every request that was sent: method and address. */
  readonly requests: readonly string[];
}

export interface WatchOptions {
  readonly size?: { readonly width: number; readonly height: number };
  readonly scheme?: 'light' | 'dark';
  /** Requests to other origins than this are faults. */
  readonly origin?: string | undefined;
}

/** Reports violations of the policy on the console, where the page is watched; those of frames too. */
const reportViolations = `addEventListener('securitypolicyviolation', (event) => {
  console.error('CSP: ' + event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sourceFile + ':' + event.lineNumber);
}, true);`;

/** Default limit of everything that a test waits for in the browser. It only ends a test that hangs. */
const limitMs = 120_000;

/** Requests of each watched page that are not answered in full. The stream `/api/now` never ends and is left out. */
const openRequests = new WeakMap<Page, Set<Request>>();

/** Whether all requests of this page are answered. The page comes from `openWatched`. */
export function hasAllAnswers(page: Page): boolean {
  return openRequests.get(page)?.size === 0;
}

/** A page in a context of its own: it shares no storage with another. */
export async function openWatched(browser: Browser, options: WatchOptions = {}): Promise<WatchedPage> {
  return watchPage(await openContext(browser, options), options);
}

async function openContext(browser: Browser, options: WatchOptions): Promise<BrowserContext> {
  const context = await browser.newContext({
    viewport: options.size ?? desktop,
    colorScheme: options.scheme ?? 'light',
    // One zone for everybody: times on the page are local.
    timezoneId: 'Europe/Berlin',
    locale: 'en-GB',
    serviceWorkers: 'block',
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(limitMs);
  await context.addInitScript(reportViolations);
  return context;
}

/**
 * Contexts that are used by one test after the other. What a site stored there is cleared in between; the cached code of the page stays,
 * which makes the next one half as dear.
 */
export interface ContextPool {
  /** A page in a context that no other test uses until `owner` ends. */
  open(owner: Owner, options: WatchOptions): Promise<WatchedPage>;
}

export function createContextPool(browser: Browser): ContextPool {
  const idle = new Map<string, BrowserContext[]>();
  return {
    async open(owner, options) {
      const { size = desktop, scheme = 'light' } = options;
      const kind = `${size.width}x${size.height} ${scheme}`;
      const context = idle.get(kind)?.pop() ?? (await openContext(browser, options));
      const watched = await watchPage(context, options);
      owner.after(async () => {
        // A test may have closed the page or its context.
        const isEmpty = await emptyContext(watched).catch(() => false);
        if (isEmpty) idle.set(kind, [...(idle.get(kind) ?? []), context]);
        else await context.close();
      });
      return watched;
    },
  };
}

async function emptyContext({ page, context, requests }: WatchedPage): Promise<boolean> {
  const devtools = await context.newCDPSession(page);
  const origins = new Set(requests.map((each) => new URL(each.slice(each.indexOf(' ') + 1)).origin));
  for (const origin of origins)
    if (origin !== 'null')
      await devtools.send('Storage.clearDataForOrigin', { origin, storageTypes: 'cookies,local_storage' });
  await context.clearCookies();
  await context.clearPermissions();
  for (const each of context.pages()) await each.close();
  return true;
}

async function watchPage(context: BrowserContext, options: WatchOptions): Promise<WatchedPage> {
  const page = await context.newPage();
  const faults: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => {
    const type = message.type();
    if (type === 'error' || type === 'warning' || type === 'assert')
      faults.push(`console ${type}: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => faults.push(`error of a script: ${error.stack ?? error.message}`));
  page.on('crash', () => faults.push('the page crashed'));
  page.on('dialog', (dialog) => {
    faults.push(`dialog ${dialog.type()}: ${dialog.message()}`);
    void dialog.dismiss().catch(() => undefined);
  });
  page.on('popup', (popup) => faults.push(`popup: ${popup.url()}`));
  const asked = new Set<Request>();
  openRequests.set(page, asked);
  page.on('requestfinished', (request) => void asked.delete(request));
  page.on('request', (request) => {
    if (!request.url().endsWith('/api/now')) asked.add(request);
    requests.push(`${request.method()} ${request.url()}`);
    const { origin } = new URL(request.url());
    if (options.origin !== undefined && origin !== options.origin && origin !== 'null')
      faults.push(`request to another origin: ${request.url()}`);
  });
  page.on('requestfailed', (request) => {
    asked.delete(request);
    const text = request.failure()?.errorText ?? '';
    // A stream that is read with fetch is aborted when its screen goes.
    if (text !== 'net::ERR_ABORTED') faults.push(`request failed: ${request.url()} ${text}`);
  });
  return {
    page,
    context,
    faults,
    requests,
    forget(isExpected) {
      const kept = faults.filter((fault) => !isExpected(fault));
      faults.splice(0, faults.length, ...kept);
    },
  };
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly impact: string | null;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
}

/** All but the rows of a long table that come after its first. */
const firstRows = `{ exclude: [['tbody tr:nth-child(n+20)']] }`;

/** Findings of axe-core of any level about what is shown now, one line for each element. */
export function findBarriers(page: Page, rows: 'all rows' | 'first rows' = 'all rows'): Promise<string[]> {
  return runAxe(page, rows === 'all rows' ? 'document' : firstRows, {});
}

/** The same for what depends on colours. Of a long table it looks at the first rows only. */
export function findFaintText(page: Page): Promise<string[]> {
  return runAxe(page, firstRows, { runOnly: ['color-contrast', 'link-in-text-block'] });
}

const isGrey = async (page: Page): Promise<boolean> => (await page.locator('.old').count()) > 0;

async function runAxe(
  page: Page,
  what: string,
  more: { readonly runOnly?: readonly string[] },
): Promise<string[]> {
  // The debugger evaluates it: the page's own policy stays as it is.
  const isThere = await page.evaluate<boolean>('"axe" in globalThis');
  if (!isThere) await page.evaluate(axeSource);
  const options = JSON.stringify({ resultTypes: ['violations'], ...more });
  let violations: AxeResult['violations'] = [];
  // What is old is shown grey: on a busy machine a page is so for a moment.
  for (let left = 5; left > 0; left -= 1) {
    const wasGrey = await isGrey(page);
    ({ violations } = await page.evaluate<AxeResult>(`axe.run(${what}, ${options})`));
    if (violations.length === 0 || !(wasGrey || (await isGrey(page)))) break;
    await page.locator('.old').waitFor({ state: 'detached' });
  }
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(
      ({ html, failureSummary = '' }) =>
        `${id} (${impact}): ${html.slice(0, 200)} ${failureSummary.replace(/\s+/g, ' ').slice(0, 200)}`,
    ),
  );
}

/** Elements that reach beyond the window to the right, outside of what scrolls by itself; empty when the page does not scroll sideways. */
export async function findOverflow(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`(() => {
    const width = document.documentElement.clientWidth;
    if (document.scrollingElement.scrollWidth <= width) return [];
    const scrolls = (element) => {
      for (let at = element.parentElement; at !== null && at !== document.body; at = at.parentElement)
        if (['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(at).overflowX)) return true;
      return false;
    };
    const found = [...document.body.querySelectorAll('*')]
      .filter((each) => {
        const { left, right } = each.getBoundingClientRect();
        return Math.max(right, left + each.scrollWidth) > width + 0.5 && !scrolls(each);
      })
      .map((each) => each.outerHTML.slice(0, 160));
    return ['the page is ' + document.scrollingElement.scrollWidth + ' wide, the window ' + width, ...found.slice(0, 8)];
  })()`);
}
