// The answers of `dovegate init` in a file, for configuration management: the options with their long names, `_` in place of `-`.

import { readUnpiped, whyFailed } from '../../host/machine/files.js';
import { CommandFault } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { parseYaml } from '../../rules/config/parse-yaml.js';
import { formatProblem, ProblemList } from '../../rules/config/problem.js';
import { file, flag, oneOf, oneOrMore, section, text } from '../../rules/config/schema-parts.js';
import { validate } from '../../rules/config/validate.js';
import type { InitOptions } from './answers.js';

const words = (one: string, many: string) => oneOrMore(text(one), one, many).optional();
/** Several patterns are one answer. */
const joined = (one: string, many: string) => words(one, many).transform((list) => list?.join(' '));

const answers = section('the answers of init', {
  directory: file('a directory').optional(),
  backend: words('Dovecot, as --backend has it', 'them'),
  team: words('team, as NAME or NAME=MEMBERS', 'them'),
  members: joined('user or %group', 'them'),
  observe: flag(),
  preset: text('a preset').optional(),
  with: words('parameter, as NAME=VALUE', 'them'),
  mail_users: joined('pattern of mail users', 'them'),
  journal: file('a directory').optional(),
  run_as: text('a user').optional(),
  tls: oneOf(['starttls', 'implicit']).optional(),
  ca: file('a file of CA certificates (PEM)').optional(),
  server_name: text('a name').optional(),
  password_file: oneOrMore(file('a file with a password'), 'file', 'files').optional(),
  shared_namespaces: joined('prefix, or none', 'prefixes'),
});

/** Throws a CommandFault with all problems of the file. */
export function readAnswers(path: string): InitOptions {
  let content: string;
  try {
    content = readUnpiped(path);
  } catch (cause) {
    throw new CommandFault(exitCodes.usage, `--answers ${path} cannot be read: ${whyFailed(cause)}`);
  }
  const list = new ProblemList();
  const root = parseYaml(path, content, list);
  const found = root && validate(answers, root, list)?.value;
  if (found !== undefined && !list.hasErrors) return found;
  const lines = list.sorted().map((problem) => formatProblem(problem, content));
  throw new CommandFault(exitCodes.usage, lines.join('\n'));
}
