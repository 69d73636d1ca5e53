// Before `npm pack`: the package as others get it, which Node does not strip of types below node_modules. JavaScript and
// declarations in dist/, a package.json that names them, and the addon built at install where no prebuilt one fits.
// After it (`--undo`), and after a pack that was broken off: everything as it was.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const [manifest, kept, dist] = [at('package.json'), at('package.json.kept'), at('dist')]

if (existsSync(kept)) renameSync(kept, manifest)
rmSync(dist, { recursive: true, force: true })
if (!process.argv.includes('--undo')) {
  const compiler = at('../node_modules/.bin/tsc')
  execFileSync(process.execPath, [compiler, '-p', at('tsconfig.pack.json')], { stdio: 'inherit' })
  const text = readFileSync(manifest, 'utf8')
  writeFileSync(kept, text)
  const { scripts: _, ...ours } = JSON.parse(text)
  const served = (name: string) => ({ types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` })
  // The same names as in the sources.
  const exports = { '.': served('index'), './*.ts': served('*') }
  writeFileSync(manifest, `${JSON.stringify({ ...ours, exports, gypfile: true, scripts: { install: 'node-gyp-build' } }, null, 2)}\n`)
}
