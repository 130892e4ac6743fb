// Goal: a stranger with a socket cannot fill the disk. Phases: sessions that send nothing, connections that never get through the
// handshake, refusals without end, an allowed command among them, then the stop. What must not happen: a journal that grows with what
// is thrown at it, a refusal that is in no number, an allowed command without its records.
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';

const sessions = 1500;
const strangers = 500;
const refusals = 4000;

/** Connects, says something, and waits until it has been hung up or answered with `last`. */
function visit(path: string, text: string, last: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect({ path });
    let said = '';
    socket.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('latin1')).slice(-64);
      if (said.endsWith(last)) socket.end();
    });
    socket.on('error', () => undefined);
    socket.once('close', () => resolve());
    socket.write(text);
  });
}

test('sessions, strangers and refusals in thousands leave tens of records, and numbers that add up', async (t) => {
  const { client, daemon, backend } = await openGateway(t);
  const path = daemon.path('support.sock');
  const startMs = performance.now();
  for (let at = 0; at < sessions; at += 50) {
    const hello = 'VERSION\tdoveadm-server\t1\t2\n';
    await Promise.all(Array.from({ length: 50 }, () => visit(path, hello, '+\n')));
  }
  for (let at = 0; at < strangers; at += 50)
    await Promise.all(Array.from({ length: 50 }, () => visit(path, 'EHLO x\n', '\0')));
  const one = await client();
  for (let at = 0; at < refusals; at += 100) {
    await one.write('\talice@example.org\tmailbox delete\tWork\n'.repeat(100));
    for (let count = 0; count < 100; count += 1) assert.equal((await one.readReply()).status, '-NOPERM');
  }
  assert.equal((await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).status, '+');
  await daemon.stop();
  const seconds = Math.ceil((performance.now() - startMs) / 1000) + 1;

  const records = auditRecords(daemon);
  const counted = (action: string): number => {
    const limits = records.filter((record) => record['event'] === 'limit' && record['action'] === action);
    assert.ok(limits.length <= seconds, `${limits.length} limit records in ${seconds} s`);
    return limits.reduce((sum, { count }) => sum + Number(count), 0);
  };
  const eventsOf = (event: string) => records.filter((record) => record['event'] === event);
  const opened = eventsOf('session-open').length;
  assert.ok(opened <= 10 * seconds, `${opened} sessions recorded in ${seconds} s`);
  assert.equal(opened + 1, eventsOf('session-close').length);
  assert.equal(
    opened + counted('session'),
    sessions,
    'neither strangers nor a session of commands are among them',
  );
  const denied = eventsOf('admission').filter(({ decision }) => decision === 'deny').length;
  assert.ok(
    denied <= bounds.floodBurst + bounds.floodPerSecond * seconds,
    `${denied} refusals recorded in ${seconds} s`,
  );
  assert.equal(denied + counted('refused'), refusals);
  assert.equal(eventsOf('admission').length, denied + 1);
  assert.equal(eventsOf('completion').length, denied + 1);
  const logged = daemon.logs.filter(({ event }) => event === 'denied').length;
  const suppressed = daemon.logs.filter(({ event, type }) => event === 'suppressed' && type === 'denied');
  assert.equal(
    suppressed.reduce((sum, { count }) => sum + Number(count), logged),
    denied,
    'the log has a line, or a number, of each refusal that has records',
  );
  const floods = daemon.logs.filter(({ event, type }) => event === 'flood' && type === 'refused');
  assert.equal(
    floods.reduce((sum, { count }) => sum + Number(count), 0),
    counted('refused'),
  );
  assert.equal(backend.commands.length, 1);
  t.diagnostic(
    `${sessions} sessions, ${strangers} strangers, ${refusals} refusals in ${seconds} s: ${records.length} records`,
  );
});
