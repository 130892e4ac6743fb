// A door: a UNIX socket at which one other dovegate process, which has its own user, calls the daemon. The calls are a closed list, and the
// kernel identifies the process. The process may be compromised: a call is read only after its length and rate were checked.

import type * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { createRoutes } from '../../host/http/routes.js';
import { type HttpAnswer, type HttpCall, type HttpLimits, openHttpServer } from '../../host/http/server.js';
import { ourselves } from '../../host/machine/accounts.js';
import type { FindPeer } from '../../host/machine/find-peer.js';
import type { NameService } from '../../host/machine/name-service.js';
import { bindUnix, type UnixPlace } from '../../host/net/listen.js';
import { descriptorOf } from '../../host/net/transport.js';
import type { Clock } from '../../host/ports/machine.js';
import { readerOf } from '../../host/values/fit.js';
import type { RecordedPeer } from '../../journal/records/keys.js';
import { withGroup } from '../../rules/setup/sockets.js';
import { type DoorRefusal, doorVersion, doorVersionHeader } from '../door/door.js';

export interface DoorPlace extends UnixPlace {
  readonly setting: 'admin.door' | 'audit.door';
  /** The user of the other process. A group of that name may use the socket. */
  readonly user: string;
  /** Undefined if the system has no such user; then only root and the daemon's own user may call. */
  readonly userUid: number | undefined;
}

/** The socket is for the group of that user if there is one, else for the daemon's own user. */
export async function doorPlace(
  { setting, path, user }: Pick<DoorPlace, 'setting' | 'path' | 'user'>,
  names: Pick<NameService, 'numbersOf'>,
): Promise<DoorPlace> {
  const numbers = await names.numbersOf({ users: [user], groups: [user] });
  const gid = numbers.gidOf(user);
  const mode = gid === undefined ? 0o600 : 0o660;
  return { setting, path, user, mode, uid: undefined, gid, userUid: numbers.uidOf(user) };
}

/** The other side closes its idle connections earlier, so none is closed here during a call. */
const keptMs = 60_000;

const limits: HttpLimits = {
  connectionsMax: bounds.doorConnections,
  pipelinedMax: 1,
  handshakeMs: bounds.adminConnectionMs,
  kept: { headMs: bounds.adminConnectionMs, requestMs: bounds.adminConnectionMs, idleMs: keptMs },
  headBytesMax: bounds.adminHeadBytes,
  headFieldsMax: bounds.adminHeadFields,
  unreadMs: bounds.pageUnreadMs,
};

/** `Asked`: by call, the type of its body. */
export interface DoorServerParts<Asked> {
  readonly clock: Clock;
  readonly findPeer: FindPeer;
  readonly place: DoorPlace;
  readonly calls: {
    readonly [Call in keyof Asked & string]: {
      readonly route: string;
      readonly asks: z.ZodType<Asked[Call]>;
      readonly bytesMax?: number;
    };
  };
  /** Returns undefined if the call may be read, else the time to wait, in milliseconds. */
  readonly take: (call: keyof Asked & string, bytes: number) => number | undefined;
  readonly handlers: DoorHandlers<Asked>;
  /** May replace `given`, the refusal of a body that does not have the shape of its call. */
  readonly malformed?: (call: keyof Asked & string, given: HttpAnswer) => HttpAnswer;
  readonly onError: (text: string) => void;
}

export type DoorHandlers<Asked> = {
  readonly [Call in keyof Asked & string]: (
    asked: Asked[Call],
    peer: RecordedPeer,
    call: HttpCall,
  ) => Promise<HttpAnswer>;
};

