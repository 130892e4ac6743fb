// Asks the running daemon over its admin socket. Where that is, the configuration says, also one with problems, or the command line
// itself. It does not know what is asked.

import { request } from 'node:http';
import { whyDenied } from '../adapters/host/accounts.js';
import { readSecretFile } from '../adapters/host/files.js';
import { readFromDisk } from '../adapters/host/program.js';
import { findAdmin } from '../domain/config/parse-settings.js';
import type { AdminSettings } from '../domain/config/settings.js';
import { exitCodes } from '../gateway/outcome/exit-codes.js';
import { loadConfiguration, summarise } from '../setup/configuration.js';
import { plain, stderr } from './output/output.js';

/** Which daemon: the one of a configuration, or whoever listens on a socket, which is looked at first. */
export interface WhichDaemon {
  readonly config: string;
  readonly socket?: string;
}

/** What it said. */
export interface AdminAnswer {
  readonly status: number;
  readonly body: string;
}

/** Asks; an exit code where nobody is there who answers (69), or the configuration does not say where (78), which was printed. */
export type AskDaemon = (method: 'GET' | 'POST', path: string) => Promise<AdminAnswer | number>;

/** From asking to the last byte. A reload may ask a directory that takes its time. */
const answerMs = 30_000;

/** The daemon; else an exit code, and why was printed. */
export function findDaemon({ config, socket }: WhichDaemon): AskDaemon | number {
  const admin = socket === undefined ? adminOf(config) : { unix: socket };
  return typeof admin === 'number' ? admin : (method, path) => ask(admin, method, path);
}

type Where = Pick<AdminSettings, 'unix' | 'tcp' | 'tokenFile'>;

function adminOf(config: string): Where | number {
  const loaded = loadConfiguration(config, { asksForFiles: false });
  if (loaded.settings === undefined) {
    const admin = findAdmin(config, readFromDisk);
    if (admin !== undefined) {
      const verdict = summarise(config, loaded);
      stderr(plain(`warning: ${verdict} (dovegate check tells them); asked is the daemon that it names`));
      return admin;
    }
    for (const problem of loaded.problems) stderr(problem);
    stderr(summarise(config, loaded));
    stderr('a daemon that runs all the same is asked with --socket PATH');
    return exitCodes.configuration;
  }
  const { admin } = loaded.settings;
  if (admin !== undefined) return admin;
  stderr(`${config} has no admin endpoints; add admin: { unix: PATH }`);
  return exitCodes.configuration;
}

async function ask(admin: Where, method: string, path: string): Promise<AdminAnswer | number> {
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
    const isRefused = fault instanceof Error && 'code' in fault && fault.code === 'EACCES';
    if (isRefused && admin.unix !== undefined) {
      stderr(plain(whyDenied(admin.unix)));
      return exitCodes.notPermitted;
    }
    stderr(`no daemon answers at ${shown}: ${fault instanceof Error ? fault.message : String(fault)}`);
    return exitCodes.unavailable;
  }
}
