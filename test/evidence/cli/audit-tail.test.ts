// The last records of a journal, and those that come while somebody watches: also across segments, also after a cut.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { auditTail, type TailFlags } from '../../../src/evidence/cli/audit-tail.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import { holdProcess } from '../../../src/host/machine/process.js';
import { readWhole, temporaryDirectory } from '../../journal/files/reading.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { createEventWait } from '../../kit/plain/event-wait.js';
import { keepScreen, placesAt, printed, writeJournal } from './shown.js';

async function tail(directory: string, flags: Partial<TailFlags> = {}): Promise<string[]> {
  const { code, lines } = await printed((screen) =>
    auditTail(screen, systemClock, placesAt(directory), { lines: 10, json: true, ...flags }),
  );
  assert.equal(code, 0);
  return lines;
}

function seqs(lines: readonly string[]): number[] {
  return lines.map((line) => Number(JSON.parse(line).seq));
}

void test('the last records, from as many segments as it takes', async (t) => {
  const directory = await writeJournal(t);
  const all = readWhole(directory).map(({ seq }) => seq);
  for (const lines of [0, 1, 10, 25, 60, 5000]) {
    const last = lines === 0 ? [] : all.slice(-lines);
    assert.deepEqual(seqs(await tail(directory, { lines })), last, String(lines));
  }
});

void test('for people: one line each, harmless', async (t) => {
  const directory = await writeJournal(t, 3, (record) =>
    record.event === 'admission' ? { ...record, reason: 'a "b"\u001b[2J' } : record,
  );
  const lines = await tail(directory, { json: false, lines: 100 });
  const found = lines.find((line) => line.includes('id=E1 ')) ?? '';
  assert.match(found, /^\S{24} \d+ admission {2}id=E1 listener=support principal=bob@support/);
  assert.match(found, / reason="a \\"b\\"\\x1b\[2J" command="quota get"/);
});

void test('what comes is shown once, in order: in the same segment, in a new one, after an end was cut', async (t) => {
  const source = await writeJournal(t);
  const lines = readWhole(source).map((record) => JSON.stringify(record));
  const directory = temporaryDirectory(t);
  const first = join(directory, '00000001.jsonl');
  writeFileSync(first, `${lines.slice(0, 5).join('\n')}\n`);

  const letGo = holdProcess();
  t.after(letGo);
  let isGone = false;
  const events = createEventWait();
  const kept = keepScreen();
  const screen = {
    ...kept,
    print: async (text: string) => {
      await kept.print(text);
      events.wake();
    },
    get isGone() {
      return isGone;
    },
  };
  const flags = { lines: 3, follow: true, json: true };
  const watched = auditTail(screen, systemClock, placesAt(directory), flags);
  const shown = (count: number): Promise<void> =>
    events.until(
      () => kept.lines().length >= count,
      () => `${count} lines`,
    );

  await shown(3);
  appendFileSync(first, `${lines[5] ?? ''}\n${(lines[6] ?? '').slice(0, 50)}`);
  await shown(4);
  appendFileSync(first, `${(lines[6] ?? '').slice(50)}\n`);
  await shown(5);
  appendFileSync(first, `${lines[7] ?? ''}\n`);
  writeFileSync(join(directory, '00000002.jsonl'), `${lines[8] ?? ''}\n`);
  await shown(7);
  assert.deepEqual(seqs(kept.lines()), [3, 4, 5, 6, 7, 8, 9]);

  const second = join(directory, '00000002.jsonl');
  appendFileSync(second, `${lines[9] ?? ''}\n`);
  await shown(8);
  truncateSync(second, readFileSync(second).indexOf('\n') + 1);
  writeFileSync(join(directory, '00000003.jsonl'), `${lines[10] ?? ''}\n`);
  await shown(9);
  assert.deepEqual(seqs(kept.lines()), [3, 4, 5, 6, 7, 8, 9, 10, 11]);

  // Closed and compressed before the next look, with a record at its end that nobody saw; and another one, at once.
  const compressed = (name: string, from: number, to: number): void => {
    writeFileSync(join(directory, `${name}.gz`), gzipSync(`${lines.slice(from, to).join('\n')}\n`));
    rmSync(join(directory, name), { force: true });
  };
  compressed('00000004.jsonl', 13, 15);
  compressed('00000003.jsonl', 10, 13);
  writeFileSync(join(directory, '00000005.jsonl'), `${lines[15] ?? ''}\n`);
  await shown(14);
  assert.deepEqual(seqs(kept.lines()), [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
  isGone = true;
  assert.equal(await watched, 0);
});

void test('over a socket there is no tail', async () => {
  const { exit, stderr } = await runWarm(['audit', 'tail', '--socket', '/run/dovegate/page.sock']);
  assert.equal(exit, 64);
  assert.match(stderr, /audit tail needs the files of the journal: over --socket use audit search/);
});
