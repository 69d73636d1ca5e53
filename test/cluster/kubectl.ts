// The kubectls of this machine, and running one against a cluster.

import { readdirSync, realpathSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { attempt, type Output } from './shell.ts'

/** Every kubectl found: the one on the PATH and those of single versions beside it, oldest first. */
export function kubectls(path = process.env['PATH'] ?? ''): string[] {
  const found = new Set<string>()
  for (const dir of path.split(delimiter)) {
    try {
      const main = realpathSync(join(dir, 'kubectl'))
      const versions = readdirSync(dirname(main)).filter((file) => /^kubectl\.1\.\d+$/.test(file))
      versions.sort((a, b) => Number(a.split('.')[2]) - Number(b.split('.')[2]))
      for (const file of versions) found.add(join(dirname(main), file))
      if (versions.length === 0) found.add(main)
    } catch {
      // no kubectl in this folder of the PATH
    }
  }
  return [...found]
}

export type Kubectl = {
  (...args: string[]): Promise<string>
  /** As the call, but a failure is an answer too. */
  attempt(args: string[], input?: string): Promise<Output>
  readonly program: string
}

/** `await kubectl('get', 'pods')` gives what it printed, or throws with what it complained of. */
export function kubectlFor(kubeconfig: string, program = 'kubectl'): Kubectl {
  const tryIt = (args: string[], input?: string) =>
    attempt(program, args, { env: { ...process.env, KUBECONFIG: kubeconfig }, ...(input !== undefined && { input }) })
  const call = async (...args: string[]) => {
    const { stdout, stderr, code } = await tryIt(args)
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: exit ${code}: ${stderr.trim()}`)
    return stdout
  }
  return Object.assign(call, { attempt: tryIt, program })
}
