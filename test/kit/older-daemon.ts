// A daemon of an earlier version at `admin.door`, as the page sees it: it does not know some calls; all others go on to the real one.
import { renameSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { doorVersion, doorVersionHeader } from '../../src/domain/door/door.js';
import type { Daemon } from './daemon.js';
import type { Owner } from './folder.js';

/** Takes the place of `door.sock` in the daemon's folder. `unknown`: paths of calls. */
export async function becomeOlder(
  owner: Owner,
  daemon: Pick<Daemon, 'path'>,
  unknown: readonly string[],
): Promise<void> {
  const [real, door] = [daemon.path('real.sock'), daemon.path('door.sock')];
  renameSync(door, real);
  const older = createServer((asked, response) => {
    if (unknown.includes(asked.url ?? '')) {
      const text = `there is no such call; this daemon speaks version ${doorVersion} of the door`;
      response.writeHead(404, { [doorVersionHeader]: String(doorVersion) });
      response.end(JSON.stringify({ code: 'version', text }));
      return;
    }
    const { method, url: path, headers } = asked;
    const passed = request({ socketPath: real, method, path, headers, agent: false }, (answered) => {
      response.writeHead(answered.statusCode ?? 500, answered.headers);
      answered.pipe(response).on('close', () => answered.destroy());
    });
    passed.on('error', () => response.destroy());
    asked.pipe(passed);
  });
  await new Promise<void>((resolve) => {
    older.listen(door, resolve);
  });
  owner.after(() => {
    older.close();
    older.closeAllConnections();
  });
}
