// What every store does alike: called once for a folder, and once for each kind of bucket.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  type ListOptions,
  type ObjectStore,
  StoreFault,
  type StoreFaultCode,
} from '../../../src/host/ports/store.js';

export interface SuiteStore {
  readonly store: ObjectStore;
  /** A later put of another content under one name becomes a version, and is not refused. */
  readonly hasVersions: boolean;
}

export async function namesOf(store: ObjectStore, prefix: string, options?: ListOptions): Promise<string[]> {
  const names: string[] = [];
  for await (const page of store.list(prefix, options)) names.push(...page);
  return names;
}

export const faultOf =
  (code: StoreFaultCode) =>
  (fault: unknown): boolean =>
    fault instanceof StoreFault && fault.code === code;

export function testStore(kind: string, open: (t: TestContext) => Promise<SuiteStore>): void {
  test(`${kind}: what was put is read again, with a time`, async (t) => {
    const { store } = await open(t);
    const bytes = Buffer.from([0, 255, 10, 13, 128]);
    const before = Date.now();
    assert.equal(await store.put('h/j/0/a', bytes, { ifAbsent: true }), 'stored');
    const found = await store.read('h/j/0/a', { bytesMax: 5 });
    assert.deepEqual(found.bytes, bytes);
    assert.ok(Math.abs(found.storedMs - before) < 60_000, String(found.storedMs - before));
    await store.put('h/j/0/empty', Buffer.alloc(0), { ifAbsent: true });
    assert.equal((await store.read('h/j/0/empty', { bytesMax: 0 })).bytes.length, 0);
  });

  test(`${kind}: a name that is taken`, async (t) => {
    const { store, hasVersions } = await open(t);
    await store.put('h/x', Buffer.from('one'), { ifAbsent: true });
    const answer = await store.put('h/x', Buffer.from('two'), { ifAbsent: true });
    if (!hasVersions) assert.equal(answer, 'there');
    const text = (await store.read('h/x', { bytesMax: 10 })).bytes.toString();
    assert.equal(text, answer === 'there' ? 'one' : 'two');
    for await (const page of store.versions('h/')) {
      assert.equal(page.length, answer === 'there' ? 1 : 2);
      const oldest = page.at(-1);
      assert.ok(oldest !== undefined && oldest.name === 'h/x' && !oldest.isMarker);
      const { bytes } = await store.read('h/x', { bytesMax: 10, version: oldest.version });
      assert.equal(bytes.toString(), 'one');
    }
  });

  test(`${kind}: names ascend, behind a name, by levels`, async (t) => {
    const { store } = await open(t);
    const names = ['a/0/1', 'a/0/2', 'a/1/1', 'a-b/1', 'a/1/2+ &<é', 'b', 'c/d/e/f'];
    const sorted = ['a-b/1', 'a/0/1', 'a/0/2', 'a/1/1', 'a/1/2+ &<é', 'b', 'c/d/e/f'];
    assert.deepEqual(await namesOf(store, ''), []);
    for (const name of names) await store.put(name, Buffer.from(name), { ifAbsent: true });
    assert.deepEqual(await namesOf(store, ''), sorted);
    for (const [index, after] of sorted.entries())
      assert.deepEqual(await namesOf(store, '', { after }), sorted.slice(index + 1));
    assert.deepEqual(await namesOf(store, 'a/'), sorted.slice(1, 5));
    assert.deepEqual(await namesOf(store, 'a/', { after: 'a/0/' }), sorted.slice(1, 5));
    assert.deepEqual(await namesOf(store, 'a/', { after: 'a/1/' }), sorted.slice(3, 5));
    assert.deepEqual(await namesOf(store, 'nobody/'), []);
    assert.deepEqual(await namesOf(store, '', { isLevel: true }), ['a-b/', 'a/', 'b', 'c/']);
    assert.deepEqual(await namesOf(store, 'a/', { isLevel: true }), ['a/0/', 'a/1/']);
    assert.equal((await store.read('a/1/2+ &<é', { bytesMax: 100 })).bytes.toString(), 'a/1/2+ &<é');
  });

  test(`${kind}: more names than a page has`, async (t) => {
    const { store } = await open(t);
    const names = Array.from({ length: 1_100 }, (_, at) => `p/${String(at).padStart(6, '0')}`);
    for (let at = 0; at < names.length; at += 20)
      await Promise.all(
        names.slice(at, at + 20).map((name) => store.put(name, Buffer.from('x'), { ifAbsent: true })),
      );
    assert.deepEqual(await namesOf(store, 'p/'), names);
    const versions: string[] = [];
    for await (const page of store.versions('p/', { after: names[30] ?? '' }))
      versions.push(...page.map(({ name }) => name));
    assert.deepEqual(versions, names.slice(31));
    for await (const page of store.list('p/')) {
      assert.ok(page.length > 0);
      break;
    }
  });

  test(`${kind}: faults have words`, async (t) => {
    const { store } = await open(t);
    await store.put('h/x', Buffer.from('12345'), { ifAbsent: true });
    await assert.rejects(store.read('h/y', { bytesMax: 10 }), faultOf('gone'));
    await assert.rejects(store.read('h/x', { bytesMax: 4 }), faultOf('too-large'));
    const stopped = AbortSignal.abort(new Error('stopped'));
    await assert.rejects(store.read('h/x', { bytesMax: 10, signal: stopped }), /stopped/);
    await assert.rejects(store.put('h/z', Buffer.from('x'), { ifAbsent: true, signal: stopped }), /stopped/);
  });
}
