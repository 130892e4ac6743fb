// `dovegate page`, the page's own process; and `dovegate page open`, which asks it for a link that signs the user who runs the command in
// to the page, once. Only the link goes to stdout.

import { exitCodeOf, findDaemon } from '../gate/cli/operate.js';
import { packaged } from '../host/machine/packaged.js';
import { readFromDisk } from '../host/machine/process.js';
import { CommandFault, plain, stderr, stdout } from '../host/output/output.js';
import { exitCodes } from '../host/ports/machine.js';
import { standardDoor } from '../rules/config/admin-schema.js';
import { findSettings } from '../rules/config/parse-settings.js';

export interface PageOpenOptions {
  /** The configuration, which names `admin.page.unix`; people of the page may not be able to read it. */
  readonly config: string;
  readonly socket?: string;
}

export interface PageOptions {
  readonly config: string;
  readonly door?: string;
}

/** Runs until a signal; resolves to the exit code. */
export async function servePage({ config, door }: PageOptions): Promise<number> {
  // The page's user cannot read the configuration of the packaged service.
  const path = door ?? findSettings(config, readFromDisk).settings?.admin?.door ?? standardDoor;
  return (await import('./page.js')).page({ door: path });
}

/** Exit code 0; 1: there is no page for browsers; 77: not permitted. Rejects with a CommandFault (69: no daemon answers). */
export async function openLink(options: PageOpenOptions): Promise<number> {
  const socket = options.socket ?? socketOf(options.config);
  const daemon = await findDaemon({ config: options.config, socket });
  const { status, body } = await daemon('POST', '/page/open');
  const text = body.trimEnd();
  if (status !== 200) {
    stderr(`${socket}: ${plain(text)}`);
    return exitCodeOf(status);
  }
  if (!/^https?:\/\/[!-~]+$/.test(text)) {
    const message = `${socket}: the server there is not the page of dovegate, or of another release`;
    throw new CommandFault(exitCodes.unavailable, message);
  }
  stdout(text);
  stderr('opens the page once, within a minute, for you; do not pass it on');
  return exitCodes.ok;
}

function socketOf(config: string): string {
  const admin = findSettings(config, readFromDisk).settings?.admin;
  // People of the page may not be able to read the configuration.
  if (admin === undefined) return packaged.pageSocket;
  const { socket } = admin.page ?? {};
  if (socket !== undefined) return socket.path;
  throw new CommandFault(
    exitCodes.configuration,
    `${config} has no admin.page.unix, where links are given out; add it, or give --socket PATH`,
  );
}
