// Goal: what clients see of the pool behind the daemon. Phases: two hundred waiting commands of one team and one of another; a
// backend that goes and comes; a command that kills its process. What must not happen: a newcomer behind two
// hundred others; a client that waits for a backend that is away; one line of the log for each command.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditRecords, backendPassword, openGateway } from '../../kit/gate/gateway.js';
import { createGate } from '../../kit/gate/script.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { openRawClient } from '../../kit/plain/raw-client.js';

const quota = { user: 'alice@example.org', fields: ['quota get'] };

/** A second listener, whose clients are another principal. */
const crowd = {
  more: 'include: [crowd.yaml]',
  files: {
    'crowd.yaml': `listeners:
  crowd: { unix: crowd.sock, mode: "0600", policy: support, sessions: 300, sessions_per_peer: 300 }
`,
  },
};

test('two hundred waiting commands, and a killer: another team waits for one command, and no backend is down', async (t) => {
  const gate = createGate();
  const { client, daemon, backend } = await openGateway(t, {
    ...crowd,
    backend: {
      script: async (_command, connection) => {
        await gate.opened;
        await connection.status('+');
      },
    },
  });
  const greedy = [];
  for (let n = 0; n < 200; n += 1) {
    const one = await openRawClient({
      path: daemon.path('crowd.sock'),
      minor: 2,
      timeoutMs: 60_000,
      owner: t,
    });
    one.sendCommand({ user: `u${n}@example.org`, fields: ['quota get'] });
    greedy.push(one);
  }
  await backend.waitFor(({ commands }) => commands.length === 4, 'four commands that run');
  const newcomer = await client({ timeoutMs: 60_000 });
  newcomer.sendCommand(quota);
  const told = await newcomer.readLogs();
  assert.match(told[0]?.text ?? '', /^dovegate: waiting for mail1 \[waiting\]$/);
  gate.open();
  assert.equal((await newcomer.readReply()).status, '+');
  for (const one of greedy) assert.equal((await one.readReply()).status, '+');
  const position = backend.commands.findIndex(({ user }) => user === quota.user);
  assert.ok(position >= 4 && position < 4 + 4, `it came as number ${position + 1}`);
  assert.equal(backend.records.length, 4);

  // A command that kills its process, again and again: it may have run, and nobody else is touched.
  backend.change({
    script: async (command, connection) => {
      if (command.fields[0] === 'mailbox list') return connection.end();
      await connection.status('+');
    },
  });
  const [one, other] = [await client(), await openRawClient({ path: daemon.path('crowd.sock'), minor: 2 })];
  t.after(() => other.close());
  const killer = { user: 'alice@example.org', fields: ['mailbox list', 'Killer'] };
  for (let n = 0; n < 8; n += 1) {
    const { status, logs } = await one.ask(killer);
    assert.equal(status, '-TEMPFAIL');
    assert.match(logs[0]?.text ?? '', /broke off; whether the command ran is not known \[closed-early\]/);
    assert.equal((await other.ask(quota)).status, '+');
  }
  await daemon.stop();
  const completions = auditRecords(daemon).filter(
    ({ event, command }) => event === 'completion' && command === 'mailbox list',
  );
  const kinds = new Set(
    completions.map(({ outcome, error, sent }) => `${String(outcome)} ${String(error)} ${String(sent)}`),
  );
  assert.deepEqual([...kinds].toSorted(), ['unknown closed-early true']);
  assert.ok(!daemon.logs.some(({ event }) => event === 'backend-down'));
});

test('a backend that goes away: refused at once, told once, not ready, and back by itself', async (t) => {
  const { client, daemon, backend, authority } = await openGateway(t, {
    mail1: { idle: '2' },
    more: 'admin: { unix: admin.sock }',
  });
  const ask = (path: string) => askHttp({ socketPath: daemon.path('admin.sock') }, path);
  await backend.waitFor(({ live }) => live.length === 2, 'two upstreams that are kept ready');
  const one = await client();
  assert.equal((await one.ask(quota)).status, '+');
  const certificate = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const { port } = backend;
  await backend.close();
  await daemon.waitForLog(({ event }) => event === 'backend-down', 'that it is down');
  const { status, body } = await ask('/readyz');
  assert.deepEqual([status, /"code": "([a-z-]+)"/.exec(body)?.[1]], [503, 'backends-down'], body);
  assert.match((await ask('/metrics')).body, /^dovegate_backend_up\{backend="mail1"\} 0$/m);
  for (let n = 0; n < 50; n += 1) {
    const startMs = performance.now();
    assert.equal((await one.ask(quota)).status, '-TEMPFAIL');
    assert.ok(performance.now() - startMs < 25_000, 'a command that waits does so for 30 s');
  }
  await openScriptedDovecot({ tls: 'starttls', certificate, password: backendPassword, port, owner: t });
  await daemon.waitForLog(({ event }) => event === 'backend-up', 'that it is back');
  assert.equal((await ask('/readyz')).status, 200);
  assert.equal((await one.ask(quota)).status, '+');
  const told = daemon.logs.filter(
    ({ event, level }) => /^(backend-|dial-)/.test(String(event)) && level !== 'debug',
  );
  assert.deepEqual(
    told.map(({ event }) => event),
    ['dial-failed', 'backend-down', 'backend-up'],
  );
  await daemon.stop();
});
