// Mutating webhooks: asked one after the other, each about what those before it made of the object.
// Where a later one changed it, the rest of admission and those that asked for it (reinvocationPolicy
// IfNeeded) look once more.

import { isStatus } from '#api/errors.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { same } from '#api/kinds/rules/faults.ts'
import { jsonPatch } from '#api/patch/json.ts'
import { isObject, type JsonObject } from '#api/schema/decode.ts'
import { parseJson } from '#api/schema/json.ts'
import type { Admission, Review } from '../admission.ts'
import { replace } from '../replace.ts'
import type { ServedVersion, Shown } from '../served-version.ts'
import { type AskDeps, ask, wanted } from './ask.ts'
import { failed } from './denial.ts'
import type { Hook } from './hook.ts'

/** What the first round left: who is to be asked again, and what the object was then. */
type Round = { again: Set<Hook>; open: Set<Hook>; object: string }

export function mutatingWebhooks(deps: AskDeps & { hooks: () => readonly Hook[] }): Admission {
  const rounds = new WeakMap<Review, Round>()
  return {
    name: 'MutatingAdmissionWebhook',
    asksAll: true,
    mutate(review) {
      const hooks = deps.hooks()
      return hooks.length > 0 && !deps.exempt(review) ? round(hooks, review) : undefined
    },
  }

  async function round(hooks: readonly Hook[], review: Review): Promise<void> {
    const state: Round = rounds.get(review) ?? { again: new Set(), open: new Set(), object: '' }
    rounds.set(review, state)
    // Others have changed it meanwhile.
    if (review.again && state.object !== JSON.stringify(review.object)) for (const hook of state.open) state.again.add(hook)
    for (const hook of hooks) {
      if (review.again && !state.again.has(hook)) continue
      const asked = await wanted(hook, review, deps)
      if (!asked) continue
      if (await call(hook, review, asked)) {
        for (const other of state.open) if (other !== hook) state.again.add(other)
        review.changed = true
      }
      if (hook.webhook.reinvocationPolicy === 'IfNeeded') state.open.add(hook)
    }
    state.object = state.open.size > 0 ? JSON.stringify(review.object) : ''
  }

  /** Whether it changed the object. */
  async function call(hook: Hook, review: Review, { served, shown }: { served: ServedVersion; shown: Shown }): Promise<boolean> {
    const verdict = await ask(hook, review, { served, shown, mutating: true }, deps)
    if (verdict?.patch === undefined) return false
    const { name } = hook.webhook
    const { form } = review
    const operations = parsed(verdict.patch, name)
    if (operations.length === 0) return false
    if (!shown.object || (form && !form.take))
      throw failed(`admission webhook ${JSON.stringify(name)} attempted to modify the object, which is not supported for this operation`)
    const patched = patchedBy(name, shown.object, operations)
    if (same(patched, shown.object)) return false
    if (form) form.take?.(patched, review.object)
    else replace(review.object, await kept(name, served, patched))
    return true
  }
}

const broken = (name: string, why: string, cause: unknown) =>
  failed(`the patch of admission webhook ${JSON.stringify(name)} cannot be used: ${why}`, cause)

function parsed(patch: string, name: string): unknown[] {
  let value: unknown
  try {
    ;({ value } = parseJson(patch, { failure: 'it is no JSON' }))
  } catch (error) {
    throw broken(name, (error as Error).message, error)
  }
  if (!Array.isArray(value)) throw broken(name, 'a JSON patch is a list', undefined)
  return value
}

function patchedBy(name: string, object: JsonObject, operations: unknown[]): JsonObject {
  try {
    const patched = jsonPatch(object, operations)
    const { apiVersion, kind, metadata } = patched
    if (apiVersion !== object.apiVersion || kind !== object.kind || !isObject(metadata))
      throw new TypeError('it makes another kind of object')
    return patched
  } catch (error) {
    const [cause] = isStatus(error) ? (error.details?.causes ?? []) : []
    throw broken(name, cause?.message ?? (error as Error).message, error)
  }
}

async function kept(name: string, served: ServedVersion, patched: JsonObject): Promise<KubeObject> {
  try {
    return await served.keep(patched)
  } catch (error) {
    if (!isStatus(error, 'BadRequest')) throw error
    throw broken(name, error.message, error)
  }
}
