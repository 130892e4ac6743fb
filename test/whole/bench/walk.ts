// `npm run bench -- walk [functions]`: how much of the daemon one command runs through (test/kit/gate/walk.ts). It prints the files that
// are entered, the functions, and their calls, in the main thread and in the journal's; then the calls of each module; `functions` lists
// every function too. Each figure is the least of several runs. Before that: the files and lines that `serve` loads.
import { posix } from 'node:path';
import { textOf } from '../../architecture/project.js';
import { referencesOf } from '../../architecture/references.js';
import { type Call, leastOf, measureWalks, sumOf } from '../../kit/gate/walk.js';
import { withOwner } from '../../kit/plain/folder.js';

const runs = 3;
const phases = ['accept', 'first', 'repeated'] as const;

const fileOf = (place: string): string => place.slice(0, place.lastIndexOf(':'));

/** `gate/relay` for `gate/relay/relay:1234`. */
const moduleOf = (place: string): string => fileOf(place).split('/').slice(0, -1).join('/');

const countBy = (calls: readonly Call[], nameOf: (call: Call) => string): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>();
  for (const call of calls) counts.set(nameOf(call), (counts.get(nameOf(call)) ?? 0) + call[3]);
  return counts;
};

/** Every file that a source loads, at once or later, as a module or as a thread. */
function closureOf(entry: string): ReadonlySet<string> {
  const reached = new Set([entry]);
  for (const file of reached)
    for (const { specifier, clause } of referencesOf(textOf(file)).references)
      if (specifier.startsWith('.') && specifier.endsWith('.js') && !clause.startsWith('type '))
        reached.add(posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts'));
  return reached;
}

const loaded = [...closureOf('src/gate/daemon/serve.ts')].map((file) => textOf(file).split('\n').length - 1);
const lines = loaded.reduce((sum, count) => sum + count, 0);
console.log(`serve loads ${loaded.length} files with ${lines} lines\n`);

const measured: Awaited<ReturnType<typeof measureWalks>>[] = [];
for (let run = 0; run < runs; run += 1) measured.push(await withOwner(measureWalks));
const walks = phases.map((phase) => [phase, leastOf(measured.map((one) => one[phase]))] as const);

console.log(`least of ${runs} runs; Node ${process.version}\n`);
console.log('            files   functions   calls');
for (const [phase, all] of walks)
  for (const [thread, name] of [
    ['main', phase],
    ['thread', '  journal'],
  ] as const) {
    const calls = all.filter(([of]) => of === thread);
    if (calls.length === 0) continue;
    const files = countBy(calls, ([, place]) => fileOf(place)).size;
    const functions = countBy(calls, ([, place]) => place).size;
    const figures = [
      String(files).padStart(8),
      String(functions).padStart(12),
      String(sumOf(calls)).padStart(8),
    ];
    console.log(`${name.padEnd(9)}${figures.join('')}`);
  }
const nameOf = ([thread, place]: Call): string =>
  thread === 'main' ? moduleOf(place) : `${moduleOf(place)} (journal's thread)`;
const counts = walks.map(([, calls]) => countBy(calls, nameOf));
const modules = [...new Set(counts.flatMap((each) => [...each.keys()]))].toSorted();
console.log(`\ncalls per module${' '.repeat(24)}${phases.map((phase) => phase.padStart(10)).join('')}`);
for (const name of modules) {
  const row = counts.map((each) => String(each.get(name) ?? '').padStart(10));
  console.log(`${name.padEnd(40)}${row.join('')}`.replace(/ +$/, ''));
}
if (process.argv[2] === 'functions')
  for (const [phase, calls] of walks) {
    console.log(`\n${phase}`);
    const functions = countBy(
      calls,
      ([thread, place, name]) => `${thread.padEnd(6)}  ${fileOf(place)}  ${name}`,
    );
    for (const [name, count] of [...functions].toSorted(([one], [other]) => (one < other ? -1 : 1)))
      console.log(`${String(count).padStart(6)}  ${name}`);
  }
