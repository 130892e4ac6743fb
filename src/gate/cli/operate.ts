// `dovegate reload`, and the admin socket that it, `status`, `kill` and `backend` use. A configuration with problems still names that
// socket.

import { bounds } from '../../host/bounds/bounds.js';
import { ask as askHttp } from '../../host/http/ask.js';
import { systemClock } from '../../host/machine/clock.js';
import { whyDenied } from '../../host/machine/denied.js';
import { readSecretFile, whyNoRight } from '../../host/machine/files.js';
import { packaged } from '../../host/machine/packaged.js';
import { readFromDisk } from '../../host/machine/process.js';
import { CommandFault, formatFault, plain, stderr, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatWords } from '../../host/words/text.js';
import type { AdminSettings } from '../../rules/config/settings.js';
import { whyNotSaid } from '../access/steps.js';

export interface ReloadOptions extends WhichDaemon {
  /** For a daemon without an admin socket. */
  readonly pid?: string;
}

/** Over the admin socket; else checks the file and sends a SIGHUP. Exit code 78: problems, the old one is kept; else as `post`. */
export async function reload(options: ReloadOptions): Promise<number> {
  const { config, socket } = options;
  if (socket !== undefined) return post(options, '/reload');
  // systemd sets it for ExecReload=.
  const pid = options.pid ?? process.env['MAINPID'];
  refuseUnreadable(config);
  const { findSettings } = await import('../../rules/config/parse-settings.js');
  const { admin } = findSettings(config, readFromDisk).settings ?? {};
  const canAsk = admin?.unix !== undefined || (admin?.tokenFile !== undefined && admin.tls === undefined);
  if (canAsk && pid === undefined) return post(options, '/reload');
  try {
    if (canAsk) return await post(options, '/reload');
  } catch (fault) {
    // The file may name another socket than at the daemon's start: then the signal reaches it.
    if (!(fault instanceof CommandFault) || fault.exitCode !== exitCodes.unavailable) throw fault;
    stderr(formatFault(fault));
  }
  return checkAndSignal(config, pid);
}

async function checkAndSignal(config: string, pid: string | undefined): Promise<number> {
  // systemd 252 sets it for ExecReload= too, which cannot read the service's credentials.
  delete process.env['CREDENTIALS_DIRECTORY'];
  const { loadConfiguration } = await import('../../rules/setup/configuration.js');
  const { summarise } = await import('../../rules/setup/inspect.js');
  const { checkBeside } = await import('../../rules/config/check-beside.js');
  const loaded = loadConfiguration(config, { checkBeside });
  for (const problem of loaded.problems) stderr(plainLines(problem));
  if (loaded.settings === undefined)
    throw new CommandFault(exitCodes.configuration, `${summarise(config, loaded)}; nothing was reloaded`);
  if (pid === undefined || !/^[1-9]\d{0,9}$/.test(pid)) {
    const text = `${config} has no admin.unix: give --pid PID of the daemon (systemd gives it as $MAINPID)`;
    throw new CommandFault(exitCodes.usage, text);
  }
  try {
    process.kill(Number(pid), 'SIGHUP');
  } catch (fault) {
    const isForeign = fault instanceof Error && 'code' in fault && fault.code === 'EPERM';
    throw new CommandFault(
      isForeign ? exitCodes.notPermitted : exitCodes.unavailable,
      `process ${pid} could not be told to reload: ${fault instanceof Error ? fault.message : String(fault)}`,
    );
  }
  stdout(`process ${pid} reads ${config} again; its log has the result`);
  return exitCodes.ok;
}

/** The path of a command at the admin socket. Its routes take no empty word. */
export function pathOf(...words: readonly string[]): string {
  if (words.includes(''))
    throw new CommandFault(exitCodes.usage, 'an empty name is none; name whom or what it is for');
  return words.map((word) => `/${encodeURIComponent(word)}`).join('');
}

/** Checked here and not only by the daemon: a long reason would not fit into the path of the request. */
export function refuseUnsaid(reason: string): void {
  const why = whyNotSaid(reason);
  if (why !== undefined) throw new CommandFault(exitCodes.usage, why);
}

/** Sends an order and prints the answer. Exit code 0; 1: not done; 77: not permitted; 78: configuration. Rejects with a CommandFault. */
export async function post(which: WhichDaemon, path: string): Promise<number> {
  const daemon = await findDaemon(which);
  const answer = await daemon('POST', path);
  const lines = plainLines(answer.body.trimEnd());
  if (answer.status === 200) stdout(lines);
  else stderr(lines);
  return exitCodeOf(answer.status);
}

function plainLines(text: string): string {
  return text.split('\n').map(plain).join('\n');
}

export function exitCodeOf(status: number): number {
  if (status === 200) return exitCodes.ok;
  // The daemon sends 409 only for a configuration with problems.
  if (status === 409) return exitCodes.configuration;
  return status === 401 || status === 403 ? exitCodes.notPermitted : exitCodes.failed;
}

