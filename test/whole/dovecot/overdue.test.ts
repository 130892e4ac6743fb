// Goal: a change that a real Dovecot carries out after its deadline is recorded with what became of it. Phases: the process that serves it
// is stopped; the client is answered at the deadline, and repeats the command; the process goes on. What must not happen: the change a
// second time; a record that leaves its end open.
import assert from 'node:assert/strict';
import { auditRecords } from '../../kit/gate/gateway.js';
import { until } from '../../kit/plain/until.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';
import { serversOf, signal } from './server-processes.js';

onDovecot('a change after its deadline', openRealDovecot, async (t, lab) => {
  const gate = await openRealGateway(t, lab, {
    connections: 1,
    idle: 1,
    // By a UNIX socket the change goes to the process that is stopped: by TCP, to a new one.
    way: 'unix',
    allow: ['{ command: mailbox create, deadline: 500ms }'],
  });
  await until(() => gate.daemon.logs.some(({ event }) => event === 'upstream-opened'), 'the upstream');
  const stopped = serversOf(lab);
  assert.equal(stopped.length, 1, 'a process for the upstream');
  for (const pid of stopped) signal(pid, 'SIGSTOP');
  t.after(() => {
    for (const pid of stopped) signal(pid, 'SIGCONT');
  });
  const create = { user: alice, fields: ['mailbox create', 'Overdue'] };
  const client = await gate.client({ minor: 2, timeoutMs: 60_000 });
  const codes: (string | undefined)[] = [];
  for (let times = 0; times < 3; times += 1) {
    const { status, logs } = await client.ask(create);
    codes.push(/\[([a-z-]+)\]/.exec(logs.at(-1)?.text ?? '')?.[1]);
    assert.equal(status, '-TEMPFAIL');
  }
  assert.deepEqual(codes, ['reply-timeout', 'still-running', 'still-running']);
  // Another command of the user, on an upstream and a process of its own.
  assert.equal((await client.ask({ user: alice, fields: ['mailbox list', 'INBOX'] })).status, '+');
  for (const pid of stopped) signal(pid, 'SIGCONT');
  const isLate = () => auditRecords(gate.daemon).filter(({ error }) => error === 'reply-timeout');
  await until(() => isLate().length === 1, 'the end');
  assert.deepEqual(
    isLate().map(({ outcome, status, sent }) => [outcome, status, sent]),
    [['ok', '-TEMPFAIL', true]],
  );
  // It is done, so the same command fails now as it does directly.
  const again = await client.ask(create);
  assert.match(again.status, /^-(?!TEMPFAIL)/);
  assert.match((await lab.doveadm(['mailbox', 'list', '-u', alice])).stdout.toString(), /^Overdue$/m);
  client.close();
  await gate.finish();
});
