// Goal: one upstream from its greeting to its end. Phases: states and the calls that they forbid; events of the reply and of the
// log channel; what comes early, late or while nobody asked; faults in the middle of a chunk; the end. What must not happen: an
// upstream that is handed on with bytes of an answer in it, a timer or transport that stays behind, a log line that is lost.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverOf } from '../../../src/doveadm/protocol/releases.js';
import { Upstream, type UpstreamEvent } from '../../../src/gate/pool/upstream.js';
import {
  TransportFault,
  UpstreamFault,
  WireFault,
  type WireFaultCode,
} from '../../../src/host/ports/faults.js';
import { logPacket, replyPacket } from '../../kit/gate/memory-backend.js';
import { createFakeClock, settle } from '../../kit/plain/fake-clock.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';

const limits = { statusBytesMax: 100, frameBytesMax: 1_000, logLineBytesMax: 50 };
const idleMs = 10_000;

interface Opening {
  readonly minor?: number;
  readonly rest?: string | Buffer;
  readonly logLineBytesMax?: number;
}

/** An upstream in state leased, and what its owner was told. */
function open({ minor = 2, rest = '', logLineBytesMax = limits.logLineBytesMax }: Opening = {}) {
  const clock = createFakeClock();
  const { transport, peer } = createMemoryTransport();
  const told: string[] = [];
  const greeted = { transport, minor, serverMinor: minor, rest: Buffer.from(rest) };
  const endsMs = Number.POSITIVE_INFINITY;
  const names = { id: 'mail1-1', backend: 'mail1', server: serverOf(minor), endsMs } as const;
  const upstream = new Upstream(greeted, names, { ...limits, logLineBytesMax }, clock, {
    closed: (_upstream, reason) => void told.push(`closed ${reason}`),
    straySpoke: (_upstream, line) => void told.push(`${line.type} ${line.text}`),
    rested: (rested) => rested.close('idle-timeout'),
  });
  assert.deepEqual([upstream.state.at, upstream.exchanges], ['greeted', 0]);
  upstream.release(idleMs);
  upstream.lease();
  return { clock, transport, peer, upstream, told };
}

/** Events as one line each. */
function shown(events: readonly UpstreamEvent[]): string[] {
  return events.map((event) => {
    switch (event.kind) {
      case 'body':
        return `body ${String(event.bytes)}`;
      case 'status':
        return `status ${String(event.status.raw)}`;
      case 'log':
        return `${event.line.type} ${event.line.text}`;
      default:
        return event satisfies never;
    }
  });
}

const next = async (upstream: Upstream): Promise<string[]> => shown(await upstream.next());
const isWireFault = (code: WireFaultCode) => (fault: unknown) =>
  fault instanceof WireFault && fault.code === code;
const isTransportFault = (fault: unknown): boolean => fault instanceof TransportFault;
const isEarlyEnd = (fault: unknown): boolean =>
  fault instanceof UpstreamFault && fault.code === 'closed-early';

void test('one command after another, idle between them', async () => {
  const { clock, peer, upstream, told } = open();
  assert.deepEqual([upstream.state.at, upstream.exchanges, upstream.openedMs], ['leased', 1, clock.now()]);
  for (let n = 1; n <= 3; n += 1) {
    assert.equal(upstream.write([Buffer.from(`command ${n}\n`)]), undefined);
    peer.send(replyPacket(`row ${n}\t\n+\n`));
    assert.deepEqual(await next(upstream), [`body row ${n}\t`, 'status +']);
    upstream.release(idleMs);
    assert.deepEqual([upstream.state.at, clock.timers, upstream.exchanges], ['idle', 1, n]);
    await clock.advance(idleMs - 1);
    upstream.lease();
    assert.deepEqual([upstream.state.at, clock.timers, upstream.exchanges], ['leased', 1, n + 1]);
  }
  assert.equal(String(peer.received()), 'command 1\ncommand 2\ncommand 3\n');
  assert.deepEqual(told, []);
  // While it is leased, the limit of its rest does not count.
  await clock.advance(10 * idleMs);
  assert.deepEqual([upstream.state.at, clock.timers], ['leased', 0]);
  upstream.close('lifetime');
  assert.deepEqual(told, ['closed lifetime']);
});

