import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { BoundedTransport } from '../../../src/evidence/nats/transport.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { openHostileNats } from '../../kit/gate/hostile-nats.js';

/** With TLS, before the login. */
async function openTransport(t: TestContext): Promise<BoundedTransport> {
  const { settings } = await openHostileNats(t, {});
  const [server] = settings.servers;
  assert.ok(server !== undefined && settings.caFile !== undefined);
  const tls = { ca: readFileSync(settings.caFile), servername: 'localhost' };
  const { signal } = new AbortController();
  const transport = new BoundedTransport({ server, tls, isOwnCa: true, signal });
  t.after(() => transport.close());
  await transport.connect();
  return transport;
}

/** How many the transport took before it ended; all in one turn, so that none is on its way. */
function sendUntilEnd(transport: BoundedTransport, frame: Buffer, most: number): number {
  let count = 0;
  while (!transport.isClosed && count <= most) {
    transport.send(frame);
    count += 1;
  }
  assert.match(transport.closeError?.message ?? 'it is open', /takes nothing of what it is answered/);
  return count - 1;
}

// bounds.natsWrites
test('writes that wait have a bound by number', async (t) => {
  const transport = await openTransport(t);
  assert.equal(sendUntilEnd(transport, Buffer.from('PONG\r\n'), 2 * bounds.natsWrites), bounds.natsWrites);
});

// bounds.natsWriteBytes
test('writes that wait have a bound by bytes', async (t) => {
  const transport = await openTransport(t);
  const frame = Buffer.alloc(1 << 20);
  const most = bounds.natsWriteBytes / frame.length;
  const count = sendUntilEnd(transport, frame, 2 * most);
  // TLS may have taken the first at once.
  assert.ok(count >= most && count <= most + 2, `${count}`);
});
