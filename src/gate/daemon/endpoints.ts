// The metrics and admin endpoints of the daemon. Counters start with the daemon and are served while a socket is open.

import { commandNames, ownCommands } from '../../doveadm/commands/catalog.js';
import { readSecretFile } from '../../host/machine/files.js';
import type { FindPeer } from '../../host/machine/find-peer.js';
import { bindTcp, bindUnix, ListenFault } from '../../host/net/listen.js';
import { descriptorOf } from '../../host/net/transport.js';
import { messageOf } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import { isOfThisMachine } from '../../host/ports/peer.js';
import type { OpenJournal } from '../../journal/files/journal.js';
import type { AdminSettings } from '../../rules/config/settings.js';
import { Secret } from '../../rules/identity/credentials.js';
import { humanOfOperator, noHuman } from '../../rules/identity/human.js';
import { adminName } from '../../rules/setup/certificates.js';
import { acceptWith, type OfferOf } from '../../rules/setup/sockets.js';
import type { Act, Door, Operator } from '../admin/access.js';
import {
  type Admin,
  type AdminConnection,
  type AdminDoor,
  type AdminOptions,
  openAdmin,
} from '../admin/admin.js';
import type { Running } from '../now/running.js';
import type { Log } from '../telemetry/log.js';
import { createMetrics } from '../telemetry/metrics.js';
import { NowWatch } from './now-watch.js';

/** Starts counting. `isAdded`: whether the configuration has a command of that name besides those of the catalog. */
export function createEndpoints(
  clock: Clock,
  log: Log,
  findPeer: FindPeer,
  hasDirectory: () => boolean,
  isAdded: (name: string) => boolean = () => false,
) {
  const known = new Set([...ownCommands.map(({ name }) => name), ...commandNames()]);
  let admin: Admin | undefined;
  let flushed = (): Promise<void> => Promise.resolve();
  let look = (): Running => {
    throw new Error('the admin endpoints were asked before they were opened');
  };
  const snapshot = (): Running => look();
  const metrics = createMetrics({
    commands: { has: (name) => known.has(name) || isAdded(name) },
    snapshot,
    onError: (text) => onError(text),
  });
  const watch = new NowWatch(clock);
  const onRefused = (address: string): void => {
    const text = `no token, or a wrong one, at admin.tcp, from ${address}`;
    log.report({ event: 'login-failed', level: 'warn', listener: adminName, address, type: 'token', text });
  };
  const onError = (text: string): void => log.report({ event: 'admin-failed', level: 'error', text });

  async function shut(): Promise<void> {
    const open = admin;
    admin = undefined;
    await open?.close();
  }

  return {
    metrics,
    watch,
    /** Serves on the sockets that the settings name, and closes all others. Rejects with a ListenFault. */
    async open(
      settings: AdminSettings,
      show: () => Running,
      act: Act,
      offer: OfferOf,
      journal?: Pick<OpenJournal, 'flushed'>,
      whyNotShown?: AdminOptions['whyNotShown'],
    ): Promise<void> {
      await shut();
      look = show;
      flushed = journal?.flushed ?? flushed;
      admin = await openAdmin({
        clock,
        snapshot,
        metrics: () => metrics.render(),
        flushed,
        act,
        whyNotShown,
        onError,
        onRefused,
        doors: await doorsOf(settings, offer, onError),
        whoIs: (socket, door) => whoIs(socket, door, findPeer, hasDirectory),
      });
    },
    shut,
    async close(): Promise<void> {
      await shut();
      watch.end();
    },
  };
}

async function doorsOf(
  { unix, mode, tcp, tls, tokenFile }: AdminSettings,
  offer: OfferOf,
  onError: (text: string) => void,
): Promise<readonly AdminDoor[]> {
  const doors: AdminDoor[] = [];
  if (unix !== undefined) {
    const place = { path: unix, mode, uid: undefined, gid: undefined };
    doors.push({ door: { kind: 'unix' }, bind: (server) => bindUnix(server, place, onError) });
  }
  if (tcp !== undefined) {
    const isRemote = !isOfThisMachine(tcp.host);
    const token = tokenFile === undefined ? undefined : await readToken(tokenFile);
    if (isRemote && (token === undefined || tls === undefined))
      throw new ListenFault(`${tcp.host}: other machines need TLS and a token`);
    const door: Door = { kind: 'tcp', host: tcp.host, isRemote, hasTls: tls !== undefined, token };
    const secure = tls && { secure: acceptWith(offer) };
    doors.push({ door, bind: (server) => bindTcp(server, tcp, onError), ...secure });
  }
  return doors;
}

/** From the kernel on a UNIX socket. Over TCP the token proves an operator, of whom only the address is known. */
async function whoIs(
  socket: AdminConnection,
  door: Door,
  findPeer: FindPeer,
  hasDirectory: () => boolean,
): Promise<Operator | undefined> {
  if (door.kind === 'tcp') return { by: 'token', address: socket.remoteAddress, human: noHuman };
  const peer = await findPeer('admin', descriptorOf(socket)).describe();
  const { uid, gid, pid, user, loginUid } = peer;
  const human = humanOfOperator(peer, hasDirectory());
  return uid === undefined ? undefined : { by: user ?? String(uid), uid, gid, pid, user, loginUid, human };
}

async function readToken(path: string): Promise<Secret> {
  try {
    return new Secret(await readSecretFile(path));
  } catch (fault) {
    throw new ListenFault(`the token of the admin endpoints: ${messageOf(fault)}`, fault);
  }
}
