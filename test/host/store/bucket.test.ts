// A bucket: of a real gateway, with a lock and without; of a server with the rules of AWS; of servers that are hostile, or break.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { systemClock } from '../../../src/host/machine/clock.js';
import type { Clock } from '../../../src/host/ports/machine.js';
import type { ObjectStore, ObjectVersion } from '../../../src/host/ports/store.js';
import { openBucket as openStore } from '../../../src/host/store/bucket.js';
import {
  type Gateway,
  openGateway,
  openProxy,
  openStrict,
  type Spoil,
  serve,
} from '../../kit/plain/bucket.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';
import type { Skipped } from '../../kit/plain/skipped.js';
import { faultOf, namesOf, testStore } from './store-suite.js';

const ended: (() => void | Promise<void>)[] = [];
const shared: Owner = { after: (run) => void ended.push(run) };
const gateway: Gateway | Skipped = await openGateway(shared);
test.after(async () => {
  for (const run of ended) await run();
});
const once = { ifAbsent: true } as const;

function storeAt(
  t: TestContext,
  url: string,
  credentialsFile: string,
  clock: Clock = systemClock,
): ObjectStore {
  const store = openStore({ url, prefix: 'dovegate', credentialsFile, clock });
  t.after(() => store.close());
  return store;
}

function anyCredentials(t: TestContext): string {
  const path = join(openFolder(t), 'store.ini');
  writeFileSync(path, '[default]\naws_access_key_id = AK\naws_secret_access_key = SK\n');
  return path;
}

if ('skip' in gateway) test('the S3 gateway', gateway, () => undefined);
else ofGateway(gateway);

function ofGateway({ openBucket, credentialsFile, ask, origin, makeUser }: Gateway): void {
  for (const lock of [false, true])
    testStore(lock ? 'bucket with a lock' : 'bucket', async (t) => ({
      store: storeAt(t, await openBucket({ lock }), credentialsFile),
      hasVersions: lock,
    }));

  test('what the bucket says of itself', async (t) => {
    const locked = storeAt(t, await openBucket({ lock: true }), credentialsFile);
    const days = { mode: 'COMPLIANCE', days: 1 } as const;
    assert.deepEqual(await locked.describe(), { kind: 'bucket', versions: 'on', lock: days });
    const plain = storeAt(t, await openBucket({ lock: false }), credentialsFile);
    assert.deepEqual(await plain.describe(), { kind: 'bucket', versions: 'off', lock: { mode: 'off' } });
  });

  test('a delete marker hides an object, and the versions show it', async (t) => {
    const url = await openBucket({ lock: true });
    const store = storeAt(t, url, credentialsFile);
    await store.put('h/x', Buffer.from('one'), once);
    await ask('DELETE', `${url.slice(origin.length)}/dovegate/h/x`);
    assert.deepEqual(await namesOf(store, ''), []);
    await assert.rejects(store.read('h/x', { bytesMax: 10 }), faultOf('gone'));
    const page: ObjectVersion[] = [];
    for await (const some of store.versions('')) page.push(...some);
    const marks = page.map(({ isMarker }) => isMarker);
    assert.deepEqual(marks, [true, false]);
    const version = page[1]?.version ?? '';
    assert.equal((await store.read('h/x', { bytesMax: 10, version })).bytes.toString(), 'one');
  });

  test('a server that spoils requests stores each object once it is told so', async (t) => {
    const url = await openBucket({ lock: true });
    const kinds: readonly Spoil[] = ['none', 'error', 'none', 'cut', 'none', 'lost', 'late'];
    let at = 0;
    const proxy = await openProxy(t, origin, () => kinds[at++ % kinds.length] ?? 'none');
    const store = storeAt(t, url.replace(origin, proxy), credentialsFile);
    const names = Array.from({ length: 20 }, (_, index) => `h/${index + 10}`);
    for (const name of names) await store.put(name, Buffer.from(name), once);
    assert.deepEqual(await namesOf(store, 'h/'), names);
    for (const name of names) assert.equal((await store.read(name, { bytesMax: 9 })).bytes.toString(), name);
  });

  test('a clock that is an hour off is corrected by the answer', async (t) => {
    const url = await openBucket({ lock: false });
    for (const offMs of [3600_000, -3600_000]) {
      const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + offMs };
      const store = storeAt(t, url, credentialsFile, clock);
      assert.equal(await store.put(`h/${offMs}`, Buffer.from('x'), once), 'stored');
    }
  });

  test('another user is refused, until the credentials change', async (t) => {
    const url = await openBucket({ lock: false });
    const file = await makeUser(`stranger-${url.slice(-1)}`);
    const store = storeAt(t, url, file);
    await assert.rejects(store.put('h/x', Buffer.from('x'), once), faultOf('refused'));
    await assert.rejects(namesOf(store, ''), faultOf('refused'));
    writeFileSync(file, readFileSync(credentialsFile));
    assert.equal(await store.put('h/x', Buffer.from('x'), once), 'stored');
  });
}

