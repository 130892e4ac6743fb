// The process behind `runWarm`: subcommands of the built program, one after another, each with its own arguments, environment and folder.
// The only argument is the path of dist/cli/program.js.
import { pathToFileURL } from 'node:url';

/** What the process is asked. */
export interface WarmAsked {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** The texts are base64. */
export interface WarmAnswer {
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in the order in which they were written. */
  readonly inOrder: string;
  readonly exit: number;
}

type Written = (error?: Error | null) => void;

const inOrder: Buffer[] = [];

/** Keeps what is written to the stream from now on in these pieces. */
function takeOver(stream: NodeJS.WriteStream): Buffer[] {
  const pieces: Buffer[] = [];
  // Each subcommand adds listeners, as if it were the only one.
  stream.setMaxListeners(0);
  stream.write = (piece: string | Uint8Array, encoding?: BufferEncoding | Written, done?: Written) => {
    const bytes = Buffer.from(piece);
    pieces.push(bytes);
    inOrder.push(bytes);
    const written = typeof encoding === 'function' ? encoding : done;
    if (written !== undefined) process.nextTick(written);
    return true;
  };
  return pieces;
}

const stdout = takeOver(process.stdout);
const stderr = takeOver(process.stderr);

/** All pieces, which are taken away. */
function taken(pieces: Buffer[]): string {
  return Buffer.concat(pieces.splice(0)).toString('base64');
}

async function run(
  program: { runDovegate(args: readonly string[]): Promise<number> },
  { args, env, cwd }: WarmAsked,
): Promise<WarmAnswer> {
  for (const name of Object.keys(process.env)) delete process.env[name];
  Object.assign(process.env, env);
  process.chdir(cwd);
  let exit: number | undefined;
  try {
    exit = await program.runDovegate(args);
  } catch (fault) {
    // As main.ts does.
    process.stderr.write(`dovegate: internal error: ${String(fault)}\n`);
  }
  // Each adds its own, for a process that ends with it.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error');
  return { stdout: taken(stdout), stderr: taken(stderr), inOrder: taken(inOrder), exit: exit ?? 70 };
}

process.on('disconnect', () => process.exit());
const program = await import(pathToFileURL(process.argv[2] ?? '').href);
process.on('message', (asked: WarmAsked) => {
  void run(program, asked).then((answer) => process.send?.(answer));
});