void test('handed over after a clean end it serves the next command at once; with bytes left over it is not', async () => {
  const { peer, upstream } = open();
  for (let n = 1; n <= 3; n += 1) {
    peer.send(replyPacket(`row ${n}\t\n+\n`));
    assert.deepEqual(await next(upstream), [`body row ${n}\t`, 'status +']);
    upstream.handOver();
    assert.deepEqual([upstream.state.at, upstream.exchanges], ['leased', n + 1]);
  }
  peer.send(replyPacket('+\n'));
  assert.throws(() => upstream.handOver(), { name: 'AssertionError' });
});

void test('calls in a state that forbids them are bugs', () => {
  const idle = open().upstream;
  idle.release(idleMs);
  const closed = open().upstream;
  closed.close('draining');
  const calls: Readonly<Record<string, (upstream: Upstream) => unknown>> = {
    lease: (upstream) => upstream.lease(),
    release: (upstream) => upstream.release(idleMs),
    handOver: (upstream) => upstream.handOver(),
    write: (upstream) => upstream.write([Buffer.from('x')]),
  };
  const forbidden = [
    [open().upstream, ['lease']],
    [idle, ['release', 'handOver', 'write']],
    [closed, ['lease', 'release', 'handOver', 'write']],
  ] as const;
  for (const [upstream, names] of forbidden) {
    for (const name of names) {
      assert.throws(
        () => calls[name]?.(upstream),
        { name: 'AssertionError' },
        `${name} while ${upstream.state.at}`,
      );
    }
  }
});

void test('closed once, for the first reason; the owner is told once', async () => {
  for (const isAbrupt of [false, true]) {
    const { peer, upstream, told, clock } = open();
    upstream.close('reply-timeout', isAbrupt);
    upstream.close('lifetime');
    assert.deepEqual(
      [upstream.state, told],
      [{ at: 'closed', reason: 'reply-timeout' }, ['closed reply-timeout']],
    );
    assert.equal(peer.isReset, isAbrupt);
    await assert.rejects(upstream.next(), isTransportFault);
    assert.equal(clock.timers, 0);
  }
});

void test('PROTOCOL 12 trap 6: a reply in pieces, in any framing, and an empty chunk of events', async () => {
  for (const minor of [0, 2]) {
    const wrap = minor === 0 ? (text: string): Buffer => Buffer.from(text) : replyPacket;
    const whole = Buffer.concat([wrap('a\tb'), wrap('c\t\n-NOUS'), wrap('ER\n')]);
    const { peer, upstream } = open({ minor });
    const events: string[] = [];
    for (const byte of whole) {
      peer.send(Buffer.of(byte));
      events.push(...(await next(upstream)));
    }
    assert.equal(
      events
        .filter((line) => line.startsWith('body'))
        .join('')
        .replaceAll('body ', ''),
      'a\tbc\t',
    );
    assert.equal(events.at(-1), 'status -NOUSER');
  }
});

void test('PROTOCOL 12 trap 15: log lines come in order with the reply, cut ones too', async () => {
  const { peer, upstream } = open();
  peer.send(
    Buffer.concat([
      logPacket('warning', 'slow'),
      replyPacket('x\t'),
      logPacket('error', 'e'.repeat(99)),
      replyPacket('\n+\n'),
    ]),
  );
  assert.deepEqual(await next(upstream), ['warning slow', 'body x\t', `error ${'e'.repeat(49)}`, 'status +']);
});

void test('channels that nobody knows are passed over', async () => {
  const { peer, upstream } = open();
  const other = replyPacket('secret');
  other[0] = 0x49;
  peer.send(Buffer.concat([other, replyPacket('\n+\n')]));
  assert.deepEqual(await next(upstream), ['status +']);
  upstream.release(idleMs);
  assert.equal(upstream.state.at, 'idle');
  upstream.close('draining');
});

