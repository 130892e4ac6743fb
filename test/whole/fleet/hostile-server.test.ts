// Goal: whatever a server sends before TLS, during it, or after it with a valid certificate, a link ends with a fault, its socket is
// closed, it holds a bounded amount of memory, and nothing of the server's words is printed. Each case runs in a process of its own, whose
// peak is read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { misdeeds, openHostileNats } from '../../kit/gate/hostile-nats.js';
import { runProgram } from '../../kit/plain/program.js';
import { until } from '../../kit/plain/until.js';

const child = fileURLToPath(new URL('./hostile-server.child.js', import.meta.url));
/** Links after each other, each to the end; more for what grows slowly. */
const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? '1');
const grownMiBMax = 64;
/** What a link says whose time is over. */
const tooLate = /^dial-timeout: | within \d+ s/;
const outcomeShape = z.object({ faults: z.array(z.string()), grownMiB: z.number() });

// bounds.natsTlsRate: TLS records of one byte
void test('a hostile server', { concurrency: 6 }, async (t) => {
  await Promise.all(
    Object.entries(misdeeds).map(([name, misdeed]) =>
      t.test(name, async (each) => {
        const server = await openHostileNats(each, misdeed);
        const links = rounds + (misdeed.sane ?? 0);
        const { shows = /./ } = misdeed;
        for (let left = 5; ; left -= 1) {
          const { stdout, text } = await runProgram(process.execPath, [
            child,
            JSON.stringify(server.settings),
            String(links),
          ]);
          assert.match(text, /^\{"faults":[^\n]*\}\n$/, 'nothing else is printed');
          const { faults, grownMiB } = outcomeShape.parse(JSON.parse(stdout.toString()));
          for (const fault of faults)
            assert.match(fault, /^(?:dial|tls|auth|closed|refused|no-stream)[\w-]*: [ -~]+$/);
          assert.equal(faults.length, links);
          assert.ok(grownMiB <= grownMiBMax, `${grownMiB} MiB`);
          await until(() => server.connections.open === 0, 'every connection is closed');
          // On a busy machine the time of a link may be over before it has read what the server does.
          const others = faults.filter((fault) => !shows.test(fault));
          if (left > 1 && others.length > 0 && others.every((fault) => tooLate.test(fault))) continue;
          for (const fault of faults) assert.match(fault, shows);
          return;
        }
      }),
    ),
  );
});
