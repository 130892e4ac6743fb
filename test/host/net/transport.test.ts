// Goal: a real socket keeps the words of the port. Phases, over TCP and UNIX sockets: reading, what is held, writing, closing, a
// peer that goes; then TLS. What must not happen: an error event that nobody takes, an answer cut by our own close, a timer or
// promise that stays.
import assert from 'node:assert/strict';
import { readSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { loadNative } from '../../../src/host/machine/native.js';
import { wrapSocket } from '../../../src/host/net/transport.js';
import { TransportFault, type TransportFaultCode, UpstreamFault } from '../../../src/host/ports/faults.js';
import { type Transport, wholeBytesMax } from '../../../src/host/ports/transport.js';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { type Far, type Kind, openPair, openSockets, recordFar, serveTls } from './pair.js';

const isFault = (code: TransportFaultCode) => (fault: unknown) =>
  fault instanceof TransportFault && fault.code === code;
const isTlsFault = (fault: unknown): boolean => fault instanceof UpstreamFault && fault.code === 'tls-failed';

/** One test for each kind of socket. */
function over(name: string, run: (t: TestContext, kind: Kind) => Promise<void>): void {
  for (const kind of ['tcp', 'unix'] as const) void test(`${kind}: ${name}`, (t) => run(t, kind));
}

/** Reads to the end. */
async function readAll(transport: Transport): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let chunk = await transport.read(); chunk !== null; chunk = await transport.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Reads until so many bytes have come. */
async function readBytes(transport: Transport, count: number): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  while (bytes.length < count) {
    const chunk = await transport.read();
    assert.ok(chunk !== null, 'ended too early');
    bytes = Buffer.concat([bytes, chunk]);
  }
  return bytes;
}

/** Writes until the peer's side is full; the promise of the last write. */
function fill(transport: Transport): Promise<void> {
  for (;;) {
    const write = transport.write([Buffer.alloc(256 * 1024, 'x')]);
    if (write !== undefined) return write;
  }
}

over('what comes is read in order; the end is told again and again', async (t, kind) => {
  const { transport, far } = await openPair(t, kind);
  const first = transport.read();
  far.socket.write('ab');
  assert.equal(String(await first), 'ab');
  far.socket.end('cd');
  assert.equal(String(await readAll(transport)), 'cd');
  assert.equal(await transport.read(), null);
  // The peer may still read.
  assert.equal(transport.write([Buffer.from('an'), Buffer.from('swer'), Buffer.alloc(0)]), undefined);
  await far.until(() => far.received().length === 6, 'the answer');
  assert.equal(String(far.received()), 'answer');
  transport.close('peer-ended');
  await transport.whenClosed();
  assert.equal(transport.closedFor, 'peer-ended');
});

over('two readers at a time are a bug', async (t, kind) => {
  const { transport, far } = await openPair(t, kind);
  const first = transport.read();
  assert.throws(() => transport.read(), /two readers/);
  far.socket.write('x');
  assert.equal(String(await first), 'x');
  transport.close('draining');
});

over('little is held for a reader that does not come, and nothing is lost', async (t, kind) => {
  const { transport, far } = await openPair(t, kind);
  // More than the kernel takes for both sides of a TCP connection on loopback, some 10 MiB.
  const sent = Buffer.alloc(32 * 1024 * 1024, Buffer.from(Array.from({ length: 251 }, (_, n) => n)));
  assert.equal(transport.heldBytes, 0);
  far.socket.write('x');
  assert.equal(String(await transport.read()), 'x');
  assert.equal(transport.heldBytes, 0);
  far.socket.end(sent);
  // Both kernels' buffers fill up, and then the far end stands still with most of it.
  const first = await readBytes(transport, 1);
  let isFull = false;
  while (!isFull) {
    const { heldBytes } = transport;
    await nextTurn();
    isFull = heldBytes >= 64 * 1024 && heldBytes === transport.heldBytes;
  }
  assert.ok(transport.heldBytes < 64 * 1024 + 64 * 1024 + 1, String(transport.heldBytes));
  assert.ok(far.socket.writableLength > 0);
  const rest = await readAll(transport);
  assert.ok(Buffer.concat([first, rest]).equals(sent));
  assert.equal(transport.heldBytes, 0);
  transport.close('peer-ended');
});

