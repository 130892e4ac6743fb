// What the parts of dovegate bring: their subcommands, and what a part does for one below it. The code of a subcommand is imported when it
// is called, so that the others cost no start time.

import type { Command } from 'commander';
import { addAccess } from './access-commands.js';
import { registerAudit } from './audit/audit.js';
import { addCompletion } from './completion.js';
import { addEvidenceCommands } from './evidence-commands.js';
import { registerFleet } from './fleet/fleet.js';
import { addGateCommands } from './gate-commands.js';
import { addPage } from './page-commands.js';
import { addPolicyCommands } from './rules-commands.js';
import { type End, runCommands } from './run-commands.js';
import { addSend } from './send-command.js';
import { addShip } from './ship-commands.js';

/** The parts with subcommands, in the order of `--help`. */
type Part = 'gate' | 'rules' | 'evidence' | 'ship' | 'page' | 'client';

const parts: Readonly<Record<Part, (program: Command, end: End) => void>> = {
  gate: (program, end) =>
    addGateCommands(program, end, {
      looks: {
        ways: async (...asked) => (await import('./way-look.js')).lookAtWays(...asked),
        journal: async (...asked) => (await import('./journal-look.js')).lookAtJournal(...asked),
        streams: async (...asked) => (await import('./health/stream-look.js')).lookAtStreams(...asked),
      },
      loadSpent: async () => (await import('../domain/judging/review/spent.js')).createSpent,
    }),
  rules: (program, end) =>
    addPolicyCommands(program, end, {
      ask: async (...asked) => (await import('./doveadm/ask-daemon.js')).askDaemon(...asked),
      whyNoStart: async (...asked) => (await import('./admin/ask-status.js')).whyNoStartNow(...asked),
      whyUnproven: async () => (await import('./policy/prove.js')).whyUnproven,
      replay: async (options) => (await import('./policy/replay.js')).replay(options),
    }),
  evidence(program, end) {
    addEvidenceCommands(program, end);
    registerFleet(registerAudit(program, end), end, async (config) =>
      (await import('./admin/operate.js')).findDaemon({ config }),
    );
  },
  ship: addShip,
  page: addPage,
  client(program, end) {
    addSend(program, end);
    addAccess(program, end);
    addCompletion(program, end);
  },
};

/** Runs the subcommand that the arguments after the program's name select, and resolves to the exit code. */
export function runDovegate(args: readonly string[]): Promise<number> {
  return runCommands(args, (program, end) => {
    for (const add of Object.values(parts)) add(program, end);
  });
}
