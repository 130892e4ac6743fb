// Goal: with keys of verifiers, a gate's records are safe only as far as one of them has signed that it mirrored them. Phases: a journal
// that is in the stream whole, and for each line that somebody can put where the verifier's stands: what it does. Who can write there is
// the server, its administrator, and whoever has the verifier's certificate; none of them has the verifier's key. What must not happen: a
// record that is safe by a line that was forged, changed, of another host, journal or key, or that names a record which this journal does
// not have; a line that takes back what an earlier one covered; a gate that stops sending because of one.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { toHostSubject } from '../../../src/evidence/fleet/block.js';
import { signCheckpoint } from '../../../src/evidence/fleet/checkpoint.js';
import { type MirroredEnd, signMirrored } from '../../../src/evidence/fleet/mirrored.js';
import { NatsFault } from '../../../src/evidence/nats/fault.js';
import type { GateLink } from '../../../src/evidence/nats/link.js';
import { readClaim } from '../../../src/journal/records/ledger.js';
import { makeSignKey } from '../../../src/rules/keys/sign-key.js';
import { createNatsCarrier } from '../../../src/ship/shipping/nats-carrier.js';
import { openShipping } from '../../../src/ship/shipping/shipping.js';
import { closeBefore } from '../../journal/files/reading.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';
import { type DiskJournal, openDiskJournal } from './journal-on-disk.js';
import { turn } from './shipping-story.js';

const host = 'gate1';
const verifier = makeSignKey();
const second = makeSignKey();
const stranger = makeSignKey();
const signedMs = Date.UTC(2026, 10, 29);

function endOf({ id, lines }: DiskJournal, seq: number, changes: Partial<MirroredEnd> = {}): MirroredEnd {
  const { hash } = readClaim(Buffer.from(lines[seq - 1] ?? '')) ?? assert.fail(`no record ${seq}`);
  return { host, journal: id, seq, hash, ...changes };
}

function open(
  t: TestContext,
  journal: DiskJournal,
  keys: (() => readonly string[]) | 'none' = () => [verifier.key, second.key],
) {
  const verifierKeys = keys === 'none' ? undefined : keys;
  const clock = createFakeClock();
  const until = async (isTrue: () => boolean): Promise<void> => {
    for (let turns = 0; !isTrue(); turns += 1) {
      assert.ok(turns < 20_000, 'in time');
      await turn(clock);
      // The gate asks every five minutes.
      if (turns % 20 === 19) await clock.advance(30_000);
    }
  };
  const subject = toHostSubject(host, 'mirrored');
  const refusals: string[] = [];
  let line: string | NatsFault | undefined;
  let asked = 0;
  let streamSeq = 0;
  let stored: { readonly header: (name: string) => string; readonly streamSeq: number } | undefined;
  const link: GateLink = {
    place: 'nats:4222',
    serverValidTo: '',
    isClustered: false,
    ended: new Promise<never>(() => undefined),
    close: () => Promise.resolve(),
    lastOf(_stream, of) {
      if (of !== subject)
        return Promise.resolve(stored && { ...stored, storedMs: 0, subject: of, bytes: Buffer.alloc(0) });
      asked += 1;
      if (line instanceof NatsFault) return Promise.reject(line);
      const message = { streamSeq: asked, storedMs: 0, subject: of, header: () => '' };
      return Promise.resolve(
        line === undefined ? undefined : { ...message, bytes: Buffer.from(`${line}\n`) },
      );
    },
    publish(_subject, headers) {
      const values = new Map(headers);
      streamSeq += 1;
      stored = { streamSeq, header: (name) => values.get(name) ?? '' };
      return Promise.resolve({ streamSeq, isDuplicate: false });
    },
  };
  const receiver = { link: { servers: [], name: 'x' }, stream: 'S', host, settleMs: 0, verifierKeys };
  const begin = async () => {
    const shipping = await openShipping({
      sinks: [
        {
          name: 'nats:4222',
          key: 'k',
          carrier: (parts) =>
            createNatsCarrier({ ...parts, receiver, openLink: () => Promise.resolve(link) }),
        },
      ],
      stateDirectory: join(journal.directory, 'state'),
      directory: journal.directory,
      sender: { hostName: host, processId: 1 },
      connect: () => assert.fail('no receiver of this kind'),
      clock,
      chance: () => 0.5,
      observe: ({ kind, text }) => {
        if (kind === 'mirrored-refused') refusals.push(text);
      },
    });
    shipping.start({ id: journal.id, seq: () => journal.seq });
    const end = async (): Promise<void> => {
      let isOver = false;
      void shipping.end().then(() => {
        isOver = true;
      });
      await until(() => isOver);
    };
    closeBefore(t, end);
    const sink = () => shipping.sinks[0] ?? assert.fail();
    const sent = () => until(() => sink().sentSeq === journal.seq);
    return { shipping, end, sent, safe: () => sink().safe.seq };
  };
  return {
    begin,
    refusals,
    until,
    /** Stands in the stream from now on; resolves when the gate has asked for it, and has done with it. */
    async say(next: string | NatsFault | undefined): Promise<void> {
      line = next;
      const before = asked;
      await until(() => asked >= before + 2);
    },
  };
}

const sign = (end: MirroredEnd, { secretPem } = verifier): string => signMirrored(end, secretPem, signedMs);

