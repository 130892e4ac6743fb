// The counting forwarder: bytes, ends and losses pass in both directions; a TLS handshake is told from other bytes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeAuthority } from '../kit/certificates.js';
import { openRawClient } from '../kit/raw-client.js';
import { openScriptedDovecot } from '../kit/scripted-dovecot.js';
import { openTcpCounter } from '../kit/tcp-counter.js';

const authority = makeAuthority({ name: 'Counter Authority' });
const certificate = authority.issue({ names: ['127.0.0.1'] });
const auth = { password: 'secret' };

void test('counts connections and handshakes, and passes everything on', async (t) => {
  const dovecot = await openScriptedDovecot({ tls: 'starttls', certificate });
  t.after(() => dovecot.close());
  const counter = await openTcpCounter(dovecot);
  t.after(() => counter.close());
  const { port } = counter;

  const client = await openRawClient({ port, minor: 2, auth, tls: 'starttls', ca: authority.certificatePem });
  for (let round = 0; round < 100; round += 1) {
    client.send('\talice\tquota get');
    assert.equal((await client.readReply()).status, '+');
  }
  assert.deepEqual([counter.connections, counter.openConnections, counter.tlsHandshakes], [1, 1, 1]);
  // A half-closed client gets its last answer, then the end.
  client.send('\talice\tmailbox list');
  client.halfClose();
  assert.equal((await client.readReply()).cells.length, 4);
  assert.equal((await client.readEnd()).isBroken, false);

  // PLAIN in clear holds no ClientHello.
  dovecot.change({ tls: 'plain' });
  const clear = await openRawClient({ port, minor: 2, auth });
  clear.reset();
  await dovecot.waitFor(({ records }) => records[1]?.isOpen === false, 'the loss of the second connection');
  assert.deepEqual([counter.connections, counter.tlsHandshakes], [2, 1]);

  dovecot.change({ tls: 'implicit' });
  const implicit = await openRawClient({
    port,
    minor: 2,
    auth,
    tls: 'implicit',
    ca: authority.certificatePem,
  });
  implicit.close();
  assert.deepEqual([counter.connections, counter.tlsHandshakes], [3, 2]);
});

void test('a target that does not listen is a closed connection', async (t) => {
  const gone = await openScriptedDovecot();
  await gone.close();
  const counter = await openTcpCounter({ host: '127.0.0.1', port: gone.port });
  t.after(() => counter.close());
  await assert.rejects(openRawClient({ port: counter.port, minor: 2 }), /ended in the greeting/);
});
