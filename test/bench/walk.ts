// `npm run bench -- walk [functions]`: how much of the daemon one command runs through. By V8's precise coverage of the main thread it
// counts the files that are entered, the functions, and their calls: for one accepted connection up to its go-ahead, for a first
// `quota get` (a connection to the backend is ready, nothing is remembered), and for the same line again. A count per module follows;
// `functions` lists every function too. The figures are counts, so they do not depend on how fast the machine is. Each is the middle of
// several runs, because timers of the daemon fall into some of them.
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { openGateway } from '../kit/gateway.js';

const probe = new URL('./load/walk-probe.js', import.meta.url);
/** In the daemon's folder. */
const probeSocket = 'walk.sock';
const quota = { user: 'alice@example.org', fields: ['quota get'] };
const runs = 3;
const phases = ['accept', 'first', 'repeated'] as const;

/** One function: `gateway/relay/relay:1234`, its name, its calls. */
type Call = readonly [place: string, name: string, calls: number];

interface Walk {
  readonly calls: readonly Call[];
  readonly files: number;
  readonly total: number;
}

function isCall(value: unknown): value is Call {
  return Array.isArray(value) && value.length === 3;
}

function walkOf(calls: readonly Call[]): Walk {
  const files = new Set(calls.map(([place]) => fileOf(place)));
  return { calls, files: files.size, total: calls.reduce((sum, [, , count]) => sum + count, 0) };
}

const fileOf = (place: string): string => place.slice(0, place.lastIndexOf(':'));

/** `gateway/relay` for `gateway/relay/relay:1234`; `main` for what lies in no folder. */
function moduleOf(place: string): string {
  const folders = fileOf(place).split('/').slice(0, -1);
  return folders.length === 0 ? 'main' : folders.slice(0, 2).join('/');
}

/** The walk whose number of calls is in the middle. */
function middleOf(walks: readonly Walk[]): Walk {
  const middle = walks.toSorted((one, other) => one.total - other.total)[(walks.length - 1) >> 1];
  if (middle === undefined) throw new Error('no runs');
  return middle;
}

function countByModule({ calls }: Walk): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const [place, , count] of calls) {
    counts.set(moduleOf(place), (counts.get(moduleOf(place)) ?? 0) + count);
  }
  return counts;
}

/** Starts a daemon, and gives the walk of each phase. */
async function measure(): Promise<Record<(typeof phases)[number], Walk>> {
  const ends: (() => void | Promise<void>)[] = [];
  try {
    const { daemon, client } = await openGateway(
      { after: (end) => void ends.push(end) },
      {
        // The default: connections are kept ready.
        mail1: { idle: '' },
        env: { NODE_OPTIONS: `--import=${probe.href}`, DOVEGATE_WALK_SOCKET: probeSocket },
      },
    );
    const socket = connect(daemon.path(probeSocket));
    ends.unshift(() => void socket.destroy());
    const answers = createInterface({ input: socket })[Symbol.asyncIterator]();
    const during = async (run: () => Promise<void>): Promise<Walk> => {
      // Lets a start or an earlier completion record finish.
      await sleep(300);
      await takeCalls(socket, answers);
      await run();
      await sleep(100);
      return walkOf(await takeCalls(socket, answers));
    };
    let opened = await client();
    const accept = await during(async () => {
      opened = await client();
    });
    const ask = async (): Promise<void> => {
      opened.sendCommand(quota);
      const { status } = await opened.readReply();
      if (status !== '+') throw new Error(`quota get: ${status}`);
    };
    const first = await during(ask);
    const repeated = middleOf([await during(ask), await during(ask), await during(ask)]);
    await daemon.stop();
    return { accept, first, repeated };
  } finally {
    for (const end of ends) await end();
  }
}

async function takeCalls(socket: Socket, answers: AsyncIterator<string>): Promise<readonly Call[]> {
  socket.write('\n');
  const answer = await answers.next();
  const calls: unknown = answer.done === true ? undefined : JSON.parse(answer.value);
  if (!Array.isArray(calls)) throw new Error('the daemon does not report its calls');
  return calls.filter(isCall);
}

const measured: Awaited<ReturnType<typeof measure>>[] = [];
for (let run = 0; run < runs; run += 1) measured.push(await measure());
const walks = phases.map((phase) => [phase, middleOf(measured.map((one) => one[phase]))] as const);

console.log(`middle of ${runs} runs; main thread, Node ${process.version}\n`);
console.log('            files   functions   calls');
for (const [phase, { files, calls, total }] of walks) {
  const figures = [String(files).padStart(8), String(calls.length).padStart(12), String(total).padStart(8)];
  console.log(`${phase.padEnd(9)}${figures.join('')}`);
}
const counts = walks.map(([, walk]) => countByModule(walk));
const modules = [...new Set(counts.flatMap((each) => [...each.keys()]))].toSorted();
console.log(`\ncalls per module${phases.map((phase) => phase.padStart(10)).join('')}`);
for (const name of modules) {
  const row = counts.map((each) => String(each.get(name) ?? '').padStart(10));
  console.log(`${name.padEnd(16)}${row.join('')}`.replace(/ +$/, ''));
}
if (process.argv[2] === 'functions') {
  for (const [phase, { calls }] of walks) {
    console.log(`\n${phase}`);
    for (const [place, name, count] of calls.toSorted(([one], [other]) => (one < other ? -1 : 1))) {
      console.log(`${String(count).padStart(6)}  ${fileOf(place)}  ${name}`);
    }
  }
}
