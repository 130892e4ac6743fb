// Goal: the accepting side of TLS over real sockets: who gets in, what is known of him, and what an end or a close of either
// side leaves behind. What must not happen: an old version, a foreign protocol, a certificate that does not count or was
// judged in an earlier session, a socket or a timer that stays.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { prepareOffer } from '../../../src/host/net/tls-accept.js';
import { wrapSocket } from '../../../src/host/net/transport.js';
import { TransportFault } from '../../../src/host/ports/faults.js';
import type { TlsOffer, TlsPeer, Transport } from '../../../src/host/ports/transport.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { createFakeClock, type FakeClock } from '../../kit/plain/fake-clock.js';
import { type Far, openSockets, recordFar } from './pair.js';

const authority = makeAuthority({ name: 'our authority' });
const other = makeAuthority({ name: 'another authority' });
const shown = authority.issue({ names: ['gate.example.com'] });
const ours: TlsOffer = {
  certificate: { chain: shown.certificatePem, key: shown.keyPem },
  clientCa: undefined,
  protocols: ['doveadm'],
};
const asking: TlsOffer = { ...ours, clientCa: [authority.certificatePem] };

interface Shaken {
  readonly transport: Transport;
  readonly peer: TlsPeer | undefined;
  readonly far: Far;
  readonly client: TLSSocket;
  readonly clock: FakeClock;
}

const dialling: ConnectionOptions = { ca: authority.certificatePem, servername: 'gate.example.com' };

/** A client's side of TLS over a socket, with whatever it has to say of it. */
function dialTls(far: Socket, options: ConnectionOptions = {}): TLSSocket {
  const client = connectTls({ ...dialling, ...options, socket: far });
  client.on('error', () => undefined);
  return client;
}

/** A handshake with a client that is made so. Rejects as ours does. */
async function shake(t: TestContext, offer: TlsOffer, options: ConnectionOptions = {}): Promise<Shaken> {
  const { near, far } = await openSockets(t, 'tcp');
  const clock = createFakeClock();
  const transport = wrapSocket(near, clock);
  const client = dialTls(far, options);
  try {
    const greeted = once(client, 'secureConnect').catch(() => undefined);
    const peer = await transport.acceptTls(offer, Buffer.alloc(0));
    await greeted;
    return { transport, peer, far: recordFar(client), client, clock };
  } catch (fault) {
    await transport.whenClosed();
    assert.equal(transport.closedFor, 'tls-failed');
    assert.ok(near.destroyed);
    client.destroy();
    await assert.rejects(transport.read(), TransportFault);
    assert.equal(clock.timers, 0);
    throw fault;
  }
}

const refused = (pattern: RegExp) => (fault: unknown) => {
  assert.ok(fault instanceof TransportFault, String(fault));
  assert.equal(fault.code, 'tls-failed');
  assert.match(fault.message, pattern);
  return true;
};

async function close({ transport, far }: Pick<Shaken, 'transport' | 'far'>): Promise<void> {
  transport.close('peer-ended');
  far.socket.end();
  await transport.whenClosed();
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  void test(`${version}: both ways, and each side may end first`, async (t) => {
    const one = await shake(t, ours, { minVersion: version, maxVersion: version });
    assert.equal(one.client.getProtocol(), version);
    assert.equal(one.client.authorized, true);
    assert.equal(one.peer, undefined);
    one.client.write('question');
    assert.equal(String(await one.transport.read()), 'question');
    const big = Buffer.alloc(2 * 1024 * 1024, 'answer ');
    void one.transport.write([big]);
    one.transport.close('peer-ended');
    await one.far.until(() => one.far.hasEnded, 'the end');
    assert.ok(one.far.received().equals(big));
    one.client.end();
    await one.transport.whenClosed();
    assert.equal(one.clock.timers, 0);

    const two = await shake(t, ours, { minVersion: version, maxVersion: version });
    two.client.end('last question');
    assert.equal(String(await two.transport.read()), 'last question');
    assert.equal(await two.transport.read(), null);
    // Who ended only his sending side still gets his answer.
    await two.transport.write([Buffer.from('last answer')]);
    await two.far.until(() => two.far.received().length === 11, 'the answer');
    await close(two);
  });

  void test(`${version}: a session is not resumed, so no certificate goes unjudged`, async (t) => {
    const certificate = authority.issue({ names: ['client.example.com'], client: true });
    const mine = { cert: certificate.certificatePem, key: certificate.keyPem };
    const options = { minVersion: version, maxVersion: version, ...mine };
    const first = await shake(t, asking, options);
    let session: Buffer | undefined = first.client.getSession();
    first.client.on('session', (given: Buffer) => void (session = given));
    await first.transport.write([Buffer.from('x')]);
    await first.far.until(() => first.far.received().length === 1, 'a byte');
    assert.deepEqual(first.peer?.names, ['client.example.com']);
    await close(first);
    assert.ok(session !== undefined);
    const second = await shake(t, asking, { ...options, session });
    assert.equal(second.client.isSessionReused(), false);
    assert.deepEqual(second.peer, first.peer);
    await close(second);
    const bare = await shake(t, asking, { minVersion: version, maxVersion: version, session });
    assert.equal(bare.client.isSessionReused(), false);
    assert.equal(bare.peer, undefined);
    await close(bare);
  });
}

