// Goal: an hour after an outage of a real Dovecot, a drain, a restart of the gate and one of the page, the page says when each was, how
// long, why, by whom and what it has cost. Two requesters send commands all the time. Phases: the processes of Dovecot are stopped, and
// the system accepts connections for them; Dovecot is ended, so nobody listens, and within that gate and page are started anew; a drain,
// with another restart in it. What must not happen: an outage without a row; a cost that is not what the requesters got; a row that is
// known only to a page that saw it.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../../src/host/machine/clock.js';
import type { Incidents } from '../../../src/page/answers/history.js';
import type { PageCaller } from '../../../src/page/http/page-request.js';
import { createIncidentsAnswers } from '../../../src/page/incidents-answers.js';
import { createLooks } from '../../../src/page/looks.js';
import { type Daemon, runDovegate, startDaemon, startPage } from '../../kit/gate/daemon.js';
import { doorHead } from '../../kit/gate/now.js';
import { askPageAt, signIn } from '../../kit/gate/page-client.js';
import { hash, password } from '../../kit/gate/tcp-gate.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';
import { masterOf, serversOf, signal } from './server-processes.js';

/** How long each outage is at least; 40 s with DOVEGATE_ROUNDS=10. */
const outageMs = 4_000 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const betweenMs = 50;
const hourMs = 3_600_000;

/** What a requester got, in order: the code of each failure, or the status. */
interface Requester {
  readonly got: string[];
  readonly end: () => Promise<void>;
}

function openRequester(socket: () => string): Requester {
  const got: string[] = [];
  const leaving = new AbortController();
  const send = async (): Promise<void> => {
    const client = await openRawClient({ path: socket(), minor: 2, timeoutMs: 120_000 });
    while (!leaving.signal.aborted) {
      const { status, logs } = await client.ask({ user: alice, fields: ['mailbox list', 'INBOX'] });
      got.push(/\[([a-z-]+)\]/.exec(logs.at(-1)?.text ?? '')?.[1] ?? status);
      await pause(betweenMs);
    }
    client.close();
  };
  const sent = (async () => {
    while (!leaving.signal.aborted) {
      // The gate is being restarted.
      await send().catch(() => pause(betweenMs));
    }
  })();
  return {
    got,
    end() {
      leaving.abort();
      return sent;
    },
  };
}

