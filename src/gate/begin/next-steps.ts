// The steps after `dovegate init`, in order: commands to paste, or a sentence if Dovecot is on another machine. The paths were checked:
// they need no shell quotes.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { formatWords } from '../../host/words/text.js';
import { installedUnit } from '../../rules/setup/unit.js';
import { type Answers, snippetName, teamSocket } from './draft.js';

export interface Situation {
  readonly configuration: string;
  readonly isRoot: boolean;
  /** Dovecot must be configured to listen for dovegate. */
  readonly hasSnippet: boolean;
  /** A mail user whose mailboxes the team may list; undefined: none is known. */
  readonly mailUser: string | undefined;
  /** A daemon may be running with the configuration that was replaced. */
  readonly isReplaced: boolean;
  /** systemd must reload the unit. */
  readonly hasDropIn?: boolean;
}

/** Dovecot of Debian and Fedora reads every `.conf` file in this folder. */
const dovecotFolder = '/etc/dovecot/conf.d';
const standardFile = '/etc/dovegate/dovegate.yaml';

export function nextSteps(
  answers: Answers,
  { configuration, isRoot, hasSnippet, mailUser, isReplaced, hasDropIn = false }: Situation,
  exists: (path: string) => boolean = existsSync,
): readonly string[] {
  const { directory, backends, daemonUser, teams } = answers;
  const { users } = teams[0];
  const snippet = join(directory, snippetName);
  const config = configuration === standardFile ? '' : ` --config ${configuration}`;
  const isService =
    configuration === standardFile &&
    daemonUser === 'dovegate' &&
    exists('/run/systemd/system') &&
    installedUnit(exists) !== undefined;
  const hosts = backends.flatMap((each) => (each.kind === 'tcp' ? [each.host] : []));
  const isLocalToo = backends.some((each) => each.kind === 'unix' && !each.isReady);
  const places = [...(isLocalToo ? ['this machine'] : []), ...hosts];
  const isHere = hosts.length === 0 && isRoot && exists(dovecotFolder);
  const serve = `dovegate serve${config}`;
  const person = users.find((name) => name !== 'root');
  const become = person === undefined ? '' : `runuser -u ${formatWords([person])} -- `;
  return [
    ...(hasSnippet
      ? [
          isHere
            ? `cp ${snippet} ${dovecotFolder}/99-dovegate.conf && doveadm reload`
            : `put the lines of ${snippet} into the configuration of Dovecot${hosts.length === 0 ? '' : ` on ${places.join(' and ')}`}, and run there: doveadm reload`,
        ]
      : []),
    isService
      ? `${hasDropIn ? 'systemctl daemon-reload && ' : ''}${
          isReplaced
            ? 'systemctl enable dovegate.service && systemctl restart dovegate.service'
            : 'systemctl enable --now dovegate.service'
        }`
      : isRoot && daemonUser !== 'root'
        ? `runuser -u ${formatWords([daemonUser])} -- ${serve}`
        : serve,
    `dovegate doctor${config}`,
    mailUser === undefined
      ? `${isRoot ? become : ''}dovegate can --socket ${teamSocket(answers)}`
      : `${isRoot ? become : ''}doveadm mailbox list -u ${mailUser} -S ${teamSocket(answers)}`,
  ];
}
