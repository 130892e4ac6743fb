// Goal: what a verifier says of the trail of a gate stays right by the command, over runs, acceptance and a whole reading: of objects in
// number, holes that are filled late, strangers' signatures, marks and forks. Each kind of finding: test/evidence/fleet/answers, and
// planted.test.ts.

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { formatName } from '../../../src/evidence/store/names.js';
import { ends } from '../../kit/plain/program.js';
import { kindsOf, openDesk, openTrail } from './fleet-lab.js';
import { HandJournal, hashOf, putAll } from './hand-journal.js';

/** By base64, as a person writes it down. */
function keyOf({ signKey }: HandJournal): Readonly<Record<string, string>> {
  return { key: signKey?.key ?? '' };
}

test('empty objects in number before true ones: all records are read, by a new verifier too', async (t) => {
  const trail = openTrail(t);
  const journal = new HandJournal({ host: 'gate1' }).work(10);
  const { host, journal: id } = journal;
  await putAll(trail.store, [journal.block()]);
  const hosts = { gate1: keyOf(journal) };
  const desks = [openDesk(t, trail, hosts)];
  await desks[0]?.verify();
  const next = journal.seq + 1;
  for (let count = 0; count < 2_500; count += 1) {
    const hash = String(count).padStart(64, '0');
    // Also of many records: for each there is a finding.
    for (const first of [1, next, ...(count < 100 ? [next + 10 + count] : [])]) {
      const name = { kind: 'block', host, journal: id, first, last: first + 1, hash, isCopy: false } as const;
      writeFileSync(trail.pathOf(name), '');
    }
  }
  await putAll(trail.store, [journal.work(4).block(next)]);
  desks.push(openDesk(t, trail, hosts));
  for (const desk of desks) {
    const { gates, findings: all } = await desk.verify();
    // Of the other verifier's lines it has no key.
    const findings = all.filter(({ host: of }) => of === host);
    assert.deepEqual(
      [gates[0]?.seq, kindsOf({ findings })],
      [journal.seq, ['gate1 changed', 'gate1 too-much']],
    );
    assert.equal((await desk.verify('--accept')).exit, 0);
    assert.equal((await desk.verify('--whole')).exit, 0);
  }
});

test('a hole that is filled under the name of junk, or while all is read again, is none any more', async (t) => {
  for (const isJunk of [true, false]) {
    const trail = openTrail(t);
    const journal = new HandJournal({ host: 'gate1' }).work(10);
    const desk = openDesk(t, trail, { gate1: keyOf(journal) });
    await putAll(trail.store, [journal.block()]);
    for (const flags of [[], ['--whole']]) {
      const { seq } = journal;
      const late = journal.work(5).block(seq + 1);
      const place = trail.pathOf(formatName(late.name));
      if (isJunk) writeFileSync(place, 'junk');
      const { seq: lateEnd } = journal;
      await putAll(trail.store, [journal.work(5).block(lateEnd + 1)]);
      const kinds = isJunk ? ['gate1 changed', 'gate1 missing'] : ['gate1 missing'];
      for (let run = 0; run < 2; run += 1) assert.deepEqual(kindsOf(await desk.verify()), kinds);
      writeFileSync(place, gzipSync(late.text));
      assert.deepEqual(kindsOf(await desk.verify(...flags)), isJunk ? ['gate1 changed'] : []);
      await ends(0, desk.read('verify'));
      await desk.verify('--accept');
    }
  }
});

