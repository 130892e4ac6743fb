// Goal: the board and the alerts ask for what a running daemon has. Phases: a daemon of which everything has happened once; its metrics
// read over the admin socket. What must not happen: a metric or a label in an expression, or in docs/operations.md, that is not there.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { serveWatchMetrics } from '../../../src/evidence/fleet-cli/watch-metrics.js';
import { doorCalls } from '../../../src/gate/door/calls.js';
import { createDoorClient } from '../../../src/gate/door/door-client.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { askDoor, shipHeadOf } from '../../kit/gate/ask-door.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { authority, filesOf, hash } from '../../kit/gate/tcp-gate.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { logIn } from '../../kit/plain/guessers.js';
import { askRaw, authorizationOf, encodePost } from '../../kit/plain/raw-http.js';
import { until } from '../../kit/plain/until.js';
import { namesIn, readAlerts, readBoard, root } from './expressions.js';

/** The metrics of a verifier with a finding. */
async function watched(): Promise<string> {
  const [port = 0] = await freePorts(1);
  const at = { host: '127.0.0.1', port };
  const time = '2026-01-01T00:00:00.000Z';
  const finding = { kind: 'silent', host: 'gate1', time, text: '' } as const;
  const gate = { host: 'gate1', seq: 1, lastSeen: time, policies: {}, open: 0, findings: 1, differs: [] };
  const status = { at: time, store: 'S', records: 1, gates: [gate], findings: [finding] };
  const now = () => ({
    status,
    findings: [finding],
    hosts: new Set(['gate1']),
    isUp: true,
    keepMs: 1,
    mirroredMs: new Map([['gate1', 0]]),
  });
  const served = await serveWatchMetrics(at, now, { complain: assert.fail });
  try {
    return (await askHttp(at, '/metrics')).body;
  } finally {
    await served.close();
  }
}

