// Asks the running daemon over its admin socket, as the configuration says where that is. It does not know what is asked.

import { request } from 'node:http';
import type { AdminSettings } from '../config/settings.js';
import { readSecretFile } from '../host/files.js';
import { exitCodes } from '../terminal/exit-codes.js';
import { stderr } from '../terminal/output.js';
import { openSettings } from './named-listener.js';

/** What it said. */
export interface AdminAnswer {
  readonly status: number;
  readonly body: string;
}

/** Asks; an exit code where nobody is there who answers (69), or the configuration does not say where (78), which was printed. */
export type AskDaemon = (method: 'GET' | 'POST', path: string) => Promise<AdminAnswer | number>;

/** From asking to the last byte. A reload may ask a directory that takes its time. */
const answerMs = 30_000;

/** The daemon of a configuration; else an exit code, and why was printed. */
export function findDaemon(config: string): AskDaemon | number {
  const settings = openSettings(config);
  if (typeof settings === 'number') return settings;
  const { admin } = settings;
  if (admin !== undefined) return (method, path) => ask(admin, method, path);
  stderr(`${config} has no admin endpoints; add admin: { unix: PATH }`);
  return exitCodes.configuration;
}

async function ask(admin: AdminSettings, method: string, path: string): Promise<AdminAnswer | number> {
  const where = admin.unix === undefined ? admin.tcp : { socketPath: admin.unix };
  const shown = admin.unix ?? `${admin.tcp?.host ?? ''}:${admin.tcp?.port ?? ''}`;
  try {
    const headers =
      admin.unix === undefined && admin.tokenFile !== undefined
        ? { Authorization: `Bearer ${String(await readSecretFile(admin.tokenFile))}` }
        : {};
    return await new Promise((resolve, reject) => {
      const asked = request(
        { ...where, method, path, headers, agent: false, timeout: answerMs },
        (response) => {
          let body = '';
          response.setEncoding('utf8').on('data', (text: string) => {
            body += text;
          });
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
          response.on('error', reject);
        },
      );
      asked.on('timeout', () => asked.destroy(new Error('no answer')));
      asked.on('error', reject).end();
    });
  } catch (fault) {
    stderr(`no daemon answers at ${shown}: ${fault instanceof Error ? fault.message : String(fault)}`);
    return exitCodes.unavailable;
  }
}