// bounds.readAheadPieces
over('bytes that come one by one are held in few pieces, and nothing is lost', async (t, kind) => {
  const { transport, far } = await openPair(t, kind);
  const count = 4 * bounds.readAheadPieces;
  // Each is read before the next one is sent, until no more are read.
  for (let sent = 1; sent <= count; sent += 1) {
    await new Promise<void>((resolve) => far.socket.write('x', () => resolve()));
    for (let turns = 0; turns < 20 && transport.heldBytes < sent; turns += 1) await nextTurn();
  }
  assert.equal(transport.heldBytes, bounds.readAheadPieces);
  far.socket.end();
  let pieces = 0;
  let bytes = 0;
  for (let piece = await transport.read(); piece !== null; piece = await transport.read()) {
    pieces += 1;
    bytes += piece.length;
  }
  assert.equal(bytes, count);
  assert.ok(pieces <= bounds.readAheadPieces + 2, `${pieces} pieces`);
  transport.close('peer-ended');
});

over('a write waits while the peer does not read, and goes on when it does', async (t, kind) => {
  const { transport, far } = await openPair(t, kind);
  far.socket.pause();
  const write = fill(transport);
  assert.ok(transport.unsentBytes > 0);
  // Whoever writes on waits for the same.
  assert.equal(transport.write([Buffer.from('more')]), write);
  far.socket.resume();
  await write;
  assert.equal(transport.unsentBytes, 0);
  assert.equal(transport.write([]), undefined);
  transport.close('peer-ended');
});

over('what the peer has taken is counted, not what waits for it in the kernel', async (t, kind) => {
  const native = await loadNative();
  const { near, far } = await openSockets(t, kind);
  const transport = wrapSocket(near, createFakeClock(), native);
  far.pause();
  const before = transport.takenBytes;
  const write = fill(transport);
  // Of TCP the other end's kernel takes some of it; a UNIX socket has one buffer, of which the other end has read nothing.
  const most = kind === 'unix' ? 0 : near.bytesWritten - transport.unsentBytes;
  assert.ok(transport.takenBytes - before <= most, `${transport.takenBytes - before}`);
  far.resume();
  await write;
  while (transport.takenBytes - before < near.bytesWritten) await nextTurn();
  assert.equal(transport.takenBytes - before, near.bytesWritten);
  transport.close('peer-ended');
});

over('a write that waits rejects when the peer goes, and later ones at once', async (t, kind) => {
  const { transport, far } = await openPair(t, kind);
  far.socket.pause();
  const write = fill(transport);
  far.socket.destroy();
  await assert.rejects(write, isFault('peer-gone'));
  await assert.rejects(Promise.resolve(transport.write([Buffer.from('x')])), isFault('peer-gone'));
  await transport.whenClosed();
  assert.equal(transport.closedFor, undefined);
  transport.close('peer-gone');
});

over('closing: reads and waiting writes reject, the first reason counts', async (t, kind) => {
  const { transport, far } = await openPair(t, kind);
  far.socket.pause();
  const write = fill(transport);
  const read = transport.read();
  transport.close('client-stall', true);
  transport.close('internal');
  assert.equal(transport.closedFor, 'client-stall');
  await assert.rejects(read, isFault('closed'));
  await assert.rejects(write, isFault('closed'));
  await assert.rejects(transport.read(), isFault('closed'));
  await assert.rejects(Promise.resolve(transport.write([])), isFault('closed'));
  await transport.whenClosed();
});