void test('what somebody without the key can put there covers nothing', async (t) => {
  const journal = openDiskJournal(t);
  journal.write(30);
  const story = open(t, journal);
  const { safe, sent, shipping } = await story.begin();
  await sent();
  await story.say(undefined);
  assert.deepEqual([safe(), story.refusals], [0, []], 'nothing was said yet');

  const good = sign(endOf(journal, 20));
  const heads = [{ ...endOf(journal, 20), from: 1, storedMs: signedMs }];
  const forged: Readonly<Record<string, readonly [line: string | NatsFault, why: RegExp | undefined]>> = {
    'no line': ['{}', /is not a line of a verifier/],
    'bytes that are no text': ['\u0000'.repeat(1000), /is not a line of a verifier/],
    'one that is too long': [good.replace('"event"', `${' '.repeat(70_000)}"event"`), /is not a line/],
    'a later record by the signature of an earlier one': [
      good.replace('"seq":20', '"seq":30'),
      /was changed after it was signed/,
    ],
    'the key of a verifier, and the signature of another': [
      sign(endOf(journal, 20), stranger).replace(stranger.key, verifier.key),
      /was changed after it was signed/,
    ],
    'another spelling of what was signed': [good.replace(',"event"', ', "event"'), /is not a line/],
    'signed by a key that is not listed': [sign(endOf(journal, 20), stranger), /^.*key \S+ signed it/],
    'signed for another host': [sign(endOf(journal, 20, { host: 'gate2' })), /it is about host gate2/],
    'a checkpoint of the fleet, by the same key': [
      signCheckpoint({ heads, findings: {} }, undefined, verifier.secretPem, signedMs).line,
      /is not a line of a verifier/,
    ],
    'another record under this seq, as of a mirror that was lied to': [
      sign(endOf(journal, 20, { hash: 'ab'.repeat(32) })),
      /covers another record 20/,
    ],
    'a record that this journal does not have': [
      sign(endOf(journal, 30, { seq: 31 })),
      /covers record 31, and the journal ends with 30/,
    ],
    // As after a new journal: the verifier has not seen it yet.
    'signed for another journal of this host': [
      sign(endOf(journal, 20, { journal: 'cd'.repeat(16) })),
      undefined,
    ],
    'a server without these rights': [
      new NatsFault('no-rights', 'cannot ask: permissions violation'),
      /permissions violation/,
    ],
  };
  for (const [what, [line, why]] of Object.entries(forged)) {
    await story.say(undefined);
    const before = story.refusals.length;
    await story.say(line);
    assert.equal(safe(), 0, what);
    const fresh = story.refusals.slice(before);
    // Said once, however often it is there.
    assert.equal(fresh.length, why === undefined ? 0 : 1, what);
    if (why !== undefined) assert.match(fresh[0] ?? '', why, what);
    assert.equal(shipping.sinks[0]?.state.at, 'connected', what);
  }
  await story.say(good);
  assert.equal(safe(), 20);
});

void test('any of the verifiers covers, nothing that is older takes it back, and a restart keeps it', async (t) => {
  const journal = openDiskJournal(t);
  journal.write(30);
  const story = open(t, journal);
  const first = await story.begin();
  await first.sent();
  await story.say(sign(endOf(journal, 10)));
  assert.equal(first.safe(), 10);
  await story.say(sign(endOf(journal, 25), second));
  assert.equal(first.safe(), 25);
  // Put back by whoever may publish there, or by a second verifier that is behind.
  for (const older of [sign(endOf(journal, 10)), sign(endOf(journal, 24), second), undefined]) {
    await story.say(older);
    assert.equal(first.safe(), 25);
  }
  await first.end();
  const again = await story.begin();
  await again.sent();
  assert.equal(again.safe(), 25);
  journal.write(5);
  again.shipping.nudge();
  await again.sent();
  await story.say(sign(endOf(journal, 34)));
  assert.equal(again.safe(), 34);
  assert.deepEqual(story.refusals, []);
});

void test('a segment of the covered record that is compressed is found; one that is gone changes nothing', async (t) => {
  const journal = openDiskJournal(t);
  journal.write(10);
  journal.rotate();
  journal.write(10);
  journal.compress(1);
  const story = open(t, journal);
  const { safe, sent } = await story.begin();
  await sent();
  await story.say(sign(endOf(journal, 5)));
  assert.equal(safe(), 5);
  journal.remove(1);
  await story.say(sign(endOf(journal, 8)));
  assert.equal(safe(), 5);
  await story.say(sign(endOf(journal, 15)));
  assert.equal(safe(), 15);
});

void test('keys are read again: a replaced one, or none, covers nothing', async (t) => {
  const journal = openDiskJournal(t);
  journal.write(10);
  let keys: readonly string[] = [verifier.key];
  const story = open(t, journal, () => keys);
  const { safe, sent } = await story.begin();
  await sent();
  await story.say(sign(endOf(journal, 5)));
  assert.equal(safe(), 5);
  keys = [second.key];
  await story.say(sign(endOf(journal, 8)));
  assert.equal(safe(), 5);
  assert.match(story.refusals.at(-1) ?? '', /copy its checkpoint\.pub again/);
  await story.say(sign(endOf(journal, 8), second));
  assert.equal(safe(), 8);
});

void test('without keys of verifiers the stream is enough, and nobody is asked', async (t) => {
  const journal = openDiskJournal(t);
  journal.write(10);
  const story = open(t, journal, 'none');
  const { safe, sent } = await story.begin();
  await sent();
  await story.until(() => safe() === 10);
});
