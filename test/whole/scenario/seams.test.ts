// Goal: the page's process and the daemon end and come back without each other, and nothing is lost or shown that is not recorded.
// Phases: the page is killed under 20 watchers and a report; the daemon is killed under a watcher, and
// during reports; its socket is taken away; a daemon of another version; strangers and wrong calls at `admin.door`.
// What must not happen: a command that fails, a session that is lost with the daemon, a report that looks complete without its record, an
// answer at the door for a process of somebody else, a record that the settings do not permit.

import assert from 'node:assert/strict';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { doorVersionHeader } from '../../../src/gate/door/door.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { askDoor, generationOf } from '../../kit/gate/ask-door.js';
import { type Daemon, startDaemon, startPage } from '../../kit/gate/daemon.js';
import { auditRecords, type Gateway, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { askPageAt, type NowWatcher, signIn, watchNow } from '../../kit/gate/page-client.js';
import { hash, isServed, password } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askPageAs } from '../../kit/plain/ask-page.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import type { RawClient } from '../../kit/plain/raw-client.js';
import { onlyRoot } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';

const ourUid = process.getuid?.() ?? -1;
const stranger = 41_005;
const windows = 4;
const viewers = ['one', 'two', 'three', 'four', 'five'];

/** One gate, which each test leaves running for the next one. */
interface Stage extends Omit<Gateway, 'daemon' | 'page'> {
  /** Those that run now. */
  daemon: Daemon;
  page: Daemon;
  /** What is started for the next tests ends with it. */
  readonly owner: TestContext;
  readonly port: number;
  /** The text of the configuration, without that person. */
  readonly without: (person: string) => string;
  /** Starts the daemon again on what it left. */
  readonly startAgain: () => Promise<void>;
  /** Starts another process of the page; resolves when its sockets are open. */
  readonly startPage: () => Promise<void>;
}

async function openStage(t: TestContext): Promise<Stage> {
  const [port = 0] = await freePorts(1);
  const people = [
    ...viewers.map((name) => `${name}: { password_hash: "${hash}", role: view }`),
    `auditor: { password_hash: "${hash}", role: audit }`,
    `oncall: { password_hash: "${hash}", role: operate }`,
    `ourselves: { user: "${ourUid}", role: audit }`,
  ];
  const settings = (lines: readonly string[]): string => `admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: 127.0.0.1:${port}
    unix: page.sock
    people:
      ${lines.join('\n      ')}
`;
  const gateway = await openGateway(t, { more: settings(people) });
  const { daemon, page, configuration } = gateway;
  const { folder } = daemon;
  assert.ok(page !== undefined);
  const stage: Stage = {
    ...gateway,
    daemon,
    page,
    owner: t,
    port,
    without: (person) =>
      configuration({ more: settings(people.filter((line) => !line.startsWith(`${person}:`))) }),
    startAgain: async () => {
      stage.daemon = await startDaemon(t, { folder });
    },
    startPage: async () => {
      stage.page = await startPage(t, { folder });
    },
  };
  return stage;
}

/** The page's process, without waiting for its sockets. */
function startWaitingPage({ owner, daemon: { folder } }: Stage): Promise<Daemon> {
  return startDaemon(owner, { folder, command: 'page' });
}

const isAway = ({ event }: Readonly<Record<string, unknown>>): boolean => event === 'door-away';

/** One command after the other, with moments between them, up to `end`, which resolves to their statuses. */
function keepAsking(client: RawClient): { readonly end: () => Promise<readonly string[]> } {
  const over = new AbortController();
  const statuses: string[] = [];
  const run = (async () => {
    while (!over.signal.aborted) {
      statuses.push((await client.ask({ user: 'alice@example.org', fields: ['quota', 'get'] })).status);
      await pause(20);
    }
  })();
  return {
    async end() {
      over.abort();
      await run;
      return statuses;
    },
  };
}

const search = (port: number, token: string) =>
  askPageAt(port, 'POST', '/api/trail/search', { token, body: { filter: {}, newest: { rows: 5 } } });

