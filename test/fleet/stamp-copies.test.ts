// Goal: what a gate had stamped is named at the verifier for ever, whatever becomes of the gate. Phases: a gate, an authority and a
// verifier as they are, and copies that root there changes; a gate in a forger's hands that sends what it likes; a fleet without an
// authority. What must not happen: a copy that is replaced, a path from a gate's words, a stamp of another record that is kept, disk
// without bound, a host whose stamps end unseen.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openNats } from '../../src/adapters/nats/link.js';
import { bounds } from '../../src/bounds/bounds.js';
import { genesisHash, sealLine } from '../../src/domain/records/audit/ledger.js';
import { formatTime } from '../../src/domain/records/audit/record.js';
import { stampBytes, stampsSubjectOf } from '../../src/domain/records/fleet/block.js';
import { checkpoint, placeFor, signKey, startRun, stop, write } from '../adapters/journal/forged-run.js';
import { type Nats, openNatsServer } from '../kit/nats.js';
import {
  type AuthorityOptions,
  makeStampAuthority,
  type PaperStamp,
  paperStamp,
  type StampAuthority,
} from '../kit/stamp-authority.js';
import { until } from '../kit/until.js';
import { runWarm } from '../kit/warm-program.js';
import { fill, findingsOf, openDesk, readLines, skipOf } from './fleet-lab.js';
import { openFleetGate } from './gate.js';

const dayMs = 86_400_000;
const trusted = { key: signKey.key, silent_after: '1h' };
const stream = 'DOVEGATE_AUDIT_gate1';
const subject = stampsSubjectOf('gate1');

/** A journal that began three days ago, and had a checkpoint then, and one a day later. */
function writeOld(t: TestContext, user = 'alice@example.com') {
  const beganMs = Date.now() - 3 * dayMs;
  const place = placeFor(t);
  const run = startRun(place, { wallMs: beganMs });
  const named = { session: 'S', id: 'E1', listener: 'desk', principal: 'bob@desk' };
  const what = { command: 'mailbox delete', user, decision: 'allow', effect: 'destroy' } as const;
  write(run, { time: beganMs, event: 'admission', ...named, ...what });
  write(run, { time: beganMs, event: 'completion', ...named, outcome: 'ok' });
  checkpoint(run, beganMs + 1000);
  checkpoint(run, beganMs + dayMs);
  stop(run, beganMs + dayMs + 1000);
  const journal = readLines(place.directory);
  const lines = journal.lines.filter((line) => line.includes('"event":"checkpoint"'));
  return { ...place, beganMs, journal, lines };
}

function authorityOf(t: TestContext, more: AuthorityOptions = {}): StampAuthority {
  return makeStampAuthority(t, { keys: 'ec', notBefore: new Date(Date.now() - 100 * dayMs), ...more });
}

const dayOf = (ms: number): string => formatTime(ms).slice(0, 10);

/** As a gate sends one. */
function stampOf(by: StampAuthority, text: string, timeMs: number, more: Partial<PaperStamp> = {}): Buffer {
  const line = Buffer.from(text);
  return stampBytes({ line, answer: paperStamp(by, { timeMs, stamped: line, ...more }) });
}

async function sendAll(nats: Nats, bodies: readonly Buffer[]): Promise<void> {
  const link = await openNats(nats.settingsOf('gate1'));
  let expected = (await link.lastOf(stream, subject))?.streamSeq ?? 0;
  for (const body of bodies) ({ streamSeq: expected } = await link.publish(subject, [], body, expected));
  await link.close();
}