test('a journal that somebody signed with a key of their own: one acceptance is enough, and new signatures are told', async (t) => {
  const trail = openTrail(t);
  const journal = new HandJournal({ host: 'gate1' }).work(10);
  const sign = async (blocks: number): Promise<void> => {
    const foreign = new HandJournal({ host: 'gate1' });
    const tops = Array.from({ length: blocks }, () => foreign.work(1).seq);
    for (const [at, end] of tops.entries())
      await putAll(trail.store, [foreign.block((tops[at - 1] ?? 0) + 1, end)]);
  };
  await putAll(trail.store, [journal.block()]);
  await sign(12);
  // More than are kept.
  for (let journals = 0; journals < 30; journals += 1) await sign(2);
  const desk = openDesk(t, trail, { gate1: keyOf(journal) });
  assert.ok(kindsOf(await desk.verify()).includes('gate1 untrusted'));
  await desk.verify('--accept');
  for (const flags of [[], ['--whole'], []])
    assert.ok(!kindsOf(await desk.verify(...flags)).includes('gate1 untrusted'), flags.join());
  await new Promise((resolve) => setTimeout(resolve, 50));
  await sign(1);
  assert.ok(kindsOf(await desk.verify()).includes('gate1 untrusted'));
});

test('what somebody removed from the store, and was accepted, is not told again as missing', async (t) => {
  const trail = openTrail(t);
  const journal = new HandJournal({ host: 'gate1' });
  const tops = [0, 1, 2, 3].map(() => journal.work(5).seq);
  const blocks = tops.map((end, at) => journal.block((tops[at - 1] ?? 0) + 1, end));
  await putAll(trail.store, blocks);
  const desk = openDesk(t, trail, { gate1: keyOf(journal) });
  await desk.verify();
  for (const at of [0, 2]) rmSync(trail.pathOf(formatName(blocks[at]?.name ?? assert.fail())));
  assert.deepEqual(kindsOf(await desk.verify()), ['gate1 cut-in-store']);
  await desk.verify('--accept');
  for (const flags of [[], ['--whole'], []]) {
    const { findings } = await desk.verify(...flags);
    assert.deepEqual(findings, [], flags.join());
  }
  await ends(0, desk.read('verify'));
});

test('the mark of a disk that was put back, far behind the newest blocks, is told once', async (t) => {
  const trail = openTrail(t);
  const journal = new HandJournal({ host: 'gate1' });
  const tops = Array.from({ length: 60 }, () => journal.work(20).seq);
  const blocks = tops.map((end, at) => journal.block((tops[at - 1] ?? 0) + 1, end));
  await putAll(trail.store, blocks);
  const desk = openDesk(t, trail, { gate1: keyOf(journal) });
  await desk.verify();
  const [seq = 0] = tops;
  const hash = hashOf(journal.lines[seq - 1]);
  const mark = formatName({ kind: 'forked', host: 'gate1', journal: journal.journal, seq, hash });
  writeFileSync(trail.pathOf(mark), '');
  for (const flags of [[], [], ['--whole']]) {
    const { findings } = await desk.verify(...flags);
    assert.deepEqual(
      findings.map(({ kind, seq: at }) => [kind, at]),
      [['cut-at-host', seq + 1]],
      flags.join(),
    );
  }
  await desk.verify('--accept');
  for (const flags of [[], ['--whole']]) assert.deepEqual((await desk.verify(...flags)).findings, []);
});

test('more forks than are kept, without a signature: one acceptance is enough, and new ones are told', async (t) => {
  const trail = openTrail(t);
  const journal = new HandJournal({ host: 'gate1' }).work(20);
  await putAll(trail.store, [journal.block()]);
  const desk = openDesk(t, trail, { gate1: keyOf(journal) });
  const fork = async (count: number, from: number): Promise<void> => {
    for (let at = 0; at < count; at += 1) {
      const forged = journal.copy(null, from + at);
      forged.exchange({ user: `junk${at}@example.org` });
      await putAll(trail.store, [forged.block(from + at + 1, from + at + 1)]);
    }
  };
  await fork(35, 2);
  assert.deepEqual(kindsOf(await desk.verify()), ['gate1 forked']);
  await desk.verify('--accept');
  for (const flags of [[], ['--whole'], []]) assert.deepEqual((await desk.verify(...flags)).findings, []);
  // Of a file system a time may be as old as that of a tick before.
  await new Promise((resolve) => setTimeout(resolve, 50));
  await fork(1, 38);
  const { findings } = await desk.verify();
  assert.deepEqual(
    findings.map(({ kind, seq }) => [kind, seq]),
    [['forked', 39]],
  );
});
