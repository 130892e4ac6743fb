// The option `--config` of subcommands that read a configuration, or ask the daemon of one.

import { Option } from 'commander';
import { standardConfig, standardConfigHelp } from '../adapters/host/program.js';

/** Always has a value: the standard place where nothing else is said. It counts as not given where another option is in conflict with it. */
export function configOption(help = 'the configuration file'): Option {
  return new Option('--config <file>', help).default(standardConfig(), standardConfigHelp);
}
