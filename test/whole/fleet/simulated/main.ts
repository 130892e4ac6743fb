// `npm run lab -- fleet`: the simulation at the size of a real fleet (scripts/fleet.mjs says more). Exit code 1: a planted fault was not
// found as what it is, something else was, or a mirror is not the journal.
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { diskPlace } from '../../../kit/plain/folder.js';
import { isFound, simulateFleet } from './simulation.js';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '1000' },
    newcomers: { type: 'string', default: '3' },
    rate: { type: 'string', default: '10000' },
    minutes: { type: 'string', default: '5' },
    days: { type: 'string', default: '0' },
    group: { type: 'string', default: '100' },
    seed: { type: 'string' },
  },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000_000);
const [hosts, newcomers, rate, minutes, days, group] = [
  values.hosts,
  values.newcomers,
  values.rate,
  values.minutes,
  values.days,
  values.group,
].map(Number);
const isNumber = (value: number | undefined): value is number => Number.isFinite(value) && Number(value) >= 0;
if (
  !isNumber(hosts) ||
  !isNumber(newcomers) ||
  !isNumber(rate) ||
  !isNumber(minutes) ||
  !isNumber(days) ||
  !isNumber(group) ||
  !Number.isSafeInteger(seed)
) {
  console.error(
    'usage: npm run lab -- fleet --hosts N --rate N --minutes N [--newcomers N] [--days N] [--group N] [--seed N]',
  );
  process.exit(64);
}
// Journals, streams and mirror are some gigabytes.
process.env['TMPDIR'] = diskPlace();

const say = (what: string, figures: string): void => console.log(`${what.padEnd(38)} ${figures}`);
say('Node, processors', `${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim() ?? 'unknown'}`);
say(
  'hosts, records a second, minutes',
  `${hosts}, ${rate}, ${minutes}; records of ${days} days; seed ${seed}`,
);
const closers: (() => void | Promise<void>)[] = [];
const owner = { after: (run: () => void | Promise<void>) => void closers.push(run) };
try {
  // A host has its turn at least three times before it counts as silent.
  const turnMs = Math.ceil((hosts * group * 1000) / rate);
  const outcome = await simulateFleet(owner, {
    hosts,
    newcomers,
    rate,
    seed,
    group,
    days,
    say,
    seconds: minutes * 60,
    patienceMs: Math.max(10_000, 3 * turnMs),
    isMeasured: true,
  });
  if ('skip' in outcome) throw new Error(outcome.skip);
  for (const row of outcome.faults) {
    const { name, host, expected, found } = row;
    const verdict = isFound(row)
      ? found.join(', ')
      : `MUST BE ${expected.join(', ')} AND IS ${found.join(', ')}`;
    console.log(`${isFound(row) ? 'found' : 'WRONG'}  ${host}  ${name}: ${verdict}`);
  }
  const lost = outcome.joins.flatMap((one) =>
    one.lost.map((text) => `a connection was made again while ${one.host} joined: ${text}`),
  );
  const wrong = [...outcome.others, ...outcome.different, ...lost];
  for (const text of wrong) console.log(`WRONG  ${text}`);
  const isRight = outcome.faults.every(isFound) && wrong.length === 0;
  process.exitCode = isRight ? 0 : 1;
} finally {
  for (const close of closers) await close();
}
