// Whether the library is there, for who only wants to know: nothing of it is loaded.

/** How to get it. */
export const howToInstall = 'run `npm install @nats-io/transport-node@3.3.1` where dovegate is installed';

export function hasNatsLibrary(): boolean {
  try {
    import.meta.resolve('@nats-io/transport-node');
    return true;
  } catch {
    return false;
  }
}
