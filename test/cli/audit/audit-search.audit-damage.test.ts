import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDamageWatch } from '../../../src/cli/audit/audit-search.js';
import { makeTrail, type PaperTrail } from '../../domain/trail/paper-trail.js';

/** What is noted of a trail whose files come in pieces of so many lines. */
function notesOf({ segments }: PaperTrail, linesOfPiece: number): string[] {
  const watch = createDamageWatch();
  for (const { name, lines } of segments) {
    const file = { path: `/j/${name}`, name, isCompressed: false };
    for (let at = 0; at < lines.length; at += linesOfPiece) {
      const text = `${lines.slice(at, at + linesOfPiece).join('\n')}\n`;
      watch.look(file, { bytes: Buffer.from(text), endsInLine: true });
    }
  }
  return watch.notes();
}

void test('a whole trail gives no note, however it comes; a damaged one the same notes', () => {
  const damaged = makeTrail();
  damaged.segments[0]?.lines.splice(2, 1);
  damaged.segments[1]?.lines.splice(2, 0, 'garbage');
  const told = [
    '/j/00000001.jsonl: has 9 records, but their numbers go from 1 to 10',
    '/j/00000002.jsonl: 1 line is not a record, the first at line 3',
  ];
  for (const count of [1, 2, 3, 7, 100]) {
    assert.deepEqual(notesOf(makeTrail(), count), []);
    assert.deepEqual(notesOf(damaged, count), told);
  }
});

void test('notes are counted beyond some, and command no terminal', () => {
  const segments = Array.from({ length: 30 }, (_, at) => ({ name: `${at}\u001b[2J`, lines: ['garbage'] }));
  const notes = notesOf({ segments, kept: [] }, 1);
  assert.deepEqual([notes.length, notes.at(-1)], [11, 'and 20 more']);
  assert.doesNotMatch(notes.join(''), /\u001b/);
});

void test('a line that is far too long is damage, not an unfinished record', () => {
  const watch = createDamageWatch();
  const file = { path: 'x', name: 'x', isCompressed: false };
  watch.look(file, { bytes: Buffer.alloc(1 << 20, 0x61), endsInLine: false });
  assert.equal(watch.notes().length, 1);
});
