// Goal: each state of a backend has one word, whoever shows it. Phases: up; dials that fail while a connection lives; down; drained.
// What must not happen: a view that says another word, counts a drained backend as down, or keeps silent about a route that nobody serves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { BackendHealth } from '../../../src/gate/now/now.js';
import { builtProgram } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { askPageAt, signIn, watchNow } from '../../kit/gate/page-client.js';
import { createGate } from '../../kit/gate/script.js';
import { hash, password } from '../../kit/gate/tcp-gate.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { runProgram } from '../../kit/plain/program.js';
import { until } from '../../kit/plain/until.js';

interface Views {
  readonly status: readonly [health: string, isUp: boolean];
  /** On a terminal, and in the page's CSV. */
  readonly words: string;
  readonly ready: number;
  readonly metrics: readonly [up: number, drained: number];
  readonly page: readonly [state: string, health: string, isUp: boolean];
  /** Those of `status`, and those of the page. */
  readonly problems: readonly [string, string];
}

const serves = (health: BackendHealth): Views => ({
  status: [health, true],
  words: 'up',
  ready: 200,
  metrics: [1, 0],
  page: ['degraded', health, true],
  problems: ['backend-drained', 'backend-drained'],
});
const fails = (health: BackendHealth): Views => ({
  status: [health, false],
  words: 'down',
  ready: 503,
  metrics: [0, 0],
  page: ['not serving', health, false],
  problems: ['backend-down backend-drained', 'backend-down backend-drained'],
});
const views: Readonly<Record<BackendHealth, Views>> = {
  up: serves('up'),
  pausing: serves('pausing'),
  retrying: serves('retrying'),
  down: fails('down'),
  probing: fails('probing'),
  drained: {
    status: ['drained', false],
    words: 'drained',
    ready: 503,
    metrics: [0, 1],
    page: ['not serving', 'drained', false],
    problems: ['backend-drained backend-drained', 'backend-drained backend-drained'],
  },
};

test('each state of a backend is the same word in status, readiness, metrics and on the page', async (t) => {
  const [port = 0] = await freePorts(1);
  const gate = createGate();
  t.after(() => gate.open());
  const { daemon, backend, client } = await openGateway(t, {
    mail1: { connections: '3', connect_timeout: '60s' },
    routes: '[{ users: ["other@*"], backend: mail2 }, { users: ["*"], backend: mail1 }]',
    more: `include: [mail2.yaml]
admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: 127.0.0.1:${port}
    people:
      oncall: { password_hash: "${hash}", role: operate }
`,
    files: {
      'mail2.yaml': `backends:
  mail2: { address: "unix:/nowhere/doveadm", drained: true, shared_namespaces: [] }
`,
    },
    backend: {
      async script(_command, connection) {
        await Promise.race([gate.opened, connection.closed]);
        await connection.status('+');
      },
    },
  });
  const token = await signIn(port, 'oncall', password);
  const watcher = await watchNow(t, port, token);
  const ask = async (path: string) => askHttp({ socketPath: daemon.path('admin.sock') }, path);

  async function look(): Promise<Views & { readonly other: unknown }> {
    const [told, ready, metrics, shown] = await Promise.all([
      ask('/status.json'),
      ask('/readyz'),
      ask('/metrics'),
      runProgram(process.execPath, [builtProgram, 'status', '--config', daemon.configFile]),
    ]);
    const status = JSON.parse(told.body);
    const gauge = (name: string) =>
      Number(
        new RegExp(`^dovegate_backend_${name}\\{backend="mail1"\\} (\\d)$`, 'm').exec(metrics.body)?.[1],
      );
    const cell = (name: string) =>
      new RegExp(`^BACKEND +STATE [^]*?^${name} +(\\w+)`, 'm').exec(shown.text)?.[1];
    const { head, backends } = watcher.now;
    const [first, second] = backends;
    const codes = (problems: readonly { readonly code: string }[]) =>
      problems
        .map(({ code }) => code)
        // Comes when the command that runs has hung for 10 s.
        .filter((code) => code !== 'backend-stuck')
        .join(' ');
    return {
      status: [status.backends[0].health, status.backends[0].up],
      words: cell('mail1') ?? shown.text,
      ready: ready.status,
      metrics: [gauge('up'), gauge('drained')],
      page: [head.state, first?.health ?? '', first?.isUp === true],
      problems: [codes(status.problems), codes(head.problems)],
      other: [status.backends[1].health, second?.health, cell('mail2')],
    };
  }

  async function is(health: BackendHealth): Promise<void> {
    let seen: unknown;
    const expected = { ...views[health], other: ['drained', 'drained', 'drained'] };
    await until(
      async () => {
        seen = await look();
        return isDeepStrictEqual(seen, expected);
      },
      () => `${health}, not ${JSON.stringify(seen)}`,
      120_000,
    );
    // The page's process may ask so often.
    const sheet = async () => (await askPageAt(port, 'GET', '/api/backends.csv', { token })).body;
    await until(
      async () => /^mail1,[^,]*,[^,]*,(\w+),/m.exec(await sheet())?.[1] === views[health].words,
      `${health} in the CSV`,
    );
  }

  const operate = async (act: 'drain' | 'enable') =>
    runProgram(process.execPath, [
      builtProgram,
      'backend',
      act,
      'mail1',
      '--config',
      daemon.configFile,
      ...(act === 'drain' ? ['--reason', 'new disk / 2'] : []),
    ]);

  const holder = await client({ timeoutMs: 300_000 });
  holder.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
  await backend.waitFor(({ commands }) => commands.length === 1, 'a command that runs');
  await is('up');
  backend.change({ fault: 'reset-after-accept' });
  const waiter = await client({ timeoutMs: 300_000 });
  waiter.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
  await is('pausing');
  // A dial that nobody answers.
  backend.change({ fault: 'silent-after-accept' });
  await is('retrying');
  for (const each of backend.live) each.end();
  backend.change({ fault: 'reset-after-accept' });
  await is('down');
  backend.change({ fault: 'silent-after-accept' });
  await is('probing');
  assert.equal((await operate('drain')).exit, 0);
  await is('drained');
  backend.change({ fault: undefined });
  assert.equal((await operate('enable')).exit, 0);
  await is('up');
});