void test('nothing is negotiated anew within a session', async (t) => {
  const shaken = await shake(t, asking, { maxVersion: 'TLSv1.2' });
  const fault = await new Promise((resolve) => {
    shaken.client.on('error', resolve);
    shaken.client.renegotiate({}, (cause) => resolve(cause));
    shaken.client.write('x');
  });
  assert.match(String(fault), /no.renegotiation/i);
  shaken.client.destroy();
  shaken.transport.close('peer-gone');
  await shaken.transport.whenClosed();
});

const protocols: readonly (readonly [offered: readonly string[] | undefined, selected: string | false])[] = [
  [undefined, false],
  [['doveadm'], 'doveadm'],
  [['imap', 'doveadm'], 'doveadm'],
];
for (const [offered, selected] of protocols) {
  void test(`ALPN: ${offered?.join(' ') ?? 'nothing'} offered, ${String(selected)} selected`, async (t) => {
    const shaken = await shake(t, ours, offered === undefined ? {} : { ALPNProtocols: [...offered] });
    assert.equal(shaken.client.alpnProtocol, selected);
    await close(shaken);
  });
}

// What test/whole/scenario/tls-listener sends to the built daemon is refused with a sentence that says why.
const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
for (const [what, options, why] of [
  ['without TLS 1.2', old, /no TLS version from 1\.2 on/],
  ['with other protocols only', { ALPNProtocols: ['h2', 'doveadm2'] }, /another protocol/],
] as const) {
  void test(`a client ${what} is refused`, (t) => assert.rejects(shake(t, ours, options), refused(why)));
}

void test('what a client certificate says: its names', async (t) => {
  const certificate = authority.issue({ names: ['Backup.example.com', '192.0.2.1'], client: true });
  const shaken = await shake(t, asking, { cert: certificate.certificatePem, key: certificate.keyPem });
  assert.deepEqual(shaken.peer, {
    names: ['backup.example.com'],
    fingerprint: new X509Certificate(certificate.certificatePem).fingerprint256,
    authorities: asking.clientCa,
  });
  await close(shaken);
  // Where no authority is said, none is asked for.
  const unasked = await shake(t, ours, { cert: certificate.certificatePem, key: certificate.keyPem });
  assert.equal(unasked.peer, undefined);
  await close(unasked);
});

