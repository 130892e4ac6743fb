// Entry of the thread with a gate's links: takes orders from the main thread and reports. Main-thread code never imports it.

import { type MessagePort, parentPort } from 'node:worker_threads';
import { headerNames } from '../../domain/records/fleet/block.js';
import { messageOf } from '../../ports/faults.js';
import { send, serveOrders } from '../threads/thread.js';
import { NatsFault } from './fault.js';
import { type NatsLink, openNats } from './link.js';
import type { LinkEnded, LinkOrder, LinkReport, SentFault } from './link-thread.js';

if (parentPort !== null) {
  for (const stream of [process.stdout, process.stderr]) stream.write = () => true;
  begin(parentPort);
}

function begin(port: MessagePort): void {
  const links = new Map<number, NatsLink>();
  const openings = new Map<number, AbortController>();
  serveOrders(port, (order: LinkOrder) =>
    carryOut(order).catch((thrown: unknown): LinkReport => ({ kind: 'failed', fault: faultOf(thrown) })),
  );

  async function carryOut(order: LinkOrder): Promise<LinkReport> {
    if (order.do === 'beat') return { kind: 'done' };
    if (order.do === 'open') return open(order);
    const link = links.get(order.link);
    if (order.do === 'close') {
      openings.get(order.link)?.abort(new Error('closed'));
      links.delete(order.link);
      // Errors of an ending connection do not matter.
      void link?.close().catch(() => undefined);
      return { kind: 'done' };
    }
    if (link === undefined) throw new NatsFault('closed-early', 'the connection was closed');
    if (order.do === 'publish') {
      const { subject, headers, bytes, expected } = order;
      return { kind: 'published', published: await link.publish(subject, headers, bytes, expected) };
    }
    const found = await link.lastOf(order.stream, order.subject);
    if (found === undefined) return { kind: 'found', message: undefined };
    const { streamSeq, storedMs, subject } = found;
    const headers = Object.values(headerNames).map((name) => [name, found.header(name)] as const);
    return { kind: 'found', message: { streamSeq, storedMs, subject, headers } };
  }

  async function open({
    link: number,
    settings,
  }: Extract<LinkOrder, { readonly do: 'open' }>): Promise<LinkReport> {
    const controller = new AbortController();
    openings.set(number, controller);
    try {
      const link = await openNats(settings, controller.signal);
      links.set(number, link);
      void link.ended.then((fault) => {
        // It stays until it is closed: further orders are answered with the fault that ended it.
        send(port, { link: number, fault: fault && faultOf(fault) } satisfies LinkEnded);
      });
      const { place, serverValidTo, isClustered } = link;
      return { kind: 'opened', place, serverValidTo, isClustered };
    } finally {
      openings.delete(number);
    }
  }
}

function faultOf(thrown: unknown): SentFault {
  if (thrown instanceof NatsFault) return { code: thrown.code, message: thrown.message };
  return { code: 'closed-early', message: `the thread for NATS failed: ${messageOf(thrown)}` };
}
