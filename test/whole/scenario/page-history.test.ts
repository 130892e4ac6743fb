// Goal: the charts of the page are right, and survive whatever ends.
// Phases: commands and refusals, as rates; the daemon is killed and counts from 0 again.
// What must not happen: a rate below zero, or one of commands from before; a team's name for an auditor of some mail users; a page that
// does not give way to the daemon.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { test } from 'node:test';
import type { History, Span } from '../../../src/page/answers/history.js';
import { startDaemon } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { askPageAt, signIn } from '../../kit/gate/page-client.js';
import { hash, password } from '../../kit/gate/tcp-gate.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { processorsOfPage } from '../../kit/plain/processors.js';
import { until } from '../../kit/plain/until.js';

/** Of the samples that there are. */
const known = (values: readonly (number | null)[] | undefined): readonly number[] =>
  (values ?? []).filter((value) => value !== null);

/** Of a thread of a process, or of its first one; undefined: it has ended meanwhile. */
function processorsOf(pid: number, thread = String(pid)): string | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
    return /^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1];
  } catch {
    return undefined;
  }
}

/** Of a thread; undefined: it has ended meanwhile. */
function nicenessOf(thread: string): number | undefined {
  try {
    return getPriority(Number(thread));
  } catch {
    return undefined;
  }
}

test('rates by team; a daemon that is killed leaves a gap, and no rate of what it counted before', async (t) => {
  const [port = 0] = await freePorts(1);
  const more = `admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: 127.0.0.1:${port}
    people:
      viewer: { password_hash: "${hash}", role: view }
      limited: { password_hash: "${hash}", role: audit, users: ["*@example.org"] }
`;
  const policy = '\n    users: ["**"]\n    allow: [quota get]';
  const stage = await openGateway(t, { more, policy, mail1: { idle: '1' } });
  const { daemon } = stage;
  const token = await signIn(port, 'viewer', password);
  const history = async (span: Span = '10m', as = token): Promise<History> => {
    const { status, body } = await askPageAt(port, 'GET', `/api/history/${span}`, { token: as });
    assert.equal(status, 200, body);
    return JSON.parse(body);
  };
  await until(async () => (await history()).trouble === undefined, 'a first sample');
  // The page gives way to the daemon, with each of its threads: those of Node, too, which are there before its first line runs.
  const ours = getPriority();
  const pagePid = stage.page?.pid ?? 0;
  const threads = readdirSync(`/proc/${pagePid}/task`).map(nicenessOf);
  assert.equal(getPriority(daemon.pid), ours);
  assert.ok(threads.length > 4);
  assert.deepEqual(new Set(threads.filter((nice) => nice !== undefined)), new Set([Math.max(ours, 10)]));
  // And it leaves half of the processors to commands.
  const allowed = processorsOf(process.pid) ?? '';
  assert.equal(processorsOf(daemon.pid), allowed);
  const own = readdirSync(`/proc/${pagePid}/task`).map((thread) => processorsOf(pagePid, thread));
  assert.deepEqual(new Set(own.filter((each) => each !== undefined)), new Set([processorsOfPage(allowed)]));
  const client = await stage.client();
  for (let count = 0; count < 40; count += 1)
    await client.ask({ user: 'alice@example.org', fields: ['quota', 'get'] });
  for (let count = 0; count < 10; count += 1)
    await client.ask({ user: 'alice@example.org', fields: ['reload'] });
  await until(async () => known((await history()).series[0]?.rate).some((rate) => rate > 0), 'a rate');
  const [team] = (await history()).series;
  const [longer] = (await history('1h')).series;
  // A step has what ended in it; a sample may come in the middle of the commands.
  const sum = (values: readonly (number | null)[] | undefined): number =>
    known(values).reduce((all, rate) => all + rate * 10, 0);
  assert.ok(sum(team?.rate) > 0 && sum(team?.rate) <= 56, String(team?.rate));
  // Another sample may have come in between.
  const steps = team?.rate.length;
  assert.deepEqual(
    [team?.name, longer?.rate.slice(0, steps), longer?.denied.slice(0, steps)],
    ['support', team?.rate, team?.denied],
  );

  const limited = await signIn(port, 'limited', password);
  const hidden = await history('10m', limited);
  assert.deepEqual([hidden.series, /sees the traffic of teams/.test(hidden.trouble ?? '')], [[], true]);
  const wrong = await askPageAt(port, 'GET', '/api/history/1w', { token: limited });
  assert.equal(wrong.status, 404, wrong.body);

  await daemon.kill();
  await until(async () => (await history()).trouble !== undefined, 'the sentence');
  assert.match((await history()).trouble ?? '', /does not answer/);
  await startDaemon(t, { config: stage.configuration({}), folder: daemon.folder });
  await until(async () => {
    const { trouble, series } = await history();
    const rate = series[0]?.rate ?? [];
    return trouble === undefined && rate.includes(null) && rate.at(-1) !== null;
  }, 'samples after the gap');
  const { rate } = (await history()).series[0] ?? assert.fail('no team');
  assert.ok(
    known(rate).every((each) => each >= 0 && each <= 6),
    String(rate),
  );
});
