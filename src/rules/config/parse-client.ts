// The settings of clients: /etc/dovegate/client.yaml.

import type * as z from 'zod';
import { parseYaml } from './parse-yaml.js';
import { formatProblem, ProblemList } from './problem.js';
import { as, file, oneOf, section, text, without } from './schema-parts.js';
import { validate } from './validate.js';

/** The settings of client.yaml. `at`: a socket's path, or HOST:PORT; undefined: the command line names it. */
export interface ClientSettings extends Omit<RawClient, 'socket' | 'address'> {
  readonly at: string | undefined;
}

/** Reads the text of `path`; problems are returned as lines of text, and then there are no settings. */
export function parseClientSettings(
  path: string,
  content: string,
): { readonly settings: ClientSettings | undefined; readonly problems: readonly string[] } {
  const list = new ProblemList();
  const root = parseYaml(path, content, list);
  const raw = root && validate(clientSchema, root, list)?.value;
  const problems = list.sorted().map((problem) => formatProblem(problem, content));
  if (raw === undefined || list.hasErrors) return { settings: undefined, problems };
  const at = raw.socket ?? raw.address;
  return { settings: { ...without(raw, 'socket', 'address'), at }, problems };
}

/** client.yaml, the file of the drop-in doveadm. `address` is not checked here. */
const clientSchema = section('the settings of a client', {
  socket: file('the path of a socket').optional(),
  address: text('HOST:PORT').optional(),
  tls: oneOf(['starttls', 'implicit', 'off']).prefault('starttls'),
  ca: as('caFile', file('a PEM file of authorities').optional()),
  server_name: text('a name').optional(),
  account: text('a name').optional(),
  password_file: file('a file with a password').optional(),
  certificate: as('certificateFile', file('a PEM file').optional()),
  key: as('keyFile', file('a PEM file').optional()),
}).refine(({ socket, address: other }) => socket === undefined || other === undefined, {
  error: 'has both a socket and an address; take one out',
});

type RawClient = z.infer<typeof clientSchema>;
