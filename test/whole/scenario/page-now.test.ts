// Goal: what the page shows live is right, at once, and names mail users only to those who answer for them.
// Phases: many commands that run; views of five people over commands with hostile names; the 21st stream; a person who is taken out.
// What must not happen: a user's name in any byte of a stream or of the CSV of `view`, `operate` or an auditor of another domain.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Gateway, type GatewayOptions, openGateway } from '../../kit/gate/gateway.js';
import { askPageAt, type NowWatcher, signIn, watchNow } from '../../kit/gate/page-client.js';
import { createGate } from '../../kit/gate/script.js';
import { hash, password } from '../../kit/gate/tcp-gate.js';
import { freePorts } from '../../kit/plain/free-ports.js';

const people = (withViewer = true): string => `
      ${withViewer ? `viewer: { password_hash: "${hash}", role: view }` : ''}
      oncall: { password_hash: "${hash}", role: operate }
      auditor: { password_hash: "${hash}", role: audit, users: ["*@example.org"] }
      both: { password_hash: "${hash}", roles: [view, audit], users: ["*@example.org"] }
      everything: { password_hash: "${hash}", role: audit }`;

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

/** In no byte of what somebody sees who does not answer for that domain. */
const hidden = /zuluq7|other\.test/i;

test('no name of a mail user reaches whom it does not concern, whatever names and answers are', async (t) => {
  const gate = createGate();
  t.after(() => gate.open());
  const page = await openPage(t, {
    policy: `
    users: ["**"]
    except: ["zuluq7chef@other.test"]
    allow: [quota get, { command: search, masks: true }, mailbox list, mailbox status]`,
    backend: {
      async script({ user, fields }, connection) {
        if (fields[0] === 'search' && user.includes('zuluq7held'))
          await Promise.race([gate.opened, connection.closed]);
        if (fields[0] === 'quota get') await connection.status('+');
        // A backend repeats names where it can.
        await connection.log('error', `doveadm(${user}): no zuluq7box of ${user}`);
        await connection.status(fields[0] === 'mailbox list' ? '-ZULUQ7NAME' : '-NOTFOUND');
      },
    },
  });
  const names = ['viewer', 'oncall', 'both', 'everything'] as const;
  const auditor = await page.watch('auditor');
  const watchers = await Promise.all(names.map((name) => page.watch(name)));
  const held = await page.client();
  held.sendCommand({ user: 'zuluq7held@other.test', fields: ['search', 'ALL'] });
  const client = await page.client();
  const commands: readonly (readonly [string, ...string[]])[] = [
    ['zuluq7bob@other.test', 'mailbox status', 'messages', 'zuluq7box'],
    // The same failure: the row is that of the last one.
    ['alice@example.org', 'mailbox status', 'messages', 'INBOX'],
    ['zuluq7bob@other.test', 'mailbox list', 'zuluq7*'],
    ['ZULUQ7Bob@Other.Test', 'mailbox list'],
    ['zuluq7chef@other.test', 'quota get'],
    ['zuluq7bob@other.test', 'mailbox delete', 'zuluq7box'],
    ['zuluq7bob@other.test', 'zuluq7unknown', 'zuluq7bob@other.test'],
    ['zuluq7<img src=x onerror=alert(1)>@other.test', 'quota get'],
    ['zuluq7\u202e@other.test', 'quota get'],
    [`zuluq7${'x'.repeat(4096)}@other.test`, 'quota get'],
    ['zuluq7bob@other.test@example.org', 'mailbox delete', 'INBOX'],
    ['*@example.org', 'search', 'ALL'],
    ['*@other.test', 'search', 'ALL'],
    ['zuluq7*', 'search', 'ALL'],
    ['*', 'mailbox delete', 'zuluq7box'],
    ['', 'mailbox delete', '-u', 'zuluq7bob@other.test', 'INBOX'],
  ];
  for (const [user, ...fields] of commands) {
    await client.ask({ user, fields });
  }
  const last = ({ troubles, running }: NowWatcher['now']): boolean =>
    troubles.reduce((all, { count = 1 }) => all + count, 0) >= 12 && running.length === 1;
  for (const watcher of watchers) await watcher.waitFor(last, 'all of it');
  const tokens = await Promise.all(names.map((name) => signIn(page.port, name, password)));
  const sheets = await Promise.all(
    tokens.map((token) => askPageAt(page.port, 'GET', '/api/backends.csv', { token })),
  );
  const [viewer, oncall, both, everything] = watchers;
  assert.ok(viewer && oncall && both && everything);
  for (const [at, watcher] of [viewer, oncall, both].entries())
    assert.doesNotMatch(`${watcher.bytes()}${sheets[at]?.body}`, hidden, names[at]);
  for (const watcher of [viewer, oncall]) assert.doesNotMatch(watcher.bytes(), /"user"|alice|example\.org/);
  // The filter is what hides them, not an empty stream.
  assert.match(both.bytes(), /"user":"alice@example\.org"/);
  // Somebody with a limited view and no other role gets no command, no refusal and nobody's name, though the numbers come.
  await auditor.waitFor(({ tiles }) => tiles.denied + tiles.failed >= 12, 'the numbers');
  const { principal = '' } = everything.now.running[0] ?? {};
  assert.match(principal, /@support$/);
  assert.ok(!auditor.bytes().includes(principal));
  assert.doesNotMatch(auditor.bytes(), /zuluq7|"(?:id|principal|command|user)":|@example\.org/i);
  assert.match(auditor.bytes(), /"running":\[\],.*"troubles":\[\]/);
  assert.match(everything.bytes(), /"user":"zuluq7held@other\.test"/);
  assert.match(everything.bytes(), /"user":"zuluq7bob@other\.test"/);
  assert.deepEqual(
    viewer.now.troubles.map(({ text }) => text),
    everything.now.troubles.map(({ text }) => text),
  );
  // The CSV has one line for each backend, and its head.
  const [sheet] = sheets;
  assert.equal(sheet?.type, 'text/csv; charset=utf-8');
  assert.match(sheet?.body ?? '', /^backend,address,[^\r\n]*\r\nmail1,127\.0\.0\.1:\d+,[^\r\n]*\r\n$/);
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
