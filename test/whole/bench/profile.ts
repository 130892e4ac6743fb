// `npm run bench -- profile [SECONDS]`: where the daemon's time goes, by its own processor profile: short-lived clients, clients kept open,
// and streaming, each on a daemon of its own with every setting at its default, run as modules (build/src). Prints the share of each folder
// of src/, of packages, of Node's own code, of native code and of collecting garbage, then the functions that take most. Time in which
// nothing ran does not count; each thread has a profile of its own.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unbundledProgram } from '../../kit/gate/daemon.js';
import { withBench } from './load/bench-processes.js';
import { printMachine } from './load/report.js';

const threadFlags = new URL('../../kit/plain/thread-flags.js', import.meta.url).href;
const seconds = Number(process.argv[2] ?? 3);
const quota = '\talice@example.org\tquota get';
const streaming = '\talice@example.org\tfetch\ttext\tuid\t67108864';

interface Frame {
  readonly id: number;
  readonly hitCount: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
}

interface Profile {
  readonly nodes: readonly Frame[];
  readonly samples: readonly number[];
}

/** As `node --cpu-prof` writes it. */
function isProfile(value: unknown): value is Profile {
  return typeof value === 'object' && value !== null && 'nodes' in value && 'samples' in value;
}

/** Nothing ran: the journal's thread sleeps in `wait`, not in an event loop. */
const isIdle = ({ functionName, url }: Frame['callFrame']): boolean =>
  ['(idle)', '(program)', '(root)'].includes(functionName) ||
  (functionName === 'wait' && url.endsWith('/adapters/journal/handover.js'));

/** What a frame's time is put down to. */
function placeOf({ functionName, url }: Frame['callFrame']): string {
  const own = /\/build\/src\/(?:([\w/-]+)\/)?[\w-]+\.js$/.exec(url);
  if (own !== null) return own[1] ?? 'main';
  const dependency = /\/node_modules\/((?:@[\w-]+\/)?[\w.-]+)\//.exec(url);
  if (dependency !== null) return dependency[1] ?? 'a package';
  if (url.startsWith('node:')) return "Node's own code";
  return functionName === '(garbage collector)' ? 'collecting garbage' : 'native code';
}

function tellShares(title: string, shares: ReadonlyMap<string, number>, total: number, most: number): void {
  console.log(`  ${title}`);
  const sorted = [...shares].toSorted(([, a], [, b]) => b - a).slice(0, most);
  for (const [name, hits] of sorted) {
    console.log(`    ${((hits / total) * 100).toFixed(1).padStart(5)} %  ${name}`);
  }
}

function tellProfile(file: string): void {
  const profile: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!isProfile(profile)) throw new Error(`${file}: no profile`);
  const { nodes: frames, samples } = profile;
  const byId = new Map(frames.map((frame) => [frame.id, frame.callFrame]));
  const places = new Map<string, number>();
  const functions = new Map<string, number>();
  let total = 0;
  for (const id of samples) {
    const frame = byId.get(id);
    if (frame === undefined || isIdle(frame)) continue;
    total += 1;
    const place = placeOf(frame);
    places.set(place, (places.get(place) ?? 0) + 1);
    const source = frame.url.replace(/^.*\/(?:build\/src|node_modules)\//, '');
    const where = source === '' ? '' : `${source}:${frame.lineNumber + 1}`;
    const name = `${frame.functionName || '(anonymous)'}  ${where}`;
    functions.set(name, (functions.get(name) ?? 0) + 1);
  }
  const urls = frames.map(({ callFrame }) => callFrame.url);
  const thread = /\/([\w-]+)-thread\.js$/.exec(urls.find((url) => url.endsWith('-thread.js')) ?? '')?.[1];
  const name = thread === undefined ? 'the main thread' : `a thread of ${thread}`;
  console.log(`\n  ${name}: ${total} samples of ${samples.length} were work`);
  tellShares('by place', places, total, 14);
  tellShares('by function, its own time', functions, total, 25);
}

await withBench(async (bench) => {
  const { tls } = await bench.startBackend();
  const loads = {
    'short-lived': { clients: 16, line: quota, reconnects: true },
    'kept open': { clients: 64, line: quota },
    streaming: { clients: 1, line: streaming },
  };
  for (const [name, load] of Object.entries(loads)) {
    const id = name.replaceAll(/\W/g, '');
    const folder = bench.path(`profile-${id}`);
    const flags = ['--cpu-prof', '--cpu-prof-dir', folder];
    process.env['DOVEGATE_THREAD_FLAGS'] = JSON.stringify(flags);
    const daemon = await bench.startDaemon({
      name: id,
      backend: `    address: localhost:${tls}\n    tls: implicit\n    ca: ca.pem`,
      password: 'secret',
      program: unbundledProgram,
      nodeArgs: [...flags, '--import', threadFlags],
    });
    const { commands, seconds: took } = await bench.load({ ...load, target: daemon.socket, seconds });
    await daemon.stop();
    console.log(`\n${name}: ${Math.round(commands / took)} commands/s under the profiler`);
    for (const file of readdirSync(folder)) tellProfile(join(folder, file));
  }
  printMachine('\nafter');
});
