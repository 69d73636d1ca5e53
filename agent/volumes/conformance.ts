// What every volume driver has to do, killed between any two steps: run against each through the registry
// that calls it. `open` gives a driver as a restarted agent would make it, over what the one before left.

import assert from 'node:assert/strict'
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type Mounts, mounts as realMounts } from 'nft-js'
import type { PersistentVolume, Pod, Volume } from '#api/types/core-v1.gen.ts'
import type { VolumeDriver } from './driver.ts'
import { killing } from './killed.fake.ts'
import { mountsUnder } from './mount-table.ts'
import { openVolumes } from './volumes.ts'

export type Subject = {
  /** `dir`: a folder of the test for what the driver's volumes are made of. */
  open(mounts: Mounts, dir: string): VolumeDriver
  volume: Volume
  /** What the claim of the volume is bound to. */
  persistentVolume?: PersistentVolume
  /** Makes the next `publish` different, where its content is made of something. */
  change?(): void
  spec?: Partial<Pod['spec']>
  needs?: 'root'
}

const standing = { nodeName: 'pi', hostIPs: ['10.0.0.1'], podIPs: ['10.42.0.9'], allocatable: { cpu: '4', memory: '1Gi' } }

export function driverConformance(name: string, subjectOf: (dir: string) => Subject): void {
  const skip = subjectOf('').needs === 'root' && process.getuid?.() !== 0 ? { skip: 'needs root' } : {}

  const on = (text: string, run: (trial: Trial) => Promise<void>) =>
    it(text, skip, async () => {
      const trial = await begin(subjectOf)
      try {
        await run(trial)
      } finally {
        await trial.close()
      }
    })

  describe(`volume driver: ${name}`, () => {
    on('publishes again what it has published, and nothing else', async ({ agent, pod, look }) => {
      const volumes = agent()
      const { paths } = await volumes.mount(pod('u1'), standing)
      const first = await look('u1', paths)
      assert.deepEqual(await look('u1', (await agent().mount(pod('u1'), standing)).paths), first)
      assert.deepEqual(await volumes.list(), ['u1'])
    })

    on('publishes the whole, wherever the agent before was killed', async ({ agent, pod, look, each }) => {
      const whole = await look('whole', (await agent().mount(pod('whole'), standing)).paths)
      await each('publish', async (uid, kill) => {
        const killed = await kill(() => agent().mount(pod(uid), standing))
        await agent().recover()
        assert.deepEqual(await look(uid, (await agent().mount(pod(uid), standing)).paths), whole)
        await agent().unmount(uid)
        return killed
      })
    })

    on('takes away all of it, wherever the agent before was killed', async ({ agent, pod, left, each }) => {
      await each('half a publish', async (uid, kill) => {
        const killed = await kill(() => agent().mount(pod(uid), standing))
        await agent().recover()
        await agent().unmount(uid)
        assert.deepEqual(await left(), [])
        return killed
      })
      await each('unpublish', async (uid, kill) => {
        await agent().mount(pod(uid), standing)
        const killed = await kill(() => agent().unmount(uid))
        await agent().recover()
        for (const each of await agent().list()) await agent().unmount(each)
        assert.deepEqual(await left(), [])
        return killed
      })
      await agent().unmount('never')
    })

    on('brings a volume up to date, wherever the agent before was killed', async ({ agent, pod, look, each, subject }) => {
      if (!subject.change) return
      await agent().mount(pod('whole'), standing)
      subject.change()
      const changed = await look('whole', (await agent().mount(pod('whole'), standing)).paths)
      subject.change()
      await each('change', async (uid, kill) => {
        await agent().mount(pod(uid), standing)
        subject.change?.()
        const killed = await kill(() => agent().mount(pod(uid), standing))
        assert.deepEqual(await look(uid, (await agent().mount(pod(uid), standing)).paths), changed)
        subject.change?.()
        await agent().unmount(uid)
        return killed
      })
    })

    on('counts what is used, where it counts at all', async ({ agent, pod }) => {
      const volumes = agent()
      const mounted = await volumes.mount(pod('u1'), standing)
      for (const stats of (await volumes.stats(pod('u1'), mounted)).values()) {
        for (const amount of Object.values(stats)) assert.ok(Number.isSafeInteger(amount) && amount >= 0, JSON.stringify(stats))
        assert.ok(stats.usedBytes <= stats.capacityBytes && stats.availableBytes <= stats.capacityBytes, JSON.stringify(stats))
      }
    })

    on('grows, or says that it cannot', async ({ agent, pod, driver }) => {
      const volumes = agent()
      const { paths } = await volumes.mount(pod('u1'), standing)
      const [[name, path] = ['', '']] = [...paths]
      const growing = volumes.expand(pod('u1'), { name, path }, 1 << 20)
      if (driver().expand) await growing
      else await assert.rejects(growing, { name: 'VolumeError' })
    })
  })
}

