// serviceaccounts/NAME/token: a token for an account, for a while, bound to what it is for.

import { timestamp } from '#api/clock.ts'
import { invalid, StatusError } from '#api/errors.ts'
import { Pod, Secret } from '#api/kinds/index.ts'
import { isObject } from '#api/schema/decode.ts'
import { apiAudience } from '#control/auth/authenticator.ts'
import type { BoundObject, Tokens } from '#control/auth/tokens.ts'
import { nodeOf } from '#control/auth/user.ts'
import type { Core } from '../objects/core.ts'
import type { Creators } from './creators.ts'

const seconds = { standard: 3600, least: 600, most: 2 ** 32, mostOfNodes: 86_400 }

export const tokenCreators = ({ core, tokens }: { core: Core; tokens: Tokens }): Creators => ({
  async 'serviceaccounts/token'(target, body, { user, dryRun }) {
    const node = nodeOf(user)
    const spec = isObject(body.spec) ? body.spec : {}
    const account = (await core.get(target)).object
    const namespace = target.namespace ?? ''
    const asked =
      spec.expirationSeconds === undefined || spec.expirationSeconds === null ? seconds.standard : Number(spec.expirationSeconds)
    // What a node was given may outlive its pod by no more.
    const lifetime = node === undefined ? asked : Math.min(asked, seconds.mostOfNodes)
    const refuse = (field: string, value: unknown, why: string) =>
      invalid('authentication.k8s.io', 'TokenRequest', target.name, [
        { field, reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${why}` },
      ])
    if (!Number.isSafeInteger(lifetime) || lifetime < seconds.least) {
      throw refuse('spec.expirationSeconds', lifetime, 'may not specify a duration less than 10 minutes')
    }
    if (lifetime > seconds.most) throw refuse('spec.expirationSeconds', lifetime, 'may not specify a duration larger than 2^32 seconds')
    const audiences = Array.isArray(spec.audiences) && spec.audiences.length > 0 ? spec.audiences.map(String) : [apiAudience]
    const bound = await bindOf(spec.boundObjectRef)
    // A rehearsal gives nothing away that opens a door.
    if (dryRun) return answer('', Date.now())
    const { token, claims } = tokens.issue({
      namespace,
      account: { name: account.metadata.name, uid: account.metadata.uid },
      audiences,
      seconds: lifetime,
      ...bound,
    })
    return answer(token, claims.iat * 1000)

    function answer(issued: string, at: number): object {
      return {
        kind: 'TokenRequest',
        apiVersion: 'authentication.k8s.io/v1',
        metadata: { name: target.name, namespace, creationTimestamp: timestamp(at) },
        spec: { audiences, expirationSeconds: lifetime, boundObjectRef: spec.boundObjectRef ?? null },
        status: { token: issued, expirationTimestamp: timestamp(at + lifetime * 1000) },
      }
    }

    /** A node gets tokens of its pods alone, for the audiences that these ask for. */
    async function bindOf(ref: unknown): Promise<{ pod?: BoundObject; secret?: BoundObject; node?: BoundObject }> {
      if (node === undefined) return isObject(ref) ? await bind(ref) : {}
      const deny = (why: string) => new StatusError('Forbidden', `serviceaccounts ${JSON.stringify(target.name)} is forbidden: ${why}`)
      if (!isObject(ref) || ref.kind !== 'Pod' || typeof ref.name !== 'string') throw deny('node requested token not bound to a pod')
      if (typeof ref.uid !== 'string' || ref.uid === '') throw deny('node requested token with a pod binding without a uid')
      const pod = (await core.get({ resource: core.resources.of(Pod), namespace, name: ref.name })).object as Pod
      if (pod.spec.nodeName !== node) throw deny('node requested token bound to a pod scheduled on a different node')
      const due = new Set(audiencesOf(pod))
      const undue = audiences.find((audience) => !due.has(audience))
      if (undue !== undefined) throw deny(`audience ${JSON.stringify(undue)} not found in pod spec volume`)
      return await bind(ref)
    }

    async function bind(ref: Record<string, unknown>): Promise<{ pod?: BoundObject; secret?: BoundObject; node?: BoundObject }> {
      const name = typeof ref.name === 'string' ? ref.name : ''
      if (ref.kind !== 'Pod' && ref.kind !== 'Secret') {
        throw refuse('spec.boundObjectRef.kind', ref.kind, 'cannot bind token to object of this kind')
      }
      const resource = core.resources.of(ref.kind === 'Pod' ? Pod : Secret)
      const object = (await core.get({ resource, namespace, name })).object as Pod
      if (ref.uid && ref.uid !== object.metadata.uid) {
        throw new StatusError(
          'Conflict',
          `the UID in the bound object reference (${JSON.stringify(ref.uid)}) does not match the UID in record. The object might have been deleted and then recreated`,
        )
      }
      const itself = { name, uid: object.metadata.uid }
      if (ref.kind === 'Secret') return { secret: itself }
      if (object.spec.serviceAccountName !== target.name) {
        throw new StatusError(
          'BadRequest',
          `cannot bind token for serviceaccount ${JSON.stringify(target.name)} to pod running with different serviceaccount name.`,
        )
      }
      return { pod: itself }
    }
  },
})

const audiencesOf = ({ spec }: Pod): string[] =>
  (spec.volumes ?? []).flatMap(({ projected }) =>
    (projected?.sources ?? []).flatMap(({ serviceAccountToken }) =>
      serviceAccountToken ? [serviceAccountToken.audience || apiAudience] : [],
    ),
  )