const report = (port: number, token: string) =>
  askPageAt(port, 'POST', '/api/trail/report', {
    token,
    body: { mailbox: 'alice@example.org', form: 'page' },
  });

const textOf = ({ body }: { readonly body: string }): string => String(JSON.parse(body).text);

async function killPage(t: TestContext, stage: Stage): Promise<void> {
  const { port, daemon } = stage;
  const client = await stage.client();
  const asking = keepAsking(client);
  const auditor = await signIn(port, 'auditor', password);
  const watchers: NowWatcher[] = [];
  for (const name of viewers) {
    const token = await signIn(port, name, password);
    for (let at = 0; at < windows; at += 1) watchers.push(await watchNow(t, port, token));
  }
  const reports = report(port, auditor).catch(() => undefined);
  await stage.page.kill();
  const killedMs = performance.now();
  await reports;
  for (const watcher of watchers) await until(() => watcher.hasEnded, 'the end of the stream');
  // Its sockets are free again, and people sign in again.
  await stage.startPage();
  t.diagnostic(`back after ${Math.round(performance.now() - killedMs)} ms`);
  const token = await signIn(port, 'auditor', password);
  assert.equal((await search(port, token)).status, 200);
  assert.equal((await askPageAt(port, 'GET', '/api/me', { token: auditor })).status, 401);
  const link = await runWarm(['page', 'open', '--socket', daemon.path('page.sock')]);
  assert.equal(link.exit, 0, link.text);
  const statuses = await asking.end();
  assert.ok(statuses.length > 0);
  assert.deepEqual([...new Set(statuses)], ['+']);
}

/** Once is enough: a machine that is busy with other tests may be late more than once. */
const attempts = 3;
/** A daemon that is not heard for longer is taken for silent. */
const silentMs = 4_000;

async function killDaemon(t: TestContext, stage: Stage): Promise<void> {
  const { port } = stage;
  const token = await signIn(port, 'auditor', password);
  const oncall = await signIn(port, 'oncall', password);
  const watcher = await watchNow(t, port, token);
  const took: number[] = [];
  while (took.length < attempts && !took.some((ms) => ms < silentMs)) {
    const killedMs = performance.now();
    stage.daemon.signal('SIGKILL');
    await watcher.waitForAway('that dovegate is away');
    took.push(performance.now() - killedMs);
    t.diagnostic(`away after ${took.at(-1)?.toFixed(0)} ms`);
    assert.match(watcher.away ?? '', /^dovegate does not answer at \S+door\.sock: /);

    const sentence = /dovegate does not answer at \S+door\.sock/;
    const searched = await search(port, token);
    assert.deepEqual([searched.status, sentence.test(textOf(searched))], [503, true], searched.body);
    const entered = await askPageAt(port, 'POST', '/api/login', { body: { name: 'auditor', password } });
    assert.deepEqual([entered.status, sentence.test(textOf(entered))], [503, true], entered.body);
    const drained = await askPageAt(port, 'POST', '/api/backend/mail1/drain', { token: oncall, body: {} });
    assert.deepEqual([drained.status, sentence.test(textOf(drained))], [503, true], drained.body);
    const atSocket = await runWarm(['audit', 'search', '--socket', stage.daemon.path('page.sock')]);
    assert.match(atSocket.text, sentence);
    assert.notEqual(atSocket.exit, 0);
    assert.equal((await askPageAt(port, 'GET', '/api/me', { token })).status, 200, 'the session is kept');

    await stage.daemon.exited;
    await stage.startAgain();
    await watcher.waitFor(() => watcher.away === undefined, 'states of the daemon that is back');
    await until(async () => (await search(port, token)).status === 200, 'a search with the same session');
  }
  assert.ok(
    took.some((ms) => ms < silentMs),
    `away after ${took.join(', ')} ms`,
  );
  assert.equal(watcher.hasEnded, false);
  // What was asked while nothing could be recorded left nothing; what came later is there.
  const records = auditRecords(stage.daemon);
  assert.ok(!records.some(({ action }) => action === 'drain'));
  assert.ok(records.some(({ action, by }) => action === 'audit-search' && by === 'auditor'));
}