type Trial = Awaited<ReturnType<typeof begin>>

async function begin(subjectOf: (dir: string) => Subject) {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-driver-'))
  const [podsDir, stagingDir] = [join(dir, 'pods'), join(dir, 'volumes')]
  const kill = killing(realMounts)
  const subject = subjectOf(join(dir, 'own'))
  const driver = () => subject.open(kill.mounts, join(dir, 'own'))
  const claims = subject.persistentVolume && (async () => subject.persistentVolume as PersistentVolume)
  return {
    subject,
    driver,
    agent: () => openVolumes({ mounts: kill.mounts, drivers: [driver()], claims, podsDir, stagingDir }),
    pod: (uid: string): Pod => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', namespace: 'shop', uid, resourceVersion: '1', labels: { app: 'web' } },
      spec: { containers: [{ name: 'c', resources: {} }], volumes: [subject.volume], ...subject.spec },
      status: {},
    }),
    /** Runs `round` with a kill after no step, after one, and so on until one comes to its end. */
    async each(what: string, round: (uid: string, kill: (work: () => Promise<unknown>) => Promise<boolean>) => Promise<boolean>) {
      for (let steps = 0; ; steps += 1) {
        const killed = await round(`${what.replaceAll(' ', '-')}-${steps}`, (work) => kill.after(steps, work))
        if (!killed) return
        assert.ok(steps < 500, `${what} comes to an end`)
      }
    },
    /** All that a container sees, with owners and modes, but for names that are made up each time. */
    async look(uid: string, paths: ReadonlyMap<string, string>): Promise<string[]> {
      const seen: string[] = []
      for (const [name, path] of paths) for (const line of await tree(path)) seen.push(`${name}${line}`)
      return seen.map((line) => line.replaceAll(uid, 'UID').replaceAll(/\.\.\d{4}_\w+/g, '..TIME')).sort()
    },
    /** Mounts and files of pods, and what is staged. */
    async left(): Promise<string[]> {
      const below = (folder: string) => readdir(folder, { recursive: true }).catch(() => [])
      // A folder for a type of driver may stay.
      const staged = (await below(stagingDir)).filter((path) => path.includes('/'))
      return [...(await mountsUnder(dir)), ...(await below(podsDir)), ...staged]
    },
    async close() {
      kill.close()
      for (const target of await mountsUnder(dir)) await realMounts.unmount(target, { detach: true })
      await rm(dir, { recursive: true })
    },
  }
}

async function tree(path: string, at = ''): Promise<string[]> {
  const facts = await lstat(path)
  const kind = facts.isDirectory() ? 'folder' : facts.isSymbolicLink() ? `-> ${await readlink(path)}` : await readFile(path, 'utf8')
  const mode = facts.isSymbolicLink() ? '' : (facts.mode & 0o7777).toString(8)
  const lines = [`${at} ${mode} ${facts.uid}:${facts.gid} ${kind}`]
  if (!facts.isDirectory()) return lines
  for (const name of await readdir(path)) lines.push(...(await tree(join(path, name), `${at}/${name}`)))
  return lines
}
