// Goal: a listener by TCP gives nothing to whoever has not shaken hands as it wants, and keeps serving those who have. Phases: clients
// without TLS, with an old one, with another protocol; STARTTLS in any pieces, and lines in front of it; slow handshakes; networks.
// What must not happen: a line run that came in clear, an honest client that waits for others.
import assert from 'node:assert/strict';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { recordsOf } from '../../kit/gate/gateway.js';
import { authority, type Gate, isServed, openGate, password } from '../../kit/gate/tcp-gate.js';
import { listenHere } from '../../kit/plain/free-ports.js';

/** Sends bytes to a fresh connection, and gives everything that comes until its end. */
async function sendClear(port: number, bytes: string | Buffer, localAddress = '127.0.0.1'): Promise<Buffer> {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => undefined);
  socket.write(bytes);
  await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(chunks);
}

/** Takes what a client sends and passes on what `change` makes of it; what comes back goes on as it is. */
async function openRelay(
  t: TestContext,
  port: number,
  change: (chunk: Buffer, pass: (bytes: Buffer) => void) => void,
): Promise<number> {
  const server = net.createServer((client) => {
    const daemon = net.connect({ host: '127.0.0.1', port, noDelay: true });
    client.on('data', (chunk: Buffer) => change(chunk, (bytes) => void daemon.write(bytes)));
    client.on('error', () => daemon.destroy());
    client.on('close', () => daemon.destroy());
    daemon.on('error', () => client.destroy());
    daemon.on('close', () => client.destroy());
    daemon.pipe(client);
  });
  t.after(() => void server.close());
  return listenHere(server);
}

function admissionsOf({ daemon }: Gate): number {
  return recordsOf(daemon, 'admission').length;
}

function refusedFor(gate: Gate, reason: string, count = 1): Promise<unknown> {
  const found = (): number =>
    gate.daemon.logs.filter((each) => each['event'] === 'session-closed' && each['reason'] === reason).length;
  return gate.daemon.waitForLog(() => found() >= count, `${count} sessions closed for ${reason}`);
}

const version = 'VERSION\tdoveadm-server\t1\t2\n';
const plain = `PLAIN\t${Buffer.from(`\0migrator\0${password}`).toString('base64')}\n`;
const command = '\talice@example.org\tquota get\n';

test('STARTTLS', async (t) => {
  const gate = await openGate(
    t,
    { sessions_per_peer: '100' },
    'limits: { handshake: 4s }\nlog: { level: debug }',
  );

  await t.test('in clear nothing is served, whoever says what in which order', async () => {
    const before = admissionsOf(gate);
    const greeting = 'VERSION\tdoveadm-client\t1\t3\n-\n';
    const refused = `${greeting}-\n`;
    for (const [bytes, answer] of [
      [`${version}${plain}${command}`, refused],
      [`${version}${command}`, refused],
      // What follows STARTTLS is TLS or nothing.
      [`${version}STARTTLS\n${plain}${command}`, greeting],
      [`${version}STARTTLS\nSTARTTLS\n${plain}${command}`, greeting],
      [`STARTTLS\n${version}${plain}`, ''],
    ] as const) {
      const heard = (await sendClear(gate.port, bytes)).toString('latin1');
      // What comes behind may be an alert of TLS.
      assert.equal(heard.slice(0, answer.length), answer);
      assert.doesNotMatch(heard.slice(answer.length), /[+-]\n/);
    }
    assert.ok(await isServed(await gate.login()));
    assert.equal(admissionsOf(gate) - before, 1);
  });

  await t.test('STARTTLS and the handshake may come in one piece, or byte by byte', async () => {
    let held = Buffer.alloc(0);
    const glued = await openRelay(t, gate.port, (chunk, pass) => {
      held = Buffer.concat([held, chunk]);
      if (held.subarray(-9).toString() === 'STARTTLS\n') return;
      pass(held);
      held = Buffer.alloc(0);
    });
    assert.ok(await isServed(await gate.login({ port: glued })));
    const crumbled = await openRelay(t, gate.port, (chunk, pass) => {
      for (const byte of chunk) pass(Buffer.of(byte));
    });
    assert.ok(await isServed(await gate.login({ port: crumbled })));
  });

  await t.test('whoever sits on the way cannot put lines in front of TLS', async () => {
    const before = admissionsOf(gate);
    const starttls = 'STARTTLS\n';
    const between = (text: string): Promise<number> =>
      openRelay(t, gate.port, (chunk, pass) => {
        pass(Buffer.from(chunk.toString('latin1').replace(starttls, text), 'latin1'));
      });
    assert.ok(await isServed(await gate.login({ port: await between(starttls) })));
    for (const text of [
      `${starttls}${plain}${command}`,
      // A login in clear.
      `${plain}${command}${starttls}`,
      `${command}${starttls}`,
    ]) {
      await assert.rejects(gate.login({ port: await between(text) }));
    }
    assert.equal(admissionsOf(gate) - before, 1);
  });

  await t.test('handshakes that do not go on are over in their time, and nobody waits for them', async () => {
    const closed = (): number =>
      gate.daemon.logs.filter(({ reason }) => reason === 'handshake-timeout').length;
    const before = closed();
    const hello = Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
    const slow = Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        sendClear(
          gate.port,
          n % 2 === 0 ? version : Buffer.concat([Buffer.from(`${version}STARTTLS\n`), hello]),
        ),
      ),
    );
    assert.ok(await isServed(await gate.login()));
    assert.ok(closed() - before < 40, 'the honest one did not wait for them');
    await slow;
    await refusedFor(gate, 'handshake-timeout', before + 40);
  });
});

