import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createOrderedSet } from '../../src/engine/ordered-set.js';
import { seededRandom } from '../kit/chunkings.js';

void test('it behaves as a list without duplicates, whatever is done in whatever order', () => {
  const random = seededRandom(7);
  const set = createOrderedSet<number>();
  let list: number[] = [];
  for (let n = 0; n < 5_000; n += 1) {
    const member = Math.floor(random() * 12);
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
    assert.deepEqual([...set], list);
    assert.deepEqual([set.size, set.first, set.last], [list.length, list[0], list.at(-1)]);
    for (const each of list) assert.equal(set.before(each, 5), Math.min(5, list.indexOf(each)));
    assert.equal(set.has(member), list.includes(member));
  }
});

void test('members may go while somebody iterates: those that went are not met, the others all are', () => {
  for (const gone of [[1], [2], [3], [2, 3], [2, 3, 4, 5], [1, 2, 3, 4, 5], [5]]) {
    const set = createOrderedSet<number>();
    for (const member of [1, 2, 3, 4, 5]) set.add(member);
    const met: number[] = [];
    for (const member of set) {
      met.push(member);
      if (member === 2) for (const each of gone) set.delete(each);
    }
    assert.deepEqual(
      met,
      [1, 2, 3, 4, 5].filter((member) => member <= 2 || !gone.includes(member)),
    );
  }
});
