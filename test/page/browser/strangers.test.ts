// Goal: who is not signed in here gets nothing, and who is sees no more than the own part. Phases: another server on the same loopback, in
// the browser of somebody who is signed in; a link that was used; where the token is; a person with a view of one domain at every address
// of another one. What must not happen: an answer that a foreign page can read, a change, a token in an address, a cookie or a kept store,
// a byte of the other domain in any answer.

import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { auditRecords } from '../../kit/gate/gateway.js';
import {
  browserTest,
  deskAfter,
  examplePath,
  openStranger,
  screensOf,
  settled,
  signIn,
  visit,
} from '../../kit/gate/page-daemon.js';

const desk = deskAfter([
  ['alice@example.org', 'quota get'],
  ['alice@example.org', 'mailbox delete', 'INBOX'],
  ['zuluq7bob@other.test', 'mailbox status', 'messages', 'zuluq7secret'],
  ['zuluq7bob@other.test', 'mailbox delete', 'zuluq7secret'],
  ['zuluq7bob@other.test', 'search', 'mailbox', 'INBOX', 'subject', 'zuluq7secret'],
]);

const operatorRecords = (): string[] =>
  auditRecords(desk.daemon.daemon)
    .filter(({ event }) => event === 'operator')
    .map(({ action }) => String(action));

browserTest('a page of another server on this loopback reads nothing and changes nothing', async (t) => {
  const { daemon } = desk;
  const watched = await desk.signIn(t, 'oncall');
  const asked = [
    ['GET', '/api/me'],
    ['GET', '/api/now'],
    ['GET', '/api/backends.csv'],
    ['POST', '/api/backend/mail1/drain'],
    ['POST', '/api/backend/mail1/enable'],
    ['POST', '/api/logout'],
    ['POST', '/api/redeem'],
    ['POST', '/api/login'],
    ['POST', '/api/trail/search'],
  ];
  const origin = await openStranger(
    t,
    `<!doctype html><title>stranger</title><form method="post" enctype="text/plain" target="there"
      action="${daemon.origin}/api/backend/mail1/drain"><input name='{"a":"' value='"}'></form><iframe name="there"></iframe>
      <iframe src="${daemon.origin}/"></iframe><img src="${daemon.origin}/assets/icon.svg">
      <script src="${daemon.origin}/api/me"></script>`,
  );
  // The same browser, another tab: what a person has open at the same time.
  const tab = await watched.context.newPage();
  await tab.goto(`${origin}/`);
  const read = await tab.evaluate<string[]>(`(async () => {
    const found = [];
    for (const [method, path] of ${JSON.stringify(asked)})
      for (const more of [{}, { mode: 'no-cors' }, { credentials: 'include' }, { headers: { authorization: 'Bearer x' } }]) {
        const end = new AbortController();
        setTimeout(() => end.abort(), 2000);
        try {
          const reply = await fetch('${daemon.origin}' + path, { method, signal: end.signal, ...more,
            ...(method === 'POST' ? { body: '{"name":"oncall","password":"wrong"}' } : {}) });
          if (reply.type !== 'opaque' || (await reply.text()) !== '') found.push(method + ' ' + path + ' ' + reply.type + ' ' + reply.status);
        } catch {}
      }
    document.forms[0].submit();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const opened = window.open('${daemon.origin}/');
    // Until it has left about:blank, which is of this origin.
    for (let tries = 0; tries < 400; tries += 1) {
      try { if (opened.location.href !== 'about:blank') break; } catch { break; }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    try { found.push('a window: ' + opened.document.title); } catch {}
    try { found.push('its store: ' + JSON.stringify(opened.sessionStorage)); } catch {}
    for (const frame of document.querySelectorAll('iframe')) try { if (frame.contentDocument.body.innerText !== '') found.push('a frame: ' + frame.contentDocument.body.innerText); } catch {}
    return found;
  })()`);
  assert.deepEqual(read, []);
  const frames = tab.frames().filter((frame) => frame !== tab.mainFrame());
  for (const frame of frames)
    assert.doesNotMatch(await frame.content(), /id="page"/, 'the page within a frame');
  const isUnchanged = !operatorRecords().some((action) => action === 'drain' || action === 'enable');
  assert.ok(isUnchanged, 'nothing was changed');
  assert.ok(operatorRecords().includes('page-refused'), 'what was refused is recorded');
  // The session of the person is as it was.
  assert.equal(await watched.page.getByRole('navigation', { name: 'Screens' }).count(), 1);
});

