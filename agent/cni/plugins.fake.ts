// Plugins that write down what they are called with and answer what a test tells them: shell scripts in a
// folder of the test's own.

import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from './plugin.ts'

export type FakePlugins = {
  readonly bin: string
  readonly conf: string
  readonly data: string
  /** Makes a plugin. What it answers to a command is shell text; by default a result, or nothing. */
  plugin(type: string, answers?: Partial<Record<Command, string>>): Promise<void>
  configure(name: string, config: object | string): Promise<void>
  /** The calls so far but VERSION, each as command and plugin. */
  calls(): Promise<string[]>
  /** The environment and configuration of the last such call. */
  last(call: string): Promise<{ env: Record<string, string>; config: Record<string, unknown> }>
}

export const fakeResult = (address = '10.88.0.5/16') => ({
  cniVersion: '1.0.0',
  interfaces: [{ name: 'cni0' }, { name: 'eth0', sandbox: '/netns' }],
  ips: [{ address, interface: 1, gateway: '10.88.0.1' }],
})

/** Shell text that prints this. */
export const prints = (value: object): string => `echo '${JSON.stringify(value)}'`
/** And fails with this error. */
export const fails = (code: number, msg: string, details = ''): string => `${prints({ cniVersion: '1.0.0', code, msg, details })}; exit 1`

const usual: Partial<Record<Command, string>> = {
  VERSION: prints({ cniVersion: '1.1.0', supportedVersions: ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] }),
  ADD: prints(fakeResult()),
}

export async function fakePlugins(t: { after(cleanup: () => Promise<void>): void }): Promise<FakePlugins> {
  const dir = await mkdtemp(join(tmpdir(), 'cni-'))
  t.after(() => rm(dir, { recursive: true }))
  const [bin, conf, data, log] = [join(dir, 'bin'), join(dir, 'conf'), join(dir, 'data'), join(dir, 'log')]
  await Promise.all([bin, conf, data].map((path) => mkdir(path)))
  await writeFile(log, '')
  const entries = async () =>
    (await readFile(log, 'utf8'))
      .split('\x1e')
      .slice(0, -1)
      .map((entry) => entry.split('\x1f'))
  return {
    bin,
    conf,
    data,
    async plugin(type, answers = {}) {
      const cases = Object.entries({ ...usual, ...answers }).map(([command, text]) => `${command}) ${text} ;;`)
      const script = `#!/bin/sh
config=$(cat)
[ "$CNI_COMMAND" = VERSION ] || printf '%s ${type}\\037%s\\037%s\\036' "$CNI_COMMAND" "$(env)" "$config" >>${log}
case $CNI_COMMAND in
${cases.join('\n')}
esac
`
      // Renamed into place: one that runs cannot be written to.
      await writeFile(join(dir, type), script)
      await chmod(join(dir, type), 0o755)
      await rm(join(bin, type), { force: true })
      await rename(join(dir, type), join(bin, type))
    },
    configure: (name, config) => writeFile(join(conf, name), typeof config === 'string' ? config : JSON.stringify(config)),
    calls: async () => (await entries()).map(([call = '']) => call),
    async last(call) {
      const [, env = '', config = '{}'] = (await entries()).findLast(([name]) => name === call) ?? []
      const variables = env.split('\n').map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string])
      return { env: Object.fromEntries(variables), config: JSON.parse(config) as Record<string, unknown> }
    },
  }
}
