// Reads client.yaml, the file of the drop-in doveadm: which socket, and who we are there. It reads no secrets.
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { validate } from './cursor.js';
import { parseYaml } from './parse-yaml.js';
import { formatProblem, ProblemList } from './problem.js';
import { file, oneOf, strict, text } from './schema-parts.js';

/** What client.yaml says. Files are absolute paths. */
export interface ClientSettings {
  /** A socket's path, or HOST:PORT; undefined: the command line names it. */
  readonly at: string | undefined;
  /** Over TCP. Default: starttls. */
  readonly tls: 'starttls' | 'implicit' | 'off';
  readonly caFile: string | undefined;
  readonly serverName: string | undefined;
  readonly account: string | undefined;
  readonly passwordFile: string | undefined;
  readonly certificateFile: string | undefined;
  readonly keyFile: string | undefined;
}

const shape = strict('the settings of a client', {
  socket: file('the path of a socket').optional(),
  address: text('HOST:PORT').optional(),
  tls: oneOf(['starttls', 'implicit', 'off']).optional(),
  ca: file('a PEM file of authorities').optional(),
  server_name: text('a name').optional(),
  account: text('a name').optional(),
  password_file: file('a file with a password').optional(),
  certificate: file('a PEM file').optional(),
  key: file('a PEM file').optional(),
}).refine(
  (raw: { socket?: unknown; address?: unknown }) => raw.socket === undefined || raw.address === undefined,
  {
    error: 'has both a socket and an address; take one out',
  },
);

/** Reads the text of `path`; what is wrong with it comes as lines of text, and then there are no settings. */
export function parseClientSettings(
  path: string,
  content: string,
): { readonly settings: ClientSettings | undefined; readonly problems: readonly string[] } {
  const list = new ProblemList();
  const root = parseYaml(path, content, list);
  const raw = root && validate<z.infer<typeof shape>>(shape, root, list)?.value;
  const problems = list.sorted().map((problem) => formatProblem(problem, content));
  if (raw === undefined || list.hasErrors) return { settings: undefined, problems };
  const at = (name: string | undefined): string | undefined =>
    name === undefined ? undefined : resolve(dirname(path), name);
  return {
    settings: {
      at: at(raw.socket) ?? raw.address,
      tls: raw.tls ?? 'starttls',
      caFile: at(raw.ca),
      serverName: raw.server_name,
      account: raw.account,
      passwordFile: at(raw.password_file),
      certificateFile: at(raw.certificate),
      keyFile: at(raw.key),
    },
    problems,
  };
}