void test('PROTOCOL 12 trap 4: what came behind the greeting: log lines are told, and the upstream serves', async () => {
  const rest = Buffer.concat([logPacket('info', 'hello'), logPacket('info', 'and more')]);
  const { peer, upstream, told } = open({ rest });
  assert.deepEqual(told, ['info hello', 'info and more']);
  peer.send(replyPacket('row\t\n+\n'));
  assert.deepEqual(await next(upstream), ['body row\t', 'status +']);
});

const huge = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
// Each would be taken for the answer to the first command, or for its beginning.
const early: readonly (readonly [string, number, string | Buffer, WireFaultCode?])[] = [
  ['a whole answer', 2, replyPacket('\n+\n')],
  ['rows', 2, replyPacket('row\t')],
  ['the end of no rows', 2, replyPacket('\n')],
  ['a frame that has not ended', 2, logPacket('info', 'x').subarray(0, -1)],
  ['a log line, then an answer', 2, Buffer.concat([logPacket('info', 'x'), replyPacket('\n+\n')])],
  ['an answer without framing', 0, '\n+\n'],
  ['the end of no rows, without framing', 0, '\n'],
  ['a frame that is too large', 2, huge, 'bad-frame'],
  ['a log line, then a frame too large', 2, Buffer.concat([logPacket('info', 'x'), huge]), 'bad-frame'],
  [
    'a log line, then no answer',
    2,
    Buffer.concat([logPacket('info', 'x'), replyPacket('\n!\n')]),
    'bad-status',
  ],
];
for (const [what, minor, rest, code = 'unexpected-input'] of early)
  void test(`before any command: ${what}`, () => {
    assert.throws(() => open({ minor, rest }), isWireFault(code));
  });

void test('PROTOCOL 8, 12 trap 14: whatever is said while idle ends it, and a log line among it is told', async () => {
  const half = replyPacket('\n+\n').subarray(0, 3);
  const spoken = [replyPacket('\n+\n'), half, logPacket('error', 'dying'), huge];
  for (const [index, bytes] of spoken.entries()) {
    const { clock, peer, upstream, told } = open();
    upstream.release(idleMs);
    peer.send(bytes);
    await settle();
    assert.deepEqual(told, [...(index === 2 ? ['error dying'] : []), 'closed spoke-while-idle']);
    assert.deepEqual([upstream.state.at, clock.timers], ['closed', 0]);
  }
});

void test('the watch of an idle upstream hands its chunk to the lease, and no byte is lost', async () => {
  const { peer, upstream, told } = open();
  upstream.release(idleMs);
  upstream.lease();
  upstream.release(idleMs);
  upstream.lease();
  peer.send(replyPacket('x\t\n'));
  await settle();
  assert.deepEqual(told, []);
  assert.deepEqual(await next(upstream), ['body x\t']);
  peer.send(replyPacket('+\n'));
  assert.deepEqual(await next(upstream), ['status +']);
  upstream.release(idleMs);
  assert.equal(upstream.state.at, 'idle');
});

// Handed back as if clean, but the backend still owes something, or said too much.
const good = replyPacket('\n+\n');
const unclean: readonly (readonly [string, Buffer, unread?: Buffer])[] = [
  ['rows behind the status', replyPacket('\n+\nmore\t')],
  ['the end of no rows behind the status', replyPacket('\n+\n\n')],
  ['half a frame', Buffer.concat([good, replyPacket('x').subarray(0, 2)])],
  ['half a log line', Buffer.concat([good, logPacket('info', 'x').subarray(0, 6)])],
  ['a line of the log without its end', Buffer.concat([good, Buffer.from('L\0\0\0\x02\x02x')])],
  ['bytes that nobody has read', good, replyPacket('late\t')],
  ['a frame too large', Buffer.concat([good, huge])],
];
for (const [what, chunk, unread] of unclean) {
  void test(`not handed on: ${what}`, async () => {
    const { clock, peer, upstream, told, transport } = open();
    peer.send(chunk);
    await upstream.next().catch(() => undefined);
    if (unread !== undefined) peer.send(unread);
    upstream.release(idleMs);
    assert.equal(transport.closedFor, 'spoke-while-idle');
    assert.equal(told.at(-1), 'closed spoke-while-idle');
    assert.equal(clock.timers, 0);
  });
}

