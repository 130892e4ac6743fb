// `npm run bench -- victims [ROUNDS]`: how long one principal waits while another holds up every upstream, with 1, 2, 4 and 8 upstreams, for
// each way of holding them up. The clients that hold up come again at once when they are ended; there are four of them for each upstream. The
// victim asks ROUNDS times (default 3), one command after the other. Prints its longest wait and how many of its commands were refused;
// exits with 1 where a client causes a wait of 15 s or more, or where an honest client was ended.
import { openGateway } from '../kit/gateway.js';
import { type HogKind, hogGateway, hogKinds, isHogKind, openHog } from '../kit/lease-hogs.js';
import { openRawClient } from '../kit/raw-client.js';

const rounds = Number(process.argv[2] ?? 3);
const longestMs = 15_000;
const upstreamCounts = [1, 2, 4, 8];

interface Result {
  readonly waitMs: number;
  readonly refused: number;
  readonly ended: number;
}

/** One daemon starts after the other: their waits are what may go on at the same time. */
let opening: Promise<unknown> = Promise.resolve();

async function measure(kind: HogKind, connections: number): Promise<Result> {
  const closers: (() => void | Promise<void>)[] = [];
  const owner = { after: (run: () => void | Promise<void>) => void closers.push(run) };
  try {
    const opened = opening.then(() =>
      openGateway(owner, {
        ...hogGateway,
        mail1: { connections: String(connections) },
        more: 'limits: { drain: 100ms }',
      }),
    );
    opening = opened.catch(() => undefined);
    const { daemon, backend } = await opened;
    const hogs = Array.from({ length: 4 * connections }, () =>
      openHog(owner, daemon.path('hogs.sock'), kind, true),
    );
    await backend.waitFor(({ commands }) => commands.length >= connections, 'all upstreams', 60_000);
    const victim = await openRawClient({ path: daemon.path('victims.sock'), minor: 2, timeoutMs: 60_000 });
    owner.after(() => victim.close());
    let waitMs = 0;
    let refused = 0;
    for (let n = 0; n < rounds; n += 1) {
      const startMs = performance.now();
      victim.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
      const { status } = await victim.readReply();
      waitMs = Math.max(waitMs, performance.now() - startMs);
      if (status !== '+') refused += 1;
    }
    return { waitMs, refused, ended: hogs.reduce((sum, hog) => sum + hog.ended, 0) };
  } finally {
    for (const close of closers) await close();
  }
}

let isGood = true;
console.log(
  `longest of ${rounds} waits of the victim in seconds (its commands refused; sessions of the others ended)`,
);
console.log(`${''.padEnd(30)}${upstreamCounts.map((count) => `${count} upstreams`.padStart(18)).join('')}`);
for (const kind of Object.keys(hogKinds).filter(isHogKind)) {
  const isHonest = kind.startsWith('honest');
  // Each pool waits for itself: all of them at once cost little.
  const results = await Promise.all(upstreamCounts.map((count) => measure(kind, count)));
  const cells = results.map(
    ({ waitMs, refused, ended }) => `${(waitMs / 1000).toFixed(1)} (${refused}; ${ended})`,
  );
  console.log(`${kind.padEnd(30)}${cells.map((cell) => cell.padStart(18)).join('')}`);
  for (const { waitMs, ended } of results) if (isHonest ? ended > 0 : waitMs >= longestMs) isGood = false;
}
console.log(isGood ? 'good' : 'NOT good');
process.exitCode = isGood ? 0 : 1;
