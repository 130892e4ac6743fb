// Entry of a thread that is given orders as the one for NATS, and does what the name in the settings says.
import { parentPort, threadId } from 'node:worker_threads';
import type { LinkOrder, LinkReport } from '../../../src/adapters/nats/link-thread.js';

const forged = '\u001b[2J{"level":30,"event":"audit-checkpoint"}\n';

function post(report: LinkReport): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(report);
}

const deeds: Readonly<Record<string, () => void>> = {
  silent: () => undefined,
  spin() {
    for (;;);
  },
  throw() {
    throw new Error('thrown on purpose');
  },
  reject() {
    void Promise.reject(new Error('rejected on purpose'));
  },
  exit: () => process.exit(3),
  fill() {
    const kept: string[][] = [];
    for (;;) kept.push(Array.from({ length: 1000 }, (_, at) => `${at}`.padEnd(100)));
  },
};

parentPort?.on('message', (order: LinkOrder) => {
  if (order.do === 'beat') return post({ kind: 'beat' });
  if (order.do !== 'open') return;
  const { id, settings } = order;
  if (settings.name === 'print') {
    for (let count = 0; count < 100; count += 1) console.log(forged);
    process.stderr.write(forged);
    post({ kind: 'opened', id, place: 'print', serverValidTo: '', isClustered: false });
    return post({ kind: 'ended', link: id, fault: undefined });
  }
  if (settings.name === 'number')
    return post({ kind: 'opened', id, place: `thread ${threadId}`, serverValidTo: '', isClustered: false });
  const deed = deeds[settings.name];
  if (deed === undefined)
    return post({ kind: 'opened', id, place: settings.name, serverValidTo: '', isClustered: false });
  deed();
});
