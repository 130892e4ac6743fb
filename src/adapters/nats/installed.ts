// Whether the library is there, for who only wants to know: nothing of it is loaded.

export const installCommand = 'npm install @nats-io/transport-node@3.3.1';

/** How to get it. */
export const howToInstall = `run \`${installCommand}\` where dovegate is installed`;

export function hasNatsLibrary(): boolean {
  try {
    import.meta.resolve('@nats-io/transport-node');
    return true;
  } catch {
    return false;
  }
}
