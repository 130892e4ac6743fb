// Goal: whatever a receiver of syslog sends, before TLS, during it or after it with a valid certificate, dovegate ship holds bounded memory
// for it and keeps at most one connection to it, and the gate serves its clients. One process ships to a receiver of each kind at once.
// What must not happen: a command that fails, a connection that is left open beside the next one, a flood that is taken for ever.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { startShip } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { type HostileServer, openHostileSyslog, syslogMisdeeds } from '../../kit/gate/hostile-syslog.js';
import { descriptorsOf, seesDescriptors } from '../../kit/plain/descriptors.js';
import { until } from '../../kit/plain/until.js';

const commands = 200;
const grownMiBMax = 64;
/** What is said of a receiver that broke a bound. */
const said: Readonly<Record<string, RegExp>> = {
  'no byte of TLS': /no TLS handshake within/,
  'TLS byte by byte': /no TLS handshake within/,
  'a flood after the handshake': /it sent more than a receiver does/,
  'TLS records of one byte': /it sent more than a receiver does/,
};

function memoryMiB(pid: number, line: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${line}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
}

test('hostile receivers of syslog: bounded memory, one connection each, and every command is answered', {
  timeout: 120_000,
}, async (t) => {
  const receivers = new Map<string, HostileServer>();
  for (const [name, misdeed] of Object.entries(syslogMisdeeds))
    receivers.set(name, await openHostileSyslog(t, misdeed));
  const sinks = [...receivers.values()].map(
    ({ port, caFile }) => `{ syslog: "localhost:${port}", ca: ${caFile} }`,
  );
  const { daemon, client } = await openGateway(t, {
    audit: `{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, ship: [${sinks.join(', ')}] }`,
  });
  const ofGate = memoryMiB(daemon.pid, 'VmRSS');
  const ship = await startShip(t, daemon);
  const before = memoryMiB(ship.pid, 'VmRSS');
  const connectionsOf = (): number =>
    descriptorsOf(ship.pid).filter((each) => each.startsWith('socket:')).length;

  const one = await client();
  for (let at = 0; at < commands; at += 1) {
    assert.equal((await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).status, '+');
  }
  for (const [name, receiver] of receivers) {
    const pattern = said[name];
    if (pattern !== undefined)
      await ship.waitForLog(
        ({ event, sink, text }) =>
          event === 'ship-away' && sink === `localhost:${receiver.port}` && pattern.test(String(text)),
        `${name}: ${String(pattern)}`,
      );
    await until(() => receiver.connections.taken > 0, `${name}: it is dialled`);
  }
  assert.equal((await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).status, '+');
  // And two to the gate.
  if (seesDescriptors(t)) await until(() => connectionsOf() <= receivers.size + 2, 'one connection to each');
  for (const [pid, from] of [
    [ship.pid, before],
    [daemon.pid, ofGate],
  ] as const) {
    const grown = memoryMiB(pid, 'VmHWM') - from;
    assert.ok(grown <= grownMiBMax, `${grown.toFixed(0)} MiB`);
  }
});