// [what, chunk, events that come first, fault]
const broken: readonly (readonly [string, Buffer, readonly string[], WireFaultCode])[] = [
  ['a status line that is none', replyPacket('row\t\n!\n'), [], 'bad-status'],
  ['a status line without an end', replyPacket(`\n+${'x'.repeat(200)}`), [], 'line-too-long'],
  ['a frame of 4 GiB', huge, [], 'bad-frame'],
  [
    'a good packet, then one that is not',
    Buffer.concat([replyPacket('row\t'), replyPacket('\n!\n')]),
    ['body row\t'],
    'bad-status',
  ],
  [
    'a log line and a reply, then a status line that is none',
    Buffer.concat([logPacket('info', 'x'), replyPacket('row\t\n+\n'), replyPacket('\n!\n')]),
    ['info x', 'body row\t', 'status +'],
    'bad-status',
  ],
];
for (const [what, chunk, first, code] of broken) {
  void test(`a fault: ${what}; what came before it is given out first, and it stays`, async () => {
    const { peer, upstream } = open();
    peer.send(chunk);
    const events: string[] = [];
    const readAll = async (): Promise<void> => {
      for (;;) events.push(...(await next(upstream)));
    };
    await assert.rejects(readAll(), isWireFault(code));
    assert.deepEqual(events, first);
    await assert.rejects(upstream.next(), isWireFault(code));
  });
}

void test('PROTOCOL 12 trap 12: the end: first the log line that was not ended, then closed-early, again and again', async () => {
  const { peer, upstream } = open();
  peer.send(Buffer.concat([replyPacket('row\t'), Buffer.from('L\0\0\0\x07\x06Panic:')]));
  assert.deepEqual(await next(upstream), ['body row\t']);
  peer.end();
  assert.deepEqual(await next(upstream), ['panic Panic:']);
  await assert.rejects(upstream.next(), isEarlyEnd);
  await assert.rejects(upstream.next(), isEarlyEnd);
});

void test('gone: a TransportFault, and a log line that was not ended is told when it is closed', async () => {
  const { peer, upstream, told } = open();
  peer.send(Buffer.from('L\0\0\0\x07\x06Panic:'));
  assert.deepEqual(await next(upstream), []);
  peer.vanish();
  await assert.rejects(upstream.next(), isTransportFault);
  upstream.close('peer-gone');
  assert.deepEqual(told, ['panic Panic:', 'closed peer-gone']);
});

void test('closed while somebody reads: the read rejects', async () => {
  const { upstream } = open();
  const reading = upstream.next();
  upstream.close('reply-timeout', true);
  await assert.rejects(reading, isTransportFault);
});

void test('raw: all of the output channel as it is, log lines apart, our side ended before theirs', async () => {
  const { peer, upstream, told } = open();
  upstream.goRaw();
  void upstream.write([Buffer.from('command\n')]);
  peer.send(Buffer.concat([replyPacket('\n+\nraw'), logPacket('info', 'note'), replyPacket('a\nb\n')]));
  assert.deepEqual(await next(upstream), ['body \n+\nraw', 'info note', 'body a\nb\n']);
  upstream.endWriting();
  assert.ok(peer.isEnded);
  peer.send(replyPacket('rest'));
  assert.deepEqual(await next(upstream), ['body rest']);
  peer.end();
  await assert.rejects(upstream.next(), isEarlyEnd);
  assert.throws(() => upstream.release(idleMs), { name: 'AssertionError' });
  upstream.close('not-reusable');
  assert.deepEqual(told, ['closed not-reusable']);
});

void test('PROTOCOL 9: a process that a reload ends says so; that line is no part of the command that is out', async () => {
  const line = 'doveadm(alice): Killed with signal 15 (by pid=1 uid=0 code=kill)';
  const { peer, upstream, told } = open({ logLineBytesMax: 200 });
  peer.send(Buffer.concat([logPacket('info', 'x'), logPacket('warning', line)]));
  peer.end();
  assert.deepEqual(await next(upstream), ['info x']);
  await assert.rejects(upstream.next(), isEarlyEnd);
  assert.deepEqual(told, [`warning ${line}`]);
  upstream.close('peer-gone');
});
