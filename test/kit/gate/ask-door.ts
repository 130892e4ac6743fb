// Calls at a door, as the page, dovegate ship or something in their place makes them.
import { request } from 'node:http';
import type { DoorHead } from '../../../src/gate/door/door.js';
import type { ShipHead } from '../../../src/gate/door/ship.js';
import type { Owner } from '../plain/folder.js';
import type { Daemon } from './daemon.js';

export interface DoorAnswer {
  readonly status: number;
  readonly code: string;
  readonly text: string;
}

/** One call, over a connection of its own. */
export function askDoor(
  daemon: Pick<Daemon, 'path'>,
  path: string,
  body: unknown,
  door = 'door.sock',
): Promise<DoorAnswer> {
  return new Promise((resolve, reject) => {
    let isAnswered = false;
    const asked = request(
      { socketPath: daemon.path(door), method: 'POST', path, agent: false },
      (response) => {
        isAnswered = true;
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => {
          text += piece;
        });
        response.on('error', reject).on('end', () => {
          const { code = '', text: why = '' } = JSON.parse(text);
          resolve({ status: response.statusCode ?? 0, code, text: why });
        });
      },
    );
    asked.on('error', (error: NodeJS.ErrnoException) => {
      // A refusal may come, and the connection end, while the rest of a large body is still being written.
      if (isAnswered) return;
      if (error.code === 'EPIPE' || error.code === 'ECONNRESET') resolve(askDoor(daemon, path, body, door));
      else reject(error);
    });
    asked.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
}

/** The first line of a stream. `owner`: it stays open until its end, as that of a page or of `dovegate ship` does. */
function firstLine<T>(socketPath: string, path: string, owner: Owner | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
        const [line = '', rest] = text.split('\n', 2);
        if (rest === undefined) return;
        resolve(JSON.parse(line));
        if (owner === undefined) response.destroy();
      });
      response.on('error', () => undefined);
    });
    asked.on('error', reject).end();
    owner?.after(() => void asked.destroy());
  });
}

/** What a daemon tells `dovegate ship` first. */
export async function shipHeadOf(daemon: Pick<Daemon, 'path'>, owner?: Owner): Promise<ShipHead> {
  const told = await firstLine<{ head?: ShipHead; code?: string }>(
    daemon.path('ship.sock'),
    '/receivers',
    owner,
  );
  if (told.head === undefined) throw new Error(`refused: ${told.code}`);
  return told.head;
}

/** That of the settings that the daemon tells its page first. */
export async function generationOf(daemon: Pick<Daemon, 'path'>, owner?: Owner): Promise<number> {
  return (await firstLine<DoorHead>(daemon.path('door.sock'), '/settings', owner)).generation;
}