void test('the stamps of a gate are copied, once each, and a copy that was changed is found', {
  timeout: 600_000,
}, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1'] });
  if (skipOf(t, nats)) return;
  await fill(nats, {});
  const authority = makeStampAuthority(t);
  const stamps = `, stamps: { url: "${await authority.listen(t)}", authority: "${authority.rootFile}" }`;
  const gate = await openFleetGate(t, nats, { host: 'gate1', audit: stamps });
  gate.work();
  await gate.untilAnswered(20);
  await gate.rest();
  const link = await openNats(nats.settingsOf('gate1'));
  t.after(() => link.close());
  await until(
    async () => (await link.lastOf(stream, subject)) !== undefined,
    () => `the stamp is in the stream\n${gate.ship.output()}`,
    60_000,
  );
  const desk = openDesk(nats, {});
  const hosts = { gate1: { key: gate.key, silent_after: '1h' } };
  desk.write(hosts, { stamps: { url: 'http://127.0.0.1:1/tsr', authority: authority.rootFile } });
  assert.deepEqual(await findingsOf(desk), []);
  const folder = join(desk.state, 'journals', 'gate1', 'stamps');
  const kept = readdirSync(folder).toSorted();
  assert.equal(kept.length, 2);
  const day = kept[0]?.slice(0, 10) ?? '';
  assert.deepEqual(kept, [`${day}.jsonl`, `${day}.tsr`]);
  for (const name of kept)
    assert.deepEqual(
      readFileSync(join(folder, name)),
      readFileSync(gate.daemon.path(`ship-state/stamps/${name}`)),
    );
  const files = ['-in', join(folder, `${day}.tsr`), '-data', join(folder, `${day}.jsonl`)];
  const openssl = spawnSync('openssl', ['ts', '-verify', ...files, '-CAfile', authority.rootFile]);
  assert.equal(openssl.status, 0, openssl.stderr.toString());
  const good = await desk.read('verify', '--stamps');
  assert.equal(good.exit, 0, good.text);
  assert.match(good.text, new RegExp(`stamped of ${day}: what is here up to seq \\d+ was there at `));

  // Another start of ship sends none twice.
  const before = await link.lastOf(stream, subject);
  await gate.killShip();
  gate.work();
  await gate.untilAnswered(20);
  await gate.rest();
  await gate.catchUp();
  await gate.stop();
  assert.deepEqual((await link.lastOf(stream, subject))?.streamSeq, before?.streamSeq);

  // Root at the verifier changes a copy, then removes all.
  assert.deepEqual(await findingsOf(desk), []);
  writeFileSync(join(folder, `${day}.jsonl`), `${'x'.repeat(100)}\n`);
  const changed = await desk.read('verify', '--stamps');
  assert.equal(changed.exit, 1);
  assert.match(changed.text, /\.tsr: stamp: it is the stamp of other bytes than those beside it/);
  rmSync(folder, { recursive: true });
  const gone = await desk.read('verify', '--stamps');
  assert.equal(gone.exit, 1);
  assert.match(gone.text, /stamps holds no stamp/);
  // The stream still has it.
  assert.deepEqual(await findingsOf(desk, '--whole'), []);
  assert.deepEqual(readdirSync(folder).toSorted(), kept);
});

