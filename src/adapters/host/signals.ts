// Signals of the process, behind functions. It does not know what is done on them.

/** Calls `run` at each of the signals, instead of what Node does by itself. Returns what takes the listener off. */
export function onSignal(signals: readonly ('SIGTERM' | 'SIGINT' | 'SIGHUP')[], run: () => void): () => void {
  for (const signal of signals) process.on(signal, run);
  return () => {
    for (const signal of signals) process.off(signal, run);
  };
}

/** Calls `run` for an error that nobody caught, once; the process is not in a state to go on. */
export function onFatalError(run: (fault: unknown) => void): void {
  let isTold = false;
  const tell = (fault: unknown): void => {
    if (isTold) return;
    isTold = true;
    run(fault);
  };
  process.on('uncaughtException', tell);
  process.on('unhandledRejection', tell);
}

/** Keeps the process alive while nothing else does (all other timers let it end). Returns what lets go. */
export function holdProcess(): () => void {
  const timer = setInterval(() => undefined, 2 ** 30);
  return () => clearInterval(timer);
}
