// Loaded into the daemon before its own code (`node --import`) by walk.ts: counts the calls of every function of the main thread, by V8's
// precise coverage. For each line that comes in on the socket of DOVEGATE_WALK_SOCKET it answers with one line of JSON: the functions
// called since the line before, as [file:offset, name, calls].
import { Session } from 'node:inspector/promises';
import { createServer } from 'node:net';
import { isMainThread } from 'node:worker_threads';

const program = new URL('../../../../dist/', import.meta.url).href;
const socketPath = process.env['DOVEGATE_WALK_SOCKET'];
if (isMainThread && socketPath !== undefined) {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  const takeCalls = async (): Promise<readonly (readonly [string, string, number])[]> => {
    const { result } = await session.post('Profiler.takePreciseCoverage');
    return result.flatMap(({ url, functions }) => {
      if (!url.startsWith(program)) return [];
      const file = url.slice(program.length).replace(/\.js$/, '');
      return functions.flatMap(({ functionName, ranges: [range] }) =>
        // Offset 0 is the module's own code: it runs once, when the file is imported.
        range === undefined || range.count === 0 || range.startOffset === 0
          ? []
          : [[`${file}:${range.startOffset}`, functionName || '(anonymous)', range.count] as const],
      );
    });
  };
  const server = createServer((socket) => {
    socket.on('data', () => {
      void takeCalls().then((calls) => socket.write(`${JSON.stringify(calls)}\n`));
    });
  });
  server.listen(socketPath).unref();
  server.on('connection', (socket) => socket.unref());
}
