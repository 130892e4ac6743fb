// Goal: whatever happens in the thread of a gate's link, its calls end with a fault, the program goes on, and the next link has a new
// thread.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../src/adapters/host/clock.js';
import { NatsFault } from '../../../src/adapters/nats/fault.js';
import { createLinkThread, type OpenLink } from '../../../src/adapters/nats/link-thread.js';
import { bounds } from '../../../src/bounds/bounds.js';
import type { Clock } from '../../../src/ports/machine.js';
import { createFakeClock } from '../../kit/fake-clock.js';
import { openFolder } from '../../kit/folder.js';
import { runProgram } from '../../kit/program.js';

// On a busy machine Node 20 sometimes does not end a terminated worker, which then keeps the process alive after its last test. The test
// runner prints its closing lines on `beforeExit` only, not on `exit`.
after(() => {
  const end = (): void => {
    process.emit('beforeExit', 0);
    setTimeout(() => process.exit(), 1_000);
  };
  setTimeout(end, 60_000).unref();
});

const never = new AbortController().signal;
const entry = new URL('./bad-thread.js', import.meta.url);

/** The name says what the thread does: bad-thread.ts. */
const settingsOf = (name: string) => ({ name, servers: [{ host: '127.0.0.1', port: 1 }] });

async function faultOf(work: Promise<unknown>): Promise<NatsFault> {
  const thrown: unknown = await work.then(
    () => assert.fail('no fault'),
    (fault: unknown) => fault,
  );
  if (!(thrown instanceof NatsFault)) throw thrown;
  return thrown;
}

// bounds.natsThreadAnswerMs, bounds.natsThreadHeap, bounds.natsThreadYoungHeap
test('a thread that spins, throws, ends or fills its memory is ended, and the next link has another one', {
  timeout: 60_000,
}, async () => {
  for (const [deed, words] of [
    ['spin', /did not answer for 5 s/],
    ['throw', /ended: Error: thrown on purpose/],
    ['reject', /ended: Error: rejected on purpose/],
    ['exit', /it ended/],
    ['fill', /reaching memory limit/],
  ] as const) {
    /** How much faster than it should a timer ends that is set now. */
    let haste = 1;
    const setTimer: Clock['setTimer'] = (ms, run) => systemClock.setTimer(ms / haste, run);
    const open: OpenLink = createLinkThread({ ...systemClock, setTimer }, entry);
    const link = await open(settingsOf('good'), never);
    if (deed === 'spin') haste = 20;
    const [opening, publishing, ended] = await Promise.all([
      faultOf(open(settingsOf(deed), never)),
      faultOf(link.publish('a', [], Buffer.from('x'), 0)),
      link.ended,
    ]);
    for (const fault of [opening, publishing, ended])
      assert.deepEqual(
        [fault?.code, words.test(fault?.message ?? '')],
        ['closed-early', true],
        fault?.message,
      );
    assert.equal((await faultOf(link.publish('a', [], Buffer.from('x'), 0))).code, 'closed-early');
    haste = 1;
    const again = await open(settingsOf('good'), never);
    assert.equal(again.place, 'good');
    await again.close();
    assert.equal(await again.ended, undefined);
  }
});

test('a thread without a connection ends after its time, and the next link has another one', async () => {
  const clock = createFakeClock();
  const open = createLinkThread(clock, entry);
  /** The thread answers in order: what it says after this it has said after all beats. A link between two beats is none for them. */
  const numberOfThread = async (): Promise<string> => {
    const link = await open(settingsOf('number'), never);
    await link.close();
    return link.place;
  };
  const first = await numberOfThread();
  for (let ms = 1000; ms < bounds.natsThreadIdleMs; ms += 1000) {
    await clock.advance(1000);
    assert.equal(await numberOfThread(), first, `${ms}`);
  }
  await clock.advance(1000);
  assert.notEqual(await numberOfThread(), first);
  // The second thread ends too, or the test would not.
  await clock.advance(2 * bounds.natsThreadIdleMs);
});

test('without `ca`, the list of authorities that the environment names counts in the thread too', async (t) => {
  const before = process.env['SSL_CERT_FILE'];
  t.after(() => {
    if (before === undefined) delete process.env['SSL_CERT_FILE'];
    else process.env['SSL_CERT_FILE'] = before;
  });
  const list = join(openFolder(t), 'list.pem');
  process.env['SSL_CERT_FILE'] = list;
  const fault = await faultOf(createLinkThread(systemClock)(settingsOf('test'), never));
  assert.deepEqual([fault.code, fault.message.includes(list)], ['tls-failed', true], fault.message);
});

test('an abort ends the opening with its reason', async () => {
  const stop = new AbortController();
  const opening = createLinkThread(systemClock, entry)(settingsOf('silent'), stop.signal);
  stop.abort(new Error('enough'));
  await assert.rejects(opening, /enough/);
});

test('a server that is away is told as it is without a thread', async () => {
  const fault = await faultOf(createLinkThread(systemClock)(settingsOf('test'), never));
  assert.deepEqual([fault.code, /nobody listens there/.test(fault.message)], ['dial-refused', true]);
});

test('nothing that the thread prints is printed', async () => {
  const module = fileURLToPath(new URL('../../../src/adapters/nats/link-thread.js', import.meta.url));
  const clock = fileURLToPath(new URL('../../../src/adapters/host/clock.js', import.meta.url));
  const script = `const { createLinkThread } = await import(${JSON.stringify(module)});
    const { systemClock } = await import(${JSON.stringify(clock)});
    const open = createLinkThread(systemClock, new URL(${JSON.stringify(entry.href)}));
    setInterval(() => undefined, 1000);
    const link = await open({ name: 'print', servers: [] }, new AbortController().signal);
    await link.ended;
    process.stdout.write('done', () => process.exit(0));`;
  const { text, exit } = await runProgram(process.execPath, ['--input-type=module', '-e', script]);
  assert.deepEqual([text, exit], ['done', 0]);
});