over('closing: what was written before is delivered, whatever the peer still sends', async (t, kind) => {
  const { transport, far, clock } = await openPair(t, kind);
  // Unread input would turn the close of a socket into a reset that eats the answer.
  far.socket.write(Buffer.alloc(200_000, 'q'));
  await readBytes(transport, 1);
  far.socket.pause();
  const answer = Buffer.alloc(3 * 1024 * 1024, 'answer ');
  void transport.write([answer]);
  transport.close('sessions-limit');
  assert.equal(transport.heldBytes, 0);
  far.socket.write(Buffer.alloc(200_000, 'q'));
  far.socket.resume();
  await far.until(() => far.hasEnded || far.isClosed, 'the end');
  assert.equal(far.error, undefined);
  assert.ok(far.received().equals(answer));
  far.socket.end();
  await transport.whenClosed();
  assert.equal(clock.timers, 0);
});

over('closing: a peer that takes nothing is waited for no longer than some seconds', async (t, kind) => {
  const { transport, far, clock } = await openPair(t, kind);
  far.socket.pause();
  fill(transport).catch(() => undefined);
  transport.close('draining');
  let isClosed = false;
  const closed = transport.whenClosed().then(() => (isClosed = true));
  await clock.advance(4_999);
  assert.equal(isClosed, false);
  await clock.advance(1);
  await closed;
  assert.equal(clock.timers, 0);
  await transport.whenClosed();
});

over('closing abruptly: what was not sent is dropped, and the peer sees that it was cut', async (t, kind) => {
  const { transport, far, clock } = await openPair(t, kind);
  await transport.write([Buffer.from('half an answer')]);
  await far.until(() => far.received().length > 0, 'the half');
  transport.close('aborted', true);
  await transport.whenClosed();
  await far.until(() => far.isClosed || far.hasEnded, 'the end');
  if (kind === 'tcp') assert.equal(far.error, 'ECONNRESET');
  assert.equal(clock.timers, 0);
});

/** Pieces of any length, of which only the last byte is an LF. */
const pieces = Array.from({ length: 120 }, (_, at) => {
  const length = at % 3 === 0 ? wholeBytesMax : 1 + ((at * 7919) % wholeBytesMax);
  return Buffer.from(`${'x'.repeat(length - 1)}\n`);
});

async function writeWholes(transport: Transport): Promise<void> {
  for (const piece of pieces) await transport.writeWhole(piece);
}

void test('unix: a reader that finds no more has whole pieces, whenever it reads and stops', async (t) => {
  const { transport, far } = await openPair(t, 'unix');
  far.socket.pause();
  // Node itself shall read none of it.
  const handle: unknown = Reflect.get(far.socket, '_handle');
  assert.ok(typeof handle === 'object' && handle !== null);
  Reflect.get(handle, 'readStop').call(handle);
  const fd: unknown = Reflect.get(handle, 'fd');
  assert.ok(typeof fd === 'number');
  const written = writeWholes(transport);
  const total = Buffer.concat(pieces).length;
  const buffer = Buffer.alloc(70_000);
  let bytes = 0;
  for (let turn = 0; bytes < total; turn += 1) {
    await nextTurn();
    // Now and then it reads only some: there is room for a part of what waits.
    let last: number | undefined;
    for (let left = turn % 4 === 0 ? Infinity : 1 + (turn % 5); left > 0; left -= 1) {
      const count = tryRead(fd, buffer.subarray(0, 1 + ((turn * 7919) % buffer.length)));
      if (count === undefined) {
        assert.ok(last === undefined || last === 0x0a, `a piece came in two at ${bytes}`);
        break;
      }
      bytes += count;
      last = buffer[count - 1];
    }
  }
  await written;
  transport.close('peer-ended');
});

/** Undefined: there is nothing now. */
function tryRead(fd: number, into: Buffer): number | undefined {
  try {
    return readSync(fd, into);
  } catch (fault) {
    if (fault instanceof Error && Reflect.get(fault, 'code') === 'EAGAIN') return undefined;
    throw fault;
  }
}

