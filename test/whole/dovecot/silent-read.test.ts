// Goal: reads that a real Dovecot does not answer keep no other principal waiting. Phases: four of its processes, one for each upstream,
// are stopped; one principal sends a search to each; another principal asks; the processes go on. What must not happen: a victim that
// is refused; more than one read that ends; a read within its share that is not answered once its process goes on.
import assert from 'node:assert/strict';
import { auditRecords } from '../../kit/gate/gateway.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';
import { serversOf, signal } from './server-processes.js';

const connections = 4;

onDovecot('silent on all upstreams', openRealDovecot, async (t, lab) => {
  const gate = await openRealGateway(t, lab, {
    connections,
    idle: connections,
    listeners: '  victims: { unix: victims.sock, mode: "0600", policy: support }',
  });
  // Dovecot starts another process only where these have told it that they are busy.
  const opened = () => gate.daemon.logs.filter(({ event }) => event === 'upstream-opened');
  await until(() => opened().length === connections, 'all upstreams');
  const stopped = serversOf(lab);
  assert.equal(stopped.length, connections, 'a process for each upstream');
  for (const pid of stopped) signal(pid, 'SIGSTOP');
  t.after(() => {
    for (const pid of stopped) signal(pid, 'SIGCONT');
  });
  const timeoutMs = 60_000;
  const hogs = await Promise.all(
    stopped.map(async () => {
      const hog = await gate.client({ minor: 2, timeoutMs });
      t.after(() => hog.close());
      hog.sendCommand({ user: alice, fields: ['search', 'text', 'nothing'] });
      return hog;
    }),
  );
  const admitted = () => auditRecords(gate.daemon).filter(({ event }) => event === 'admission');
  await until(() => admitted().length === connections, 'all of them');
  const victim = await openRawClient({
    path: gate.daemon.path('victims.sock'),
    minor: 2,
    timeoutMs,
    owner: t,
  });
  assert.equal((await victim.ask({ user: alice, fields: ['quota get'] })).status, '+');
  for (const pid of stopped) signal(pid, 'SIGCONT');
  const replies = await Promise.all(hogs.map((hog) => hog.readReply()));
  assert.deepEqual(replies.map(({ status }) => status).toSorted(), ['+', '+', '+', '-TEMPFAIL']);
  for (const client of [...hogs, victim]) client.close();
  const ends = (await gate.finish()).map(({ record }) => record['event'] === 'completion' && record['error']);
  assert.deepEqual(ends.filter(Boolean), ['over-share']);
});