test('TLS from the first byte', async (t) => {
  const gate = await openGate(
    t,
    { tls: '{ mode: implicit, certificate: gate.crt, key: gate.key }' },
    'log: { level: debug }',
  );

  await t.test('TLS from the first byte: other protocols and old versions are turned away', async () => {
    const failed = gate.daemon.logs.filter(({ reason }) => reason === 'tls-failed').length;
    for (const bytes of [
      `${version}${plain}${command}`,
      'GET / HTTP/1.1\r\n\r\n',
      'a LOGIN x y\r\n',
      Buffer.alloc(70_000),
    ]) {
      const heard = await sendClear(gate.port, bytes);
      // At most an alert: 0x15 is its type.
      assert.ok(heard.length === 0 || heard[0] === 0x15, heard.toString('latin1'));
    }
    await refusedFor(gate, 'tls-failed', failed + 4);
    const shake = (options: tls.ConnectionOptions): Promise<string> =>
      new Promise((resolve) => {
        const socket = tls.connect({
          host: '127.0.0.1',
          port: gate.port,
          ca: authority.certificatePem,
          ...options,
        });
        socket.once('secureConnect', () => {
          resolve(socket.getProtocol() ?? '');
          socket.destroy();
        });
        socket.on('error', (cause) => resolve('code' in cause ? String(cause.code) : cause.message));
      });
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    assert.match(await shake(old), /PROTOCOL_VERSION/);
    assert.equal(await shake({ maxVersion: 'TLSv1.2' }), 'TLSv1.2');
    assert.equal(await shake({}), 'TLSv1.3');
    assert.equal(await shake({ ALPNProtocols: ['doveadm'] }), 'TLSv1.3');
    for (const protocol of ['http/1.1', 'imap', 'h2']) {
      assert.match(await shake({ ALPNProtocols: [protocol] }), /NO_APPLICATION_PROTOCOL/);
    }
    assert.ok(await isServed(await gate.login({ tls: 'implicit' })));
  });
});

test('networks: who is not in from hears nothing; a reload lets in and puts out', async (t) => {
  const gate = await openGate(t, { tcp: '"[::]:PORT"', from: '[127.0.0.2]' });
  const { daemon } = gate;
  // An IPv4 client of a socket for both.
  assert.equal((await sendClear(gate.port, version)).length, 0);
  await daemon.waitForLog(
    ({ event, listener }) => event === 'session-refused' && listener === 'jobs',
    'refused',
  );
  assert.notEqual((await sendClear(gate.port, `${version}X\n`, '127.0.0.2')).length, 0);

  await daemon.reload(gate.configuration({ listeners: gate.listenersWith({ from: '[127.0.0.0/8]' }) }));
  const client = await gate.login();
  assert.ok(await isServed(client));
  daemon.write(
    'dovegate.yaml',
    gate.configuration({ listeners: gate.listenersWith({ from: '[192.0.2.0/24]' }) }),
  );
  daemon.signal('SIGHUP');
  await client.readEnd();
  assert.equal((await sendClear(gate.port, version)).length, 0);
});