async function killDuringReport(t: TestContext, stage: Stage): Promise<void> {
  const { port } = stage;
  const client = await stage.client();
  for (let at = 0; at < 50; at += 1) {
    await client.ask({ user: 'alice@example.org', fields: ['quota', 'get'] });
  }
  client.close();
  const token = await signIn(port, 'auditor', password);
  const recorded = (): number =>
    auditRecords(stage.daemon).filter(({ action }) => action === 'audit-report').length;
  const isWhole = (body: string): boolean => /^event: end$/m.test(body);
  assert.ok(isWhole((await report(port, token)).body), 'a report with the daemon');
  // It answers nothing any more, and is killed while the report waits for it; then at several moments.
  for (const delayMs of [undefined, 0, 100]) {
    const before = recorded();
    if (delayMs === undefined) stage.daemon.signal('SIGSTOP');
    const answer = report(port, token);
    await pause(delayMs ?? 300);
    await stage.daemon.kill();
    const { status, body } = await answer;
    const isRecorded = recorded() > before;
    t.diagnostic(`${delayMs}: ${status}, ${isWhole(body) ? 'whole' : 'cut'}, recorded: ${isRecorded}`);
    if (delayMs === undefined) assert.equal(isRecorded, false);
    if (isWhole(body)) assert.ok(isRecorded, 'a whole report has its record');
    else {
      assert.match(body, status === 200 ? /^event: failed$/m : /dovegate does not answer/);
      assert.doesNotMatch(body, /^event: head$/m);
    }
    await stage.startAgain();
    await until(async () => (await search(port, token)).status === 200, 'the daemon again');
  }
}

async function takeDoorAway(_: TestContext, stage: Stage): Promise<void> {
  const { daemon, port } = stage;
  rmSync(daemon.path('door.sock'));
  await stage.page.kill();
  const page = await startWaitingPage(stage);
  stage.page = page;
  const { text } = await page.waitForLog(isAway, 'that dovegate is not there');
  assert.match(String(text), /door\.sock: connect ENOENT/);
  assert.ok(await isServed(await stage.client()));
  assert.equal((await daemon.stop()).code, 0);
  await stage.startAgain();
  await page.waitForLog(({ event }) => event === 'page-opened', 'its sockets');
  await signIn(port, 'auditor', password);
}

async function standIn(t: TestContext, stage: Stage): Promise<void> {
  const { daemon, page, port } = stage;
  const before = page.logs.filter(isAway).length;
  const token = await signIn(port, 'auditor', password);
  await daemon.stop();
  const asked: string[] = [];
  const server = createServer((request_, response) => {
    asked.push(`${request_.method} ${request_.url}`);
    response.writeHead(200, { [doorVersionHeader]: '7' }).end('{"beat":1}\n');
  });
  await new Promise<void>((resolve) => {
    server.listen(daemon.path('door.sock'), resolve);
  });
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  t.after(close);
  const sentence =
    /dovegate speaks version 7 of its door at \S+door\.sock, and this program 1; upgrade the older one/;
  await page.waitForLog((record) => isAway(record) && sentence.test(String(record['text'])), 'the version');
  const searched = await search(port, token);
  assert.deepEqual([searched.status, sentence.test(textOf(searched))], [503, true], searched.body);
  const atSocket = await runWarm(['audit', 'search', '--socket', daemon.path('page.sock')]);
  assert.match(atSocket.text, sentence);
  const link = await runWarm(['page', 'open', '--socket', daemon.path('page.sock')]);
  assert.match(link.text, sentence);
  assert.deepEqual([...new Set(asked)], ['GET /settings']);
  assert.ok(page.logs.filter(isAway).length <= before + 4, 'it is said once');
  await page.kill();
  close();
}

/** A stream of the settings, kept until the end of the test; its status. */
function openStream(t: TestContext, daemon: Daemon): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { socketPath: daemon.path('door.sock'), path: '/settings', agent: false },
      (response) => {
        response.on('error', () => undefined).resume();
        resolve(response.statusCode ?? 0);
      },
    );
    asked.on('error', reject).end();
    t.after(() => void asked.destroy());
  });
}

