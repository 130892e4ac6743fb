// Reads what the page sends to the daemon. The page may have been taken over, so nothing of it is believed before its shape and its length
// were looked at.

import { bounds } from '../../bounds/bounds.js';
import { isCount, isObject, parseRequest } from '../audit/record.js';
import { type NoticeReceiver, noticeFaultCodes } from '../notices/fault.js';
import { type PageRole, pageRoles } from '../page/api.js';
import { parseAsked } from '../views/look.js';
import {
  type DoorAccess,
  type DoorAction,
  type DoorCaller,
  type DoorExtract,
  type DoorPage,
  type DoorRecord,
  type DoorRefused,
  type DoorWord,
  type LinkOpener,
  type RecordedAction,
  recordedActions,
} from './door.js';

/** Bytes of a call's body: a question of the playground may be as long as a line of a client. */
export const doorBodyBytesMax = bounds.doorBodyBytes;
const wordsMax = 20_000;
const nameCharsMax = 256;
const textCharsMax = 1_000;
const fromMax = 4;
const certificatesMax = 4;

/** A text: why it is no such call. */
export type Parsed<T> = T | string;

export function parseRecordCall(body: string): Parsed<DoorRecord> {
  const value = parseRequest(body);
  if (typeof value === 'string') return value;
  const { action, from, args, rows } = value;
  const as = callerIn(value['as']);
  if (as === undefined) return noCaller;
  if (!isRecordedAction(action)) return 'action: is not one that the page may have recorded';
  if (!isFrom(from)) return noFrom;
  if (!Array.isArray(args) || args.length > wordsMax || !args.every(isWord)) return 'args: must be words';
  if (rows !== undefined && !isCount(rows)) return 'rows: must be a number';
  return { as, action, from, args, rows };
}

export function parseExtractCall(body: string): Parsed<DoorExtract> {
  const value = parseRequest(body);
  if (typeof value === 'string') return value;
  const { from, facts, filter, after, rows } = value;
  const as = callerIn(value['as']);
  if (as === undefined) return noCaller;
  if (!isFrom(from)) return noFrom;
  if (!isObject(facts)) return 'facts: must be an object';
  const { fromSeq, toSeq, isDamaged, sha256 } = facts;
  if (!isCount(fromSeq) || !isCount(toSeq) || typeof isDamaged !== 'boolean')
    return 'facts: must have fromSeq, toSeq and isDamaged';
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) return 'facts: must have sha256 in hex';
  const asked = parseAsked('extract', JSON.stringify({ filter }));
  if (typeof asked === 'string') return asked;
  if (asked.look !== 'extract') return 'filter: must be one of an extract';
  if (!isTexts(after, fromMax) || !after.every((each) => /^(?:after|before)=\d{1,16}$/.test(each)))
    return 'after: must be numbers of records';
  if (!isCount(rows)) return 'rows: must be a number';
  if (Math.max(0, toSeq - fromSeq + 1) < rows) return 'rows: there are more than records';
  return { as, from, facts: { fromSeq, toSeq, isDamaged, sha256 }, filter: asked.filter, after, rows };
}

export function parseActionCall(body: string): Parsed<DoorAction> {
  const value = parseRequest(body);
  if (typeof value === 'string') return value;
  const { from, kind, what } = value;
  const as = callerIn(value['as']);
  if (as === undefined) return noCaller;
  if (!isFrom(from)) return noFrom;
  if (kind !== 'kill' && kind !== 'drain' && kind !== 'enable') return 'kind: must be kill, drain or enable';
  if (!isText(what, nameCharsMax)) return 'what: must be an id, or the name of a backend';
  return { as, from, kind, what };
}

const accessSteps = ['list', 'approve', 'refuse', 'revoke', 'review'] as const;

export function parseAccessCall(body: string): Parsed<DoorAccess> {
  const value = parseRequest(body);
  if (typeof value === 'string') return value;
  const { from, id, forMs, uses, reason } = value;
  const as = callerIn(value['as']);
  if (as === undefined) return noCaller;
  if (!isFrom(from)) return noFrom;
  const opener = value['opener'] === undefined ? undefined : openerIn(value['opener']);
  if (opener === null) return 'opener: must have a uid';
  const step = accessSteps.find((each) => each === value['step']);
  if (step === undefined) return `step: must be one of ${accessSteps.join(', ')}`;
  if (!isText(id, nameCharsMax)) return 'id: must be a text';
  for (const number of [forMs, uses])
    if (number !== undefined && !(isCount(number) && number > 0)) return 'forMs, uses: must be above 0';
  if (!isOptionalText(reason) || Buffer.byteLength(reason ?? '') > bounds.reasonBytes)
    return `reason: must be a text of at most ${bounds.reasonBytes} bytes`;
  return {
    as,
    from,
    ...(opener !== undefined && { opener }),
    step,
    id,
    ...(forMs !== undefined && { forMs: Number(forMs) }),
    ...(uses !== undefined && { uses: Number(uses) }),
    ...(reason !== undefined && { reason }),
  };
}