over('a whole piece behind what has not left resolves when all of it has', async (t, kind) => {
  const { transport, far } = await openPair(t, kind);
  far.socket.pause();
  // More than the kernel holds for both sides of a connection: up to 4 and 32 MiB by TCP, when it has memory.
  const before = transport.write([Buffer.alloc(64_000_000, 'x')]);
  const whole = transport.writeWhole(Buffer.from('behind'));
  for (let turns = 0; turns < 5; turns += 1) await nextTurn();
  assert.ok(transport.unsentBytes > 0);
  far.socket.resume();
  await whole;
  assert.equal(transport.unsentBytes, 0);
  await before;
  transport.close('aborted', true);
  await transport.whenClosed();
});

over('a whole piece that waits rejects when it never leaves', async (t, kind) => {
  for (const how of ['closed', 'peer-gone'] as const) {
    const { transport, far } = await openPair(t, kind);
    far.socket.pause();
    const write = (async () => {
      for (;;) await transport.writeWhole(Buffer.alloc(wholeBytesMax, 'x'));
    })();
    write.catch(() => undefined);
    while (transport.unsentBytes === 0) await nextTurn();
    if (how === 'closed') transport.close('aborted', true);
    else far.socket.destroy();
    await assert.rejects(write, isFault(how));
    await assert.rejects(transport.writeWhole(Buffer.from('x')), isFault(how));
    transport.close('peer-gone');
    await transport.whenClosed();
  }
});

over('ending the writing: the peer may still send', async (t, kind) => {
  const { transport, far } = await openPair(t, kind);
  await transport.write([Buffer.from('all')]);
  transport.endWriting();
  await far.until(() => far.hasEnded, 'the end');
  assert.equal(String(far.received()), 'all');
  far.socket.end('answer');
  assert.equal(String(await readAll(transport)), 'answer');
  transport.close('peer-ended');
  await transport.whenClosed();
});

void test('tcp: a peer that resets is told at once, also while nobody reads, and once', async (t) => {
  const { transport, far } = await openPair(t, 'tcp');
  let told = 0;
  const gone = new Promise<void>((resolve) => {
    transport.onGone(() => {
      told += 1;
      resolve();
    });
  });
  far.socket.resetAndDestroy();
  await gone;
  await transport.whenClosed();
  await assert.rejects(transport.read(), (fault) => {
    assert.ok(isFault('peer-gone')(fault));
    assert.ok(fault instanceof Error && fault.cause instanceof Error);
    assert.equal(Reflect.get(fault.cause, 'code'), 'ECONNRESET');
    return true;
  });
  assert.equal(told, 1);
  // Who comes late is told at once.
  transport.onGone(() => void (told += 1));
  assert.equal(told, 2);
  transport.close('peer-gone');
  assert.equal(transport.closedFor, 'peer-gone');
});

void test('tcp: a listener that was taken off is not told', async (t) => {
  const { transport, far } = await openPair(t, 'tcp');
  transport.onGone(() => assert.fail('told'));
  transport.onGone(undefined);
  far.socket.resetAndDestroy();
  await transport.whenClosed();
});

void test('tcp: what came before a reset is still read', async (t) => {
  const { transport, far } = await openPair(t, 'tcp');
  far.socket.write('last words');
  while (transport.heldBytes === 0) {
    await nextTurn();
  }
  far.socket.resetAndDestroy();
  await transport.whenClosed();
  assert.equal(String(await transport.read()), 'last words');
  await assert.rejects(transport.read(), isFault('peer-gone'));
});

const authority = makeAuthority({ name: 'test authority' });
const certificate = authority.issue({ names: ['mail.example.com'] });
const demand = { serverName: 'mail.example.com', ca: authority.certificatePem, keyPins: [] };

/** A pair in TLS; `raw` is what the far end sees below it. */
async function openTls(t: TestContext, kind: Kind) {
  const { transport, far: raw, clock } = await openPair(t, kind);
  raw.socket.removeAllListeners('data');
  const far: Far = recordFar(serveTls(raw.socket, certificate));
  await transport.startTls(demand);
  return { transport, far, raw, clock };
}

