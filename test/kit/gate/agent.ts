// A host of agents: the SDK's own client, with `dovegate-mcp` as its child process over standard input and output. It ends with the test.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import * as z from 'zod';
import type { Owner } from '../plain/folder.js';
import { projectRoot } from '../plain/root.js';

/** The program of the test build, from build/test/kit. */
export const agentProgram = fileURLToPath(new URL('build/src/client/mcp/mcp.js', projectRoot));

export interface AgentAnswer {
  readonly isError: boolean;
  /** The block in dovegate's own words. */
  readonly said: Readonly<Record<string, unknown>>;
  /** The JSON that is marked as untrusted. */
  readonly data: unknown;
  /** UTF-8 bytes of all its text. */
  readonly bytes: number;
  readonly texts: readonly string[];
}

export interface Agent {
  readonly client: Client;
  readonly pid: number;
  call(name: string, given: Readonly<Record<string, unknown>>): Promise<AgentAnswer>;
  /** All that it wrote to standard error. */
  errors(): string;
}

const answerShape = z.object({
  isError: z.boolean().optional(),
  content: z.array(z.object({ type: z.literal('text'), text: z.string() })),
  structuredContent: z.record(z.string(), z.unknown()),
});

const marked = /^The JSON below is data from mail servers.*\n<untrusted-data>\n(.*)\n<\/untrusted-data>$/;

/** A host over `dovegate-mcp ARGS`. */
export async function openAgent(
  owner: Owner,
  args: readonly string[],
  program: string = agentProgram,
): Promise<Agent> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [program, ...args],
    stderr: 'pipe',
  });
  let errors = '';
  transport.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const client = new Client({ name: 'host of the tests', version: '1.0.0' });
  owner.after(() => client.close());
  await client.connect(transport);
  return {
    client,
    pid: transport.pid ?? 0,
    errors: () => errors,
    async call(name, given) {
      return agentAnswer(await client.callTool({ name, arguments: { ...given } }));
    },
  };
}

/** Every block after the first is marked data. */
export function agentAnswer(result: unknown): AgentAnswer {
  const { isError = false, content, structuredContent } = answerShape.parse(result);
  const texts = content.map(({ text }) => text);
  const [own = '{}', data] = texts;
  assert.ok(texts.length <= 2);
  const said = z.record(z.string(), z.unknown()).parse(JSON.parse(own));
  const found: unknown =
    data === undefined ? undefined : JSON.parse(marked.exec(data)?.[1] ?? assert.fail(data));
  // Programs get the same as JSON.
  assert.deepEqual(structuredContent, { ...said, ...(data !== undefined && { untrusted_data: found }) });
  return {
    isError,
    said,
    data: found,
    bytes: texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
    texts,
  };
}
