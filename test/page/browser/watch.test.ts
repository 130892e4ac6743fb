// Goal: what the tests of this folder take for granted: a page that breaks its policy, logs an error, opens a dialog, asks another host,
// has a barrier or scrolls sideways is noticed, and a good one is not.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import {
  findBarriers,
  findFaintText,
  findOverflow,
  noBrowser,
  openBrowser,
  openWatched,
  phone,
} from '../../kit/plain/browser.js';
import { listenHere } from '../../kit/plain/free-ports.js';

const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src http://127.0.0.2:9; require-trusted-types-for 'script'";
const head = '<!doctype html><html lang="en"><head><title>page</title></head><body><main><h1>page</h1>';

const pages: Readonly<Record<string, string>> = {
  '/good': `${head}<p>nothing</p></main></body></html>`,
  '/handler': `${head}<img alt="x" src="data:," onerror="alert(1)"></main></body></html>`,
  '/style': `${head}<p style="color:red">red</p></main></body></html>`,
  '/script': `${head}<script src="/code.js"></script></main></body></html>`,
  '/barrier': `${head}<button></button></main></body></html>`,
  '/faint': `${head}<p><font color="#eeeeee">faint</font></p></main></body></html>`,
  '/wide': `${head}<p>${'w'.repeat(4096)}</p></main></body></html>`,
  '/code.js': 'confirm("now"); fetch("http://127.0.0.2:9/").catch(() => {}); throw new Error("broken");',
};

test('a fault of a page is noticed, and a good page has none', { skip: noBrowser }, async (t) => {
  const server = createServer((request, response) => {
    const text = pages[request.url ?? ''];
    const type = request.url?.endsWith('.js') === true ? 'text/javascript' : 'text/html';
    const headers = { 'content-type': type, 'content-security-policy': policy };
    response.writeHead(text === undefined ? 404 : 200, headers).end(text);
  });
  const port = await listenHere(server);
  t.after(() => server.close());
  const origin = `http://127.0.0.1:${port}`;
  const browser = await openBrowser(t);
  const look = async (path: string): Promise<string> => {
    const { page, context, faults } = await openWatched(browser, { size: phone, origin });
    await page.goto(`${origin}${path}`);
    await page.waitForLoadState('networkidle');
    const faint = (await findFaintText(page)).map((fault) => `faint: ${fault}`);
    const found = [...(await findBarriers(page)), ...(await findOverflow(page)), ...faint, ...faults];
    await context.close();
    return found.join('\n').replace(/.*favicon.*\n?/g, '');
  };
  assert.equal(await look('/good'), '');
  assert.match(await look('/handler'), /CSP: script-src-attr inline/);
  assert.match(await look('/style'), /CSP: style-src-attr inline/);
  const code = await look('/script');
  assert.match(code, /dialog confirm: now/);
  assert.match(code, /request to another origin: http:\/\/127\.0\.0\.2:9/);
  assert.match(code, /error of a script: Error: broken/);
  assert.match(code, /request failed: http:\/\/127\.0\.0\.2:9\/ net::ERR_UNSAFE_PORT/);
  assert.match(await look('/barrier'), /^button-name \(critical\): <button>/);
  const faint = /^color-contrast \(serious\): [^]*^faint: color-contrast \(serious\): /m;
  assert.match(await look('/faint'), faint);
  assert.match(await look('/wide'), /^the page is \d{5} wide, the window 390\n[^]*<p>www/);
});
