// stern and k9s in a terminal, as people have them open all day, on a cluster where much goes on.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { atEnd } from '../cluster/ending.ts'
import { eventually } from '../cluster/eventually.ts'
import { testCluster } from '../cluster/fixture.ts'
import { program } from './programs.ts'

const { plan, kubectl } = await testCluster({ nodes: 2 })
const home = await mkdtemp(join(tmpdir(), 'coracle-terminal-'))
atEnd(() => rm(home, { recursive: true, force: true }))

const talking = (name: string, replicas: number) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'main',
            image: 'busybox:1.35',
            command: ['sh', '-c', `i=0; while true; do i=$((i+1)); echo ${name} says $i; sleep 0.1; done`],
          },
        ],
      },
    },
  },
})
const manifest = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [talking('talker', 3), talking('other', 2)] })
assert.equal((await kubectl.attempt(['apply', '-f', '-'], manifest)).code, 0)
for (const name of ['talker', 'other']) await kubectl('rollout', 'status', `deployment/${name}`, '--timeout=90s')

/** A program in a terminal of 40 lines: what it has shown, without colours and movements; keys go to it. */
function inTerminal(t: { after(work: () => unknown): void }, command: string) {
  const env = {
    ...process.env,
    TERM: 'xterm-256color',
    KUBECONFIG: plan.kubeconfig,
    HOME: home,
    XDG_CONFIG_HOME: home,
    XDG_STATE_HOME: home,
    XDG_DATA_HOME: home,
    XDG_CACHE_HOME: home,
  }
  const child = spawn('script', ['-qefc', `stty rows 40 cols 160; exec ${command}`, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  let shown = ''
  child.stdout.on('data', (text: Buffer) => {
    shown = (shown + text.toString()).slice(-4_000_000)
  })
  return {
    shown: () => stripVTControlCharacters(shown),
    drawn: () => shown,
    keys: (text: string) => void child.stdin.write(text),
    closed: once(child, 'close').then(([code]) => code as number | null),
    end: () => child.kill('SIGINT'),
  }
}
type Terminal = ReturnType<typeof inTerminal>
const shows = (terminal: Terminal, what: RegExp) =>
  eventually(async () => assert.ok(what.test(terminal.shown()), `${what} is not on the screen: ${terminal.shown().slice(-3_000)}`), {
    withinMs: 60_000,
  })

test('stern follows all containers of a deployment, those that come later too, and none besides', async (t) => {
  const stern = inTerminal(t, `${program('stern')} talker --tail=5`)
  const pods = async () => (await kubectl('get', 'pods', '-l', 'app=talker', '-o', 'jsonpath={.items[*].metadata.name}')).split(' ')
  for (const pod of await pods()) await shows(stern, new RegExp(`${pod} (› )?main .*talker says \\d+`))
  await kubectl('scale', 'deployment/talker', '--replicas=5')
  await kubectl('rollout', 'status', 'deployment/talker', '--timeout=60s')
  for (const pod of await pods()) await shows(stern, new RegExp(`${pod} (› )?main .*talker says \\d+`))
  const [gone = ''] = await pods()
  await kubectl('delete', 'pod', gone)
  await shows(stern, new RegExp(`- ${gone}`))
  assert.doesNotMatch(stern.shown(), /other says/)
  // Each line once, in order.
  for (const pod of await pods()) {
    const numbers = [...stern.shown().matchAll(new RegExp(`${pod} (?:› )?main .*talker says (\\d+)`, 'g'))].map(([, n]) => Number(n))
    numbers.forEach((n, i) => assert.ok(i === 0 || n === numbers[i - 1]! + 1, `${pod}: ${numbers[i - 1]} and then ${n}`))
  }
  stern.keys('\u0003')
  await stern.closed
})

/** What is on the screen: a program that draws, draws only what changes. */
function screenOf(drawn: string): string {
  const rows = Array.from({ length: 40 }, () => Array.from({ length: 160 }, () => ' '))
  let [y, x] = [0, 0]
  // Sequences of escapes, then characters.
  for (const [whole, parameters, verb] of drawn.replaceAll('\u001b', '␛').matchAll(/␛\[([0-9;?]*)([A-Za-z])|␛[()][A-Z0-9]|␛.|./gsu)) {
    const [first = 1, second = 1] = (parameters ?? '').split(';').map((each) => Number(each) || 1)
    if (verb === 'H') [y, x] = [first - 1, second - 1]
    else if (verb === 'J') for (const row of rows) row.fill(' ')
    else if (whole === '\r') x = 0
    else if (whole === '\n') y += 1
    else if (whole === '\b') x -= 1
    else if (whole.startsWith('␛')) continue
    else {
      const row = rows[y]
      if (row && x >= 0 && x < row.length) row[x] = whole
      x += 1
    }
  }
  return rows.map((row) => row.join('').trimEnd()).join('\n')
}

test('k9s lists the pods as they come and go, and describes one', async (t) => {
  const k9s = inTerminal(
    t,
    `${program('k9s')} --namespace default --command pods --refresh 1 --logoless --logFile ${join(home, 'k9s.log')}`,
  )
  const pods = async () => (await kubectl('get', 'pods', '-o', 'jsonpath={.items[*].metadata.name}')).split(' ')
  const draws = (what: RegExp, keys = '') =>
    eventually(
      async () => {
        const screen = screenOf(k9s.drawn())
        if (!what.test(screen)) k9s.keys(keys)
        assert.match(screen, what)
      },
      { withinMs: 60_000 },
    )
  for (const pod of await pods()) await draws(new RegExp(`${pod} .*1/1 .*Running`))
  await kubectl('scale', 'deployment/other', '--replicas=3')
  await kubectl('rollout', 'status', 'deployment/other', '--timeout=60s')
  for (const pod of await pods()) await draws(new RegExp(`${pod} .*1/1 .*Running`))
  // Filtered to one deployment, then the pod under the cursor.
  k9s.keys('/other\r')
  await draws(/pods\(default\)\[3\] <\/other>/i)
  await draws(/Describe\(default\/other-/i, 'd')
  await draws(/Service Account: +default/)
  k9s.end()
  await k9s.closed
})
