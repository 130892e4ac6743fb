// Entry of the thread with a gate's links: takes orders from the main thread and reports. Main-thread code never imports it.

import { type MessagePort, parentPort } from 'node:worker_threads';
import { headerNames } from '../../domain/records/fleet/block.js';
import { messageOf } from '../../ports/faults.js';
import { NatsFault } from './fault.js';
import { type NatsLink, openNats } from './link.js';
import type { LinkOrder, LinkReport, SentFault } from './link-thread.js';

if (parentPort !== null) {
  for (const stream of [process.stdout, process.stderr]) stream.write = () => true;
  begin(parentPort);
}

function begin(port: MessagePort): void {
  const links = new Map<number, NatsLink>();
  const openings = new Map<number, AbortController>();
  const post = (report: LinkReport): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    port.postMessage(report);
  };
  port.on('message', (order: LinkOrder) => {
    switch (order.do) {
      case 'beat':
        return post({ kind: 'beat' });
      case 'close':
        openings.get(order.link)?.abort(new Error('closed'));
        // Errors of an ending connection do not matter.
        void links
          .get(order.link)
          ?.close()
          .catch(() => undefined);
        links.delete(order.link);
        return;
      case 'open':
      case 'lastOf':
      case 'publish':
        return void carryOut(order).then(post, (thrown: unknown) =>
          post({ kind: 'failed', id: order.id, fault: faultOf(thrown) }),
        );
      default:
        return order satisfies never;
    }
  });

  async function carryOut(order: Exclude<LinkOrder, { readonly do: 'beat' | 'close' }>): Promise<LinkReport> {
    const { id } = order;
    if (order.do === 'open') return open(id, order);
    const link = links.get(order.link);
    if (link === undefined) throw new NatsFault('closed-early', 'the connection was closed');
    if (order.do === 'publish') {
      const { subject, headers, bytes, expected } = order;
      return { kind: 'published', id, published: await link.publish(subject, headers, bytes, expected) };
    }
    const found = await link.lastOf(order.stream, order.subject);
    if (found === undefined) return { kind: 'found', id, message: undefined };
    const { streamSeq, storedMs, subject } = found;
    const headers = Object.values(headerNames).map((name) => [name, found.header(name)] as const);
    return { kind: 'found', id, message: { streamSeq, storedMs, subject, headers } };
  }

  async function open(
    id: number,
    { settings }: Extract<LinkOrder, { readonly do: 'open' }>,
  ): Promise<LinkReport> {
    const controller = new AbortController();
    openings.set(id, controller);
    try {
      const link = await openNats(settings, controller.signal);
      links.set(id, link);
      void link.ended.then((fault) => {
        // It stays until it is closed: further orders are answered with the fault that ended it.
        post({ kind: 'ended', link: id, fault: fault && faultOf(fault) });
      });
      const { place, serverValidTo, isClustered } = link;
      return { kind: 'opened', id, place, serverValidTo, isClustered };
    } finally {
      openings.delete(id);
    }
  }
}

function faultOf(thrown: unknown): SentFault {
  if (thrown instanceof NatsFault) return { code: thrown.code, message: thrown.message };
  return { code: 'closed-early', message: `the thread for NATS failed: ${messageOf(thrown)}` };
}