test('the rules of AWS: Content-MD5, and a condition that is kept', async (t) => {
  const store = storeAt(t, await openStrict(t), anyCredentials(t));
  assert.equal(await store.put('h/x', Buffer.from('x'), once), 'stored');
  assert.equal(await store.put('h/x', Buffer.from('y'), once), 'there');
  assert.equal((await store.read('h/x', { bytesMax: 1 })).bytes.toString(), 'x');
  assert.deepEqual(await namesOf(store, 'h/'), ['h/x']);
});

async function hostile(t: TestContext, answer: RequestListener): Promise<ObjectStore> {
  return storeAt(t, `${await serve(t, createServer(answer))}/trail`, anyCredentials(t));
}

const entryOf = (key: string): string => `<Contents><Key>${key}</Key></Contents>`;
const listOf = (keys: readonly string[], more = ''): string =>
  `<ListBucketResult>${keys.map(entryOf).join('')}<IsTruncated>${more !== ''}</IsTruncated>${more}</ListBucketResult>`;

test('answers that no store gives are faults', async (t) => {
  const next = '<NextContinuationToken>again</NextContinuationToken>';
  for (const [body, code] of [
    [listOf(['dovegate/b', 'dovegate/a']), 'bad-answer'],
    [listOf(['other/a']), 'bad-answer'],
    // The same page again and again.
    [listOf(['dovegate/a'], next), 'bad-answer'],
    [listOf([], next), 'bad-answer'],
    ['<html>', 'bad-answer'],
    ['<Contents>'.repeat(200_000), 'bad-answer'],
  ] as const) {
    const store = await hostile(t, (_, answer) => void answer.end(body));
    await assert.rejects(namesOf(store, ''), faultOf(code), body.slice(0, 80));
  }
});

test('a redirect is not followed, and a body without an end is not read', async (t) => {
  let asked = 0;
  const moved = await hostile(t, (_, answer) => {
    asked += 1;
    answer.writeHead(307, { location: '/elsewhere' }).end();
  });
  await assert.rejects(moved.read('h/x', { bytesMax: 10 }), faultOf('refused'));
  assert.equal(asked, 1);
  const endless = await hostile(t, (_, answer) => {
    const piece = Buffer.alloc(65_536);
    const on = (): void => {
      while (!answer.destroyed && answer.write(piece));
      if (!answer.destroyed) answer.once('drain', on);
    };
    on();
  });
  await assert.rejects(endless.read('h/x', { bytesMax: 1000 }), faultOf('too-large'));
});

test('a list without an end, and answers that are too long', async (t) => {
  let page = 0;
  const endless = await hostile(t, (_, answer) => {
    page += 1;
    const name = `dovegate/${String(page).padStart(9, '0')}`;
    answer.end(listOf([name], `<NextContinuationToken>${page}</NextContinuationToken>`));
  });
  await assert.rejects(namesOf(endless, ''), faultOf('bad-answer'));
  assert.equal(page, bounds.storePages);
  const long = await hostile(t, (_, answer) => void answer.end(Buffer.alloc(bounds.storePageBytes + 1)));
  await assert.rejects(namesOf(long, ''), faultOf('too-large'));
  const wordy = await hostile(t, (_, answer) => {
    answer.writeHead(400).end(Buffer.alloc(bounds.storeWordBytes + 1));
  });
  await assert.rejects(wordy.put('h/x', Buffer.from('x'), once), faultOf('too-large'));
});

for (const key of ['storeSilentMs', 'storeAnswerMs'] as const) {
  // bounds.storeSilentMs, bounds.storeAnswerMs
  test(`a server that is silent, or slow without an end, is away: ${key}`, async (t) => {
    let requests = 0;
    const waiting = new Set<() => void>();
    const server = createServer((_, answer) => {
      requests += 1;
      answer.write('x');
      for (const run of waiting) run();
    });
    const url = `${await serve(t, server)}/trail`;
    const clock: Clock = {
      ...systemClock,
      now: () => requests * bounds.storeSilentMs,
      setTimer(ms, run) {
        if (ms !== bounds[key]) return systemClock.setTimer(ms <= 3200 ? 1 : ms, run);
        // The time is over once the request has come.
        if (requests > 0) return systemClock.setTimer(1, run);
        waiting.add(run);
        return { cancel: () => void waiting.delete(run) };
      },
    };
    const store = storeAt(t, url, anyCredentials(t), clock);
    await assert.rejects(store.read('h/x', { bytesMax: 10 }), faultOf('away'));
    // Whoever waits for it is told then: a repetition in place would take as long.
    assert.equal(requests, 1);
  });
}

test('credentials that cannot be used', async (t) => {
  const file = anyCredentials(t);
  writeFileSync(file, '[other]\naws_access_key_id = AK\naws_secret_access_key = SK\n');
  const store = storeAt(t, 'http://127.0.0.1:9/trail', file);
  await assert.rejects(namesOf(store, ''), faultOf('refused'));
});
