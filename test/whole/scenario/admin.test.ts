// Goal: an operator, a probe and a scraper see what the running daemon did. What it says of a journal that fails is tested in
// test/gate/admin/pages and audit-disk. What must not happen: a number that nothing was done for, a password in what is shown.

import assert from 'node:assert/strict';
import { existsSync, lstatSync } from 'node:fs';
import { test } from 'node:test';
import { type Daemon } from '../../kit/gate/daemon.js';
import { backendPassword, openGateway } from '../../kit/gate/gateway.js';
import { askHttp, type Got } from '../../kit/plain/ask-http.js';
import type { RawClient } from '../../kit/plain/raw-client.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };
const onUnix = 'admin: { unix: admin.sock, mode: "0600" }';
const askDaemon = (daemon: Daemon, path: string): Promise<Got> =>
  askHttp({ socketPath: daemon.path('admin.sock') }, path);

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
  assert.match(status.body, /"name": "support",\s+"address": "unix:.*support\.sock",\s+"sessions": 1/);
  assert.ok(!status.body.includes(backendPassword));
  assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  assert.equal(existsSync(daemon.path('admin.sock')), false);
});
