// The process behind `runWarm`: subcommands of the built program, one after another, each with its own arguments, environment and folder.
// The only argument is the folder of the built program, dist.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** What the process is asked. */
export interface WarmAsked {
  /** The name that it is called by. */
  readonly name: 'dovegate' | 'doveadm';
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

async function run({ name, args, env, cwd }: WarmAsked): Promise<WarmAnswer> {
  for (const variable of Object.keys(process.env)) delete process.env[variable];
  Object.assign(process.env, env);
  process.chdir(cwd);
  let exit: number | undefined;
  try {
    exit = name === 'doveadm' ? await doveadm(args, process.env) : await runDovegate(args);
  } catch (fault) {
    // As main.ts does.
    process.stderr.write(`dovegate: internal error: ${String(fault)}\n`);
  }
  return { stdout: taken(stdout), stderr: taken(stderr), inOrder: taken(inOrder), exit: exit ?? 70 };
}

process.on('disconnect', () => process.exit());
// As main.ts does.
const load = (file: string) => import(pathToFileURL(join(process.argv[2] ?? '', file)).href);
const { runDovegate } = await load('program.js');
const { doveadm } = await load('doveadm.js');
process.on('message', (asked: WarmAsked) => {
  void run(asked).then((answer) => process.send?.(answer));
});
