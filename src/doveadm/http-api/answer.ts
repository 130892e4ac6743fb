// Answers of POST /doveadm/v1:
//
//     [["doveadmResponse", [{"mailbox":"INBOX","messages":"4"}], "t1"], ["error", {"type":"exitCode","exitCode":67}, "t2"]]
//
// Defined by Dovecot in src/doveadm/client-connection-http.c. rows.ts makes the text between begin and end of a response.
import { quote } from './rows.js';

/** The start and the end of a request's answers, and their separator. */
export const answersBegin = '[';
export const answersBetween = ',';
export const answersEnd = ']';

/** The text before and after the rows of an answer. */
export const responseBegin = '["doveadmResponse",';
export function responseEnd(tag: string): string {
  return `,${quote(tag)}]`;
}

export type AnswerErrorType =
  | 'unknownMethod'
  | 'unAuthorized'
  | 'invalidRequest'
  | 'exitCode'
  | 'internalError';

export interface AnswerError {
  readonly type: AnswerErrorType;
  readonly exitCode: number;
  readonly message: string | undefined;
  readonly code: string;
  /** The time after which the same command may succeed. */
  readonly retryAfterS?: number | undefined;
  readonly id: string | undefined;
}

export function encodeError(
  { type, exitCode, message, code, retryAfterS, id }: AnswerError,
  tag: string,
): string {
  const said = message === undefined ? '' : `,"message":${quote(message)}`;
  const again = retryAfterS === undefined ? '' : `,"retryAfter":${retryAfterS}`;
  const record = id === undefined ? '' : `,"id":${quote(id)}`;
  return `["error",{"type":"${type}","exitCode":${exitCode},"code":"${code}"${said}${again}${record}},${quote(tag)}]`;
}
