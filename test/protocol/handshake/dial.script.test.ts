// Goal: the handshake comes to what the server says, and whoever started it knows what it waited for. All of its answers are tested in
// test/protocol; what daemon and library make of them, beside those.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds } from '../../../src/bounds/bounds.js';
import { shakeHands } from '../../../src/protocol/handshake/dial.js';
import { createMemoryTransport } from '../../kit/memory-transport.js';

/** What came of it when the server says that, and the phases on the way. */
async function shaken(said: readonly (string | null)[], password?: string) {
  const { transport, peer } = createMemoryTransport();
  const phases: string[] = [];
  const credentials =
    password === undefined ? undefined : { user: 'doveadm', password: Buffer.from(password) };
  const done = shakeHands(
    transport,
    {
      minor: 2,
      tls: 'off',
      demand: { serverName: 'x', ca: undefined, keyPins: [], protocols: [] },
      credentials,
      mayAuthenticateInClear: true,
    },
    (phase) => phases.push(phase),
  );
  for (const text of said) {
    if (text === null) peer.end();
    else peer.send(text);
  }
  return { handshake: await done, phases, sent: peer.received().toString() };
}

void test('preauthenticated: ready, with what came behind the greeting', async () => {
  const { handshake, phases, sent } = await shaken(['VERSION\tdoveadm-client\t1\t3\n+\nmore']);
  assert.deepEqual([handshake.minor, handshake.serverMinor], [2, 3]);
  assert.equal(handshake.rest.toString(), 'more');
  assert.deepEqual(phases, []);
  assert.match(sent, /^VERSION\tdoveadm-server\t1\t2\n/);
});

void test('a password is sent when it is asked for, and may be refused', async () => {
  const good = await shaken(['VERSION\tdoveadm-client\t1\t2\n-\n', '+\n'], 'secret');
  assert.deepEqual([good.handshake.minor, good.handshake.serverMinor], [2, 2]);
  assert.deepEqual(good.phases, ['authentication']);
  assert.match(good.sent, /\nPLAIN\t/);
  await assert.rejects(shaken(['VERSION\tdoveadm-client\t1\t2\n-\n', '-\n'], 'secret'), {
    name: 'UpstreamFault',
    code: 'auth-rejected',
    phase: 'authentication',
  });
});

void test('an end, and what is no doveadm server', async () => {
  await assert.rejects(shaken([null]), { code: 'closed-early', phase: 'greeting' });
  await assert.rejects(shaken(['VERSION\tdoveadm-client\t1\t2\n-\n', null], 'secret'), {
    code: 'closed-early',
    phase: 'authentication',
  });
  await assert.rejects(shaken(['VERSION\tsomething-else\t1\t0\n']), {
    code: 'version-unsupported',
    message: /no doveadm server/,
  });
});

// bounds.greetingLineBytes
void test('a line of the greeting without an end is given up', async () => {
  await assert.rejects(shaken([`VERSION\t${'x'.repeat(bounds.greetingLineBytes)}`]), {
    name: 'UpstreamFault',
  });
});
