// Loaded into a daemon of modules before its own code (`node --import`) by walk.ts: counts the calls of every function below build/src, by
// V8's precise coverage. For each line that comes in on the socket of DOVEGATE_WALK_SOCKET it answers with one line of JSON: the
// functions called since the line before, as [thread, file:offset, name, calls].
// A thread that sleeps on `Atomics.wait` has no event loop: it sends its calls whenever it is about to sleep.

import { Session } from 'node:inspector';
import { createServer } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { BroadcastChannel, isMainThread } from 'node:worker_threads';
import { projectRoot } from '../plain/root.js';
import type { Call } from './walk.js';

const program = new URL('build/src/', projectRoot).href;
const socketPath = process.env['DOVEGATE_WALK_SOCKET'];
const ofThreads = new BroadcastChannel('walk');

/** Commands of the profiler answer before `post` returns. */
function startCounting(thread: Call[0]): () => readonly Call[] {
  // Optimized code does not count the calls that it inlines.
  setFlagsFromString('--no-opt');
  setFlagsFromString('--no-maglev');
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  return () => {
    const calls: Call[] = [];
    session.post('Profiler.takePreciseCoverage', (error, { result }) => {
      if (error !== null) throw error;
      for (const { url, functions } of result) {
        if (!url.startsWith(program)) continue;
        const file = url.slice(program.length).replace(/\.js$/, '');
        for (const { functionName, ranges } of functions) {
          const [range] = ranges;
          // Offset 0 is the module's own code: it runs once, when the file is imported.
          if (range !== undefined && range.count > 0 && range.startOffset > 0)
            calls.push([thread, `${file}:${range.startOffset}`, functionName || '(anonymous)', range.count]);
        }
      }
    });
    return calls;
  };
}

if (!isMainThread) {
  const takeCalls = startCounting('thread');
  Atomics.wait = new Proxy(Atomics.wait, {
    apply(wait, self, args) {
      const calls = takeCalls();
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      if (calls.length > 0) ofThreads.postMessage(calls);
      return Reflect.apply(wait, self, args);
    },
  });
} else if (socketPath !== undefined) {
  const takeCalls = startCounting('main');
  const fromThreads: Call[] = [];
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- Node's types have no other form of it
  ofThreads.onmessage = ({ data }: { readonly data: readonly Call[] }) => void fromThreads.push(...data);
  ofThreads.unref();
  const server = createServer((socket) => {
    socket.on('data', () => {
      socket.write(`${JSON.stringify([...takeCalls(), ...fromThreads.splice(0)])}\n`);
    });
  });
  server.listen(socketPath).unref();
  server.on('connection', (socket) => socket.unref());
}
