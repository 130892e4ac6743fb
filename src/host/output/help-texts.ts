// The text below the options in `--help` of each subcommand: two examples, and the exit codes with a meaning of their own there.

import type { Command } from 'commander';

/** NAME: EXIT CODES, and one example a line; a blank line between two subcommands. */
const texts = `
init: 0 written, 1 given up or the disk refused, 64 an answer is missing or wrong, 77 not permitted, 78 a file exists
dovegate init
dovegate init --defaults --team support --members anna,%helpdesk

doctor: 0 nothing is bad, 1 something is, 77 not permitted, 78 the configuration has errors
dovegate doctor
dovegate doctor --user alice@example.com

move jobs: 0 all calls go to dovegate, 1 some do not, or a file was refused, 64 wrong usage, 77 not permitted
dovegate move jobs /usr/local/bin/backup-job crontab:backup
dovegate move jobs --write --socket /run/dovegate/backup.sock /usr/local/bin/backup-job

move back: 0 all are as they were, 1 some are not, 64 not in the list, 77 not permitted
dovegate move back
dovegate move back crontab:backup

serve: 0 stopped in order, 70 a fault of dovegate, 78 the configuration has problems
dovegate serve
dovegate serve --config ./dovegate.yaml

check: 0 no errors, 1 with --start: a daemon would not start now, 78 errors
dovegate check
dovegate check --config ./dovegate.yaml --verbose

status: 0 the daemon answered, 69 no daemon there, 77 not permitted, 78 the configuration
dovegate status
dovegate status --watch

kill: 0 ended, 1 no such command, or not recorded, 69 no daemon there, 77 not permitted
dovegate kill 01KAF3W2Q8T5
dovegate kill --older-than 5m --dry-run

backend: 0 done, 1 no such backend, 69 no daemon there, 77 not permitted
dovegate backend drain mail1
dovegate backend enable mail1

lock: 0 locked, 1 no such target, or in force and not recorded, 69 no daemon there, 77 not permitted
dovegate lock carol --for 2h --reason "her laptop was stolen" --kill
dovegate lock user:bob@example.com --destroying --reason "case 17"

unlock: 0 lifted, or the first of two steps of a hold done, 1 no such lock, or not recorded, 69 no daemon there, 77 not permitted
dovegate unlock carol --reason "the laptop was found"
dovegate unlock 01KAF3W2Q8T5 --reason "a mistake"

confirm: 0 done, 1 no such user, or not recorded, 69 no daemon there, 77 not permitted
dovegate confirm carol
dovegate confirm --socket /run/dovegate/admin.sock carol

reload: 0 reloaded, 69 no daemon there, 77 not permitted, 78 problems; the old configuration is kept
dovegate reload
dovegate reload --pid 4711

ship: 0 ended by a signal, or there is no receiver, 70 internal error, 78 it could not start
dovegate ship
dovegate ship --door /run/dovegate/ship.sock --state /var/lib/dovegate-ship

page open: 0 printed, 1 there is no page for browsers, 69 no daemon there, 77 not permitted, 78 no socket is named
dovegate page open
dovegate page open --socket /run/dovegate/page.sock

explain: 0 allowed, 64 the daemon would answer -USAGE, 75 -TEMPFAIL, 77 denied, 78 the configuration
dovegate explain --listener support --user bob@example.com -- quota get
dovegate explain --listener backup --user bob@example.com --lines /usr/local/bin/backup-job

can: 0 printed, 64 no such listener, 69 no daemon at the socket, 78 the configuration
dovegate can --listener support
dovegate can --socket /run/dovegate/support.sock

test: 0 all as expected, 1 some are not, 65 records are missing that --replay should have judged, 78 the configuration
dovegate test --coverage
dovegate test --replay /var/lib/dovegate/audit --candidate support-next.yaml

prove: 0 it holds, 1 disproved or undecided, 64 not a statement, 78 the configuration
dovegate prove 'nobody but policy leads may destroy in mailboxes of "*@example.com"'
dovegate prove 'after this change nobody may do more than before' --config new.yaml --against dovegate.yaml

suggest: 0 printed, 1 nothing to suggest, 64 no such listener or policy, 78 the configuration, or no journal
dovegate suggest --all --since 30d > next.yaml
dovegate suggest --listener support --since 30d --uid anna

hash-password: 0 printed, 1 no password, or two different ones, 64 one that nobody could log in with
dovegate hash-password
dovegate hash-password --cost 16 < password.txt

key new: 0 printed, 64 a name, date or network that no configuration takes
dovegate key new modoboa
dovegate key new quota-graph --policy metrics --expires 2027-06-30 --from 192.0.2.20/32

audit verify: 0 passed, 1 faults, or no signature was checked, 78 no journal there
dovegate audit verify --key auditor.pub /srv/copies/audit
dovegate audit verify --fleet /etc/dovegate/fleet.yaml

audit search: 0 searched, also if nothing was found, 64 wrong usage, 78 no journal there
dovegate audit search --user alice@example.com --since yesterday
dovegate audit search --user alice@example.com --fleet /etc/dovegate/fleet.yaml

audit show: 0 shown, 1 no such command, 78 no journal there
dovegate audit show 01KAF3W2Q8T5
dovegate audit show 4711 /srv/copies/audit

audit tail: 0 shown, 78 no journal there
dovegate audit tail --follow
dovegate audit tail --lines 100 --json

audit report: 0 the time is complete, 1 it is not proved complete, 64 wrong usage, 78 no journal there
dovegate audit report --mailbox alice@example.com --from 30d --content --html > alice.html
dovegate audit report --mailbox alice@example.com --fleet /etc/dovegate/fleet.yaml

audit access: 0 printed, also if nobody had access, 64 wrong usage, 78 no journal there
dovegate audit access --since 30d
dovegate audit access --user bob@example.com --since 2026-11-01 --json

audit policies: 0 printed, also if nothing was changed, 64 wrong usage, 65 the text of a policy is missing or wrong, 78 no journal there
dovegate audit policies --since 30d
dovegate audit policies --diff 4711

audit export: 0 written, 1 not all of it can be proved (--with-proof), 78 no journal there
dovegate audit export --since 7d > week.csv
dovegate audit export --user alice@example.com --since 7d --with-proof > proof.txt

audit check-proof: 0 proved, 1 not proved, 64 the file is a journal, 78 the file or the key cannot be read
dovegate audit check-proof proof.txt --key key.pub
dovegate audit check-proof --json --key key.pub - < proof.txt

audit hmac: 0 printed, 78 no key there
dovegate audit hmac -
dovegate audit hmac --key /etc/dovegate/hmac.key -

audit keygen: 0 made, 78 the file exists, or cannot be written
dovegate audit keygen
dovegate audit keygen --out /etc/dovegate/sign.key

audit fleet verify: 0 passed, 1 findings, 69 no store, 75 another one has the state, 77 not permitted, 78 the settings
dovegate audit fleet verify
dovegate audit fleet verify --checkpoint kept.jsonl --json

audit fleet watch: 0 stopped in order, 75 another one has the state, 78 the settings
dovegate audit fleet watch
dovegate audit fleet watch --config ./fleet.yaml

audit fleet policy: 0 printed, 64 a folder, or no word for a host, 78 the settings
dovegate audit fleet policy mail-gate-1
dovegate audit fleet policy mail-gate-1 --aws --principal arn:aws:iam::123456789012:user/mail-gate-1

audit fleet rotate-key: 0 replaced, 1 not another key, 64 usage, 75 another one has the state, 78 the settings, or a file of a key
dovegate audit fleet rotate-key
dovegate audit fleet rotate-key --new-key /etc/dovegate/verifier-2.key

audit fleet status: 0 nothing is wrong, 1 something is, 69 there is no status yet, 78 the settings
dovegate audit fleet status
dovegate audit fleet status --json

send: 0 done, 1 with --users: not for all, 64 usage, 67 no such user, 75 not reached or broken off, 77 not permitted; else those of doveadm
dovegate send --socket /run/dovegate/support.sock --user bob@example.com -- quota get
dovegate send --users all.txt --resume all.state --rate 20/s --jobs 4 -- mailbox create Archive

request: 0 recorded, or with --wait granted, 64 usage, or not as its rule offers it, 69 no daemon, 75 with --wait: not decided, 77 refused, or no rule offers it
dovegate request --user bob@example.com --reason "ticket 4711" -- fetch hdr.subject mailbox INBOX all
dovegate request --user bob@example.com --reason "ticket 4711" --for 30m --wait 10m -- mailbox status all INBOX

requests: 0 listed, 68 no such request, 69 no daemon, 77 not permitted
dovegate requests --socket /run/dovegate/leads.sock
dovegate requests --json

approve: 0 recorded, 68 no such request, 69 no daemon, 75 not recorded, 77 not permitted
dovegate approve 01KAF3W2Q8T5R1V0XH9M4D6CZE
dovegate approve 01KAF3W2Q8T5R1V0XH9M4D6CZE --for 30m --uses 1

refuse: 0 recorded, 68 no such request, 69 no daemon, 75 not recorded, 77 not permitted
dovegate refuse 01KAF3W2Q8T5R1V0XH9M4D6CZE --reason "ask bob himself"
dovegate refuse --socket /run/dovegate/leads.sock --reason "wrong ticket" 01KAF3W2Q8T5R1V0XH9M4D6CZE

revoke: 0 ended, 68 no such request or grant, 69 no daemon, 77 not permitted
dovegate revoke 01KAF3W2Q8T5R1V0XH9M4D6CZE
dovegate revoke --socket /run/dovegate/leads.sock --reason "ticket closed" 01KAF3W2Q8T5R1V0XH9M4D6CZE

grant: 0 recorded, 64 usage, 69 no daemon, 75 not recorded, 77 not permitted
dovegate grant --to anna@support --user bob@example.com --reason "ticket 4711" -- fetch text mailbox INBOX all
dovegate grant --socket /run/dovegate/leads.sock --to anna@support --reason "ticket 4711" -- mailbox status all INBOX

review: 0 recorded, 68 no such grant, 69 no daemon, 75 not recorded, 77 not permitted
dovegate review 01KAF3W2Q8T5R1V0XH9M4D6CZE
dovegate review --socket /run/dovegate/leads.sock 01KAF3W2Q8T5R1V0XH9M4D6CZE

completion: 0 printed
dovegate completion bash > /usr/share/bash-completion/completions/dovegate
dovegate completion zsh --name doveadm
`;

/** Each text, with the name of its subcommand as it is typed. */
export function helpTexts() {
  return texts
    .trim()
    .split('\n\n')
    .map((text) => {
      const [head = '', ...examples] = text.split('\n');
      const [name = '', codes = ''] = head.split(/: (.*)/s);
      return { name, codes, examples };
    });
}

export function addHelpTexts(program: Command): void {
  for (const { name, codes, examples } of helpTexts()) {
    const command = name
      .split(' ')
      .reduce<Command | undefined>((at, word) => at?.commands.find((one) => one.name() === word), program);
    if (command === undefined) continue;
    const lines = ['', 'Examples:', ...examples.map((line) => `  ${line}`), '', `Exit codes: ${codes}`];
    command.addHelpText('after', lines.join('\n'));
  }
}
