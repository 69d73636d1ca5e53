// Jobs on a fake server: their known pains, each with the outcome that it should have had.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatusError } from '#api/errors.ts'
import { Job, Pod } from '#api/kinds/index.ts'
import type { Alone } from '../alone.fake.ts'
import { active, change, end, endAll, jobHarness, jobSpec, podsOf, stateOf, theJob } from './job.fake.ts'

const hosts = async (h: Alone) => (await active(h)).map(({ spec }) => spec.hostname ?? '').sort()
const ref = { namespace: 'default', name: 'j' }

test('one pod, one success, and the words for it', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec())
  await h.settle()
  const [pod] = await podsOf(h)
  assert.deepEqual(pod?.metadata.finalizers, ['batch.kubernetes.io/job-tracking'])
  assert.equal(await stateOf(h), '1 active, 0 succeeded, 0 failed')
  await endAll(h, 'Succeeded')
  assert.equal(await stateOf(h), 'Complete CompletionsReached: 0 active, 1 succeeded, 0 failed')
  const { status } = await theJob(h)
  assert.deepEqual(
    status.conditions?.map(({ type, reason }) => `${type} ${reason}`),
    ['SuccessCriteriaMet CompletionsReached', 'Complete CompletionsReached'],
  )
  assert.deepEqual([status.uncountedTerminatedPods, status.ready, status.terminating], [{}, 0, 0])
  assert.ok(status.startTime && status.completionTime)
  assert.deepEqual((await podsOf(h))[0]?.metadata.finalizers, [])
  assert.deepEqual(h.events, [`Normal SuccessfulCreate: Created pod: ${pod?.metadata.name}`, 'Normal Completed: Job completed'])
  const before = h.client.writes.length
  await h.clock.advance(600_000)
  assert.deepEqual(h.client.writes.slice(before), [])
  // One to make it and one to count it; of the status: begun, listed, counted.
  assert.equal(before, 1 + 1 + 1 + 1 + 1 + 1 + 1)
})

test('an indexed job tells each pod which part is its', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec({ completionMode: 'Indexed', completions: 3, parallelism: 2 }))
  await h.settle()
  const [pod] = await podsOf(h)
  assert.match(pod!.metadata.name, /^j-0-/)
  assert.equal(pod!.spec.hostname, 'j-0')
  assert.equal(pod!.metadata.labels?.['batch.kubernetes.io/job-completion-index'], '0')
  assert.equal(pod!.metadata.annotations?.['batch.kubernetes.io/job-completion-index'], '0')
  assert.deepEqual(pod!.spec.containers[0]?.env, [
    { name: 'JOB_COMPLETION_INDEX', valueFrom: { fieldRef: { fieldPath: "metadata.labels['batch.kubernetes.io/job-completion-index']" } } },
  ])
  await endAll(h, 'Succeeded')
  assert.equal((await theJob(h)).status.completedIndexes, '0,1')
  await endAll(h, 'Succeeded')
  assert.equal((await theJob(h)).status.completedIndexes, '0-2')
  assert.match(await stateOf(h), /^Complete/)
})

test('a deadline of more seconds than a number holds is none', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec({ activeDeadlineSeconds: (2n ** 63n - 1n) as unknown as number }))
  await h.settle()
  assert.equal(await stateOf(h), '1 active, 0 succeeded, 0 failed')
  await endAll(h, 'Succeeded')
  assert.match(await stateOf(h), /^Complete/)
})

test('with its watches cut after every write, one completion is one pod, and one end is counted once', async () => {
  await using h = await jobHarness()
  h.client.intercept(({ verb }) => {
    if (verb !== 'get' && verb !== 'list' && verb !== 'watch') h.client.disconnect()
  })
  await h.client.create(Job, jobSpec({ completions: 3, parallelism: 1 }))
  for (let done = 0; done < 3; ) {
    await h.clock.advance(2_000)
    assert.ok((await active(h)).length <= 1)
    done += await endAll(h, 'Succeeded')
  }
  await h.clock.advance(10_000)
  assert.equal(await stateOf(h), 'Complete CompletionsReached: 0 active, 3 succeeded, 0 failed')
  assert.equal((await podsOf(h)).length, 3)
})

test('killed between any two of its writes, it counts each end once', async () => {
  for (let step = 1; step <= 8; step++) {
    await using h = await jobHarness()
    let writes = 0
    let killed = false
    h.client.intercept(({ verb, kind, subresource }) => {
      if (verb === 'get' || verb === 'list' || verb === 'watch' || killed) return
      if (kind.kind === 'Pod' && subresource === 'status') return
      if (++writes < step + 1) return
      // From here on nothing comes through, as when the process has gone.
      throw new StatusError('ServiceUnavailable', 'gone')
    })
    await h.client.create(Job, jobSpec({ completions: 2, parallelism: 2 }))
    await h.settle()
    for (const [i, pod] of (await active(h)).entries()) await end(h, pod, i === 0 ? 'Succeeded' : 'Failed')
    await h.settle()
    killed = true
    await h.restart()
    await h.clock.advance(60_000)
    await endAll(h, 'Succeeded')
    await endAll(h, 'Succeeded')
    await h.clock.advance(60_000)
    const made = await podsOf(h)
    const failed = made.filter(({ status }) => status.phase === 'Failed').length
    assert.equal(await stateOf(h), `Complete CompletionsReached: 0 active, 2 succeeded, ${failed} failed`, `killed at ${step}`)
    assert.deepEqual(
      made.flatMap(({ metadata }) => metadata.finalizers ?? []),
      [],
    )
  }
})

