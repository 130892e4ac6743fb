// Messages over standard input and output, one a line. The SDK's own transport drops a line that is no message, ends at one that is too
// long, and serves tools before `initialize`; here each gets the error of JSON-RPC, and the next line is read.

import {
  isInitializeRequest,
  isJSONRPCRequest,
  type JSONRPCMessage,
  PROTOCOL_VERSION_META_KEY,
  parseJSONRPCMessage,
  type Transport,
} from '@modelcontextprotocol/server';
import { asObject, isText } from '../../host/values/values.js';

const messageBytesMax = 4 * 1024 ** 2;

const parseError = -32_700;
const invalidRequest = -32_600;

const tooLong = `a line has at most ${messageBytesMax} bytes`;

export function createWire(input: NodeJS.ReadStream, output: NodeJS.WriteStream): Transport {
  let held: Buffer[] = [];
  let bytes = 0;
  let isSkipping = false;
  let isOpen = false;
  let isClosed = false;

  const wire: Transport = {
    async start() {
      input.on('data', read).on('end', end).on('close', end).on('error', end);
      output.on('error', end);
    },
    async send(message) {
      if (isClosed) throw new Error('the host has gone');
      output.write(`${JSON.stringify(message)}\n`);
      // A host that reads no answers is not read either.
      if (output.writableLength <= 1024 ** 2 || input.isPaused()) return;
      input.pause();
      output.once('drain', () => input.resume());
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      // Otherwise the open input would keep the process running.
      input.destroy();
      wire.onclose?.();
    },
  };
  return wire;

  function end(): void {
    void wire.close();
  }

  function read(chunk: Buffer): void {
    let at = 0;
    for (let lf = chunk.indexOf(0x0a); lf >= 0; lf = chunk.indexOf(0x0a, at)) {
      hold(chunk.subarray(at, lf));
      if (!isSkipping) take(Buffer.concat(held).toString('utf8'));
      held = [];
      bytes = 0;
      isSkipping = false;
      at = lf + 1;
    }
    hold(chunk.subarray(at));
  }

  function hold(piece: Buffer): void {
    if (isSkipping) return;
    held.push(piece);
    bytes += piece.length;
    if (bytes <= messageBytesMax) return;
    isSkipping = true;
    held = [];
    refuse(undefined, invalidRequest, tooLong);
  }

  function take(line: string): void {
    if (line.trim() === '') return;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      refuse(undefined, parseError, 'the line is no JSON');
      return;
    }
    if (Array.isArray(value)) {
      refuse(undefined, invalidRequest, 'batches are not served; send each message in a line of its own');
      return;
    }
    let message: JSONRPCMessage;
    try {
      message = parseJSONRPCMessage(value);
    } catch {
      refuse(value, invalidRequest, 'the line is no message of JSON-RPC 2.0');
      return;
    }
    isOpen ||= isInitializeRequest(message) || claimsVersion(message);
    const isEarly = !isOpen && isJSONRPCRequest(message) && message.method !== 'ping';
    if (isEarly) refuse(value, invalidRequest, 'send "initialize" first');
    else wire.onmessage?.(message);
  }

  function refuse(value: unknown, code: number, text: string): void {
    const id = asObject(value)?.['id'];
    const shown = isText(id) || Number.isSafeInteger(id) ? id : null;
    wire.onerror?.(new Error(text));
    if (!isClosed)
      output.write(`${JSON.stringify({ jsonrpc: '2.0', id: shown, error: { code, message: text } })}\n`);
  }
}

/** Revisions without `initialize` name themselves in each request. */
function claimsVersion(message: JSONRPCMessage): boolean {
  const { params } = asObject(message) ?? {};
  return asObject(asObject(params)?.['_meta'])?.[PROTOCOL_VERSION_META_KEY] !== undefined;
}
