// Answers of POST /doveadm/v1:
//
//     [["doveadmResponse", [{"mailbox":"INBOX","messages":"4"}], "t1"], ["error", {"type":"exitCode","exitCode":67}, "t2"]]
//
// Defined by Dovecot in src/doveadm/client-connection-http.c. What stands between begin and end of a response: see rows.
import { quote } from './rows.js';

/** What begins and ends the answers of a request, and stands between two of them. */
export const answersBegin = '[';
export const answersBetween = ',';
export const answersEnd = ']';

/** Before the rows of an answer, and after them. */
export const responseBegin = '["doveadmResponse",';
export function responseEnd(tag: string): string {
  return `,${quote(tag)}]`;
}

/** The `type` of an error. */
export type AnswerErrorType =
  | 'unknownMethod'
  | 'unAuthorized'
  | 'invalidRequest'
  | 'exitCode'
  | 'internalError';

export interface AnswerError {
  readonly type: AnswerErrorType;
  readonly exitCode: number;
  /** A sentence for people; undefined: none is told. */
  readonly message: string | undefined;
  /** Of the record. */
  readonly id: string | undefined;
}

/** The whole answer of one command that failed. */
export function encodeError({ type, exitCode, message, id }: AnswerError, tag: string): string {
  const more = `${message === undefined ? '' : `,"message":${quote(message)}`}${id === undefined ? '' : `,"id":${quote(id)}`}`;
  return `["error",{"type":"${type}","exitCode":${exitCode}${more}},${quote(tag)}]`;
}

/** Exit codes of the codes that a status line can have; what is not here is -1. */
const exitCodes: ReadonlyMap<string, number> = new Map([
  ['', 0],
  ['NOUSER', 67],
  ['NOTFOUND', 68],
  ['USAGE', 64],
  ['DATAERR', 65],
  ['NOPERM', 77],
  ['TEMPFAIL', 75],
  ['PROTOCOL', 76],
  ['CHANGED', 2],
  ['EXPIRED', 1003],
]);

/** `code`: of a status (`Status.code`), '' for one that is ok. */
export function exitCodeOf(code: string): number {
  return exitCodes.get(code) ?? -1;
}
