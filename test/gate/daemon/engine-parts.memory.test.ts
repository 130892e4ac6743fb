// Goal: what the engine remembers is bounded by its bytes, whatever lines come. What must not happen: a cache that counts entries, each of
// which can be made as large as a client likes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openMemoryEngine } from '../../kit/gate/memory-engine.js';
import { settle } from '../../kit/plain/fake-clock.js';

const settings = `
version: 1
listeners: { support: { unix: /run/support.sock, policy: support } }
backends: { mail1: { address: "unix:/run/d", series: "2.4", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*"], allow: [mailbox subscribe, { command: search, content: true }] } }
`;

/** Different lines of the forms that take most memory: short words, search keys. Nothing longer is remembered. */
const forms: readonly ((at: number) => string)[] = [
  (at) => `|u${at}@example.org|mailbox subscribe|--|${'a|b|c|d|'.repeat(55)}e`,
  (at) => `|u${at}@example.org|search|--|${'seen|'.repeat(90)}all`,
  (at) => `|u${at}@example.org|search|--|${'uid|1|'.repeat(70)}all`,
];

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

async function heapBytes(): Promise<number> {
  for (let round = 0; round < 4; round += 1) {
    if (typeof collect === 'function') collect();
    await settle();
  }
  return process.memoryUsage().heapUsed;
}

void test('judgements and lines that are remembered take 12 MiB each at most, of distinct long lines too', async (t) => {
  const engine = openMemoryEngine({ settings });
  const { router, knownLines } = engine.context.exchanges();
  const judgements = router.table.remembered ?? assert.fail('nothing is remembered');
  let client = await engine.client(0);
  const send = async (from: number, count: number): Promise<void> => {
    for (let at = from; at < from + count; at += 1) {
      // What a client in memory was sent is kept for its test.
      if (at % 100 === 0) client = await engine.client(0);
      await client.line(forms[at % forms.length]?.(at) ?? '');
      if (at % 100 === 99) {
        client.peer.end();
        await settle();
        engine.forget();
      }
    }
  };
  await send(0, 100);
  const before = await heapBytes();
  await send(100, 2_000);
  const mebibytes = (bytes: number): string => (bytes / 1024 ** 2).toFixed(1);
  const grownBytes = (await heapBytes()) - before;
  t.diagnostic(
    `${judgements.size} judgements ${mebibytes(judgements.bytes)} MiB, ${knownLines.size} lines ${mebibytes(knownLines.bytes)} MiB, heap +${mebibytes(grownBytes)} MiB`,
  );
  for (const cache of [judgements, knownLines]) {
    assert.ok(
      cache.size > 100 && cache.bytes > 11 * 1024 ** 2,
      `${cache.size} entries, ${cache.bytes} bytes`,
    );
    assert.ok(cache.bytes <= 12 * 1024 ** 2, `${cache.bytes} bytes`);
  }
  // What is accounted is what is there; what the test itself keeps is small.
  assert.ok(grownBytes < 32 * 1024 ** 2, `${grownBytes} bytes more`);
});