over('TLS: both ways, as over the bare socket', async (t, kind) => {
  const { transport, far, raw } = await openTls(t, kind);
  await transport.write([Buffer.from('question'), Buffer.from('?')]);
  await far.until(() => far.received().length === 9, 'the question');
  const big = Buffer.alloc(1024 * 1024, 'answer ');
  far.socket.end(big);
  assert.ok((await readAll(transport)).equals(big));
  assert.equal(await transport.read(), null);
  transport.close('peer-ended');
  await transport.whenClosed();
  await raw.until(() => raw.isClosed, 'the end');
  assert.deepEqual([far.error, raw.error], [undefined, undefined]);
});

over('TLS: a whole piece is one record, whatever waits and however slowly it is read', async (t, kind) => {
  const { transport, far } = await openTls(t, kind);
  far.socket.removeAllListeners('data');
  const ends: (number | undefined)[] = [];
  let bytes = 0;
  far.socket.on('data', (record: Buffer) => {
    ends.push(record.at(-1));
    bytes += record.length;
    if (ends.length % 10 !== 0) return;
    far.socket.pause();
    setImmediate(() => far.socket.resume());
  });
  await writeWholes(transport);
  while (bytes < Buffer.concat(pieces).length) await nextTurn();
  const lineEnds = pieces.map(() => 0x0a);
  assert.deepEqual(ends, lineEnds);
  transport.close('aborted', true);
  await transport.whenClosed();
});

over('TLS: STARTTLS behind clear text, in both directions', async (t, kind) => {
  const { transport, far } = await openPair(t, kind);
  far.socket.write('-\n');
  assert.equal(String(await transport.read()), '-\n');
  await transport.write([Buffer.from('STARTTLS\n')]);
  await far.until(() => far.received().length === 9, 'STARTTLS');
  far.socket.removeAllListeners('data');
  const secure = recordFar(serveTls(far.socket, certificate));
  await transport.startTls(demand);
  await transport.write([Buffer.from('PLAIN')]);
  await secure.until(() => secure.received().length === 5, 'PLAIN');
  secure.socket.end();
  transport.close('peer-ended');
  await transport.whenClosed();
});

over('TLS: closing delivers what was written before', async (t, kind) => {
  const { transport, far, clock } = await openTls(t, kind);
  const answer = Buffer.alloc(1024 * 1024, 'answer ');
  void transport.write([answer]);
  transport.close('draining');
  await far.until(() => far.hasEnded, 'the end');
  assert.ok(far.received().equals(answer));
  assert.equal(far.error, undefined);
  far.socket.end();
  await transport.whenClosed();
  assert.equal(clock.timers, 0);
});

over('closing abruptly in the turn in which it was closed closes its descriptor', async (t, kind) => {
  for (const open of [openPair, openTls]) {
    const { transport, far, clock } = await open(t, kind);
    transport.close('draining');
    transport.close('draining', true);
    await transport.whenClosed();
    await far.until(() => far.hasEnded || far.isClosed, 'the end');
    assert.equal(clock.timers, 0);
  }
});

over('closing abruptly what was closed already: it ends now, not when its peer likes', async (t, kind) => {
  for (const open of [openPair, openTls]) {
    const { transport, far, clock } = await open(t, kind);
    far.socket.pause();
    if (kind === 'unix') fill(transport).catch(() => undefined);
    transport.close('login-failed');
    await nextTurn();
    assert.equal(clock.timers, 1);
    transport.close('sessions-limit', true);
    await transport.whenClosed();
    assert.equal(transport.closedFor, 'login-failed');
    assert.equal(clock.timers, 0);
    far.socket.resume();
    await far.until(() => far.isClosed || far.hasEnded, 'the end');
  }
});

