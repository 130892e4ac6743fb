// `dovegate kill`, `dovegate backend drain|enable`, `dovegate reload`: what an operator wants of the running daemon.

import { readFromDisk } from '../adapters/host/program.js';
import { findAdmin } from '../domain/config/parse-settings.js';
import { exitCodes } from '../gateway/outcome/exit-codes.js';
import { loadConfiguration, summarise } from '../setup/configuration.js';
import { findDaemon, type WhichDaemon } from './admin-client.js';
import { plain, stderr, stdout } from './output/output.js';

/** Ends one running command. Exit code 0; 1: it does not run; 69: no daemon; 77: not permitted; 78: configuration. */
export function kill(options: WhichDaemon & { readonly id: string }): Promise<number> {
  return post(options, `/kill/${encodeURIComponent(options.id)}`);
}

/** Takes a backend out of service, or back. Exit codes as of `kill`. */
export function backend(
  options: WhichDaemon & { readonly action: 'drain' | 'enable'; readonly name: string },
): Promise<number> {
  return post(options, `/backend/${encodeURIComponent(options.name)}/${options.action}`);
}

/** Which daemon to reload. `pid`: of a daemon that has no admin socket. */
export interface ReloadOptions extends WhichDaemon {
  readonly pid?: string;
}

/**
 * Has the configuration read again: over the admin socket, which says what came of it; without one, the file is checked and the
 * process gets a SIGHUP. Exit code 0; 78: the configuration has problems, and the old one is kept; else as of `kill`.
 */
export async function reload(options: ReloadOptions): Promise<number> {
  const { config, socket } = options;
  if (socket !== undefined) return post(options, '/reload');
  // systemd gives it to ExecReload=.
  const pid = options.pid ?? process.env['MAINPID'];
  const admin = findAdmin(config, readFromDisk);
  const canAsk = admin?.unix !== undefined || admin?.tokenFile !== undefined;
  if (canAsk && pid === undefined) return post(options, '/reload');
  // The file may name another socket than the daemon was started with: then the signal reaches it.
  const code = canAsk ? await post(options, '/reload') : exitCodes.unavailable;
  return code === exitCodes.unavailable ? checkAndSignal(config, pid) : code;
}

function checkAndSignal(config: string, pid: string | undefined): number {
  // systemd 252 names the folder of the service's credentials to ExecReload= too, which does not see what is in it.
  delete process.env['CREDENTIALS_DIRECTORY'];
  const loaded = loadConfiguration(config);
  for (const problem of loaded.problems) stderr(plainLines(problem));
  if (loaded.settings === undefined) {
    stderr(plain(`${summarise(config, loaded)}; nothing was reloaded`));
    return exitCodes.configuration;
  }
  if (pid === undefined || !/^[1-9]\d{0,9}$/.test(pid)) {
    stderr(`${config} has no admin.unix: say --pid PID of the daemon (systemd gives it as $MAINPID)`);
    return exitCodes.usage;
  }
  try {
    process.kill(Number(pid), 'SIGHUP');
  } catch (fault) {
    stderr(
      `process ${pid} was not asked to reload: ${fault instanceof Error ? fault.message : String(fault)}`,
    );
    const isForeign = fault instanceof Error && 'code' in fault && fault.code === 'EPERM';
    return isForeign ? exitCodes.notPermitted : exitCodes.unavailable;
  }
  stdout(`process ${pid} reads ${config} again; its log says what came of it`);
  return exitCodes.ok;
}

async function post(which: WhichDaemon, path: string): Promise<number> {
  const daemon = findDaemon(which);
  if (typeof daemon === 'number') return daemon;
  const answer = await daemon('POST', path);
  if (typeof answer === 'number') return answer;
  const lines = plainLines(answer.body.trimEnd());
  if (answer.status === 200) stdout(lines);
  else stderr(lines);
  return exitCodeOf(answer.status);
}

function plainLines(text: string): string {
  return text.split('\n').map(plain).join('\n');
}

/** Of an answer that is not what was hoped for, too. */
export function exitCodeOf(status: number): number {
  if (status === 200) return exitCodes.ok;
  // Only a configuration with problems is answered so.
  if (status === 409) return exitCodes.configuration;
  return status === 401 || status === 403 ? exitCodes.notPermitted : exitCodes.failed;
}
