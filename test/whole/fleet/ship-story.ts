// A journal on disk that is shipped to a real stream, without a daemon around it; what the stream holds; and an administrator of it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type BlockHead, readHeadOf, readSubject } from '../../../src/evidence/fleet/block.js';
import { type NatsSettings } from '../../../src/evidence/nats/dial.js';
import { openNats } from '../../../src/evidence/nats/link.js';
import type { ShipEvent } from '../../../src/gate/door/ship-event.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { createNatsCarrier } from '../../../src/ship/shipping/nats-carrier.js';
import { openShipping, type Shipping, type Sink } from '../../../src/ship/shipping/shipping.js';
import { closeBefore } from '../../journal/files/reading.js';
import { type Nats, type NatsOptions, openNatsServer } from '../../kit/gate/nats.js';
import { until } from '../../kit/plain/until.js';
import { type DiskJournal, openDiskJournal } from '../../ship/shipping/journal-on-disk.js';

export const prefix = 'DOVEGATE_AUDIT';
export const host = 'gate1';
export const stream = `${prefix}_${host}`;

/** What the stream holds of one journal, in its order. */
export interface Shipped {
  /** Lines of all blocks, without LF. */
  readonly lines: readonly string[];
  readonly heads: readonly BlockHead[];
}

export interface ShipStory {
  readonly nats: Nats;
  readonly journal: DiskJournal;
  readonly events: readonly ShipEvent[];
  /** `KIND CODE` of each event. */
  kinds(): readonly string[];
  /** Begins where the file says, or ends and begins again. */
  begin(changes?: { readonly settleMs?: number; readonly link?: NatsSettings }): Promise<Shipping>;
  readonly shipping: Shipping;
  readonly state: Shipping['sinks'][number];
  /** Writes records and says so. */
  write(count: number): void;
  /** Everything is there, as the gate says. */
  caughtUp(): Promise<void>;
  shipped(): Promise<Shipped>;
  /** The stream holds exactly the journal: no hole, no double, byte for byte. */
  assertComplete(): Promise<void>;
  /** Makes the stream as an administrator does; `maxBytes`: a small one. */
  makeStream(maxBytes?: number): Promise<void>;
  /** A request of an administrator to JetStream's API. */
  administer(subject: string, body?: unknown): Promise<Readonly<Record<string, unknown>>>;
}

/** Undefined: this machine can have no server; the test is skipped then. */
export async function openShipStory(
  t: TestContext,
  options: Partial<NatsOptions> = {},
): Promise<ShipStory | undefined> {
  const nats = await openNatsServer(t, { gates: [host], ...options });
  if ('skip' in nats) {
    t.skip(nats.skip);
    return undefined;
  }
  const journal = openDiskJournal(t);
  const events: ShipEvent[] = [];
  let shipping: Shipping | undefined;
  closeBefore(t, async () => shipping?.end());
  const opened = (): Shipping => shipping ?? assert.fail('not begun');
  const story: ShipStory = {
    nats,
    journal,
    events,
    kinds: () =>
      events.map((event) => (event.kind === 'ship-away' ? `ship-away ${event['type']}` : event.kind)),
    async begin({ settleMs = 300_000, link = nats.settingsOf(host) } = {}) {
      await shipping?.end();
      const name = `127.0.0.1:${nats.port}`;
      const receiver = { link, stream: prefix, host, settleMs };
      const sink: Sink = {
        name,
        key: name,
        carrier: (parts) => createNatsCarrier({ ...parts, receiver, openLink: openNats }),
      };
      shipping = await openShipping({
        sinks: [sink],
        stateDirectory: join(journal.directory, 'state'),
        directory: journal.directory,
        sender: { hostName: host, processId: 1 },
        connect: () => assert.fail('no receiver of this kind'),
        clock: systemClock,
        chance: () => 0.5,
        observe: (event) => void events.push(event),
      });
      shipping.start({ id: journal.id, seq: () => journal.seq });
      return shipping;
    },
    get shipping() {
      return opened();
    },
    get state() {
      return opened().sinks[0] ?? assert.fail('no receiver');
    },
    write(count) {
      journal.write(count);
      shipping?.nudge();
    },
    caughtUp: () =>
      until(
        () => story.state.sentSeq === journal.seq && story.state.state.at === 'connected',
        `everything is shipped: ${JSON.stringify(events)}`,
      ),
    shipped: () => readShipped(nats, journal.id),
    async assertComplete() {
      const { lines } = await story.shipped();
      assert.deepEqual(
        [lines.length, lines.join('\n') === journal.lines.join('\n')],
        [journal.lines.length, true],
      );
    },
    async makeStream(maxBytes) {
      const admin = await openNats(nats.settingsOf('admin'));
      await admin.createStream(stream, {
        subjects: [`dovegate.audit.${host}.*`],
        replicas: 1,
        maxAgeMs: 0,
        maxBytes,
      });
      await admin.close();
    },
    async administer(subject, body) {
      const admin = await nats.connect('admin');
      const answer = await admin.request(
        `$JS.API.${subject}`,
        body === undefined ? '' : JSON.stringify(body),
      );
      await admin.close();
      return answer.json();
    },
  };
  await story.makeStream();
  return story;
}

/** Everything of a journal that the stream holds, whatever its host. */
export async function readShipped(nats: Nats, journal: string): Promise<Shipped> {
  const verifier = await openNats(nats.settingsOf('verifier'));
  try {
    const { lastSeq } = await verifier.info(stream);
    const lines: string[] = [];
    const heads: BlockHead[] = [];
    if (lastSeq === 0) return { lines, heads };
    const signal = AbortSignal.timeout(300_000);
    for await (const { subject, header, bytes } of verifier.read(stream, 1, lastSeq, signal)) {
      if (readSubject(subject)?.journal !== journal) continue;
      const head = readHeadOf(header) ?? assert.fail('a message without the headers of ours');
      heads.push(head);
      const text = bytes.toString();
      if (head.kind === 'block') {
        const own = text.split('\n');
        assert.equal(own.pop(), '', 'a block ends with a line');
        lines.push(...own);
      } else assert.equal(text, '');
    }
    return { lines, heads };
  } finally {
    await verifier.close();
  }
}
