// Goal: the log of the daemon has a bound for each event that a stranger, a client or a backend can cause as often as they like. Phases,
// each a flood at the built daemon: sessions ended by an empty line, refused connections, broken TLS handshakes, wrong passwords, wrong
// keys, requests that are no HTTP, connections that stay silent, refused commands of many, log lines of a backend, a backend that is away,
// requests at the admin endpoints without the token. What must not happen: more lines than the bound, a line that is neither written nor
// counted.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import type { Daemon } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { authority, filesOf, hash } from '../../kit/gate/tcp-gate.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';

const version = 'VERSION\tdoveadm-server\t1\t2\n';
const [flood, few] = [500, 150];
/** Of one event and one listener or backend, a second. */
const linesMax = 20;

/** Connects, says that, and waits for the end. */
function visit(place: net.NetConnectOpts, bytes: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(place);
    socket.on('error', () => undefined);
    socket.resume();
    socket.once('close', () => resolve());
    socket.write(bytes, 'latin1');
  });
}

async function visits(many: number, place: net.NetConnectOpts, bytes: () => string): Promise<void> {
  let left = many;
  const next = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await visit(place, bytes());
    }
  };
  await Promise.all(Array.from({ length: 40 }, next));
}

/** Lines of a code that were written, and lines that were only counted. */
function linesOf({ logs }: Daemon, code: string): { written: number; counted: number } {
  const written = logs.filter(({ event }) => event === code).length;
  const counted = logs
    .filter(({ event, type }) => event === 'suppressed' && type === code)
    .reduce((sum, { count }) => sum + Number(count), 0);
  return { written, counted };
}

test('floods of strangers, clients and backends leave bounded lines, and the number of the others', {
  timeout: 300_000,
}, async (t) => {
  const [jobs = 0, panel = 0, admin = 0] = await freePorts(3);
  const tls = 'certificate: gate.crt, key: gate.key';
  const key = makeKey(randomBytes(keyBytes));
  const { daemon, backend, client } = await openGateway(t, {
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  small: { unix: small.sock, mode: "0600", policy: support, sessions_per_peer: 1 }
  others: { unix: others.sock, mode: "0600", policy: support, peers: { users: [64001] } }
  local: { unix: local.sock, mode: "0600", protocol: http, policy: support }
  jobs: { tcp: "127.0.0.1:${jobs}", tls: { ${tls} }, accounts: { migrator: { password_hash: "${hash}", policy: support } } }
  panel: { tcp: "127.0.0.1:${panel}", protocol: http, tls: { mode: implicit, ${tls} }, keys: { modoboa: { hash: "${hashKey(key)}", policy: support } } }`,
    files: { ...filesOf(authority), token: 'a-token-that-is-long-enough\n' },
    backend: {
      script: async (_command, connection) => {
        for (let n = 0; n < flood; n += 1) await connection.log('error', `line ${n}`);
        await connection.status('+');
      },
    },
    more: `admin: { unix: admin.sock, tcp: "127.0.0.1:${admin}", token_file: token }\nlimits: { handshake: 1s }`,
  });
  const tcp = (port: number): net.NetConnectOpts => ({ host: '127.0.0.1', port });
  const unix = (name: string): net.NetConnectOpts => ({ path: daemon.path(name) });
  const plain = (n: number): string => Buffer.from(`\0name${n}\0wrong`).toString('base64');
  let n = 0;

  /** The lines of `code` that this leaves; all of them are `expected`, or at least that many where others limit them before. */
  const bounded = async (
    what: string,
    code: string,
    run: () => Promise<unknown>,
    expected?: number,
  ): Promise<void> => {
    const before = linesOf(daemon, code);
    const startMs = performance.now();
    await run();
    const more = () => {
      const now = linesOf(daemon, code);
      return { written: now.written - before.written, counted: now.counted - before.counted };
    };
    const total = (): number => more().written + more().counted;
    if (expected !== undefined) await until(() => total() >= expected, `${what}: ${expected} lines`, 30_000);
    const seconds = Math.ceil((performance.now() - startMs) / 1_000) + 1;
    t.diagnostic(`${what}: ${more().written} lines "${code}" and ${more().counted} counted, in ${seconds} s`);
    assert.ok(more().written <= linesMax * seconds, `${what}: ${more().written} lines in ${seconds} s`);
    if (expected !== undefined) assert.equal(total(), expected, what);
  };

  const asked = await client();
  asked.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
  const logged = linesOf(daemon, 'backend-log');
  assert.deepEqual(logged, { written: 0, counted: 0 });
  await bounded('log lines of a backend', 'backend-log', () => asked.readReply(), flood);
  await bounded(
    'sessions ended by an empty line',
    'session-closed',
    () => visits(flood, unix('support.sock'), () => `${version}\n`),
    flood,
  );
  await bounded(
    'requests that are no HTTP',
    'session-closed',
    () => visits(flood, unix('local.sock'), () => 'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n'),
    flood,
  );
  // Greeted: before, it would be ended after `limits.handshake`, and one of the others be served.
  const held = net.connect(unix('small.sock'));
  t.after(() => held.destroy());
  held.write(version);
  await once(held, 'data');
  await bounded('refused connections', 'session-refused', () =>
    visits(few, unix('small.sock'), () => `${version}\ta@example.org\tquota get\n`),
  );
  await bounded('clients that `peers` does not permit', 'session-refused', () =>
    visits(few, unix('others.sock'), () => `${version}\ta@example.org\tquota get\n`),
  );
  await bounded('broken TLS handshakes', 'login-failed', () =>
    visits(few, tcp(panel), () => 'GET / HTTP/1.1\r\n\r\n'),
  );
  await bounded('wrong passwords', 'login-failed', () =>
    visits(few, tcp(jobs), () => `${version}PLAIN\t${plain((n += 1))}\n`),
  );
  await bounded('silent connections', 'session-closed', () => visits(few, tcp(jobs), () => ''));
  await bounded('requests without the token', 'login-failed', () =>
    visits(few, tcp(admin), () => 'GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  );
  await backend.close();
  const failing = await client();
  await bounded('commands for a backend that is away', 'exchange-failed', async () => {
    for (let at = 0; at < few; at += 1) {
      assert.equal(
        (await failing.ask({ user: 'alice@example.org', fields: ['quota get'] })).status,
        '-TEMPFAIL',
      );
    }
  });
  assert.ok(linesOf(daemon, 'dial-failed').written <= linesMax);
  const all = daemon.logs.filter(({ event }) => event === 'suppressed').length;
  t.diagnostic(`${daemon.logs.length} lines in all, ${all} of them numbers`);
});
