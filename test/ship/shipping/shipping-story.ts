// A shipper between a journal on disk and receivers in memory, with a clock turned by hand.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { DaemonEvent } from '../../../src/gate/telemetry/log.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import type { Connect, TlsDemand } from '../../../src/host/ports/transport.js';
import { beginning } from '../../../src/ship/shipping/follow.js';
import { createPositionFile, type PositionFile } from '../../../src/ship/shipping/position.js';
import { type Shipper, type ShipperParts, startShipper } from '../../../src/ship/shipping/shipper.js';
import { createSyslogCarrier } from '../../../src/ship/shipping/syslog-carrier.js';
import { createMemoryDialler, type DialledEnd, type MemoryDialler } from '../../kit/gate/memory-backend.js';
import { createFakeClock, type FakeClock } from '../../kit/plain/fake-clock.js';
import { idle } from '../../kit/plain/idle.js';
import { type DiskJournal, openDiskJournal } from './journal-on-disk.js';
import { readFrames } from './rfc5424.js';

export interface Story {
  readonly clock: FakeClock;
  readonly dialler: MemoryDialler;
  readonly journal: DiskJournal;
  readonly events: readonly DaemonEvent[];
  readonly file: PositionFile;
  /** Begins where the file says; ended with the test. */
  readonly start: (
    changes?: Partial<ShipperParts> & { readonly connect?: Connect; readonly demand?: () => TlsDemand },
  ) => Promise<Shipper>;
  /** As `start`, and it is connected. */
  readonly connected: () => Promise<Shipper>;
  /** It is told of what was written, and has sent all. */
  readonly sends: (shipper: Shipper) => Promise<void>;
  /** Turns the clock, a millisecond at a time, until it is so. */
  readonly until: (isTrue: () => boolean) => Promise<void>;
  /** Records that a receiver has got as whole messages, by the number of its connection from 0. */
  readonly records: (connection: number) => readonly string[];
}

export const sink = 'logs.example.com:6514';
const demanded = (): TlsDemand => ({ serverName: 'logs.example.com', ca: undefined, keyPins: [] });

export function openStory(t: TestContext, clockOf: (clock: FakeClock) => Clock = (clock) => clock): Story {
  const clock = createFakeClock();
  const dialler = createMemoryDialler();
  const journal = openDiskJournal(t);
  const events: DaemonEvent[] = [];
  const file = createPositionFile(join(journal.directory, 'state'), sink);
  const story: Story = {
    clock,
    dialler,
    journal,
    events,
    file,
    async start(changes = {}) {
      const kept = await file.load();
      const {
        position = kept?.position ?? beginning,
        connect = dialler.connect,
        demand = demanded,
      } = changes;
      const log: ShipperParts['log'] = {
        report(event) {
          assert.equal(event['sink'], sink);
          events.push(event);
        },
      };
      const carrier = createSyslogCarrier({
        receiver: { address: { kind: 'tcp', host: 'logs.example.com', port: 6514 }, demand },
        sender: { hostName: 'gate1', processId: 1 },
        connect,
        clock: clockOf(clock),
        position,
        restarted: (text) => log.report({ event: 'ship-restarted', level: 'error', sink, text }),
      });
      return startShipper({
        sink,
        carrier,
        directory: journal.directory,
        journal: journal.id,
        untilSeq: () => journal.seq,
        file,
        clock: clockOf(clock),
        chance: () => 0.5,
        log,
        ...changes,
        position,
      });
    },
    async until(isTrue) {
      // A minute is more than any story needs.
      for (let turns = 0; !isTrue(); turns += 1) {
        if (turns > 60_000) throw new Error(`not in time; ${JSON.stringify(events)}`);
        await turn(clock);
      }
    },
    records(connection) {
      const end: DialledEnd | undefined = dialler.ends[connection];
      if (end === undefined) return [];
      return readFrames(end.peer.received()).messages.map(({ text }) => String(text));
    },
    async connected() {
      const shipper = await story.start();
      await story.until(() => shipper.report.state === 'connected');
      return shipper;
    },
    async sends(shipper) {
      shipper.nudge();
      await story.until(() => shipper.report.sentSeq === journal.seq);
    },
  };
  return story;
}

/** A millisecond passes, but not while a file is being read or written, or something is compressed. */
export async function turn(clock: FakeClock): Promise<void> {
  await idle();
  clock.advanceNow(1);
}

/** What `close` waits for, with the clock turned meanwhile. */
export async function ended({ until }: Story, shipper: Shipper): Promise<void> {
  let isEnded = false;
  void shipper.close().then(() => {
    isEnded = true;
  });
  await until(() => isEnded);
}