export function parseRefusedCall(body: string): Parsed<DoorRefused> {
  const value = parseRequest(body);
  if (typeof value === 'string') return value;
  const { why, address, person, what, more } = value;
  if (!isText(why, nameCharsMax) || !isText(what, textCharsMax)) return 'why, what: must be texts';
  if (!isOptionalText(address) || !isOptionalText(person)) return 'address, person: must be texts';
  if (!isCount(more)) return 'more: must be a number';
  return { why, address, person, what, more };
}

export function parsePageCall(body: string): Parsed<DoorPage> {
  const value = parseRequest(body);
  if (typeof value === 'string') return value;
  const { version, certificates, people, watchers, signIns, refusedSignIns, problem } = value;
  if (!isText(version, nameCharsMax)) return 'version: must be a text';
  if (![people, watchers, signIns, refusedSignIns].every(isCount)) return 'people and more: must be numbers';
  if (!isOptionalText(problem)) return 'problem: must be a text';
  if (!Array.isArray(certificates) || certificates.length > certificatesMax) return 'certificates: too many';
  const shown = certificates.map((each: unknown) => {
    const { role, name, leftMs }: Readonly<Record<string, unknown>> = isObject(each) ? each : {};
    return isText(role, nameCharsMax) && isText(name, nameCharsMax) && Number.isFinite(leftMs)
      ? { role, name, leftMs: Number(leftMs) }
      : undefined;
  });
  if (!shown.every((each) => each !== undefined)) return 'certificates: must have role, name and leftMs';
  const receivers = value['notices'] === undefined ? undefined : noticesIn(value['notices']);
  if (typeof receivers === 'string') return receivers;
  return {
    version,
    certificates: shown,
    people: Number(people),
    watchers: Number(watchers),
    signIns: Number(signIns),
    refusedSignIns: Number(refusedSignIns),
    ...(problem !== undefined && { problem }),
    ...(receivers !== undefined && { notices: receivers }),
  };
}

function noticesIn(value: unknown): Parsed<readonly NoticeReceiver[]> {
  if (!Array.isArray(value) || value.length > bounds.noticeReceivers) return 'notices: too many';
  const receivers = value.map(receiverIn);
  return receivers.every((each) => each !== undefined)
    ? receivers
    : 'notices: must have name, delivered, failed, dropped and lagMs';
}

function receiverIn(value: unknown): NoticeReceiver | undefined {
  if (!isObject(value)) return undefined;
  const { name, delivered, failed, dropped, lagMs, fault } = value;
  if (!isText(name, nameCharsMax) || !/^[A-Za-z0-9._-]+$/.test(name)) return undefined;
  if (!isCount(delivered) || !isCount(failed) || !isCount(dropped) || !isDuration(lagMs)) return undefined;
  const shown = { name, delivered, failed, dropped, lagMs };
  if (fault === undefined) return shown;
  const { code, status, forMs }: Readonly<Record<string, unknown>> = isObject(fault) ? fault : {};
  const known = noticeFaultCodes.find((each) => each === code);
  if (known === undefined || !isDuration(forMs) || (status !== undefined && !isCount(status)))
    return undefined;
  return { ...shown, fault: { code: known, status, forMs } };
}

function isDuration(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

const noCaller = 'as: must have person, role and generation';
const noFrom = 'from: must be address= and oidc=, or uid=, pid= and user=';

function callerIn(value: unknown): DoorCaller | undefined {
  if (!isObject(value)) return undefined;
  const { person, role, generation } = value;
  const known = pageRoles.find((each): each is PageRole => each === role);
  if (!isText(person, nameCharsMax) || known === undefined || !isCount(generation)) return undefined;
  return { person, role: known, generation };
}

/** Null: it is none. */
function openerIn(value: unknown): LinkOpener | null {
  if (!isObject(value)) return null;
  const { uid, loginUid, loginUser } = value;
  if (!isCount(uid) || !(loginUid === undefined || isCount(loginUid))) return null;
  if (!(loginUser === undefined || isText(loginUser, nameCharsMax))) return null;
  return { uid, loginUid, loginUser };
}

function isRecordedAction(value: unknown): value is RecordedAction {
  return typeof value === 'string' && Object.hasOwn(recordedActions, value);
}

function isWord(value: unknown): value is DoorWord {
  return typeof value === 'string' || (isObject(value) && typeof value['secret'] === 'string');
}

function isText(value: unknown, charsMax: number): value is string {
  return typeof value === 'string' && value.length <= charsMax;
}

function isOptionalText(value: unknown): value is string | undefined {
  return value === undefined || isText(value, textCharsMax);
}

function isTexts(value: unknown, max: number): value is readonly string[] {
  return Array.isArray(value) && value.length <= max && value.every((each) => typeof each === 'string');
}

/** The words that say where a person is. */
function isFrom(value: unknown): value is readonly string[] {
  const known =
    /^(?:address=[0-9a-fA-F.:%a-z]{1,64}|uid=\d{1,10}|pid=\d{1,10}|(?:user|oidc)=[^\s\p{C}]{1,256})$/u;
  return isTexts(value, fromMax) && value.every((each) => known.test(each));
}
