// A server and webhooks that it asks, for tests.

import assert from 'node:assert/strict'
import { type Log, silent } from '#api/log.ts'
import { type WebhookServer, webhookServer } from '#control/extensions/webhook.fake.ts'
import { type Json, type Trial, trial } from '../testing/trial.fake.ts'

export const registration = '/apis/admissionregistration.k8s.io/v1'
export const maps = '/api/v1/namespaces/test/configmaps'
export const pods = '/api/v1/namespaces/test/pods'
export const deployments = '/apis/apps/v1/namespaces/test/deployments'

/** A rule about everything, and about some of it. */
export const all = { operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }
export const about = (resources: string[], operations = ['CREATE'], apiGroups = ['']) => ({ ...all, operations, apiGroups, resources })

export type Hooked = {
  server: Trial
  hooks: WebhookServer
  /** Lines of the log about what was noted of requests. */
  audited: Json[]
  /** Makes a configuration of webhooks at `/NAME0`, `/NAME1` …, about new config maps unless told. */
  mutate(this: void, name: string, ...webhooks: Json[]): Promise<void>
  validate(this: void, name: string, ...webhooks: Json[]): Promise<void>
  /** Forgets all configurations and what was asked and made. */
  clear(): Promise<void>
  close(): Promise<void>
}

export async function hooked(): Promise<Hooked> {
  const audited: Json[] = []
  const info: Log['info'] = (fields: object, message?: string) => void (message === 'audit' && audited.push(fields))
  const server = await trial({ log: { ...silent, info } })
  server.ready()
  const hooks = await webhookServer('hook.test.svc')
  let made: string[] = []

  const configure =
    (kind: string, plural: string) =>
    async (name: string, ...webhooks: Json[]) => {
      const answer = await server.ask('POST', `${registration}/${plural}`, {
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind,
        metadata: { name },
        webhooks: webhooks.map((webhook, i) => ({
          name: `h${i}.${name}.example.com`,
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
          clientConfig: { url: hooks.url(`/${name}${i}`), caBundle: hooks.caBundle },
          rules: [about(['configmaps'])],
          ...webhook,
        })),
      })
      assert.equal(answer.code, 201, answer.text)
      made.push(`${registration}/${plural}/${name}`)
    }

  return {
    server,
    hooks,
    audited,
    mutate: configure('MutatingWebhookConfiguration', 'mutatingwebhookconfigurations'),
    validate: configure('ValidatingWebhookConfiguration', 'validatingwebhookconfigurations'),
    async clear() {
      for (const path of made) await server.ask('DELETE', path)
      for (const path of [maps, pods, deployments]) await server.ask('DELETE', path, { gracePeriodSeconds: 0 })
      made = []
      hooks.decide.clear()
      hooks.serve.clear()
      hooks.asked.length = 0
      audited.length = 0
    },
    async close() {
      await server.close()
      await hooks.close()
    },
  }
}
