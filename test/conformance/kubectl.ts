// The same tests for the oldest and the newest kubectl of this machine, side by side, each in a namespace of its own.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, before, describe } from 'node:test'
import { eventually } from '../cluster/eventually.ts'
import { attempt, type Output } from '../cluster/shell.ts'
import type { Json, TestServer } from './server.ts'

export type Session = {
  program: string
  namespace: string
  /** What it printed; it must succeed. The line is split as a shell would. */
  k(line: string, input?: string): Promise<string>
  /** What it complained of; it must fail. */
  fails(line: string, input?: string): Promise<string>
  run(line: string, options?: { input?: string; env?: NodeJS.ProcessEnv }): Promise<Output>
  json(line: string): Promise<Json>
  /** The path of a new file. */
  file(name: string, text: string, mode?: number): Promise<string>
}

export function withEachKubectl(
  { kubectls, kubeconfig }: Pick<TestServer, 'kubectls' | 'kubeconfig'>,
  prefix: string,
  tests: (session: Session) => void,
  /** Whether they may be at it at the same time. */
  concurrency = true,
): void {
  describe('kubectl', { concurrency }, () => {
    for (const [i, { program }] of kubectls.entries()) {
      const session = sessionOf(program, kubeconfig, `${prefix}-${i}`)
      describe(basename(program), { concurrency: false }, () => {
        before(async () => {
          await session.k(`create namespace ${session.namespace}`)
          await eventually(() => session.k('get serviceaccount default'))
        })
        tests(session)
      })
    }
  })
}

function sessionOf(program: string, kubeconfig: string, namespace: string): Session {
  const folder = mkdtemp(join(tmpdir(), 'coracle-kubectl-'))
  after(async () => rm(await folder, { recursive: true }))
  const run: Session['run'] = (line, { input, env } = {}) =>
    attempt(program, ['-n', namespace, ...words(line)], {
      env: { ...process.env, KUBECONFIG: kubeconfig, ...env },
      ...(input !== undefined && { input }),
    })
  const k = async (line: string, input?: string) => {
    const { code, stdout, stderr } = await run(line, { ...(input !== undefined && { input }) })
    assert.equal(code, 0, `kubectl ${line}: ${stderr}`)
    return stdout
  }
  return {
    program,
    namespace,
    k,
    run,
    async fails(line, input) {
      const { code, stdout, stderr } = await run(line, { ...(input !== undefined && { input }) })
      assert.notEqual(code, 0, `kubectl ${line} should fail, and printed ${stdout}`)
      return stderr
    },
    json: async (line) => JSON.parse(await k(`${line} -o json`)),
    async file(name, text, mode = 0o644) {
      const path = join(await folder, name)
      await writeFile(path, text, { mode })
      return path
    },
  }
}

export const configMap = (name: string, data: string, labels = '') => `
apiVersion: v1
kind: ConfigMap
metadata: { name: ${name}, labels: { ${labels} } }
data: { ${data} }
---`

export const deployment = (replicas: number) => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { app: web } }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: main, image: "busybox:1", ports: [{ containerPort: 80 }] }] }
`

/** Blanks part, quotes at the start of a word or behind `=` keep together. */
const words = (line: string): string[] =>
  [...line.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([word]) => (/^['"]|=["']/.test(word) ? unquoted(word) : word))

const unquoted = (word: string): string =>
  word.replace(/'([^']*)'|"([^"]*)"/g, (_, single?: string, double?: string) => single ?? double ?? '')
