// Run by hostile-server.test.ts: opens links to a hostile server, and prints what came of it.
import { NatsFault } from '../../../src/evidence/nats/fault.js';
import { openNats } from '../../../src/evidence/nats/link.js';

const settings = JSON.parse(process.argv[2] ?? '');
const rounds = Number(process.argv[3]);
const { signal } = new AbortController();
// The library is loaded.
await openNats({ ...settings, servers: [{ host: '127.0.0.1', port: 1 }] }, signal).catch(() => undefined);
const before = process.resourceUsage().maxRSS;
let stallMs = 0;
let beatMs = performance.now();
setInterval(() => {
  const nowMs = performance.now();
  stallMs = Math.max(stallMs, nowMs - beatMs - 20);
  beatMs = nowMs;
}, 20).unref();
const faults: string[] = [];
for (let round = 0; round < rounds; round += 1) {
  try {
    const link = await openNats(settings, signal);
    try {
      await link.publish('dovegate.audit.gate1.a', [], Buffer.alloc(256 << 10), 0);
      await link.lastOf('DOVEGATE_AUDIT', 'dovegate.audit.gate1.a');
      faults.push('none');
    } finally {
      await link.close();
    }
  } catch (fault) {
    faults.push(
      fault instanceof NatsFault ? `${fault.code}: ${fault.message}` : `not a fault: ${String(fault)}`,
    );
  }
}
// What a failed attempt left open goes on for so long.
await new Promise((resolve) => setTimeout(resolve, 1000));
const grownMiB = Math.round((process.resourceUsage().maxRSS - before) / 1024);
process.stdout.write(`${JSON.stringify({ faults, grownMiB, stallMs: Math.round(stallMs) })}\n`);
process.exit(0);