void test('of what a forger sends nothing is kept but a right stamp, once', {
  timeout: 600_000,
}, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1'] });
  if (skipOf(t, nats)) return;
  const { journal, lines, beganMs } = writeOld(t);
  await fill(nats, { gate1: journal });
  const [by, other] = [authorityOf(t), authorityOf(t)];
  const wide = authorityOf(t, { purpose: 'critical,timeStamping,emailProtection' });
  const desk = openDesk(nats, {});
  const stamps = { url: 'http://127.0.0.1:1/tsr', authority: by.rootFile };
  desk.write({ gate1: trusted }, { drift: '10d', stamps });
  const folder = join(desk.state, 'journals', 'gate1', 'stamps');
  const [first = '', last = ''] = lines;

  assert.deepEqual(await findingsOf(desk), [], 'nobody knows of stamps yet');
  const right = stampOf(by, first, beganMs + 5000);
  await sendAll(nats, [right]);
  assert.match(
    (await findingsOf(desk)).join('\n'),
    /^gate1 stamp-missing: no time stamp came of it since that of \S+; look/,
  );
  const day = dayOf(beganMs + 5000);
  const file = join(folder, `${day}.tsr`);
  const copy = readFileSync(file);
  assert.ok(right.subarray(-copy.length).equals(copy));
  await sendAll(nats, [stampOf(by, last, Date.now())]);
  assert.deepEqual(await findingsOf(desk), []);
  const kept = readdirSync(folder).toSorted();
  assert.equal(kept.length, 4);

  const sealed = (seq: number, body: object, timeMs = beganMs): string => {
    const text = JSON.stringify({
      time: formatTime(timeMs),
      event: 'checkpoint',
      journal: journal.id,
      ...body,
    });
    return sealLine(seq, text.slice(1, -1), genesisHash).line;
  };
  const seq = Number(/\d+/.exec(first)?.[0]);
  const evil: readonly (readonly [Buffer, RegExp])[] = [
    [Buffer.from('x'), /not the answer of a time stamp authority/],
    [Buffer.from('x\ny'), /not the answer of a time stamp authority/],
    [Buffer.alloc(2 * bounds.stampAnswerBytes + 1, '\n'), /not the answer of a time stamp authority/],
    [stampOf(by, '{"a":1}\n', Date.now()), /no signed checkpoint/],
    [stampOf(by, sealed(seq, { journal: '../../../../x' }), beganMs), /no id of a journal/],
    [stampOf(by, sealed(seq, { journal: 'ef'.repeat(16) }), beganMs), /that record did not come/],
    [
      stampOf(by, sealed(seq, { user: 'carol' }), beganMs),
      /is over another record \d+ than the one that came/,
    ],
    [stampOf(by, first.replace('"checkpoint"', '"checkpoint","x":1'), beganMs), /no signed checkpoint/],
    [stampOf(by, sealed(9999, {}), beganMs), /that record did not come/],
    [stampOf(other, first, beganMs), /does not chain to a certificate/],
    [stampOf(wide, first, beganMs), /is not for time stamps alone/],
    [stampOf(by, first, beganMs, { hash: 'sha512' }), /other bytes/],
    [stampOf(by, first, beganMs - 3_600_000), /its time is before that of the checkpoint/],
    [stampOf(by, last, Date.now() + dayMs), /had not come when it was sent/],
    [
      stampOf(by, sealed(seq, {}, beganMs - 40 * dayMs), Date.now() - 40 * dayMs),
      /older than any that a gate sends/,
    ],
  ];
  for (const [body, why] of evil) {
    await sendAll(nats, [body]);
    const found = await findingsOf(desk, '--accept');
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', /^gate1 stamp: /);
    assert.match(found[0] ?? '', why);
    assert.deepEqual(readdirSync(folder).toSorted(), kept, String(why));
  }
  // Right, of the same day, and not the one that is kept.
  await sendAll(nats, [stampOf(by, first, beganMs + 9000)]);
  assert.deepEqual(await findingsOf(desk, '--accept'), []);
  assert.ok(readFileSync(file).equals(copy));
  assert.ok(!existsSync(join(desk.state, 'x')));

  // Thousands: a bounded number is looked at in a day.
  await sendAll(
    nats,
    Array.from({ length: 3 * bounds.fleetStamps }, () => Buffer.from('x')),
  );
  const many = (await findingsOf(desk, '--accept')).join('\n');
  assert.match(many, /\(and \d+ more of this kind\)/);
  await sendAll(nats, [stampOf(by, last, Date.now())]);
  assert.deepEqual(await findingsOf(desk, '--accept'), []);
});

void test('without an authority in the settings stamps are kept, and judged when one is named', {
  timeout: 600_000,
}, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1'] });
  if (skipOf(t, nats)) return;
  const { journal, lines, beganMs } = writeOld(t);
  await fill(nats, { gate1: journal });
  // Its certificate has expired since.
  const [by, other] = [authorityOf(t, { notAfter: new Date(Date.now() - dayMs) }), authorityOf(t)];
  const desk = openDesk(nats, {});
  desk.write({ gate1: trusted }, { drift: '10d' });
  const [first = '', last = ''] = lines;
  await sendAll(nats, [stampOf(by, first, beganMs + 5000), stampOf(other, last, Date.now())]);
  assert.deepEqual(await findingsOf(desk), []);
  const folder = join(desk.state, 'journals', 'gate1', 'stamps');
  assert.equal(readdirSync(folder).length, 4);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  const without = await desk.read('verify', '--stamps');
  assert.notEqual(without.exit, 0);
  assert.match(without.text, /name the certificates that the stamps must chain to: --authority FILE/);
  const judged = await desk.read('verify', '--stamps', '--authority', by.rootFile);
  assert.equal(judged.exit, 1);
  assert.match(
    judged.text,
    new RegExp(`${dayOf(Date.now())}\\.tsr: stamp: it does not chain to a certificate`),
  );
  // By the mirror's directory alone, as a copy of it is verified.
  const mirror = ['audit', 'verify', '--fleet', join(desk.state, 'journals'), '--stamps'];
  rmSync(join(folder, `${dayOf(Date.now())}.tsr`));
  const key = join(desk.state, 'gate1.pub');
  writeFileSync(key, signKey.key);
  const copied = await runWarm([...mirror, '--authority', by.rootFile, '--key', key]);
  assert.equal(copied.exit, 0, copied.text);
  assert.match(copied.text, /stamped of /);
});
