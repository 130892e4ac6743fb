// The policies of a run: a table for the oracle, and the same as YAML for the gate. Versions differ in whom they except and in what they
// allow, so that a gate that stays at an old one, or mixes two, is seen.
import { pick, type Random } from '../../kit/plain/chunkings.js';

export interface Rule {
  readonly commands: readonly string[];
  readonly users: readonly string[];
  readonly except: readonly string[];
  readonly content?: true;
}

export interface PolicyVersion {
  readonly name: string;
  /** By principal. */
  readonly table: Readonly<Record<string, readonly Rule[]>>;
  /** The setting `policies`. */
  readonly yaml: string;
}

export const realm = 'example.org';
export const boss = `boss@${realm}`;
export const users: readonly string[] = ['a', 'b'].flatMap((letter) =>
  Array.from({ length: 20 }, (_, at) => `${letter}${String(at + 1).padStart(2, '0')}@${realm}`),
);
/** Whom versions except by turns; and the command that they take away. */
const changing = users.filter((_, at) => at % 5 === 0);

export const policyOf: Readonly<Record<string, string>> = {
  'root@read': 'read',
  'root@write': 'write',
  'backup@jobs': 'jobs',
  'panel@panel': 'panel',
};

export function makeVersion(number: number, random: Random): PolicyVersion {
  const except = [boss, pick(random, changing), pick(random, changing)];
  const hasStatus = random() < 0.5;
  const reads = ['mailbox list', ...(hasStatus ? ['mailbox status'] : [])];
  const content = ['fetch', 'search'];
  const rules = (plain: readonly string[], withContent: readonly string[]): Rule[] => [
    { commands: plain, users: [`*@${realm}`], except },
    ...(withContent.length === 0
      ? []
      : [{ commands: withContent, users: [`*@${realm}`], except, content: true } as const]),
  ];
  const byPolicy: Readonly<Record<string, readonly Rule[]>> = {
    read: rules(reads, content),
    write: rules(
      ['save', 'flags add', 'flags remove', 'expunge', 'mailbox create', 'mailbox list'],
      ['fetch'],
    ),
    jobs: rules([...reads, 'save'], content),
    panel: rules(reads, content),
  };
  const yaml = Object.entries(byPolicy)
    .map(([name, own]) => {
      const allow = own.flatMap((rule) =>
        rule.commands.map((command) => (rule.content ? `{ command: ${command}, content: true }` : command)),
      );
      return `  ${name}:
    users: ["*@${realm}"]
    except: ${JSON.stringify(except)}
    allow: [${allow.join(', ')}]`;
    })
    .join('\n');
  const table = Object.fromEntries(
    Object.entries(policyOf).map(([principal, name]) => [principal, byPolicy[name] ?? []]),
  );
  return { name: `v${number}`, table, yaml };
}

/** Whether a version allows this command; for what a client of ours expects. */
export function allows(version: PolicyVersion, principal: string, user: string, command: string): boolean {
  return (version.table[principal] ?? []).some(
    (rule) => rule.commands.includes(command) && user.endsWith(`@${realm}`) && !rule.except.includes(user),
  );
}