async function callWrongly(t: TestContext, stage: Stage): Promise<void> {
  await stage.startAgain();
  const { daemon } = stage;
  const now = await generationOf(daemon);
  assert.ok(now > 1_700_000_000_000, 'no daemon before this one had it');
  const as = (person: string, role: string, generation = now) => ({ person, role, generation });
  const look = (who: unknown, action = 'audit-search') => ({
    as: who,
    action,
    from: ['address=192.0.2.7'],
    args: ['user=alice@example.org'],
    rows: 1,
  });
  const drain = (who: unknown) => ({ as: who, action: { kind: 'drain', backend: 'mail1' }, from: [] });
  const extract = (who: unknown) => ({
    as: who,
    from: ['address=192.0.2.7'],
    facts: { fromSeq: 1, toSeq: 2, isDamaged: false, sha256: '0'.repeat(64) },
    filter: { user: 'alice@example.org' },
    after: [],
    rows: 1,
  });
  const access = (step: unknown) => ({ as: as('auditor', 'audit'), step, id: '', from: [] });
  const operators = () => recordsOf(daemon, 'operator');
  const before = operators().length;
  const auditor = as('auditor', 'audit');
  const wrong: readonly (readonly [path: string, body: unknown, status: number, code: string])[] = [
    ['/record', look(as('auditor', 'audit', now - 1)), 409, 'stale'],
    ['/record', look(as('auditor', 'audit', now + 1)), 409, 'stale'],
    ['/operate', drain(as('oncall', 'operate', now + 1)), 409, 'stale'],
    ['/sign', extract(as('auditor', 'audit', now + 1)), 409, 'stale'],
    // Nobody, a role that the person has not, a role that may not do it.
    ['/record', look(as('eve', 'audit')), 403, 'person'],
    ['/record', look(as('one', 'audit')), 403, 'person'],
    ['/record', look(as('one', 'view')), 403, 'person'],
    ['/record', look(as('__proto__', 'audit')), 403, 'person'],
    ['/operate', drain(auditor), 403, 'person'],
    ['/operate', drain(as('auditor', 'operate')), 403, 'person'],
    ['/sign', extract(as('oncall', 'operate')), 403, 'person'],
    // What a call may hold is tested in test/gate/door.
    ['/record', '[', 400, 'malformed'],
    ['/access', access('list'), 403, 'person'],
    ['/access', '', 400, 'malformed'],
    ['/reload', {}, 404, 'version'],
    ['/status.json', {}, 404, 'version'],
    // bounds.doorBodyBytes
    ['/record', { ...look(auditor), args: ['x'.repeat(1_400_000)] }, 413, 'malformed'],
  ];
  for (const [path, body, status, code] of wrong) {
    const answer = await askDoor(daemon, path, body);
    const what = `${path} ${JSON.stringify(body).slice(0, 120)}`;
    assert.deepEqual([answer.status, answer.code], [status, code], what);
    assert.notEqual(answer.text, '', what);
  }
  assert.equal(operators().length, before, 'none of them is recorded');
  assert.equal((await askDoor(daemon, '/record', look(auditor))).status, 200);
  const signed = operators().length;
  assert.equal((await askDoor(daemon, '/sign', extract(auditor))).status, 200);
  assert.deepEqual(
    operators()
      .slice(signed)
      .map(({ action }) => action),
    ['audit-extract'],
    'no signature without a record',
  );
  const one = operators().at(-2);
  assert.deepEqual(
    [one?.['action'], one?.['by'], one?.['args'], Object(one?.['peer']).pid],
    ['audit-search', 'auditor', ['address=192.0.2.7', 'user=alice@example.org'], process.pid],
  );

  await t.test('a person who is taken out by a reload', async () => {
    await daemon.reload(stage.without('auditor'));
    assert.equal((await askDoor(daemon, '/record', look(auditor))).code, 'stale');
    assert.equal((await askDoor(daemon, '/record', look(as('auditor', 'audit', now + 1)))).code, 'person');
  });

  await t.test('a process of somebody else', onlyRoot('can be somebody else'), async () => {
    const door = daemon.path('door.sock');
    chmodSync(daemon.folder, 0o711);
    const asked = [
      ['/settings', '', 'GET'],
      ['/now', '', 'GET'],
      ['/facts', '', 'GET'],
      ['/traffic', '', 'GET'],
      ['/flush', '{}'],
      ['/record', JSON.stringify(look(auditor))],
    ] as const;
    const kept = await askPageAs(stranger, door, asked);
    assert.deepEqual(
      kept.map(({ status }) => status),
      asked.map(() => 0),
      'the mode of the socket',
    );
    // The mode is not the only thing that keeps others out.
    chmodSync(door, 0o666);
    const refused = await askPageAs(stranger, door, asked);
    for (const { status, body } of refused) {
      assert.equal(status, 403, body);
      assert.deepEqual(JSON.parse(body), { code: 'person', text: 'this process may not ask here' });
    }
    // A page that runs as the wrong user says so.
    const launcher = ['setpriv', '--reuid', String(stranger), '--regid', String(stranger), '--clear-groups'];
    const args = ['--door', door];
    const { folder } = daemon;
    const config = stage.without('auditor');
    const other = await startDaemon(t, { config, folder, command: 'page', args, launcher });
    const { text } = await other.waitForLog(isAway, 'that it is refused');
    assert.match(String(text), /^dovegate refuses at \S+door\.sock: this process may not ask here$/);
  });

  // bounds.doorConnections, bounds.doorStreams
  await t.test('too many connections and streams', async () => {
    const streams = Array.from({ length: 8 }, () => openStream(t, daemon));
    for (const stream of streams) assert.equal(await stream, 200);
    assert.equal(await openStream(t, daemon), 503);
    const sockets = Array.from({ length: 80 }, () => connect(daemon.path('door.sock')));
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    let ended = 0;
    for (const socket of sockets) socket.on('error', () => undefined).on('close', () => (ended += 1));
    await until(
      () => ended >= 80 - 64 + 8,
      () => `only ${ended} of 80 were closed`,
    );
    for (const socket of sockets) socket.destroy();
    assert.ok(await isServed(await stage.client()), 'commands go on');
  });

  // bounds.doorBytes: a sixty-fourth of them at once is one person's.
  await t.test('too many bytes of one person', async () => {
    const max = bounds.doorBytes / 64;
    const text = 'x'.repeat(max / 4);
    const big = (who: unknown) => askDoor(daemon, '/record', { ...look(who), args: [text] });
    const abuser = as('ourselves', 'audit', now + 1);
    const codes: string[] = [];
    for (let at = 0; at < 6; at += 1) codes.push((await big(abuser)).code);
    assert.deepEqual([codes[0], codes.at(-1)], ['', 'busy'], codes.join(' '));
    assert.match((await big(abuser)).text, /^ourselves has had too much recorded; try again in \d+ s$/);
    const other = as('oncall', 'operate', now + 1);
    const enter = { ...look(other), action: 'page-sign-in' };
    assert.equal((await askDoor(daemon, '/record', enter)).status, 200, 'others go on');
    assert.equal(
      (await askDoor(daemon, '/operate', { ...drain(other), action: { kind: 'drain', backend: 'mail9' } }))
        .status,
      200,
    );
  });
}

const phases = [
  ['the page is killed under 20 watchers and a report: no command notices, and it is back at once', killPage],
  [
    'the daemon is killed: streams say so at once, nothing of records is answered, sessions are kept',
    killDaemon,
  ],
  ['the daemon is killed during a report: it ends as failed, or it was recorded', killDuringReport],
  [
    'the socket of the door is taken away: a new page waits, commands go on, and a restart of the daemon brings it back',
    takeDoorAway,
  ],
  [
    'a daemon of another version: the page says so in its log and at its socket, and asks it nothing',
    standIn,
  ],
  ['wrong calls at the door are refused by the daemon, and leave no record', callWrongly],
] as const;

test('the page and the daemon end and come back without each other', async (t) => {
  const stage = await openStage(t);
  for (const [what, phase] of phases) await t.test(what, (own) => phase(own, stage));
});