onDovecot('what was down an hour ago', openRealDovecot, async (t, lab) => {
  const [port = 0] = await freePorts(1);
  const gate = await openRealGateway(t, lab, {
    logLevel: 'info',
    idle: 1,
    listeners: '  panel: { unix: panel.sock, mode: "0600", policy: support }',
    more: `admin:
  unix: admin.sock
  door: door.sock
  page: { tcp: "127.0.0.1:${port}", people: { oncall: { password_hash: "${hash}", role: operate } } }`,
  });
  let { daemon } = gate;
  let page = await startPage(t, daemon);
  const restart = async (): Promise<void> => {
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
    daemon = await startDaemon(t, { folder: daemon.folder });
  };
  const requesters = ['support.sock', 'panel.sock'].map((name) => openRequester(() => daemon.path(name)));
  t.after(() => Promise.all(requesters.map((each) => each.end())));
  const got = (code: string): number =>
    requesters.flatMap((each) => each.got).filter((each) => each === code).length;
  /** Until both have got that, and `ms` are over. */
  const suffer = async (code: string, ms: number): Promise<void> => {
    const [startMs, before] = [performance.now(), requesters.map((each) => each.got.length)];
    const haveAll = (): boolean =>
      requesters.every((each, at) => each.got.slice(before[at]).filter((one) => one === code).length >= 3);
    await until(() => haveAll() && performance.now() - startMs >= ms, `${code} for both`, ms + 60_000);
  };
  await suffer('+', 0);

  const stopped = [masterOf(lab), ...serversOf(lab)];
  const wake = (): void => {
    for (const pid of stopped) signal(pid, 'SIGCONT');
  };
  t.after(wake);
  for (const pid of stopped) signal(pid, 'SIGSTOP');
  const stuckMs = performance.now();
  await until(
    () => turnsOf(daemon).includes('backend stuck') && performance.now() - stuckMs >= outageMs,
    'a record that it is stuck',
  );
  wake();
  const woken = performance.now() - stuckMs;
  await suffer('+', 0);

  await lab.stop();
  await suffer('dial-refused', outageMs / 2);
  await restart();
  await page.kill();
  page = await startPage(t, daemon);
  await suffer('dial-refused', outageMs / 2);
  await lab.start();
  await suffer('+', 0);

  const operate = async (verb: string): Promise<void> => {
    const { exit, text } = await runDovegate(['backend', verb, 'mail1', '--socket', 'admin.sock'], {
      cwd: daemon.folder,
    });
    assert.equal(exit, 0, text);
  };
  await operate('drain');
  await suffer('backend-drained', 0);
  await restart();
  await suffer('backend-drained', 0);
  // What is refused while `enable` is being recorded is in no record.
  await Promise.all(requesters.map((each) => each.end()));
  await operate('enable');

  const token = await signIn(port, 'oncall', password);
  const { body } = await askPageAt(port, 'GET', '/api/incidents', { token });
  const { rows }: Incidents = JSON.parse(body);
  assert.deepEqual((await anHourLater(daemon)).rows, rows);
  const costs = rows.map(({ text }) => Number(/ (\d+|No) commands?/.exec(text)?.[1]?.replace('No', '0')));
  const text = (index: number): string =>
    (rows[index]?.text ?? '').replace(/\d+(?= commands)/, 'N').replace(/(?<=By requester: )[^.]+/, 'N');
  assert.deepEqual(
    rows.map(({ kind, backend, by }, index) => [kind, backend, by, text(index)]),
    [
      ['restarted', undefined, undefined, 'dovegate was stopped and started again.'],
      [
        'drained',
        'mail1',
        'root',
        'mail1 was drained by root. N commands of at least 2 requesters were refused, and nothing of them was sent. By requester: N.',
      ],
      ['restarted', undefined, undefined, 'dovegate was stopped and started again.'],
      [
        'down',
        'mail1',
        undefined,
        'mail1 was down: connection refused. N commands of at least 2 requesters failed. By requester: N. dovegate was restarted meanwhile.',
      ],
      ['stuck', 'mail1', undefined, text(4)],
    ],
  );
  assert.match(
    text(4),
    /^mail1 was stuck, .*: no connection or no greeting in time.*\. No commands failed\.$/,
  );
  const [, drained = 0, , refused = 0] = costs;
  assert.deepEqual([drained, refused], [got('backend-drained'), got('dial-refused')]);
  const lastedMs = rows.map(({ since = '', until: over = '' }) => Date.parse(over) - Date.parse(since));
  const [restartMs = 0, , , downMs = 0, hungMs = 0] = lastedMs;
  assert.ok(hungMs >= outageMs && hungMs < woken + 1_000, `stuck for ${hungMs} of ${woken} ms`);
  assert.ok(downMs >= outageMs - 2_000 && restartMs > 0, `down for ${lastedMs.join()} ms`);
});

/** Events and actions of the records of outages. */
function turnsOf(daemon: Daemon): readonly string[] {
  return daemon.audit().map(({ record }) => `${String(record['event'])} ${String(record['action'])}`);
}

/** What a page tells whose clock is an hour ahead, and that has seen nothing of it. */
async function anHourLater(daemon: Daemon): Promise<Incidents> {
  const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + hourMs };
  const head = { ...doorHead, directory: daemon.path('audit') };
  const told = { head, settings: Object(undefined), numbers: undefined };
  const looks = createLooks(clock);
  const answers = createIncidentsAnswers(clock, { told, away: undefined }, looks);
  try {
    const who: PageCaller = { name: 'vera', roles: ['view'], users: undefined, from: [] };
    const { signal: whole } = new AbortController();
    const asked = { params: [], body: '', who, isStill: () => true, signal: whole };
    const reply = await answers.incidents({ endpoint: 'incidents', ...asked });
    return 'body' in reply ? JSON.parse(reply.body) : assert.fail('in pieces');
  } finally {
    answers.close();
    looks.close();
  }
}
