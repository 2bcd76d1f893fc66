#!/usr/bin/env node
/**
 * The entry of every command. It is plain JavaScript that any Node can parse, because its one task is to say plainly what
 * is missing when this Node is too old to run the rest. In a checkout it starts the TypeScript sources beside it as they are;
 * the package has the compiled ones in dist/, where the build puts a copy of it, too.
 */
const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    'Fairlead needs Node 22.19 or later, and this is Node ' +
      process.versions.node +
      ' (' +
      process.execPath +
      ').\n' +
      'In a checkout, `npm ci` brings the right one as a development dependency for every `npm run` and `npx`;\n' +
      'it does so in an install script, so `npm ci --ignore-scripts` leaves it out.\n',
  )
  process.exit(1)
}

const { existsSync } = await import('node:fs')
const { fileURLToPath } = await import('node:url')
const here = import.meta.url
const main = ['./main.ts', './main.js', '../dist/main.js']
  .map((path) => new URL(path, here))
  .find((url) => existsSync(url))
if (main === undefined) {
  process.stderr.write('Fairlead is not built here: `npm run build` makes dist/.\n')
  process.exit(1)
}
// In a checkout the sources are stripped of their types at each start, which takes longer than all else; what was made of
// them is kept beside the dependencies. Not for the package: its folder may be read-only, and /tmp is anybody's.
const { enableCompileCache, flushCompileCache, registerHooks } = await import('node:module')
const dependencies = new URL('../node_modules/', here)
if (main.pathname.endsWith('.ts') && existsSync(dependencies) && !process.env.NODE_COMPILE_CACHE) {
  enableCompileCache(fileURLToPath(new URL('.cache/fairlead/', dependencies)))
  // By itself it is written at an orderly end, and a proxy may never come to one.
  const { systemClock } = await import('./core/clock.ts')
  systemClock.setTimer(3_000, () => flushCompileCache())
}
// The schema library brings its messages in sixty languages, and loads all of them; one is used, and imported by itself. Without
// the others a small proxy needs 1 MiB less. Where the library lies otherwise one day, they are loaded as before.
registerHooks({
  load: (url, context, next) =>
    url.endsWith('/node_modules/zod/v4/locales/index.js')
      ? { format: 'module', source: '', shortCircuit: true }
      : next(url, context),
})
try {
  await import(main)
} catch (error) {
  if (error && error.code === 'ERR_MODULE_NOT_FOUND' && /Cannot find package/.test(error.message)) {
    process.stderr.write("Fairlead's dependencies are not installed here; run `npm ci` first.\n" + error.message + '\n')
    process.exit(1)
  }
  throw error
}