test('backoffLimit 10, parallelism 10: it fails, after two rounds at most', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec({ completions: 10, parallelism: 10, backoffLimit: 10 }))
  await h.settle()
  for (let i = 0; i < 20; i++) {
    await endAll(h, 'Failed')
    await h.clock.advance(400_000)
  }
  assert.equal(await stateOf(h), 'Failed BackoffLimitExceeded: 0 active, 0 succeeded, 20 failed')
  assert.ok(h.events.includes('Warning BackoffLimitExceeded: Job has reached the specified backoff limit'))
})

test('a job fails only when every pod of it has been seen to end', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec({ completions: 3, parallelism: 3, backoffLimit: 0 }))
  await h.settle()
  const [first, second] = await active(h)
  // On nodes: they end in their own time.
  for (const pod of await active(h))
    h.client.put(Pod, { ...pod, spec: { ...pod.spec, nodeName: 'n' }, status: { phase: 'Running' } } as never)
  await end(h, first!, 'Failed')
  await h.settle()
  const { status } = await theJob(h)
  assert.deepEqual(
    status.conditions?.map(({ type, status: is }) => `${type} ${is}`),
    ['FailureTarget True'],
  )
  assert.deepEqual([status.active, status.terminating, status.failed], [undefined, 2, 3])
  await end(h, second!, 'Succeeded')
  for (const { metadata } of await podsOf(h))
    if (metadata.deletionTimestamp) await h.client.delete(Pod, metadata, { gracePeriodSeconds: 0 })
  await h.settle()
  assert.match(await stateOf(h), /^Failed BackoffLimitExceeded/)
})

test('10, 20, 40 seconds and so on, six minutes at most, and from the start after a success', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec({ completions: 3, parallelism: 1, backoffLimit: 20 }))
  await h.settle()
  const waited: number[] = []
  const wait = async () => {
    const start = h.clock.monotonic()
    while ((await active(h)).length === 0) await h.clock.advance(1000)
    waited.push((h.clock.monotonic() - start) / 1000)
  }
  for (let i = 0; i < 7; i++) {
    await endAll(h, 'Failed')
    await wait()
  }
  assert.deepEqual(waited, [10, 20, 40, 80, 160, 320, 360])
  await endAll(h, 'Succeeded')
  await wait()
  await h.clock.advance(1000)
  await endAll(h, 'Failed')
  await wait()
  assert.deepEqual(waited.slice(7), [0, 10])
  // A controller that starts anew goes by the pods that are there; a clock that steps changes nothing.
  await endAll(h, 'Failed')
  await h.restart()
  h.clock.jump(3_600_000)
  await wait()
  assert.equal(waited.at(-1), 20)
})

test('the deadline holds over a restart of the controller, and begins anew when a job is resumed', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec({ activeDeadlineSeconds: 60 }))
  await h.settle()
  await h.clock.advance(40_000)
  await h.restart()
  await h.clock.advance(19_000)
  assert.equal(await stateOf(h), '1 active, 0 succeeded, 0 failed')
  await change(h, { suspend: true })
  await h.clock.advance(600_000)
  await change(h, { suspend: false })
  await h.clock.advance(59_000)
  assert.equal(await stateOf(h), '1 active, 0 succeeded, 0 failed')
  await h.clock.advance(2_000)
  assert.match(await stateOf(h), /^Failed DeadlineExceeded/)
})

test('suspended and resumed, scaled down and up: nothing has failed by that', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec({ completions: 4, parallelism: 4, backoffLimit: 0 }))
  await h.settle()
  await change(h, { suspend: true })
  assert.equal(await stateOf(h), '0 active, 0 succeeded, 0 failed')
  assert.equal((await podsOf(h)).length, 0)
  await change(h, { suspend: false })
  await change(h, { parallelism: 2 })
  assert.equal(await stateOf(h), '2 active, 0 succeeded, 0 failed')
  await change(h, { parallelism: 4 })
  assert.equal(await stateOf(h), '4 active, 0 succeeded, 0 failed')
  await endAll(h, 'Succeeded')
  assert.equal(await stateOf(h), 'Complete CompletionsReached: 0 active, 4 succeeded, 0 failed')
  assert.deepEqual(
    h.events.filter((event) => event.includes('Job')).map((event) => event.split(':')[0]),
    ['Normal Suspended', 'Normal Resumed', 'Normal Completed'],
  )
})