async function stores(page: Page): Promise<{ session: string; other: string }> {
  const [session = '', other = ''] = await page.evaluate<string[]>(`(async () => [
    JSON.stringify({ ...sessionStorage }),
    JSON.stringify([{ ...localStorage }, document.cookie, location.href, history.state,
      await caches.keys(), (await indexedDB.databases()).map(({ name }) => name), window.name]),
  ])()`);
  return { session, other };
}

browserTest('a link works once, and no other page and no address has its token', async (t) => {
  const { daemon } = desk;
  const link = await daemon.link();
  assert.ok(link.startsWith(`${daemon.origin}/#`), link);
  const secret = link.slice(link.indexOf('#') + 1);
  const first = await desk.look(t);
  await first.page.goto(link);
  await first.page.getByRole('navigation', { name: 'Screens' }).waitFor();
  const { session, other } = await stores(first.page);
  const [token = ''] = /[A-Za-z0-9_-]{32,}/.exec(session) ?? [];
  assert.notEqual(token, '', session);
  assert.ok(!other.includes(token) && !other.includes(secret), other);
  assert.deepEqual(await first.context.cookies(), []);
  for (const request of first.requests)
    assert.ok(!request.includes(token) && !request.includes(secret), request);
  // Back and forth in the history brings no link again.
  await first.page.getByRole('link', { name: 'Proof' }).click();
  await first.page.goBack();
  assert.equal(first.page.url(), `${daemon.origin}/`);
  assert.deepEqual(first.faults, []);

  const second = await desk.look(t);
  await second.page.goto(link);
  const alert = second.page.getByRole('alert');
  await alert.filter({ hasText: /\w/ }).waitFor();
  assert.match((await alert.textContent()) ?? '', /link/);
  assert.equal(await second.page.getByRole('navigation', { name: 'Screens' }).count(), 0);
  assert.ok(!second.page.url().includes(secret), 'the link is gone from the address bar');
});

browserTest('a person with a view of one domain sees no other, by any address', async (t) => {
  const watched = await desk.look(t);
  const bodies: { readonly asked: string; readonly body: Promise<string> }[] = [];
  watched.page.on('response', (response) => {
    const { pathname } = new URL(response.url());
    if (!pathname.startsWith('/api/') || pathname === '/api/now') return;
    const asked = `${pathname} ${response.request().postData() ?? ''}`;
    bodies.push({ asked, body: response.text().catch(() => '') });
  });
  await signIn(watched.page, desk.daemon.origin, 'limited');
  const records = auditRecords(desk.daemon.daemon);
  const ofOthers = records.filter((record) => JSON.stringify(record).includes('zuluq7'));
  const ids = [...new Set(ofOthers.flatMap(({ id, seq }) => [id, seq]).filter((id) => id !== undefined))].map(
    String,
  );
  assert.ok(ids.length > 3, 'there is something to find');
  const screens = await screensOf();
  const paths: string[] = [];
  for (const { path } of screens) {
    if (path.includes(':id')) for (const id of ids) paths.push(examplePath(path, { id }));
    else paths.push(examplePath(path, { user: 'zuluq7bob@other.test', policy: 'support' }));
  }
  paths.push('/trail?q=user%3Azuluq7bob%40other.test', '/trail?user=zuluq7bob%40other.test', '/trail?q=');
  for (const path of paths) {
    await visit(watched.page, path);
    await settled(watched.page);
    const shown = await watched.page.locator('main').innerText();
    assert.doesNotMatch(shown, /zuluq7secret/, path);
    if (!decodeURIComponent(path).includes('zuluq7')) assert.doesNotMatch(shown, /zuluq7/, path);
  }
  assert.ok(bodies.length > 0, 'screens asked for something');
  for (const { asked, body } of bodies) {
    const text = await body;
    assert.doesNotMatch(text, /zuluq7secret/, asked);
    // What was asked for is repeated, in an extract and in a refusal.
    if (!asked.includes('zuluq7')) assert.doesNotMatch(text, /zuluq7/, asked);
  }
});
