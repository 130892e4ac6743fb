// The root of the project, as tests see it: they run compiled, below build/test/.

/** Ends with a slash. `new URL('docs/page.md', projectRoot)` is a file of the project, `build/src/...` a compiled one. */
export const projectRoot = new URL('../../../../', import.meta.url);
