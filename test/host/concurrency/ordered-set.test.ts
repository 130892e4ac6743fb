import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrderedSet, type Place } from '../../../src/host/concurrency/ordered-set.js';
import { seededRandom } from '../../kit/plain/chunkings.js';

interface Numbered {
  readonly n: number;
  place: Place<Numbered> | undefined;
}

/** The numbers below `end`, as members. */
function numbersTo(end: number): readonly Numbered[] {
  return Array.from({ length: end }, (_, n) => ({ n, place: undefined }));
}

void test('it behaves as a list without duplicates, whatever is done in whatever order', () => {
  const random = seededRandom(7);
  const set = new OrderedSet<Numbered>();
  const members = numbersTo(12);
  let list: Numbered[] = [];
  for (let n = 0; n < 5_000; n += 1) {
    const member = members[Math.floor(random() * 12)];
    assert.ok(member);
    const without = list.filter((each) => each !== member);
    const how = Math.floor(random() * 3);
    if (how === 0) {
      set.add(member);
      list = [...without, member];
    } else if (how === 1) {
      set.addFirst(member);
      list = [member, ...without];
    } else {
      assert.equal(set.delete(member), list.includes(member));
      list = without;
    }
    assert.ok([...set].every((each, at) => each === list[at]));
    assert.deepEqual([set.size, set.first?.n, set.last?.n], [list.length, list[0]?.n, list.at(-1)?.n]);
    for (const [at, each] of list.entries()) {
      assert.equal(set.after(each), list[at + 1]);
    }
    assert.equal(set.has(member), list.includes(member));
    if (!list.includes(member)) assert.equal(set.after(member), undefined);
  }
});

void test('members may go while somebody iterates: those that went are not met, the others all are', () => {
  for (const gone of [[1], [2], [3], [2, 3], [2, 3, 4, 5], [1, 2, 3, 4, 5], [5]]) {
    const set = new OrderedSet<Numbered>();
    const members = numbersTo(6).slice(1);
    for (const member of members) set.add(member);
    const met: number[] = [];
    for (const member of set) {
      met.push(member.n);
      if (member.n === 2) for (const each of members) if (gone.includes(each.n)) set.delete(each);
    }
    assert.deepEqual(
      met,
      [1, 2, 3, 4, 5].filter((member) => member <= 2 || !gone.includes(member)),
    );
  }
});

void test('who is in one set is of no other, and may go there when it has left', () => {
  const [one, other] = [new OrderedSet<Numbered>(), new OrderedSet<Numbered>()];
  const [member] = numbersTo(1);
  assert.ok(member);
  one.add(member);
  assert.deepEqual([other.has(member), other.delete(member), other.after(member)], [false, false, undefined]);
  assert.throws(() => other.add(member));
  assert.throws(() => other.addFirst(member));
  assert.deepEqual([one.size, other.size], [1, 0]);
  one.delete(member);
  other.add(member);
  assert.deepEqual([one.size, other.first], [0, member]);
});