/** The daemon of a configuration, or the one at a socket, which comes first. */
export interface WhichDaemon {
  readonly config: string;
  readonly socket?: string;
}

export interface AdminAnswer {
  readonly status: number;
  readonly body: string;
}

/** Rejects with a CommandFault (69: no daemon answers; 77: not permitted). */
export type AskDaemon = (method: 'GET' | 'POST', path: string) => Promise<AdminAnswer>;

/** Rejects with a CommandFault if the configuration does not name the daemon. */
export async function findDaemon({ config, socket }: WhichDaemon): Promise<AskDaemon> {
  const admin = socket === undefined ? await adminOf(config) : { unix: socket };
  return (method, path) => ask(admin, method, path);
}

/** The command for a user without root who may open the page; undefined: this user may not, as far as its socket shows. */
export function pageCommand(socket: string = packaged.pageSocket): string | undefined {
  if (whyNoRight(socket, 'write') !== undefined) return undefined;
  return `dovegate page open${socket === packaged.pageSocket ? '' : ` --socket ${formatWords([socket])}`}`;
}

function notForThisUser(why: string, pageSocket?: string): CommandFault {
  const page = pageCommand(pageSocket);
  const lines = [why, ...(page === undefined ? [] : [`without root, with a role on the page: ${page}`])];
  return new CommandFault(exitCodes.notPermitted, lines.join('\n'));
}

/** The file is for root and the daemon. Throws a CommandFault. */
function refuseUnreadable(config: string): void {
  if (whyNoRight(config, 'read') === 'EACCES')
    throw notForThisUser(`${config} cannot be read: permission denied; run it as root (sudo)`);
}

/** `refused`: the first error of the file; no start serves such a file. */
type Where = Pick<AdminSettings, 'unix' | 'tcp' | 'tls' | 'tokenFile' | 'page'> & {
  readonly refused?: string;
};

/** Loaded on demand: the parser of configurations takes most of a command's time. */
async function adminOf(config: string): Promise<Where> {
  refuseUnreadable(config);
  const { loadConfiguration } = await import('../../rules/setup/configuration.js');
  const { summarise } = await import('../../rules/setup/inspect.js');
  const loaded = loadConfiguration(config, { asksForFiles: false });
  const verdict = summarise(config, loaded);
  const { findSettings } = await import('../../rules/config/parse-settings.js');
  const { admin } = loaded.settings ?? findSettings(config, readFromDisk).settings ?? {};
  if (admin !== undefined) {
    if (loaded.settings !== undefined) return admin;
    stderr(plain(`warning: ${verdict} (dovegate check lists them); asking the daemon that it names`));
    const error = loaded.found.findIndex(({ severity }) => severity === 'error');
    return { ...admin, refused: plain((loaded.problems[error] ?? verdict).split('\n', 1).join('')) };
  }
  const lines =
    loaded.settings === undefined
      ? [
          ...loaded.problems,
          verdict,
          'if a daemon is running, root and its own user ask it at its admin socket: --socket /run/dovegate/admin.sock',
        ]
      : [`${config} has no admin endpoints; add admin: { unix: PATH }`];
  throw new CommandFault(exitCodes.configuration, lines.join('\n'));
}

async function ask(admin: Where, method: string, path: string): Promise<AdminAnswer> {
  if (admin.unix === undefined && admin.tls !== undefined) {
    const text = 'admin.tcp with TLS is for other machines; for commands on this one add admin.unix: PATH';
    throw new CommandFault(exitCodes.configuration, text);
  }
  const where = admin.unix === undefined ? admin.tcp : { socketPath: admin.unix };
  const shown = admin.unix ?? `${admin.tcp?.host ?? ''}:${admin.tcp?.port ?? ''}`;
  try {
    const headers =
      admin.unix === undefined && admin.tokenFile !== undefined
        ? { Authorization: `Bearer ${String(await readSecretFile(admin.tokenFile))}` }
        : {};
    // A reload can wait for a slow directory service.
    const limits = { clock: systemClock, ms: bounds.daemonAnswerTime, bytesMax: bounds.daemonAnswerBytes };
    return await askHttp({ ...where, method, path, headers, agent: false }, undefined, limits);
  } catch (fault) {
    const isRefused = fault instanceof Error && 'code' in fault && fault.code === 'EACCES';
    if (isRefused && admin.unix !== undefined)
      throw notForThisUser(whyDenied(admin.unix), admin.page?.socket?.path);
    const why = fault instanceof Error ? fault.message : String(fault);
    const { refused } = admin;
    const because = refused === undefined ? '' : `; no start serves this file, so mend it first: ${refused}`;
    throw new CommandFault(exitCodes.unavailable, `no daemon answers at ${shown}: ${why}${because}`);
  }
}