over('TLS: closing abruptly resets, and nothing is thrown', async (t, kind) => {
  for (const when of ['idle', 'full', 'reading'] as const) {
    const { transport, far, clock } = await openTls(t, kind);
    if (when === 'full') {
      far.socket.pause();
      fill(transport).catch(() => undefined);
    }
    const read = when === 'reading' ? transport.read() : undefined;
    read?.catch(() => undefined);
    transport.close('aborted', true);
    transport.close('aborted', true);
    if (read !== undefined) await assert.rejects(read, isFault('closed'));
    await transport.whenClosed();
    far.socket.resume();
    await far.until(() => far.isClosed || far.hasEnded, 'the end');
    // Who does not read hears only that it is over.
    if (kind === 'tcp' && when !== 'full') assert.equal(far.error, 'ECONNRESET');
    assert.equal(clock.timers, 0);
  }
});

void test('tcp: TLS: the peer resets', async (t) => {
  const { transport, far, raw } = await openTls(t, 'tcp');
  await transport.write([Buffer.from('x')]);
  await far.until(() => far.received().length === 1, 'the first byte');
  const gone = new Promise<void>((resolve) => transport.onGone(resolve));
  const read = transport.read();
  raw.socket.resetAndDestroy();
  // Without this it would end its side first, and be taken at its word.
  raw.socket.destroy();
  await assert.rejects(read, isFault('peer-gone'));
  await gone;
  await transport.whenClosed();
});

over('TLS: the peer ends without a word of TLS', async (t, kind) => {
  const { transport, raw } = await openTls(t, kind);
  const read = transport.read();
  raw.socket.destroy();
  assert.equal(await read, null);
  transport.close('peer-ended');
  await transport.whenClosed();
});

over('TLS: a certificate that is not accepted closes the transport', async (t, kind) => {
  const { transport, far: raw, clock } = await openPair(t, kind);
  raw.socket.removeAllListeners('data');
  const far = recordFar(serveTls(raw.socket, certificate));
  const other = makeAuthority({ name: 'other' }).certificatePem;
  await assert.rejects(transport.startTls({ ...demand, ca: other }), isTlsFault);
  assert.equal(transport.closedFor, 'dial-failed');
  await transport.whenClosed();
  await assert.rejects(transport.read(), isFault('closed'));
  await far.until(() => far.isClosed || far.hasEnded, 'the end');
  assert.equal(clock.timers, 0);
});

over('TLS: clear text in front of it is a fault, whenever it came', async (t, kind) => {
  for (const isSeen of [true, false]) {
    const { transport, far } = await openPair(t, kind);
    // Long enough to be judged: a record of TLS begins with five bytes.
    far.socket.write('+\nINJECTED\n');
    if (isSeen) while (transport.heldBytes === 0) await nextTurn();
    await assert.rejects(transport.startTls(demand), isTlsFault);
    assert.equal(transport.closedFor, 'dial-failed');
    await transport.whenClosed();
  }
});

over('TLS: closed within the handshake; the first reason counts', async (t, kind) => {
  for (const isAbrupt of [false, true]) {
    const { transport, far, clock } = await openPair(t, kind);
    const starting = transport.startTls(demand);
    starting.catch(() => undefined);
    await far.until(() => far.received().length > 0, 'the ClientHello');
    transport.close('draining', isAbrupt);
    await clock.advance(5_000);
    await assert.rejects(starting);
    await transport.whenClosed();
    assert.equal(transport.closedFor, 'draining');
    assert.equal(clock.timers, 0);
  }
});

over('TLS: the peer has ended or gone before it', async (t, kind) => {
  for (const isSeen of [false, true]) {
    for (const leave of ['end', 'destroy', 'reset'] as const) {
      if (kind === 'unix' && leave === 'reset') continue;
      const { transport, far } = await openPair(t, kind);
      if (leave === 'end') far.socket.end();
      else if (leave === 'destroy') far.socket.destroy();
      else far.socket.resetAndDestroy();
      if (isSeen && leave === 'reset') await transport.whenClosed();
      else if (isSeen) assert.equal(await transport.read(), null);
      await assert.rejects(transport.startTls(demand), isTlsFault);
      await transport.whenClosed();
      assert.equal(transport.closedFor, 'dial-failed');
    }
  }
});