test('an indexed job is made smaller and larger while it runs', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec({ completionMode: 'Indexed', completions: 4, parallelism: 4, backoffLimit: 0 }))
  await h.settle()
  await change(h, { completions: 2, parallelism: 2 })
  assert.deepEqual(await hosts(h), ['j-0', 'j-1'])
  await change(h, { completions: 3, parallelism: 3 })
  assert.deepEqual(await hosts(h), ['j-0', 'j-1', 'j-2'])
  await endAll(h, 'Succeeded')
  assert.equal(await stateOf(h), 'Complete CompletionsReached: 0 active, 3 succeeded, 0 failed')
})

test('deleted, it lets go of its pods, whatever they wait for', async () => {
  for (const propagationPolicy of ['Foreground', 'Background', 'Orphan'] as const) {
    await using h = await jobHarness()
    await h.client.create(Job, jobSpec({ completions: 2, parallelism: 2 }))
    await h.settle()
    await h.client.delete(Job, ref, { propagationPolicy })
    await h.settle()
    if (propagationPolicy !== 'Foreground') h.client.drop(Job, ref)
    await h.settle()
    const finalizers = (await podsOf(h)).flatMap(({ metadata }) => metadata.finalizers ?? [])
    assert.deepEqual(finalizers, [], propagationPolicy)
    assert.equal((await podsOf(h)).length, 2)
  }
})

test('some time after its end it is deleted with its pods; time is what has passed, not what clocks say', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec({ ttlSecondsAfterFinished: 100 }))
  await h.clock.advance(20_000)
  await endAll(h, 'Succeeded')
  h.clock.jump(-3_600_000)
  await h.clock.advance(50_000)
  h.clock.jump(7_200_000)
  await h.clock.advance(49_000)
  assert.equal((await theJob(h)).metadata.deletionTimestamp, undefined)
  await h.clock.advance(2_000)
  const gone = await theJob(h)
  assert.ok(gone.metadata.deletionTimestamp)
  assert.deepEqual(gone.metadata.finalizers, ['foregroundDeletion'])
})

test('a job of another controller is left alone', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec({ managedBy: 'example.com/queue' }))
  await h.clock.advance(60_000)
  assert.deepEqual([(await podsOf(h)).length, (await theJob(h)).status], [0, {}])
})

test('pods that the server refuses are told of, and asked for ever more seldom', async () => {
  await using h = await jobHarness()
  let asked = 0
  h.client.intercept(({ verb, kind }) => {
    if (kind.kind !== 'Pod' || verb !== 'create') return
    asked += 1
    throw new StatusError('Forbidden', 'exceeded quota')
  })
  await h.client.create(Job, jobSpec({ completions: 50, parallelism: 50 }))
  await h.clock.advance(60_000)
  assert.ok(asked > 2 && asked < 40, String(asked))
  assert.equal(h.events[0], 'Warning FailedCreate: Error creating: exceeded quota')
  h.client.intercept(undefined)
  await h.clock.advance(120_000)
  assert.equal(await stateOf(h), '50 active, 0 succeeded, 0 failed')
})

test('killed between letting a pod go and deleting it, and then in need of it: its end counts', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec({ completions: 2, parallelism: 2 }))
  await h.settle()
  h.client.intercept(({ verb, kind }) => {
    if (kind.kind === 'Pod' && verb === 'delete') throw new StatusError('ServiceUnavailable', 'gone')
  })
  await change(h, { parallelism: 1 })
  assert.deepEqual(
    (await active(h)).map(({ metadata }) => metadata.finalizers?.length),
    [0, 1],
  )
  await change(h, { parallelism: 2 })
  h.client.intercept(undefined)
  await h.clock.advance(10_000)
  assert.deepEqual(
    (await active(h)).map(({ metadata }) => metadata.finalizers?.length),
    [1, 1],
  )
  await endAll(h, 'Succeeded')
  assert.equal(await stateOf(h), 'Complete CompletionsReached: 0 active, 2 succeeded, 0 failed')
})

test('many pods that end one after the other are few writes of the status', async () => {
  await using h = await jobHarness()
  await h.client.create(Job, jobSpec({ completionMode: 'Indexed', completions: 100, parallelism: 100 }))
  await h.settle()
  for (const pod of await active(h)) {
    await end(h, pod, 'Succeeded')
    await h.clock.advance(50)
  }
  await h.clock.advance(5_000)
  assert.equal(await stateOf(h), 'Complete CompletionsReached: 0 active, 100 succeeded, 0 failed')
  const of = (text: string) => h.client.writes.filter((line) => line.startsWith(text)).length
  assert.deepEqual([of('create Pod'), of('patch Pod')], [100, 100])
  assert.ok(of('update Job/status') <= 12, String(of('update Job/status')))
})