/** Serves until it is closed. Rejects with a ListenFault. */
export function openDoorServer<Asked>(parts: DoorServerParts<Asked>) {
  type Call = keyof Asked & string;
  const { clock, findPeer, place, calls, take, handlers, onError } = parts;
  const { setting, user, userUid } = place;
  const peers = new WeakMap<object, Promise<RecordedPeer | undefined>>();
  const isCall = (text: string): text is Call => Object.hasOwn(calls, text);
  const names = Object.keys(calls).filter(isCall);
  const find = createRoutes(names.map((call): [string, Call] => [calls[call].route, call]));
  return openHttpServer({
    clock,
    limits,
    bind: (acceptor) => withGroup(setting, user, () => bindUnix(acceptor, place, onError)),
    headers: { 'Cache-Control': 'no-store', [doorVersionHeader]: String(doorVersion) },
    refusal: (status, text) => json(status, { code: 'malformed', text } satisfies DoorRefusal),
    answer,
    onError,
  });

  async function answer(call: HttpCall): Promise<HttpAnswer> {
    const { request, path } = call;
    const { socket } = request;
    let peer = peers.get(socket);
    if (peer === undefined) {
      peer = peerOf(descriptorOf(socket));
      peers.set(socket, peer);
    }
    const who = await peer;
    if (who === undefined) {
      const answered = refused({ code: 'person', text: 'this process may not ask here' }, 403);
      return { ...answered, headers: { Connection: 'close' } };
    }
    call.work(user);
    const found = find(request.method ?? '', path);
    if (found?.kind !== 'found')
      return refused(
        {
          code: 'version',
          text: `there is no such call; this daemon speaks version ${doorVersion} of the door`,
        },
        404,
      );
    // Before a byte of the body is read.
    if (request.headers['transfer-encoding'] !== undefined) return refused(unsaid, 411);
    const bytes = Number(request.headers['content-length'] ?? 0);
    const isTooLong = bytes > (calls[found.endpoint].bytesMax ?? bounds.doorBriefBytes);
    const waitMs = take(found.endpoint, isTooLong ? 0 : bytes);
    if (waitMs !== undefined) return refused(tooOften(waitMs));
    return isTooLong ? refused(tooLong, 413) : serve(found.endpoint, call, who);
  }

  async function serve(name: Call, call: HttpCall, peer: RecordedPeer): Promise<HttpAnswer> {
    const body = await call.readBody(bounds.doorBodyBytes);
    if (body === undefined) return refused(tooLong, 413);
    const asked = readerOf(calls[name].asks)(body === '' ? '{}' : body);
    if (typeof asked !== 'string') return handlers[name](asked, peer, call);
    const given = refused({ code: 'malformed', text: asked }, 400);
    return parts.malformed?.(name, given) ?? given;
  }

  /** Returns undefined if the process may not call. The mode of the socket is not enough: people may have been added to its group. */
  async function peerOf(descriptor: number | undefined): Promise<RecordedPeer | undefined> {
    const { uid, gid, pid, user: name, exe, unit } = await findPeer(setting, descriptor).describe();
    if (uid === undefined) return undefined;
    const mayAsk = [0, ourselves().uid, userUid].includes(uid);
    return mayAsk ? { uid, gid, pid, user: name, exe, unit } : undefined;
  }
}

export function json(status: number, value: unknown): HttpAnswer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}

export function linesOf(pieces: AsyncIterable<string>): HttpAnswer {
  return { status: 200, type: 'application/x-ndjson; charset=utf-8', pieces };
}

export function refused(refusal: DoorRefusal, status = statusOf[refusal.code]): HttpAnswer {
  return json(status, refusal);
}

const tooLong: DoorRefusal = { code: 'malformed', text: 'the call is too long' };
const unsaid: DoorRefusal = { code: 'malformed', text: 'a call says how long it is (Content-Length)' };

export function tooOften(waitMs: number): DoorRefusal {
  return { code: 'busy', text: `this process asks too often; try again in ${waitMs} ms`, waitMs };
}

const statusOf: Readonly<Record<DoorRefusal['code'], number>> = {
  stale: 409,
  person: 403,
  busy: 429,
  unrecorded: 503,
  malformed: 400,
  version: 404,
};