const backup = { names: ['backup.example.com'], client: true };
const notCounting = {
  'of another authority': other.issue(backup),
  'that has expired': authority.issue({ ...backup, notAfter: new Date(Date.now() - 60_000) }),
  'that is not valid yet': authority.issue({ ...backup, notBefore: new Date(Date.now() + 3_600_000) }),
  'for servers': authority.issue({ names: backup.names }),
};
for (const [what, certificate] of Object.entries(notCounting)) {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    void test(`${version}: a client certificate ${what} ends the handshake`, async (t) => {
      const mine = { cert: certificate.certificatePem, key: certificate.keyPem };
      const shaking = shake(t, asking, { ...mine, minVersion: version, maxVersion: version });
      await assert.rejects(shaking, refused(/the client's certificate does not count/));
    });
  }
}

/** What a client says first, of which `cut` bytes arrive and the rest only when `letGo` is called. */
async function cutHello(t: TestContext, cut: number) {
  const { near, far } = await openSockets(t, 'tcp');
  const { near: middle, far: end } = await openSockets(t, 'tcp');
  const hello = recordFar(middle);
  const client = dialTls(end);
  const isWhole = (): boolean => {
    const bytes = hello.received();
    return bytes.length > 5 && bytes.length === 5 + bytes.readUInt16BE(3);
  };
  await hello.until(isWhole, 'the ClientHello');
  const bytes = hello.received();
  middle.removeAllListeners('data');
  recordFar(far);
  far.pipe(middle);
  far.write(bytes.subarray(0, cut));
  const letGo = (): void => {
    far.write(bytes.subarray(cut));
    middle.pipe(far);
  };
  return { near, far, client, letGo, length: bytes.length };
}

void test('a ClientHello may have been read already, all or part of it, and come in any pieces', async (t) => {
  const { length } = await cutHello(t, 0);
  for (const cut of [0, 1, 4, 5, 6, 100, length - 1, length]) {
    for (const held of new Set([0, Math.floor(cut / 2), cut])) {
      const { near, client, letGo } = await cutHello(t, cut);
      const transport = wrapSocket(near, createFakeClock());
      // What came with the last line in clear text, what is held behind it, what comes later.
      let rest: Buffer = Buffer.alloc(0);
      while (rest.length < held) rest = Buffer.concat([rest, (await transport.read()) ?? Buffer.alloc(0)]);
      const done = transport.acceptTls(ours, rest);
      letGo();
      await done;
      client.write('inside');
      assert.equal(String(await transport.read()), 'inside');
      client.destroy();
      transport.close('peer-ended', true);
      await transport.whenClosed();
    }
  }
});

void test('what is no TLS is refused at once', async (t) => {
  const { near, far } = await openSockets(t, 'tcp');
  recordFar(far).socket.write('PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n');
  const accepting = wrapSocket(near, createFakeClock()).acceptTls(ours, Buffer.alloc(0));
  await assert.rejects(accepting, refused(/TLS failed/));
});

for (const [what, end] of [
  ['ends', (far: Socket) => far.end()],
  ['resets', (far: Socket) => far.resetAndDestroy()],
] as const) {
  void test(`a client that ${what} within the handshake`, async (t) => {
    const { near, far } = await cutHello(t, 50);
    const clock = createFakeClock();
    const transport = wrapSocket(near, clock);
    const accepting = transport.acceptTls(ours, Buffer.alloc(0));
    recordFar(far);
    setImmediate(() => end(far));
    await assert.rejects(accepting, refused(/ended the transport within the handshake/));
    await transport.whenClosed();
    assert.equal(clock.timers, 0);
  });
}

void test('closed within the handshake: at once, and the first reason counts', async (t) => {
  const { near, far } = await openSockets(t, 'tcp');
  const clock = createFakeClock();
  const transport = wrapSocket(near, clock);
  const seen = recordFar(far);
  const accepting = transport.acceptTls(ours, Buffer.alloc(0));
  transport.close('handshake-timeout');
  await assert.rejects(accepting, TransportFault);
  await transport.whenClosed();
  assert.equal(transport.closedFor, 'handshake-timeout');
  await seen.until(() => seen.isClosed || seen.hasEnded, 'the end');
  assert.equal(clock.timers, 0);
});

void test('a client that ended before it', async (t) => {
  const { near, far } = await openSockets(t, 'tcp');
  const transport = wrapSocket(near, createFakeClock());
  far.end();
  assert.equal(await transport.read(), null);
  await assert.rejects(transport.acceptTls(ours, Buffer.alloc(0)), refused(/ended its side/));
});

void test('an offer that cannot be used says so when it is made ready', () => {
  assert.throws(() => prepareOffer({ ...ours, certificate: { chain: 'no certificate', key: shown.keyPem } }));
  const { keyPem } = authority.issue({ names: ['x'] });
  assert.throws(() => prepareOffer({ ...ours, certificate: { chain: shown.certificatePem, key: keyPem } }));
});

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  void test(`${version}: what is not TLS any more ends the transport`, async (t) => {
    const { near, far } = await openSockets(t, 'tcp');
    const clock = createFakeClock();
    const transport = wrapSocket(near, clock);
    const client = dialTls(far, { minVersion: version, maxVersion: version });
    const greeted = once(client, 'secureConnect');
    await transport.acceptTls(ours, Buffer.alloc(0));
    await greeted;
    const read = transport.read();
    far.write(Buffer.from('PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n'));
    await assert.rejects(read, TransportFault);
    transport.close('peer-gone');
    await transport.whenClosed();
    assert.equal(clock.timers, 0);
  });
}
