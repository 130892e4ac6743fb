// Asks the running daemon to answer once all its records are on disk, before its journal is read: a record that delays no
// command may stay in memory for 20 ms, and longer under load. The journal is read in any case; only a running daemon that does
// not confirm is reported.

import { request } from 'node:http';
import { systemClock } from '../../adapters/host/clock.js';
import { bounds } from '../../bounds/bounds.js';
import { printable } from '../../domain/audit/encode.js';
import type { Timer } from '../../ports/machine.js';
import { limitAnswer, readAnswer } from '../output/output.js';
import type { Screen } from '../output/screen.js';

/** No daemon runs there, or the socket is not for this user: auditors may have access to the files only. */
const silentCodes: ReadonlySet<unknown> = new Set(['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'EACCES', 'EPERM']);

const reasonCharsMax = 200;

/** `socket`: `admin.unix`; undefined: none is configured. Always resolves; a warning says why the last records may be missing. */
export async function askFlushed(screen: Screen, socket: string | undefined): Promise<void> {
  if (socket === undefined) return;
  try {
    const { status, body } = await ask(socket);
    if (status === 200) return;
    complain(body.trimEnd().slice(0, reasonCharsMax));
  } catch (fault) {
    if (fault instanceof Error && 'code' in fault && silentCodes.has(fault.code)) return;
    complain(fault instanceof Error ? fault.message : String(fault));
  }

  function complain(why: string): void {
    const text = `the daemon at ${socket} does not confirm that all records are on disk (${why})`;
    screen.complain(`dovegate: warning: ${printable(text)}; those of the last moment may be missing`);
  }
}

async function ask(socketPath: string): Promise<{ readonly status: number; readonly body: string }> {
  let timer: Timer | undefined;
  try {
    return await new Promise((resolve, reject) => {
      const asked = request({ socketPath, path: '/flushed', agent: false }, (response) => {
        readAnswer(response).then(resolve, reject);
      });
      const end = (why: Error): void => {
        reject(why);
        asked.destroy();
      };
      timer = limitAnswer(systemClock, end, bounds.flushedAnswerMs);
      asked.on('error', reject).end();
    });
  } finally {
    timer?.cancel();
  }
}