/** The metrics of a daemon in which every kind of event has happened, with their labels. */
async function scraped(t: TestContext): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const [jobs = 0, panel = 0] = await freePorts(2);
  const [far, near] = [makeKey(randomBytes(keyBytes)), makeKey(randomBytes(keyBytes))];
  const { client, daemon, backend } = await openGateway(t, {
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  jobs:
    tcp: "127.0.0.1:${jobs}"
    tls: { mode: implicit, certificate: gate.crt, key: gate.key }
    accounts: { migrator: { password_hash: "${hash}", policy: support } }
  panel:
    tcp: "127.0.0.1:${panel}"
    protocol: http
    tls: { mode: off }
    keys:
      graph: { hash: "${hashKey(far)}", policy: support, expires: 2099-01-01, from: [192.0.2.0/24] }
      modoboa: { hash: "${hashKey(near)}", policy: support, expires: 2099-01-01 }`,
    policy: ' { users: ["*@example.org"], allow: [quota get, mailbox list, who], shadow: next.yaml }',
    files: { ...filesOf(authority), 'next.yaml': 'users: ["*"]\nallow: [who]\n' },
    // So small that one client fills it.
    audit:
      '{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, max_size: 32KiB, ship: [{ syslog: "127.0.0.1:1", ca: ca.pem }] }',
    more: `admin: { unix: admin.sock, door: door.sock, page: { unix: page.sock, people: { oncall: { user: "${process.getuid?.() ?? 0}", role: view } } } }`,
    backend: {
      script: async (_command, connection) => {
        // More than a second has room for in the log.
        for (let line = 0; line <= bounds.codeLines; line += 1)
          await connection.log('error', 'a line of the log');
        await connection.status('+');
      },
    },
  });
  const one = await client();
  for (const name of ['quota get', 'mailbox delete']) {
    one.sendCommand({ user: 'alice@example.org', fields: name === 'quota get' ? [name] : [name, 'x'] });
    await one.readReply();
  }
  const from = '127.0.0.1';
  await logIn({ port: jobs, from, user: 'migrator', password: 'wrong', isTls: true });
  for (const key of [far, near])
    await askRaw({ port: panel }, encodePost({ body: '[]', authorization: authorizationOf.key(key) }));
  // As the page's process tells of itself.
  const told = { version: '1', certificates: [], people: 1, watchers: 0, signIns: 1, refusedSignIns: 0 };
  const door = createDoorClient(
    { path: daemon.path('door.sock'), calls: doorCalls },
    systemClock,
    Math.random,
  );
  t.after(() => door.close());
  await door.call('page', told);
  // As dovegate ship tells of receivers.
  const { journal } = await shipHeadOf(daemon, t);
  const receiver = { name: 'chat', delivered: 1, failed: 1, dropped: 1, lagMs: 1 };
  const claims = { version: '1', journal, sinks: [], notices: [receiver], certificates: [] };
  assert.equal((await askDoor(daemon, '/shipped', claims, 'ship.sock')).status, 200);
  // Of a backend that is gone: a dial that fails.
  await backend.close();
  let text = '';
  await until(async () => {
    one.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
    await one.readReply();
    text = (await askHttp({ socketPath: daemon.path('admin.sock') }, '/metrics')).body;
    const late = ['audit_free_bytes', 'key_failures_total{', 'audit_writer_share{', 'log_suppressed_total{'];
    return late.every((name) => text.includes(`\ndovegate_${name}`));
  }, 'all of it');
  await daemon.stop();
  text += await watched();
  const found = new Map<string, Set<string>>();
  for (const line of text.split('\n')) {
    const [, name, inside = ''] = /^(\w+)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
    if (name === undefined) continue;
    const labels = found.get(name) ?? new Set();
    for (const [, label = ''] of inside.matchAll(/(\w+)="/g)) labels.add(label);
    found.set(name, labels);
  }
  return found;
}

test('each metric and label of the board, the alerts and the page exists in a running daemon', {
  timeout: 600_000,
}, async (t) => {
  const there = await scraped(t);
  // Made by Prometheus itself for each target.
  const ofTarget = ['job', 'instance'];
  const labelsOf = (name: string): ReadonlySet<string> => {
    const labels = name === 'up' ? new Set<string>() : there.get(name);
    assert.ok(labels !== undefined, `no metric ${name}`);
    return new Set([...labels, ...ofTarget]);
  };
  const check = (expr: string, text: string, shown: RegExp): void => {
    const { metrics, grouped } = namesIn(expr);
    assert.ok(metrics.length > 0, expr);
    const all = new Set<string>();
    for (const { name, selected } of metrics) {
      const labels = labelsOf(name);
      for (const label of selected) assert.ok(labels.has(label), `${name} has no label ${label}: ${expr}`);
      for (const label of labels) all.add(label);
    }
    const named = [...text.matchAll(shown)].map(([, label = '']) => label);
    for (const label of [...grouped, ...named]) assert.ok(all.has(label), `no label ${label}: ${expr}`);
  };
  for (const { expr, annotations } of readAlerts())
    check(expr, Object.values(annotations).join(' '), /\$labels\.(\w+)/g);
  const board = readBoard();
  for (const { targets = [] } of board.panels)
    for (const { expr, legendFormat } of targets) check(expr, legendFormat, /\{\{(\w+)\}\}/g);

  const page = readFileSync(join(root, 'docs/operations.md'), 'utf8');
  const written = new Set(page.match(/\b(?:dovegate|process)_[a-z_]+\b/g));
  const families = new Set([...there.keys()].map((name) => name.replace(/_(?:bucket|sum|count)$/, '')));
  assert.deepEqual(
    [...written].filter((name) => !families.has(name)),
    [],
    'only on the page',
  );
  assert.deepEqual(
    [...families].filter((name) => !written.has(name)),
    [],
    'not on the page',
  );
});

test('the board can be imported anywhere: its data source is a variable, its panels do not overlap, each says what it shows', () => {
  const { id, panels, templating } = readBoard();
  assert.equal(id, null);
  const variables = templating.list.map(({ name, type }) => `${name} ${type}`);
  assert.deepEqual(variables, ['datasource datasource', 'instance query', 'verifier query']);
  // What Grafana has without plug-ins.
  const own = new Set(['row', 'stat', 'timeseries', 'state-timeline', 'table']);
  const taken = new Set<string>();
  for (const { title, type, description, datasource, gridPos, targets = [] } of panels) {
    assert.ok(own.has(type), type);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        assert.ok(x < 24 && !taken.has(`${x} ${y}`), `${title} overlaps`);
        taken.add(`${x} ${y}`);
      }
    }
    if (type === 'row') continue;
    assert.ok((description ?? '').length > 8, title);
    assert.equal(datasource?.uid, '${datasource}', title);
    assert.ok(targets.length > 0, title);
    for (const { expr } of targets) {
      // The verifier of many gates is another program than the daemon.
      const variable = expr.includes('dovegate_fleet_') ? '$verifier' : '$instance';
      assert.ok(expr.includes(`instance=~"${variable}"`), title);
    }
  }
});

test('what an expression names is found, whatever stands around it', () => {
  const named = namesIn(
    'sum by (le, a) (rate(x_total{b="job",c!~"y_total"}[5m] offset 1h)) / on (z) up unless w > 3',
  );
  assert.deepEqual(named, {
    metrics: [
      { name: 'x_total', selected: ['b', 'c'] },
      { name: 'up', selected: [] },
      { name: 'w', selected: [] },
    ],
    grouped: ['le', 'a', 'z'],
  });
});
