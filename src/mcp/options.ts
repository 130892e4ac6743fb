// The command line of `dovegate-mcp`: where the gate is, and what the commands of this process are called in its journal.

import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { randomBytes } from '../adapters/host/clock.js';
import type { ConnectOptions } from '../client/connect.js';
import { exitCodes } from '../ports/machine.js';

export const usage = `dovegate-mcp: what a dovegate socket or HTTP key permits, as tools for AI agents (MCP over standard input and output)

usage: dovegate-mcp --socket PATH [--tag NAME]
       dovegate-mcp --http URL --key-file FILE [--ca FILE] [--tag NAME]

  --socket PATH    UNIX socket of a listener of dovegate
  --http URL       https://HOST:PORT or unix:PATH of a listener with protocol: http
  --key-file FILE  file with the key
  --ca FILE        authorities to trust, in PEM; default: those of the system
  --tag NAME       first part of the tag of all commands in dovegate's journal; default: mcp
  --help

exit codes: 0 the host closed standard input; 64 wrong options; 1 a file cannot be read
`;

export type Options =
  | { readonly kind: 'serve'; readonly connect: ConnectOptions; readonly tag: string }
  | { readonly kind: 'help' }
  | { readonly kind: 'problem'; readonly text: string; readonly exit: number };

export function readOptions(args: readonly string[]): Options {
  const problem = (text: string, exit: number = exitCodes.usage): Options => ({
    kind: 'problem',
    text,
    exit,
  });
  const { values, refusal } = parse(args);
  if (values === undefined) return problem(`${refusal}; see dovegate-mcp --help`);
  const { socket, http, tag = 'mcp', ca } = values;
  if (values.help === true) return { kind: 'help' };
  if ((socket === undefined) === (http === undefined))
    return problem('give one of --socket PATH and --http URL; see dovegate-mcp --help');
  if (socket !== undefined && (values['key-file'] ?? ca) !== undefined)
    return problem('--key-file and --ca are for --http; a UNIX socket takes no key');
  if (!/^[\w.:-]{1,40}$/.test(tag))
    return problem('--tag takes 1 to 40 letters, digits, "_", "-", "." or ":"');
  try {
    const key =
      values['key-file'] === undefined ? undefined : readFileSync(values['key-file'], 'utf8').trim();
    const trusted = ca === undefined ? undefined : readFileSync(ca, 'utf8');
    return {
      kind: 'serve',
      tag: `${tag}-${Buffer.from(randomBytes(8)).toString('hex')}`,
      connect:
        socket !== undefined
          ? { socket }
          : {
              url: http ?? '',
              ...(key === undefined ? {} : { key }),
              ...(trusted === undefined ? {} : { ca: trusted }),
            },
    };
  } catch (fault) {
    return problem(fault instanceof Error ? fault.message : String(fault), exitCodes.failed);
  }
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        socket: text,
        http: text,
        'key-file': text,
        ca: text,
        tag: text,
        help: { type: 'boolean' },
      },
    });
    return { values, refusal: '' };
  } catch (fault) {
    return { values: undefined, refusal: fault instanceof Error ? fault.message : String(fault) };
  }
}
