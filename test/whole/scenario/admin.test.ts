// Goal: an operator, a probe and a scraper see the truth about the running daemon. Phases: a healthy daemon; a journal that is taken
// away and heals. What must not happen: "ready" while commands are refused, a fault that shows later than 10 s, an end of it that shows
// later than 12 s.

import assert from 'node:assert/strict';
import { existsSync, lstatSync, renameSync, rmSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Daemon } from '../../kit/gate/daemon.js';
import { backendPassword, openGateway } from '../../kit/gate/gateway.js';
import { askHttp, type Got } from '../../kit/plain/ask-http.js';
import type { RawClient } from '../../kit/plain/raw-client.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };
const onUnix = 'admin: { unix: admin.sock, mode: "0600" }';
const askDaemon = (daemon: Daemon, path: string): Promise<Got> =>
  askHttp({ socketPath: daemon.path('admin.sock') }, path);

/** Asks until it is so, as a probe does; says how long that took. */
async function until(daemon: Daemon, status: number, meanwhile = async () => {}): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const { status: now, body } = await askDaemon(daemon, '/readyz');
    const tookMs = performance.now() - startMs;
    if (now === status) return tookMs;
    assert.ok(tookMs < 60_000, `/readyz is still ${now}: ${body}`);
    await meanwhile();
    // What a probe asks for has no event: it asks again.
    await pause(100);
  }
}

function codesOf(body: string): string[] {
  return [...body.matchAll(/"code": "([a-z-]+)"/g)].map(([, code]) => code ?? '');
}

async function seriesOf(daemon: Daemon): Promise<ReadonlyMap<string, number>> {
  const { status, body } = await askDaemon(daemon, '/metrics');
  assert.equal(status, 200);
  const values = new Map<string, number>();
  for (const line of body.split('\n')) {
    const [, series, value] = /^([^#].*) (\S+)$/.exec(line) ?? [];
    if (series !== undefined) values.set(series, Number(value));
  }
  return values;
}

async function run(client: RawClient): Promise<string> {
  return (await client.ask(quota)).status;
}

test('a healthy daemon: ready, its status and metrics show what it did, and the socket goes with it', async (t) => {
  const { client, daemon } = await openGateway(t, { more: onUnix, mail1: { idle: '1' } });
  assert.equal(lstatSync(daemon.path('admin.sock')).mode & 0o777, 0o600);
  assert.deepEqual(await askDaemon(daemon, '/healthz'), { status: 200, body: 'ok\n' });
  const ready = await askDaemon(daemon, '/readyz');
  assert.equal(ready.status, 200, ready.body);
  assert.match(ready.body, /"route": ".*dovegate\.yaml:\d+",\s+"state": "up"/);

  const one = await client();
  assert.equal(await run(one), '+');
  assert.equal(await run(one), '+');
  assert.notEqual((await one.ask({ user: 'alice@example.org', fields: ['expunge', 'all'] })).status, '+');
  let series = await seriesOf(daemon);
  // Known after the journal's first look at its disk, a moment after the start, and after its next sync.
  const records = (): number => series.get('dovegate_audit_records_total') ?? 0;
  while (!series.has('dovegate_audit_free_bytes') || records() < 2) series = await seriesOf(daemon);
  const labels = 'listener="support",command="quota get",decision="allow",outcome="ok"';
  assert.equal(series.get(`dovegate_exchanges_total{${labels}}`), 2);
  assert.equal(series.get('dovegate_sessions{listener="support"}'), 1);
  assert.equal(series.get('dovegate_upstreams{backend="mail1",state="idle"}'), 1);
  assert.equal(series.get('dovegate_dials_total{backend="mail1",result="ok"}'), 1);
  assert.equal(series.get('dovegate_backend_up{backend="mail1"}'), 1);
  assert.equal(series.get('dovegate_audit_writable'), 1);
  assert.equal(series.get('dovegate_audit_lost_total'), 0);
  assert.ok((series.get('dovegate_audit_free_bytes') ?? 0) > 0);
  assert.equal(series.get('dovegate_lease_wait_seconds_count'), 2);

  const status = await askDaemon(daemon, '/status.json');
  const started = await daemon.waitForLog(({ event }) => event === 'started', 'started');
  assert.ok(status.body.includes(`"config": "${String(started['hash'])}"`));
  assert.match(status.body, /"listener": "support",\s+"address": "unix:.*support\.sock",\s+"sessions": 1/);
  assert.ok(!status.body.includes(backendPassword));
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  assert.equal(existsSync(daemon.path('admin.sock')), false);
});

/** Bytes of the journal's reserve. */
function reserveOf(daemon: Daemon): number {
  return statSync(daemon.path('audit/reserve'), { throwIfNoEntry: false })?.size ?? 0;
}

test('a journal whose directory is taken away makes it unready; it heals and says so', async (t) => {
  const { client, daemon } = await openGateway(t, { more: onUnix });
  const one = await client();
  assert.equal(await run(one), '+');
  // The first round of maintenance makes the reserve; a directory that goes meanwhile would be taken for a full disk.
  for (const deadline = Date.now() + 60_000; reserveOf(daemon) === 0; ) {
    assert.ok(Date.now() < deadline, 'no reserve within 60 s');
    await askDaemon(daemon, '/readyz');
  }
  assert.equal(await run(one), '+');
  renameSync(daemon.path('audit'), daemon.path('audit.gone'));
  // In its place, so that the journal cannot just make another.
  daemon.write('audit', 'in the way');
  // The journal looks when it writes: somebody must want a record.
  const downMs = await until(daemon, 503, async () => void (await run(one)));
  assert.deepEqual(codesOf((await askDaemon(daemon, '/readyz')).body), ['audit-failed']);
  assert.equal((await seriesOf(daemon)).get('dovegate_audit_writable'), 0);
  assert.equal((await askDaemon(daemon, '/healthz')).status, 200);
  assert.equal(await run(one), '-TEMPFAIL');
  rmSync(daemon.path('audit'));
  renameSync(daemon.path('audit.gone'), daemon.path('audit'));
  const upMs = await until(daemon, 200);
  assert.equal(await run(one), '+');
  t.diagnostic(`unready after ${Math.round(downMs)} ms, ready after ${Math.round(upMs)} ms`);
});
