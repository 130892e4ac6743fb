// Entry of a thread that is given orders as the one for NATS, and does what the name in the settings says.
import { parentPort, threadId } from 'node:worker_threads';
import type { LinkOrder, LinkReport } from '../../../src/adapters/nats/link-thread.js';
import { type Numbered, send } from '../../../src/adapters/threads/thread.js';

const forged = '\u001b[2J{"level":30,"event":"audit-checkpoint"}\n';

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

const port = parentPort;
port?.on('message', ({ number, body: order }: Numbered<LinkOrder>) => {
  const post = (body: LinkReport): void => send(port, { number, body });
  const opened = (place: string): void =>
    post({ kind: 'opened', place, serverValidTo: '', isClustered: false });
  if (order.do === 'beat') return post({ kind: 'done' });
  if (order.do !== 'open') return;
  const { link, settings } = order;
  if (settings.name === 'print') {
    for (let count = 0; count < 100; count += 1) console.log(forged);
    process.stderr.write(forged);
    opened('print');
    return send(port, { link, fault: undefined });
  }
  if (settings.name === 'number') return opened(`thread ${threadId}`);
  const deed = deeds[settings.name];
  if (deed === undefined) return opened(settings.name);
  deed();
});
