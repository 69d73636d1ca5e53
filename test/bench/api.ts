// The API server under load, over HTTPS, against the disk it stands on and against etcd on the same disk.

import { fdatasyncSync } from 'node:fs'
import { mkdtemp, open, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { loadKubeconfig } from '#api/client/kubeconfig.ts'
import { serverPid } from '../cluster/cluster.ts'
import { startControlPlane } from '../cluster/control-plane.ts'
import { put, startEtcd } from './etcd.ts'
import { type Figure, figure, quantile } from './figure.ts'
import { pss } from './memory.ts'
import { openSession, type Session } from './session.ts'
import { watchers } from './watchers.ts'

const state = resolve(import.meta.dirname, '../../.coracle')
const secondsEach = 4
const objects = 10_000
const payload = 'x'.repeat(350)

const maps = (namespace: string) => `/api/v1/namespaces/${namespace}/configmaps`
/** 500 bytes as it is stored. */
const configMap = (name: string): Buffer =>
  Buffer.from(JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { text: payload } }))

export async function* apiBench(): AsyncGenerator<Figure> {
  yield* writes()
  yield* many()
}

async function* writes(): AsyncGenerator<Figure> {
  const dir = await mkdtemp(join(state, 'bench-api-'))
  await using server = await serverIn(dir)
  const { one, session } = server
  const disk = quantile(await syncs(dir), 0.5)
  yield figure('fdatasync of 600 bytes on this disk, p50', disk, 'ms')
  for (const name of ['warm', 'one', 'many', 'watched']) await server.namespace(name)
  const create = (name: string, prefix: string) => (s: Session, i: number) => s.request('POST', maps(name), configMap(`${prefix}-${i}`))
  await load([one], create('warm', 'w'))

  const alone = await load([one], create('one', 'c'))
  yield figure('durable create, 1 client, p50', quantile(alone.times, 0.5), 'ms', { name: 'fdatasync', value: disk })
  const read = await load([one], (s) => s.request('GET', `${maps('one')}/c-0`))
  yield figure('the same, but a read: nothing is written, p50', quantile(read.times, 0.5), 'ms', { name: 'fdatasync', value: disk })
  const sixteen = await Promise.all(Array.from({ length: 16 }, session))
  const crowd = await load(sixteen, create('many', 'c'))
  for (const s of sixteen) s.close()
  const etcd = await etcdPuts(dir)
  if (etcd)
    yield figure('durable create, 1 client, p50, beside etcd', quantile(alone.times, 0.5), 'ms', { name: 'etcd put', value: etcd.one })
  yield figure('durable creates, 16 clients', crowd.rate, '/s', etcd && { name: 'etcd puts', value: etcd.sixteen })

  yield* watchers({ session, namespace: 'watched', create: (name) => one.request('POST', maps('watched'), configMap(name)) })
}

/** A server of its own: what it holds is what is measured. */
async function* many(): AsyncGenerator<Figure> {
  await using server = await serverIn(await mkdtemp(join(state, 'bench-api-')))
  const { one, session, pid } = server
  const empty = await pss(pid, 2)
  await server.namespace('full')
  const sixteen = await Promise.all(Array.from({ length: 16 }, session))
  let next = 0
  await Promise.all(
    sixteen.map(async (s) => {
      while (next < objects) await s.request('POST', maps('full'), configMap(`o-${next++}`))
    }),
  )
  for (const s of sixteen) s.close()
  const listed = await lists(one, pid)
  yield figure('list of 10,000 × 500 B, wall', listed.wall, 'ms')
  yield figure('list of 10,000 × 500 B, server CPU', listed.cpu, 'ms')
  await new Promise((done) => setTimeout(done, 10_000))
  yield figure('server with 10,000 objects (PSS)', (await pss(pid, 2)) / 1e6, 'MB', { name: 'without any', value: empty / 1e6 })
  const before = performance.now()
  await one.request('DELETE', maps('full'))
  yield figure('deletecollection of 10,000', performance.now() - before, 'ms')
}

async function serverIn(dir: string) {
  const server = await startControlPlane({ dir, slot: 3 })
  const target = await loadKubeconfig(server.plan.kubeconfig)
  const session = () => openSession(target.server, target.credentials as { ca: string; cert: string; key: string })
  const one = await session()
  return {
    one,
    session,
    pid: (await serverPid(server.plan)) as number,
    namespace: (name: string) => one.request('POST', '/api/v1/namespaces', Buffer.from(JSON.stringify({ metadata: { name } }))),
    async [Symbol.asyncDispose]() {
      one.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

async function syncs(dir: string): Promise<number[]> {
  await using file = await open(join(dir, 'sync'), 'w')
  const block = Buffer.alloc(600, 1)
  const times: number[] = []
  for (let i = 0; i < 500; i += 1) {
    const from = performance.now()
    await file.write(block)
    fdatasyncSync(file.fd)
    times.push(performance.now() - from)
  }
  return times
}

/** Every session asks again as soon as it has its answer. */
async function load(
  sessions: Session[],
  ask: (session: Session, i: number) => Promise<unknown>,
): Promise<{ times: number[]; rate: number }> {
  const times: number[] = []
  const from = performance.now()
  const end = from + secondsEach * 1000
  let next = 0
  await Promise.all(
    sessions.map(async (session) => {
      while (performance.now() < end) {
        const asked = performance.now()
        await ask(session, next++)
        times.push(performance.now() - asked)
      }
    }),
  )
  return { times, rate: (times.length / (performance.now() - from)) * 1000 }
}

async function etcdPuts(dir: string): Promise<{ one: number; sixteen: number } | undefined> {
  await using etcd = await startEtcd(dir)
  if (!etcd) return undefined
  const value = configMap('etcd')
  const ask = (prefix: string) => (s: Session, i: number) => put(s, `/registry/core/configmaps/${prefix}/${i}`, value)
  const sessions = await Promise.all(Array.from({ length: 16 }, () => etcd.session()))
  const [first] = sessions as [Session]
  await load([first], ask('warm'))
  const alone = await load([first], ask('one'))
  const crowd = await load(sessions, ask('many'))
  for (const session of sessions) session.close()
  return { one: quantile(alone.times, 0.5), sixteen: crowd.rate }
}

async function lists(session: Session, pid: number): Promise<{ wall: number; cpu: number }> {
  const rounds = 20
  const walls: number[] = []
  await session.request('GET', maps('full'))
  const before = await cpu(pid)
  for (let i = 0; i < rounds; i += 1) {
    const from = performance.now()
    await session.request('GET', maps('full'))
    walls.push(performance.now() - from)
  }
  return { wall: quantile(walls, 0.5), cpu: ((await cpu(pid)) - before) / rounds }
}

/** Milliseconds of processor time that the process has used: fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms. */
export async function cpu(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
