// Goal: what the page shows live is right, at once, and ends with the right to see it. Whose names it shows is tested in
// test/page/now-answers. Phases: many commands that run; the fifth window of a person; a person who is taken out; the windows of others.
// What must not happen: a window for somebody who was taken out, or none for somebody who has none.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Gateway, type GatewayOptions, openGateway } from '../../kit/gate/gateway.js';
import { askPageAt, type NowWatcher, signIn, watchNow } from '../../kit/gate/page-client.js';
import { createGate } from '../../kit/gate/script.js';
import { hash, password } from '../../kit/gate/tcp-gate.js';
import { freePorts } from '../../kit/plain/free-ports.js';

const people = (withViewer = true): string => `
      ${withViewer ? `viewer: { password_hash: "${hash}", role: view }` : ''}
      oncall: { password_hash: "${hash}", role: operate }`;

interface Page extends Gateway {
  readonly port: number;
  readonly watch: (name: string) => Promise<NowWatcher>;
  readonly more: (withViewer: boolean) => string;
}

async function openPage(t: TestContext, options: GatewayOptions = {}): Promise<Page> {
  const [port = 0] = await freePorts(1);
  const more = (withViewer: boolean): string =>
    `admin:\n  unix: admin.sock\n  door: door.sock\n  page:\n    tcp: 127.0.0.1:${port}\n    people:${people(withViewer)}\n`;
  const gateway = await openGateway(t, { more: more(true), ...options });
  const watch = async (name: string): Promise<NowWatcher> =>
    watchNow(t, port, await signIn(port, name, password));
  return { ...gateway, port, watch, more };
}

test('of many commands 200 are listed, those that run first, and all are counted', async (t) => {
  const gate = createGate();
  t.after(() => gate.open());
  const page = await openPage(t, {
    mail1: { connections: '4' },
    backend: {
      async script(_command, connection) {
        await Promise.race([gate.opened, connection.closed]);
        await connection.status('+');
      },
    },
  });
  const clients = await Promise.all(Array.from({ length: 203 }, () => page.client()));
  for (const client of clients) client.sendCommand({ user: 'alice@example.org', fields: ['quota', 'get'] });
  const oncall = await page.watch('oncall');
  await oncall.waitFor(
    ({ runningCount, waitingCount }) => runningCount - waitingCount === 4 && runningCount === 203,
    'all',
  );
  const { running } = oncall.now;
  assert.deepEqual([running.length, running.filter(({ isWaiting }) => isWaiting !== true).length], [200, 4]);
  assert.ok(running.slice(0, 4).every(({ isWaiting }) => isWaiting !== true));
  gate.open();
  await Promise.all(clients.map((client) => client.readReply()));
  await oncall.waitFor(({ runningCount }) => runningCount === 0, 'their ends');
});

test('four windows of one person, no fifth; a person who is taken out sees no more', async (t) => {
  const page = await openPage(t);
  const token = await signIn(page.port, 'viewer', password);
  const windows: NowWatcher[] = [];
  for (let at = 0; at < 4; at += 1) windows.push(await watchNow(t, page.port, token));
  const fifth = await askPageAt(page.port, 'GET', '/api/now', { token });
  assert.deepEqual(
    [fifth.status, JSON.parse(fifth.body).text],
    [503, 'you watch in 4 windows already; close one of them'],
  );
  await t.test('an act that is refused says why, as a refusal', async () => {
    const operator = await signIn(page.port, 'oncall', password);
    const drained = await askPageAt(page.port, 'POST', '/api/backend/mail1/drain', {
      token: operator,
      body: { reason: 'new\ndisk' },
    });
    assert.deepEqual([drained.status, JSON.parse(drained.body).text], [403, 'a reason is one line of text']);
  });
  windows[0]?.close();
  // It is told within its next state that the window is gone.
  const oncall = await page.watch('oncall');
  const changes = oncall.changes;
  await oncall.waitFor(() => oncall.changes > changes + 1, 'more states');
  windows.push(await watchNow(t, page.port, token));
  page.daemon.write('dovegate.yaml', page.configuration({ more: page.more(false) }));
  page.daemon.signal('SIGHUP');
  for (const window of windows.slice(1)) await waitForEnd(window);
  assert.equal((await askPageAt(page.port, 'GET', '/api/now', { token })).status, 401);
  assert.equal(oncall.hasEnded, false);
});

async function waitForEnd(window: NowWatcher): Promise<void> {
  await window.waitFor(() => window.hasEnded, 'the end of the stream');
}

test('windows of others take no window of somebody who has none', async (t) => {
  const names = ['one', 'two', 'three', 'four', 'five', 'oncall'];
  const [port = 0] = await freePorts(1);
  const lines = names.map((name) => `\n      ${name}: { password_hash: "${hash}", role: view }`).join('');
  await openGateway(t, {
    more: `admin:\n  unix: admin.sock\n  door: door.sock\n  page:\n    tcp: 127.0.0.1:${port}\n    people:${lines}\n`,
  });
  const tokens = await Promise.all(names.map((name) => signIn(port, name, password)));
  for (const token of tokens.slice(0, 5)) for (let at = 0; at < 4; at += 1) await watchNow(t, port, token);
  const oncall = await watchNow(t, port, tokens[5] ?? '');
  assert.equal(oncall.now.backends[0]?.name, 'mail1');
  const second = await askPageAt(port, 'GET', '/api/now', { token: tokens[5] ?? '' });
  assert.equal(second.status, 503);
});
